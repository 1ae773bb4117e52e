"""The envelope: how an event is written, chained and read again.

A record of the log or of a journal is

    kind (1 byte: E event, B blob, K the wrapped key), length of the call id (1 byte), call id
    (ASCII), content

An event's content is canonical JSON (sorted keys, no spaces, defaults left out):

    v       schema version                     id        event id, UUIDv7
    call, turn, step, attempt  the address     type      see `records/events.py`
    mono    monotonic seconds of the worker    class     data class
    sample  sample of the call's audio         zone      where it was processed
    wall    seconds since 1970                 prev      SHA-256 of the record before it
    data    the payload, or                    ref       {sha256, bytes, form, sealed} of a blob
    sealed  the payload, sealed under the call's key (`records.sealing`), base64

A blob holds what is too large or not text: `form` says `json` (the payload itself) or `mulaw`
(audio that belongs to the payload). It lies before its event, so a durable event has its blob.

The chain: `prev` is the hash of the whole record of the call's event before, as stored; the first
event has the genesis hash of the call id. Blobs are chained through `ref`. All hashes are over the
bytes as stored, sealed as they are, so destroying a call's key breaks no chain. The wrapped key
lies in a worker's log only, never in a journal.
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from trunkline.errors import InputError, RecordError
from trunkline.records.sealing import CallSecret, blob_place, event_place
from trunkline.types import CallId, DataClass, Event, Mono, Sample, Wall, Where

SCHEMA: Final = 2
"""The version of the envelope; a reader refuses a higher one. 1 knew no sealed payloads."""
INLINE_BYTES_MAX: Final = 4096
"""A payload whose JSON is longer goes into a blob, so that scanning events stays cheap."""
EVENT: Final = ord("E")
BLOB: Final = ord("B")
KEY: Final = ord("K")
VOICE: Final = "mulaw"
"""The form of a blob that is recorded audio."""
OPENED: Final = "journal.opened"
CLOSED: Final = "journal.closed"
READABLE: Final = frozenset({OPENED, CLOSED})
"""Events whose payload is never sealed: they tell of the journal, and nothing of the call."""

_CALL_ID: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_FLAT: Final = frozenset({str, int, float, bool, type(None)})


class Ref(msgspec.Struct, frozen=True, omit_defaults=True):
    """A payload that lies in a blob."""

    sha256: str
    bytes: int
    form: str
    sealed: bool = False


class Envelope(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One event as it is stored."""

    v: int
    id: str
    call: str
    type: str
    mono: float
    wall: float
    prev: str
    turn: int = -1
    step: int = -1
    attempt: int = -1
    sample: int | None = None
    data_class: str = msgspec.field(name="class", default=DataClass.TELEMETRY.value)
    zone: str = ""
    data: msgspec.Raw = msgspec.Raw(b"{}")
    sealed: bytes = b""
    ref: Ref | None = None


_encoder: Final = msgspec.json.Encoder(order="sorted")
_decoder: Final = msgspec.json.Decoder(Envelope)
_payload_decoder: Final = msgspec.json.Decoder(dict[str, Any])


def check_call_id(call: str) -> None:
    """Check that *call* can name a directory; `InputError` if not."""
    if not _CALL_ID.fullmatch(call):
        raise InputError(
            f"call id {call!r} cannot name a record: use 1 to 64 letters, digits, '-' and '_', "
            f"best a UUID, never a phone number"
        )


def genesis(call: CallId) -> str:
    """What the first event of *call* names as the record before it."""
    return hashlib.sha256(b"trunkline journal\n" + call.encode()).hexdigest()


def digest(record: bytes) -> str:
    """SHA-256 of a record or a blob's content, in hexadecimal."""
    return hashlib.sha256(record).hexdigest()


def encode_payload(type: str, data: Mapping[str, object]) -> bytes:
    """*data* as canonical JSON; `InputError` if it holds what JSON cannot.

    Infinities and NaN become null; half of a surrogate pair, which a model's stream may really
    deliver, becomes U+FFFD.
    """
    try:
        if not _FLAT.issuperset(map(_kind, data.values())):
            _refuse_bytes(data)
        return _encoder.encode(data)
    except UnicodeEncodeError:
        return _encoder.encode(_mended(data))
    except (TypeError, msgspec.MsgspecError, RecursionError) as error:
        raise InputError(
            f"event {type!r} cannot be journaled: {error}. Payloads are JSON; bytes go by reference"
        ) from error


def make(
    id: str,
    where: Where,
    type: str,
    times: tuple[Mono, Sample | None, Wall],
    *,
    data_class: DataClass,
    zone: str,
    payload: bytes,
    ref: Ref | None,
    prev: str,
    secret: CallSecret | None = None,
) -> Envelope:
    """The envelope of an event whose *payload* is encoded; *times*: mono, sample, wall.

    *secret* seals the payload, unless it is one of `READABLE`.
    """
    mono, sample, wall = times
    sealed = b""
    if secret is not None and type not in READABLE:
        sealed, payload = secret.seal(payload, event_place(where.call, id)), b"{}"
    return Envelope(
        v=SCHEMA,
        id=id,
        call=where.call,
        turn=where.turn,
        step=where.step,
        attempt=where.attempt,
        type=type,
        mono=round(mono, 6),
        sample=sample,
        wall=round(wall, 6),
        data_class=data_class.value,
        zone=zone,
        data=msgspec.Raw(payload),
        sealed=sealed,
        ref=ref,
        prev=prev,
    )


