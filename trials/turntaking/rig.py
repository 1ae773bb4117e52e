"""A call in virtual time with the real voice activity and the real recogniser.

The recogniser's decoder runs in this process, so a call takes its computing time only. Each of its
results takes `RESULT_S` of the call's time; what a result costs on the worker's machine is measured
by the speech trials, not here.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode
from trunkline.media.vad import VadPool
from trunkline.providers.embedded.child import Exchange
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.embedded.grammar import load_grammar
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt, default_cache
from trunkline.providers.embedded.pocketsphinx_child import Recogniser
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
    Prompt,
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
CLIPS: list[dict[str, Any]] = json.loads((HERE / "clips.json").read_text())


def clips(*kinds: str) -> list[dict[str, Any]]:
    """The clips of these kinds."""
    return [clip for clip in CLIPS if clip["kind"] in kinds]


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
    clip: dict[str, Any],
    *,
    over_agent_s: float | None = None,
    policies: Policies | None = None,
    first_token_s: float = 0.4,
    answer: Callable[[Prompt], str] = lambda _: "Thank you, let me see.",
) -> Played:
    """Play *clip* to an agent that told something, or *over_agent_s* into what it tells."""
    audio = mulaw_encode(wav.read(HERE / clip["file"]))
    greeting = "How can I help you?" if over_agent_s is None else TOLD
    when = AfterAgent(0.7) if over_agent_s is None else BargeIn(over_agent_s)
    steps = (Step(Speak(audio), when), Step(HangUp(), AfterAgent(1.5)))
    line = SimLine(CallScript(steps, max_wait_s=6.0), max_s=60)
    journal = MemoryJournal()
    persona = Persona("Desk", "en-US", "Be brief.", greeting, "Sorry.", asks_consent=False)

    async def main() -> None:
        stt = PocketsphinxStt(endpoint("ears", STT), {}, engine=_InProcess())
        llm = SimLlm("mind", lambda prompt: tokens(answer(prompt), first_s=first_token_s))
        routes: Routes = {
            StageName("stt"): [stt],
            StageName("llm"): [llm],
            StageName("tts"): [SimTts("voice")],
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
    return Played(journal.notes, call.tape(), call.mono0, began, began + clip["seconds"])
