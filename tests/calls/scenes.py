"""A call in virtual time: scripted caller, simulated stages, the real shell between them."""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from tests.calls.rebuilt import check_requests
from trunkline.calls.filler import Fillers
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes, SttStage, TtsStage
from trunkline.calls.worker import Agent, Worker
from trunkline.core.health import Expected
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.core.speech_plan import RECOGNISER, SYNTHESISER
from trunkline.errors import Fault
from trunkline.records.events import KINDS, problems
from trunkline.records.resume import BrokenCall
from trunkline.telephony.script import AfterAgent, BargeIn, CallScript, HangUp, Speak, Step
from trunkline.testing.simulated import (
    Beat,
    Hears,
    MemoryJournal,
    SimLine,
    SimLlm,
    SimStt,
    SimTts,
    SimVad,
    tokens,
)
from trunkline.types import (
    CallId,
    Delta,
    Finish,
    Mono,
    Persona,
    Prompt,
    StageName,
    ToolCall,
    ToolCallDelta,
    ToolResult,
    ToolSpec,
)

FAST = Expected(ttft_p50_s=0.1, ttft_p95_s=0.3, slow_share=0.02, sentence_s=0.1, gap_p999_s=0.35)
"""What the configuration says of the simulated models."""
GREETING = "Hello, this call is recorded. Is that all right?"
APOLOGY = "I am sorry, something went wrong."
REPROMPT = "Are you still there?"
FAREWELL = "I hang up now. Goodbye."


def loud(seconds: float) -> bytes:
    """Caller audio that counts as speech: noise, so that it is no echo of the agent's hum."""
    rng = np.random.default_rng(1)
    return rng.integers(0x80, 0xC0, round(seconds * 8000), np.uint8).tobytes()


def says(
    seconds: float = 1.0, *, after_s: float | None = None, quiet_s: float = 0.8, label: str = ""
) -> Step:
    """The caller speaks: when the agent has been quiet, or *after_s* into what the agent says."""
    when = AfterAgent(quiet_s) if after_s is None else BargeIn(after_s)
    return Step(Speak(loud(seconds)), when, label)


HANGS_UP_LATE = Step(HangUp(), AfterAgent(18.0), "hangs up")
HANGS_UP = Step(HangUp(), AfterAgent(0.8), "hangs up")


class Tools:
    """A toolbox that remembers what it ran."""

    def __init__(self, takes_s: float = 0.1) -> None:
        self._takes_s = takes_s
        names = ("end_call", "book", "take_message")
        self.specs = tuple(ToolSpec(name, name, {}) for name in names)
        self.ran: list[tuple[str, str]] = []
        self.arguments: list[str] = []

    async def run(self, call: ToolCall, key: str) -> ToolResult:
        """Run it, taking a while."""
        await asyncio.sleep(self._takes_s)
        self.ran.append((call.name, key))
        self.arguments.append(call.arguments)
        return ToolResult('{"ok": true}', "hang_up" if call.name == "end_call" else "go_on")


def calls_tool(name: str, text: str = "") -> list[Beat[Delta]]:
    """The beats of a model that says *text* and calls tool *name*."""
    beats = tokens(text)[:-1] if text else []
    part = ToolCallDelta(0, "call_1", name, "{}")
    return [*beats, (0.1, part), (0.01, Finish("tool_calls"))]


@dataclass
class Scene:
    """One call. *primary* and *backup* answer prompts with beats."""

    steps: Sequence[Step]
    heard: Sequence[str | Hears | Exception | None]
    primary: Callable[[Prompt], Iterable[Beat[Delta]]]
    backup: Callable[[Prompt], Iterable[Beat[Delta]]] = lambda _: tokens("The backup says this.")
    tts: Sequence[TtsStage] = field(default_factory=lambda: [SimTts("voice")])
    second_stt: Sequence[str | Exception | None] = ()
    ears: Sequence[SttStage] = ()  # instead of the two that hear these
    say_again: str = ""
    prepared: bool = False  # the worker has rendered its spare line
    policies: Policies = field(default_factory=Policies)
    tool_s: float = 0.1
    filler: str = ""
    reprompts: bool = False
    vad: Callable[[], SimVad] = SimVad
    sick: Sequence[str] = ()  # endpoints that failed often in calls before
    spent: bool = False  # the worker's budget, and the call's own rescue
    redirected: bool = False  # our webhook is asked again behind the stream

    async def play(self, broken: BrokenCall | None = None) -> "Scene":
        """Run the call to its end; *broken*: it goes on with that one."""
        self.line = SimLine(CallScript(tuple(self.steps), max_wait_s=30.0), max_s=120)
        self.llms = [SimLlm("primary", self.primary), SimLlm("backup", self.backup)]
        self.stts = [SimStt("ears", self.heard), SimStt("spare ears", self.second_stt or [""] * 9)]
        self.journal, self.tools = MemoryJournal(), Tools(self.tool_s)
        persona = Persona("Desk", "en", "Be brief.", GREETING, APOLOGY, say_again=self.say_again)
        if self.reprompts:
            persona = replace(persona, reprompt=REPROMPT, farewell=FAREWELL)
        routes: Routes = {
            StageName("stt"): self.ears or self.stts,
            StageName("llm"): self.llms,
            StageName("tts"): self.tts,
        }
        pacer = Pacer(self.vad())
        fillers = Fillers(self.filler)
        await fillers.render(self.tts)
        agent = Agent(lambda: persona, self.tools, routes, self.policies, fillers)
        known = {llm.endpoint.name: Known(llm.endpoint.failure_domain, FAST) for llm in self.llms}
        known |= {tts.endpoint.name: Known("", SYNTHESISER) for tts in self.tts}
        known |= {stt.endpoint.name: Known("", RECOGNISER) for stt in self.ears or self.stts}
        router = Router(RoutingPolicy(), known)
        for name in [name for name in self.sick for _ in range(3)]:
            router.failed(name, Fault.CUT, Mono(asyncio.get_running_loop().time()))
        while self.spent and router.budget.rescue(owed=False):
            pass
        self.router = router
        worker = Worker(agent, pacer, router, lambda _: self.journal)
        if self.prepared:
            await worker.prepare()
            await worker.prepare_last_lines()
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(pacer.run())
            call = CallId("01a0c3f0-0000-7000-8000-000000000001") if self.redirected else None
            await worker.answer(self.line, call, broken)
            pacing.cancel()
        for note in self.journal.notes:  # what every call of ours journals is in the table
            assert note.type in KINDS, f"{note.type} is not documented"
            assert problems(note.type, note.data) == []
        check_requests(self.journal.notes)
        return self

    def texts_heard(self) -> list[str]:
        """What the caller heard of each reply."""
        return [str(note.data["heard"]) for note in self.journal.of("reply.ended")]

    def silences(self) -> list[float]:
        """The agent's silences on the tape, in seconds, between its first and last sound."""
        agent = self.line.call.tape()[:, 1] != 0
        edges = np.flatnonzero(np.diff(agent.astype(np.int8)))
        return [float(b - a) / 8000 for a, b in zip(edges[1::2], edges[2::2], strict=False)]
