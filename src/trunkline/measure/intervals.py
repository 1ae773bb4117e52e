"""Percentiles with an interval that knows that turns of one time block are alike.

The method is Woodruff's (1952): an interval for the share of turns at or below the percentile,
read back through the sorted turns; nothing is resampled and no density is estimated. The interval
of the share is taken at the effective number of turns that the variance between blocks leaves
(Korn and Graubard 1998), by Jeffreys' prior instead of Clopper and Pearson's bounds, which cover
97 % at p99 where 95 % are asked for. The block of time is the unit, not the call: an hour
in which a provider is slow is slow for all of its calls, and an interval over calls covers a third
of what it says then (docs/measuring.md has the table).

Blocks are in the order of time. Where neighbours are alike beyond chance the variance is raised
for it, and never lowered: by the flat-top weights of Politis and Romano (1995) over `LAGS`.

A turn that failed is infinitely late: `math.inf` among the values. A percentile may be infinite.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from trunkline.errors import InputError
from trunkline.measure.laws import beta_quantile, t_quantile

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

LAGS = 6
"""Neighbouring blocks whose likeness counts; more lags cost more than they find at 168 blocks."""
LAGS_FROM_BLOCKS = 100
"""With fewer blocks the likeness of neighbours cannot be told from chance."""
BLOCKS_MIN = 8
"""Below this the variance between blocks is a guess, whatever the number of turns."""
BLOCKS_HONEST = 56
"""Below this an interval covers less than it says (24 blocks: 92 % of the time at p99)."""


@dataclass(frozen=True, slots=True)
class Observed:
    """What was measured: *values* (any unit; `inf`: failed) and the time *blocks* they fell in."""

    values: Floats
    blocks: Ints

    def __post_init__(self) -> None:
        if self.values.shape != self.blocks.shape or self.values.ndim != 1:
            raise InputError(
                f"{self.values.shape} values in {self.blocks.shape} blocks: give one block a value"
            )
        if np.isnan(self.values).any():
            raise InputError("a value is not a number: give math.inf for a turn that failed")

    @classmethod
    def of(cls, values: Sequence[float], blocks: Sequence[int]) -> "Observed":
        """From plain sequences."""
        return cls(np.asarray(values, np.float64), np.asarray(blocks, np.int64))


@dataclass(frozen=True, slots=True)
class Estimate:
    """A percentile. *value*, *low* and *high* are None where *why* says why it is not estimable.

    *n_eff*: as many independent turns would tell as much. *rough*: see `BLOCKS_HONEST`.
    """

    p: float
    value: float | None
    low: float | None
    high: float | None
    n: int
    n_eff: float
    blocks: int
    why: str = ""

    @property
    def rough(self) -> bool:
        """Whether there were too few blocks for the interval to cover what it says."""
        return self.blocks < BLOCKS_HONEST


def needed(p: float, confidence: float = 0.95) -> int:
    """The independent turns below which the *p*-quantile has no two-sided interval.

    72 for p95, 368 for p99, 3,688 for p99.9 at 95 %: with fewer, the largest (or smallest) of them
    all may lie on the wrong side of it.
    """
    return math.ceil(math.log((1 - confidence) / 2) / math.log(max(p, 1 - p)))


def estimate(seen: Observed, p: float, confidence: float = 0.95) -> Estimate:
    """The *p*-quantile of *seen* with its interval; `InputError` for a *p* outside (0, 1)."""
    if not 0 < p < 1 or not 0 < confidence < 1:
        raise InputError(f"p is {p}, confidence {confidence}: both must lie between 0 and 1")
    n = seen.values.size
    _, index = np.unique(seen.blocks, return_inverse=True)
    blocks = int(index.max()) + 1 if n else 0
    if n < needed(p, confidence):
        why = f"{n} turns, at least {needed(p, confidence)} are needed"
        return Estimate(p, None, None, None, n, float(n), blocks, why)
    if blocks < BLOCKS_MIN:
        why = f"{blocks} time blocks, at least {BLOCKS_MIN} are needed"
        return Estimate(p, None, None, None, n, float(n), blocks, why)
    ordered = np.sort(seen.values)
    value = _at(ordered, p)
    n_eff = _effective(seen.values <= value, index, blocks, p, confidence)
    if n_eff < needed(p, confidence):
        why = (
            f"{n} turns tell as much as {n_eff:.0f} independent ones, "
            f"at least {needed(p, confidence)} are needed"
        )
        return Estimate(p, None, None, None, n, n_eff, blocks, why)
    below, tail = n_eff * p, (1 - confidence) / 2
    low = beta_quantile(tail, below + 0.5, n_eff - below + 0.5)
    high = beta_quantile(1 - tail, below + 0.5, n_eff - below + 0.5)
    return Estimate(p, value, _at(ordered, low), _at(ordered, high), n, n_eff, blocks)


def _at(ordered: Floats, p: float) -> float:
    """The smallest value that a share *p* of all does not exceed."""
    return float(ordered[min(max(math.ceil(ordered.size * p - 1e-9), 1), ordered.size) - 1])


def _effective(below: npt.NDArray[np.bool_], index: Ints, blocks: int, p: float, c: float) -> float:
    """How many independent turns tell as much, with the t of few blocks taken into account."""
    n = below.size
    share = below.mean()
    scores = np.bincount(index, below - share, blocks).astype(np.float64)
    variance = spread(scores) / n**2
    if variance == 0:
        return float(n)
    wide = t_quantile((1 + c) / 2, n - 1) / t_quantile((1 + c) / 2, blocks - 1)
    return min(float(n), p * (1 - p) / variance * wide**2)


def spread(scores: Floats) -> float:
    """The variance of the sum of block *scores*, in the order of time, whose sum is next to 0."""
    blocks = scores.size
    plain = blocks / (blocks - 1) * float(scores @ scores)
    if blocks < LAGS_FROM_BLOCKS or plain == 0:
        return plain
    weights = [min(1.0, 2 * (1 - lag / LAGS)) for lag in range(1, LAGS)]
    alike = sum(
        weight * float(scores[lag:] @ scores[:-lag]) for lag, weight in enumerate(weights, 1)
    )
    return plain * max(1.0, 1 + 2 * alike / float(scores @ scores))
