"""A local Deepgram: its live streaming protocol on a real WebSocket, before any recogniser of ours.

What it hears is another matter than how it says so. *recogniser* is any `stt` Stage: the embedded
one understands speech, `testing.simulated.SimStt` "hears" a script.

    async with DeepgramServer(SimStt("ears", ["I need an appointment"])) as server:
        ... server.base_url ...

It knows `GET /v1/listen`: `encoding` (mulaw, linear16), `sample_rate`, `interim_results`,
`vad_events`, `utterance_end_ms`; binary audio, `KeepAlive`, `Finalize`, `CloseStream`; it answers
`SpeechStarted`, `Results`, `UtteranceEnd`, `Metadata` and `Error`. It hangs up with 1011 NET-0001
after 10 s without a message. It has no opinion of its own of when a caller has finished: a result
is final when it is asked for. An utterance (from one `Finalize` to the next) is a request for
faults.

Source: as in `providers/stt/deepgram.py`; `Finalize` without audio is not answered, as documented.
"""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Coroutine, Mapping, Sequence

import numpy as np
from aiohttp import web
from typing_extensions import override

from trunkline.contracts import Context, Stage
from trunkline.media.g711 import mulaw_decode
from trunkline.media.resample import StreamResampler
from trunkline.testing.faults import FaultScript
from trunkline.testing.speech_server import Performance, SpeechServer, Talk
from trunkline.types import (
    SAMPLE_RATE,
    AudioFrame,
    CallId,
    DataClass,
    Sample,
    Transcript,
    Where,
)

QUIET_S = 10.0
_QUEUED = 500  # messages of audio that the recogniser is behind; then the socket is not read
_UNKNOWN = "00000000-0000-0000-0000-000000000000"
_CONTEXT = Context(Where(CallId("local")), DataClass.AUDIO)


class DeepgramServer(SpeechServer):
    """*recogniser* in Deepgram's words; *quiet_s*: how long a silent client is waited for."""

    path = "listen"

    def __init__(
        self,
        recogniser: Stage[AsyncIterator[AudioFrame], Transcript],
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        quiet_s: float = QUIET_S,
    ) -> None:
        super().__init__(faults, port)
        self._recogniser, self._quiet_s = recogniser, quiet_s

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key, 400 for audio that it does not know."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or not key:
            return _refused(401, "INVALID_AUTH", "Invalid credentials.")
        if request.query.get("encoding") not in {"mulaw", "linear16"}:
            return _refused(400, "Bad Request", "Unsupported audio encoding")
        if not request.query.get("sample_rate", "").isdecimal():
            return _refused(400, "Bad Request", "sample_rate is needed for raw audio")
        return None

    @override
    async def converse(self, talk: Talk) -> None:
        """Read until the client closes; each utterance is recognised in a task of its own."""
        conversation = _Conversation(self, self._recogniser, talk)
        try:
            async for message in talk.messages(self._quiet_s):
                if isinstance(message, str):
                    await conversation.told(message)
                elif message:
                    await conversation.heard(message)
                else:
                    break  # an empty binary message ends the stream, say the documents
        except TimeoutError:
            await talk.socket.close(code=1011, message=b"NET-0001")
        conversation.leave()


class _Conversation:
    """The utterances of one connection, one after the other."""

    def __init__(
        self,
        server: DeepgramServer,
        recogniser: Stage[AsyncIterator[AudioFrame], Transcript],
        talk: Talk,
    ) -> None:
        self._server, self._recogniser, self._talk = server, recogniser, talk
        self._wire = _Wire(talk.request.query)
        self._utterance: _Utterance | None = None
        self._tasks: list[asyncio.Task[None]] = []

    async def heard(self, audio: bytes) -> None:
        if self._utterance is None:
            self._utterance = _Utterance(await self._server.begin(self._talk))
            before = [task for task in self._tasks if not task.done()]
            self._tasks = [*before, self._run(self._recognise(self._utterance, before))]
        await self._utterance.audio.put(self._wire.frame(audio))

    async def told(self, said: str) -> None:
        kind = _kind(said)
        if kind in {"Finalize", "CloseStream"}:
            if self._utterance is not None:
                self._utterance.finalized = kind == "Finalize"
                await self._utterance.audio.put(None)
                self._utterance = None
            if kind == "CloseStream":
                self._tasks.append(self._run(self._close(list(self._tasks))))
        elif kind != "KeepAlive":
            await self._talk.socket.send_str(_error(said))

    def leave(self) -> None:
        """The client has gone."""
        for task in self._tasks:
            task.cancel()

    def _run(self, doing: Coroutine[None, None, None]) -> asyncio.Task[None]:
        return self._talk.group.create_task(doing)

    async def _recognise(
        self, utterance: "_Utterance", before: Sequence[asyncio.Task[None]]
    ) -> None:
        performance = utterance.performance
        if before:
            await asyncio.wait(before)  # results come in the order of the audio
        try:
            async with self._recogniser.open(utterance.source(), _CONTEXT) as transcripts:
                async for transcript in transcripts:
                    told = self._wire.final if transcript.final else self._wire.interim
                    for message in told(transcript, utterance):
                        await performance.send(message)
            await performance.finish()
        except asyncio.CancelledError:
            performance.leave()
            raise

    async def _close(self, before: Sequence[asyncio.Task[None]]) -> None:
        if before:
            await asyncio.wait(before)
        await self._talk.socket.send_str(self._wire.metadata())
        await self._talk.socket.close()


