"""The write-ahead log of one worker: every call's records, in one order, group-committed.

Theory of operation. All state lives on the event loop; the disk lives on a lane (a thread). An
append frames the body, decides its place and joins the pending batch. At most one batch is being
written; when it is durable, all commits that it covers resolve and the next batch, which has
collected meanwhile, follows. So the slower the disk, the larger the groups. What nobody commits
is written after `linger_s`.

The log fails as a whole and for good: on any error of the disk (an fsync that failed once must
never be believed again), when a write hangs for `stall_s`, or when more than `buffer_bytes_max`
waits for the disk. Then `healthy` is False, new calls must be refused, commits raise. Appends are
dropped and counted: the calls that are up keep their voice, but nothing that needs a durable
record (a tool, a recording) happens any more.

Wart: a segment lives until every call that was up when it was written has ended, so the log is
as long as the oldest call.
"""

import asyncio
import os
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, NewType, Self

from trunkline.errors import RecordError
from trunkline.records import framing
from trunkline.records.disk import SegmentWriter, Taken, our_errors, segment_path
from trunkline.records.lanes import Lane, ThreadLane

SEGMENT_BYTES_MAX: Final = 64 * 2**20
"""Half a minute of a hundred recorded calls: rotation is rare, clearing is prompt."""
BUFFER_BYTES_MAX: Final = 16 * 2**20
"""Some 8 s of a hundred recorded calls: a disk that is further behind will not catch up."""
LINGER_S: Final = 0.05
"""What a killed process may lose of notes that nobody committed."""
OPEN_S: Final = 5.0
"""How long an opening log waits for another worker that is just taking over what lies in it."""
_OPEN_AGAIN_S: Final = 0.05
STALL_S: Final = 5.0
"""A write that takes longer is a dead disk; longer than any caller waits for a tool."""
LATE_S: Final = 1.0
"""A worker that looks so late was itself stopped or starved, and cannot blame the disk."""

Place = NewType("Place", int)
"""Where a record lies in the log: segment number << 32 | byte offset."""
_OFFSET_BITS: Final = 32
_OFFSET_MASK: Final = (1 << _OFFSET_BITS) - 1


