"""LiveKit Agents as a subject: an `AgentSession` a call, with models that cost nothing.

LiveKit has no WebSocket for Twilio; telephony reaches its agents through a LiveKit server, over
WebRTC. Here the session is fed through its documented `AudioInput` and `AudioOutput` by the
smallest bridge that speaks Media Streams: one read, one decode and no queue for a frame of the
caller, one message for a frame of the agent, sent as it comes, because Twilio buffers. With
`--bridge-only` the bridge runs without a session, and shows what it costs by itself.

All that lowers its cost without changing what it does is done: all sessions share one process
(its own server starts one for each), audio stays at 8 kHz, the end of a turn is a pause (its
default is a second neural network), the loop is uvloop's, no log is written.
"""

import argparse
import asyncio
import audioop
import base64
import json
import logging
import time
from pathlib import Path
from typing import Any

import uvloop
from aiohttp import WSMsgType, web
from livekit import rtc
from livekit.agents import Agent, AgentSession, inference, llm, stt, tts
from livekit.agents.types import DEFAULT_API_CONNECT_OPTIONS
from livekit.agents.voice import io

from benchmarks.density import subject

RATE = 8_000
_PATH = "/ws"
_PIECES = round(subject.ANSWER_S / subject.PIECE_S)
_PIECE = b"\xa0\x0f" * round(RATE * subject.ANSWER_S / _PIECES)


