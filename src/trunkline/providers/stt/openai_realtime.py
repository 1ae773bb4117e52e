"""OpenAI's realtime transcription, `realtime?intent=transcription` on a WebSocket.

Audio goes out as it comes, the caller's mu-law in base64, with the server's own turn detection off:
an utterance ends when it is committed, with silence up to the 100 ms that a commit must have.
Deltas come while the caller speaks (gpt-live-transcribe, gpt-realtime-whisper) or after the commit
(the others); the final transcript is that of the item that the commit made. A gateway that detects
turns all the same makes several items: the utterance is all of them in a row.

There are no times of words. A connection serves one utterance; its handshake is over long before
the caller has finished.

Sources, read November 2026, not verified against the live service: developers.openai.com (guide
"Realtime transcription": `intent=transcription`, no `model` in the URL, no turn detection;
reference "Client events"), the types of the SDK `openai` 3.54.0 (`types/realtime`),
openai-agents-js issue 748 (`input_audio_buffer_commit_empty`). LiveKit's plugin 1.8.9 finds that
gateways want the model in the URL: `model_in_url`.

Options: `language` (ISO 639-1), `prompt`, `keywords` (a list), `noise_reduction` (`off`,
`near_field`, `far_field`), `delay` (`minimal` to `xhigh`, gpt-realtime-whisper's), `model_in_url`.
"""

import base64
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from trunkline.contracts import Exchange, Handshake, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.media.g711 import mulaw_encode
from trunkline.net.closing import closing_fault
from trunkline.providers.openai_errors import openai_refusal
from trunkline.providers.options import Options
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript

_SHORTEST = SAMPLE_RATE // 10  # samples that a commit must have
_SILENCE = b"\xff"  # of mu-law
_COMMIT = '{"type":"input_audio_buffer.commit"}'
_TRANSCRIPTION = "conversation.item.input_audio_transcription."
_FAULTS = {"invalid_request_error": Fault.REFUSED, "authentication_error": Fault.REFUSED}
_THROTTLED = {"rate_limit_exceeded", "rate_limit_error"}
_DETAIL_CHARS = 300


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | None = None


class _Message(msgspec.Struct):
    type: str = ""
    item_id: str | None = None
    delta: str | None = None
    transcript: str | None = None
    error: _Error | None = None


_decoder = msgspec.json.Decoder(_Message)


class OpenAIRealtime:
    """`DuplexCodec[AudioFrame, Transcript]`; the model is OpenAI's, such as gpt-live-transcribe."""

    reuse_s = 0.0
    keepalive = None

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        transcription: dict[str, object] = {"model": endpoint.model}
        for name in ("language", "prompt", "delay"):
            if (value := read.optional_text(name)) is not None:
                transcription[name] = value
        if keywords := read.texts("keywords"):
            transcription["keywords"] = list(keywords)
        reduction = read.choice("noise_reduction", ("off", "near_field", "far_field"))
        self._query = [("intent", "transcription")]
        if read.flag("model_in_url", default=False):
            self._query.append(("model", endpoint.model))
        read.done()
        audio = {
            "format": {"type": "audio/pcmu"},
            "transcription": transcription,
            "noise_reduction": None if reduction == "off" else {"type": reduction},
            "turn_detection": None,
        }
        session = {"type": "transcription", "audio": {"input": audio}}
        update = {"type": "session.update", "session": session}
        self._hello = msgspec.json.encode(update).decode()

    def handshake(self, key: str | None, /) -> Handshake:
        """The session is set up by the first message, the key is a bearer token."""
        headers = {} if key is None else {"Authorization": f"Bearer {key}"}
        return Handshake("realtime", self._query, headers, (self._hello,))

    def exchange(self, _ordinal: int, /) -> Exchange[AudioFrame, Transcript]:
        """A fresh utterance."""
        return _Utterance(self._endpoint)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return openai_refusal(self._endpoint, status, headers, body)


class _Utterance:
    """`Exchange[AudioFrame, Transcript]`."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._samples = 0
        self._texts: dict[str, str] = {}  # of the items, in the order of their first mention
        self._final: set[str] = set()  # of those, the ones that will not change
        self._told = ""
        self._closing = self._committed = False
        self.done = False
        self.wants_more = True

    def begin(self) -> Sequence[WireMessage]:
        """Nothing: the handshake said it."""
        return ()

    def take(self, item: AudioFrame, /) -> Sequence[WireMessage]:
        """The frame's audio."""
        samples = np.frombuffer(item.pcm, "<i2")
        self._samples += len(samples)
        return (_append(mulaw_encode(samples)),) if len(samples) else ()

    def finish(self) -> Sequence[WireMessage]:
        """Commit what there is, and silence if that is too short to be committed."""
        self._closing = True
        missing = max(0, _SHORTEST - self._samples)
        return (*((_append(_SILENCE * missing),) if missing else ()), _COMMIT)

    def leave(self) -> Sequence[WireMessage]:
        """Nothing that could be said would stop a transcription; closing does."""
        return ()

    def receive(self, message: WireMessage, /) -> Reaction[Transcript]:
        """The text so far if it has changed; the final one when all that was committed is told."""
        try:
            told = _decoder.decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not a message of OpenAI's: {exc}") from None
        item = told.item_id or ""
        match told.type.removeprefix(_TRANSCRIPTION):
            case "delta":
                self._texts[item] = self._texts.get(item, "") + (told.delta or "")
            case "completed":
                self._texts[item] = told.transcript or ""
                self._final.add(item)
            case "input_audio_buffer.committed":
                self._texts.setdefault(item, "")
                self._committed |= self._closing
            case "failed" | "error":
                self._failed(told.error or _Error())
            case _:
                return Reaction()  # session.created, conversation.item.added, what may be added
        return Reaction(self._news())

    def closed(self, code: int, reason: str, /) -> Sequence[Transcript]:
        """Raises: the transcript comes before a proper end."""
        raise closing_fault(self._endpoint, code, reason)

    def _news(self) -> Sequence[Transcript]:
        text = " ".join(it for it in map(str.strip, self._texts.values()) if it)
        if self._committed and self._final >= self._texts.keys():
            self.done = True
            return (Transcript(text, True),)
        if text == self._told:
            return ()
        self._told = text
        return (Transcript(text, False),)

    def _failed(self, error: _Error) -> None:
        """Note or raise what *error* says."""
        if self._closing and error.code == "input_audio_buffer_commit_empty":
            self._committed = True  # the server's own turn detection had committed all of it
            return
        if error.code in _THROTTLED or error.type in _THROTTLED:
            fault = Fault.THROTTLED
        else:
            fault = _FAULTS.get(error.type or "", Fault.UNAVAILABLE)
        said = " ".join(f"{error.code or error.type or ''} {error.message or ''}".split())
        raise self._fault(fault, said[:_DETAIL_CHARS] or "an error without a reason")

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)


def _append(mulaw: bytes) -> str:
    audio = base64.b64encode(mulaw).decode()
    return f'{{"type":"input_audio_buffer.append","audio":"{audio}"}}'
