"""Worlds: those that ship load, and what is wrong with a file is said with its line."""

from pathlib import Path

import numpy as np
import pytest

from trunkline.errors import ConfigError, InputError
from trunkline.testing.simulation.configured import load_setting
from trunkline.testing.simulation.draws import Measured, first_law
from trunkline.testing.simulation.worlds import (
    WORLDS,
    World,
    load_world,
    parse_world,
    perturbed,
)

EXAMPLE = Path(__file__).parents[3] / "trunkline.yaml"
GOOD = """\
version: 1
endpoints:
  mine: {law: managed, troubles: everyday, failure_domain: x}
  other: {measured: {quantiles_s: {p50: 0.4, p95: 0.9, p99: 2.5}}, failure_domain: y}
weather:
  - {endpoint: mine, from_s: 10, to_s: 20, troubles: down}
"""


def refusal(text: str) -> ConfigError:
    """The error that *text* gets."""
    with pytest.raises(ConfigError) as caught:
        parse_world(text, "world.yaml")
    return caught.value


@pytest.mark.parametrize("name", WORLDS)
def test_a_world_that_ships(name: str) -> None:
    """It loads, says what it is, and judges some of its turns."""
    world = load_world(name)
    assert world.about
    assert world.judge_from_s < world.horizon_s


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("law: managed", "law: mangaed", 3, "there is no 'mangaed'"),
        ("law: managed, ", "", 3, "a law or measured times"),
        ("troubles: everyday", "troubles: bad", 3, "there is no 'bad'"),
        ("p50: 0.4, p95: 0.9, p99: 2.5", "", 4, "quantiles_s or a file"),
        ("endpoint: mine", "endpoint: yours", 6, "there is no 'yours'"),
        ("endpoint: mine, ", "", 6, "an endpoint or a failure_domain"),
        ("endpoint: mine", "failure_domain: z", 6, "there is no 'z'"),
        ("to_s: 20", "to_s: 10", 6, "ends before it begins"),
        ("troubles: down", "trubles: down", 6, "unknown key 'trubles'"),
        ("troubles: down", "law: slow", 6, "there is no 'slow'"),
        ("troubles: down", "troubles: slow", 6, "there is no 'slow'"),
        ("version: 1", "version: 1\njudge_from_s: 2000", 2, "no turn would be counted"),
        ("version: 1", "version: 1\ntalk: {ear: nobody}", 2, "there is no 'nobody'"),
        ("version: 1", "version: 1\ntalk: {sentences_shares: [0, 0]}", 2, "any sentence"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, said: str) -> None:
    """The message names the place, the fault and what to write."""
    assert old in GOOD
    error = refusal(GOOD.replace(old, new, 1))
    assert (error.line, said in str(error)) == (line, True), str(error)


def test_a_world_that_is_not_there() -> None:
    """The error names those that ship."""
    with pytest.raises(InputError, match="brownout"):
        load_world("no-such-file.yaml")


@pytest.mark.parametrize(
    ("quantiles", "said"),
    [("{p50: 0.5, p95: 0.4}", "that rise"), ("{p50: 0.5}", "at least two"), ("{p0: 1, p9: 2}", "")],
)
def test_percentiles_that_make_no_law(quantiles: str, said: str) -> None:
    """Percentiles must rise, lie between the ends, and be two at least."""
    world = parse_world(GOOD.replace("{p50: 0.4, p95: 0.9, p99: 2.5}", quantiles), "world.yaml")
    with pytest.raises(InputError, match=said or "percentiles"):
        first_law("other", world.endpoints["other"])


def test_a_file_of_measured_times(tmp_path: Path) -> None:
    """Its path is beside the world's; its values are the law's quantiles, whatever their unit."""
    (tmp_path / "ttft.txt").write_text("\n".join(str(100 + 10 * i) for i in range(100)))
    text = GOOD.replace("quantiles_s: {p50: 0.4, p95: 0.9, p99: 2.5}", "file: ttft.txt, unit: ms")
    (tmp_path / "world.yaml").write_text(text)
    world = load_world(str(tmp_path / "world.yaml"))
    law = first_law("other", world.endpoints["other"])
    assert isinstance(law, Measured)
    found = law.seconds(np.array([0.105, 0.505]))
    assert found.tolist() == pytest.approx([0.2, 0.6], abs=0.006)
    (tmp_path / "ttft.txt").write_text("0.5\n0.6\n")
    with pytest.raises(InputError, match="give 20 to"):
        first_law("other", world.endpoints["other"])


def test_perturbed_laws_differ_and_are_repeatable() -> None:
    """Every endpoint is slower or faster, by the seed."""
    world = load_world("healthy")
    other = perturbed(world, 1)
    assert other == perturbed(world, 1) != perturbed(world, 2)
    stretched = [it.stretch for it in other.endpoints.values()]
    assert len({*stretched, 1.0}) == 4
    assert all(0.5 < it < 2.0 for it in stretched)


def test_a_configuration_is_simulated_as_it_is() -> None:
    """Its route, failure domains and expectations; that its latency is assumed is said."""
    setting = load_setting(str(EXAMPLE))
    assert list(setting.world.endpoints) == ["primary", "backup"]
    assert setting.world.endpoints["backup"].failure_domain == "rack-b"
    assert "assumed" in setting.notes[0]


def test_a_world_tries_the_policy_of_a_configuration(tmp_path: Path) -> None:
    """`config:` names it; endpoints must be those of its route, in its order."""
    (tmp_path / "trunkline.yaml").write_text(
        EXAMPLE.read_text().replace("give_up_s: 8.0", "give_up_s: 3.0")
    )
    text = GOOD.replace("mine", "primary").replace("other", "backup") + "config: trunkline.yaml\n"
    (tmp_path / "world.yaml").write_text(text)
    assert load_setting(str(tmp_path / "world.yaml")).policy.give_up_s == 3.0
    (tmp_path / "world.yaml").write_text(GOOD + "config: trunkline.yaml\n")
    with pytest.raises(InputError, match="primary, backup"):
        load_setting(str(tmp_path / "world.yaml"))
    (tmp_path / "world.yaml").write_text(text + "agent: nobody\n")
    with pytest.raises(InputError, match="receptionist"):
        load_setting(str(tmp_path / "world.yaml"))


def test_every_field_of_a_world_is_described() -> None:
    """The description is what an error tells a person to write."""
    assert all(field.description for field in World.model_fields.values())
