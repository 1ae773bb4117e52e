"""A campaign: how calls are dealt to workers, and what an interruption leaves."""

import pytest

from trunkline.errors import InputError
from trunkline.testing.fault_plan import parse_plan
from trunkline.testing.simulation import run as running
from trunkline.testing.simulation.run import Campaign, run
from trunkline.testing.simulation.worlds import load_world

HEALTHY = load_world("healthy")


def campaign(**told: object) -> Campaign:
    """Two workers of 30 s with some calls each."""
    world = HEALTHY.model_copy(update={"horizon_s": 30.0})
    usual = {"calls": 21, "turns": 4, "seed": 1, "load": 1.4}
    return Campaign(world, ("adaptive", "race"), **{**usual, **told})  # type: ignore[arg-type]  # any of them


def test_calls_are_dealt_to_workers() -> None:
    """All of them, as evenly as it goes; the load is about what was asked for."""
    it = campaign()
    assert it.workers == 2
    assert [order.calls for order in it.orders("race")] == [11, 10]
    assert it.real_load == pytest.approx(1.4)


@pytest.mark.parametrize(
    "wrong", [{"calls": 0}, {"turns": 0}, {"turns": 101}, {"seed": -1}, {"load": 0}, {"load": 1e9}]
)
def test_what_cannot_be_simulated_is_refused(wrong: dict[str, float]) -> None:
    """The message says what to give instead."""
    with pytest.raises(InputError, match="give"):
        campaign(**wrong)


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("on: {stage: tts}, what: cut", "no endpoint of this world"),
        ("on: {endpoint: d}, what: cut", r"There are: a \(llm, cloud-1\)"),
        ("on: {endpoint: a}, what: cut, match: hello", "on_turn instead of match"),
    ],
)
def test_a_fault_that_could_strike_nobody_is_refused(fault: str, said: str) -> None:
    """It would look like one that was survived."""
    plan = parse_plan(f"version: 1\nfaults: [{{{fault}}}]")
    with pytest.raises(InputError, match=said):
        Campaign(HEALTHY, ("race",), 10, 2, 1, 1.0, plan)


def test_every_worker_of_every_policy_is_told_of() -> None:
    """In the order of the workers, with the progress on the way."""
    told: list[tuple[int, int]] = []
    found = run(campaign(), 1, lambda done, of: told.append((done, of)))
    assert told == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert {policy: [it.shard for it in them] for policy, them in found.items()} == {
        "adaptive": [0, 1],
        "race": [0, 1],
    }


def test_an_interruption_leaves_what_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C after the first worker: its figures are worth having."""

    def told(done: int, of: int) -> None:
        raise KeyboardInterrupt

    found = run(campaign(), 1, told)
    assert [len(them) for them in found.values()] == [1, 0]
    assert running.TURNS_MAX == 100
