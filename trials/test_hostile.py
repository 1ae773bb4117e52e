"""Hostile and broken peers on every socket: what they are told, and what the others notice of it.

Every attack is drawn from a seed (`TRUNKLINE_FUZZ_SEED`, default: of the day); a failure prints it.
"""

import asyncio
import os
import time
from pathlib import Path
from typing import Final

import numpy as np
import pytest

from trials.hostile_rig import (
    BYSTANDERS,
    SETTLE_S,
    Siege,
    besieged,
    compared,
    ill_treated,
    unread,
)
from trunkline.records.store import Store

SEED: Final = int(os.environ.get("TRUNKLINE_FUZZ_SEED", str(int(time.time() // 86_400))))
MORE_MS_MAX: Final = 5.0
"""A quarter of a frame: what bystanders may notice at the 99th percentile, beyond the noise."""
STARVED_MAX: Final = 0.05
"""Beyond it lags are the machine's, and the trial ends as skipped: it has not shown all that it is
to show. What the worker itself did to be late is judged up to `LOST_MAX`."""
LOST_MAX: Final = 0.5
"""A worker that gets half of its core or less always has something to catch up on."""
GROWN_KB_MAX: Final = 20_000
"""Arenas that the first thousand calls make the allocator keep; the soak tells a leak from that."""


async def siege(folder: Path, seed: int, pairs: int, seconds: float, drops: int) -> Siege:
    async with besieged(folder, seed) as run:
        await run.windows(pairs, seconds)
        await run.attack(drops, "dropped", first=10_000_000)
        await asyncio.sleep(SETTLE_S)
        await run.finish()
    return run


def check(run: Siege, drops: int) -> None:
    """The oracle; see trials/README.md."""
    lags, starved = run.lags_ms(), run.starved_share()
    lag = compared("bystanders' lag", lags)
    own = compared("lateness of ticks by the worker's own work", run.own_late_ms())
    print(f"\nseed {run.seed}: {len(run.fates)} attacks\n{run.outcomes()}")
    print(f"{lag}\n{own}\nthe worker was starved of its core for {starved:.1%} of the time")
    bad = {n: why for n, fate in run.fates.items() if (why := ill_treated(fate))}
    told = [f"seed {run.seed}, attack {n} ({run.fates[n].attack.what}): {bad[n]}" for n in bad]
    assert not told, "\n".join(told)
    assert "Traceback" not in run.log(), f"seed {run.seed}: see {run.folder / 'worker.log'}"
    assert all(np.isfinite(some).all() for _, some in lags), "a bystander lost a frame"
    assert starved > LOST_MAX or own.differs[1] < MORE_MS_MAX, str(own)
    check_left_behind(run)
    assert unread(run) == []
    sealed = len(Store(run.folder / "records").list_calls())
    assert sealed >= BYSTANDERS + drops / 4, "dropped calls have journals too"
    assert list((run.folder / "records" / "wal").rglob("*.tlw")) == [], "calls were left unsealed"
    if starved > STARVED_MAX:
        pytest.skip(
            f"others had the core for {starved:.0%} of the time; all else holds: {lag}; {own}"
        )
    assert lag.differs[1] < MORE_MS_MAX, str(lag)


def check_left_behind(run: Siege) -> None:
    """Once the enemies are gone the worker holds what it held before they came."""
    began = run.spans[0].begin
    before = [sample for sample in run.samples() if sample["mono"] < began + 1][-1]
    after = [sample for sample in run.samples() if sample["mono"] < run.settled][-1]
    assert after["calls"] == BYSTANDERS, "only the bystanders' calls are up"
    print({name: (before[name], after[name]) for name in before if name != "mono"})
    # A bystander's turn takes a few tasks, and the sampler may look in the middle of one.
    assert abs(after["tasks"] - before["tasks"]) <= 6 * BYSTANDERS
    assert after["sockets"] <= before["sockets"] + 3
    assert after["fds"] <= before["fds"] + 6
    assert after["rss_kb"] - before["rss_kb"] < GROWN_KB_MAX


@pytest.mark.ci
def test_bystanders_notice_nothing_of_a_short_siege(tmp_path: Path) -> None:
    """Every family of attacks beside twenty calls, for as long as a change can wait."""
    run = asyncio.run(siege(tmp_path, SEED, pairs=3, seconds=3.0, drops=150))
    check(run, drops=150)


def test_bystanders_notice_nothing_of_a_long_siege(tmp_path: Path) -> None:
    """The same for two minutes, and a thousand calls that are dropped at any moment."""
    run = asyncio.run(siege(tmp_path, SEED + 1, pairs=12, seconds=5.0, drops=1_000))
    check(run, drops=1_000)
