"""Do the intervals of `trunkline.measure` cover what they say? Simulated campaigns, as a table.

    python scripts/coverage.py --campaigns 2000

Each world makes turns whose true percentiles are known (computed, or from 20 million turns). The
same figures come out for the same seed. The tables of docs/measuring.md are this script's.
"""

import argparse
import math
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from trunkline.measure.detect import Baseline, Watch
from trunkline.measure.intervals import Floats, Observed, estimate
from trunkline.measure.laws import t_quantile
from trunkline.measure.paired import compare
from trunkline.measure.plan import pilot

PERCENTILES = (0.5, 0.95, 0.99)
SIGMA = 0.5


@dataclass(frozen=True, slots=True)
class Shape:
    """A campaign's size: *blocks* of time, *calls* in each, *turns* of a call."""

    blocks: int
    calls: int
    turns: int

    @property
    def index(self) -> np.ndarray:
        """The block of each turn."""
        return np.repeat(np.arange(self.blocks), self.calls * self.turns)


World = Callable[[np.random.Generator, Shape], Floats]
"""Turns, in the order block, call, turn."""


def alike(share: float) -> World:
    """*share* of the variance is the call's (intraclass correlation)."""

    def draw(rng: np.random.Generator, of: Shape) -> Floats:
        calls = rng.normal(0, SIGMA * math.sqrt(share), of.blocks * of.calls)
        rest = SIGMA * math.sqrt(1 - share)
        return np.exp(np.repeat(calls, of.turns) + rng.normal(0, rest, len(of.index)))

    return draw


def slow_path(rng: np.random.Generator, of: Shape) -> Floats:
    """6 % of the calls take a path that is four times as slow."""
    calls = rng.random(of.blocks * of.calls) < 0.06
    return alike(0.0)(rng, of) * np.where(np.repeat(calls, of.turns), 4.0, 1.0)


def spikes(rng: np.random.Generator, of: Shape) -> Floats:
    """2 % of the turns take 3 s longer, whenever."""
    values = alike(0.0)(rng, of)
    return values + np.where(rng.random(values.size) < 0.02, 3.0 * rng.random(values.size), 0.0)


def hours(rng: np.random.Generator, of: Shape) -> Floats:
    """Each block of time has a level of its own, 0.2 in the logarithm."""
    return alike(0.1)(rng, of) * np.exp(rng.normal(0, 0.2, of.blocks))[of.index]


def weather(rng: np.random.Generator, of: Shape) -> Floats:
    """The same, and each block's level follows that of the one before (AR(1), 0.5)."""
    level = np.empty(of.blocks)
    level[0] = rng.normal(0, 0.2)
    shocks = rng.normal(0, 0.2 * math.sqrt(1 - 0.25), of.blocks)
    for at in range(1, of.blocks):
        level[at] = 0.5 * level[at - 1] + shocks[at]
    return alike(0.1)(rng, of) * np.exp(level)[of.index]


WORLDS: Mapping[str, World] = {
    "independent turns": alike(0.0),
    "calls alike, 0.1": alike(0.1),
    "calls alike, 0.3": alike(0.3),
    "6 % of calls slow": slow_path,
    "2 % of turns late": spikes,
    "hours differ": hours,
    "hours like their neighbours": weather,
}


def truths(world: World) -> Floats:
    """The percentiles of all campaigns together."""
    rng = np.random.default_rng(99)
    # Many independent short campaigns: few blocks each, so that the blocks' own levels average out.
    parts = [world(rng, Shape(100_000, 2, 10)) for _ in range(10)]
    return np.quantile(np.concatenate(parts), PERCENTILES)


def coverage(name: str, campaigns: int, of: Shape, seed: int) -> str:
    """A row: how often the interval holds the truth, and its half width; and with other units."""
    world, true = WORLDS[name], truths(WORLDS[name])
    index, plain = of.index, np.arange(of.blocks * of.calls * of.turns)
    held, naive, width = np.zeros(3), np.zeros(3), np.zeros(3)
    rng = np.random.default_rng(seed)
    for _ in range(campaigns):
        values = world(rng, of)
        for at, p in enumerate(PERCENTILES):
            found = estimate(Observed(values, index), p)
            if found.value is None or found.low is None or found.high is None:
                continue  # counts as not held
            held[at] += found.low <= true[at] <= found.high
            width[at] += (found.high - found.low) / 2 / found.value
        ordered = np.sort(values)
        for at, p in enumerate(PERCENTILES):  # order statistics of independent turns (normal limit)
            off = t_quantile(0.975, 1e6) * math.sqrt(plain.size * p * (1 - p))
            low, high = (
                ordered[min(int(plain.size * p + it), plain.size - 1)] for it in (-off, off)
            )
            naive[at] += low <= true[at] <= high
    cells = " | ".join(
        f"{h / campaigns:.1%} ({n / campaigns:.1%}) | {w / campaigns:.1%}"
        for h, n, w in zip(held, naive, width, strict=True)
    )
    return f"| {name} | {cells} |"