class _Utterance:
    """The audio from one `Finalize` to the next; *finalized*: that is how it ended."""

    def __init__(self, performance: Performance) -> None:
        self.performance = performance
        self.audio: asyncio.Queue[AudioFrame | None] = asyncio.Queue(maxsize=_QUEUED)
        self.finalized = False
        self.heard = False
        self.first: AudioFrame | None = None
        self.end = 0

    async def source(self) -> AsyncIterator[AudioFrame]:
        while (frame := await self.audio.get()) is not None:
            self.first = self.first or frame
            self.end = frame.at + len(frame.pcm) // 2
            yield frame


class _Wire:
    """Deepgram's messages on one connection; times are seconds of all audio that came on it."""

    def __init__(self, query: Mapping[str, str]) -> None:
        self._query = query
        self._mulaw = query["encoding"] == "mulaw"
        self._resampler = StreamResampler(int(query["sample_rate"]), SAMPLE_RATE)
        self._samples = 0
        self._request_id = str(uuid.uuid4())

    def frame(self, audio: bytes) -> AudioFrame:
        even = len(audio) - len(audio) % 2
        pcm = mulaw_decode(audio) if self._mulaw else np.frombuffer(audio[:even], "<i2")
        pcm = self._resampler.feed(pcm)
        frame = AudioFrame(pcm.tobytes(), Sample(self._samples))
        self._samples += len(pcm)
        return frame

    def interim(self, transcript: Transcript, utterance: _Utterance) -> list[str]:
        messages = []
        if transcript.text and not utterance.heard:
            utterance.heard = True
            if self._query.get("vad_events") == "true":
                at = _seconds(utterance.first.at if utterance.first else 0)
                messages.append(
                    json.dumps({"type": "SpeechStarted", "channel": [0, 1], "timestamp": at})
                )
        if self._query.get("interim_results") == "true":
            messages.append(self._results(transcript, utterance))
        return messages

    def final(self, transcript: Transcript, utterance: _Utterance) -> list[str]:
        messages = [self._results(transcript, utterance)]
        if self._query.get("utterance_end_ms") and transcript.words:
            end = _seconds(transcript.words[-1].end)
            messages.append(
                json.dumps({"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": end})
            )
        return messages

    def metadata(self) -> str:
        return json.dumps(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self._request_id,
                "sha256": "0" * 64,
                "created": "2026-11-22T00:00:00.000Z",
                "duration": _seconds(self._samples),
                "channels": 1,
            }
        )

    def _results(self, transcript: Transcript, utterance: _Utterance) -> str:
        first = utterance.first.at if utterance.first else 0
        words = [
            {
                "word": word.text.lower().strip(".,?!"),
                "start": _seconds(word.start),
                "end": _seconds(word.end),
                "confidence": 0.9,
                "punctuated_word": word.text,
            }
            for word in transcript.words
        ]
        channel = {
            "alternatives": [{"transcript": transcript.text, "confidence": 0.9, "words": words}]
        }
        return json.dumps(
            {
                "type": "Results",
                "channel_index": [0, 1],
                "duration": _seconds(utterance.end - first),
                "start": _seconds(first),
                "is_final": transcript.final,
                "speech_final": transcript.final,
                "channel": channel,
                "metadata": {
                    "request_id": self._request_id,
                    "model_info": {"name": "local", "version": "0", "arch": "local"},
                    "model_uuid": _UNKNOWN,
                },
                "from_finalize": transcript.final and utterance.finalized,
            }
        )


def _kind(said: str) -> str:
    """What a text message is: "" for none, "?" for one that is not understood."""
    if not said:
        return ""
    try:
        kind = json.loads(said)["type"]
    except (ValueError, KeyError, TypeError):
        return "?"
    return str(kind)


def _error(said: str) -> str:
    return json.dumps(
        {
            "type": "Error",
            "variant": "SchemaError",
            "description": "Could not deserialize last text message",
            "message": said,
        }
    )


def _refused(status: int, code: str, message: str) -> web.Response:
    body = {"err_code": code, "err_msg": message, "request_id": _UNKNOWN}
    return web.json_response(body, status=status, headers={"dg-error": message})


def _seconds(samples: int) -> float:
    return round(samples / SAMPLE_RATE, 3)
