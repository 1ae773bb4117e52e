"""A local ElevenLabs: its multi-context synthesis on a real WebSocket, before any voice of ours.

*voice* is any `tts` Stage: the embedded one speaks, `testing.simulated.SimTts` hums a word at a
time.

    async with ElevenLabsServer(SimTts("voice")) as server:
        ... server.base_url ...

It knows `text-to-speech/{voice}/multi-stream-input`: `output_format` (ulaw_8000, pcm_*),
`sync_alignment`, `inactivity_timeout`; contexts (at most five), text, `flush`, `close_context`,
`close_socket`; it answers audio with the alignment of its characters, and `isFinal`. A context that
was flushed is generated to its end, also if it was closed. What a flush speaks is a request for
faults, its text is what `match` looks at.

The alignment's times are relative to each message's audio, as the reference has it, or to the
context, as some clients read them: *times*. *first_s* is the time to the first audio, *pace* how
many seconds of audio come in one second.

Source: as in `providers/tts/elevenlabs.py`.
"""

import asyncio
import json
import math
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Literal

from aiohttp import web
from typing_extensions import override

from trunkline.contracts import Stage
from trunkline.testing.faults import FaultScript
from trunkline.testing.rendering import RATES, Mouth, render
from trunkline.testing.speech_server import Performance, SpeechServer, Struck, Talk
from trunkline.types import SAMPLE_RATE, Phrase, Speech, SpokenWord

CONTEXTS_MAX = 5
_INACTIVITY_S = 20.0
_PIECE_S = 0.2
_QUEUED = 100  # flushes of one context that wait for the one that is being spoken