class WorkerLog:
    """The log in *directory*, which belongs to this process while the context is open.

    `inherited` names the segments of an earlier process: recover them, then `forget_inherited`.
    Entering raises `RecordError` if the directory is in use or cannot be written.
    """

    def __init__(
        self,
        directory: Path,
        *,
        lane: Lane | None = None,
        segment_bytes_max: int = SEGMENT_BYTES_MAX,
        buffer_bytes_max: int = BUFFER_BYTES_MAX,
        linger_s: float = LINGER_S,
        stall_s: float = STALL_S,
    ) -> None:
        self.directory = directory
        self.inherited: tuple[Path, ...] = ()
        self.dropped = 0
        """Records that came after the log had failed."""
        self._lane = lane or ThreadLane("trunkline-journal")
        self._disk = SegmentWriter(directory)
        self._segment_bytes_max, self._buffer_bytes_max = segment_bytes_max, buffer_bytes_max
        self._linger_s, self._stall_s = linger_s, stall_s
        self._failure = "the log is not open"
        self._first = self._segment = 0
        self._offset = framing.HEADER_BYTES
        self._appended = self._durable = 0
        self._batch: list[tuple[int, list[bytes]]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._watchdog: asyncio.TimerHandle | None = None
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._holds: dict[int, int] = {}
        self._holds_made = 0

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        try:
            self.inherited = tuple(await self._open())
        except RecordError:
            self._lane.close()
            raise
        last = int(self.inherited[-1].stem) if self.inherited else 0
        self._first = self._segment = last + 1
        self._failure = ""
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            if self.healthy:
                await self.commit()
                if not self._holds and not self.inherited:
                    # Every call is compacted: leave nothing to recover.
                    await self._lane.submit(partial(self._disk.retire, self._segment + 1))
        finally:
            stalled = self._watchdog is not None
            self._failure = self._failure or "the log is closed"
            if not stalled:  # a lane that hangs would make us hang
                await self._lane.submit(self._disk.close)
            self._lane.close()

    async def _open(self) -> list[Path]:
        give_up_at = self._loop.time() + OPEN_S
        while True:
            try:
                return await self._lane.submit(self._disk.open)
            except Taken:
                if self._loop.time() >= give_up_at:
                    raise
            await asyncio.sleep(_OPEN_AGAIN_S)

    @property
    def healthy(self) -> bool:
        """Whether records become durable; if not, new calls must be refused."""
        return not self._failure

    @property
    def failure(self) -> str:
        """Why the log failed, for the operator; empty while it is healthy."""
        return self._failure

    def append(self, body: bytes) -> Place | None:
        """Accept a record; never blocks. Its place, or None (and counted) if the log failed."""
        if self._failure:
            self.dropped += 1
            return None
        framed = framing.frame(body)
        if self._offset + len(framed) > self._segment_bytes_max:
            # A record that is larger than a segment gets one of its own.
            self._segment += 1
            self._offset = framing.HEADER_BYTES
        if not self._batch or self._batch[-1][0] != self._segment:
            self._batch.append((self._segment, []))
        self._batch[-1][1].append(framed)
        place = Place(self._segment << _OFFSET_BITS | self._offset)
        self._offset += len(framed)
        self._appended += len(framed)
        if self._appended - self._durable > self._buffer_bytes_max:
            self._fail(
                f"the disk is too slow: {self._appended - self._durable} bytes wait to be written "
                f"to {self.directory}"
            )
        elif self._timer is None and self._watchdog is None:
            self._timer = self._loop.call_later(self._linger_s, self._flush)
        return place

    async def commit(self) -> None:
        """Return when all that was appended before is durable; `RecordError` if it cannot be."""
        if self._failure:
            raise RecordError(f"nothing can be made durable: {self._failure}")
        if self._durable == self._appended:
            return
        waiter: asyncio.Future[None] = self._loop.create_future()
        self._waiters.append((self._appended, waiter))
        self._flush()
        await waiter

    def hold(self) -> int:
        """Keep all segments from now on, for one call; the token is for `release`."""
        self._holds_made += 1
        self._holds[self._holds_made] = self._segment
        return self._holds_made

    def release(self, token: int) -> None:
        """End a hold; segments that nobody holds any more are deleted in the background."""
        del self._holds[token]
        below = min(self._holds.values(), default=self._segment)
        if below > self._first and not self.inherited and self.healthy:
            self._first = below
            self._lane.submit(partial(self._disk.retire, below)).add_done_callback(self._cleared)

    async def forget_inherited(self) -> None:
        """Delete the segments of the earlier process: what they held is safe elsewhere."""
        await self._lane.submit(partial(self._disk.retire, self._first))
        self.inherited = ()

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._watchdog is not None or not self._batch or self._failure:
            return
        batch, self._batch = self._batch, []
        self._watch()
        writing = self._lane.submit(partial(self._disk.write, batch))
        writing.add_done_callback(partial(self._written, self._appended))

    def _watch(self) -> None:
        due = self._loop.time() + self._stall_s
        self._watchdog = self._loop.call_at(due, self._stalled, due)

    def _stalled(self, due: float) -> None:
        if self._loop.time() - due > LATE_S:
            self._watch()  # it was us who stood still: what the disk did meanwhile is not known yet
            return
        why = f"a write to {self.directory} takes longer than {self._stall_s:g} s"
        self._fail(f"the disk hangs: {why}")

    def _written(self, upto: int, writing: asyncio.Future[None]) -> None:
        if self._watchdog is not None:
            self._watchdog.cancel()
            self._watchdog = None
        error = None if writing.cancelled() else writing.exception()
        if error is not None or writing.cancelled():
            self._fail(str(error or "the writer was cancelled"))
            if error is not None and not isinstance(error, RecordError):
                raise error  # a bug of ours: the loop's exception handler must see it
        if self._failure:
            return
        self._durable = upto
        while self._waiters and self._waiters[0][0] <= upto:
            waiter = self._waiters.pop(0)[1]
            if not waiter.done():  # its task may have been cancelled
                waiter.set_result(None)
        self._flush()

    def _cleared(self, clearing: asyncio.Future[None]) -> None:
        # A disk that cannot delete will soon be full: better no new calls than half of one.
        if not clearing.cancelled() and (error := clearing.exception()) is not None:
            self._fail(str(error))

    def _fail(self, why: str) -> None:
        self._failure = self._failure or why
        self._batch.clear()
        waiters, self._waiters = self._waiters, []
        for _, waiter in waiters:
            if not waiter.done():
                waiter.set_exception(RecordError(f"nothing can be made durable: {why}"))


def read_places(directory: Path, places: Iterable[int]) -> Iterator[bytes]:
    """The bodies at *places* of the log in *directory*; blocking, so for a lane.

    Raises `RecordError` if one is not what was written.
    """
    number, fd = 0, -1
    try:
        for place in places:
            segment, offset = place >> _OFFSET_BITS, place & _OFFSET_MASK
            path = segment_path(directory, segment)
            with our_errors(f"cannot read {path}"):
                if segment != number:
                    if fd >= 0:
                        os.close(fd)
                    fd = -1
                    number, fd = segment, os.open(path, os.O_RDONLY)
                size = int.from_bytes(os.pread(fd, 4, offset), "little")
                framed = os.pread(fd, size + framing.FRAME_OVERHEAD_BYTES, offset)
            body = framing.body_at(framed, 0)
            if body is None:
                raise RecordError(f"{path}: damaged record at offset {offset}")
            yield body
    finally:
        if fd >= 0:
            os.close(fd)


def place_of(segment: int, offset: int) -> Place:
    """The place of the record at *offset* of segment *segment*."""
    return Place(segment << _OFFSET_BITS | offset)
