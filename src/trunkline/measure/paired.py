"""Is B slower than A? Percentiles compared over time blocks, as a ratio with its interval.

The test is of a score: at the percentile of both together, does a larger share of B's turns lie
above it? Its variance is that between blocks; blocks that both shared (*paired*: subjects that ran
in the same blocks) are subtracted from one another, so that an hour which was slow for both says
nothing. The interval is the set of ratios that the test does not reject: A is multiplied by each.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.measure.intervals import BLOCKS_MIN, Floats, Ints, Observed, needed, spread
from trunkline.measure.laws import t_cdf, t_quantile

GRID = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.99)
"""Where the shift function is looked at."""
FLIPS = 2_000
_WIDEST = math.log(1e3)
_HALVINGS = 30


@dataclass(frozen=True, slots=True)
class Difference:
    """B's *p*-quantile over A's: *ratio*, its interval, and the *p_value* of their being equal.

    All None where *why* says why it cannot be told.
    """

    p: float
    ratio: float | None
    low: float | None
    high: float | None
    p_value: float | None
    why: str = ""


@dataclass(frozen=True, slots=True)
class _Pair:
    a: Floats
    b: Floats
    blocks_a: Ints
    blocks_b: Ints
    count_a: int
    count_b: int
    paired: bool

    def shares(self, log_ratio: float, p: float) -> tuple[float, Floats, Floats]:
        """How much more of B than of A times the ratio lies above both's quantile; the scores."""
        a = self.a * math.exp(log_ratio)
        both = np.concatenate([a, self.b])
        at = min(max(math.ceil(both.size * p - 1e-9), 1), both.size) - 1
        return self.above(float(np.partition(both, at)[at]), a)

    def above(self, edge: float, a: Floats) -> tuple[float, Floats, Floats]:
        """How much more of B than of *a* lies above *edge*; the scores."""
        over_a, over_b = a > edge, self.b > edge
        share_a, share_b = over_a.mean(), over_b.mean()
        scores_a = np.bincount(self.blocks_a, over_a - share_a, self.count_a) / a.size
        scores_b = np.bincount(self.blocks_b, over_b - share_b, self.count_b) / self.b.size
        return float(share_b - share_a), scores_a, scores_b

    def t(self, log_ratio: float, p: float) -> tuple[float, float]:
        """The test's t and its degrees of freedom."""
        return self.judged(*self.shares(log_ratio, p))

    def judged(self, more: float, scores_a: Floats, scores_b: Floats) -> tuple[float, float]:
        """The t of a difference of shares, and its degrees of freedom."""
        if self.paired:
            variance, df = spread(scores_b - scores_a), self.count_a - 1.0
        else:
            of_a, of_b = spread(scores_a), spread(scores_b)
            variance = of_a + of_b
            parts = of_a**2 / (self.count_a - 1) + of_b**2 / (self.count_b - 1)
            df = variance**2 / parts if parts else 1.0  # Welch (1947), Satterthwaite (1946)
        if variance == 0:
            return math.copysign(math.inf, more) if more else 0.0, df
        return more / math.sqrt(variance), df

    def edge(self, p: float, t: float) -> float:
        """The logarithm of the ratio at which the test's t is *t*: it falls as the ratio grows."""
        low, high = -_WIDEST, _WIDEST
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            low, high = (middle, high) if self.t(middle, p)[0] > t else (low, middle)
        return (low + high) / 2


def compare(
    a: Observed, b: Observed, p: float, *, paired: bool, confidence: float = 0.95
) -> Difference:
    """How B's *p*-quantile stands to A's; *paired*: only blocks that both have count."""
    pair = _pair(a, b, paired=paired)
    if why := _too_little(pair, p):
        return Difference(p, None, None, None, None, why)
    t, df = pair.t(0.0, p)
    wide = t_quantile((1 + confidence) / 2, round(df, 3))
    return _difference(pair, p, wide, _p_value(t, df))


def excess(a: Observed, b: Observed, above: float, *, paired: bool) -> float | None:
    """The p-value of equally many values lying above *above*; None: too few blocks."""
    pair = _pair(a, b, paired=paired)
    if min(pair.count_a, pair.count_b) < BLOCKS_MIN:
        return None
    t, df = pair.judged(*pair.above(above, pair.a))
    return _p_value(t, df)


