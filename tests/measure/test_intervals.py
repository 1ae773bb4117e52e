"""Percentiles with intervals: coverage, failures, and what is not told."""

import math

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.measure.intervals import Observed, estimate, needed

BLOCKS = np.repeat(np.arange(168), 20)


def hours(rng: np.random.Generator) -> Observed:
    """Turns of a week whose hours differ by 0.2 in the logarithm; their p95 is `TRUE`."""
    level = np.repeat(rng.normal(0, 0.2, 168), 20)
    return Observed(np.exp(level + rng.normal(0, 0.5, level.size)), BLOCKS)


TRUE = math.exp(1.644854 * math.sqrt(0.2**2 + 0.5**2))


def test_the_interval_covers_what_it_says_where_hours_differ() -> None:
    """300 weeks: 95 % of the intervals hold the true p95, which those that forget hours do not."""
    rng = np.random.default_rng(4)
    held = forgetful = 0
    for _ in range(300):
        seen = hours(rng)
        found = estimate(seen, 0.95)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= TRUE <= found.high
        lone = estimate(Observed(seen.values, rng.permutation(seen.values.size)), 0.95)
        assert lone.low is not None
        assert lone.high is not None
        forgetful += lone.low <= TRUE <= lone.high
    assert 0.92 <= held / 300 <= 0.98
    assert forgetful / 300 < 0.9


def test_neighbouring_hours_that_are_alike_widen_the_interval() -> None:
    """A slow afternoon is no five witnesses."""
    rng = np.random.default_rng(1)
    level = np.repeat(rng.normal(0, 0.3, 28), 6)
    noise = rng.normal(0, 0.5, (168, 20))
    slow = estimate(Observed(np.exp(level[:, None] + noise).ravel(), BLOCKS), 0.5)
    mixed = rng.permutation(level)
    fair = estimate(Observed(np.exp(mixed[:, None] + noise).ravel(), BLOCKS), 0.5)
    assert slow.n_eff < fair.n_eff / 2


def test_failures_are_infinitely_late_and_count() -> None:
    """3 % failed: the p95 is that of what is left moved up, the p99 is infinite."""
    rng = np.random.default_rng(2)
    values = rng.uniform(0, 1, BLOCKS.size)
    values[rng.random(values.size) < 0.03] = math.inf
    p95, p99 = (estimate(Observed(values, BLOCKS), p) for p in (0.95, 0.99))
    assert p95.value == pytest.approx(0.95 / 0.97, abs=0.01)
    assert p99.value == math.inf
    assert p99.low == math.inf


@pytest.mark.parametrize(("p", "turns"), [(0.95, 72), (0.99, 368), (0.999, 3_688)])
def test_a_percentile_that_few_turns_cannot_show_is_not_told(p: float, turns: int) -> None:
    """The limits of the order statistics, by independent turns."""
    assert needed(p) == turns
    few = estimate(Observed.of([1.0] * (turns - 1), list(range(turns - 1))), p)
    assert (few.value, few.low, few.high) == (None, None, None)
    assert f"at least {turns}" in few.why


def test_turns_that_are_all_alike_in_a_block_count_as_one() -> None:
    """4,000 turns in 40 blocks of one value each tell as much as some 40."""
    rng = np.random.default_rng(3)
    blocks = np.repeat(np.arange(40), 100)
    found = estimate(Observed(np.repeat(rng.normal(1, 0.1, 40), 100), blocks), 0.95)
    assert found.value is None
    assert "independent" in found.why


def test_seven_blocks_are_no_evidence_and_forty_are_rough() -> None:
    """Whatever the number of turns."""
    values = np.random.default_rng(3).uniform(0, 1, 4_000)
    few = estimate(Observed(values, np.arange(4_000) % 7), 0.5)
    some = estimate(Observed(values, np.arange(4_000) % 40), 0.5)
    assert "7 time blocks" in few.why
    assert some.value is not None
    assert some.rough
    assert not estimate(Observed(values, np.arange(4_000) % 60), 0.5).rough


def test_bad_input_says_how_to_mend_it() -> None:
    """Shapes, what is no number, and percentiles beyond."""
    with pytest.raises(InputError, match="one block a value"):
        Observed.of([1.0, 2.0], [1])
    with pytest.raises(InputError, match=r"math\.inf"):
        Observed.of([math.nan], [1])
    with pytest.raises(InputError, match="between 0 and 1"):
        estimate(Observed.of([1.0], [1]), 95)
