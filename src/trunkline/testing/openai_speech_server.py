"""A local server of OpenAI's synthesis, `POST /v1/audio/speech`, before any voice of ours.

    async with OpenAISpeechServer(SimTts("voice")) as server:
        ... server.base_url ...

It knows `model`, `input`, `voice`, `response_format` (pcm, and wav as those answer that know no
other), `stream_format` (audio, and sse unless *events* is false: then it does as self-hosted
servers do, which ignore it). A request's `input` is what `match` looks at. *first_s* is the time to
the first audio, *pace* how many seconds of audio come in one second, *rate* its samples a second.

Source: as in `providers/tts/openai.py`.
"""

import asyncio
import base64
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence

from aiohttp import web
from typing_extensions import override

from trunkline.contracts import Stage
from trunkline.testing.faults import FaultScript
from trunkline.testing.rendering import Mouth, render
from trunkline.testing.speech_http import Body, HttpSpeechServer
from trunkline.types import Phrase, Speech

_PIECE_S = 0.2
_ODD = b"\x00"  # half a sample
_EVENTS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}


class OpenAISpeechServer(HttpSpeechServer):
    """*voice* in OpenAI's words."""

    path = "audio/speech"

    def __init__(
        self,
        voice: Stage[AsyncIterator[Phrase], Speech],
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        first_s: float = 0.0,
        pace: float = math.inf,
        rate: int = 24_000,
        events: bool = True,
    ) -> None:
        super().__init__(faults, port)
        self._voice, self._first_s, self._pace = voice, first_s, pace
        self._mouth, self._events = Mouth(rate, mulaw=False), events

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key."""
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return _refused(401, "invalid_api_key", "You didn't provide an API key.")
        return None

    @override
    async def text(self, request: web.Request) -> str:
        """Its `input`, "" if it has none."""
        try:
            return str(json.loads(await request.read())["input"])
        except (ValueError, KeyError, TypeError):
            return ""

    @override
    async def answer(self, request: web.Request, text: str) -> web.StreamResponse:
        """Speak *text*, in the format that is asked for."""
        asked = json.loads(await request.read() or b"{}")
        if not text or not asked.get("voice") or not asked.get("model"):
            return _refused(400, "missing_required_parameter", "input, voice and model are needed")
        if asked.get("response_format") not in {"pcm", "wav"}:
            return _refused(400, "invalid_value", "this server knows pcm and wav")
        events = self._events and asked.get("stream_format") == "sse"
        headers = _EVENTS if events else {"Content-Type": f"audio/{asked['response_format']}"}
        body = Body(request, headers, b": wait\n\n" if events else b"")
        garbage = b"data: {oops\n\n" if events else _ODD
        async with self.performance(request, body, text, garbage) as performance:
            await asyncio.sleep(self._first_s)
            async for piece in self._pieces(text):
                told = {"type": "speech.audio.delta", "audio": base64.b64encode(piece).decode()}
                await performance.send(_event(told) if events else piece)
            usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
            done = _event({"type": "speech.audio.done", "usage": usage})
            await performance.finish(*([done] if events else []))
        return body.response

    async def _pieces(self, text: str) -> AsyncIterator[bytes]:
        pcm, _ = await render(self._voice, text)
        raw = self._mouth.raw(pcm)
        size = round(_PIECE_S * self._mouth.rate) * 2
        for start in range(0, len(raw), size):
            yield raw[start : start + size]
            await asyncio.sleep(_PIECE_S / self._pace)


def _event(told: Mapping[str, object]) -> str:
    return f"data: {json.dumps(told)}\n\n"


def _refused(status: int, code: str, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
