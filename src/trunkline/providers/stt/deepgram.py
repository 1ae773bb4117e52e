"""Deepgram's live streaming recognition, `GET /v1/listen` upgraded to a WebSocket.

Audio goes out in binary messages as it comes, at 8 kHz: the caller's mu-law as it was on the line,
or 16-bit linear. A result tells of a stretch of audio: an interim one is replaced by the next, a
final one (`is_final`) stays and the next tells of what follows it; the utterance is the final ones
in a row and the interim one after them. `speech_final` and `UtteranceEnd` are Deepgram's opinion of
when the caller has finished; Trunkline has its own, so they decide nothing here.

An utterance ends with `CloseStream`: all that is left is recognised, told, and followed by
`Metadata`, always. `Finalize` would leave the connection open for the next utterance, but the
answer to it "in most cases" comes is all that is promised: a caller's turn cannot hang on that. So
a connection serves one utterance; its handshake is over long before the caller has finished.

Sources: developers.deepgram.com (reference "Live Audio", "Finalize", "Close Stream", "Audio Keep
Alive", "STT Troubleshooting WebSocket, NET, and DATA Errors") and the types of `deepgram-sdk`
7.17.0 (`listen/v1/types`), read November 2026; not verified against the live service.

Options: `language`, `encoding` (`mulaw` or `linear16`), `punctuate`, `smart_format`, `interim`,
`endpointing_ms` (0: off), `keyterms` (a list of words to expect), `mip_opt_out`.
"""

from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from trunkline.contracts import Exchange, Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.media.g711 import mulaw_encode
from trunkline.net.closing import closing_fault
from trunkline.providers.options import Bounds, Options
from trunkline.providers.refusals import refusal
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript, Word

_KEEPALIVE_S = 4.0  # "every 3-5 seconds"; it hangs up after 10
_KEEPALIVE = '{"type":"KeepAlive"}'
_CLOSE_STREAM = '{"type":"CloseStream"}'
_DETAIL_CHARS = 300


class _Word(msgspec.Struct):
    word: str
    start: float
    end: float
    punctuated_word: str | None = None


class _Alternative(msgspec.Struct):
    transcript: str
    words: list[_Word] = []


class _Channel(msgspec.Struct):
    alternatives: list[_Alternative]


class _Message(msgspec.Struct):
    """Any message; `channel` is an object in `Results` and a list in what is of no use here."""

    type: str = ""
    channel: _Channel | list[int] | None = None
    is_final: bool | None = None
    variant: str = ""
    description: str = ""


_decoder = msgspec.json.Decoder(_Message)


class Deepgram:
    """`DuplexCodec[AudioFrame, Transcript]`; the endpoint's model is Deepgram's, such as nova-3."""

    reuse_s = 0.0
    keepalive = (_KEEPALIVE, _KEEPALIVE_S)

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        self._mulaw = read.choice("encoding", ("mulaw", "linear16")) == "mulaw"
        self.gives_interims = read.flag("interim", default=True)
        endpointing = read.whole("endpointing_ms", Bounds(300, 0, 5_000, "ms; 0: off"))
        query = [
            ("model", endpoint.model),
            ("language", read.text("language", "en-US")),
            ("encoding", "mulaw" if self._mulaw else "linear16"),
            ("sample_rate", str(SAMPLE_RATE)),
            ("channels", "1"),
            ("interim_results", _said(self.gives_interims)),
            ("punctuate", _said(read.flag("punctuate", default=True))),
            ("smart_format", _said(read.flag("smart_format", default=False))),
            ("endpointing", str(endpointing) if endpointing else "false"),
        ]
        if read.flag("mip_opt_out", default=False):
            query.append(("mip_opt_out", "true"))
        query += [("keyterm", term) for term in read.texts("keyterms")]
        read.done()
        self._query = query

    def handshake(self, key: str | None, /) -> Handshake:
        """All settings are in the query, the key is in a header of Deepgram's own scheme."""
        headers = {} if key is None else {"Authorization": f"Token {key}"}
        return Handshake("listen", self._query, headers)

    def exchange(self, _ordinal: int, /) -> Exchange[AudioFrame, Transcript]:
        """A fresh utterance."""
        return _Utterance(self._endpoint, mulaw=self._mulaw)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body and in the header `dg-error`."""
        return refusal(self._endpoint, status, headers, body, said=headers.get("dg-error"))


class _Utterance:
    """`Exchange[AudioFrame, Transcript]`."""

    def __init__(self, endpoint: str, *, mulaw: bool) -> None:
        self._endpoint, self._mulaw = endpoint, mulaw
        self._anchors = Anchors()
        self._samples = 0
        self._text: list[str] = []  # of the final results
        self._words: list[Word] = []
        self._told = ""
        self._closing = False
        self.done = False
        self.wants_more = True

    def begin(self) -> Sequence[WireMessage]:
        """Nothing: the query said it."""
        return ()

    def take(self, item: AudioFrame, /) -> Sequence[WireMessage]:
        """The frame's audio; an empty message would end the stream."""
        if not item.pcm:
            return ()
        self._samples = self._anchors.add(item)
        return (mulaw_encode(np.frombuffer(item.pcm, "<i2")) if self._mulaw else item.pcm,)

    def finish(self) -> Sequence[WireMessage]:
        """Ask for the rest."""
        self._closing = True
        return (_CLOSE_STREAM,)

    def leave(self) -> Sequence[WireMessage]:
        """Stop; what it still has to say is not wanted, but it is not left waiting."""
        return () if self._closing else (_CLOSE_STREAM,)

    def receive(self, message: WireMessage, /) -> Reaction[Transcript]:
        """An interim transcript if it has changed; the final one at `Metadata`."""
        try:
            told = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not a message of Deepgram's: {exc}") from None
        match told.type:
            case "Results":
                return Reaction(self._result(told))
            case "Metadata":
                if not self._closing:
                    raise self._fault(Fault.CUT, "ended the stream before the utterance did")
                self.done = True
                return Reaction((Transcript(" ".join(self._text), True, tuple(self._words)),))
            case "Error":
                # A schema error is about what we sent, anything else about what it could not do.
                ours = told.variant == "SchemaError"
                detail = f"{told.variant}: {told.description}"[:_DETAIL_CHARS]
                raise self._fault(Fault.REFUSED if ours else Fault.UNAVAILABLE, detail)
            case _:
                return Reaction()  # SpeechStarted, UtteranceEnd, and what may come to be added

    def closed(self, code: int, reason: str, /) -> Sequence[Transcript]:
        """Raises: `Metadata` comes before a proper end."""
        raise closing_fault(self._endpoint, code, reason)

    def _result(self, told: _Message) -> Sequence[Transcript]:
        if not isinstance(told.channel, _Channel) or not told.channel.alternatives:
            raise self._fault(Fault.MALFORMED, "a result without an alternative")
        best = told.channel.alternatives[0]
        text = [*self._text, best.transcript] if best.transcript else self._text
        words = [*self._words, *map(self._word, best.words)]
        if told.is_final:
            self._text, self._words = list(text), words
        said = " ".join(text)
        if said == self._told or not said:
            return ()
        self._told = said
        return (Transcript(said, False, tuple(words)),)

    def _word(self, word: _Word) -> Word:
        if not self._samples:
            raise self._fault(Fault.MALFORMED, "words of audio that it never got")
        start, end = (round(at * SAMPLE_RATE) for at in (word.start, word.end))
        return Word(word.punctuated_word or word.word, *self._anchors.span(start, end))

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)


def _said(yes: bool) -> str:
    return "true" if yes else "false"
