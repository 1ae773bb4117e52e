"""Comparing two subjects over shared or separate blocks."""

import math

import numpy as np

from trunkline.measure.intervals import Observed
from trunkline.measure.paired import GRID, compare, excess, holm, shift

BLOCKS = np.repeat(np.arange(56), 40)


def side_by_side(rng: np.random.Generator, slower: float = 1.0) -> tuple[Observed, Observed]:
    """Two subjects in the same blocks, whose level they share; the second is *slower* times."""
    level = np.repeat(rng.normal(0, 0.3, 56), 40)
    a, b = (np.exp(level + rng.normal(0, 0.4, level.size)) for _ in range(2))
    return Observed(a, BLOCKS), Observed(b * slower, BLOCKS)


def test_equal_subjects_are_seldom_told_apart_and_unequal_ones_mostly() -> None:
    """At p95, level 5 %, over 150 campaigns each; +10 % is found in more than 80 of 100."""
    rng = np.random.default_rng(7)
    found = {
        slower: [compare(*side_by_side(rng, slower), 0.95, paired=True).p_value for _ in range(150)]
        for slower in (1.0, 1.1)
    }
    share = {k: sum(p is not None and p < 0.05 for p in ps) / 150 for k, ps in found.items()}
    assert share[1.0] <= 0.09
    assert share[1.1] >= 0.8


def test_what_the_hour_did_to_both_says_nothing() -> None:
    """The paired interval holds the truth and is far narrower than that of separate blocks."""
    a, b = side_by_side(np.random.default_rng(1), 1.2)
    paired = compare(a, b, 0.5, paired=True)
    apart = compare(a, b, 0.5, paired=False)
    assert paired.low is not None
    assert paired.high is not None
    assert apart.low is not None
    assert apart.high is not None
    assert paired.low < 1.2 < paired.high
    assert math.log(apart.high / apart.low) > 2 * math.log(paired.high / paired.low)


def test_the_shift_function_shows_where_they_differ() -> None:
    """Only the slowest fifth is slower: the band holds 1 below and lies above it at p95."""
    rng = np.random.default_rng(3)
    a, b = side_by_side(rng)
    late = rng.random(b.values.size) < 0.2
    found = shift(a, Observed(b.values * np.where(late, 2.0, 1.0), BLOCKS), paired=True, seed=1)
    at = {it.p: it for it in found}
    assert tuple(at) == GRID
    low, high = at[0.1].low, at[0.1].high
    assert low is not None
    assert high is not None
    assert low < 1 < high
    assert (at[0.95].low or 0) > 1.05
    alone = compare(a, b, 0.95, paired=True)
    assert alone.low is not None


def test_failures_have_no_finite_ratio() -> None:
    """B loses a tenth of its turns: its p95 is infinitely above A's, its median comparable."""
    a, b = side_by_side(np.random.default_rng(5))
    broken = b.values.copy()
    broken[::10] = math.inf
    found = compare(a, Observed(broken, BLOCKS), 0.95, paired=True)
    assert (found.ratio, found.high) == (math.inf, math.inf)
    assert found.p_value is not None
    assert found.p_value < 1e-6
    assert (compare(a, Observed(broken, BLOCKS), 0.5, paired=True).ratio or 0) < 2


def test_subjects_that_hardly_met_are_not_paired() -> None:
    """And a percentile that one of them cannot show is not compared."""
    a, b = side_by_side(np.random.default_rng(5))
    apart = Observed(b.values, b.blocks + 100)
    assert "0 time blocks that both" in compare(a, apart, 0.95, paired=True).why
    assert excess(a, apart, 1.0, paired=True) is None
    assert (excess(a, b, 1.0, paired=True) or 0) > 0.01
    few = Observed(b.values[::32], b.blocks[::32])
    assert "at least 368" in compare(a, few, 0.99, paired=True).why
    assert [bool(it.why) for it in shift(a, few, paired=True, seed=1)][-2:] == [True, True]


def test_many_comparisons_share_one_error() -> None:
    """Holm: the smallest is held against a fourth of 5 %, and the first that fails ends it."""
    assert holm([0.04, 0.001, 0.02, 0.5]) == [False, True, False, False]
    assert holm([]) == []
