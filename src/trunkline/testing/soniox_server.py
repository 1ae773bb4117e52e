"""A local Soniox: its real-time recognition on a WebSocket, before any recogniser of ours.

    async with SonioxServer(SimStt("ears", ["I need an appointment"])) as server:
        ... server.base_url ...

It knows `transcribe-websocket`: a first message with `model`, `audio_format` (mulaw, pcm_s16le),
`sample_rate`; binary audio; `keepalive`, `finalize` (ignored: it finalizes at the end), an empty
message as the end. It answers tokens, `finished`, and errors, after which it closes. A connection
is a request for faults. It hangs up after 20 s without a message.

Source: as in `providers/stt/soniox.py`.
"""

import asyncio
import json
from collections.abc import Mapping, Sequence
from typing import Any

from aiohttp import web
from typing_extensions import override

from trunkline.testing.faults import FaultScript
from trunkline.testing.hearing import Ear, Recogniser
from trunkline.testing.rendering import RATES
from trunkline.testing.speech_server import Performance, SpeechServer, Talk
from trunkline.types import SAMPLE_RATE, Transcript, Word

QUIET_S = 20.0


class SonioxServer(SpeechServer):
    """*recogniser* in Soniox' words."""

    path = "transcribe-websocket"
    version = ""

    def __init__(
        self, recogniser: Recogniser, faults: Sequence[FaultScript] = (), port: int = 0
    ) -> None:
        super().__init__(faults, port)
        self._recogniser = recogniser

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key in the header."""
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            body = {"error_code": 401, "error_message": "Missing API key."}
            return web.json_response(body, status=401)
        return None

    @override
    async def converse(self, talk: Talk) -> None:
        """The configuration, then audio until an empty message."""
        ear: Ear | None = None
        task: asyncio.Task[None] | None = None
        try:
            async for message in talk.messages(QUIET_S):
                if ear is None:
                    ear = _ear(message)
                    if ear is None:
                        await _fail(talk, 400, "Invalid configuration.")
                        return
                elif not message:
                    task = task or await self._begin(talk, ear)
                    await ear.end()
                elif isinstance(message, bytes):
                    task = task or await self._begin(talk, ear)
                    await ear.put(message)
        except TimeoutError:
            await _fail(talk, 408, "Request timeout.")
        if task is not None:
            task.cancel()

    async def _begin(self, talk: Talk, ear: Ear) -> asyncio.Task[None]:
        performance = await self.begin(talk)
        return talk.group.create_task(self._hear(talk, ear, performance))

    async def _hear(self, talk: Talk, ear: Ear, performance: Performance) -> None:
        async def tell(transcript: Transcript) -> None:
            tokens = _tokens(transcript)
            await performance.send(_result(tokens, ear))
            if transcript.final:
                await performance.finish(_result([], ear, finished=True))

        try:
            await ear.hear(self._recogniser, tell)
        except asyncio.CancelledError:
            performance.leave()
            raise
        await talk.socket.close()


def _ear(message: str | bytes) -> Ear | None:
    """What the configuration in *message* asks for, None if that cannot be."""
    try:
        told: Mapping[str, Any] = json.loads(message)
        known = told["audio_format"] in {"mulaw", "pcm_s16le"} and told["sample_rate"] in RATES
        if not told["model"] or not known or told["num_channels"] != 1:
            return None
        return Ear(told["sample_rate"], mulaw=told["audio_format"] == "mulaw")
    except (ValueError, KeyError, TypeError):
        return None


def _tokens(transcript: Transcript) -> list[dict[str, object]]:
    """Two tokens a word, as Soniox parts them; without times where the recogniser has none."""
    if not transcript.words:
        texts = transcript.text.split()
        return [
            {"text": f" {text}" if n else text, "is_final": transcript.final, "confidence": 0.9}
            for n, text in enumerate(texts)
        ]
    return [
        token
        for number, word in enumerate(transcript.words)
        for token in _halves(word, first=not number, final=transcript.final)
    ]


def _halves(word: Word, *, first: bool, final: bool) -> list[dict[str, object]]:
    half = (len(word.text) + 1) // 2
    start, end = (at * 1_000 / SAMPLE_RATE for at in (word.start, word.end))
    middle = (start + end) / 2 if word.text[half:] else end
    parts = (
        (("" if first else " ") + word.text[:half], start, middle),
        (word.text[half:], middle, end),
    )
    return [
        {"text": text, "start_ms": round(at), "end_ms": round(to), "is_final": final}
        for text, at, to in parts
        if text
    ]


def _result(tokens: list[dict[str, object]], ear: Ear, *, finished: bool = False) -> str:
    ms = round(ear.seconds * 1_000)
    told: dict[str, object] = {"tokens": tokens, "total_audio_proc_ms": ms}
    told["final_audio_proc_ms"] = ms if finished else 0
    return json.dumps(told | ({"finished": True} if finished else {}))


async def _fail(talk: Talk, code: int, message: str) -> None:
    await talk.socket.send_str(json.dumps({"error_code": code, "error_message": message}))
    await talk.socket.close()
