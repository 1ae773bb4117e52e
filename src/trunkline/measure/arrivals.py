"""When calls come: an open loop, decided before the first call and not by how the last one went.

A `Load` is the expected number of calls over time. Intervals are drawn at rate 1, of a gamma law
with the coefficient of variation *cv* (1: exponential, which makes the arrivals Poisson; telephone
and model traces show 0.9 to 5), and mapped through it. So ramps, steps and busy hours are one.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.errors import InputError
from trunkline.measure.intervals import Floats

CALLS_MAX = 10_000_000
"""More would not fit into memory, and is a slip of the units."""


@dataclass(frozen=True, slots=True)
class Load:
    """*expected* calls until *at_s*, seconds from the start; both begin with 0 and never fall."""

    at_s: Floats
    expected: Floats

    @property
    def duration_s(self) -> float:
        """How long it lasts."""
        return float(self.at_s[-1])

    @property
    def calls(self) -> float:
        """Calls in all, on average."""
        return float(self.expected[-1])


def steps(levels: Sequence[tuple[float, float]]) -> Load:
    """Constant rates one after the other: (calls per second, seconds) each."""
    if not levels:
        raise InputError("a load without a level: give at least one rate and its duration")
    for rate, lasts_s in levels:
        _check(rate >= 0 and lasts_s > 0, f"{rate:g} calls per second for {lasts_s:g} s")
    at_s = np.cumsum([0.0, *(lasts_s for _, lasts_s in levels)])
    expected = np.cumsum([0.0, *(rate * lasts_s for rate, lasts_s in levels)])
    return _made(at_s, expected)


def ramp(first: float, last: float, duration_s: float, points: int = 200) -> Load:
    """From *first* to *last* calls per second, evenly."""
    _check(min(first, last) >= 0 and duration_s > 0, f"a ramp {first:g} to {last:g}")
    at_s = np.linspace(0, duration_s, points)
    return _made(at_s, first * at_s + (last - first) * at_s**2 / (2 * duration_s))


def profile(shares: Sequence[float], calls: float, duration_s: float) -> Load:
    """*calls* in all, spread like *shares* of equal length: 24 of a day, 168 of a week."""
    _check(bool(shares) and min(shares, default=0) >= 0 and sum(shares) > 0, "a profile's shares")
    each_s, of = duration_s / len(shares), sum(shares)
    return steps([(calls * share / of / each_s, each_s) for share in shares])


def drawn(load: Load, rng: np.random.Generator, cv: float = 1.0) -> Floats:
    """The seconds at which calls come, in order; *cv*: of the intervals, 0 for a metronome."""
    _check(0 <= cv <= 20, f"a coefficient of variation of {cv:g} (0 to 20)")
    if load.calls == 0:
        return np.empty(0)
    mean = max(load.calls, 1.0)
    room = math.ceil(mean + 8 * max(cv, 1) * math.sqrt(mean) + 10 * (1 + cv**2))
    # In a renewal process the first interval is what is left of one: else blocks would begin alike.
    at = np.cumsum(_intervals(rng, cv, room))
    at -= at[0] * rng.random()
    while at[-1] < load.calls:  # a very uneven draw
        at = np.concatenate([at, at[-1] + np.cumsum(_intervals(rng, cv, room))])
    inside = at[(at >= 0) & (at < load.calls)]
    return np.asarray(np.interp(inside, load.expected, load.at_s), np.float64)


def traced(at_s: Sequence[float], faster: float = 1.0) -> Floats:
    """The arrivals of a trace, from its first on, *faster* times as fast."""
    _check(faster > 0, f"a trace {faster:g} times as fast")
    times = np.sort(np.asarray(at_s, np.float64))
    _check(bool(times.size) and bool(np.isfinite(times).all()), "a trace without arrivals")
    moved: Floats = (times - times[0]) / faster
    return moved


def _intervals(rng: np.random.Generator, cv: float, count: int) -> Floats:
    if cv == 0:
        return np.ones(count)
    return rng.gamma(1 / cv**2, cv**2, count)


def _made(at_s: Floats, expected: Floats) -> Load:
    _check(float(expected[-1]) <= CALLS_MAX, f"{expected[-1]:g} calls, at most {CALLS_MAX}")
    return Load(at_s, expected)


def _check(good: bool, what: str) -> None:
    if not good:
        raise InputError(f"{what}: this is no load. Give rates of 0 or more, durations above 0")
