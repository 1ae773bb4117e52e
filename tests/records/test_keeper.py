"""What a worker does for records each hour."""

import asyncio
from pathlib import Path

import pytest

from tests.records.scene import CALL, WALL
from tests.records.test_archive import _close, archive, lived, worker  # noqa: F401  # it closes
from tests.records.test_store import OTHER
from trunkline.records import life as lives
from trunkline.records.keeper import FIRST_S, REST_S, keep
from trunkline.records.lanes import InlineLane
from trunkline.records.retention import Retention
from trunkline.records.store import Store

DAY_S = 86_400.0


async def test_a_worker_expires_calls_pass_by_pass(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pass after pass while more is due, with rests; then it waits for the next time."""
    monkeypatch.setattr(lives.Life.expire, "__kwdefaults__", {"dry_run": False, "count": 1})
    async with worker(tmp_path) as records:
        for call in (CALL, OTHER):
            await records.journal(call).close("done")
    mine = archive(tmp_path)
    loop = asyncio.get_running_loop()
    began = loop.time()
    policy = Retention(everything_s=DAY_S)
    lane = InlineLane()
    store = Store(tmp_path, mine)
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(
            keep(store, policy, lane, lambda: WALL + DAY_S - 300 + loop.time() - began, 600.0)
        )
        await asyncio.sleep(FIRST_S + 599)
        assert not mine.state(CALL).erased
        await asyncio.sleep(2)
        assert [bool(mine.state(it).erased) for it in (CALL, OTHER)].count(True) == 1
        await asyncio.sleep(REST_S)
        assert all(mine.state(it).erased for it in (CALL, OTHER))
        keeping.cancel()


async def test_a_clock_that_is_wrong_stops_only_the_expiry(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told, and the next pass tries again."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    now = [0.0]
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(
            keep(
                Store(tmp_path, mine),
                Retention(everything_s=1.0),
                InlineLane(),
                lambda: now[0],
                every_s=600.0,
            )
        )
        await asyncio.sleep(FIRST_S + 1)
        assert "nothing is expired: this machine's clock says 1970" in caplog.text
        now[0] = WALL + 60
        await asyncio.sleep(600)
        assert mine.state(CALL).erased
        keeping.cancel()
