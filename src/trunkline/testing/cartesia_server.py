"""A local Cartesia: its WebSocket synthesis, before any voice of ours.

    async with CartesiaServer(SimTts("voice")) as server:
        ... server.base_url ...

It knows `tts/websocket`: requests with `context_id`, `transcript`, `continue`, `output_format` (raw
pcm_mulaw or pcm_s16le), `add_timestamps`; `cancel`; it answers `chunk`, `timestamps`, `done` and
`error`. A transcript is a request for faults, and its text is what `match` looks at. A context that
is cancelled is `done` at once: the documents promise that no more messages are generated for it.

*first_s* is the time to the first audio, *pace* how many seconds of audio come in one second.

Source: as in `providers/tts/cartesia.py`.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from typing_extensions import override

from trunkline.contracts import Stage
from trunkline.testing.faults import FaultScript
from trunkline.testing.rendering import RATES, Mouth, render
from trunkline.testing.speech_server import Performance, SpeechServer, Talk
from trunkline.types import SAMPLE_RATE, Phrase, Speech

IDLE_S = 300.0
_PIECE_S = 0.2
_QUEUED = 100  # transcripts of one context that wait for the one that is being spoken


class CartesiaServer(SpeechServer):
    """*voice* in Cartesia's words."""

    path = "tts/websocket"
    version = ""

    def __init__(
        self,
        voice: Stage[AsyncIterator[Phrase], Speech],
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        first_s: float = 0.0,
        pace: float = math.inf,
    ) -> None:
        super().__init__(faults, port)
        self.voice, self.first_s, self.pace = voice, first_s, pace

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key, 400 without a version."""
        if not request.headers.get("X-API-Key"):
            return _refused(401, "unauthorized", "Invalid credentials")
        if not request.query.get("cartesia_version"):
            return _refused(400, "invalid_version", "Missing cartesia_version")
        return None

    @override
    async def converse(self, talk: Talk) -> None:
        """Read until the client closes; each context speaks in a task of its own."""
        contexts = _Contexts(self, talk)
        try:
            async for message in talk.messages(IDLE_S):
                await contexts.told(message)
        except TimeoutError:
            await talk.socket.close()
        contexts.leave()


@dataclass(slots=True)
class _Ctx:
    """One context: its format, and the transcripts that wait to be spoken (None: no more)."""

    name: str
    mouth: Mouth
    timed: bool
    task: asyncio.Task[None] | None = None
    waiting: asyncio.Queue[str | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_QUEUED)
    )


class _Contexts:
    """The contexts of one connection."""

    def __init__(self, server: CartesiaServer, talk: Talk) -> None:
        self._server, self._talk = server, talk
        self._open: dict[str, _Ctx] = {}

    async def told(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
            name = str(said["context_id"])
        except (ValueError, KeyError, TypeError):
            await self._fail(None, 400, "invalid_request", "context_id is needed")
            return
        if said.get("cancel"):
            await self._cancel(name)
            return
        context = self._open.get(name)
        if context is None:
            if (mouth := _format(said.get("output_format"))) is None:
                await self._fail(name, 400, "invalid_output_format", "raw audio, of a known rate")
                return
            timed = bool(said.get("add_timestamps"))
            context = self._open[name] = _Ctx(name, mouth, timed)
            context.task = self._talk.group.create_task(self._speak(context))
        if text := str(said.get("transcript") or "").strip():
            await context.waiting.put(text)
        if not said.get("continue"):
            await context.waiting.put(None)

    def leave(self) -> None:
        """The client has gone."""
        for context in self._open.values():
            if context.task is not None:
                context.task.cancel()

    async def _cancel(self, name: str) -> None:
        context = self._open.pop(name, None)
        if context is not None and context.task is not None:
            context.task.cancel()
            await asyncio.wait({context.task})
            await self._talk.socket.send_str(_event(name, "done", done=True))

    async def _fail(self, name: str | None, status: int, code: str, message: str) -> None:
        error: dict[str, object] = {
            "type": "error",
            "done": True,
            "status_code": status,
            "error_code": code,
            "title": code,
            "message": message,
        }
        if name is not None:
            error["context_id"] = name
        await self._talk.socket.send_str(json.dumps(error))

    async def _speak(self, context: _Ctx) -> None:
        performance: Performance | None = None
        begin_s = 0.0
        done = _event(context.name, "done", done=True)
        try:
            while (text := await context.waiting.get()) is not None:
                if performance is not None:
                    await performance.finish()
                performance = await self._server.begin(self._talk, text)
                begin_s += await self._say(context, text, performance, begin_s)
            if performance is None:
                await self._talk.socket.send_str(done)
            else:
                await performance.finish(done)
        except asyncio.CancelledError:
            if performance is not None:
                performance.leave()
            raise
        self._open.pop(context.name, None)

    async def _say(
        self, context: _Ctx, text: str, performance: Performance, begin_s: float
    ) -> float:
        """Speak *text*, which begins *begin_s* into the context; its seconds."""
        pcm, marks = await render(self._server.voice, text)
        piece = round(_PIECE_S * SAMPLE_RATE)
        await asyncio.sleep(self._server.first_s)
        for start in range(0, len(pcm) // 2, piece):
            last = start + piece >= len(pcm) // 2
            inside = [it for it in marks if start <= it.at and (it.at < start + piece or last)]
            if context.timed and inside:
                times = [round(begin_s + it.at / SAMPLE_RATE, 4) for it in inside]
                words = {
                    "words": [text[it.start : it.end] for it in inside],
                    "start": times,
                    "end": times,
                }
                await performance.send(_event(context.name, "timestamps", word_timestamps=words))
            data = context.mouth.encode(pcm[2 * start : 2 * (start + piece)])
            await performance.send(_event(context.name, "chunk", data=data, step_time=1.0))
            await asyncio.sleep(_PIECE_S / self._server.pace)
        return len(pcm) / 2 / SAMPLE_RATE


def _event(name: str, kind: str, *, done: bool = False, **more: object) -> str:
    return json.dumps({"type": kind, "done": done, "status_code": 206, "context_id": name, **more})


def _format(asked: Any) -> Mouth | None:
    if not isinstance(asked, dict) or asked.get("container") != "raw":
        return None
    encoding, rate = asked.get("encoding"), asked.get("sample_rate")
    if encoding == "pcm_mulaw" and rate == SAMPLE_RATE:
        return Mouth(SAMPLE_RATE, mulaw=True)
    if encoding == "pcm_s16le" and rate in RATES:
        return Mouth(rate, mulaw=False)
    return None


def _refused(status: int, code: str, message: str) -> web.Response:
    error = {"error_code": code, "title": message, "message": message, "request_id": "local"}
    return web.json_response(error, status=status)
