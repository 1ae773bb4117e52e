"""Which replica gets a request: the less loaded of two, within its limit, if it is well."""

import math
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from trunkline.core.replicas import (
    BACKOFF,
    EJECT_MAX_S,
    EJECT_S,
    FRESH_S,
    LIMIT,
    LIMIT_MAX,
    LIMIT_MIN,
    PUSHBACK_MAX_S,
    STEP_S,
    Replicas,
)

UNIT = st.floats(0, 1, exclude_max=True)


@given(draws=st.tuples(UNIT, UNIT), loads=st.lists(st.integers(0, 10), min_size=2, max_size=8))
def test_the_less_loaded_of_two_gets_it(draws: tuple[float, float], loads: list[int]) -> None:
    """So the most loaded one gets nothing, whatever is drawn."""
    replicas = Replicas(len(loads))
    for at, load in enumerate(loads):
        for _ in range(load):
            replicas.started(at)
    picked = replicas.pick(draws, 0.0)
    assert picked is not None
    if loads.count(max(loads)) == 1:
        assert loads[picked] < max(loads)


def test_what_waits_in_a_queue_and_what_others_ask_counts() -> None:
    """As long as it is fresh: an old figure is no figure."""
    replicas = Replicas(2)
    replicas.started(0)
    replicas.told(0, running=1, waiting=0, now=0.0)
    replicas.told(1, running=9, waiting=0, now=0.0)
    assert replicas.pick((0.0, 0.0), 0.0) == 0
    replicas.told(0, running=1, waiting=5, now=1.0)
    assert replicas.pick((0.0, 0.0), 1.0) == 1
    replicas.told(1, running=0, waiting=50, now=1.0)
    assert replicas.pick((0.0, 0.0), 1.0) == 0
    assert replicas.pick((0.0, 0.0), 1.0 + FRESH_S + 0.1) == 1, "only what is known here counts"


def test_a_limit_grows_while_answers_are_fast_and_shrinks_when_they_are_slow() -> None:
    """Once a second at most, within its bounds."""
    replicas = Replicas(1)
    it = replicas.known[0]
    replicas.answered(0, 0.2, 0.0)
    assert it.limit == LIMIT, "it is not half used"
    for _ in range(300):
        replicas.started(0)
    for _ in range(400):
        replicas.answered(0, 0.2, 1.0)
    assert it.limit == LIMIT_MAX
    replicas.answered(0, 1.0, 2.0)
    replicas.answered(0, 1.0, 2.1)
    assert it.limit == LIMIT_MAX * BACKOFF
    for second in range(3, 103):
        replicas.answered(0, 9.0, float(second))
    assert LIMIT_MIN <= it.limit < 0.6 * LIMIT_MAX
    for second in range(200, 400):
        replicas.failed(0, float(second), surely=False)
    assert it.limit == LIMIT_MIN


def test_the_unloaded_time_is_learnt_quickly_downwards_and_slowly_upwards() -> None:
    """A replica that was slow from the start, or becomes slower for good, is not choked."""
    replicas = Replicas(1)
    it = replicas.known[0]
    replicas.answered(0, 2.0, 0.0)
    for _ in range(20):
        replicas.answered(0, 0.2, 0.0)
    assert it.unloaded_s == pytest.approx(0.2, abs=0.01)
    for _ in range(500):
        replicas.answered(0, 1.0, 0.0)
    assert it.unloaded_s == pytest.approx(1.0, abs=0.02)


def test_when_all_are_at_their_limits_there_is_none() -> None:
    """A request that queued here would be silence on a line."""
    replicas = Replicas(2)
    for at in (0, 1):
        for _ in range(int(LIMIT)):
            replicas.started(at)
    assert replicas.pick((0.0, 0.0), 0.0) is None
    replicas.ended(1)
    assert replicas.pick((0.0, 0.0), 0.0) == 1


def test_one_that_cannot_be_reached_is_left_out_longer_each_time_and_then_tried_once() -> None:
    """One request tries it; when it answers it is as good as the others."""
    replicas, now = Replicas(2), 0.0
    for pause_s in (EJECT_S, 2 * EJECT_S, 4 * EJECT_S, 8 * EJECT_S, EJECT_MAX_S, EJECT_MAX_S):
        replicas.failed(0, now, surely=True)
        assert replicas.known[0].out_until == now + pause_s
        assert {replicas.pick((d, d), now) for d in (0.0, 0.9)} == {1}
        now += pause_s
    assert replicas.pick((0.0, 0.0), now, without={1}) == 0
    replicas.started(0)
    assert replicas.pick((0.0, 0.0), now, without={1}) is None, "one tries it"
    replicas.answered(0, 0.2, now)
    assert replicas.pick((0.0, 0.0), now, without={1}) == 0
    replicas.failed(0, now, surely=True)
    assert replicas.known[0].out_until == now + EJECT_S


