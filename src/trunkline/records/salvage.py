"""What dead workers have left in their logs: told call by call at once, sealed later, in steps.

A caller whose worker died waits for one call, and its log may hold a hundred. So a log is first
only walked over, from head to head, which tells where each call's records lie; then a call that
somebody asks for is verified and folded, audio left out, and only when nobody asks are the calls
sealed, one at a time (`recovery`). Whoever holds a log open this way may read it to the end, also
when another process has meanwhile sealed its calls and deleted it.

Rules

* A log whose `lock` can be shared belongs to nobody: its worker is dead. All who have its callers
  read it side by side; who clears it up holds `sealing`. A worker that takes the name again waits.
* What is told of a call is what its chain proves: a call with a hole ends before the hole.
* The walk trusts sizes without their checksums; a size that was damaged leads to heads that are
  none, or to records that fail their own checksum and so end their call. Sealing, which reads
  everything, finds and reports the damage.
"""

import logging
import mmap
import os
from array import array
from collections.abc import Generator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunkline.errors import RecordError
from trunkline.records import disk, framing
from trunkline.records import envelope as wire
from trunkline.records.journal import Clocks
from trunkline.records.keys import Wrapped
from trunkline.records.recovery import Recovery, recovering
from trunkline.records.resume import BrokenCall, broken_call
from trunkline.records.sealing import CallSecret
from trunkline.records.store import Store
from trunkline.types import CallId, Event

log = logging.getLogger(__name__)

_HEAD_BYTES: Final = framing.FRAME_OVERHEAD_BYTES + 2
"""Of a frame and of the record in it, up to the call id."""


@dataclass(slots=True)
class _DeadLog:
    """The log of a worker that died. *calls*: (segment, offset) of each call's records, in turn."""

    directory: Path
    held: int
    segments: list[mmap.mmap]
    calls: "dict[CallId, array[int]]"
    sealing: int | None = None
    steps: Generator[None, None, Recovery] | None = None
    given_up: bool = False
    """It cannot be sealed; it is held all the same, or it would be tried again at each question."""


@dataclass(slots=True)
class Salvage:
    """Reads, and clears up, the logs of dead workers beside *store*. All of it blocks.

    `recovery` tells what was sealed. Close it: until then the logs that it holds stay theirs.
    """

    store: Store
    clocks: Clocks = field(default_factory=Clocks)
    recovery: Recovery = field(default_factory=Recovery)
    _logs: dict[Path, _DeadLog] = field(default_factory=dict)

    def find(self, call: CallId) -> BrokenCall | None:
        """What became of *call*; None if it is neither sealed nor in the log of a dead worker.

        Raises `InputError` if *call* is no id and `RecordError` if its sealed journal is damaged.
        """
        if self.store.has(call):  # then a log may have lost its beginning
            return broken_call(self.store.open_call(call).events)
        if (events := self._in_logs(call)) is None:
            self.take_dead()
            events = self._in_logs(call)
        return broken_call(events) if events else None

    def take_dead(self) -> None:
        """Hold the logs whose workers have died since."""
        with disk.our_errors(f"cannot look for dead workers in {self.store.wal}"):
            for path in sorted(self.store.wal.glob("*/lock")):
                if path.parent not in self._logs:
                    self._take(path.parent)

    def step(self) -> bool:
        """Some milliseconds of sealing; False if nothing is left to do.

        A log that cannot be sealed is left for the next worker that starts, and an operator told.
        """
        for dead in [it for it in self._logs.values() if not it.given_up]:
            try:
                if self._seal(dead):
                    return True
            except RecordError as error:
                log.error("the log of a dead worker stays: %s", error)  # noqa: TRY400  # no trace
                dead.given_up = True
            else:
                self._give_back(dead)
        return False

    def close(self) -> None:
        """Give all logs back, sealed or not."""
        for dead in list(self._logs.values()):
            self._give_back(dead)

    def _take(self, directory: Path) -> None:
        held = disk.lock(directory, shared=True)
        if held is None:
            return  # it lives, or is ourselves
        segments: list[mmap.mmap] = []
        calls: dict[CallId, array[int]] = {}
        try:
            for number, path in enumerate(disk.segments(directory)):
                with path.open("rb") as file:
                    # Nothing cannot be mapped: a worker may die while it makes a file.
                    empty = os.fstat(file.fileno()).st_size == 0
                    segments.append(
                        mmap.mmap(-1, 1)
                        if empty
                        else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
                    )
                for offset, call in _walk(segments[-1]):
                    calls.setdefault(call, array("Q")).extend((number, offset))
        except OSError:
            os.close(held)
            raise
        if segments:
            self._logs[directory] = _DeadLog(directory, held, segments, calls)
        else:
            os.close(held)

    def _give_back(self, dead: _DeadLog) -> None:
        del self._logs[dead.directory]
        for segment in dead.segments:
            segment.close()
        for fd in (dead.held, dead.sealing):
            if fd is not None:
                os.close(fd)

    def _in_logs(self, call: CallId) -> Sequence[Event] | None:
        for dead in self._logs.values():
            places = dead.calls.get(call)
            if places is not None:
                secret = self._secret(call, dead.segments, places)
                return list(_events(dead.segments, places, secret))
        return None

    def _secret(
        self, call: CallId, segments: Sequence[mmap.mmap], places: "array[int]"
    ) -> CallSecret | None:
        """The secret of *call*, whose wrapped form lies before all that it seals."""
        record = framing.body_at(segments[places[0]], places[1])
        if record is None or record[0] != wire.KEY:
            return None
        if self.store.archive is None:
            raise RecordError(
                f"call {call} is sealed, and its worker's successor has no key-encryption key"
            )
        return self.store.archive.secrets.open(call, Wrapped.of_record(wire.split(record)[2]))

    def _seal(self, dead: _DeadLog) -> bool:
        """One step; False if it is done, or another process does it."""
        if dead.steps is None:
            with disk.our_errors(f"cannot lock {dead.directory}"):
                dead.sealing = disk.lock(dead.directory, "sealing")
            if dead.sealing is None:
                return False
            dead.steps = recovering(disk.segments(dead.directory), self.store, self.clocks)
        try:
            next(dead.steps)
        except StopIteration as end:
            self._sealed(dead, end.value)
            return False
        return True

    def _sealed(self, dead: _DeadLog, done: Recovery) -> None:
        for damage in done.damage:
            log.error("the log of a dead worker is damaged: %s", damage)
        known = self.recovery
        self.recovery = Recovery((*known.calls, *done.calls), (*known.damage, *done.damage))
        with disk.our_errors(f"cannot clear the log in {dead.directory}"):
            for path in disk.segments(dead.directory):
                path.unlink()


