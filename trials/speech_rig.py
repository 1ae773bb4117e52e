"""Clients of the local speech servers, and those servers with their faults."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar, overload

import aiohttp

from trunkline.contracts import Context, DuplexCodec, Stage
from trunkline.net.body import BodyStage
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.remote import client_session
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.providers.stt.openai import OpenAITranscription
from trunkline.providers.stt.openai_realtime import OpenAIRealtime
from trunkline.providers.stt.soniox import Soniox
from trunkline.providers.tts.cartesia import Cartesia
from trunkline.providers.tts.deepgram_aura import DeepgramAura
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.providers.tts.openai import OpenAISpeech
from trunkline.testing.aura_server import AuraServer
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultScript
from trunkline.testing.openai_realtime_server import OpenAIRealtimeServer
from trunkline.testing.openai_speech_server import OpenAISpeechServer
from trunkline.testing.openai_transcription_server import OpenAITranscriptionServer
from trunkline.testing.simulated import Hears, SimStt, SimTts
from trunkline.testing.soniox_server import SonioxServer
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
AURA_VOICE = Endpoint("aura", TTS, "deepgram_aura", "aura-2-thalia-en", ZONE, "a")
REALTIME_EARS = Endpoint("realtime", STT, "openai_realtime", "gpt-live-transcribe", ZONE, "e")
FILE_EARS = Endpoint("file", STT, "openai", "whisper-1", ZONE, "e")
SONIOX_EARS = Endpoint("soniox", STT, "soniox", "stt-rt-v5", ZONE, "f")
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


def aura_server(*faults: FaultScript, pace: float = 1e9) -> AuraServer:
    return AuraServer(SimTts("hum", ttfb_s=0.0), faults, pace=pace)


def soniox_server(*faults: FaultScript) -> SonioxServer:
    return SonioxServer(SimStt("ears", [HEARD] * 50), faults)


def realtime_server(*faults: FaultScript) -> OpenAIRealtimeServer:
    # A word is told when it was heard twice: two more looks, and there are four deltas.
    more = Hears(HEARD.final, [*HEARD.interims, (0.7, HEARD.final), (0.8, HEARD.final)])
    return OpenAIRealtimeServer(SimStt("ears", [more] * 50), faults)


def transcription_server(*faults: FaultScript, **how: object) -> OpenAITranscriptionServer:
    return OpenAITranscriptionServer(SimStt("ears", [HEARD] * 50), faults, **how)  # type: ignore[arg-type]  # as given


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
        return self.hears(EARS, Deepgram(EARS, options), base_url, connect_s)

    def realtime_ears(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[AudioFrame, Transcript]:
        """OpenAI's, while the caller speaks."""
        return self.hears(
            REALTIME_EARS, OpenAIRealtime(REALTIME_EARS, options), base_url, connect_s
        )

    def soniox_ears(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[AudioFrame, Transcript]:
        return self.hears(SONIOX_EARS, Soniox(SONIOX_EARS, options), base_url, connect_s)

    def file_ears(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> BodyStage[AudioFrame, Transcript]:
        """OpenAI's, once the caller has finished."""
        codec = OpenAITranscription(FILE_EARS, options)
        return BodyStage(FILE_EARS, codec, **self._there(base_url, connect_s))

    def voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[Phrase, Speech]:
        codec = ElevenLabs(VOICE, {"voice": "anna", **options})
        return self.speaks(VOICE, codec, base_url, connect_s)

    def other_voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[Phrase, Speech]:
        """Cartesia's."""
        codec = Cartesia(OTHER_VOICE, {"voice": "anna", **options})
        return self.speaks(OTHER_VOICE, codec, base_url, connect_s)

    def aura_voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> WebSocketStage[Phrase, Speech]:
        """Deepgram's."""
        return self.speaks(AURA_VOICE, DeepgramAura(AURA_VOICE, options), base_url, connect_s)

    def openai_voice(
        self, base_url: str, connect_s: float = 1.0, **options: object
    ) -> BodyStage[Phrase, Speech]:
        """OpenAI's, and of those who speak like it."""
        codec = OpenAISpeech(OPENAI_VOICE, {"voice": "anna", **options})
        return BodyStage(OPENAI_VOICE, codec, **self._there(base_url, connect_s))

    def hears(
        self,
        endpoint: Endpoint,
        codec: DuplexCodec[AudioFrame, Transcript],
        base_url: str,
        connect_s: float = 1.0,
    ) -> WebSocketStage[AudioFrame, Transcript]:
        stage = WebSocketStage(endpoint, codec, **self._there(base_url, connect_s))
        self.stages.append(stage)
        return stage

    def speaks(
        self,
        endpoint: Endpoint,
        codec: DuplexCodec[Phrase, Speech],
        base_url: str,
        connect_s: float = 1.0,
    ) -> WebSocketStage[Phrase, Speech]:
        stage = WebSocketStage(endpoint, codec, **self._there(base_url, connect_s))
        self.stages.append(stage)
        return stage

    def _there(self, base_url: str, connect_s: float) -> dict[str, Any]:
        gate = Gate(self.decisions.append)
        there = {"base_url": base_url, "key": KEY, "connect_s": connect_s}
        return {**there, "session": self.session, "gate": gate}


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


Test = Callable[[], Awaitable[None]]


@overload
def trial(test: Test) -> Callable[[], None]: ...
@overload
def trial(*, bound_s: float) -> Callable[[Test], Callable[[], None]]: ...
def trial(
    test: Test | None = None, *, bound_s: float = 30
) -> Callable[[], None] | Callable[[Test], Callable[[], None]]:
    """Run in real time, bounded: those that start outsiders' processes take a longer bound."""

    def decorate(test: Test) -> Callable[[], None]:
        def run() -> None:
            async def main() -> None:
                async with asyncio.timeout(bound_s):
                    await test()

            asyncio.run(main())

        run.__name__, run.__doc__ = test.__name__, test.__doc__
        return run

    return decorate if test is None else decorate(test)


async def eventually(check: Callable[[], bool], within_s: float = 2.0) -> float:
    """Wait until *check* holds; the seconds it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        await asyncio.sleep(0.001)
    return time.monotonic() - began
