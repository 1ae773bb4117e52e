"""What OpenAI's transcription, and those who speak like it, answer: JSON, or server-sent events."""

from collections.abc import Sequence

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.net.sse import SseParser
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, Transcript, Word

_ANSWER_BYTES = 1 << 20
_NO_SPEECH = 0.6


class _Word(msgspec.Struct):
    word: str
    start: float
    end: float


class _Segment(msgspec.Struct):
    no_speech_prob: float = 0.0


class _Answer(msgspec.Struct):
    text: str
    words: list[_Word] | None = None
    segments: list[_Segment] | None = None


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta | None = None


class _Event(msgspec.Struct):
    type: str = ""
    delta: str | None = None
    text: str | None = None
    choices: list[_Choice] = []
    error: object = None


_answers = msgspec.json.Decoder(_Answer)
_events = msgspec.json.Decoder(_Event)


class WholeAnswer:
    """`Decoder[Transcript]` of JSON."""

    def __init__(self, endpoint: str, anchors: Anchors) -> None:
        self._endpoint, self._anchors = endpoint, anchors
        self._body = bytearray()

    def feed(self, event: bytes, /) -> Sequence[Transcript]:
        """Nothing yet; `MALFORMED` if it does not end."""
        self._body += event
        if len(self._body) > _ANSWER_BYTES:
            raise self._fault(f"an answer of more than {_ANSWER_BYTES} bytes")
        return ()

    def end(self) -> Sequence[Transcript]:
        """The final transcript."""
        try:
            told = _answers.decode(self._body)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(f"not a transcription: {exc}") from None
        segments = told.segments or []
        unsure = bool(segments) and all(it.no_speech_prob > _NO_SPEECH for it in segments)
        words = tuple(map(self._word, told.words or []))
        return (Transcript(told.text.strip(), True, words, unsure),)

    def _word(self, word: _Word) -> Word:
        start, end = (round(at * SAMPLE_RATE) for at in (word.start, word.end))
        if not self._anchors.heard:
            raise self._fault("words of audio that it never got")
        return Word(word.word.strip(), *self._anchors.span(start, end))

    def _fault(self, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, Fault.MALFORMED, detail)


class StreamedAnswer:
    """`Decoder[Transcript]` of server-sent events."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._parser = SseParser(endpoint)
        self._text, self._done = "", False

    def feed(self, event: bytes, /) -> Sequence[Transcript]:
        """The text so far, and the final one when it is said to be that."""
        transcripts: list[Transcript] = []
        for data in self._parser.feed(event):
            transcripts += self._event(data)
        return transcripts

    def end(self) -> Sequence[Transcript]:
        """Nothing more; `CUT` if it was not said that this is all."""
        if not self._done:
            raise EndpointError(self._endpoint, Fault.CUT, "ended without transcript.text.done")
        return ()

    def _event(self, data: bytes) -> Sequence[Transcript]:
        if data == b"[DONE]":
            return self._final(self._text)
        try:
            told = _events.decode(data)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            detail = f"not an event of a transcription: {exc}"
            raise EndpointError(self._endpoint, Fault.MALFORMED, detail) from None
        if told.type == "error" or told.error is not None:
            detail = data.decode(errors="replace")[:300]
            raise EndpointError(self._endpoint, Fault.UNAVAILABLE, detail)
        if told.type == "transcript.text.done":
            return self._final(self._text if told.text is None else told.text)
        more = told.delta if told.type == "transcript.text.delta" else None
        more = more or "".join(it.delta.content or "" for it in told.choices if it.delta)
        if not more:
            return ()
        self._text += more
        return (Transcript(self._text.strip(), False),)

    def _final(self, text: str) -> Sequence[Transcript]:
        if self._done:
            return ()
        self._done = True
        return (Transcript(text.strip(), True),)
