"""The clerk of a worker's records, a real process: it answers, is replaced, never left behind."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from trunkline.errors import RecordError
from trunkline.records.finder import ProcessFinder
from trunkline.records.store import Store
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, Where

pytestmark = pytest.mark.ci

CALLS = [CallId(f"01998d7e-0000-7000-8000-{number:012d}") for number in range(8)]


async def die(folder: Path, *calls: CallId, worker: str = "dead") -> None:
    """A worker that dies with *calls* up."""
    async with WorkerRecords(folder, worker) as records:
        for call in calls:
            journal = records.journal(call)
            journal.note("transcript.final", {"text": "hello"}, where=Where(call, 0))
            await journal.commit()


@asynccontextmanager
async def worker(folder: Path) -> AsyncIterator[tuple[WorkerRecords, ProcessFinder]]:
    finder = await ProcessFinder.start(folder)
    async with WorkerRecords(folder, "w0", finder=finder) as records:
        yield records, finder


def test_all_callers_are_told_at_once_and_all_calls_sealed_behind_them(tmp_path: Path) -> None:
    """The clerk seals when nobody asks, and ends with its worker when all is sealed."""

    async def main() -> None:
        async with worker(tmp_path) as (records, finder):
            await die(tmp_path, *CALLS)
            async with asyncio.TaskGroup() as group:
                asking = [group.create_task(records.find(call, 20.0)) for call in CALLS]
            for call, asked in zip(CALLS, asking, strict=True):
                found = asked.result()
                assert found is not None
                assert (found.call, found.broken) == (call, True)
                assert [it.content for it in found.resumption.history] == ["hello"]
            pid = finder.pid
        assert {it.call for it in Store(tmp_path).list_calls()} == set(CALLS)
        assert pid is not None
        assert not Path(f"/proc/{pid}").exists()

    asyncio.run(main())


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSTOP])
def test_a_clerk_that_fails_is_replaced(tmp_path: Path, how: signal.Signals) -> None:
    """Dead, or silent for too long: the next one answers."""

    async def main() -> None:
        async with worker(tmp_path) as (records, finder):
            await die(tmp_path, *CALLS)
            assert await records.find(CALLS[0], 20.0) is not None  # it has loaded
            before = finder.pid
            assert before is not None
            os.kill(before, how)
            found = await records.find(CALLS[1], 20.0)
            assert found is not None
            assert finder.pid != before

    asyncio.run(main())


def test_a_worker_that_is_killed_leaves_no_clerk(tmp_path: Path) -> None:
    """Its input ends: it seals what it holds, and ends."""

    async def main() -> None:
        await die(tmp_path, *CALLS)
        finder = await ProcessFinder.start(tmp_path)
        assert await finder.find(CALLS[0]) is not None
        await finder.close()
        assert {it.call for it in Store(tmp_path).list_calls()} == set(CALLS)
        assert list((tmp_path / "wal").rglob("*.tlw")) == []

    asyncio.run(main())


def test_what_cannot_be_told_is_an_error_not_the_end(tmp_path: Path) -> None:
    """A sealed journal that was damaged concerns one caller; the clerk goes on."""

    async def main() -> None:
        async with worker(tmp_path) as (records, _):
            for call in CALLS[:2]:
                await records.journal(call).close("done")
            (path,) = (tmp_path / "calls").rglob(f"{CALLS[0]}/journal.tlj")
            path.write_bytes(path.read_bytes()[:-3])
            with pytest.raises(RecordError, match="damaged at offset"):
                await records.find(CALLS[0])
            assert await records.find(CALLS[1]) is not None

    asyncio.run(main())
