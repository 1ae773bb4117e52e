"""One reply on ElevenLabs' multi-context WebSocket: phrases to messages, messages to speech."""

import base64
import binascii
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import msgspec

from trunkline.contracts import Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.net.closing import closing_fault
from trunkline.providers.tts.contexts import Context, ContextReply
from trunkline.types import SAMPLE_RATE, Phrase, Speech

_DETAIL_CHARS = 300
_THROTTLING = {
    "rate_limit_exceeded",
    "too_many_concurrent_requests",
    "concurrent_limit_exceeded",
    "max_active_conversations",
    "system_busy",
}


class _Alignment(msgspec.Struct):
    chars: list[str] | None = None
    charStartTimesMs: list[float] | None = None  # noqa: N815  # the wire's name
    charsStartTimesMs: list[float] | None = None  # noqa: N815  # and its older one


class _Message(msgspec.Struct):
    contextId: str | None = None  # noqa: N815  # documented
    context_id: str | None = None  # and seen
    audio: str | None = None
    alignment: _Alignment | None = None
    isFinal: bool | None = None  # noqa: N815  # the wire's name
    error: str | None = None
    message: str | None = None
    code: int | None = None


_decoder = msgspec.json.Decoder(_Message)


@dataclass(frozen=True, slots=True)
class Terms:
    """What is the same for all replies: voice *settings*, phrases *ahead*, mu-law or linear."""

    settings: Mapping[str, float]
    ahead: int
    mulaw: bool


class Reply(ContextReply):
    """`Exchange[Phrase, Speech]`."""

    def __init__(self, endpoint: str, ordinal: int, terms: Terms) -> None:
        super().__init__(endpoint, ordinal, ahead=terms.ahead, mulaw=terms.mulaw)
        self._settings = dict(terms.settings)

    def take(self, item: Phrase, /) -> Sequence[WireMessage]:
        """A context with the phrase, complete."""
        name = self.add(item)
        opening: dict[str, object] = {"text": " ", "context_id": name}
        if self._settings:
            opening["voice_settings"] = self._settings
        # Text is to end in a space: it may be a part of more.
        text = {"text": f"{item.text.strip()} ", "context_id": name, "flush": True}
        close = {"context_id": name, "close_context": True}
        return tuple(msgspec.json.encode(it).decode() for it in (opening, text, close))

    def leave(self) -> Sequence[WireMessage]:
        """Nothing that could be said would stop a context; closing does."""
        return self.finish()

    def receive(self, message: WireMessage, /) -> Reaction[Speech]:
        """The audio of the first phrase under way; that of the second is held back."""
        try:
            told = _decoder.decode(message)
            audio = base64.b64decode(told.audio or "", validate=True)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as exc:
            raise self.fault(Fault.MALFORMED, f"not a message of ElevenLabs': {exc}") from None
        if told.error or told.code:
            raise self._failed(told)
        context = self.find(told.contextId or told.context_id)
        if context is None:
            return Reaction()
        context.hear(audio, self._characters(context, told.alignment or _Alignment()))
        if told.isFinal:
            self.end(context)
        return Reaction(self.due())

    def _characters(self, context: Context, told: _Alignment) -> Iterable[tuple[str, int]]:
        chars = told.chars or []
        starts = told.charStartTimesMs or told.charsStartTimesMs or []
        if len(chars) != len(starts):
            raise self.fault(Fault.MALFORMED, f"{len(chars)} characters, {len(starts)} times")
        at = [round(start * SAMPLE_RATE / 1_000) for start in starts]
        # Relative times begin near 0, others near the end of the audio so far: half-way decides.
        if at and 2 * at[0] < context.samples:
            at = [context.samples + it for it in at]
        return zip(chars, at, strict=True)

    def _failed(self, told: _Message) -> EndpointError:
        said = " ".join(f"{told.error or ''} {told.message or ''}".split())[:_DETAIL_CHARS]
        if told.error in _THROTTLING:
            return self.fault(Fault.THROTTLED, said)
        return closing_fault(self._endpoint, told.code or 1011, said)
