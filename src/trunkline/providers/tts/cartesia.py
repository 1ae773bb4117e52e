"""Cartesia's synthesis over a WebSocket, `tts/websocket`.

Each phrase is a context of its own, sent whole (`continue` is false), so that its `done` tells
where its audio ends; two are under way at once. Words come with their times in messages of their
own, in seconds of the context. A context that is left is cancelled; what it still sends is ignored,
and when its `done` comes in time the connection serves the next reply.

Sources: docs.cartesia.ai/2026-03-01/api-reference/tts/websocket and its page on contexts, the types
of the SDK `cartesia` 4.2.0 (`websocket_response.py`, `generation_request.py`), read November 2026;
not verified against the live service.

Options: `voice` (its id; needed), `output` (`pcm_mulaw` or `pcm_s16le`), `language`, `speed` (not
given: the voice's own), `phrases_ahead` (each counts against the generations at once of a plan).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec

from trunkline.contracts import Exchange, Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.providers.options import Bounds, Options
from trunkline.providers.refusals import refusal
from trunkline.providers.tts.contexts import ContextReply
from trunkline.types import SAMPLE_RATE, Endpoint, Phrase, Speech

VERSION = "2026-03-01"


class _Words(msgspec.Struct):
    words: list[str]
    start: list[float]


class _Message(msgspec.Struct):
    type: str = ""
    context_id: str | None = None
    data: str | None = None
    done: bool | None = None
    word_timestamps: _Words | None = None
    status_code: int | None = None
    error_code: str | None = None
    title: str | None = None
    message: str | None = None


_decoder = msgspec.json.Decoder(_Message)


class Cartesia:
    """`DuplexCodec[Phrase, Speech]`; the endpoint's model is Cartesia's, such as sonic-3."""

    reuse_s = 60.0
    keepalive = None

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        encoding = read.choice("output", ("pcm_mulaw", "pcm_s16le"))
        self._mulaw = encoding == "pcm_mulaw"
        self._request: dict[str, object] = {
            "model_id": endpoint.model,
            "voice": {"mode": "id", "id": read.text("voice", "")},
            "language": read.text("language", "en"),
            "output_format": {
                "container": "raw",
                "encoding": encoding,
                "sample_rate": SAMPLE_RATE,
            },
            "add_timestamps": True,
            "continue": False,
        }
        if (speed := read.optional("speed", Bounds(1.0, 0.6, 1.5, "1: as it is"))) is not None:
            self._request["generation_config"] = {"speed": speed}
        self._ahead = read.whole("phrases_ahead", Bounds(2, 1, 4, "contexts of one reply"))
        read.done()

    def handshake(self, key: str | None, /) -> Handshake:
        """The version is in the query, the key in a header of Cartesia's own."""
        headers = {} if key is None else {"X-API-Key": key}
        return Handshake("tts/websocket", (("cartesia_version", VERSION),), headers)

    def exchange(self, ordinal: int, /) -> Exchange[Phrase, Speech]:
        """A fresh reply; *ordinal* keeps its contexts apart from those of earlier ones."""
        return _Reply(self._endpoint, ordinal, self._request, self._ahead, mulaw=self._mulaw)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return refusal(self._endpoint, status, headers, body)


class _Reply(ContextReply):
    """`Exchange[Phrase, Speech]`."""

    def __init__(
        self,
        endpoint: str,
        ordinal: int,
        request: Mapping[str, object],
        ahead: int,
        *,
        mulaw: bool,
    ) -> None:
        super().__init__(endpoint, ordinal, ahead=ahead, mulaw=mulaw)
        self._request = request
        self._left = False

    def take(self, item: Phrase, /) -> Sequence[WireMessage]:
        """A context with the phrase, complete."""
        name = self.add(item)
        request = {**self._request, "context_id": name, "transcript": item.text}
        return (msgspec.json.encode(request).decode(),)

    def leave(self) -> Sequence[WireMessage]:
        """Cancel the contexts that are open."""
        self._left = True
        self.finish()
        cancels = [{"context_id": it.name, "cancel": True} for it in self.open]
        return tuple(msgspec.json.encode(it).decode() for it in cancels)

    def receive(self, message: WireMessage, /) -> Reaction[Speech]:
        """The audio and the words of the first phrase under way; the second is held back."""
        try:
            told = _decoder.decode(message)
            audio = base64.b64decode(told.data or "", validate=True)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as exc:
            raise self.fault(Fault.MALFORMED, f"not a message of Cartesia's: {exc}") from None
        context = self.find(told.context_id)
        if context is None and (told.context_id is not None or told.type != "error"):
            return Reaction()  # of a reply that was left, or not known
        if context is not None and self._left:
            if told.done:
                self.open.remove(context)
            return Reaction()
        if told.type == "error" or context is None:
            raise self._failed(told)
        timed = told.word_timestamps or _Words([], [])
        if len(timed.words) != len(timed.start):
            raise self.fault(Fault.MALFORMED, "words and times that do not pair")
        at = (round(start * SAMPLE_RATE) for start in timed.start)
        context.hear(audio, zip(timed.words, at, strict=True))
        if told.done:
            self.end(context)
        return Reaction(self.due())

    def _failed(self, told: _Message) -> EndpointError:
        said = ": ".join(it for it in (told.error_code, told.title, told.message) if it)
        return refusal(self._endpoint, told.status_code or 500, {}, b"", said=said or "an error")