def test_one_that_lets_its_callers_wait_until_they_leave_fails() -> None:
    """It is frozen, and says nothing else; who leaves soon says nothing about it."""
    replicas = Replicas(2)
    for _ in range(5):
        replicas.abandoned(0, 0.5, 0.0)
    assert replicas.pick((0.0, 0.0), 0.0, without={1}) == 0
    replicas.answered(0, 0.2, 0.0)
    for _ in range(2):
        replicas.abandoned(0, 0.5, 0.0)
    assert replicas.pick((0.0, 0.0), 0.0, without={1}) is None


def test_one_failure_that_may_be_chance_leaves_nobody_out() -> None:
    """Two in a row do."""
    replicas = Replicas(2)
    replicas.failed(0, 0.0, surely=False)
    assert replicas.pick((0.0, 0.0), 0.0, without={1}) == 0
    replicas.answered(0, 0.2, 0.0)
    replicas.failed(0, 0.0, surely=False)
    assert replicas.pick((0.0, 0.0), 0.0, without={1}) == 0
    replicas.failed(0, 0.0, surely=False)
    assert replicas.pick((0.0, 0.0), 0.0, without={1}) is None


def test_the_last_one_is_never_left_out() -> None:
    """All are sick: the one that comes back first is asked; who was asked before is not again."""
    replicas = Replicas(3)
    for at, when in ((2, 0.0), (0, 1.0), (1, 2.0)):
        replicas.failed(at, when, surely=True)
    assert replicas.pick((0.9, 0.9), 2.5) == 2
    assert replicas.pick((0.9, 0.9), 2.5, without={2}) == 0
    assert replicas.pick((0.9, 0.9), 2.5, without={0, 1, 2}) is None


@pytest.mark.parametrize(("pause_s", "until"), [(None, 1.0), (7.0, 7.0), (1e6, PUSHBACK_MAX_S)])
def test_pushback_is_no_sickness(pause_s: float | None, until: float) -> None:
    """It is left alone for as long as it asks, and then gets all that its limit allows."""
    replicas = Replicas(2)
    replicas.pushed_back(0, 0.0, pause_s)
    assert replicas.pick((0.0, 0.0), until - 0.1) == 1
    for _ in range(3):
        replicas.started(0)
    assert replicas.pick((0.0, 0.0), until, without={1}) == 0
    assert replicas.known[0].limit == LIMIT * BACKOFF


def test_two_choices_keep_the_most_loaded_replica_near_the_mean() -> None:
    """Of 4 replicas and 400 requests none has many more than a hundred; one choice would have."""
    replicas, counts = Replicas(4), Counter[int]()
    for at in replicas.known:
        at.limit = math.inf
    for number in range(400):
        draws = (number * 0.6180339887 % 1, number * 0.7548776662 % 1)
        picked = replicas.pick(draws, 0.0)
        assert picked is not None
        replicas.started(picked)
        counts[picked] += 1
    assert max(counts.values()) - min(counts.values()) <= 4


class AnyWorker(RuleBasedStateMachine):
    """Whatever happens to replicas, in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.replicas, self.now, self.open = Replicas(3), 0.0, Counter[int]()

    @rule(draws=st.tuples(UNIT, UNIT), without=st.sets(st.integers(0, 2)))
    def a_request(self, draws: tuple[float, float], without: set[int]) -> None:
        """Is sent if there is a replica for it."""
        picked = self.replicas.pick(draws, self.now, without)
        if picked is None:
            return
        assert picked not in without
        it = self.replicas.known[picked]
        if any(self.now >= other.out_until for other in self.replicas.known):
            assert self.now >= it.out_until, "one that is left out got a request"
            assert it.in_flight < it.limit
        self.replicas.started(picked)
        self.open[picked] += 1

    @rule(at=st.integers(0, 2), how=st.integers(0, 3), seconds=st.floats(0, 10))
    def something(self, at: int, how: int, seconds: float) -> None:
        """Becomes of a replica."""
        match how:
            case 0:
                self.replicas.answered(at, seconds, self.now)
            case 1:
                self.replicas.failed(at, self.now, surely=seconds > 5)
            case 2:
                self.replicas.pushed_back(at, self.now, seconds)
            case _:
                self.replicas.told(at, int(seconds), int(seconds), self.now)

    @precondition(lambda self: self.open.total())
    @rule()
    def one_ends(self) -> None:
        """A request is over."""
        at = next(iter(self.open.elements()))
        self.replicas.ended(at)
        self.open -= Counter([at])

    @rule(seconds=st.floats(0, 2 * STEP_S))
    def time_passes(self, seconds: float) -> None:
        """Never backwards."""
        self.now += seconds

    @invariant()
    def limits_hold(self) -> None:
        """Limits stay within their bounds, counts are right, and nobody is out for ever."""
        for at, it in enumerate(self.replicas.known):
            assert LIMIT_MIN <= it.limit <= LIMIT_MAX
            assert it.in_flight == self.open[at]
            assert it.out_until <= self.now + EJECT_MAX_S
        assert any(
            self.replicas.pick((0.5, 0.5), self.now + d) is not None for d in (0, 61)
        ) or all(it.in_flight >= 1 for it in self.replicas.known)


TestAnyWorker = AnyWorker.TestCase
