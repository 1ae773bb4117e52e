"""A call in virtual time with the real voice activity and the real recogniser.

The recogniser's decoder runs in this process, so a call takes its computing time only. Each of its
results takes `RESULT_S` of the call's time; what a result costs on the worker's machine is measured
by the speech trials, not here.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.media import wav
from trunkline.media.g711 import mulaw_decode, mulaw_encode
from trunkline.media.vad import VadPool
from trunkline.providers.embedded.child import Exchange
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.embedded.grammar import load_grammar
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt, default_cache
from trunkline.providers.embedded.pocketsphinx_child import Recogniser
from trunkline.telephony.line import Act, SendAudio
from trunkline.telephony.script import AfterAgent, BargeIn, CallScript, HangUp, Speak, Step
from trunkline.testing.simulated import (
    MemoryJournal,
    Note,
    SimLine,
    SimLlm,
    SimTts,
    endpoint,
    tokens,
)
from trunkline.testing.virtual import run
from trunkline.types import (
    SAMPLE_RATE,
    STT,
    Persona,
    Phrase,
    Prompt,
    Speech,
    SpokenWord,
    StageName,
    ToolCall,
    ToolResult,
    ToolSpec,
)

HERE = Path(__file__).parent
RESULT_S = 0.03
TOLD = (
    "We are open on Monday and Wednesday from eight to five. Please bring your insurance card. "
    "There is free parking behind the building. Please come ten minutes before your appointment."
)
Clip = dict[str, Any]


def clips(kind: str, folder: Path = HERE) -> list[Clip]:
    """The clips of this kind in *folder*, each with its `path`."""
    told: list[Clip] = json.loads((folder / "clips.json").read_text())
    return [clip | {"path": folder / clip["file"]} for clip in told if clip["kind"] == kind]


@cache
def recogniser() -> Recogniser:
    """One for all calls: its model takes a second to load."""
    phrases = Path(str(files("trunkline").joinpath("agent/data/caller_phrases.yaml")))
    return Recogniser(load_grammar(phrases), default_cache())


class _InProcess:
    """The engine of the recogniser's stage, without its process; also its only exchange."""

    def __init__(self) -> None:
        self._results: list[bytes] = []
        self._free = asyncio.Lock()

    async def start(self) -> None:
        recogniser()

    async def close(self) -> None:
        """Nothing runs."""

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        async with self._free:
            recogniser().begin()
            self._results.clear()
            yield self

    def send(self, kind: Kind, payload: bytes = b"", /) -> None:
        if kind is Kind.AUDIO:
            recogniser().hear(payload)
            return
        if kind is Kind.FINISH:
            recogniser().finish()
        self._results.append(recogniser().transcript())

    async def receive(self) -> bytes:
        await asyncio.sleep(RESULT_S)
        return self._results.pop(0)


class _NoTools:
    specs: Sequence[ToolSpec] = ()

    async def run(self, call: ToolCall, key: str, /) -> ToolResult:
        raise AssertionError(f"{call.name} was called")


class ClipTts(SimTts):
    """A synthesiser that says what it has clips of, at once; its words are evenly spread."""

    def __init__(self, said: Sequence[Clip]) -> None:
        super().__init__("voice", 0.05)
        self._said = {clip["text"]: wav.read(clip["path"]) for clip in said}
        self.text = " ".join(self._said)

    @override
    def speech(self, phrase: Phrase) -> Speech:
        """The clip of *phrase*, or a hum."""
        audio = self._said.get(phrase.text)
        if audio is None:
            return super().speech(phrase)
        words = list(re.finditer(r"\S+", phrase.text))
        step = len(audio) // len(words)
        marks = tuple(SpokenWord(w.start(), w.end(), n * step) for n, w in enumerate(words))
        return Speech(phrase.index, audio.tobytes(), marks, last=True)


@dataclass(frozen=True)
class Loop:
    """How a line gives the agent back: *delay_s* later and *loss_db* softer, through *taps*."""

    delay_s: float
    loss_db: float
    taps: NDArray[np.float64]

    @classmethod
    def hybrid(cls, delay_s: float, loss_db: float, seed: int) -> "Loop":
        """Noise that dies away in 0.5 to 4 ms: the shape of a hybrid's answer."""
        rng = np.random.default_rng(seed)
        fall = rng.uniform(4, 32)
        taps = rng.standard_normal(96) * np.exp(-np.arange(96) / fall)
        return cls(delay_s, loss_db, taps / np.sqrt(np.sum(taps**2)))


