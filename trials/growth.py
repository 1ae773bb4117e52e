"""Does a quantity grow? A robust slope with its confidence interval.

Samples come once a second from a worker whose calls come and go, so each is noisy and depends on
those before it. They are cut into ten blocks in time; what is judged is the medians of the blocks:
Theil-Sen's slope, the median of all pairwise slopes, with the interval that inverts Kendall's test
(Sen 1968, J. Am. Stat. Assoc. 63, 1379). It needs no distribution, and three bad blocks of ten do
not move it.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from statistics import median
from typing import Final

BLOCKS: Final = 10
GROWTH_MAX: Final = 0.02
"""What counts as growth, as a share of what there was at the end of the warm-up."""
PER_CALL: Final = ("tasks", "fds", "sockets")
_Z: Final = 1.96


@dataclass(frozen=True, slots=True)
class Growth:
    """From the first block to the last, as a share of the first; *low* to *high*: 95 %."""

    name: str
    first: float
    last: float
    share: float
    low: float
    high: float

    @property
    def grows(self) -> bool:
        """Whether it surely grows by more than is allowed."""
        return self.low > GROWTH_MAX


def growth(name: str, values: Sequence[float]) -> Growth:
    """How *values*, in order of time, grow; at least `BLOCKS` of them."""
    if len(values) < BLOCKS:
        raise ValueError(f"{name}: {len(values)} samples are too few to judge, need {BLOCKS}")
    edges = [round(number * len(values) / BLOCKS) for number in range(BLOCKS + 1)]
    blocks = [median(values[a:b]) for a, b in pairwise(edges)]
    slopes = sorted((blocks[b] - blocks[a]) / (b - a) for a, b in combinations(range(BLOCKS), 2))
    sigma = math.sqrt(BLOCKS * (BLOCKS - 1) * (2 * BLOCKS + 5) / 18)
    outside = int((len(slopes) - _Z * sigma) / 2)
    # A count that is near nothing has no share: then it is measured against one.
    base = max(blocks[0], 1.0) / (BLOCKS - 1)
    return Growth(
        name,
        blocks[0],
        blocks[-1],
        median(slopes) / base,
        slopes[outside] / base,
        slopes[-1 - outside] / base,
    )


def table(found: Sequence[Growth]) -> str:
    """For a person."""
    head = f"{'':18}{'first tenth':>12}{'last tenth':>12}{'growth':>9}   95 % interval"
    rows = [
        f"{g.name:18}{g.first:12.1f}{g.last:12.1f}{g.share:+9.2%}   {g.low:+.2%} .. {g.high:+.2%}"
        + ("   GROWS" if g.grows else "")
        for g in found
    ]
    return "\n".join([head, *rows])


def judged(samples: Sequence[Mapping[str, float]], warm_up_s: float) -> list[Growth]:
    """The growth of every column but the clock's and the counters', after the warm-up.

    What each call holds is counted by call: on a machine that grows busier the worker hears later
    of those that were hung up, so more of them are up.
    """
    start = samples[0]["mono"] + warm_up_s
    kept = [sample for sample in samples if sample["mono"] >= start]
    names = [name for name in samples[0] if name not in ("mono", "closed", "calls", "starved_s")]
    found = []
    for name in names:
        if name in PER_CALL:
            shares = [sample[name] / max(sample["calls"], 1) for sample in kept]
            found.append(growth(f"{name}/call", shares))
        else:
            found.append(growth(name, [sample[name] for sample in kept]))
    return found