def paired_rows(campaigns: int, seed: int) -> list[str]:
    """False positives and power of the comparison of two subjects at p95, 56 blocks of 40 turns."""
    of, rows = Shape(56, 4, 10), []
    for name in ("independent turns", "calls alike, 0.1", "calls alike, 0.3", "hours differ"):
        world, rng = WORLDS[name], np.random.default_rng(seed)
        hits = {1.0: 0, 1.1: 0}
        for slower in hits:
            for _ in range(campaigns):
                # What the hour does, it does to both: the block's level is shared.
                level = (
                    np.exp(rng.normal(0, 0.2, of.blocks))[of.index] if name == "hours differ" else 1
                )
                base = WORLDS["calls alike, 0.1"] if name == "hours differ" else world
                a, b = base(rng, of) * level, base(rng, of) * level * slower
                found = compare(Observed(a, of.index), Observed(b, of.index), 0.95, paired=True)
                hits[slower] += found.p_value is not None and found.p_value < 0.05
        rows.append(f"| {name} | {hits[1.0] / campaigns:.1%} | {hits[1.1] / campaigns:.1%} |")
    return rows


def detection_rows(runs: int, seed: int) -> list[str]:
    """Healthy turns for each false alarm, and turns until a change is told."""
    rng = np.random.default_rng(seed)
    alarms = healthy = 0
    for _ in range(max(runs // 40, 1)):
        watch = Watch(Baseline.of(rng.lognormal(0, SIGMA, 5_000)))
        for value in rng.lognormal(0, SIGMA, 20_000):
            alarms += watch.feed(value) is not None
        healthy += 20_000
    delays: dict[str, list[int]] = {"all turns x 1.3": [], "8 % of turns x 4": []}
    for _ in range(runs):
        baseline = Baseline.of(rng.lognormal(0, SIGMA, 5_000))
        for name, found in delays.items():
            watch = Watch(baseline)
            for value in rng.lognormal(0, SIGMA, 300):
                watch.feed(value)
            for turn in range(1, 5_000):
                value = rng.lognormal(0, SIGMA)
                value *= 1.3 if "1.3" in name else 4.0 if rng.random() < 0.08 else 1.0
                if watch.feed(value) is not None:
                    found.append(turn)
                    break
    rows = [f"| healthy | {alarms} false alarms in {healthy:,} turns |"]
    for name, found in delays.items():
        p95 = np.quantile(found, 0.95)
        rows.append(f"| {name} | after {np.median(found):.0f} turns (median), {p95:.0f} (p95) |")
    return rows


def planner_rows(runs: int, seed: int) -> list[str]:
    """The half width that a pilot of 200 calls foretells, over the one that comes about."""
    small, large, rows = Shape(50, 4, 10), Shape(168, 4, 10), []
    for name in ("independent turns", "calls alike, 0.3", "hours differ"):
        rng, world = np.random.default_rng(seed), WORLDS[name]
        for p in (0.95, 0.99):
            told = [
                pilot(Observed(world(rng, small), small.index), p).half_width(168, 40)
                for _ in range(runs)
            ]
            came = []
            for _ in range(runs):
                found = estimate(Observed(world(rng, large), large.index), p)
                if found.value and found.low is not None and found.high is not None:
                    came.append((found.high - found.low) / 2 / found.value)
            off = np.array(told) / np.mean(came) - 1
            near = float(np.mean(np.abs(off) <= 0.2))
            rows.append(
                f"| {name}, p{100 * p:g} | {np.mean(came):.1%} | {np.mean(told):.1%} | {near:.0%} |"
            )
    return rows


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--campaigns", type=int, default=2_000)
    parser.add_argument("--blocks", type=int, default=168)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", choices=("coverage", "paired", "detection", "plan"))
    given = parser.parse_args()

    def tell(line: str) -> None:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()

    if given.only in {None, "coverage"}:
        tell("| world | p50 | +- | p95 | +- | p99 | +- |\n|---|---|---|---|---|---|---|")
        for name in WORLDS:
            tell(coverage(name, given.campaigns, Shape(given.blocks, 4, 10), given.seed))
    if given.only in {None, "paired"}:
        tell(
            "\n| world | called different, are not | called different, 10 % apart |\n|---|---|---|"
        )
        for row in paired_rows(given.campaigns, given.seed):
            tell(row)
    if given.only in {None, "detection"}:
        tell("\n| turns | told |\n|---|---|")
        for row in detection_rows(given.campaigns, given.seed):
            tell(row)
    if given.only in {None, "plan"}:
        tell("\n| world | half width | foretold | foretold within 20 % of it |\n|---|---|---|---|")
        for row in planner_rows(max(given.campaigns // 4, 10), given.seed):
            tell(row)


if __name__ == "__main__":
    main()
