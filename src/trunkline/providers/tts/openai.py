"""OpenAI's synthesis, `POST audio/speech`, and that of all who speak it: Kokoro, Piper, Orpheus ...

Each phrase is a request of its own, and two are under way at once, so that the second begins
without a gap. The answer is raw audio as it is made, 16-bit linear and mono, at OpenAI at 24 kHz:
it is brought down to 8 kHz here. There are no word marks, so a seam is placed by the share of the
time that the phrase should take (`core.takes`).

A body of raw audio has no last word: a server that ends it cleanly after half of the phrase cannot
be told from one that is done, but by the duration (`core.tempo`). With `stream: sse` OpenAI's newer
models frame the audio in events and say `speech.audio.done`; servers that do not know it send raw
audio all the same, so the answer's media type decides how it is read.

Sources, read November 2026, not verified against the live service: the SDK `openai` 3.54.0
(`types/audio/speech_create_params.py`), the OpenAPI document 2.3.0 (SpeechAudioDeltaEvent and
SpeechAudioDoneEvent), Kokoro-FastAPI (`routers/openai_compatible.py`: `audio/pcm`, 24 kHz) and
LiveKit's plugin 1.8.9, which finds that servers ignore `stream_format`.

Options: `voice` (needed), `sample_rate_hz` (24000; Piper's voices have 22050 or 16000), `speed`,
`instructions`, `stream` (`audio` or `sse`), `phrases_ahead`, `extra` (laid over the request).
"""

import base64
import binascii
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from trunkline.contracts import BodyExchange, Decoder, Post, Request
from trunkline.errors import EndpointError, Fault
from trunkline.media.resample import StreamResampler
from trunkline.net.sse import SseParser
from trunkline.providers.json_body import json_body
from trunkline.providers.openai_errors import openai_refusal
from trunkline.providers.options import Bounds, Options
from trunkline.providers.tts.contexts import TEXT_MAX
from trunkline.providers.tts.marks import WordMarks
from trunkline.types import SAMPLE_RATE, Endpoint, Phrase, Speech

_RATE_HZ = Bounds(24_000, 8_000, 48_000, "samples per second")
_RAW = {"", "audio/pcm", "audio/l16", "audio/x-raw", "application/octet-stream"}
_EVENTS = "text/event-stream"
_AUDIO_S_MAX = 180  # slow readers take two minutes for the longest phrase


class _Event(msgspec.Struct):
    type: str = ""
    audio: str | None = None
    error: object = None


_decoder = msgspec.json.Decoder(_Event)


class OpenAISpeech:
    """`BodyCodec[Phrase, Speech]`; the endpoint's model is the server's, such as kokoro."""

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        self._request: dict[str, object] = {
            "model": endpoint.model,
            "voice": read.text("voice", ""),
            "response_format": "pcm",
        }
        self._rate_hz = read.whole("sample_rate_hz", _RATE_HZ)
        StreamResampler(self._rate_hz, SAMPLE_RATE)  # refuses a rate that no filter fits
        if (speed := read.optional("speed", Bounds(1.0, 0.25, 4.0, "1: as it is"))) is not None:
            self._request["speed"] = speed
        if (instructions := read.optional_text("instructions")) is not None:
            self._request["instructions"] = instructions
        if read.choice("stream", ("audio", "sse")) == "sse":
            self._request["stream_format"] = "sse"
        self.ahead = read.whole("phrases_ahead", Bounds(2, 1, 4, "requests of one reply"))
        self._extra = read.mapping("extra")
        read.done()

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """A bearer token (RFC 6750)."""
        return {"Authorization": f"Bearer {key}"}

    def exchange(self) -> BodyExchange[Phrase, Speech]:
        """A fresh reply."""
        return _Reply(self)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return openai_refusal(self._endpoint, status, headers, body)

    def post(self, phrase: Phrase) -> Post[Speech]:
        """The request for *phrase*; `REFUSED` if it is too long."""
        if len(phrase.text) > TEXT_MAX:
            detail = f"a phrase of {len(phrase.text)} characters; {TEXT_MAX} at most"
            raise EndpointError(self._endpoint, Fault.REFUSED, f"{detail}: split at sentences")
        body = json_body({**self._request, "input": phrase.text}, self._extra)
        request = Request("audio/speech", {"Content-Type": "application/json"}, body)
        return Post(request, lambda media_type: self._reader(phrase, media_type))

    def _reader(self, phrase: Phrase, media_type: str) -> Decoder[Speech]:
        audio = _Audio(self._endpoint, phrase, self._rate_hz)
        if media_type == _EVENTS:
            return _Framed(self._endpoint, audio)
        if media_type in _RAW:
            return audio
        raise EndpointError(
            self._endpoint,
            Fault.MALFORMED,
            f"answered with {media_type!r} instead of raw audio: does it know response_format pcm?",
        )


