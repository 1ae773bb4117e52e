"""How much must be measured? From a pilot: blocks, calls and money for an interval of a width.

The variance of a share above a percentile has a part between blocks, which only more blocks
lessen, and a part within, which more turns lessen as well; both are estimated from the pilot by the
analysis of variance of a random effect. What a share is worth in milliseconds is the slope of the
sorted logarithms around the percentile (Siddiqui 1960, Bloch and Gastwirth 1968).
"""

import math
from dataclasses import dataclass

import numpy as np

from trunkline.errors import InputError
from trunkline.measure.intervals import BLOCKS_HONEST, BLOCKS_MIN, Observed, needed
from trunkline.measure.laws import t_quantile

BLOCKS_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Plan:
    """What to run. *half_width*: of the interval, as a share of the percentile, if it is run so."""

    p: float
    blocks: int
    calls_per_block: int
    half_width: float
    cost: float

    @property
    def calls(self) -> int:
        """In all."""
        return self.blocks * self.calls_per_block


@dataclass(frozen=True, slots=True)
class Pilot:
    """What a pilot says of a percentile: variances of the share *between* blocks and *within*.

    *slope*: of the logarithm of the value over the share.
    """

    p: float
    between: float
    within: float
    slope: float

    def half_width(self, blocks: int, turns_per_block: float) -> float:
        """Of a 95 % interval, as a share of the percentile's value."""
        variance = (self.between + self.within / turns_per_block) / blocks
        return math.expm1(self.slope * t_quantile(0.975, blocks - 1) * math.sqrt(variance))


def pilot(seen: Observed, p: float) -> Pilot:
    """What *seen* says; `InputError` if it is too small a pilot, or too many of it failed."""
    n = seen.values.size
    _, index = np.unique(seen.blocks, return_inverse=True)
    blocks = int(index.max()) + 1 if n else 0
    if n < needed(p) or blocks < BLOCKS_MIN:
        raise InputError(
            f"a pilot of {n} turns in {blocks} blocks: for p{100 * p:g} run at least {needed(p)} "
            f"turns in {BLOCKS_MIN} blocks"
        )
    ordered = np.sort(seen.values)
    # Wide enough for some turns on either side, and inside the sample.
    wide = min(max(1.5 * math.sqrt(p * (1 - p) / n), 10 / n), (1 - p) * 0.9, p * 0.9)
    low, high = (ordered[min(int(n * at), n - 1)] for at in (p - wide, p + wide))
    if not 0 < low <= high < math.inf:
        raise InputError(
            f"the pilot has no finite values around p{100 * p:g}: too many turns failed"
        )
    over = (seen.values > ordered[math.ceil(n * p) - 1]).astype(np.float64)
    sizes = np.bincount(index, minlength=blocks)
    means = np.bincount(index, over, blocks) / sizes
    inside = float(((over - means[index]) ** 2).sum()) / (n - blocks)
    among = float((sizes * (means - over.mean()) ** 2).sum()) / (blocks - 1)
    typical = (n - float((sizes**2).sum()) / n) / (blocks - 1)
    between = max(0.0, (among - inside) / typical)
    return Pilot(p, between, inside, (math.log(high) - math.log(low)) / (2 * wide))


def plan(
    told: Pilot, half_width: float, turns_per_call: float, calls_per_block: int, price: float = 0.0
) -> Plan:
    """The fewest blocks of *calls_per_block* calls for *half_width* (0.1: +-10 %).

    Never fewer than an honest interval needs; *price* is that of a call. `InputError` if no number
    of blocks that anybody would run is enough.
    """
    if not 0 < half_width < 1 or turns_per_call <= 0 or calls_per_block < 1:
        raise InputError(f"a half width of {half_width:g}: give one between 0 and 1, and calls")
    turns = turns_per_call * calls_per_block
    blocks = max(BLOCKS_HONEST, math.ceil(needed(told.p) / turns))
    while told.half_width(blocks, turns) > half_width:
        blocks = math.ceil(blocks * 1.02)
        if blocks > BLOCKS_MAX:
            raise InputError(
                f"+-{half_width:.0%} at p{100 * told.p:g} takes more than {BLOCKS_MAX} blocks of "
                f"{calls_per_block} calls: ask for less, or for more calls in a block"
            )
    cost = blocks * calls_per_block * price
    return Plan(told.p, blocks, calls_per_block, told.half_width(blocks, turns), cost)
