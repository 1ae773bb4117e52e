"""All random numbers of one worker's calls, drawn at once and keyed by turn, endpoint and attempt.

Because they are keyed, two policies that ask the same endpoint in the same turn get the same
answer at the same speed: they are compared on the same weather, and the clairvoyant can look at
what nobody asked for.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.testing.laws import LAWS, TROUBLES, Law, Troubles
from trunkline.testing.simulation.worlds import EndpointWorld, MeasuredConfig, WeatherConfig, World

Floats = NDArray[np.float64]
ATTEMPTS = 3
"""Draws per endpoint and turn; a fourth attempt on one endpoint gets the first one again."""
TOKENS_PER_WORD = 1.35
"""Of English in current tokenisers: our estimate of November 2026."""
SAMPLES_MAX = 1_000_000


class Trouble(IntEnum):
    """What befalls a request: the shares of `Troubles`, in its order."""

    ERROR = 0
    HANG = 1
    HICCUP = 2
    STALL = 3
    CUT = 4
    DRIP = 5
    NONE = 6


@dataclass(slots=True)
class Drawn:
    """The requests of one endpoint in one weather, as lists: they are read one by one.

    Seconds to the first word, seconds between words, the trouble, how much of it (seconds of a
    pause or between dripped words) and at which share of the answer.
    """

    first_s: list[float]
    gap_s: list[float]
    trouble: list[int]
    amount_s: list[float]
    place: list[float]
    error_after_s: float


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which one endpoint has one law and one kind of troubles."""

    from_s: float
    to_s: float
    drawn: Drawn


class Draws:
    """The draws of *turns* turns in *world*: `of(endpoint, turn, attempt, at)` finds one."""

    def __init__(self, world: World, turns: int, rng: np.random.Generator) -> None:
        self._base: list[Drawn] = []
        self._spells: list[tuple[Spell, ...]] = []
        for name, endpoint in world.endpoints.items():
            dice = _Dice(turns * ATTEMPTS, rng)
            base = first_law(name, endpoint)
            self._base.append(dice.cast(base, TROUBLES[endpoint.troubles], endpoint.stretch))
            spells = []
            for weather in world.weather:
                if weather.strikes(name, endpoint):
                    law, troubles = _in(weather, endpoint, base)
                    drawn = dice.cast(law, troubles, endpoint.stretch)
                    spells.append(Spell(weather.from_s, weather.to_s, drawn))
            self._spells.append(tuple(spells))

    def of(self, endpoint: int, at: float) -> Drawn:
        """What requests to *endpoint* meet that are sent *at* that second."""
        for spell in self._spells[endpoint]:
            if spell.from_s <= at < spell.to_s:
                return spell.drawn
        return self._base[endpoint]


def _in(
    weather: WeatherConfig, endpoint: EndpointWorld, base: "Law | Measured"
) -> tuple["Law | Measured", Troubles]:
    law = base if weather.law is None else LAWS[weather.law]
    return law, TROUBLES[endpoint.troubles if weather.troubles is None else weather.troubles]


@dataclass(frozen=True, slots=True)
class Measured:
    """A law made of measurements: log-linear between the points, a Pareto tail beyond the last."""

    shares: Floats
    log_s: Floats
    gap_s: float
    speed_sigma: float = 0.3
    tail_shape: float = 1.5

    def seconds(self, u: Floats) -> Floats:
        """The quantiles at the shares *u*."""
        inside = np.exp(np.interp(u, self.shares, self.log_s))
        last, top = float(self.shares[-1]), math.exp(self.log_s[-1])
        beyond = top * ((1.0 - np.minimum(u, 1 - 1e-9)) / (1.0 - last)) ** (-1.0 / self.tail_shape)
        return np.where(u > last, beyond, inside)


def first_law(name: str, endpoint: EndpointWorld) -> Law | Measured:
    """The law of a good day of the endpoint called *name*; `InputError` if its file is wrong."""
    if endpoint.measured is None:
        assert endpoint.law is not None  # noqa: S101  # parse_world saw to it
        return LAWS[endpoint.law]
    found = endpoint.measured
    points = _samples(name, found) if found.file is not None else _quantiles(name, found)
    shares, seconds = zip(*sorted(points.items()), strict=True)
    return Measured(np.array(shares), np.log(np.array(seconds)), 1.0 / found.tokens_per_s)


