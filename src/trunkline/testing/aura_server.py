"""A local Deepgram that speaks: its synthesis on a WebSocket, before any voice of ours.

    async with AuraServer(SimTts("voice")) as server:
        ... server.base_url ...

It knows `GET /v1/speak`: `encoding` (mulaw, linear16), `sample_rate`; `Speak`, `Flush`, `Clear`,
`Close`; it answers audio, `Metadata`, `Flushed`, `Cleared`, and `Warning` after more than
`FLUSHES_MAX` flushes in a minute. What is flushed at once is a request for faults, and its text is
what `match` looks at. *first_s* is the time to the first audio, *pace* how many seconds of audio
come in one second.

Source: as in `providers/tts/deepgram_aura.py`.
"""

import asyncio
import json
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Sequence

from aiohttp import web
from typing_extensions import override

from trunkline.contracts import Stage
from trunkline.testing.faults import FaultScript
from trunkline.testing.rendering import RATES, Mouth, render
from trunkline.testing.speech_server import Performance, SpeechServer, Talk
from trunkline.types import Phrase, Speech

IDLE_S = 60.0
FLUSHES_MAX = 20
_MINUTE_S = 60.0
_PIECE_S = 0.2
_QUEUED = 100  # texts that wait for the one that is being spoken


class AuraServer(SpeechServer):
    """*voice* in Deepgram's words."""

    path = "speak"

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
        """401 without a key, 400 for audio that it does not know."""
        scheme, _, key = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() not in {"token", "bearer"} or not key:
            return _refused(401, "INVALID_AUTH", "Invalid credentials.")
        if _mouth(request) is None:
            return _refused(400, "Bad Request", "Unsupported audio format")
        return None

    @override
    async def converse(self, talk: Talk) -> None:
        """Read until the client closes; what is flushed is spoken by a task of its own."""
        mouth = _mouth(talk.request)
        assert mouth is not None  # noqa: S101  # else it was refused
        desk = _Desk(self, talk, mouth)
        await desk.say("Metadata", request_id="local", model_name="local", model_version="0")
        try:
            async for message in talk.messages(IDLE_S):
                await desk.told(message)
        except TimeoutError:
            await talk.socket.close()
        desk.leave()


class _Desk:
    """One connection."""

    def __init__(self, server: AuraServer, talk: Talk, mouth: Mouth) -> None:
        self._server, self._talk, self._mouth = server, talk, mouth
        self._text = ""
        self._flushed: asyncio.Queue[str | None] = asyncio.Queue(maxsize=_QUEUED)
        self._flushes: deque[float] = deque(maxlen=FLUSHES_MAX)
        self._sequence = 0
        self._speaker = talk.group.create_task(self._speak())

    async def say(self, kind: str, **more: object) -> None:
        await self._talk.socket.send_str(json.dumps({"type": kind, **more}))

    async def told(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
            kind = str(said["type"])
        except (ValueError, KeyError, TypeError):
            await self._talk.socket.close(code=1008, message=b"DATA-0000")
            return
        match kind:
            case "Speak":
                self._text += str(said.get("text", ""))
            case "Flush":
                await self._flush()
            case "Clear":
                self._text, self._sequence = "", self._sequence + 1
                self.leave()
                self._speaker = self._talk.group.create_task(self._speak())
                await self.say("Cleared", sequence_id=self._sequence)
            case "Close":
                await self._flush()
                await self._flushed.put(None)
            case _:
                await self.say("Warning", code="UNKNOWN_MESSAGE", description=f"no {kind}")

    def leave(self) -> None:
        """Nobody listens any more."""
        self._speaker.cancel()
        self._flushed = asyncio.Queue(maxsize=_QUEUED)

    async def _flush(self) -> None:
        now = time.monotonic()
        if len(self._flushes) == FLUSHES_MAX and now - self._flushes[0] < _MINUTE_S:
            await self.say("Warning", code="EXCEEDED_FLUSH_LIMIT", description="too many flushes")
            return
        self._flushes.append(now)
        text, self._text = self._text.strip(), ""
        await self._flushed.put(text)

    async def _speak(self) -> None:
        while (text := await self._flushed.get()) is not None:
            self._sequence += 1
            flushed = json.dumps({"type": "Flushed", "sequence_id": self._sequence})
            if not text:
                await self._talk.socket.send_str(flushed)
                continue
            performance = await self._server.begin(self._talk, text)
            try:
                await self._perform(performance, text)
                await performance.finish(flushed)
            except asyncio.CancelledError:
                performance.leave()
                raise
        await self._talk.socket.close()

    async def _perform(self, performance: Performance, text: str) -> None:
        await asyncio.sleep(self._server.first_s)
        pcm, _ = await render(self._server.voice, text)
        raw = self._mouth.raw(pcm)
        size = round(_PIECE_S * self._mouth.rate) * (1 if self._mouth.mulaw else 2)
        for start in range(0, len(raw), size):
            await performance.send(raw[start : start + size])
            await asyncio.sleep(_PIECE_S / self._server.pace)


def _mouth(request: web.Request) -> Mouth | None:
    encoding, rate = request.query.get("encoding"), request.query.get("sample_rate", "")
    if encoding not in {"mulaw", "linear16"} or not rate.isdecimal() or int(rate) not in RATES:
        return None
    return Mouth(int(rate), mulaw=encoding == "mulaw")


def _refused(status: int, code: str, message: str) -> web.Response:
    body = {"err_code": code, "err_msg": message, "request_id": "local"}
    return web.json_response(body, status=status, headers={"dg-error": message})
