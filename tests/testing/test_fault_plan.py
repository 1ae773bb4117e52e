"""Fault scripts as files: what they accept, whom they strike, what a server gets of them."""

from argparse import ArgumentParser
from pathlib import Path

import pytest

from trunkline.errors import ConfigError, InputError
from trunkline.testing.fault_plan import (
    FaultConfig,
    FaultPlan,
    Struck,
    parse_plan,
    schema,
)
from trunkline.testing.faults import FaultKind, fault_options, faults_of

GOOD = """\
version: 1
about: an afternoon
faults:
  - {on: {endpoint: a}, from_s: 60, to_s: 120, what: stall, after_s: 0.8, hold_s: 3}
  - {on: {failure_domain: cloud}, share: 0.25, what: status, status: 429, retry_after_s: 2}
  - {on: {stage: llm}, on_call: 2, on_turn: 3, what: cut, after_tokens: 4}
"""


def refusal(text: str) -> ConfigError:
    """The error that *text* gets."""
    with pytest.raises(ConfigError) as caught:
        parse_plan(text)
    return caught.value


def struck(text: str, endpoint: str = "a", domain: str = "x") -> Struck:
    """The faults of one endpoint in *text*."""
    return Struck(parse_plan(text), endpoint, "llm", domain)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("what: stall", "what: stal", 4, "faults[0].what"),
        ("hold_s: 3", "holds: 3", 4, "unknown key 'holds'"),
        ("endpoint: a", "", 4, "strikes nobody in particular"),
        ("share: 0.25", "share: 2", 5, "faults[1].share"),
        ("retry_after_s: 2", "after_tokens: 2", 5, "no option 'after_tokens'"),
        ("to_s: 120", "to_s: 30", 4, "not after from_s"),
        ("after_tokens: 4", "after_tokens: 4, after_s: 1", 6, "not both"),
        ("on_turn: 3", "on_turn: 0", 6, "faults[2].on_turn"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(old: str, new: str, line: int, said: str) -> None:
    """The message names the fault, what is wrong with it and what it knows."""
    assert old in GOOD
    error = refusal(GOOD.replace(old, new, 1))
    assert (error.line, said in str(error)) == (line, True), str(error)


def test_a_window_of_time() -> None:
    """It strikes from its first second until its last."""
    it = struck(GOOD)
    hit = [it.strike(1, 1, at_s, 0.9) is not None for at_s in (59.9, 60.0, 119.9, 120.0)]
    assert hit == [False, True, True, False]


def test_a_call_and_a_turn() -> None:
    """Only that turn of that call."""
    it = struck(GOOD, "b")
    hit = {(c, t): it.strike(c, t, 0.0, 0.9) for c in (1, 2, 3) for t in (2, 3, 4)}
    assert {key for key, script in hit.items() if script} == {(2, 3)}
    script = hit[2, 3]
    assert script is not None
    assert (script.kind, script.after_tokens) == (FaultKind.CUT, 4)


def test_a_share_of_a_failure_domain() -> None:
    """A quarter of the requests to every endpoint on that cloud."""
    it = struck(GOOD, "c", "cloud")
    hit = sum(it.strike(1, 1, 0.0, lot / 1000) is not None for lot in range(1000))
    assert hit == 250


def test_the_nth_request() -> None:
    """Requests are counted for each endpoint."""
    it = struck("version: 1\nfaults: [{on: {endpoint: a}, on_request: 2, what: hang}]")
    assert [it.strike(1, 1, 0.0, 0.0) is not None for _ in range(3)] == [False, True, False]


def test_an_endpoint_that_no_fault_is_about() -> None:
    """It has none."""
    text = "version: 1\nfaults: [{on: {endpoint: a}, what: hang}]"
    assert not Struck(parse_plan(text), "b", "llm", "x")
    assert Struck(parse_plan(text), "a", "llm", "x")


def test_two_shares_are_two_lots() -> None:
    """What the first fault passes over, the second strikes with its own share."""
    text = """\
version: 1
faults:
  - {on: {endpoint: a}, share: 0.5, what: hang}
  - {on: {endpoint: a}, share: 0.5, what: empty}
"""
    it = struck(text)
    kinds = [it.strike(1, 1, 0.0, lot / 1000) for lot in range(1000)]
    second = sum(script is not None and script.kind is FaultKind.EMPTY for script in kinds)
    assert 0 < second < 500


def test_a_server_gets_the_faults_of_its_endpoint() -> None:
    """In order; one that asks for a call is refused, for a server sees none."""
    plan = parse_plan(GOOD)
    assert [it.kind for it in plan.for_server("a", "tts", "cloud")] == [
        FaultKind.STALL,
        FaultKind.STATUS,
    ]
    with pytest.raises(InputError, match="cannot tell calls apart"):
        plan.for_server("a", "llm", "cloud")
    door = "version: 1\nfaults: [{on: {endpoint: a}, what: refuse, from_s: 3}]"
    with pytest.raises(InputError, match="closes its door"):
        parse_plan(door).for_server("a", "llm", "x")


def test_the_options_of_a_server(tmp_path: Path) -> None:
    """Faults from the command line come first, then those of the script for this endpoint."""
    (tmp_path / "faults.yaml").write_text(GOOD)
    parser = ArgumentParser()
    fault_options(parser)
    line = ["--fault", '{"kind": "empty"}', "--script", str(tmp_path / "faults.yaml")]
    told = parser.parse_args([*line, "--endpoint", "a"])
    assert [it.kind for it in faults_of(told, "tts")] == [FaultKind.EMPTY, FaultKind.STALL]
    told = parser.parse_args([*line, "--failure-domain", "cloud"])
    assert [it.kind for it in faults_of(told, "tts")] == [FaultKind.EMPTY, FaultKind.STATUS]
    told = parser.parse_args(["--script", str(tmp_path / "none.yaml")])
    with pytest.raises(InputError, match="cannot be read"):
        faults_of(told, "llm")


def test_the_schema_knows_every_kind() -> None:
    """An editor that has it offers all of them, with their descriptions."""
    found = schema()
    assert set(found["$defs"]["FaultKind"]["enum"]) == {kind.value for kind in FaultKind}
    assert all(field.description for field in FaultConfig.model_fields.values())
    assert FaultPlan.model_config["frozen"]
