"""Twilio Media Streams as pure functions, both sides of the socket; no I/O, no clock.

Protocol (twilio.com/docs/voice/media-streams/websocket-messages, read November 2026): JSON text
messages, told apart by `event`; a binary message is an error to Twilio (31950).

    carrier -> us   connected, start, then media, dtmf, mark (the echo of ours), and stop
    us -> carrier   media, mark, clear, each with the `streamSid` of the start message

Audio is base64 of G.711 mu-law, 8 kHz mono. Numbers travel as strings; plain numbers are taken too.

What is tolerated, and what is not:

* An unknown event or an unknown field is ignored: Twilio adds them without a new version.
* A payload need not be 20 ms long; whoever needs frames of one length cuts them.
* A repeated or late chunk (its number not above the last one's) is dropped and counted: over one
  TCP connection it means that the carrier itself was late, and a live ear cannot use the past.
* Missing chunks show as a jump of `Media.at`, which never goes back: a frame that overlaps the one
  before by up to 20 ms is moved behind it, one from further back is late, and dropped and counted.
  Whether a time is in the future only a clock can tell: see `leg`.
* Anything malformed, too big or out of sequence is an `InputError`, and the leg should end:
  a peer that breaks its protocol once cannot be trusted to mean the next message.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, TypeVar

import msgspec

from trunkline.contracts import CarrierEvent, Digit, MarkPlayed, Media, Started, Stopped
from trunkline.errors import InputError
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, Sample

MESSAGE_BYTES_MAX: Final = 32 * 1024
"""One message of the carrier: a 20 ms frame takes 330 bytes, a start with long parameters 8 kB."""
AGENT_MESSAGE_BYTES_MAX: Final = 256 * 1024
"""One message to the carrier: 24 s of audio in one piece, more than any synthesis sends at once."""
PARAMETERS_MAX: Final = 32
"""`<Parameter>`s of a stream: we send a handful."""
PARAMETER_CHARS_MAX: Final = 500
"""A `<Parameter>`'s name or value: Twilio's limit for both together."""
_SAMPLES_PER_MS: Final = SAMPLE_RATE // 1000
_OVERLAP_SAMPLES: Final = FRAME_SAMPLES

_T = TypeVar("_T")

Name = Annotated[str, msgspec.Meta(min_length=1, max_length=256)]
# 24 hours is the longest call that Twilio allows; what is beyond it is not a gap but nonsense.
Milliseconds = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
Chunk = Annotated[int, msgspec.Meta(ge=0, le=86_400_000)]
ParameterText = Annotated[str, msgspec.Meta(max_length=PARAMETER_CHARS_MAX)]
Parameters = Annotated[dict[ParameterText, ParameterText], msgspec.Meta(max_length=PARAMETERS_MAX)]
Key = Annotated[str, msgspec.Meta(pattern="^[0-9A-D*#]$")]


class _Base(msgspec.Struct, tag_field="event", rename="camel"):
    """What every message has. `stream_sid` may be missing: only Twilio itself always sends it."""

    stream_sid: str = ""


class _Connected(_Base, tag="connected"):
    protocol: str = "Call"
    version: str = "1.0.0"


class _MediaFormat(msgspec.Struct, rename="camel"):
    encoding: str = "audio/x-mulaw"
    sample_rate: int = SAMPLE_RATE
    channels: int = 1


class _StartBody(msgspec.Struct, rename="camel"):
    stream_sid: Name
    call_sid: Name
    account_sid: str = ""
    tracks: list[str] = msgspec.field(default_factory=lambda: ["inbound"])
    custom_parameters: Parameters = msgspec.field(default_factory=dict)
    media_format: _MediaFormat = msgspec.field(default_factory=_MediaFormat)


class _Start(_Base, tag="start", kw_only=True):
    start: _StartBody
    sequence_number: str = "1"


class _MediaBody(msgspec.Struct):
    payload: bytes  # msgspec reads and writes bytes as strict base64
    chunk: Chunk = 0
    timestamp: Milliseconds | None = None
    track: str = "inbound"


class _Media(_Base, tag="media", kw_only=True):
    media: _MediaBody


class _DtmfBody(msgspec.Struct):
    digit: Key
    track: str = "inbound_track"


class _Dtmf(_Base, tag="dtmf", kw_only=True):
    dtmf: _DtmfBody
    sequence_number: str = "0"


class _MarkBody(msgspec.Struct):
    name: Name


class _Mark(_Base, tag="mark", kw_only=True):
    mark: _MarkBody


class _Stop(_Base, tag="stop"):
    pass


class _Clear(_Base, tag="clear"):
    pass


class _Event(msgspec.Struct):
    event: str


_FromCarrier = _Connected | _Start | _Media | _Dtmf | _Mark | _Stop
_ToCarrier = _Media | _Mark | _Clear

# Not strict: Twilio sends its numbers as strings, and the copies of its protocol send numbers.
_from_carrier: Final[msgspec.json.Decoder[_FromCarrier]] = msgspec.json.Decoder(
    _FromCarrier, strict=False
)
_to_carrier: Final[msgspec.json.Decoder[_ToCarrier]] = msgspec.json.Decoder(
    _ToCarrier, strict=False
)
_event: Final = msgspec.json.Decoder(_Event)
_encode: Final = msgspec.json.Encoder().encode
_FROM_CARRIER: Final = frozenset({"connected", "start", "media", "dtmf", "mark", "stop"})
_TO_CARRIER: Final = frozenset({"media", "mark", "clear"})


def media(stream: str, mulaw: bytes) -> bytes:
    """A `media` message: play *mulaw* (any length) behind what the carrier has."""
    return _encode(
        {"event": "media", "streamSid": stream, "media": {"payload": mulaw}}
    )  # no more fields than documented: Twilio warns of others (31951)


def mark(stream: str, name: str) -> bytes:
    """A `mark` message: the carrier echoes *name* when it has played all that was sent before."""
    return _encode({"event": "mark", "streamSid": stream, "mark": {"name": name}})


def clear(stream: str) -> bytes:
    """A `clear` message: the carrier drops its audio and echoes the waiting marks at once."""
    return _encode({"event": "clear", "streamSid": stream})


class StreamDecoder:
    """Our side's reading half, one per socket: `decode` messages in the order of their arrival.

    *stream*: the id to send with, once started. *dropped*: repeated or late chunks so far.
    """

    __slots__ = ("_chunk", "_end", "_state", "dropped", "stream")

    def __init__(self) -> None:
        self._state = "new"
        self._chunk = 0
        self._end = Sample(0)
        self.stream = ""
        self.dropped = 0

    def decode(self, text: bytes | str) -> CarrierEvent | None:
        """The event of one message, None if it says nothing that a call needs.

        Raises `InputError` on a message that is malformed, too big or out of sequence.
        """
        message = _decode(text, _from_carrier, _FROM_CARRIER, MESSAGE_BYTES_MAX)
        if message is None or self._state == "stopped":
            return None  # the carrier's media may still be on the way when its stop is not
        if isinstance(message, _Connected | _Start):
            return self._opening(message)
        if self._state != "started":
            raise InputError(
                f"Twilio stream: {_name(message)!r} came before 'start'; "
                "the order is connected, start, media"
            )
        if message.stream_sid and message.stream_sid != self.stream:
            raise InputError(
                f"Twilio stream: a message for stream {message.stream_sid[:40]!r} came on the "
                f"socket of {self.stream!r}; one socket carries one stream"
            )
        match message:
            case _Media():
                return self._audio(message.media)
            case _Dtmf():
                return Digit(message.dtmf.digit)
            case _Mark():
                return MarkPlayed(message.mark.name)
            case _Stop():
                self._state = "stopped"
                return Stopped("the carrier ended the stream")

    def _opening(self, message: _Connected | _Start) -> Started | None:
        """Take `connected` then `start`, each once."""
        due = {"new": "connected", "connected": "start"}.get(self._state)
        if _name(message) != due:
            raise InputError(
                f"Twilio stream: {_name(message)!r} came where "
                f"{due or 'media'!r} was due; a stream is connected and started exactly once"
            )
        if isinstance(message, _Connected):
            self._state = "connected"
            return None
        body = message.start
        if body.media_format != _MediaFormat():
            form = body.media_format
            raise InputError(
                f"Twilio stream: start.mediaFormat is {form.encoding[:40]!r} {form.sample_rate} Hz "
                f"x {form.channels}; only audio/x-mulaw 8000 Hz x 1 is understood"
            )
        self._state, self.stream = "started", body.stream_sid
        return Started(body.call_sid, body.stream_sid, "", body.custom_parameters)

    def _audio(self, body: _MediaBody) -> Media | None:
        if body.track != "inbound" or not body.payload:
            return None  # our own voice, if someone configured both tracks, is not the caller's
        if body.chunk and body.chunk <= self._chunk:
            self.dropped += 1
            return None
        at = self._end if body.timestamp is None else Sample(body.timestamp * _SAMPLES_PER_MS)
        if at < self._end - _OVERLAP_SAMPLES:
            self.dropped += 1
            return None
        self._chunk, at = body.chunk, max(at, self._end)
        self._end = Sample(at + len(body.payload))
        return Media(body.payload, at)


@dataclass(frozen=True, slots=True)
class AgentAudio:
    """The agent wants *mulaw* (G.711 mu-law, 8 kHz) played behind what is waiting."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class AgentMark:
    """The agent wants *name* back when all audio before it has been played."""

    name: str


