"""A call of an incident on the real shell: scripted caller, tones on the line, stages that fail.

`Crippled` takes away what an incident is about (a second endpoint, the deadlines, the last words,
records that nothing waits for): under it an incident must fail, or its check could not.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol

from typing_extensions import override

from trunkline.calls.filler import Fillers
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import AnyStage, Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.contracts import CarrierEvent, Context, Media
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.health import Expected
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.core.speech_plan import PRIORS
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.errors import RecordError
from trunkline.media.g711 import mulaw_encode
from trunkline.records.log import STALL_S
from trunkline.telephony.line import CallEvent
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Speak, Step
from trunkline.testing.incidents import talk
from trunkline.testing.incidents.files import Call, Outage, Turn
from trunkline.testing.incidents.stages import Moment, Strike, ToneEar, ToneVoice, WireModel
from trunkline.testing.incidents.tones import CALLER_WORD, Pcm, Vocabulary
from trunkline.testing.simulated import HERE, MemoryJournal, Note, SimLine, SimVad
from trunkline.types import (
    FRAME_SAMPLES,
    LLM,
    SAMPLE_RATE,
    STT,
    TTS,
    Endpoint,
    Mono,
    Prompt,
    StageName,
    ToolCall,
    ToolResult,
    ToolSpec,
)

QUIET_S = 2.5
"""The caller's patience with a pause inside an answer, before they take the word."""
CALL_S_MAX = 240.0
_NEVER_S = 3_600.0
_EXPECTED = Expected(
    ttft_p50_s=0.4, ttft_p95_s=0.7, slow_share=0.02, sentence_s=0.25, gap_p999_s=0.35
)
CRIPPLED = Policies(
    attempts=AttemptPolicy(
        hedge_after_s=_NEVER_S,
        gap_floor_s=_NEVER_S,
        gap_floor_empty_s=_NEVER_S,
        recovery_q95_s=0.0,
        give_up_s=_NEVER_S,
        filler_after_s=_NEVER_S,
        attempts_max=1,
    ),
    synthesis=SynthesisPolicy(
        hedge_after_s=_NEVER_S,
        gap_floor_s=_NEVER_S,
        drip_window_s=_NEVER_S,
        give_up_s=_NEVER_S,
        attempts_max=1,
    ),
    hearing=HearingPolicy(
        interim_after_s=_NEVER_S, final_after_s=_NEVER_S, give_up_s=_NEVER_S, attempts_max=1
    ),
)
"""Waits for ever and tries once: what an application without failover does."""


@dataclass(frozen=True, slots=True)
class Played:
    """A call as it was: both channels of the tape (8 kHz), what happened when, what was journaled.

    *began* is when the tape does, *late_s* by how much its clock was late at worst (in virtual time
    never). *strikes* are the faults that struck; *prompts* what each model was asked; *tools* what
    ran; *leaks*: streams that were left open.
    """

    caller: Pcm
    agent: Pcm
    events: tuple[CallEvent, ...]
    notes: tuple[Note, ...]
    strikes: tuple[Strike, ...]
    prompts: Mapping[str, Sequence[Prompt]]
    tools: tuple[str, ...]
    ended: str
    leaks: int
    vocabulary: Vocabulary
    began: Mono
    late_s: float


class RememberingTools:
    """A toolbox that remembers what it ran."""

    def __init__(self, names: Sequence[str]) -> None:
        self.specs = tuple(ToolSpec(name, f"Does {name}", {"type": "object"}) for name in names)
        self.ran: list[str] = []

    async def run(self, call: ToolCall, key: str) -> ToolResult:
        """Run it; it takes a moment."""
        del key
        self.ran.append(call.name)
        await asyncio.sleep(0.1)
        return ToolResult('{"ok": true}')


class FailingJournal(MemoryJournal):
    """Keeps notes in memory. While *outage* lasts nothing becomes durable: as `records.log` does,
    it gives up after `STALL_S` and is then broken for good."""

    def __init__(self, outage: Outage | None) -> None:
        super().__init__()
        self._outage, self._broken = outage, False
        self._began = asyncio.get_running_loop().time()

    @override
    async def commit(self) -> None:
        """Raise `RecordError` in an outage, or after one that was noticed."""
        left_s = self._left_s()
        if left_s > 0 and not self._broken:
            await asyncio.sleep(min(left_s, STALL_S))
            self._broken = left_s > STALL_S
        if self._broken:
            raise RecordError("nothing can be made durable: the disk does not answer")

    async def recovered(self) -> None:
        """Wait until the outage is over."""
        await asyncio.sleep(self._left_s())

    def _left_s(self) -> float:
        now = asyncio.get_running_loop().time() - self._began
        if self._outage is None or not self._outage.from_s <= now < self._outage.to_s:
            return 0.0
        return self._outage.to_s - now


class _AuthorisedModel:
    """A model that may be asked only once the records have been asked: what others do."""

    def __init__(self, stage: AnyStage, journal: FailingJournal) -> None:
        self.endpoint, self._stage, self._journal = stage.endpoint, stage, journal

    @asynccontextmanager
    async def open(self, source: Any, context: Context) -> AsyncIterator[AsyncIterator[Any]]:
        """Wait for the records, then ask."""
        await self._journal.recovered()
        async with self._stage.open(source, context) as outputs:
            yield outputs


class Asked(Protocol):
    """A model that remembers what it was asked."""

    endpoint: Endpoint
    prompts: list[Prompt]


