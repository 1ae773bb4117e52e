"""A local server of OpenAI's realtime transcription, a WebSocket, before any recogniser of ours.

    async with OpenAIRealtimeServer(SimStt("ears", ["I need an appointment"])) as server:
        ... server.base_url ...

It knows `GET /v1/realtime?intent=transcription`: `session.update` with an audio format (pcm at 24
kHz, pcmu), `input_audio_buffer.append`, `.commit`, `.clear`; it answers `session.created`,
`session.updated`, `input_audio_buffer.committed`, the deltas and the completion of a transcription,
and `error`. It has no turn detection. An item (from one commit to the next) is a request for
faults.

Deltas cannot take a word back, so a word is told once two looks in a row agreed on it and on all
before it (Liu et al., "Low-Latency Sequence-to-Sequence Speech Recognition and Translation by
Partial Hypothesis Selection", 2020: local agreement).

Source: as in `providers/stt/openai_realtime.py`.
"""

import asyncio
import base64
import binascii
import json
from collections.abc import Sequence
from typing import Any

from aiohttp import web
from typing_extensions import override

from trunkline.testing.faults import FaultScript
from trunkline.testing.hearing import Ear, Recogniser
from trunkline.testing.speech_server import Performance, SpeechServer, Talk
from trunkline.types import SAMPLE_RATE, Transcript

IDLE_S = 300.0
_SHORTEST_S = 0.1
_PCM_RATE = 24_000


class OpenAIRealtimeServer(SpeechServer):
    """*recogniser* in OpenAI's words."""

    path = "realtime"

    def __init__(
        self, recogniser: Recogniser, faults: Sequence[FaultScript] = (), port: int = 0
    ) -> None:
        super().__init__(faults, port)
        self.recogniser = recogniser

    @override
    def refusal(self, request: web.Request) -> web.Response | None:
        """401 without a key, 400 for a session of another kind."""
        if not request.headers.get("Authorization", "").startswith("Bearer "):
            return _refused(401, "invalid_api_key", "You didn't provide an API key.")
        if request.query.get("intent") != "transcription":
            return _refused(400, "invalid_value", "intent=transcription is needed")
        return None

    @override
    async def converse(self, talk: Talk) -> None:
        """Read until the client closes; each item is transcribed in a task of its own."""
        session = _Session(self, talk)
        await session.send("session.created", session=session.config)
        try:
            async for message in talk.messages(IDLE_S):
                await session.told(message)
        except TimeoutError:
            await talk.socket.close()
        session.leave()


class _Item:
    """The audio from one commit to the next."""

    def __init__(self, name: str, ear: Ear, performance: Performance) -> None:
        self.name, self.ear, self.performance = name, ear, performance
        self._last: Sequence[str] = ()  # the words of the last look
        self._told = 0  # so many of them were told
        self.task: asyncio.Task[None] | None = None

    def more(self, text: str) -> str:
        """What another look at *text* makes certain."""
        words = text.split()
        pairs = enumerate(zip(words, self._last, strict=False))
        agreed = next((n for n, (one, other) in pairs if one != other), None)
        agreed = min(len(words), len(self._last)) if agreed is None else agreed
        news, self._last = words[self._told : agreed], words
        lead = " " if self._told and news else ""
        self._told = max(self._told, agreed)
        return lead + " ".join(news)


class _Session:
    """One connection."""

    def __init__(self, server: OpenAIRealtimeServer, talk: Talk) -> None:
        self._server, self._talk = server, talk
        self.config: dict[str, Any] = {"type": "transcription", "audio": {"input": {}}}
        self._item: _Item | None = None
        self._items: list[_Item] = []

    async def send(self, kind: str, **more: object) -> None:
        await self._talk.socket.send_str(_event(kind, **more))

    async def told(self, message: str | bytes) -> None:
        try:
            said = json.loads(message)
            kind = str(said["type"])
        except (ValueError, KeyError, TypeError):
            await self._fail("invalid_json", "could not parse the event")
            return
        match kind:
            case "session.update" if said.get("session", {}).get("type") == "transcription":
                self.config = said["session"]
                await self.send("session.updated", session=self.config)
            case "input_audio_buffer.append":
                await self._append(str(said.get("audio", "")))
            case "input_audio_buffer.commit":
                await self._commit()
            case "input_audio_buffer.clear":
                self._drop()
                await self.send("input_audio_buffer.cleared")
            case _:
                await self._fail("invalid_value", f"unknown event {kind!r}, or session of it")

    def leave(self) -> None:
        """The client has gone."""
        for item in self._items:
            if item.task is not None:
                item.task.cancel()

    async def _append(self, audio: str) -> None:
        try:
            data = base64.b64decode(audio, validate=True)
        except binascii.Error:
            await self._fail("invalid_value", "audio is not base64")
            return
        if self._item is None:
            told = self.config["audio"]["input"].get("format", {}).get("type", "audio/pcm")
            mulaw = told == "audio/pcmu"
            ear = Ear(SAMPLE_RATE if mulaw else _PCM_RATE, mulaw=mulaw)
            performance = await self._server.begin(self._talk)
            self._item = item = _Item(f"item_{len(self._items)}", ear, performance)
            item.task = self._talk.group.create_task(self._transcribe(item))
            self._items.append(item)
        await self._item.ear.put(data)

    async def _commit(self) -> None:
        item = self._item
        if item is None or item.ear.seconds < _SHORTEST_S - 0.001:
            ms = 1_000 * (item.ear.seconds if item else 0)
            await self._fail(
                "input_audio_buffer_commit_empty",
                f"buffer too small. Expected at least 100ms of audio, it has {ms:.2f}ms",
            )
            return
        self._item = None
        await self.send("input_audio_buffer.committed", item_id=item.name, previous_item_id=None)
        await item.ear.end()

    def _drop(self) -> None:
        if self._item is not None and self._item.task is not None:
            self._item.task.cancel()
        self._item = None

    async def _transcribe(self, item: _Item) -> None:
        async def tell(transcript: Transcript) -> None:
            more = "" if transcript.final else item.more(transcript.text)
            if more:
                told = _transcription("delta", item.name, delta=more)
                await item.performance.send(told)
            if transcript.final:
                usage = {"type": "duration", "seconds": item.ear.seconds}
                told = _transcription(
                    "completed", item.name, transcript=transcript.text, usage=usage
                )
                await item.performance.finish(told)

        try:
            await item.ear.hear(self._server.recogniser, tell)
        except asyncio.CancelledError:
            item.performance.leave()
            raise

    async def _fail(self, code: str, message: str) -> None:
        error = {"type": "invalid_request_error", "code": code, "message": message}
        await self.send("error", error=error)


def _event(kind: str, **more: object) -> str:
    return json.dumps({"type": kind, "event_id": "event_local", **more})


def _transcription(kind: str, item: str, **more: object) -> str:
    name = f"conversation.item.input_audio_transcription.{kind}"
    return _event(name, item_id=item, content_index=0, **more)


def _refused(status: int, code: str, message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": code}
    return web.json_response({"error": error}, status=status)
