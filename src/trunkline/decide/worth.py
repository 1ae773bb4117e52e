"""What would change the answer: break-even volumes, a tornado, and what knowing more is worth."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.decide.costs import VOLUME, Cost, Topology, cost, load
from trunkline.decide.figures import Array, Catalogue, Draws, Figure
from trunkline.decide.needs import Needs
from trunkline.decide.offers import Offer

BINS = 20
WORLDS = 300
"""For curves over the volume: their 10 % and 90 % bands are steady to a few percent."""


@dataclass(frozen=True)
class Setting:
    """What a cost is computed from, but for the worlds."""

    needs: Needs
    catalogue: Catalogue
    given: Mapping[str, Figure]
    bridge: Mapping[str, Offer]
    seed: int


@dataclass(frozen=True)
class Curve:
    """Dollars a minute over *minutes* a month; rows of *bands*: p10, p50, p90."""

    topology: Topology
    minutes: Array
    bands: Array


@dataclass(frozen=True)
class BreakEven:
    """From how many minutes a month *topology* costs less: p10, p50, p90 (inf: never below the
    greatest volume), and the share of worlds in which it never does."""

    topology: Topology
    minutes: tuple[float, float, float]
    never: float


@dataclass(frozen=True)
class Bar:
    """How a figure moves the difference: dollars a minute with it at its p10 and its p90."""

    figure: str
    low_usd: float
    high_usd: float

    @property
    def width(self) -> float:
        """How much it matters."""
        return abs(self.high_usd - self.low_usd)


@dataclass(frozen=True)
class Worth:
    """Dollars over the horizon that knowing *figure* would save, on average."""

    figure: str
    usd: float


def volumes(needs: Needs) -> Array:
    """Minutes a month from a hundredth of the forecast, 1,000 at least, to a hundred times it."""
    forecast = needs.traffic.minutes_per_month
    return np.geomspace(max(forecast / 100, 1_000), min(max(forecast * 100, 3e7), 1e8), 21)


def curves(
    of: Setting, topologies: Sequence[Topology]
) -> tuple[Sequence[Curve], Sequence[BreakEven]]:
    """Costs over the volume, and where each of *topologies* crosses the first of them."""
    minutes = volumes(of.needs)
    per = np.empty((len(topologies), minutes.size, WORLDS))
    for at, volume in enumerate(minutes):
        fixed = Figure(VOLUME, volume, volume, volume, "minutes a month", "the axis", None, True)
        draws = Draws(of.catalogue, of.seed, WORLDS, {**of.given, VOLUME: fixed})
        busy = load(of.needs, draws)
        for row, it in enumerate(topologies):
            per[row, at] = cost(of.needs, draws, busy, it, of.bridge).per_minute_usd
    bands = np.quantile(per, (0.1, 0.5, 0.9), axis=2)
    drawn = [Curve(it, minutes, bands[:, row]) for row, it in enumerate(topologies)]
    return drawn, [
        _break_even(it, minutes, per[row] - per[0]) for row, it in enumerate(topologies) if row
    ]


def _break_even(topology: Topology, minutes: Array, dearer: Array) -> BreakEven:
    """*dearer*: shape (volumes, worlds), what it costs more. Beyond its last crossing it pays."""
    crossed = np.full(dearer.shape[1], np.inf)
    logs = np.log(minutes)
    for world in range(dearer.shape[1]):
        above = np.flatnonzero(dearer[:, world] > 0)
        last = int(above[-1]) if above.size else -1
        if last == -1:
            crossed[world] = minutes[0]
        elif last + 1 < minutes.size:
            a, b = dearer[last, world], dearer[last + 1, world]
            crossed[world] = np.exp(logs[last] + (logs[last + 1] - logs[last]) * a / (a - b))
    low, mid, high = np.quantile(crossed, (0.1, 0.5, 0.9), method="inverted_cdf")
    return BreakEven(
        topology, (float(low), float(mid), float(high)), float(np.mean(~np.isfinite(crossed)))
    )


def tornado(of: Setting, base: Topology, other: Topology, names: Sequence[str]) -> Sequence[Bar]:
    """*other* less *base*, each figure at its p10 and p90 while all others are at their median."""
    count = 2 * len(names)
    pins = {name: np.full(count, 0.5) for name in names}
    for at, name in enumerate(names):
        pins[name][2 * at : 2 * at + 2] = 0.1, 0.9
    draws = Draws(of.catalogue, of.seed, count, of.given, pins)
    busy = load(of.needs, draws)
    a, b = (cost(of.needs, draws, busy, it, of.bridge).per_minute_usd for it in (base, other))
    ends = (b - a).reshape(-1, 2)
    bars = [Bar(name, float(lo), float(hi)) for name, (lo, hi) in zip(names, ends, strict=True)]
    return sorted((it for it in bars if it.width > 0), key=lambda it: -it.width)


def information(costs: Sequence[Cost], draws: Draws) -> tuple[float, Sequence[Worth]]:
    """Dollars that knowing everything, and each figure alone, would save over the horizon.

    EVPI = min over options of the mean cost - mean of the cheapest option; for one figure the
    worlds are cut into `BINS` by its value (Strong and Oakley 2013 discuss the small upward bias,
    which is estimated here by a figure that has nothing to do with the costs, and taken off).
    """
    totals = np.array([it.total_usd for it in costs])
    best = float(np.min(totals.mean(axis=1)))
    everything = best - float(np.mean(np.min(totals, axis=0)))
    noise = _partial(totals, np.random.default_rng(0).random(draws.count), best)
    found = [
        Worth(name, max(_partial(totals, draws.used[name], best) - noise, 0.0))
        for name in draws.unknowns()
    ]
    return everything, sorted((it for it in found if it.usd > 0), key=lambda it: -it.usd)


def _partial(totals: Array, values: Array, best: float) -> float:
    order = np.argsort(values, kind="stable")
    chosen = sum(
        float(np.min(totals[:, part].mean(axis=1))) * part.size
        for part in np.array_split(order, BINS)
    )
    return best - chosen / values.size
