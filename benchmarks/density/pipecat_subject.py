"""Pipecat as a subject: the telephony bot of its documentation, with models that cost nothing.

FastAPI's WebSocket transport with the Twilio serializer, one pipeline a call, as its guide for
Twilio Media Streams builds them (docs.pipecat.ai, read November 2026). All that lowers its cost
without changing what it does is done: audio stays at 8 kHz, its metrics are off, the end of a turn
is a pause (its default, a second neural network, costs tens of milliseconds a turn), the loop is
uvloop's, no log is written.
"""

import argparse
import asyncio
import json
import socket
from collections.abc import AsyncGenerator
from pathlib import Path

import uvicorn
import uvloop
from fastapi import FastAPI, WebSocket
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    TranscriptionFrame,
    TTSAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.services.llm_service import LLMService
from pipecat.services.stt_service import STTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.turns.user_stop import SpeechTimeoutUserTurnStopStrategy
from pipecat.turns.user_turn_strategies import UserTurnStrategies
from pipecat.utils.time import time_now_iso8601
from pipecat.workers.runner import WorkerRunner

from benchmarks.density import subject

RATE = 8_000
_PATH = "/ws"
_PIECES = round(subject.ANSWER_S / subject.PIECE_S)
_PIECE = b"\xa0\x0f" * round(RATE * subject.ANSWER_S / _PIECES)


class Recogniser(STTService):
    """Notes every frame; has its transcript when the caller has finished."""

    def __init__(self, ears: subject.Ears, stream: str) -> None:
        super().__init__()
        self._ears, self._stream = ears, stream

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        number = subject.number_of(audio)
        self._ears.heard(self._stream, number)
        if subject.has_spoken(number):
            yield TranscriptionFrame(subject.SAID, "", time_now_iso8601(), finalized=True)
        else:
            yield None


class Brain(LLMService):
    """Answers word by word."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        for wait_s, word in subject.tokens():
            await asyncio.sleep(wait_s)
            await self._push_llm_text(word)
        await self.push_frame(LLMFullResponseEndFrame())


class Mouth(TTSService):
    """Has each answer ready, in pieces."""

    def __init__(self) -> None:
        super().__init__(push_start_frame=True, push_stop_frames=True, sample_rate=RATE)

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        del text
        for _ in range(_PIECES):
            yield TTSAudioRawFrame(_PIECE, RATE, 1, context_id=context_id)


async def bot(websocket: WebSocket, stream: str, ears: subject.Ears) -> None:
    """One call, to its end."""
    hang_up = TwilioFrameSerializer.InputParams(auto_hang_up=False)  # there is no Twilio to ask
    serializer = TwilioFrameSerializer(stream, params=hang_up)
    params = FastAPIWebsocketParams(
        audio_in_enabled=True, audio_out_enabled=True, serializer=serializer
    )
    transport = FastAPIWebsocketTransport(websocket, params)
    aggregators = LLMContextAggregatorPair(
        LLMContext([{"role": "system", "content": subject.PROMPT}]),
        user_params=LLMUserAggregatorParams(
            vad_analyzer=SileroVADAnalyzer(),
            user_turn_strategies=UserTurnStrategies(stop=[SpeechTimeoutUserTurnStopStrategy()]),
        ),
    )
    stages = [
        transport.input(),
        Recogniser(ears, stream),
        aggregators.user(),
        Brain(),
        Mouth(),
        transport.output(),
        aggregators.assistant(),
    ]
    rates = PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE)
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(PipelineWorker(Pipeline(stages), params=rates))
    await runner.run()


async def main(folder: Path) -> None:
    """Serve until the parent says `end`."""
    logger.remove()
    app, ears = FastAPI(), subject.Ears()

    @app.websocket(_PATH)
    async def media(websocket: WebSocket) -> None:
        await websocket.accept()
        await websocket.receive_text()  # connected
        start = json.loads(await websocket.receive_text())
        await bot(websocket, start["start"]["streamSid"], ears)

    with socket.create_server(("127.0.0.1", 0), backlog=512) as listening:
        subject.report(ears, folder, listening.getsockname()[1], _PATH)
        server = uvicorn.Server(uvicorn.Config(app, log_level="critical", access_log=False))
        await server.serve(sockets=[listening])


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    uvloop.run(main(parser.parse_args().folder))