def _quantiles(name: str, found: MeasuredConfig) -> Mapping[float, float]:
    points = {float(key[1:]) / 100: seconds for key, seconds in found.quantiles_s.items()}
    ordered = [points[share] for share in sorted(points)]
    if len(points) < 2 or ordered != sorted(ordered) or not 0 < min(points) < max(points) < 1:
        raise InputError(
            f"endpoints.{name}.measured.quantiles_s: give at least two percentiles between p0 and "
            "p100 that rise, such as {p50: 0.5, p95: 0.9, p99: 2.4}"
        )
    # below the lowest point: the mirror image of the next one above, as a log-normal body has it
    (low, at_low), (high, at_high) = sorted(points.items())[:2]
    below = at_low * (at_low / at_high) ** min(1.0, low / max(high - low, 1e-3))
    return {0.001: below, **points}


def _samples(name: str, found: MeasuredConfig) -> Mapping[float, float]:
    path = Path(str(found.file))
    where = f"endpoints.{name}.measured.file {path}"
    try:
        lines = path.read_text(encoding="utf-8").split()
        values = [float(line) for line in lines[: SAMPLES_MAX + 1]]
    except (OSError, ValueError) as error:
        raise InputError(f"{where}: {error}. Write one time to first token a line") from error
    scale = 1_000.0 if found.unit == "ms" else 1.0
    if not 20 <= len(values) <= SAMPLES_MAX or not all(0 < v < math.inf for v in values):
        raise InputError(
            f"{where}: {len(values)} values; give 20 to {SAMPLES_MAX} times above 0. "
            "Fewer say nothing about a tail; leave failed requests out, they are `troubles`"
        )
    ordered = np.sort(np.array(values) / scale)
    places = (np.arange(len(ordered)) + 0.5) / len(ordered)
    return dict(zip(places.tolist(), ordered.tolist(), strict=True))


class _Dice:
    """The lots of one endpoint: every law is cast from the same ones, so that weather alone
    differs between its spells."""

    def __init__(self, count: int, rng: np.random.Generator) -> None:
        self._late, self._stretch, self._trouble, self._amount, self._place, self._forever = (
            rng.random((6, count))
        )
        self._body, self._speed, self._pause = rng.standard_normal((3, count))

    def cast(self, law: Law | Measured, troubles: Troubles, stretch: float) -> Drawn:
        """These lots under *law* and *troubles*, all times *stretch* times as long."""
        gap_s = law.gap_s * TOKENS_PER_WORD * np.exp(law.speed_sigma * self._speed)
        if isinstance(law, Measured):
            first_s = law.seconds(self._late)
        else:
            first_s = law.ttft_median_s * np.exp(law.ttft_sigma * self._body)
            if law.tail is not None:
                tail_s = law.tail.scale_s * (1.0 - self._stretch) ** (-1.0 / law.tail.shape)
                first_s = np.where(self._late < law.tail.share, tail_s, first_s)
        kind, amount_s = self._troubles(troubles)
        return Drawn(
            (first_s * stretch).tolist(),
            (gap_s * stretch).tolist(),
            kind,
            (amount_s * stretch).tolist(),
            self._place.tolist(),
            troubles.error_after_s,
        )

    def _troubles(self, it: Troubles) -> tuple[list[int], Floats]:
        shares = (it.error, it.hang, it.hiccup, it.stall, it.cut, it.drip)
        kind = np.searchsorted(np.cumsum(shares), self._trouble, side="right")
        hiccup_s = it.hiccup_median_s * np.exp(it.hiccup_sigma * self._pause)
        stall_s = it.stall_scale_s * (1.0 - self._amount) ** (-1.0 / it.stall_shape)
        stall_s = np.where(self._forever < it.stall_for_good, math.inf, stall_s)
        drip_s = np.full_like(hiccup_s, TOKENS_PER_WORD / it.drip_tokens_per_s)
        choices: Sequence[Floats] = [hiccup_s, stall_s, drip_s]
        cases = [kind == Trouble.HICCUP, kind == Trouble.STALL, kind == Trouble.DRIP]
        return kind.tolist(), np.select(cases, choices, 0.0)