@dataclass(frozen=True, slots=True)
class AgentClear:
    """The agent wants the waiting audio dropped and the waiting marks back."""


AgentMessage = AgentAudio | AgentMark | AgentClear


class CarrierSide:
    """The carrier's side of one stream: what Twilio sends, and how it reads what it is sent."""

    def __init__(self, stream: str, call: str, account: str = "") -> None:
        self.stream, self.call, self.account = stream, call, account
        self._sequence = 0
        self._chunk = 0

    def connected(self) -> bytes:
        """The first message of a socket."""
        return _encode({"event": "connected", "protocol": "Call", "version": "1.0.0"})

    def start(self, parameters: Mapping[str, str]) -> bytes:
        """The second message: the stream's ids, and the `<Parameter>`s of its TwiML."""
        body = _StartBody(self.stream, self.call, self.account, custom_parameters=dict(parameters))
        return self._message("start", start=body)

    def media(self, mulaw: bytes, at: Sample) -> bytes:
        """One frame of the caller; *at*: its first sample, whole milliseconds (8 samples)."""
        self._chunk += 1
        body = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(at // _SAMPLES_PER_MS),
            "payload": mulaw,
        }
        return self._message("media", media=body)

    def dtmf(self, digit: str) -> bytes:
        """One key that the caller pressed."""
        return self._message("dtmf", dtmf={"track": "inbound_track", "digit": digit})

    def mark(self, name: str) -> bytes:
        """The echo of the agent's mark."""
        return self._message("mark", mark={"name": name})

    def stop(self) -> bytes:
        """The last message: the call ended or the stream was stopped."""
        body = {"accountSid": self.account, "callSid": self.call}
        return self._message("stop", stop=body)

    def decode(self, text: bytes | str) -> AgentMessage | None:
        """What the agent asks for; None: an event that this protocol does not know.

        Raises `InputError` on a malformed message or one for another stream (Twilio warns 31951).
        """
        message = _decode(text, _to_carrier, _TO_CARRIER, AGENT_MESSAGE_BYTES_MAX)
        if message is None:
            return None
        if message.stream_sid != self.stream:
            raise InputError(
                f"message to the carrier: streamSid is {message.stream_sid[:40]!r}, not "
                f"{self.stream!r}; send the streamSid of the start message"
            )
        match message:
            case _Media():
                return AgentAudio(message.media.payload)
            case _Mark():
                return AgentMark(message.mark.name)
            case _Clear():
                return AgentClear()

    def _message(self, event: str, **body: object) -> bytes:
        self._sequence += 1
        head = {"event": event, "sequenceNumber": str(self._sequence), "streamSid": self.stream}
        return _encode(head | body)


def _decode(
    text: bytes | str, decoder: msgspec.json.Decoder[_T], known: frozenset[str], bytes_max: int
) -> _T | None:
    """The message, None if its event is not *known*; `InputError` if it is broken or too big."""
    if len(text) > bytes_max:
        raise InputError(
            f"Twilio stream: a message of {len(text)} bytes; the limit is {bytes_max}. "
            "Send audio in shorter pieces"
        )
    try:
        return decoder.decode(text)
    except (ValueError, RecursionError) as broken:  # DecodeError and bad UTF-8 are ValueErrors
        if isinstance(broken, msgspec.ValidationError) and not _is_known(text, known):
            return None
        raise InputError(f"Twilio stream: a message that cannot be read: {broken}") from broken


def _is_known(text: bytes | str, known: frozenset[str]) -> bool:
    """Whether a message that did not fit is of an event that it had to fit."""
    try:
        return _event.decode(text).event in known
    except (ValueError, RecursionError):
        return True  # no event at all, or malformed behind what did not fit: broken


def _name(message: _FromCarrier) -> str:
    return str(message.__struct_config__.tag)
