"""Has a provider changed? Two cumulative sums (Page, 1954) over the turns, as they come.

One watches where the bulk lies (logarithms, in standard deviations of the baseline), one how many
turns lie above its 95th percentile: a few very late turns move the second long before the first.
The thresholds are set for one false alarm in 20,000 healthy turns, both together
(docs/measuring.md has what was measured).
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trunkline.errors import InputError
from trunkline.measure.intervals import Floats

BASELINE_MIN = 200
"""Turns of a baseline: its 95th percentile needs some above it."""
DRIFT = 0.25
"""Half of the shift that is looked for, in standard deviations of the logarithm."""
BULK_AT = 15.5
TAIL_AT = 6.8
CLIP = 3.0
"""One turn counts at most so many standard deviations: one alone is no change."""
HEALTHY, SICK = 0.05, 0.125
"""The shares of turns above the threshold that are told apart."""
_OVER, _UNDER = math.log(SICK / HEALTHY), math.log((1 - SICK) / (1 - HEALTHY))


@dataclass(frozen=True, slots=True)
class Baseline:
    """What is normal, in logarithms: the *centre*, the *scale*, and the 95th percentile *late*."""

    centre: float
    scale: float
    late: float

    @classmethod
    def of(cls, values: Floats) -> "Baseline":
        """From healthy turns, by percentiles, so that a few that failed (`inf`) do no harm."""
        if values.size < BASELINE_MIN or (values <= 0).any():
            raise InputError(
                f"a baseline of {values.size} turns: give at least {BASELINE_MIN}, all above 0"
            )
        ordered = np.sort(values)
        low, middle, high, late = (
            float(ordered[int(values.size * p)]) for p in (0.16, 0.5, 0.84, 0.95)
        )
        if not math.isfinite(late):
            raise InputError("more than 5 % of the baseline's turns failed: it is not healthy")
        scale = max((math.log(high) - math.log(low)) / 2, 1e-3)  # a constant has none
        return cls(math.log(middle), scale, math.log(late))


@dataclass(frozen=True, slots=True)
class Alarm:
    """A change: *what* of the turns became worse, and since how many turns, by the sum's own start.

    *ago*: turns since the sum last was zero.
    """

    what: Literal["bulk", "tail"]
    ago: int


class Watch:
    """Feeds on one value a turn; after an alarm it begins anew."""

    def __init__(self, baseline: Baseline) -> None:
        self._baseline = baseline
        self._bulk = self._tail = 0.0
        self._bulk_for = self._tail_for = 0

    def feed(self, value: float) -> Alarm | None:
        """Take one turn (`inf`: failed); the alarm that it completes."""
        base = self._baseline
        logarithm = math.log(value) if value > 0 else -math.inf
        z = min(max((logarithm - base.centre) / base.scale, -CLIP), CLIP)
        self._bulk = max(0.0, self._bulk + z - DRIFT)
        self._tail = max(0.0, self._tail + (_OVER if logarithm > base.late else _UNDER))
        self._bulk_for = self._bulk_for + 1 if self._bulk else 0
        self._tail_for = self._tail_for + 1 if self._tail else 0
        alarm: Alarm | None = None
        if self._bulk >= BULK_AT:
            alarm = Alarm("bulk", self._bulk_for)
        elif self._tail >= TAIL_AT:
            alarm = Alarm("tail", self._tail_for)
        if alarm is not None:
            self._bulk = self._tail = 0.0
            self._bulk_for = self._tail_for = 0
        return alarm
