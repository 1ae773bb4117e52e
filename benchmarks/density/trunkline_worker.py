"""Trunkline as a subject: the real shell with models that cost nothing.

Everything a call passes on a phone line is real: WebSocket, Twilio's JSON, Silero, turn-taking,
attempts, playout with marks, the journal on disk.
"""

import argparse
import asyncio
import gc
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import uvloop

from benchmarks.density import subject
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.contracts import Context
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.media.vad import VadPool
from trunkline.records.worker import WorkerRecords
from trunkline.telephony.server import MEDIA_PATH, TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.testing.simulated import endpoint, speech, tokens
from trunkline.types import (
    FRAME_SAMPLES,
    LLM,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Delta,
    Persona,
    Phrase,
    Prompt,
    Sample,
    Speech,
    ToolCall,
    ToolResult,
    ToolSpec,
    Transcript,
    Where,
)

GREETING = "Recorded, all right?"
_PIECE_BYTES = round(subject.PIECE_S * 16_000)


class Recogniser:
    """Takes every frame and hears a yes (the first is the consent)."""

    endpoint = endpoint("ears", STT)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        del context
        yield self._hear(source)

    async def _hear(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        async for _ in source:
            pass
        yield Transcript(subject.SAID, final=True)


class Brain:
    """A model that answers word by word."""

    endpoint = endpoint("brain", LLM)

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        del source, context
        yield self._answer()

    async def _answer(self) -> AsyncIterator[Delta]:
        for wait, delta in tokens(
            subject.ANSWER, first_s=subject.FIRST_TOKEN_S, gap_s=subject.TOKEN_GAP_S
        ):
            await asyncio.sleep(wait or 0.0)
            assert not isinstance(delta, Exception)
            yield delta


class Mouth:
    """A synthesiser that has each phrase ready, in pieces."""

    endpoint = endpoint("mouth", TTS)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        del context
        yield self._speak(source)

    async def _speak(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        async for phrase in source:
            for piece in _pieces(phrase.text):
                yield Speech(phrase.index, piece.pcm, piece.words, piece.last)


@cache
def _pieces(text: str) -> list[Speech]:
    whole = speech(Phrase(0, text))
    cuts = range(0, len(whole.pcm), _PIECE_BYTES)
    return [
        Speech(
            0,
            whole.pcm[cut : cut + _PIECE_BYTES],
            tuple(w for w in whole.words if cut <= 2 * w.at < cut + _PIECE_BYTES),
            last=cut == cuts[-1],
        )
        for cut in cuts
    ]


class NoTools:
    """A toolbox without tools."""

    specs: tuple[ToolSpec, ...] = ()

    async def run(self, call: ToolCall, key: str) -> ToolResult:
        raise AssertionError(f"the model asked for {call.name} ({key})")


class Timed:
    """A call's journal that also tells when each frame of the caller reached the ear."""

    def __init__(self, records: WorkerRecords, call: CallId, ears: subject.Ears) -> None:
        self._inner = records.journal(call)
        self._ears, self._stream = ears, ""

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        if type == "call.started":
            self._stream = str(data["carrier"])
        self._inner.note(type, data, where=where, data_class=data_class, zone=zone, sample=sample)

    def audio(self, channel: Literal["caller", "agent"], at: Sample, mulaw: bytes) -> None:
        if channel == "caller":
            self._ears.heard(self._stream, at // FRAME_SAMPLES)
        self._inner.audio(channel, at, mulaw)

    async def commit(self) -> None:
        await self._inner.commit()

    async def close(self, reason: str) -> None:
        await self._inner.close(reason)


async def main(folder: Path) -> None:
    """Serve until the parent says `end`."""
    ears = subject.Ears()
    persona = Persona("Desk", "en", subject.PROMPT, GREETING, "I am sorry.")
    routes: Routes = {STT: [Recogniser()], LLM: [Brain()], TTS: [Mouth()]}
    agent = Agent(lambda: persona, NoTools(), routes, Policies())
    async with WorkerRecords(folder / "records", "w0") as records:
        pacer = Pacer(VadPool())
        router = Router(RoutingPolicy())
        worker = Worker(agent, pacer, router, lambda call: Timed(records, call, ears))
        server = TelephonyServer(TelephonyConfig(port=0, calls_max=10_000), worker.answer)
        await server.start()
        gc.collect()  # as `trunkline serve` does
        gc.freeze()
        subject.report(ears, folder, server.port, MEDIA_PATH)
        await pacer.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    uvloop.run(main(parser.parse_args().folder))