def encode_event(head: bytes, envelope: Envelope) -> bytes:
    """*envelope* as a record behind *head* (see `record_head`)."""
    return head + _encoder.encode(envelope)


def record_head(kind: int, call: CallId) -> bytes:
    """The first bytes of every record of *kind* of *call*."""
    return bytes((kind, len(call))) + call.encode("ascii")


def split(record: bytes) -> tuple[int, CallId, bytes]:
    """A record's kind, call and content; `RecordError` if it is none."""
    end = 2 + record[1] if len(record) > 1 else 0
    if record[0] not in (EVENT, BLOB, KEY) or not 2 < end <= len(record):
        raise RecordError(f"not a journal record: it begins with {record[:8]!r}")
    return record[0], CallId(record[2:end].decode("ascii", "replace")), record[end:]


def decode_event(content: bytes) -> Envelope:
    """The envelope of an event's *content*; `RecordError` if damaged or of a newer schema."""
    try:
        envelope = _decoder.decode(content)
    except msgspec.MsgspecError as error:
        raise RecordError(f"an event cannot be read: {error}") from error
    if envelope.v > SCHEMA:
        raise RecordError(
            f"event {envelope.id} has schema version {envelope.v}; this Trunkline reads up to "
            f"{SCHEMA}. Read it with the release that wrote it"
        )
    return envelope


class Chain:
    """Verifies that records of one call follow one another; keeps no payload."""

    def __init__(self) -> None:
        self.prev = ""
        self.events = 0
        self.last: Envelope | None = None

    @property
    def closed(self) -> bool:
        """Whether the last event was the closing one."""
        return self.last is not None and self.last.type == CLOSED

    def feed(self, record: bytes) -> Envelope | None:
        """Take the next record: its envelope, None for a blob.

        Raises `RecordError`, and stays as it was, if the record does not belong there.
        """
        kind, call, content = split(record)
        if kind == BLOB:
            return None
        if kind != EVENT:
            raise RecordError("the record of a key does not belong in a journal")
        envelope = decode_event(content)
        if envelope.prev != (self.prev or genesis(call)) or envelope.call != call:
            raise RecordError(
                f"the chain is broken at event {envelope.id} ({envelope.type}): it does not "
                f"follow the event before it. Something was removed, changed or inserted"
            )
        if self.closed:
            raise RecordError(f"event {envelope.id} ({envelope.type}) follows the closing event")
        self.prev, self.last = digest(record), envelope
        self.events += 1
        return envelope


def to_event(envelope: Envelope, blob: bytes | None, secret: CallSecret | None = None) -> Event:
    """The event that was noted; *blob* is what its reference names, None if it was not found.

    *secret* opens what is sealed; `RecordError` if that is needed and not given. Audio whose key
    was destroyed is not there, and its event says so (`erased`).
    """
    ref = envelope.ref
    raw = bytes(envelope.data)
    if secret is None and (envelope.sealed or (ref is not None and ref.sealed)):
        raise RecordError(
            f"call {envelope.call} is sealed and its key is not here: either it was erased, or the "
            f"key-encryption key is not given (records.key_file, key_env or key_command)"
        )
    if secret is not None and envelope.sealed:
        raw = secret.open(envelope.sealed, event_place(envelope.call, envelope.id))
    if ref is not None:
        if blob is None:
            raise RecordError(f"event {envelope.id} ({envelope.type}): its blob is not there")
        if secret is not None and ref.sealed:
            opens = secret.open_voice if ref.form == VOICE else secret.open
            blob = opens(blob, blob_place(envelope.call))
        raw = blob if ref.form == "json" and blob is not None else raw
    try:
        data = _payload_decoder.decode(raw)
        data_class = DataClass(envelope.data_class)
    except (msgspec.MsgspecError, ValueError) as error:
        raise RecordError(
            f"event {envelope.id} ({envelope.type}) cannot be read: {error}"
        ) from error
    if ref is not None and ref.form != "json":
        data |= {"erased": True} if blob is None else {ref.form: blob}
    return Event(
        schema=envelope.v,
        id=envelope.id,
        where=Where(CallId(envelope.call), envelope.turn, envelope.step, envelope.attempt),
        type=envelope.type,
        mono=Mono(envelope.mono),
        sample=None if envelope.sample is None else Sample(envelope.sample),
        wall=Wall(envelope.wall),
        data_class=data_class,
        zone=envelope.zone,
        data=data,
    )


def _kind(value: object) -> type:
    return value.__class__


def _refuse_bytes(value: object) -> None:
    # msgspec would quietly write them as base64.
    if isinstance(value, bytes | bytearray | memoryview):
        raise TypeError(f"{type(value).__name__} are never inline")
    if isinstance(value, Mapping):
        value = value.values()
    elif not isinstance(value, list | tuple | set | frozenset):
        return
    for item in value:
        _refuse_bytes(item)


def _mended(value: object) -> object:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, Mapping):
        return {_mended(key): _mended(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_mended(item) for item in value]
    return value