def shift(
    a: Observed, b: Observed, *, paired: bool, seed: int, confidence: float = 0.95
) -> Sequence[Difference]:
    """The shift function: the ratio over `GRID`, with a band that holds everywhere at once.

    The band's width is that of the largest |t| over the grid when the signs of whole blocks are
    drawn anew (`FLIPS` times, by *seed*): what chance does to all percentiles together.
    """
    pair = _pair(a, b, paired=paired)
    grid = [p for p in GRID if not _too_little(pair, p)]
    wide = _simultaneous(pair, grid, seed, confidence) if grid else 0.0
    found = []
    for p in GRID:
        if why := _too_little(pair, p):
            found.append(Difference(p, None, None, None, None, why))
            continue
        t, df = pair.t(0.0, p)
        found.append(_difference(pair, p, wide, _p_value(t, df)))
    return found


def holm(p_values: Sequence[float], level: float = 0.05) -> Sequence[bool]:
    """Which of several tests are significant together, by Holm's step-down (1979)."""
    verdict = [False] * len(p_values)
    for rank, at in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        if p_values[at] > level / (len(p_values) - rank):
            break
        verdict[at] = True
    return verdict


def _pair(a: Observed, b: Observed, *, paired: bool) -> _Pair:
    if paired:
        shared = np.intersect1d(a.blocks, b.blocks)
        of_a, of_b = np.isin(a.blocks, shared), np.isin(b.blocks, shared)
        a = Observed(a.values[of_a], a.blocks[of_a])
        b = Observed(b.values[of_b], b.blocks[of_b])
    at_a, at_b = (np.unique(it.blocks, return_inverse=True)[1] for it in (a, b))
    count_a, count_b = (int(it.max()) + 1 if it.size else 0 for it in (at_a, at_b))
    return _Pair(a.values, b.values, at_a, at_b, count_a, count_b, paired)


def _too_little(pair: _Pair, p: float) -> str:
    if min(pair.count_a, pair.count_b) < BLOCKS_MIN:
        which = "time blocks that both ran in" if pair.paired else "time blocks"
        few = min(pair.count_a, pair.count_b)
        return f"{few} {which}, at least {BLOCKS_MIN} are needed"
    fewest = min(pair.a.size, pair.b.size)
    if fewest < needed(p):
        return f"{fewest} turns, at least {needed(p)} are needed"
    return ""


def _difference(pair: _Pair, p: float, wide: float, p_value: float) -> Difference:
    middle, low, high = (_ratio(pair.edge(p, t)) for t in (0.0, wide, -wide))
    return Difference(p, middle, low, high, p_value)


def _p_value(t: float, df: float) -> float:
    return 2 * (1 - t_cdf(abs(t), df)) if math.isfinite(t) else 0.0


def _ratio(log_ratio: float) -> float:
    """What lies at the end of the search is beyond it: failures have no finite ratio."""
    if abs(log_ratio) > _WIDEST - 1e-3:
        return math.inf if log_ratio > 0 else 0.0
    return math.exp(log_ratio)


def _simultaneous(pair: _Pair, grid: Sequence[float], seed: int, confidence: float) -> float:
    rows = []
    for p in grid:
        _, scores_a, scores_b = pair.shares(0.0, p)
        both = scores_b - scores_a if pair.paired else np.concatenate([scores_a, scores_b])
        rows.append(both / math.sqrt(float(both @ both)) if both.any() else both)
    signs = np.random.default_rng(seed).choice((-1.0, 1.0), (FLIPS, rows[0].size))
    largest = np.abs(signs @ np.stack(rows).T).max(axis=1)
    df = rows[0].size - 1
    # Signs make a normal law's tails; one percentile alone must not be narrower than by t.
    few = t_quantile((1 + confidence) / 2, df) / t_quantile((1 + confidence) / 2, 1e6)
    alone = t_quantile((1 + confidence) / 2, df)
    return max(alone, float(np.quantile(largest, confidence)) * few)
