"""The pure parts of the demo: what is struck, with which configuration, in which folder."""

import json
from importlib import resources
from pathlib import Path

import pytest

from trunkline.config.load import load
from trunkline.console.demo import (
    CLIPS,
    FAULTS,
    MARK,
    QUESTION,
    TOPIC,
    DemoError,
    DemoOrder,
    configuration,
    fault_script,
    fresh_folder,
    strike_token,
)
from trunkline.errors import InputError
from trunkline.providers.embedded.scripted import content_items
from trunkline.telephony.script import read_script
from trunkline.testing.chat import tokens
from trunkline.testing.faults import FaultScript


def test_every_seed_strikes_inside_the_long_answer() -> None:
    """After its first sentence, before its last token; 1,000 seeds reach almost everywhere."""
    whole = len(tokens(" ".join(item.primary_text for item in content_items(TOPIC))))
    drawn = {strike_token(seed) for seed in range(1000)}
    assert min(drawn) > len(tokens("Of course, sure."))
    assert max(drawn) < whole
    assert len(drawn) > 0.8 * (max(drawn) - min(drawn))
    assert strike_token(1) == strike_token(1)


@pytest.mark.parametrize("fault", FAULTS)
def test_each_fault_is_one_that_the_model_server_knows(fault: str) -> None:
    """It strikes at the long question; a refusal is armed later, and none is none."""
    script = fault_script(fault, 15)
    if fault in ("none", "refuse"):
        assert script is None
        return
    assert script is not None
    parsed = FaultScript.parse(json.loads(json.dumps(script)))
    assert parsed.match == QUESTION
    assert ("after_tokens" in script) == (fault in ("stall", "cut"))


def test_an_unknown_fault_is_refused_before_anything_starts() -> None:
    """With the ones that there are."""
    with pytest.raises(InputError, match="no fault 'fire'; choose from stall, cut"):
        DemoOrder(fault="fire")


def test_the_shipped_configuration_gets_the_ports_of_this_run(tmp_path: Path) -> None:
    """Four places are replaced, nothing else; the result is valid."""
    shipped = (resources.files("trunkline.config") / "example.yaml").read_text("utf-8")
    text = configuration([4001, 4002])
    changed = [
        (a, b) for a, b in zip(shipped.splitlines(), text.splitlines(), strict=True) if a != b
    ]
    assert len(changed) == 4
    path = tmp_path / "trunkline.yaml"
    path.write_text(text, "utf-8")
    config = load(path)
    assert config.server.port == 0
    assert config.server.host == "127.0.0.1"
    assert {"primary", "backup"} <= config.endpoints.keys()


@pytest.mark.parametrize("shipped", ["", "port: 8100\nport: 8100\n127.0.0.1:8101 127.0.0.1:8102"])
def test_a_shipped_configuration_that_does_not_fit_is_noticed(shipped: str) -> None:
    """A place that is missing or there twice would send the call somewhere else."""
    with pytest.raises(DemoError, match="times"):
        configuration([4001, 4002], shipped)


def test_a_folder_of_an_earlier_demo_is_emptied(tmp_path: Path) -> None:
    """It is known by its `call.json`."""
    (tmp_path / "call.json").write_text("{}")
    (tmp_path / "records").mkdir()
    fresh_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_an_earlier_demo_that_failed_is_emptied(tmp_path: Path) -> None:
    """It did not come to a `call.json`, but its configuration was written first."""
    (tmp_path / "trunkline.yaml").write_text(MARK + configuration([1, 2]))
    (tmp_path / "records").mkdir()
    fresh_folder(tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["thesis.tex", "trunkline.yaml"])
def test_a_folder_with_other_files_is_left_alone(tmp_path: Path, name: str) -> None:
    """Not ours to delete, not even if it is a user's own configuration."""
    (tmp_path / name).write_text("years of work")
    with pytest.raises(InputError, match="--out"):
        fresh_folder(tmp_path)
    assert (tmp_path / name).read_text() == "years of work"


def test_a_file_in_the_way_is_named(tmp_path: Path) -> None:
    """A folder cannot be made where a file is."""
    path = tmp_path / "out"
    path.write_text("")
    with pytest.raises(InputError, match="is not a folder"):
        fresh_folder(path)
    assert path.is_file()


def test_a_folder_is_made_with_its_parents(tmp_path: Path) -> None:
    """An empty one is as good as none."""
    for _ in range(2):
        fresh_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()


async def test_the_callers_script_can_be_performed() -> None:
    """Its clips are there, and one asks the question that is struck."""
    script = await read_script(CLIPS / "demo.yaml")
    assert "bring.wav" in [step.label for step in script.steps]
