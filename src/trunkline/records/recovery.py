"""Recovery: what a worker that died has left in its log becomes sealed journals.

Every call in the log is closed with "worker died" and sealed as far as its chain holds. Nothing
is guessed: a call whose chain has a hole ends before the hole and says so. If anything is damaged
(not merely torn at its end, which is normal), the segments are set aside, never deleted, so that
somebody can look at them; the worker starts all the same.
"""

from array import array
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

from trunkline.errors import RecordError
from trunkline.records import envelope as wire
from trunkline.records import framing
from trunkline.records.disk import WAL_MAGIC, make_directory, our_errors, sync_directory
from trunkline.records.journal import Clocks
from trunkline.records.keys import Wrapped
from trunkline.records.log import place_of, read_places
from trunkline.records.store import Store
from trunkline.types import CallId, DataClass, Mono, Sample, Wall, Where, uuid7

WORKER_DIED: Final = "worker died"
_STEP_RECORDS: Final = 256
"""Read in one step: some 3 ms."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """What was found: the calls that were sealed, and any damage, in words for an operator."""

    calls: tuple[CallId, ...] = ()
    damage: tuple[str, ...] = ()


@dataclass(slots=True)
class _Salvage:
    """One call while the log is read."""

    chain: wire.Chain = field(default_factory=wire.Chain)
    places: "array[int]" = field(default_factory=lambda: array("Q"))
    started: Wall | None = None
    sample: Sample | None = None
    ended: bool = False
    found: str = ""
    wrapped: Wrapped | None = None

    def feed(self, record: bytes, place: int) -> None:
        if self.found:
            return  # behind a hole: it would follow nothing
        try:
            if record[0] == wire.KEY:
                self.wrapped = Wrapped.of_record(wire.split(record)[2])
                return
            envelope = self.chain.feed(record)
        except RecordError as error:
            self.found = str(error)
            return
        self.places.append(place)
        if envelope is None:
            return
        if self.started is None:
            self.started = Wall(envelope.wall)
        if envelope.sample is not None:
            self.sample = Sample(envelope.sample)
        self.ended |= envelope.type == "call.ended"


def recover(segments: Sequence[Path], store: Store, clocks: Clocks) -> Recovery:
    """Seal the calls in *segments* (of one directory, oldest first) in *store*; blocking.

    The segments stay, or move to `damaged/` if anything was: delete those that stay afterwards.
    It may be repeated after a crash in its middle. Raises `RecordError` if a journal cannot be
    written or a segment was written by another format version.
    """
    steps = recovering(segments, store, clocks)
    while True:
        try:
            next(steps)
        except StopIteration as end:
            return cast("Recovery", end.value)


def recovering(
    segments: Sequence[Path], store: Store, clocks: Clocks
) -> Generator[None, None, Recovery]:
    """`recover` in steps of a few milliseconds, and one for each call that is sealed."""
    calls: dict[CallId, _Salvage] = {}
    found: list[str] = []
    for path in segments:
        damage = yield from _read(path, calls)
        found += [damage] if damage else []
    sealed: list[CallId] = []
    for call, salvage in calls.items():
        if store.has(call):
            continue  # and its first segments may be gone: others held only its last ones
        if salvage.found:
            found.append(f"call {call}: sealed up to a hole: {salvage.found}")
        if salvage.started is not None:
            records = _closed(call, salvage, segments[0].parent, clocks)
            store.seal(call, salvage.started, records, salvage.wrapped)
            sealed.append(call)
            yield
    if found:
        found.append(f"the log was set aside in {_set_aside(segments)}")
    return Recovery(tuple(sealed), tuple(found))


def _read(path: Path, calls: dict[CallId, _Salvage]) -> Generator[None, None, str]:
    """Feed the records of a segment; what is damaged about it, or nothing."""
    with our_errors(f"cannot read {path}"):
        data = path.read_bytes()
    if len(data) < framing.HEADER_BYTES:
        return ""  # the worker died while it made the file
    damage = ""
    if data[:4] == WAL_MAGIC:
        framing.check_header(data, WAL_MAGIC, str(path))
    else:
        damage = f"{path}: damaged header"
    frames = framing.Frames(data)
    for number, (offset, record) in enumerate(frames):
        _, call, _ = wire.split(record)
        calls.setdefault(call, _Salvage()).feed(record, place_of(int(path.stem), offset))
        if number % _STEP_RECORDS == 0:
            yield
    if frames.stop.kind == "corrupt":
        damage = f"{path}: damaged at offset {frames.stop.offset}: {frames.stop.detail}"
    return damage


def _closed(call: CallId, salvage: _Salvage, directory: Path, clocks: Clocks) -> Iterator[bytes]:
    """The records of a call, with the closing ones that it lacks."""
    yield from read_places(directory, salvage.places)
    chain, last = salvage.chain, salvage.chain.last
    if chain.closed or last is None:
        return
    wall = Wall(clocks.wall())
    reason = {"reason": WORKER_DIED}
    closing = reason | {"events": chain.events + 1 + (not salvage.ended), "recovered": True}
    if salvage.found:
        closing |= {"found": salvage.found}
    ended = reason | {"broken": True}
    for type, data in (("call.ended", ended), (wire.CLOSED, closing)):
        if type == "call.ended" and salvage.ended:
            continue
        record = wire.encode_event(
            wire.record_head(wire.EVENT, call),
            wire.make(
                uuid7(wall, clocks.entropy(10)),
                Where(call),
                type,
                # The dead worker's clock stopped at its last event; only the wall clock goes on.
                (Mono(last.mono), salvage.sample, wall),
                data_class=DataClass.TELEMETRY,
                zone="",
                payload=wire.encode_payload(type, data),
                ref=None,
                prev=chain.prev,
            ),
        )
        chain.feed(record)
        yield record


def _set_aside(segments: Sequence[Path]) -> Path:
    directory = segments[0].parent
    aside = directory / "damaged"
    with our_errors(f"cannot set the log in {directory} aside"):
        make_directory(aside)
        for path in segments:
            path.replace(aside / path.name)
        sync_directory(aside)
        sync_directory(directory)
    return aside
