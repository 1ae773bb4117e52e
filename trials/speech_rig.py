"""Clients of the local speech servers, and those servers with their faults."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

import aiohttp

from trunkline.contracts import Context, Stage
from trunkline.net.body import BodyStage
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.remote import client_session
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.providers.tts.cartesia import Cartesia
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.providers.tts.openai import OpenAISpeech
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.openai_speech_server import OpenAISpeechServer
from trunkline.testing.simulated import Hears, SimStt, SimTts
from trunkline.types import (
    FRAME_SAMPLES,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Endpoint,
    Mono,
    Phrase,
    Sample,
    Speech,
    Transcript,
    Where,
    Zone,
)

KEY = "very-secret-1234567890"
ACCEPTS = frozenset({DataClass.AUDIO, DataClass.SPEECH_TEXT})
ZONE = Zone("there", "managed", "us", "us", "vendor", "none", True, True, ACCEPTS)
EARS = Endpoint("ears", STT, "deepgram", "nova-3", ZONE, "a")
VOICE = Endpoint("voice", TTS, "elevenlabs", "eleven_flash_v2_5", ZONE, "b")
OTHER_VOICE = Endpoint("other", TTS, "cartesia", "sonic-3", ZONE, "c")
OPENAI_VOICE = Endpoint("plain", TTS, "openai", "kokoro", ZONE, "d")
HEARD = Hears("I need an appointment", [(0.2, "I"), (0.4, "I need"), (0.6, "I need an")])
LINES = ("We are open from nine to five.", "Zürich “déjà vu” costs 120 €, naïve café?", "Good-bye!")

In = TypeVar("In")
Out = TypeVar("Out")


def context(within_s: float | None = None, data_class: DataClass = DataClass.AUDIO) -> Context:
    deadline = None
    if within_s is not None:
        deadline = Mono(asyncio.get_running_loop().time() + within_s)
    return Context(Where(CallId("call-1"), 1, 1, 1), data_class, deadline)


def fault(**script: object) -> FaultScript:
    return FaultScript.parse(script)


def deepgram_server(
    *faults: FaultScript, hears: Iterable[str | Hears] = (HEARD,) * 50
) -> DeepgramServer:
    return DeepgramServer(SimStt("ears", list(hears)), faults)


def elevenlabs_server(*faults: FaultScript, **how: object) -> ElevenLabsServer:
    return ElevenLabsServer(SimTts("hum", ttfb_s=0.0), faults, **how)  # type: ignore[arg-type]  # as given


def cartesia_server(*faults: FaultScript, pace: float = 1e9) -> CartesiaServer:
    return CartesiaServer(SimTts("hum", ttfb_s=0.0), faults, pace=pace)


def openai_speech_server(*faults: FaultScript, **how: object) -> OpenAISpeechServer:
    return OpenAISpeechServer(SimTts("hum", ttfb_s=0.0), faults, **how)  # type: ignore[arg-type]  # as given


@dataclass
class Rig:
    """A client, and what its gate decided."""

    session: aiohttp.ClientSession
    decisions: list[EgressDecision] = field(default_factory=list)
    stages: list[WebSocketStage[AudioFrame, Transcript] | WebSocketStage[Phrase, Speech]] = field(
        default_factory=list
    )

    def ears(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[AudioFrame, Transcript]:
        stage = WebSocketStage(
            EARS,
            Deepgram(EARS, options),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=Gate(self.decisions.append),
            connect_s=connect_s,
        )
        self.stages.append(stage)
        return stage

    def other_voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[Phrase, Speech]:
        """Cartesia's."""
        stage = WebSocketStage(
            OTHER_VOICE,
            Cartesia(OTHER_VOICE, {"voice": "anna", **options}),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=Gate(self.decisions.append),
            connect_s=connect_s,
        )
        self.stages.append(stage)
        return stage

    def openai_voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> BodyStage[Phrase, Speech]:
        """OpenAI's, and of those who speak like it."""
        return BodyStage(
            OPENAI_VOICE,
            OpenAISpeech(OPENAI_VOICE, {"voice": "anna", **options}),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=Gate(self.decisions.append),
            connect_s=connect_s,
        )

    def voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[Phrase, Speech]:
        stage = WebSocketStage(
            VOICE,
            ElevenLabs(VOICE, {"voice": "anna", **options}),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=Gate(self.decisions.append),
            connect_s=connect_s,
        )
        self.stages.append(stage)
        return stage


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    async with client_session() as session:
        it = Rig(session)
        try:
            yield it
        finally:
            for stage in it.stages:
                await stage.close()


async def audio(seconds: float = 1.0, *, paced: bool = False) -> AsyncIterator[AudioFrame]:
    """A hum of so many seconds, at once or at its own pace."""
    for number in range(round(seconds * 50)):
        if paced:
            await asyncio.sleep(0.02)
        pcm = b"\x00\x10\x00\xf0" * (FRAME_SAMPLES // 2)
        yield AudioFrame(pcm, Sample(8_000 + number * FRAME_SAMPLES))


async def phrases(*lines: str) -> AsyncIterator[Phrase]:
    for number, line in enumerate(lines or LINES):
        yield Phrase(number, line)


async def collect(
    stage: Stage[AsyncIterator[In], Out],
    source: AsyncIterator[In],
    ctx: Context,
    heard: list[Out] | None = None,
) -> list[Out]:
    """All outputs; *heard* keeps them if the stage fails."""
    heard = [] if heard is None else heard
    async with stage.open(source, ctx) as outputs:
        async for output in outputs:
            heard.append(output)  # it is to have them when the next one fails
    return heard


def trial(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run in real time, bounded."""

    def run() -> None:
        async def main() -> None:
            async with asyncio.timeout(30):
                await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def eventually(check: Callable[[], bool], within_s: float = 2.0) -> float:
    """Wait until *check* holds; the seconds it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        await asyncio.sleep(0.001)
    return time.monotonic() - began
