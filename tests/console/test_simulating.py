"""`trunkline simulate`: what is asked for is simulated, and told as a table or as data."""

import io
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from trunkline.console import simulating
from trunkline.console.cli import app
from trunkline.console.simulating import Outcome, SimulateOrder, show, simulate
from trunkline.errors import ConfigError, InputError
from trunkline.testing.simulation.run import Campaign, run
from trunkline.testing.simulation.shard import Tally

WORLD = """\
version: 1
about: two endpoints
horizon_s: 30
endpoints:
  a: {law: managed, troubles: everyday, failure_domain: x}
  b: {law: managed_twin, troubles: everyday, failure_domain: y}
weather: [{endpoint: a, from_s: 10, to_s: 30, troubles: down}]
"""


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A small world."""
    (tmp_path / "world.yaml").write_text(WORLD)
    return tmp_path / "world.yaml"


def ordered(
    world: Path | str, policy: str = "adaptive,race", *, seed: int = 1, faults: Path | None = None
) -> Outcome:
    """60 calls of 3 turns on one worker."""
    order = SimulateOrder(str(world), 60, 3, seed, 6.0, policy, faults, 1)
    return simulate(order, Console(file=io.StringIO()))


def shown(outcome: Outcome, *, terminal: bool = False) -> str:
    """What a person reads."""
    out = io.StringIO()
    show(outcome, Console(file=out, width=200, force_terminal=terminal, highlight=False))
    return out.getvalue()


def test_policies_side_by_side(world: Path) -> None:
    """One row each, with its figures; the same without a terminal and with one."""
    outcome = ordered(world)
    assert outcome.held
    lines = shown(outcome).splitlines()
    assert lines[0].startswith("60 calls of 3 turns on 1 workers (6.0 turns/s each), seed 1")
    assert lines[1].split("  ")[0] == "policy"
    assert [line.split()[0] for line in lines[2:]] == ["adaptive", "race"]
    assert "left after s" in lines[1]
    assert "\x1b[" in shown(outcome, terminal=True)
    assert "\x1b[" not in shown(outcome)


def test_as_data(world: Path) -> None:
    """What was asked for stands beside the figures; a trace is the same for the same seed."""
    told = [ordered(world, "adaptive", seed=seed).as_json() for seed in (1, 1, 2)]
    assert told[0] == told[1]
    assert (told[0]["calls"], told[0]["workers"], told[0]["interrupted"]) == (60, 1, False)
    policies = [it["policies"] for it in told]
    assert policies[0] != policies[2]


def test_a_fault_script_is_what_happens(world: Path, tmp_path: Path) -> None:
    """With all endpoints silent, no answer is whole."""
    script = tmp_path / "faults.yaml"
    script.write_text("version: 1\nfaults: [{on: {stage: llm}, what: hang}]")
    found = ordered(world, "adaptive", faults=script).figures[0]
    assert found.broken == 1.0
    assert "never" in shown(ordered(world, "adaptive", faults=script))


def test_what_is_assumed_is_said() -> None:
    """A configuration tells nothing about latency."""
    example = Path(__file__).parents[2] / "trunkline.yaml"
    assert "assumed: " in shown(ordered(example, "adaptive"))


@pytest.mark.parametrize(
    ("policy", "said"),
    [("adaptiv", "there is no policy"), ("race,race", "once"), ("", "no policy")],
)
def test_policies_that_are_none(world: Path, policy: str, said: str) -> None:
    """The message names those there are."""
    with pytest.raises(InputError, match=said) as caught:
        ordered(world, policy)
    assert "regime-oracle" in str(caught.value)


def test_a_world_that_is_wrong(world: Path) -> None:
    """The line and the mend, as for any configuration."""
    world.write_text(WORLD.replace("troubles: down", "trouble: down"))
    with pytest.raises(ConfigError, match=r"world\.yaml:7: .*Did you mean 'troubles'"):
        ordered(world)


def test_an_interruption_shows_what_there_is(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The policies that are done have their row, and that the others are missing is said."""

    def interrupted(campaign: Campaign, *_: object) -> Mapping[str, list[Tally]]:
        found = run(campaign, 1)
        return {**found, "race": []}

    monkeypatch.setattr(simulating, "run", interrupted)
    outcome = ordered(world)
    assert not outcome.whole
    assert [it.policy for it in outcome.figures] == ["adaptive"]
    assert "interrupted" in shown(outcome)


def test_a_broken_invariant_is_told(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the seed, the worker, the call and the turn at which it can be looked at."""

    def broken(campaign: Campaign, *_: object) -> Mapping[str, list[Tally]]:
        found = run(campaign, 1)
        found["adaptive"][0].wrong_count = 1
        found["adaptive"][0].wrong = ["seed 1 worker 0 call 2 turn 3: repeated"]
        return found

    monkeypatch.setattr(simulating, "run", broken)
    outcome = ordered(world)
    assert not outcome.held
    assert "the first: seed 1 worker 0 call 2 turn 3: repeated" in shown(outcome)


SMALL = ["--calls", "40", "--turns", "2", "--seed", "3", "--load", "2", "--processes", "1"]


def test_the_command_hands_on_what_its_options_say(tmp_path: Path) -> None:
    """World, number of calls and turns, seed, load, policies and fault script are all used."""
    (tmp_path / "world.yaml").write_text(
        "version: 1\nabout: one endpoint\nhorizon_s: 40\n"
        "endpoints: {a: {law: managed, failure_domain: x}}\n"
    )
    (tmp_path / "faults.yaml").write_text("version: 1\nfaults: [{on: {endpoint: a}, what: empty}]")
    given = [str(tmp_path / "world.yaml"), *SMALL, "--policy", "adaptive", "--json"]
    told = CliRunner().invoke(app, ["simulate", *given, "--faults", str(tmp_path / "faults.yaml")])
    found = json.loads(told.stdout)
    assert (told.exit_code, found["about"]) == (0, "one endpoint")
    wanted = {"calls": 40, "turns": 2, "seed": 3, "turns_per_s_and_worker": 2.0}
    assert {key: found[key] for key in wanted} == wanted
    assert [it["policy"] for it in found["policies"]] == ["adaptive"]
    assert found["policies"][0]["broken_answers"] == 1.0


def test_the_command_prints_a_table() -> None:
    """Without --json a person reads it; the policies are those that tell most."""
    told = CliRunner().invoke(app, ["simulate", "healthy", *SMALL])
    assert told.exit_code == 0
    assert [line.split()[0] for line in told.stdout.splitlines()[2:]] == [
        "error-only",
        "adaptive",
        "regime-oracle",
    ]
