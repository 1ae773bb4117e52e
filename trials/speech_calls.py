"""Whole calls whose speech endpoints fail: placed in real time, and heard word by word.

One call: the caller over the carrier's media stream, a worker that has never answered before, two
synthesisers (ElevenLabs' and Cartesia's protocols) or two recognisers (Deepgram's) on real sockets
in real time. Behind the synthesisers is a voice that says each word by itself, as espeak renders
it, so that a word sounds the same wherever a sentence is taken up: each is found on the caller's
tape by its own sound. Behind the recognisers is pocketsphinx, and what it understands counts.
"""

import asyncio
import gc
import math
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from importlib.resources import files
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import numpy as np
import soundfile

from trials.embedded_rig import HERE, endpoint
from trials.speech_rig import KEY
from trials.speech_voices import LateEars, Samples, Sick, Words, WordVoice, words_of
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.contracts import Carrier, DuplexCodec
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.core.speech_plan import PRIORS
from trunkline.media.g711 import mulaw_encode
from trunkline.media.match import find
from trunkline.media.tape import summary
from trunkline.media.vad import VadPool
from trunkline.net.gate import Gate
from trunkline.net.remote import client_session
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.providers.tts.cartesia import Cartesia
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Speak, Step
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.testing.faults import FaultKind, FaultScript
from trunkline.testing.simulated import MemoryJournal, Note, SimLlm, SimStt, tokens
from trunkline.types import (
    LLM,
    STT,
    TTS,
    Endpoint,
    Persona,
    StageName,
    ToolCall,
    ToolResult,
    ToolSpec,
)

AT_ONCE: Final = int(os.environ.get("SPEECH_AT_ONCE", "3"))
LATE_MS_MAX: Final = float(os.environ.get("SPEECH_LATE_MS", "100"))
"""A larger one makes no claim easier: what the machine delays is counted against it."""
TRIES_MAX: Final = 4
GREETING: Final = "Hello everybody."
SENTENCES: Final = (
    "Certainly, please bring your insurance card together with photo identification.",
    "Parking behind the building costs nothing before evening.",
    "Arrive ten minutes early because paperwork needs effort.",
)
SHORT: Final = "Certainly, parking costs nothing."
SCORE_MIN: Final = 0.95
"""A word is the same sound each time but for G.711 and the level; others stay below 0.9."""
PIECE_S: Final = 0.2
"""Of audio in a message of the local synthesisers."""
CLIP: Final = Path(str(files("trunkline").joinpath("console/clips"))) / "bring.wav"
HEARD: Final = "what should i bring"
BEFORE_AUDIO: Final = ("no_audio", "cut_at_once")
MID_ANSWER: Final = ("die", "close", "early", "mute", "stall", "drip")
DEAF: Final = ("silent", "stalled", "die", "close", "error", "late")


@dataclass(frozen=True, slots=True)
class Order:
    """One call: which stage fails and how ("none": it does not)."""

    stage: StageName
    fault: str
    seed: int

    @property
    def healthy(self) -> "Order":
        """The same call without the fault."""
        return Order(self.stage, "none", self.seed)


@dataclass(frozen=True, slots=True)
class Seen:
    """One call. *words*: those of the answer as they were heard on the tape, with their times."""

    order: Order
    words: tuple[tuple[str, float], ...]
    v2v_s: float
    transcripts: tuple[str, ...]
    failovers: int
    queued_s: float
    moment: str

    def added_s(self, healthy: "Seen") -> float:
        """Silence between the words beyond that of the *healthy* call, summed."""
        there = [at for _, at in healthy.words]
        here = [at for _, at in self.words]
        pairs = zip(np.diff(here), np.diff(there), strict=True)
        return float(sum(max(0.0, a - b) for a, b in pairs))

    def later_s(self, healthy: "Seen") -> float:
        """How much later the answer began."""
        return self.v2v_s - healthy.v2v_s


class NoTools:
    """None."""

    specs: Sequence[ToolSpec] = ()

    async def run(self, call: ToolCall, key: str) -> ToolResult:
        raise AssertionError(f"{call} {key}")


# -- a call ----------------------------------------------------------------------------------------


@dataclass
class Studio:
    """What all calls share: engines that are loaded, and what was seen."""

    words: Words
    recogniser: PocketsphinxStt
    judges: Executor
    ears: asyncio.Queue[VadPool]
    """One for each call that is up: to load one takes a frame or two of the others."""
    seen: dict[Order, Seen] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    failed: dict[Order, str] = field(default_factory=dict)

    async def place(self, orders: Iterable[Order]) -> None:
        """Place those of *orders* that were not placed yet, `AT_ONCE` at a time."""
        slots = asyncio.Semaphore(AT_ONCE)
        async with asyncio.TaskGroup() as group:
            for order in dict.fromkeys(orders):
                if order not in self.seen:
                    group.create_task(self._place(order, slots))

    async def _place(self, order: Order, slots: asyncio.Semaphore) -> None:
        for _ in range(TRIES_MAX):
            async with slots:
                result, journal, moment = await called(self, order)
            late_ms = float(result.late_s.max()) * 1_000
            if late_ms <= LATE_MS_MAX:
                loop, told = asyncio.get_running_loop(), (order, result.tape, journal.notes, moment)
                it = await loop.run_in_executor(self.judges, _judged, self.words, *told)
                self.seen[order] = it
                print(f"{order}: {moment}, caller late by {late_ms:.0f} ms", flush=True)
                return
            self.discarded.append(f"{order}: the caller was late by {late_ms:.0f} ms")
        self.failed[order] = f"the caller's clock was late in {TRIES_MAX} calls"