class ElevenLabsServer(SpeechServer):
    """*voice* in ElevenLabs' words."""

    path = "text-to-speech/{voice}/multi-stream-input"

    def __init__(
        self,
        voice: Stage[AsyncIterator[Phrase], Speech],
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        times: Literal["message", "context"] = "message",
        first_s: float = 0.0,
        pace: float = math.inf,
    ) -> None:
        super().__init__(faults, port)
        self.voice, self.times, self.first_s, self.pace = voice, times, first_s, pace

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key."""
        if request.headers.get("xi-api-key"):
            return None
        detail = {"status": "needs_authorization", "message": "Neither key nor token was given"}
        return web.json_response({"detail": detail}, status=401)

    @override
    async def converse(self, talk: Talk) -> None:
        """Read until the client closes; each context speaks in a task of its own."""
        query = talk.request.query
        mouth = _format(query.get("output_format", "mp3_44100_128"))
        if mouth is None:
            await _fail(talk, "invalid_output_format", "This server speaks ulaw_8000 and pcm_*")
            return
        contexts = _Contexts(self, talk, mouth)
        try:
            async for message in talk.messages(
                float(query.get("inactivity_timeout", _INACTIVITY_S))
            ):
                await contexts.told(message)
        except TimeoutError:
            await _fail(talk, "input_timeout_exceeded", "Have not received a new text input")
        contexts.leave()


@dataclass(slots=True)
class _Ctx:
    """One context: text that waits for a flush, and flushes that wait to be spoken."""

    name: str
    task: asyncio.Task[None] | None = None
    text: str = ""
    flushes: asyncio.Queue[str | None] = field(
        default_factory=lambda: asyncio.Queue(maxsize=_QUEUED)
    )
    closed: bool = False


class _Contexts:
    """The contexts of one connection."""

    def __init__(self, server: ElevenLabsServer, talk: Talk, mouth: Mouth) -> None:
        self._server, self._talk, self._mouth = server, talk, mouth
        self._aligned = talk.request.query.get("sync_alignment") == "true"
        self._open: dict[str, _Ctx] = {}

    async def told(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
            name = said.get("context_id") or said.get("contextId") or "default"
        except (ValueError, AttributeError):
            await _fail(self._talk, "invalid_message", "The message is not a JSON object")
            raise Struck from None
        if said.get("close_socket"):
            await self._close_socket()
            return
        context = self._open.get(name)
        if context is None or context.closed:
            if said.get("close_context"):
                return
            if len(self._open) >= CONTEXTS_MAX:
                await _fail(
                    self._talk,
                    "max_active_conversations",
                    f"Maximum simultaneous contexts per WebSocket connection exceeded "
                    f"({CONTEXTS_MAX}). Please close an existing context before opening a new one.",
                )
                raise Struck
            context = self._open[name] = _Ctx(name)
            context.task = self._talk.group.create_task(self._speak(context))
        context.text += said.get("text") or ""
        if (said.get("flush") or said.get("close_context")) and context.text.strip():
            await context.flushes.put(context.text.strip())
            context.text = ""
        if said.get("close_context"):
            await self._close(context)

    def leave(self) -> None:
        """The client has gone."""
        for context in self._open.values():
            if context.task is not None:
                context.task.cancel()

    async def _close(self, context: _Ctx) -> None:
        if not context.closed:
            context.closed = True
            await context.flushes.put(None)

    async def _close_socket(self) -> None:
        open_now = list(self._open.values())
        for context in open_now:
            await self._close(context)
        if tasks := [context.task for context in open_now if context.task is not None]:
            await asyncio.wait(tasks)
        await self._talk.socket.close()

    async def _speak(self, context: _Ctx) -> None:
        performance: Performance | None = None
        final = json.dumps({"isFinal": True, "contextId": context.name})
        try:
            while (text := await context.flushes.get()) is not None:
                if performance is not None:
                    await performance.finish()
                performance = await self._server.begin(self._talk, text)
                await self._render(context.name, text, performance)
            if performance is None:
                await self._talk.socket.send_str(final)
            else:
                await performance.finish(final)
        except asyncio.CancelledError:
            if performance is not None:
                performance.leave()
            raise
        if self._open.get(context.name) is context:
            del self._open[context.name]

    async def _render(self, name: str, text: str, performance: Performance) -> None:
        pcm, marks = await render(self._server.voice, text)
        times = _times(text, marks, len(pcm) // 2)
        times.append((" ", len(pcm) // 2, 0))  # text ends in a space, and that is echoed, too
        samples = round(_PIECE_S * SAMPLE_RATE)
        await asyncio.sleep(self._server.first_s)
        for start in range(0, len(pcm) // 2, samples):
            end = start + samples
            told: dict[str, object] = {
                "audio": self._mouth.encode(pcm[2 * start : 2 * end]),
                "isFinal": None,
                "contextId": name,
            }
            if self._aligned:
                last = end >= len(pcm) // 2
                inside = [it for it in times if start <= it[1] and (it[1] < end or last)]
                base = start if self._server.times == "message" else 0
                told["alignment"] = told["normalizedAlignment"] = _alignment(inside, base)
            await performance.send(json.dumps(told))
            await asyncio.sleep(_PIECE_S / self._server.pace)


def _format(name: str) -> Mouth | None:
    kind, _, rate = name.partition("_")
    if name == "ulaw_8000":
        return Mouth(SAMPLE_RATE, mulaw=True)
    if kind == "pcm" and rate.isdecimal() and int(rate) in RATES:
        return Mouth(int(rate), mulaw=False)
    return None


def _times(text: str, marks: Sequence[SpokenWord], samples: int) -> list[tuple[str, int, int]]:
    """(character, its sample, its samples) for all of *text*: spread evenly between the words."""
    places = [
        (0, 0),
        *((mark.start, mark.at) for mark in marks if mark.start),
        (len(text), samples),
    ]
    at: list[int] = []
    for (first, begin), (last, end) in pairwise(places):
        at += [begin + (end - begin) * n // (last - first) for n in range(last - first)]
    ends = [*at[1:], samples]
    return [(sign, it, end - it) for sign, it, end in zip(text, at, ends, strict=True)]


def _alignment(times: Sequence[tuple[str, int, int]], base: int) -> Mapping[str, object]:
    def ms(samples: int) -> int:
        return round(samples * 1_000 / SAMPLE_RATE)

    return {
        "chars": [sign for sign, _, _ in times],
        "charStartTimesMs": [ms(at - base) for _, at, _ in times],
        "charDurationsMs": [ms(samples) for _, _, samples in times],
    }


async def _fail(talk: Talk, error: str, message: str) -> None:
    said = {"message": message, "error": error, "code": 1008}
    await talk.socket.send_str(json.dumps(said))
    await talk.socket.close(code=1008, message=message.encode()[:120])