class _Reply:
    """`BodyExchange[Phrase, Speech]`: each phrase is a request."""

    def __init__(self, codec: OpenAISpeech) -> None:
        self._codec = codec

    def take(self, item: Phrase, /) -> Post[Speech]:
        """The request for *item*."""
        return self._codec.post(item)

    def finish(self) -> None:
        """Nothing is left."""


class _Audio:
    """`Decoder[Speech]` of raw audio: 16-bit linear at *rate_hz*, in pieces of any length."""

    def __init__(self, endpoint: str, phrase: Phrase, rate_hz: int) -> None:
        self._endpoint, self._phrase = endpoint, phrase
        self._left = _AUDIO_S_MAX * rate_hz * 2
        self._resampler = StreamResampler(rate_hz, SAMPLE_RATE)
        self._rest = b""  # half a sample
        self._heard = False

    def feed(self, event: bytes, /) -> Sequence[Speech]:
        """The audio that is complete with *event*."""
        data = self._rest + event
        even = len(data) - len(data) % 2
        self._rest = data[even:]
        self._heard |= even > 0
        self._left -= even
        if self._left < 0:
            raise self._fault(Fault.MALFORMED, f"a phrase of more than {_AUDIO_S_MAX} s")
        pcm = self._resampler.feed(np.frombuffer(data[:even], "<i2").astype(np.int16))
        return (Speech(self._phrase.index, pcm.tobytes()),) if len(pcm) else ()

    def end(self) -> Sequence[Speech]:
        """The last of it; `MALFORMED` for half a sample, `EMPTY` if there was none at all."""
        if self._rest:
            raise self._fault(Fault.MALFORMED, "ended within a sample")
        if not self._heard and WordMarks(self._phrase.text).speakable:
            raise self._fault(Fault.EMPTY, "finished a phrase without any audio")
        tail = self._resampler.flush().tobytes() if self._heard else b""
        return (Speech(self._phrase.index, tail, (), last=True),)

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)


class _Framed:
    """`Decoder[Speech]` of the same in server-sent events, which say where it ends."""

    def __init__(self, endpoint: str, audio: _Audio) -> None:
        self._endpoint, self._audio = endpoint, audio
        self._parser = SseParser(endpoint)
        self._done = False

    def feed(self, event: bytes, /) -> Sequence[Speech]:
        """The audio of the events that are complete with *event*."""
        speech: list[Speech] = []
        for data in self._parser.feed(event):
            if data != b"[DONE]":
                speech += self._event(data)
        return speech

    def end(self) -> Sequence[Speech]:
        """As for raw audio; `CUT` if it was not said that this is all."""
        if not self._done:
            raise EndpointError(self._endpoint, Fault.CUT, "ended without speech.audio.done")
        return self._audio.end()

    def _event(self, data: bytes) -> Sequence[Speech]:
        try:
            told = _decoder.decode(data)
            audio = base64.b64decode(told.audio or "", validate=True)
        except (msgspec.DecodeError, UnicodeDecodeError, binascii.Error) as exc:
            detail = f"not an event of speech: {exc}"
            raise EndpointError(self._endpoint, Fault.MALFORMED, detail) from None
        if told.type == "error" or told.error is not None:
            detail = data.decode(errors="replace")[:300]
            raise EndpointError(self._endpoint, Fault.UNAVAILABLE, detail)
        self._done |= told.type == "speech.audio.done"
        return self._audio.feed(audio) if told.type == "speech.audio.delta" else ()
