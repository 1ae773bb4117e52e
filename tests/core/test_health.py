"""What is known of one endpoint, and who may be sent to it."""

import pytest

from trunkline.core.health import (
    PROBE_EVERY_S,
    PROBES_GOOD,
    UNPROBED_S,
    Breaker,
    Expected,
    Health,
    Measure,
)
from trunkline.errors import Fault

GOOD = Expected(ttft_p50_s=0.5, ttft_p95_s=0.8, slow_share=0.01)
T = 1000.0


def serves(health: Health, count: int, since: float, every_s: float = 0.14) -> float:
    """*count* healthy attempts; when the last one ended."""
    now = since
    for _ in range(count):
        now += every_s
        health.measured(Measure.FIRST, 0.5, now)
        health.served(now)
    return now


def sick(health: Health, at: float = T) -> float:
    """Three attempts in a row are slow; when the breaker opened."""
    changed = [health.measured(Measure.SLOW, 1.2, at + i) for i in range(3)]
    assert changed == [False, False, True]
    assert health.breaker(at + 2) is Breaker.OPEN
    return at + 2


def test_an_endpoint_that_nobody_knows_is_expected_to_be_slow() -> None:
    """A median of 0.8 s and 5 % slow ones; one with figures scores by them."""
    worst, good = Health(Expected()), Health(GOOD)
    assert good.score(T) < 0.75 < 1.1 < worst.score(T)
    assert good.admits(0.99, T)
    assert good.sentence_q95_s(T) < worst.sentence_q95_s(T)


@pytest.mark.parametrize("fault", sorted(set(Fault) - {Fault.THROTTLED, Fault.REFUSED}))
def test_three_failures_in_a_row_open_it(fault: Fault) -> None:
    """Also on a worker with a call a minute; one that serves begins the count anew."""
    health = Health(GOOD)
    assert not health.failed(fault, T)
    assert not health.failed(fault, T + 60)
    health.served(T + 100)
    assert [health.failed(fault, T + 160 + 60 * i) for i in range(3)] == [False, False, True]
    assert health.breaker(T + 300) is Breaker.OPEN
    assert not health.admits(0.0, T + 300)
    assert not health.failed(fault, T + 301), "it was open before"


def test_most_of_the_last_seconds_open_it() -> None:
    """A busy worker: half of the requests slow and served in the end, within 4 s."""
    health = Health(GOOD)
    now = serves(health, 50, T)
    for i in range(40):
        now += 0.14
        if i % 4 and health.measured(Measure.SLOW, 1.2, now):
            break
        health.served(now)
    else:
        pytest.fail("nobody noticed")
    assert now - T - 7 < 4.0


def test_a_healthy_tail_opens_nothing() -> None:
    """Two percent of slow requests."""
    health, now = Health(GOOD), T
    for _ in range(20):
        now = serves(health, 49, now)
        assert not health.measured(Measure.SLOW, 1.2, now)
        health.served(now)
    assert health.breaker(now) is Breaker.CLOSED


def test_slow_ones_with_a_first_token_in_time_between_them_are_a_tail() -> None:
    """Three calls that were late within a minute, and nobody's answer was complete yet."""
    health, now = Health(GOOD), T
    for i in range(6):
        now += 20
        assert not health.measured(Measure.SLOW, 1.2, now)
        assert not health.measured(Measure.FIRST, 0.5, now + 1)
        if i % 2:
            assert not health.measured(Measure.SLOW, 1.2, now + 2)
    assert health.breaker(now) is Breaker.CLOSED


def test_answers_that_begin_in_time_and_break_off_are_failures_in_a_row() -> None:
    """A first token in time is no answer."""
    health = Health(GOOD)
    for i in range(2):
        assert not health.measured(Measure.FIRST, 0.5, T + 60 * i)
        assert not health.failed(Fault.CUT, T + 60 * i + 2)
    assert not health.measured(Measure.FIRST, 0.5, T + 120)
    assert health.failed(Fault.CUT, T + 122)


def test_one_that_is_cancelled_while_it_was_silent_counts_as_far_as_it_was_likely_slow() -> None:
    """Past its body it was; in the middle of it it was not."""
    health = Health(Expected(0.1, 0.2, 0.02))
    assert [health.measured(Measure.CANCELLED, 0.9, T + i) for i in range(3)][-1]
    early = Health(GOOD)
    assert not any(early.measured(Measure.CANCELLED, 0.3, T + i) for i in range(20))


