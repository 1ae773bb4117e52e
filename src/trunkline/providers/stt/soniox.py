"""Soniox' real-time recognition, `transcribe-websocket`.

Audio goes out in binary messages, the caller's mu-law as it was on the line. Results are tokens,
parts of words with their own blanks: those that are final come once and stay, the others are told
anew each time. The utterance ends with an empty message; then all tokens become final, and the last
message says `finished`, so a connection serves one utterance. Soniox' own endpoint detection is
off: Trunkline decides when the caller has finished.

Audio is to come about as fast as it is spoken. A backup gets what was said before it was asked at
once, which is a short burst; of long ones the documents say that they may be cut.

Sources, read November 2026, not verified against the live service: soniox.com/docs (api-reference
"WebSocket API": the key is in the `Authorization` header, in the first message it is deprecated and
refused from January 2027; "Real-time transcription", "Error handling") and the SDK `soniox` 2.10.0
(`types/realtime.py`, `types/common.py`, `realtime/async_stt.py`).

Options: `languages` (a list of ISO 639-1 hints), `terms` (a list of words to expect), `reference`
(the caller's id of a request, for the bill).
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from trunkline.contracts import Exchange, Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.media.g711 import mulaw_encode
from trunkline.net.closing import closing_fault
from trunkline.providers.options import Options
from trunkline.providers.refusals import refusal
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Sample, Transcript, Word

_KEEPALIVE = '{"type":"keepalive"}'
_KEEPALIVE_S = 5.0
_MARKERS = {"<end>", "<fin>"}  # control tokens, no words


class _Token(msgspec.Struct):
    text: str
    start_ms: float | None = None
    end_ms: float | None = None
    is_final: bool | None = None


class _Message(msgspec.Struct):
    tokens: list[_Token] | None = None  # None: a message of another kind
    finished: bool | None = None
    error_code: int | None = None
    error_message: str | None = None


_decoder = msgspec.json.Decoder(_Message)


class Soniox:
    """`DuplexCodec[AudioFrame, Transcript]`; the endpoint's model is Soniox', such as stt-rt-v5."""

    reuse_s = 0.0
    keepalive = (_KEEPALIVE, _KEEPALIVE_S)
    gives_interims = True

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        config: dict[str, object] = {
            "model": endpoint.model,
            "audio_format": "mulaw",
            "sample_rate": SAMPLE_RATE,
            "num_channels": 1,
            "enable_endpoint_detection": False,
        }
        if languages := read.texts("languages"):
            config["language_hints"] = list(languages)
        if terms := read.texts("terms"):
            config["context"] = {"terms": list(terms)}
        if (reference := read.optional_text("reference")) is not None:
            config["client_reference_id"] = reference
        read.done()
        self._hello = msgspec.json.encode(config).decode()

    def handshake(self, key: str | None, /) -> Handshake:
        """All settings are in the first message, the key is a bearer token."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return Handshake("transcribe-websocket", (), headers, (self._hello,))

    def exchange(self, _ordinal: int, /) -> Exchange[AudioFrame, Transcript]:
        """A fresh utterance."""
        return _Utterance(self._endpoint)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return refusal(self._endpoint, status, headers, body)


class _Utterance:
    """`Exchange[AudioFrame, Transcript]`."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._anchors = Anchors()
        self._tokens: list[_Token] = []  # those that are final
        self._told = ""
        self._closing = False
        self.done = False
        self.wants_more = True

    def begin(self) -> Sequence[WireMessage]:
        """Nothing: the first message of the connection said it."""
        return ()

    def take(self, item: AudioFrame, /) -> Sequence[WireMessage]:
        """The frame's audio; an empty message would end the stream."""
        if not item.pcm:
            return ()
        self._anchors.add(item)
        return (mulaw_encode(np.frombuffer(item.pcm, "<i2")),)

    def finish(self) -> Sequence[WireMessage]:
        """Ask for the rest."""
        self._closing = True
        return ("",)

    def leave(self) -> Sequence[WireMessage]:
        """Nothing that could be said would stop it; closing does."""
        return ()

    def receive(self, message: WireMessage, /) -> Reaction[Transcript]:
        """An interim transcript if it has changed; the final one at `finished`."""
        try:
            told = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not a message of Soniox': {exc}") from None
        if told.error_code is not None:
            # The codes are those of HTTP; 503 asks to begin anew, which is for others to decide.
            raise refusal(
                self._endpoint, told.error_code, {}, b"", said=told.error_message or "no reason"
            )
        if told.tokens is None and not told.finished:
            return Reaction()
        tokens = [it for it in told.tokens or [] if it.text not in _MARKERS]
        self._tokens += [it for it in tokens if it.is_final]
        if told.finished:
            if not self._closing:
                raise self._fault(Fault.CUT, "ended the stream before the utterance did")
            self.done = True
            return Reaction((self._transcript(self._tokens, final=True),))
        interim = self._transcript(
            [*self._tokens, *(it for it in tokens if not it.is_final)], final=False
        )
        if interim.text == self._told:
            return Reaction()
        self._told = interim.text
        return Reaction((interim,))

    def closed(self, code: int, reason: str, /) -> Sequence[Transcript]:
        """Raises: `finished` comes before a proper end."""
        raise closing_fault(self._endpoint, code, reason)

    def _transcript(self, tokens: Sequence[_Token], *, final: bool) -> Transcript:
        text = " ".join("".join(it.text for it in tokens).split())
        return Transcript(text, final, tuple(self._words(tokens)))

    def _words(self, tokens: Sequence[_Token]) -> Sequence[Word]:
        """Tokens that are not parted by a blank are one word; those without times are none."""
        parts: list[list[_Token]] = []
        for token in tokens:
            if not parts or token.text[:1].isspace() or parts[-1][-1].text[-1:].isspace():
                parts.append([])
            parts[-1].append(token)
        spans = [("".join(it.text for it in part).strip(), part[0], part[-1]) for part in parts]
        return [
            Word(text, *self._span(first.start_ms, last.end_ms))
            for text, first, last in spans
            if text and first.start_ms is not None and last.end_ms is not None
        ]

    def _span(self, start_ms: float, end_ms: float) -> tuple[Sample, Sample]:
        if not self._anchors.heard:
            raise self._fault(Fault.MALFORMED, "words of audio that it never got")
        return self._anchors.span(*(round(at * SAMPLE_RATE / 1_000) for at in (start_ms, end_ms)))

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)
