"""The records directory, as other programs see it.

    wal/<worker>/*.tlw                        calls that are up, or were when a worker died
    calls/<yyyy-mm-dd>/<call id>/journal.tlj  one sealed journal a call; the day is UTC
                                 transcript.md, recording.wav: rendered on demand, may be deleted

A call is listed once its journal is sealed: whole, chained, closed and durable, or not there.
All methods block; on a worker they belong on a lane.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Final

from trunkline.errors import RecordError
from trunkline.media import wav
from trunkline.records import envelope as wire
from trunkline.records import framing
from trunkline.records.disk import make_directory, our_errors, publish, sync_directory
from trunkline.records.projections import JOURNAL_MAGIC, consent_record, read_call, transcript
from trunkline.records.recording import recording, transcript_markdown
from trunkline.types import CallId, Event, Wall

JOURNAL: Final = "journal.tlj"


@dataclass(frozen=True)
class StoredCall:
    """A sealed call; *path* is its directory, *day* the UTC day on which it began."""

    call: CallId
    day: str
    path: Path

    @cached_property
    def events(self) -> list[Event]:
        """Its events, verified; `RecordError` if the journal is damaged or foreign."""
        return read_call(self.path / JOURNAL)

    def transcript(self) -> Path:
        """Render `transcript.md` and return its path."""
        text = transcript_markdown(transcript(self.events))
        path = self.path / "transcript.md"
        with our_errors(f"cannot write {path}"):
            publish(path, [text.encode()])
        return path

    def recording(self) -> Path:
        """Render `recording.wav` (caller left, agent right) and return its path.

        Raises `RecordError` if nothing was recorded, with what the caller had said to it.
        """
        pcm = recording(self.events)
        if not len(pcm):
            state = consent_record(self.events).state
            raise RecordError(
                f"call {self.call} has no recording: the consent to it was {state.value!r}"
            )
        path, part = self.path / "recording.wav", self.path / "recording.part.wav"
        wav.write_stereo(part, pcm)
        with our_errors(f"cannot write {path}"):
            part.replace(path)
        return path


class Store:
    """The sealed calls under *directory*."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.calls = directory / "calls"
        self.wal = directory / "wal"

    def list_calls(self) -> list[StoredCall]:
        """All sealed calls, oldest day first; empty if there are none."""
        return [_stored(path) for path in sorted(self.calls.glob(f"*/*/{JOURNAL}"))]

    def open_call(self, call: str) -> StoredCall:
        """The sealed call *call*; `InputError` if that is no id, `RecordError` if it is not there.

        A call that is up, or whose worker died and has not been started again, is not sealed.
        """
        found = self._find(call)
        if not found:
            raise RecordError(
                f"no record of call {call} under {self.calls}. List the calls that there are; a "
                f"call appears when it has ended, and after a crash when a worker starts again"
            )
        return _stored(found[0])

    def has(self, call: str) -> bool:
        """Whether *call* is sealed."""
        return bool(self._find(call))

    def seal(self, call: CallId, started: Wall, records: Iterable[bytes]) -> Path:
        """Write the journal of *call* from its *records*, whole and durable or not at all.

        Raises `RecordError` if the records are no closed chain, or the call is sealed already.
        """
        path = self._path(call, started)
        with our_errors(f"cannot write {path}"):
            if path.is_file():
                raise RecordError(f"{path} is there already: call ids must not be used twice")
            make_directory(path.parent)
            publish(path, _file(call, records))
            sync_directory(path.parent.parent)
        return path

    def _find(self, call: str) -> list[Path]:
        wire.check_call_id(call)  # it becomes a pattern and a path
        return sorted(self.calls.glob(f"*/{call}/{JOURNAL}"))

    def _path(self, call: CallId, started: Wall) -> Path:
        wire.check_call_id(call)
        day = datetime.fromtimestamp(started, UTC).date().isoformat()
        return self.calls / day / call / JOURNAL


def _file(call: CallId, records: Iterable[bytes]) -> Iterator[bytes]:
    """The bytes of a journal file; verified while they pass, so before the file has its name."""
    chain = wire.Chain()
    yield framing.header(JOURNAL_MAGIC)
    for record in records:
        chain.feed(record)
        yield framing.frame(record)
    if not chain.closed:
        raise RecordError(f"the journal of call {call} has no closing event")


def _stored(path: Path) -> StoredCall:
    return StoredCall(CallId(path.parent.name), path.parent.parent.name, path.parent)