def test_probes_and_nobody_else_go_to_an_open_endpoint() -> None:
    """At a constant rate; three good ones in a row half-open it, a bad one begins anew."""
    health = Health(GOOD)
    assert health.probe_due(T) is None
    now = sick(health)
    assert health.probe_due(now) == now + PROBE_EVERY_S
    answers = [0.4, None, 1.3, 0.4, 0.4, 0.4]
    changed = []
    for answer in answers:
        now += PROBE_EVERY_S
        health.probing(now)
        assert health.probe_due(now) == now + PROBE_EVERY_S
        changed.append(health.probed(answer, now))
    assert changed == [False] * 5 + [True]
    assert health.breaker(now) is Breaker.HALF_OPEN
    assert health.probe_due(now) is None
    assert not health.probed(0.4, now), "it is half-open already"


@pytest.mark.parametrize(
    ("after_s", "draw", "admitted"),
    [
        (0.0, 0.04, True),
        (0.0, 0.06, False),
        (5.0, 0.2, True),
        (5.0, 0.3, False),
        (10.0, 0.99, True),
        (10.0, None, False),
        (15.0, None, True),
    ],
)
def test_a_half_open_endpoint_gets_a_growing_share_of_the_new_calls(
    after_s: float, draw: float | None, admitted: bool
) -> None:
    """5, 25, 100 % for 5 s each, then everybody; calls that run elsewhere stay there."""
    health = Health(GOOD)
    now = sick(health)
    for _ in range(PROBES_GOOD):
        health.probed(0.4, now)
    assert health.admits(draw, now + after_s) is admitted


def test_a_half_open_endpoint_opens_again_if_it_is_sick_still() -> None:
    """By the same rule; its past is forgotten."""
    health = Health(GOOD)
    now = sick(health)
    for _ in range(PROBES_GOOD):
        health.probed(0.4, now)
    assert not health.measured(Measure.SLOW, 1.2, now)
    health.failed(Fault.CUT, now)
    assert health.failed(Fault.CUT, now)
    assert health.breaker(now) is Breaker.OPEN


def test_where_nobody_probes_time_half_opens_it() -> None:
    """Speech stages are not probed: callers would never come back."""
    health = Health(GOOD)
    now = sick(health)
    due = now + PROBE_EVERY_S + UNPROBED_S
    assert health.breaker(due - 0.1) is Breaker.OPEN
    assert health.breaker(due) is Breaker.HALF_OPEN


def test_pushback_is_no_sickness() -> None:
    """It stands back for as long as it said, else for a pause that doubles, up to a cap."""
    health = Health(GOOD)
    assert not any(health.failed(Fault.THROTTLED, T, 7.0) for _ in range(9))
    assert health.pushed_back_until == T + 7
    assert health.breaker(T) is Breaker.CLOSED
    health.served(T + 8)
    pauses = []
    for i in range(7):
        now = T + 100 + 100 * i
        health.failed(Fault.THROTTLED, now)
        pauses.append(health.pushed_back_until - now)
    assert pauses == [1, 2, 4, 8, 16, 30, 30]
    health.failed(Fault.THROTTLED, T + 800, 3600.0)
    assert health.pushed_back_until == T + 830


def test_a_refusal_of_one_that_never_served_is_its_configuration() -> None:
    """A person must mend it: no time and no probe brings it back, and it is told once."""
    health = Health(GOOD)
    assert health.failed(Fault.REFUSED, T)
    assert not health.failed(Fault.REFUSED, T)
    assert health.breaker(T + 1e6) is Breaker.MISCONFIGURED
    assert not health.admits(0.0, T + 1e6)
    assert health.probe_due(T + 1e6) is None


def test_one_refusal_of_an_endpoint_that_serves_may_be_the_caller_s() -> None:
    """A prompt that one model will not take must not silence it for all; two in a row do."""
    health = Health(GOOD)
    health.served(T)
    assert not health.failed(Fault.REFUSED, T)
    health.served(T)
    assert not health.failed(Fault.REFUSED, T)
    assert health.failed(Fault.REFUSED, T)


def test_faults_cost_score_and_fade() -> None:
    """Five seconds times their rate."""
    health = Health(GOOD)
    now = serves(health, 40, T)
    before = health.score(now)
    health.failed(Fault.CUT, now)
    assert 0.03 < health.score(now) - before < 0.08
    assert health.score(now + 200) == pytest.approx(Health(GOOD).score(T), abs=0.001)


def test_quantiles_are_read_anew_every_second() -> None:
    """Not with every plan."""
    health = Health(GOOD)
    gap_s, sentence_s = health.gap_p999_s(T), health.sentence_q95_s(T)
    assert gap_s == pytest.approx(GOOD.gap_p999_s, rel=0.05)
    health.measured(Measure.GAP, 0.01, T, 100_000)
    for _ in range(1000):
        health.measured(Measure.SENTENCE, 3.0, T)
    assert health.gap_p999_s(T + 0.9) == gap_s
    assert health.sentence_q95_s(T + 0.9) == sentence_s
    assert health.gap_p999_s(T + 1) < 0.1
    assert health.sentence_q95_s(T + 1) > 2.5
