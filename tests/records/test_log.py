"""The worker's log: durable when it says so, and honest when it cannot be."""

import asyncio
import os
from pathlib import Path

import pytest

from tests.records.scene import fail_sync, open_log
from trunkline.errors import RecordError
from trunkline.records import framing
from trunkline.records.disk import segments
from trunkline.records.log import LATE_S, WorkerLog, read_places


def on_disk(directory: Path) -> list[bytes]:
    """The records in the segments of *directory*, in order."""
    return [body for path in segments(directory) for _, body in framing.Frames(path.read_bytes())]


async def test_a_commit_covers_all_that_was_appended_before(tmp_path: Path) -> None:
    """When the commit returns, the records are in the file, in order."""
    async with open_log(tmp_path) as log:
        log.hold()
        for n in range(10):
            log.append(b"record %d" % n)
        assert on_disk(tmp_path) == []
        await log.commit()
        assert on_disk(tmp_path) == [b"record %d" % n for n in range(10)]


async def test_commits_share_a_sync(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred calls that commit while the disk is busy cost one more sync, not a hundred."""
    async with open_log(tmp_path, latency_s=0.01) as log:
        log.append(b"first")
        await log.commit()
        syncs = fail_sync(monkeypatch, after=1000)
        loop = asyncio.get_running_loop()
        began = loop.time()

        async def call(n: int) -> None:
            log.append(b"intent %d" % n)
            await log.commit()

        async with asyncio.TaskGroup() as calls:
            for n in range(100):
                calls.create_task(call(n))
        assert len(syncs) == 2
        assert loop.time() - began == pytest.approx(0.02)


async def test_what_nobody_commits_is_written_after_a_while(tmp_path: Path) -> None:
    """A killed process loses at most the notes of the linger time."""
    async with open_log(tmp_path, linger_s=0.05) as log:
        log.hold()
        log.append(b"telemetry")
        await asyncio.sleep(0.06)
        assert on_disk(tmp_path) == [b"telemetry"]


async def test_an_append_never_waits(tmp_path: Path) -> None:
    """A slow disk does not delay the one who appends."""
    async with open_log(tmp_path, latency_s=1.0) as log:
        began = asyncio.get_running_loop().time()
        for _ in range(1000):
            log.append(b"x" * 100)
        assert asyncio.get_running_loop().time() == began
        await log.commit()
        assert asyncio.get_running_loop().time() == pytest.approx(began + 1.0)


async def test_a_failed_sync_is_final(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every waiter gets the error, the disk is never tried again, and new records are dropped."""
    async with open_log(tmp_path) as log:
        log.append(b"before")
        await log.commit()
        syncs = fail_sync(monkeypatch)
        log.append(b"lost")
        with pytest.raises(RecordError, match="Input/output error"):
            await log.commit()
        assert not log.healthy
        monkeypatch.undo()
        assert log.append(b"after") is None
        assert log.dropped == 1
        with pytest.raises(RecordError, match="Input/output error"):
            await log.commit()
        assert len(syncs) == 1
    assert b"before" in on_disk(tmp_path)


async def test_all_waiters_hear_of_the_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those in the batch and those behind it are both told."""
    async with open_log(tmp_path, latency_s=0.01) as log:
        fail_sync(monkeypatch)
        outcomes: list[str] = []

        async def call(n: int) -> None:
            await asyncio.sleep(n * 0.004)
            log.append(b"intent")
            try:
                await log.commit()
            except RecordError as error:
                outcomes.append(str(error))

        async with asyncio.TaskGroup() as calls:
            for n in range(4):
                calls.create_task(call(n))
        assert len(outcomes) == 4


async def test_a_log_that_falls_too_far_behind_fails(tmp_path: Path) -> None:
    """The buffer is bounded: over the bound the log is failed and says why."""
    async with open_log(tmp_path, latency_s=2.0, buffer_bytes_max=1000) as log:
        while log.healthy:
            log.append(b"x" * 92)
        assert "too slow: 1100 bytes" in log.failure
        with pytest.raises(RecordError, match="too slow"):
            await log.commit()


async def test_a_disk_that_hangs_fails_the_log(tmp_path: Path) -> None:
    """A commit has an end: a write that hangs is a failure after the stall time."""
    async with open_log(tmp_path, latency_s=60.0, stall_s=5.0) as log:
        began = asyncio.get_running_loop().time()
        log.append(b"intent")
        with pytest.raises(RecordError, match="the disk hangs"):
            await log.commit()
        assert asyncio.get_running_loop().time() == pytest.approx(began + 5.0)
        assert not log.healthy


@pytest.mark.parametrize(("late_s", "blamed"), [(LATE_S - 0.1, True), (LATE_S + 0.1, False)])
async def test_who_stood_still_does_not_blame_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, late_s: float, blamed: bool
) -> None:
    """Who looks far too late gives the disk its time again; who looks a little late does not."""
    async with open_log(tmp_path, latency_s=7.0, stall_s=5.0) as log:
        loop = asyncio.get_running_loop()
        clock, due = loop.time, loop.time() + 5.0
        now = {True: late_s, False: 0.0}
        monkeypatch.setattr(loop, "time", lambda: clock() + now[abs(clock() - due) < 0.01])
        log.append(b"intent")
        if blamed:
            with pytest.raises(RecordError, match="the disk hangs"):
                await log.commit()
        else:
            await log.commit()
        assert log.healthy is not blamed


async def test_who_stood_still_does_not_wait_for_a_dead_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second look judges: a pause of our own does not make a commit wait for ever."""
    async with open_log(tmp_path, latency_s=60.0, stall_s=5.0) as log:
        loop = asyncio.get_running_loop()
        clock, due = loop.time, loop.time() + 5.0
        monkeypatch.setattr(loop, "time", lambda: clock() + 2.0 * (abs(clock() - due) < 0.01))
        log.append(b"intent")
        with pytest.raises(RecordError, match="the disk hangs"):
            await log.commit()
        assert clock() == pytest.approx(due + 2.0 + 5.0)


async def test_a_cancelled_commit_leaves_the_others_waiting(tmp_path: Path) -> None:
    """A caller who hangs up does not take anyone else's commit along."""
    async with open_log(tmp_path, latency_s=0.5) as log:
        log.append(b"one")
        async with asyncio.TaskGroup() as calls:
            hasty = calls.create_task(log.commit())
            patient = calls.create_task(log.commit())
            await asyncio.sleep(0.1)
            hasty.cancel()
        assert hasty.cancelled()
        assert not patient.cancelled()
        assert log.healthy


async def test_segments_rotate_by_size_and_lose_nothing(tmp_path: Path) -> None:
    """Records span segments in order, none is larger than told, and places find them."""
    records = [b"%03d" % n + b"." * 50 for n in range(100)]
    async with open_log(tmp_path, segment_bytes_max=500) as log:
        log.hold()
        places = [log.append(record) for record in records]
        await log.commit()
        assert on_disk(tmp_path) == records
        assert len(segments(tmp_path)) > 10
        assert max(path.stat().st_size for path in segments(tmp_path)) <= 500
        assert list(read_places(tmp_path, [p for p in places if p is not None])) == records


async def test_a_record_larger_than_a_segment_gets_its_own(tmp_path: Path) -> None:
    """The size of a segment bounds files, not records."""
    async with open_log(tmp_path, segment_bytes_max=100) as log:
        log.hold()
        for record in (b"a" * 500, b"b", b"c" * 500):
            log.append(record)
        await log.commit()
        assert on_disk(tmp_path) == [b"a" * 500, b"b", b"c" * 500]


async def test_segments_that_nobody_needs_are_deleted(tmp_path: Path) -> None:
    """The oldest live call decides how much of the log stays."""
    async with open_log(tmp_path, segment_bytes_max=100) as log:
        first = log.hold()
        for _ in range(3):
            log.append(b"x" * 80)
        second = log.hold()
        for _ in range(2):
            log.append(b"x" * 80)
        await log.commit()
        assert len(segments(tmp_path)) == 5
        log.release(first)
        await log.commit()
        await asyncio.sleep(0)
        assert [int(path.stem) for path in segments(tmp_path)] == [3, 4, 5]
        log.release(second)
    assert segments(tmp_path) == []


async def test_the_segment_in_use_outlives_every_call(tmp_path: Path) -> None:
    """When the last call ends, the next one's records still have a file to go to."""
    async with open_log(tmp_path, segment_bytes_max=100) as log:
        last = log.hold()
        for _ in range(3):
            log.append(b"x" * 80)
        await log.commit()
        log.release(last)
        log.hold()
        log.append(b"next")
        await log.commit()
        assert on_disk(tmp_path) == [b"x" * 80, b"next"]


async def test_what_was_inherited_stays_until_it_is_recovered(tmp_path: Path) -> None:
    """The end of a call deletes no segment of an earlier process."""
    async with open_log(tmp_path) as log:
        log.hold()
        log.append(b"of a call that was up")
        await log.commit()
    for _ in range(2):
        async with open_log(tmp_path, segment_bytes_max=100) as log:
            token = log.hold()
            for _ in range(3):
                log.append(b"x" * 80)
            await log.commit()
            log.release(token)
            await log.commit()
        assert on_disk(tmp_path)[0] == b"of a call that was up"


async def test_no_segment_is_left_behind_unsynced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that spans segments covers every byte of each, the left ones too."""
    synced: dict[int, int] = {}

    def sync(fd: int) -> None:
        synced[os.fstat(fd).st_ino] = os.fstat(fd).st_size

    monkeypatch.setattr(os, "fdatasync", sync)
    async with open_log(tmp_path, segment_bytes_max=500) as log:
        log.hold()
        for _ in range(50):
            log.append(b"x" * 50)
        await log.commit()
        found = {path.stat().st_ino: path.stat().st_size for path in segments(tmp_path)}
        assert len(found) > 5
        assert synced == found


async def test_a_live_directory_is_refused_to_others(tmp_path: Path) -> None:
    """Two workers never write one log."""
    async with open_log(tmp_path):
        with pytest.raises(RecordError, match="another running worker"):
            async with open_log(tmp_path):
                pytest.fail("a second owner")
    async with open_log(tmp_path) as log:
        assert log.healthy


async def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    """The operator reads which path is wrong."""
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match=r"cannot open the log in .*file/w0"):
        async with open_log(tmp_path / "file" / "w0"):
            pytest.fail("opened")


async def test_a_log_that_is_not_open_takes_nothing(tmp_path: Path) -> None:
    """Before and after its context a log drops records and refuses commits."""
    log = WorkerLog(tmp_path)
    assert log.append(b"early") is None
    async with open_log(tmp_path) as log:
        pass
    assert log.append(b"late") is None
    with pytest.raises(RecordError, match="closed"):
        await log.commit()


async def test_a_place_that_holds_something_else_is_an_error(tmp_path: Path) -> None:
    """Reading back verifies: damage on the way is not handed on."""
    async with open_log(tmp_path) as log:
        log.hold()
        place = log.append(b"a record of some length")
        await log.commit()
        assert place is not None
        path = segments(tmp_path)[0]
        fd = os.open(path, os.O_WRONLY)
        os.pwrite(fd, b"!", path.stat().st_size - 1)
        os.close(fd)
        with pytest.raises(RecordError, match="damaged record at offset 8"):
            list(read_places(tmp_path, [place]))