@dataclass
class Set:
    """What is on stage for one call: endpoints by stage, and what they share."""

    routes: Routes
    moment: Moment
    vocabulary: Vocabulary
    models: Sequence[Asked] = ()

    @property
    def leaks(self) -> int:
        """Streams that are still open."""
        stages = [stage for route in self.routes.values() for stage in route]
        return sum(getattr(stage, "open_streams", 0) for stage in stages)


def endpoint(call: Call, name: str, stage: StageName) -> Endpoint:
    """The endpoint *name* of *call*; each has a failure domain of its own, and one voice."""
    how = call.backup.continuation if name == "model-2" else "turn"
    return Endpoint(name, stage, "openai", name, HERE, name, how, voice="anna" * (stage == TTS))


def virtual_set(call: Call, seed: int, *, faulty: bool) -> Set:
    """The stages of *call* without sockets."""
    moment, vocabulary = Moment(seed), Vocabulary()
    said = call.talk or talk.TALK

    def faults(name: str, stage: str) -> list[Any]:
        return list(call.faults_of(name, stage)) if faulty else []

    models = []
    for number, name in enumerate(call.names("llm")):
        model = talk.TalkModel(said, call.backup)
        model = model if number else model.as_primary()
        at = endpoint(call, name, LLM)
        models.append(WireModel(at, model, moment, faults(name, "llm")))
    routes: dict[StageName, Sequence[AnyStage]] = {
        STT: [
            ToneEar(endpoint(call, name, STT), vocabulary, moment, faults(name, "stt"))
            for name in call.names("stt")
        ],
        LLM: models,
        TTS: [
            ToneVoice(endpoint(call, name, TTS), vocabulary, moment, faults(name, "tts"))
            for name in call.names("tts")
        ],
    }
    return Set(routes, moment, vocabulary, models)


def steps(said: Sequence[Turn], vocabulary: Vocabulary) -> tuple[Step, ...]:
    """What the caller does: each line once the agent has finished, then hang up."""
    lines = [
        Step(
            Speak(mulaw_encode(vocabulary.sung(turn.caller, CALLER_WORD))),
            AfterAgent(QUIET_S),
            f"turn {number}",
        )
        for number, turn in enumerate(said, 1)
    ]
    return (*lines, Step(HangUp(), AfterAgent(QUIET_S), "hangs up"))


class _Line(SimLine):
    """A line that tells which turn the call is in."""

    def __init__(self, script: CallScript, moment: Moment) -> None:
        super().__init__(script, max_s=CALL_S_MAX)
        self._moment, self.late_s = moment, 0.0

    @override
    async def events(
        self, hear: Callable[[Media], None] | None = None, /
    ) -> AsyncIterator[CarrierEvent]:
        """The leg; the turn is the caller's last step that began."""

        def heard(frame: Media) -> None:
            self._look(frame)
            if hear is not None:
                hear(frame)

        self._moment.begin()
        async for event in super().events(heard):
            yield event

    def _look(self, frame: Media) -> None:
        due = self.call.mono0 + (frame.at + FRAME_SAMPLES) / SAMPLE_RATE
        self.late_s = max(self.late_s, asyncio.get_running_loop().time() - due)
        began = (it for it in self.call.events if it.kind == "step_start")
        self._moment.turn = sum(it.detail.startswith("turn") for it in began)


async def play(call: Call, stage: Set, *, crippled: bool = False, outage: bool = True) -> Played:
    """Run *call* on *stage* to its end; *crippled*: by a policy that knows no failover."""
    said = call.talk or talk.TALK
    tools = RememberingTools([turn.tool for turn in said if turn.tool is not None])
    script = CallScript(steps(said, stage.vocabulary), max_wait_s=call.patience_s)
    line = _Line(script, stage.moment)
    journal = FailingJournal(call.outage if outage else None)
    agent = _agent(stage, tools, journal, crippled=crippled)
    worker = _worker(agent, journal)
    if not crippled:
        await agent.fillers.render(agent.routes[TTS])
        await worker.prepare()
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(worker.pacer.run())
        await worker.answer(line)
        pacing.cancel()
    tape = line.call.tape()
    return Played(
        tape[:, 0],
        tape[:, 1],
        tuple(line.call.events),
        tuple(journal.notes),
        tuple(stage.moment.strikes),
        {model.endpoint.name: tuple(model.prompts) for model in stage.models},
        tuple(tools.ran),
        str(line.call.ended),
        stage.leaks,
        stage.vocabulary,
        line.call.mono0,
        line.late_s,
    )


def _agent(
    stage: Set, tools: RememberingTools, journal: FailingJournal, *, crippled: bool
) -> Agent:
    persona = talk.PERSONA if not crippled else replace(talk.PERSONA, apology="", filler="")
    routes = stage.routes
    if crippled:
        routes = {name: route[:1] for name, route in routes.items()}
        routes = {**routes, LLM: [_AuthorisedModel(routes[LLM][0], journal)]}
    policies = CRIPPLED if crippled else Policies()
    fillers = Fillers("" if crippled else persona.filler)
    return Agent(lambda: persona, tools, routes, policies, fillers)


def _worker(agent: Agent, journal: FailingJournal) -> Worker:
    ends = [stage.endpoint for route in agent.routes.values() for stage in route]
    # As a configuration tells a worker: what is said of the models, and priors of the rest.
    known = {it.name: Known(it.failure_domain, PRIORS.get(it.stage, _EXPECTED)) for it in ends}
    router = Router(RoutingPolicy(), known)
    return Worker(agent, Pacer(SimVad()), router, lambda _: journal)