@asynccontextmanager
async def studio() -> AsyncIterator[Studio]:
    """The engines, until the context is left."""
    words = Words()
    await words.learn([GREETING, *SENTENCES, SHORT])
    recogniser = PocketsphinxStt(endpoint(STT), {"decoders": 2 * AT_ONCE})
    await recogniser.start()
    spawn = get_context("spawn")
    try:
        with ProcessPoolExecutor(1, spawn, initializer=os.nice, initargs=(10,)) as judges:
            ears = asyncio.Queue[VadPool](AT_ONCE)
            for _ in range(AT_ONCE):
                ears.put_nowait(VadPool())
            # A full collection of what start-up left takes two frames of every call.
            gc.collect()
            gc.freeze()
            yield Studio(words, recogniser, judges, ears)
    finally:
        await recogniser.close()


async def called(studio: Studio, order: Order) -> tuple[CallResult, MemoryJournal, str]:
    """Place one call."""
    draw = random.Random(f"{order.stage} {order.seed}")  # noqa: S311  # a draw, not a secret
    journal, answer = MemoryJournal(), " ".join(SENTENCES) if order.stage == TTS else SHORT
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(client_session())

        def stage(
            name: str, of: StageName, codec: type[Any], server: Any, **options: object
        ) -> Any:
            where = Endpoint(name, of, "local", "local", HERE, name)
            made: DuplexCodec[Any, Any] = codec(where, options)
            it = WebSocketStage(
                where,
                made,
                base_url=server.base_url,
                key=KEY,
                session=session,
                gate=Gate(lambda _: None),
            )
            stack.push_async_callback(it.close)
            return it

        if order.stage == TTS:
            moment, servers = _voices(studio, order, draw)
            for _, server in servers:
                await stack.enter_async_context(server)
            names = ["voice", "spare voice"]
            mouths = [
                stage(name, TTS, codec, server, voice="anna")
                for name, (codec, server) in zip(names, servers, strict=True)
            ]
            ears: list[Any] = [SimStt("ears", [HEARD])]
        else:
            moment, deaf = _ears(studio, order, draw)
            hearing = [deaf, DeepgramServer(studio.recogniser)]
            for one in hearing:
                await stack.enter_async_context(one)
            names = ["ears", "spare ears"]
            ears = [
                stage(name, STT, Deepgram, one) for name, one in zip(names, hearing, strict=True)
            ]
            mouths = [WordVoice(studio.words)]
        mind = SimLlm("mind", lambda _: tokens(answer, first_s=0.15, gap_s=0.02))
        result = await _run(studio, {STT: ears, LLM: [mind], TTS: mouths}, journal)
    return result, journal, moment


async def _run(studio: Studio, routes: Routes, journal: MemoryJournal) -> CallResult:
    persona = Persona("Desk", "en", "Be brief.", GREETING, "Sorry.", asks_consent=False)
    vad = studio.ears.get_nowait()
    pacer = Pacer(vad)
    known = {
        it.endpoint.name: Known(it.endpoint.name, PRIORS[it.endpoint.stage])
        for name in (STT, TTS)
        for it in routes[name]
    }
    agent = Agent(lambda: persona, NoTools(), routes, Policies())
    worker = Worker(agent, pacer, Router(RoutingPolicy(), known), lambda _: journal)

    async def answer(carrier: Carrier) -> None:
        await worker.answer(carrier)

    server = TelephonyServer(TelephonyConfig(port=0), answer)
    pcm, _ = soundfile.read(CLIP, dtype="int16")
    script = CallScript(
        (
            Step(Speak(mulaw_encode(pcm)), AfterAgent(0.8), "asks"),
            Step(HangUp(), AfterAgent(3.0), "hangs up"),
        )
    )
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(pacer.run())
        await server.start()
        try:
            return await place_call(
                f"http://127.0.0.1:{server.port}/twilio/voice", script, max_s=60.0
            )
        finally:
            await server.close()
            pacing.cancel()
            studio.ears.put_nowait(vad)


