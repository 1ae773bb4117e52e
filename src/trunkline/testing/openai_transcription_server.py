"""A local server of OpenAI's transcription, `POST /v1/audio/transcriptions`, before a recogniser.

    async with OpenAITranscriptionServer(SimStt("ears", ["I need an appointment"])) as server:
        ... server.base_url ...

It knows a form with `file` (WAV, 16-bit mono of any usual rate) and `model`, `response_format`
(json, verbose_json), `timestamp_granularities[]` (word), and `stream`. *dialect* says how it
streams: as OpenAI (`transcript.text.delta`), as vLLM before its issue 49116 (`chat`), or `none` for
servers that ignore it. *gap_s*: between two deltas.

Source: as in `providers/stt/openai.py`.
"""

import asyncio
import io
import json
import wave
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from aiohttp import web
from typing_extensions import override

from trunkline.testing.faults import FaultScript
from trunkline.testing.hearing import Ear, Recogniser
from trunkline.testing.rendering import RATES
from trunkline.testing.speech_http import Body, HttpSpeechServer
from trunkline.testing.speech_server import Performance
from trunkline.types import SAMPLE_RATE, Transcript

_FRAME_BYTES = 3_200
_SHORTEST_S = 0.1
_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
_DONE = "data: [DONE]\n\n"


class OpenAITranscriptionServer(HttpSpeechServer):
    """*recogniser* in OpenAI's words."""

    path = "audio/transcriptions"

    def __init__(
        self,
        recogniser: Recogniser,
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        dialect: Literal["openai", "chat", "none"] = "openai",
        gap_s: float = 0.0,
    ) -> None:
        super().__init__(faults, port)
        self._recogniser, self._dialect, self._gap_s = recogniser, dialect, gap_s

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key."""
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return _refused(401, "invalid_api_key", "You didn't provide an API key.")
        return None

    @override
    async def text(self, request: web.Request) -> str:
        """None: it is an utterance."""
        return ""

    @override
    async def answer(self, request: web.Request, text: str) -> web.StreamResponse:
        """Hear the file, and say so in the format that is asked for."""
        asked = await request.post()
        field = asked.get("file")
        if not isinstance(field, web.FileField) or not asked.get("model"):
            return _refused(400, "missing_required_parameter", "file and model are needed")
        try:
            with field.file as file:
                rate, pcm = _wav(file.read())
        except (wave.Error, EOFError, ValueError) as error:
            return _refused(400, "invalid_value", f"Audio file might be corrupted: {error}")
        if len(pcm) / 2 / rate < _SHORTEST_S:
            return _refused(400, "audio_too_short", "Minimum audio length is 0.1 seconds.")
        told = await self._hear(rate, pcm)
        if asked.get("stream") == "true" and self._dialect != "none":
            return await self._stream(request, told)
        return await self._whole(request, told, str(asked.get("response_format", "json")))

    async def _hear(self, rate: int, pcm: bytes) -> Sequence[Transcript]:
        ear, told = Ear(rate, mulaw=False), list[Transcript]()

        async def note(transcript: Transcript) -> None:
            told.append(transcript)

        async with asyncio.TaskGroup() as group:
            group.create_task(ear.hear(self._recogniser, note))
            for start in range(0, len(pcm), _FRAME_BYTES):
                await ear.put(pcm[start : start + _FRAME_BYTES])
            await ear.end()
        return told

    async def _whole(
        self, request: web.Request, told: Sequence[Transcript], response_format: str
    ) -> web.StreamResponse:
        final = told[-1]
        answer: dict[str, Any] = {"text": final.text}
        if response_format == "verbose_json":
            words = [
                {"word": it.text, "start": it.start / SAMPLE_RATE, "end": it.end / SAMPLE_RATE}
                for it in final.words
            ]
            segment = {"id": 0, "text": final.text, "no_speech_prob": 0.9 * final.doubtful}
            answer |= {"language": "english", "duration": 1.0, "segments": [segment]}
            answer |= {"words": words}
        body = Body(request, {"Content-Type": "application/json"}, b"")
        async with self.performance(request, body, "", "{oops") as performance:
            await performance.finish(json.dumps(answer))
        return body.response

    async def _stream(self, request: web.Request, told: Sequence[Transcript]) -> web.StreamResponse:
        body = Body(request, _EVENTS, b": wait\n\n")
        async with self.performance(request, body, "", "data: {oops\n\n") as performance:
            await self._tell(performance, told[-1].text)
        return body.response

    async def _tell(self, performance: Performance, text: str) -> None:
        for number, word in enumerate(text.split()):
            delta = f" {word}" if number else word
            if self._dialect == "openai":
                await performance.send(_event({"type": "transcript.text.delta", "delta": delta}))
            else:
                choice = {"delta": {"content": delta}}
                await performance.send(
                    _event({"object": "transcription.chunk", "choices": [choice]})
                )
            await asyncio.sleep(self._gap_s)
        done = _event({"type": "transcript.text.done", "text": text})
        await performance.finish(*([done] if self._dialect == "openai" else []), _DONE)


def _wav(data: bytes) -> tuple[int, bytes]:
    """Samples a second, and 16-bit mono; raises what is wrong with it."""
    with wave.open(io.BytesIO(data)) as file:
        if file.getsampwidth() != 2 or file.getnchannels() != 1 or file.getframerate() not in RATES:
            raise ValueError("this server knows 16-bit mono")
        return file.getframerate(), file.readframes(file.getnframes())


def _event(told: Mapping[str, object]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _refused(status: int, code: str, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
