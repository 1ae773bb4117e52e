"""The records directory, as other programs see it.

    wal/<worker>/*.tlw                        calls that are up, or were when a worker died
    calls/<yyyy-mm-dd>/<call id>/journal.tlj  one sealed journal a call; the day is UTC
    and the files of an archive, if there is one (`records.archive`)

A call is listed once its journal is sealed: whole, chained, closed and durable, or not there.
Nothing readable is ever written beside a journal. All methods block; on a worker they belong on a
lane.
"""

import hashlib
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
from trunkline.records.archive import Archive, Filed
from trunkline.records.disk import make_directory, our_errors, publish, sync_directory
from trunkline.records.keys import Wrapped
from trunkline.records.ledger import Facts
from trunkline.records.projections import JOURNAL_MAGIC, consent_record, read_call, transcript
from trunkline.records.recording import recording, transcript_markdown
from trunkline.types import CallId, Event, Wall

JOURNAL: Final = "journal.tlj"
_LATELY_DAYS: Final = 3
"""A call is filed in the second in which it is sealed: what is not, a death of these days left."""


@dataclass(frozen=True)
class StoredCall:
    """A sealed call; *path* is its directory, *day* the UTC day on which it began."""

    call: CallId
    day: str
    path: Path
    archive: Archive | None = None

    @cached_property
    def events(self) -> list[Event]:
        """Its events, verified; `RecordError` if the journal is damaged, foreign, or erased."""
        secret = None if self.archive is None else self.archive.secrets.of(self.call)
        return read_call(self.path / JOURNAL, secret)

    def transcript(self) -> str:
        """What was said, as Markdown."""
        return transcript_markdown(transcript(self.events))

    def recording(self, path: Path) -> None:
        """Write the recording (WAV; caller left, agent right) to *path*, whole or not at all.

        Raises `RecordError` if nothing was recorded, with what the caller had said to it.
        """
        pcm = recording(self.events)
        if not len(pcm):
            state = consent_record(self.events).state
            if any(event.type == "audio.segment" for event in self.events):
                raise RecordError(f"the recording of call {self.call} was erased")
            raise RecordError(
                f"call {self.call} has no recording: the consent to it was {state.value!r}"
            )
        part = path.with_name(f"{path.stem}.part.wav")
        with our_errors(f"cannot write {path}"):
            wav.write_stereo(part, pcm)
            part.replace(path)