def _voices(
    studio: Studio, order: Order, draw: random.Random
) -> tuple[str, list[tuple[type[Any], ElevenLabsServer | CartesiaServer]]]:
    """The synthesisers, the sick one in front, and when it is struck."""
    pace, first = draw.uniform(1.05, 2.5), draw.random() < 0.5
    sentence = draw.choice(SENTENCES[1:])
    share = draw.uniform(0.1, 0.9)
    if order.fault == "early":
        first = False  # a protocol that says which words were said, and no others
    struck = SENTENCES[0] if order.fault in BEFORE_AUDIO else sentence
    words = len(struck.split())
    number = min(max(1, round(share * words)), words - 1)
    sick = Sick(order.fault, struck, number) if order.fault in {"early", "mute"} else None
    pieces = round(share * WordVoice(studio.words).seconds(struck) / PIECE_S)
    after = max(1, pieces) * (1 if first else 2)
    how: Mapping[str, FaultScript] = {
        "no_audio": FaultScript(FaultKind.STALL, match=struck),
        "cut_at_once": FaultScript(FaultKind.CUT, match=struck),
        "die": FaultScript(FaultKind.CUT, match=struck, after_tokens=after),
        "close": FaultScript(FaultKind.TRUNCATE, match=struck, after_tokens=after),
        "stall": FaultScript(FaultKind.STALL, match=struck, after_tokens=after),
        "drip": FaultScript(FaultKind.DRIP, match=struck, after_tokens=after, gap_s=0.8),
    }
    faults = [how[order.fault]] if order.fault in how else []
    primary, spare = WordVoice(studio.words, sick), WordVoice(studio.words)
    eleven, cartesia = (primary, spare) if first else (spare, primary)
    mine: Sequence[FaultScript] = faults
    servers: list[tuple[type[Any], ElevenLabsServer | CartesiaServer]] = [
        (ElevenLabs, ElevenLabsServer(eleven, mine if first else (), first_s=0.15, pace=pace)),
        (Cartesia, CartesiaServer(cartesia, () if first else mine, first_s=0.15, pace=pace)),
    ]
    moment = f"word {number}" if sick else f"message {after}"
    return f"{moment} of {struck!r}", servers if first else servers[::-1]


def _ears(studio: Studio, order: Order, draw: random.Random) -> tuple[str, DeepgramServer]:
    """The sick recogniser, and when it is struck."""
    after, late_s = draw.randint(1, 3), draw.uniform(1.5, 4.0)
    how: Mapping[str, FaultScript] = {
        "silent": FaultScript(FaultKind.STALL, on_request=1),
        "stalled": FaultScript(FaultKind.STALL, on_request=1, after_tokens=after),
        "die": FaultScript(FaultKind.CUT, on_request=1, after_tokens=after),
        "close": FaultScript(FaultKind.TRUNCATE, on_request=1, after_tokens=after),
        "error": FaultScript(FaultKind.STATUS, on_request=1, status=500),
    }
    faults = [how[order.fault]] if order.fault in how else []
    if order.fault == "late":
        return f"by {late_s:.1f} s", DeepgramServer(LateEars(studio.recogniser, late_s))
    return f"message {after}", DeepgramServer(studio.recogniser, faults)


# -- what was heard --------------------------------------------------------------------------------


def _judged(words: Words, order: Order, tape: Samples, notes: Sequence[Note], moment: str) -> Seen:
    answer = " ".join(SENTENCES) if order.stage == TTS else SHORT
    found = [
        (word, match.start_s)
        for word in words_of(answer)
        for match in find(words.of[word], tape[:, 1], SCORE_MIN)
    ]
    found.sort(key=lambda it: it[1])
    turns = [turn for turn in summary(tape).turns if turn.caller is not None]
    v2v_s = turns[0].v2v_s if turns and turns[0].v2v_s is not None else math.inf
    finals = tuple(str(note.data["text"]) for note in notes if note.type == "transcript.final")
    mine = [note for note in notes if note.type == "failover" and note.data["stage"] == order.stage]
    return Seen(order, tuple(found), v2v_s, finals, len(mine), _queued_s(mine, notes), moment)


def _queued_s(failovers: Sequence[Note], notes: Sequence[Note]) -> float:
    """Audio queued when the sick voice made its last sound; at most, if nothing was left."""
    if not failovers or "queued_s" not in failovers[0].data:
        return 0.0
    over = failovers[0]
    before = [note for note in notes if note.at <= over.at]
    suspected = [note for note in before if note.type == "attempt.suspected"]
    if suspected:
        data = suspected[-1].data
        return float(str(data["queued_s"])) + float(str(data["silent_s"]))
    kinds = [(note, note.data.get("outcome")) for note in before if note.type == "attempt.ended"]
    failed = [note.at for note, outcome in kinds if outcome == "failed"]
    return float(str(over.data["queued_s"])) + over.at - failed[-1]


Trial = Callable[[Studio], Awaitable[None]]


def in_studio(trial: Trial) -> None:
    """Run *trial* in real time."""

    async def main() -> None:
        async with studio() as it:
            await trial(it)

    asyncio.run(main())