class FromTwilio(io.AudioInput):
    """The caller's audio, read from the socket by whoever asks for it."""

    def __init__(self, ws: web.WebSocketResponse, hung_up: asyncio.Event) -> None:
        super().__init__(label="twilio")
        self._ws, self._hung_up = ws, hung_up

    async def __anext__(self) -> rtc.AudioFrame:
        while True:
            message = await self._ws.receive()
            if message.type is not WSMsgType.TEXT:
                self._hung_up.set()
                raise StopAsyncIteration
            told = json.loads(message.data)
            if told["event"] == "media":
                pcm = audioop.ulaw2lin(base64.b64decode(told["media"]["payload"]), 2)
                return rtc.AudioFrame(pcm, RATE, 1, len(pcm) // 2)


class ToTwilio(io.AudioOutput):
    """The agent's audio, sent at once; a segment is over when it must have been heard."""

    def __init__(self, ws: web.WebSocketResponse, stream: str) -> None:
        can = io.AudioOutputCapabilities(pause=False)
        super().__init__(label="twilio", capabilities=can, sample_rate=RATE)
        self._ws, self._stream = ws, stream
        self._began, self._length_s = 0.0, 0.0
        self._over: asyncio.TimerHandle | None = None

    async def capture_frame(self, frame: rtc.AudioFrame) -> None:
        await super().capture_frame(frame)
        if not self._length_s:
            self._began = time.time()
            self.on_playback_started(created_at=self._began)
        self._length_s += frame.duration
        payload = base64.b64encode(audioop.lin2ulaw(bytes(frame.data), 2)).decode()
        await self._send({"event": "media", "media": {"payload": payload}})

    def flush(self) -> None:
        super().flush()
        if self._length_s:
            length_s, self._length_s = self._length_s, 0.0
            left_s = max(0.0, self._began + length_s - time.time())
            loop = asyncio.get_running_loop()
            self._over = loop.call_later(left_s, self._finished, length_s, False)

    def clear_buffer(self) -> None:
        if self._over is not None:
            self._over.cancel()
            self._finished(time.time() - self._began, True)

    def _finished(self, position_s: float, interrupted: bool) -> None:
        self._over = None
        self.on_playback_finished(playback_position=position_s, interrupted=interrupted)

    async def _send(self, message: dict[str, object]) -> None:
        await self._ws.send_str(json.dumps(message | {"streamSid": self._stream}))


class Hearing(stt.RecognizeStream):
    """Notes every frame; has its transcript when the caller has finished."""

    async def _run(self) -> None:
        async for frame in self._input_ch:
            if isinstance(frame, rtc.AudioFrame):
                number = subject.number_of(bytes(frame.data[:4]))
                self._stt.ears.heard(self._stt.stream_sid, number)
                if subject.has_spoken(number):
                    said = [stt.SpeechData(language="en", text=subject.SAID)]
                    kind = stt.SpeechEventType.FINAL_TRANSCRIPT
                    self._event_ch.send_nowait(stt.SpeechEvent(type=kind, alternatives=said))


class Recogniser(stt.STT):
    """Streams, without interim results."""

    def __init__(self, ears: subject.Ears, stream_sid: str) -> None:
        can = stt.STTCapabilities(streaming=True, interim_results=False)
        super().__init__(capabilities=can)
        self.ears, self.stream_sid = ears, stream_sid

    async def _recognize_impl(self, *given: Any, **named: Any) -> stt.SpeechEvent:
        raise NotImplementedError("it streams")

    def stream(
        self, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS, **named: Any
    ) -> stt.RecognizeStream:
        del named
        return Hearing(stt=self, conn_options=conn_options)


class Thought(llm.LLMStream):
    """Answers word by word."""

    async def _run(self) -> None:
        for wait_s, word in subject.tokens():
            await asyncio.sleep(wait_s)
            delta = llm.ChoiceDelta(role="assistant", content=word)
            self._event_ch.send_nowait(llm.ChatChunk(id="1", delta=delta))


class Brain(llm.LLM):
    """A model without tools."""

    def chat(
        self,
        *,
        chat_ctx: Any,
        tools: Any = None,
        conn_options: Any = DEFAULT_API_CONNECT_OPTIONS,
        **named: Any,
    ) -> llm.LLMStream:
        del named
        return Thought(self, chat_ctx=chat_ctx, tools=tools or [], conn_options=conn_options)


class Utterance(tts.ChunkedStream):
    """Has each answer ready, in pieces."""

    async def _run(self, output_emitter: tts.AudioEmitter) -> None:
        output_emitter.initialize(
            request_id="1", sample_rate=RATE, num_channels=1, mime_type="audio/pcm"
        )
        for _ in range(_PIECES):
            output_emitter.push(_PIECE)
        output_emitter.flush()


class Mouth(tts.TTS):
    """A synthesiser of whole sentences."""

    def __init__(self) -> None:
        can = tts.TTSCapabilities(streaming=False)
        super().__init__(capabilities=can, sample_rate=RATE, num_channels=1)

    def synthesize(
        self, text: str, *, conn_options: Any = DEFAULT_API_CONNECT_OPTIONS
    ) -> tts.ChunkedStream:
        return Utterance(tts=self, input_text=text, conn_options=conn_options)


async def converse(ears: subject.Ears, stream: str, source: FromTwilio, sink: ToTwilio) -> None:
    """Begin one call's session."""
    session: AgentSession[None] = AgentSession(
        stt=Recogniser(ears, stream),
        vad=inference.VAD(model="silero"),
        llm=Brain(),
        tts=Mouth(),
        turn_handling={"turn_detection": "vad", "interruption": {"mode": "vad"}},
        aec_warmup_duration=None,
    )
    session.input.audio, session.output.audio = source, sink
    await session.start(Agent(instructions=subject.PROMPT), record=False)


async def echo(ears: subject.Ears, stream: str, source: FromTwilio, sink: ToTwilio) -> None:
    """The bridge alone: frames come, an answer goes when the caller has finished."""
    async for frame in source:
        number = subject.number_of(bytes(frame.data[:4]))
        ears.heard(stream, number)
        if subject.has_spoken(number):
            for _ in range(_PIECES):
                await sink.capture_frame(rtc.AudioFrame(_PIECE, RATE, 1, len(_PIECE) // 2))
            sink.flush()


async def main(folder: Path, *, bridge_only: bool) -> None:
    """Serve until the parent says `end`."""
    logging.disable(logging.CRITICAL)
    ears = subject.Ears()

    async def media(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse(compress=False)
        await ws.prepare(request)
        await ws.receive_str()  # connected
        stream = json.loads(await ws.receive_str())["start"]["streamSid"]
        hung_up = asyncio.Event()
        call = echo if bridge_only else converse
        await call(ears, stream, FromTwilio(ws, hung_up), ToTwilio(ws, stream))
        await hung_up.wait()
        return ws

    app = web.Application()
    app.add_routes([web.get(_PATH, media)])
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0, backlog=512)
    await site.start()
    subject.report(ears, folder, runner.addresses[0][1], _PATH)
    await asyncio.Event().wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bridge-only", action="store_true")
    given = parser.parse_args()
    uvloop.run(main(given.folder, bridge_only=given.bridge_only))