class Store:
    """The sealed calls under *directory*; *archive* has their keys (None: they are readable)."""

    def __init__(self, directory: Path, archive: Archive | None = None) -> None:
        self.directory = directory
        self.archive = archive
        self.calls = directory / "calls"
        self.wal = directory / "wal"

    def list_calls(self) -> list[StoredCall]:
        """All sealed calls, oldest day first; empty if there are none."""
        return [self._stored(path) for path in self.journals()]

    def journals(self) -> list[Path]:
        """Where all journals lie, oldest day first."""
        return sorted(self.calls.glob(f"*/*/{JOURNAL}"))

    def open_call(self, call: str) -> StoredCall:
        """The sealed call *call*; `InputError` if that is no id, `RecordError` if it is not there.

        A call that is up, or whose worker died and has not been started again, is not sealed.
        """
        found = self._find(call)
        erased = None if self.archive is None else self.archive.state(call).erased
        if erased is not None:
            raise RecordError(f"call {call} was {erased.told}")
        if not found:
            raise RecordError(
                f"no record of call {call} under {self.calls}. List the calls that there are; a "
                f"call appears when it has ended, and after a crash when a worker starts again"
            )
        return self._stored(found[0])

    def has(self, call: str) -> bool:
        """Whether *call* is sealed, or was until it was erased: then a log that still has its
        records must not bring it back."""
        filed = self.archive is not None and self.archive.filed(call) is not None
        return bool(self._find(call)) or filed

    def journal(self, call: str) -> Path | None:
        """Where the journal of *call* lies; None if it lies nowhere."""
        found = self._find(call)
        return found[0] if found else None

    def seal(
        self,
        call: CallId,
        started: Wall,
        records: Iterable[bytes],
        wrapped: Wrapped | None = None,
    ) -> Path:
        """Write the journal of *call* from its *records*, whole and durable or not at all.

        *wrapped* is its secret, if they are sealed: it is kept first, and the call is filed in the
        archive after. Raises `RecordError` if the records are no closed chain, or the call is
        sealed already.
        """
        path = self._path(call, started)
        written = _Written(call)
        with our_errors(f"cannot write {path}"):
            # One that was erased is there no more, and must not be again.
            if path.is_file() or (self.archive is not None and self.archive.filed(call)):
                raise RecordError(f"{path} is there already: call ids must not be used twice")
            if self.archive is not None and wrapped is not None:
                self.archive.secrets.keep(call, wrapped)
            make_directory(path.parent)
            publish(path, written.pieces(records))
            sync_directory(path.parent.parent)
        if self.archive is not None and wrapped is not None:
            self._file(self.archive, path, written)
        return path

    def file_missing(self) -> list[CallId]:
        """File the sealed calls of the last days that the archive does not have; which those were.

        Their worker died just behind sealing them. Calls that were sealed without keys of their
        own, from before there was an archive, stay as they are.
        """
        found: list[CallId] = []
        if self.archive is None or not self.calls.is_dir():
            return found
        for day in sorted(self.calls.iterdir())[-_LATELY_DAYS:]:
            filed = self.archive.filed_on(day.name)
            for path in sorted(day.glob(f"*/{JOURNAL}")):
                call = CallId(path.parent.name)
                if call not in filed and self.archive.secrets.kept(call) is not None:
                    self._file(self.archive, path, _read_again(call, path))
                    found.append(call)
        return found

    def fault(self, filed: Filed) -> str:
        """What is wrong with the journal that was *filed*; empty if it is what the ledger says, or
        was erased."""
        call = filed.facts.call
        if self.archive is not None and self.archive.state(call).erased is not None:
            return ""
        path = self.journal(call)
        if path is None:
            return f"the journal of call {call} is missing"
        with our_errors(f"cannot read {path}"), path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != filed.facts.journal_sha256:
            return f"{path} is not the journal that the ledger commits to: it was changed"
        return ""

    def _file(self, archive: Archive, path: Path, written: "_Written") -> None:
        archive.file(written.facts(), path.parent.parent.name, written.started, written.ended)

    def _stored(self, path: Path) -> StoredCall:
        return StoredCall(
            CallId(path.parent.name), path.parent.parent.name, path.parent, self.archive
        )

    def _find(self, call: str) -> list[Path]:
        wire.check_call_id(call)  # it becomes a pattern and a path
        return sorted(self.calls.glob(f"*/{call}/{JOURNAL}"))

    def _path(self, call: CallId, started: Wall) -> Path:
        wire.check_call_id(call)
        day = datetime.fromtimestamp(started, UTC).date().isoformat()
        return self.calls / day / call / JOURNAL


def _read_again(call: CallId, path: Path) -> "_Written":
    with our_errors(f"cannot read {path}"):
        data = path.read_bytes()
    written = _Written(call)
    for _ in written.pieces(body for _, body in framing.Frames(data)):
        pass
    return written


class _Written:
    """The bytes of a journal file; verified while they pass, so before the file has its name."""

    def __init__(self, call: CallId) -> None:
        self.call = call
        self.started = self.ended = 0.0
        self._chain = wire.Chain()
        self._digest = hashlib.sha256()
        self._bytes = 0
        self._kc = self._vc = ""

    def pieces(self, records: Iterable[bytes]) -> Iterator[bytes]:
        """The file made of *records*, in pieces; `RecordError` if they are no closed chain."""
        yield self._passed(framing.header(JOURNAL_MAGIC))
        for record in records:
            envelope = self._chain.feed(record)
            if envelope is not None:
                if envelope.type == wire.OPENED:
                    self.started = envelope.wall
                    opened = wire.to_event(envelope, None).data
                    self._kc, self._vc = str(opened.get("kc", "")), str(opened.get("vc", ""))
                self.ended = envelope.wall
            yield self._passed(framing.frame(record))
        if not self._chain.closed:
            raise RecordError(f"the journal of call {self.call} has no closing event")

    def facts(self) -> Facts:
        """What the ledger's entry commits to."""
        digest = self._digest.hexdigest()
        return Facts(self.call, digest, self._bytes, self._chain.events, self._kc, self._vc)

    def _passed(self, piece: bytes) -> bytes:
        self._digest.update(piece)
        self._bytes += len(piece)
        return piece
