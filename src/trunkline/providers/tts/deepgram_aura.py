"""Deepgram's synthesis over a WebSocket, `GET /v1/speak`.

Each phrase is spoken and flushed, and `Flushed` tells where its audio ends; audio comes in binary
messages, in the order of the text. Two phrases are under way at once, so that the second begins
without a gap. There are no word marks, so a seam is placed by the share of the time that the phrase
should take (`core.takes`).

A connection takes 20 flushes in 60 s, and answers a further one with a warning instead of audio. A
reply has not as many phrases, but connections that were shared by calls would: so each serves one
reply. A reply that is left is stopped by closing it.

Sources, read November 2026, not verified against the live service: developers.deepgram.com (pages
"tts-ws-flush", "tts-ws-clear", reference "Continuous Text Stream"), the types of the SDK
`deepgram-sdk` 7.17.0 (`speak/v1/types`) and LiveKit's plugin 1.8.9.

Options: `speed`, `mip_opt_out`. The endpoint's model names the voice.
"""

from collections.abc import Mapping, Sequence

import msgspec

from trunkline.contracts import Exchange, Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.providers.options import Bounds, Options
from trunkline.providers.refusals import refusal
from trunkline.providers.tts.contexts import ContextReply
from trunkline.types import SAMPLE_RATE, Endpoint, Phrase, Speech

_AHEAD = 2
_FLUSH = '{"type":"Flush"}'
_DETAIL_CHARS = 300


class _Message(msgspec.Struct):
    type: str = ""
    code: str | None = None
    description: str | None = None
    err_code: str | None = None
    err_msg: str | None = None
    warn_code: str | None = None
    warn_msg: str | None = None

    @property
    def said(self) -> str:
        """The reason, whatever it is called."""
        parts = (
            self.code or self.err_code or self.warn_code,
            self.description or self.err_msg or self.warn_msg,
        )
        return " ".join(part for part in parts if part)[:_DETAIL_CHARS]


_decoder = msgspec.json.Decoder(_Message)


class DeepgramAura:
    """`DuplexCodec[Phrase, Speech]`; the endpoint's model is a voice, such as aura-2-thalia-en."""

    reuse_s = 0.0
    keepalive = None

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        self._query = [
            ("model", endpoint.model),
            ("encoding", "mulaw"),
            ("sample_rate", str(SAMPLE_RATE)),
        ]
        if (speed := read.optional("speed", Bounds(1.0, 0.7, 1.5, "1: as it is"))) is not None:
            self._query.append(("speed", f"{speed:g}"))
        if read.flag("mip_opt_out", default=False):
            self._query.append(("mip_opt_out", "true"))
        read.done()

    def handshake(self, key: str | None, /) -> Handshake:
        """All settings are in the query, the key is in a header of Deepgram's own scheme."""
        headers = {} if key is None else {"Authorization": f"Token {key}"}
        return Handshake("speak", self._query, headers)

    def exchange(self, ordinal: int, /) -> Exchange[Phrase, Speech]:
        """A fresh reply."""
        return _Reply(self._endpoint, ordinal, ahead=_AHEAD, mulaw=True)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body and in the header `dg-error`."""
        return refusal(self._endpoint, status, headers, body, said=headers.get("dg-error"))


class _Reply(ContextReply):
    """`Exchange[Phrase, Speech]`: what comes is the first open phrase's."""

    def take(self, item: Phrase, /) -> Sequence[WireMessage]:
        """The phrase, and that it is to be spoken now."""
        self.add(item)
        return (msgspec.json.encode({"type": "Speak", "text": item.text}).decode(), _FLUSH)

    def leave(self) -> Sequence[WireMessage]:
        """Nothing: closing stops it."""
        return self.finish()

    def receive(self, message: WireMessage, /) -> Reaction[Speech]:
        """Audio, and where a phrase ends."""
        if isinstance(message, bytes):
            if self.open:
                self.open[0].hear(message)
            return Reaction(self.due())
        try:
            told = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self.fault(Fault.MALFORMED, f"not a message of Deepgram's: {exc}") from None
        match told.type:
            case "Flushed" if self.open:
                self.end(self.open[0])
            case "Warning" if "flush" in told.said.lower():
                raise self.fault(Fault.THROTTLED, told.said)  # it will not be spoken
            case "Error" | "error":
                raise self.fault(Fault.UNAVAILABLE, told.said or "an error without a reason")
            case _:
                pass  # Metadata, Cleared, other warnings, and what may come to be added
        return Reaction(self.due())
