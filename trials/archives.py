"""The records of a worker under test, opened with the keys that it made."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Final

from trunkline.console.archiving import Place, opened
from trunkline.errors import RecordError
from trunkline.records import envelope as wire
from trunkline.records import framing
from trunkline.records.archive import Archive
from trunkline.records.disk import WAL_MAGIC
from trunkline.records.keys import Wrapped
from trunkline.records.projections import JOURNAL_MAGIC
from trunkline.records.sealing import CallSecret, blob_place, event_place
from trunkline.records.store import Store
from trunkline.types import CallId

_MAGICS: Final = (framing.header(WAL_MAGIC), framing.header(JOURNAL_MAGIC))


def records(folder: Path) -> AbstractContextManager[Store]:
    """The sealed calls of the worker whose configuration lies in *folder*."""
    return opened(Place(folder / "records"))


def unsealed(data: bytes, archive: Archive) -> bytes:
    """All that a log or a journal says, with the payloads that its keys open, one after the other.

    *data* may be several segments one behind the other, and end in the middle of a record.
    """
    found: list[bytes] = []
    secrets: dict[CallId, CallSecret | None] = {}
    starts = [at for magic in _MAGICS for at in _all(data, magic)]
    for start in sorted(starts):
        for _, record in framing.Frames(data, start + framing.HEADER_BYTES):
            kind, call, content = wire.split(record)
            if kind == wire.KEY:
                secrets[call] = archive.secrets.open(call, Wrapped.of_record(content))
                continue
            if call not in secrets:
                secrets[call] = archive.secrets.of(call)
            found += _payload(kind, call, content, secrets[call])
    return b"\n".join(found)


def _payload(kind: int, call: CallId, content: bytes, secret: CallSecret | None) -> list[bytes]:
    if kind == wire.BLOB:
        return [content] if secret is None else [_blob(content, call, secret)]
    envelope = wire.decode_event(content)
    if not envelope.sealed:
        return [content]
    if secret is None:
        raise RecordError(f"call {call}: no key opens {envelope.type}")
    return [content, secret.open(envelope.sealed, event_place(call, envelope.id))]


def _blob(content: bytes, call: CallId, secret: CallSecret) -> bytes:
    """A blob does not say which of the two keys it was sealed with: its event does."""
    with suppress(RecordError):
        return secret.open(content, blob_place(call))
    return secret.open_voice(content, blob_place(call)) or b""


def _all(data: bytes, piece: bytes) -> Iterator[int]:
    at = data.find(piece)
    while at >= 0:
        yield at
        at = data.find(piece, at + 1)