def _walk(segment: mmap.mmap) -> Iterator[tuple[int, CallId]]:
    """Offset and call of each record, up to the first that is none; no checksum is looked at."""
    at, end = framing.HEADER_BYTES, len(segment)
    if segment[:at] != framing.header(disk.WAL_MAGIC):
        return
    while at + _HEAD_BYTES < end:
        head = segment[at : at + _HEAD_BYTES]
        size, length = int.from_bytes(head[:4], "little"), head[-1]
        name = at + _HEAD_BYTES
        after = at + framing.FRAME_OVERHEAD_BYTES + size
        if head[-2] not in (wire.EVENT, wire.BLOB, wire.KEY) or not name + length <= after <= end:
            return
        yield at, CallId(segment[name : name + length].decode("ascii", "replace"))
        at = after


def _events(
    segments: Sequence[mmap.mmap], places: "array[int]", secret: CallSecret | None
) -> Iterator[Event]:
    """The events of a call, verified, without its audio, up to the first hole."""
    chain = wire.Chain()
    blob: tuple[mmap.mmap, int] | None = None
    pairs = iter(places)
    with suppress(RecordError):  # the rest follows nothing; who seals it says so
        for number, offset in zip(pairs, pairs, strict=True):
            segment = segments[number]
            kind = segment[offset + framing.FRAME_OVERHEAD_BYTES]
            if kind == wire.BLOB:
                blob = segment, offset
            if kind != wire.EVENT:
                continue
            record = framing.body_at(segment, offset)
            if record is None or (envelope := chain.feed(record)) is None:
                return
            ref = envelope.ref
            if ref is None:
                yield wire.to_event(envelope, None, secret)
            elif ref.form == "json":
                content = None if blob is None else _content(*blob, ref)
                yield wire.to_event(envelope, content, secret)


def _content(segment: mmap.mmap, offset: int, ref: wire.Ref) -> bytes | None:
    """What the blob at *offset* holds, if that is what *ref* names."""
    record = framing.body_at(segment, offset)
    content = b"" if record is None else wire.split(record)[2]
    return content if wire.digest(content) == ref.sha256 else None
