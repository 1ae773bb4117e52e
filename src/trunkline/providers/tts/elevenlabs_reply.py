"""One reply on ElevenLabs' multi-context WebSocket: phrases to messages, messages to speech."""

import base64
import binascii
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from trunkline.contracts import Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.media.g711 import mulaw_decode
from trunkline.net.closing import closing_fault
from trunkline.providers.tts.marks import WordMarks
from trunkline.types import SAMPLE_RATE, Phrase, Speech

TEXT_MAX = 2_000
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


class _Context:
    """One phrase under way."""

    def __init__(self, phrase: Phrase) -> None:
        self.phrase = phrase
        self.marks = WordMarks(phrase.text)
        self.samples = 0
        self.rest = b""  # half a sample
        self.held: list[Speech] = []
        self.ended = False


class Reply:
    """`Exchange[Phrase, Speech]`."""

    def __init__(self, endpoint: str, ordinal: int, terms: Terms) -> None:
        self._endpoint, self._ordinal, self._terms = endpoint, ordinal, terms
        self._contexts: deque[tuple[str, _Context]] = deque()  # in the order of their phrases
        self._finished = False

    @property
    def done(self) -> bool:
        """Every phrase that was taken is complete, and there will be no other."""
        return self._finished and not self._contexts

    @property
    def wants_more(self) -> bool:
        """So many phrases may be under way."""
        return len(self._contexts) < self._terms.ahead

    def begin(self) -> Sequence[WireMessage]:
        """Nothing: contexts are opened as phrases come."""
        return ()

    def take(self, item: Phrase, /) -> Sequence[WireMessage]:
        """A context with the phrase, complete."""
        if len(item.text) > TEXT_MAX:
            raise self._fault(
                Fault.REFUSED,
                f"a phrase of {len(item.text)} characters; {TEXT_MAX} at most: split at sentences",
            )
        name = f"{self._ordinal}.{item.index}"
        context = _Context(item)
        self._contexts.append((name, context))
        opening: dict[str, object] = {"text": " ", "context_id": name}
        if self._terms.settings:
            opening["voice_settings"] = dict(self._terms.settings)
        # Text is to end in a space: it may be a part of more.
        text = {"text": f"{item.text.strip()} ", "context_id": name, "flush": True}
        close = {"context_id": name, "close_context": True}
        return tuple(msgspec.json.encode(it).decode() for it in (opening, text, close))

    def finish(self) -> Sequence[WireMessage]:
        """Nothing: each phrase has its end."""
        self._finished = True
        return ()

    def leave(self) -> Sequence[WireMessage]:
        """Nothing that could be said would stop it; closing does."""
        return ()

    def receive(self, message: WireMessage, /) -> Reaction[Speech]:
        """The audio of the first phrase under way; that of the second is held back."""
        try:
            told = _decoder.decode(message)
            audio = base64.b64decode(told.audio or "", validate=True)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as exc:
            raise self._fault(Fault.MALFORMED, f"not a message of ElevenLabs': {exc}") from None
        if told.error or told.code:
            raise self._failed(told)
        name = told.contextId or told.context_id
        context = next((it for its, it in self._contexts if its == name), None)
        if context is None:
            return Reaction()  # of a reply that was left
        if audio or told.alignment is not None:
            self._sound(context, audio, told.alignment)
        if told.isFinal:
            self._end(context)
        return Reaction(self._due())

    def closed(self, code: int, reason: str, /) -> Sequence[Speech]:
        """Raises: `isFinal` comes before a proper end."""
        raise closing_fault(self._endpoint, code, reason)

    def _sound(self, context: _Context, audio: bytes, alignment: _Alignment | None) -> None:
        if self._terms.mulaw:
            pcm = mulaw_decode(audio).tobytes()
        else:
            whole = context.rest + audio
            even = len(whole) - len(whole) % 2
            pcm, context.rest = whole[:even], whole[even:]
        chars, starts = [], None
        if alignment is not None:
            chars = alignment.chars or []
            starts = alignment.charStartTimesMs or alignment.charsStartTimesMs
        if len(chars) != len(starts or []):
            raise self._fault(Fault.MALFORMED, f"{len(chars)} characters with other times")
        before = context.samples
        at = [round(start * SAMPLE_RATE / 1_000) for start in starts or []]
        # Relative times begin near 0, others near the end of the audio so far: half-way decides.
        if at and 2 * at[0] < before:
            at = [before + it for it in at]
        words = context.marks.place(zip(chars, at, strict=True))
        context.samples += len(pcm) // 2
        context.held.append(Speech(context.phrase.index, pcm, words))

    def _end(self, context: _Context) -> None:
        if not context.samples and context.marks.speakable:
            raise self._fault(Fault.EMPTY, "finished a phrase without any audio")
        if context.marks.cut_short:
            raise self._fault(Fault.CUT, "finished a phrase in the middle of its text")
        context.ended = True
        context.held.append(Speech(context.phrase.index, b"", (), last=True))

    def _due(self) -> Sequence[Speech]:
        due: list[Speech] = []
        while self._contexts:
            _, first = self._contexts[0]
            due += first.held
            first.held = []
            if not first.ended:
                break
            self._contexts.popleft()
        return due

    def _failed(self, told: _Message) -> EndpointError:
        said = " ".join(f"{told.error or ''} {told.message or ''}".split())[:_DETAIL_CHARS]
        if told.error in _THROTTLING:
            return self._fault(Fault.THROTTLED, said)
        return closing_fault(self._endpoint, told.code or 1011, said)

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)