class EchoLine(SimLine):
    """A line that gives the agent's voice back, with what mu-law and a little noise do to it."""

    def __init__(self, script: CallScript, loop: Loop) -> None:
        super().__init__(script, max_s=60)
        self._loop = loop
        self._rng = np.random.default_rng(3)

    @override
    def _take(self, acts: Sequence[Act]) -> None:
        super()._take([self._with_echo(a) if isinstance(a, SendAudio) else a for a in acts])

    def _with_echo(self, audio: SendAudio) -> SendAudio:
        lag = round(self._loop.delay_s * SAMPLE_RATE)
        size, taps = len(audio.mulaw), self._loop.taps * 10 ** (-self._loop.loss_db / 20)
        voice = self._agent(audio.at - lag - len(taps) + 1, size + len(taps) - 1)
        mixed = mulaw_decode(audio.mulaw) + np.convolve(voice, taps, "valid")
        mixed += self._rng.standard_normal(size) * 20
        return SendAudio(mulaw_encode(mixed.clip(-32_000, 32_000).astype(np.int16)), audio.at)

    def _agent(self, start: int, samples: int) -> NDArray[np.float64]:
        """What the caller heard from sample *start* of the tape on."""
        voice = np.zeros(samples)
        heard = self.call.tape()[max(start, 0) : max(start + samples, 0), 1]
        voice[max(-start, 0) :][: len(heard)] = heard
        return voice


@dataclass(frozen=True)
class Played:
    """A call in which one clip was played. Times are seconds of the tape."""

    notes: list[Note]
    tape: NDArray[np.int16]
    zero: float
    began: float
    ended: float

    def at(self, *types: str) -> list[float]:
        """When these were noted."""
        return [note.at - self.zero for note in self.notes if note.type in types]

    def count(self, type_: str) -> int:
        return len(self.at(type_))

    def texts(self) -> list[str]:
        return [str(n.data["text"]) for n in self.notes if n.type == "transcript.final"]

    def agent_on(self, since: float, until: float) -> float | None:
        """When the agent is first audible between these times."""
        part = self.tape[round(since * SAMPLE_RATE) : round(until * SAMPLE_RATE), 1]
        loud = np.flatnonzero(np.abs(part) > 100)
        return since + float(loud[0]) / SAMPLE_RATE if len(loud) else None


def play(
    clip: Clip | None,
    *,
    over_agent_s: float | None = None,
    policies: Policies | None = None,
    first_token_s: float = 0.4,
    answer: Callable[[Prompt], str] = lambda _: "Thank you, let me see.",
    voice: ClipTts | None = None,
    loop: Loop | None = None,
) -> Played:
    """Play *clip* to an agent that asked something, or *over_agent_s* into what it tells.

    *voice* tells what it has clips of, instead of a hum; *loop* makes an echo of it.
    """
    audio = b"" if clip is None else mulaw_encode(wav.read(clip["path"]))
    asked = "How can I help you?" if clip is None else clip.get("asked", "How can I help you?")
    told = TOLD if voice is None else voice.text
    when = AfterAgent(0.7) if over_agent_s is None else BargeIn(over_agent_s)
    steps = (Step(Speak(audio), when), Step(HangUp(), AfterAgent(1.5)))
    script = CallScript(steps, max_wait_s=6.0)
    line = SimLine(script, max_s=60) if loop is None else EchoLine(script, loop)
    journal = MemoryJournal()
    greeting = asked if over_agent_s is None else told
    persona = Persona("Desk", "en-US", "Be brief.", greeting, "Sorry.", asks_consent=False)

    async def main() -> None:
        stt = PocketsphinxStt(endpoint("ears", STT), {}, engine=_InProcess())
        llm = SimLlm("mind", lambda prompt: tokens(answer(prompt), first_s=first_token_s))
        routes: Routes = {
            StageName("stt"): [stt],
            StageName("llm"): [llm],
            StageName("tts"): [voice or SimTts("voice")],
        }
        agent = Agent(lambda: persona, _NoTools(), routes, policies or Policies())
        pacer = Pacer(VadPool())
        worker = Worker(agent, pacer, Router(RoutingPolicy()), lambda _: journal)
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(pacer.run())
            await worker.answer(line)
            pacing.cancel()

    run(main())
    call = line.call
    began = next(e.at_s for e in call.events if e.kind == "step_start")
    ended = began + (0.0 if clip is None else clip["seconds"])
    return Played(journal.notes, call.tape(), call.mono0, began, ended)
