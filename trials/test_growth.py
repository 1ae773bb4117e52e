"""Nothing grows: fifty calls at once, for as long as one likes, with models that keep failing.

`TRUNKLINE_SOAK_S` says how many seconds (default: an hour). What is sampled, and how growth is told
from noise, stands in trials/README.md.
"""

import asyncio
import os
from pathlib import Path
from typing import Final

import pytest
import uvloop

from trials.growth import GROWTH_MAX, Growth, judged, table
from trials.growth_rig import Soak, soaking

CALLS: Final = 50
SOAK_S: Final = float(os.environ.get("TRUNKLINE_SOAK_S", "3600"))
WARM_UP_S: Final = max(30.0, SOAK_S / 10)
LONG_S: Final = 1_800.0
"""From here on the estimate itself has to keep within the bound, not only its interval."""
LEAK_S: Final = 60.0
LEAK_WARM_UP_S: Final = 20.0
QUICK_CALLS: Final = 15
QUICK_S: Final = 12.0
QUICK_SETTLE_S: Final = 6.0
LEFT_MAX: Final = 12
"""Connections to models that wait for their next request, and engines that were started."""


async def soak(folder: Path, seconds: float, *options: str, seed: int = 1) -> Soak:
    async with soaking(folder, seed, *options) as run:
        await run.run(CALLS, seconds)
    return run


def report(run: Soak, warm_up_s: float) -> dict[str, Growth]:
    """Print and return what grew."""
    samples = run.samples()
    found = judged([it for it in samples if it["mono"] <= run.ended], warm_up_s)
    last = samples[-1]
    print(f"\ncalls {dict(run.placed)}, closed {last['closed']:g}, read {run.verified} journals")
    print(f"faults set {dict(run.faults)}\n{table(found)}")
    return {growth.name: growth for growth in found}


def check_left_behind(run: Soak) -> None:
    """No call is lost, none is unsealed, and the log has no surprises."""
    placed, last = run.placed.total(), run.samples()[-1]
    assert placed - last["closed"] <= 2 * CALLS, "calls that ended were not closed"
    assert list((run.folder / "records" / "wal").rglob("*.tlw")) == [], "calls were left unsealed"
    assert "Traceback" not in run.log()


def test_nothing_grows_under_calls_and_faults(tmp_path: Path) -> None:
    """Memory, tasks, sockets, threads, files and processes stay what they were."""
    run = uvloop.run(soak(tmp_path, SOAK_S))
    found = report(run, WARM_UP_S)
    assert not [growth for growth in found.values() if growth.grows]
    if SOAK_S >= LONG_S:
        assert not [growth for growth in found.values() if growth.share > GROWTH_MAX]
    assert run.verified > 0
    check_left_behind(run)


async def quick(folder: Path, *options: str) -> dict[str, tuple[float, float]]:
    """What a worker held before it had calls, and holds when they are gone."""
    async with soaking(folder, 1, *options) as run:
        await asyncio.sleep(1.5)
        before = run.samples()[-1]
        await run.run(QUICK_CALLS, QUICK_S)
        run.hang_up()
        await asyncio.sleep(QUICK_SETTLE_S)
        after = run.samples()[-1]
    assert after["calls"] == 0, "a call outlived its line"
    assert after["closed"] > QUICK_CALLS, "calls came and went"
    assert "Traceback" not in run.log()
    return {name: (before[name], after[name]) for name in before}


@pytest.mark.ci
def test_calls_that_are_over_leave_nothing_behind(tmp_path: Path) -> None:
    """Two workers side by side, one of which leaks: the same look finds that, and only that."""

    async def main() -> list[dict[str, tuple[float, float]]]:
        async with asyncio.TaskGroup() as group:
            sound = group.create_task(quick(tmp_path / "sound"))
            leaky = group.create_task(quick(tmp_path / "leaky", "--leak", "socket"))
        return [sound.result(), leaky.result()]

    sound, leaky = uvloop.run(main())
    print(f"\n{sound}\n{leaky}")
    for name in ("tasks", "fds", "sockets"):
        assert sound[name][1] <= sound[name][0] + LEFT_MAX, name
    assert leaky["sockets"][1] > leaky["sockets"][0] + LEFT_MAX


@pytest.mark.parametrize(
    ("leak", "column", "least"),
    [
        ("memory", "rss_kb", 0.25),
        ("socket", "sockets/call", GROWTH_MAX),
        ("task", "tasks/call", GROWTH_MAX),
    ],
)
def test_a_planted_leak_is_found(tmp_path: Path, leak: str, column: str, least: float) -> None:
    """A stage that keeps something of each utterance is found by the same check, in a minute.

    *least*: a worker that leaks nothing warms up in its first minute, by a tenth of its memory.
    """
    run = asyncio.run(soak(tmp_path, LEAK_S, "--leak", leak))
    assert report(run, LEAK_WARM_UP_S)[column].low > least
