"""Calls that broke off, found by the worker that has their caller now."""

import asyncio
import os
from pathlib import Path

from tests.records.scene import CALL, open_records
from tests.records.test_store import OTHER, die
from trunkline.records import disk
from trunkline.records.resume import broken_call


async def test_a_broken_call_is_found_in_the_log_of_a_worker_that_died_meanwhile(
    tmp_path: Path,
) -> None:
    """Whoever answers its caller next takes the log over; the others' journals go on."""
    async with open_records(tmp_path, "w0") as records, open_records(tmp_path, "w2") as living:
        journal = living.journal(OTHER)
        await die(tmp_path, "w1")
        found = await records.find(CALL)
        assert found is not None
        assert (found.call, found.broken) == (CALL, True)
        assert await records.find(OTHER, within_s=1.0) is None
        await journal.close("done")
        other = await records.find(OTHER)
        assert other == broken_call(living.store.open_call(OTHER).events)


async def test_a_call_that_is_being_sealed_is_waited_for(tmp_path: Path) -> None:
    """The carrier asks again while the worker that ended the call still writes."""
    async with open_records(tmp_path, "w0") as records, open_records(tmp_path, "w1") as other:
        journal = other.journal(CALL)
        finding = asyncio.ensure_future(records.find(CALL))
        await asyncio.sleep(1.0)
        assert not finding.done()
        await journal.close("done")
        found = await finding
        assert found is not None
        assert found.call == CALL


async def test_a_log_that_is_just_being_taken_over_is_waited_for(tmp_path: Path) -> None:
    """A worker that starts while another clears up after its predecessor starts all the same."""
    await die(tmp_path, "w0")
    held = disk.lock(tmp_path / "wal" / "w0")
    assert held is not None
    asyncio.get_running_loop().call_later(1.0, os.close, held)
    async with open_records(tmp_path, "w0") as records:
        assert records.recovery.calls == (CALL,)
