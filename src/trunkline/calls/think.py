"""One model step through the attempts machine: tasks and streams around `core.attempts`."""

import asyncio
from collections.abc import Callable
from dataclasses import asdict, dataclass

from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk, LlmStage, attempt, fault_of
from trunkline.calls.voice import Voice
from trunkline.contracts import Context
from trunkline.core import attempt_words as words
from trunkline.core.attempts import Attempts
from trunkline.core.health import Measure
from trunkline.core.splice import continuation
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import (
    LLM,
    TTS,
    CallId,
    DataClass,
    Delta,
    Finish,
    Mono,
    Prompt,
    TextDelta,
    ToolCallDelta,
    Usage,
    Where,
)

FACTS_MAX = 256
"""Facts that may wait; an attempt that is faster than the machine waits its turn."""


@dataclass(slots=True)
class _Lane:
    stage: LlmStage
    kind: words.Kind
    where: Where
    task: asyncio.Task[None] | None = None
    tokens: int = 0
    text: str = ""
    usage: Usage | None = None
    fault: Fault | None = None
    silent_s: float = 0.0
    ended: bool = False


class Thinker:
    """Runs one step. *language* is the call's; *heard* the part of this answer heard before."""

    def __init__(
        self,
        desk: Desk,
        policy: words.AttemptPolicy,
        voice: Voice,
        speaker: Speaker,
        drain_at: Callable[[Mono], Mono],
    ) -> None:
        self._desk, self._voice, self._speaker = desk, voice, speaker
        self._drain_at = drain_at
        self._policy = policy
        self._facts: asyncio.Queue[words.Fact] = asyncio.Queue(FACTS_MAX)
        self._lanes: list[_Lane] = []
        self._said: list[str] = []
        self._led: list[int] = []
        self._awaited: tuple[int, Mono] | None = None  # a phrase without audio, since when
        self._where = Where(CallId(""))

    @property
    def generated(self) -> str:
        """What the attempts that led have written, fragments that were never spoken included."""
        return " ".join(self._lanes[number].text.strip() for number in self._led)

    async def run(
        self,
        prompt: Prompt,
        *,
        heard: str,
        language: str,
        where: Where,
        settled: Callable[[str, words.Settle], None],
    ) -> None:
        """Ask until the step settles; *settled* gets the text that was said and how it ended."""
        self._where = where
        plan, stages = self._desk.plan(LLM, self._policy)
        self._desk.journal.note("step.planned", plan._asdict(), where=where)
        self._machine = Attempts(self._policy, plan, self._desk.state.purse)
        self._voice.on_change = self._nudge
        fact: words.Fact = words.Begin(heard, language)
        try:
            async with asyncio.TaskGroup() as group:
                end: words.Settle | None = None
                while end is None:
                    for act in self._feed(fact):
                        match act:
                            case words.Launch(number, candidate, kind, committed):
                                stage = stages[candidate]
                                lane = _Lane(stage, kind, attempt(where, number))
                                self._lanes.append(lane)
                                goes_on = continuation(
                                    prompt, committed, stage.endpoint.continuation, language
                                )
                                lane.task = group.create_task(self._attempt(number, lane, goes_on))
                            case words.Settle():
                                end = act
                            case _:
                                self._perform(act)
                    if end is None:
                        fact = await self._next()
                self._settle(end)
                settled(" ".join(self._said), end)
        finally:
            self._voice.on_change = _nothing
            for lane in self._lanes:
                if not lane.ended:
                    detail = "the reply was interrupted"
                    self._desk.ended(lane.where, lane.stage.endpoint, "cancelled", detail=detail)

    # -- acts ----------------------------------------------------------------------------------

    def _perform(
        self,
        act: words.Cancel | words.Say | words.Suspect | words.Elect | words.Measured | words.Fill,
    ) -> None:
        match act:
            case words.Say(number, sentence):
                self._said.append(sentence)
                nothing_ahead = not self._voice.silent
                self._speaker.say(sentence, self._lanes[number].stage.endpoint.name)
                if nothing_ahead:
                    self._awaited = self._voice.latest, self._desk.now()
            case words.Fill(waited_s):
                self._fill(waited_s)
            case words.Measured(number, what, seconds, times):
                self._measured(number, what, seconds, times)
            case words.Suspect(number, fault, silent_s, chars_per_s):
                lane = self._lanes[number]
                lane.fault, lane.silent_s = fault, silent_s
                data = {
                    "endpoint": lane.stage.endpoint.name,
                    "fault": fault.value,
                    "silent_s": round(silent_s, 4),
                    "queued_s": self._queued_s(),
                    "chars_per_s": chars_per_s and round(chars_per_s, 1),
                }
                self._desk.journal.note("attempt.suspected", data, where=lane.where)
            case words.Elect(number, instead_of):
                self._elect(number, instead_of)
            case words.Cancel(number, why):
                self._stop(self._lanes[number], why)

    def _fill(self, waited_s: float) -> None:
        """No reply audio exists, and none will for some time."""
        now = self._desk.now()
        if self._drain_at(now) > now:
            return
        voice = self._desk.served.get(TTS) or self._desk.order(TTS)[0][0].endpoint.name
        if said := self._desk.filler(self._voice, voice, self._where.turn):
            data = {"text": said, "endpoint": voice, "waited_s": round(waited_s, 4)}
            self._desk.journal.note("filler.said", data, where=self._where)

    def _measured(self, number: int, what: Measure, seconds: float, times: int) -> None:
        """The router learns it; of an attempt that was made because another was late, twice."""
        lane, first = self._lanes[number], self._lanes[0]
        self._desk.measured(lane.where, lane.stage.endpoint, what, seconds, times)
        names = first.stage.endpoint.name, lane.stage.endpoint.name
        asked_for_it = lane.kind not in {words.Kind.PRIMARY, words.Kind.CONTINUE}
        if asked_for_it and names[0] != names[1] and what in {Measure.FIRST, Measure.SLOW}:
            self._desk.router.paired(*names, slow=what is Measure.SLOW)

    def _elect(self, number: int, instead_of: int | None) -> None:
        """Another endpoint than the first one tried has taken over."""
        self._led.append(number)
        new = self._lanes[number]
        old = self._lanes[number - 1 if instead_of is None and number else instead_of or 0]
        if new is old:
            return
        self._desk.failover(
            new.where,
            old.stage.endpoint,
            new.stage.endpoint,
            old.fault or Fault.SILENT,
            new.kind.value,
            committed_chars=len(self._machine.committed),
            queued_s=self._queued_s(),
            silent_s=round(old.silent_s, 4),
        )

    def _stop(self, lane: _Lane, why: str) -> None:
        """Cancel an attempt. One that was silent when another was first counts as a failure."""
        if lane.task is not None:
            lane.task.cancel()
        if lane.ended:
            return
        lane.ended = True
        if lane.fault is None:
            self._desk.ended(lane.where, lane.stage.endpoint, "lost", detail=why)
        else:
            name = lane.stage.endpoint.name
            error = EndpointError(name, lane.fault, why, deadline_s=lane.silent_s)
            # Silence before the first token was measured as time; it is no fault on top of that.
            measured = lane.fault is Fault.SILENT
            if measured:
                self._desk.state.failed(name, lane.fault)
            self._desk.failed(lane.where, lane.stage.endpoint, error, blame=not measured)

    def _settle(self, end: words.Settle) -> None:
        for number, lane in enumerate(self._lanes):
            if number == end.lane and end.reason != "failed" and not lane.ended:
                lane.ended = True
                usage = None if lane.usage is None else asdict(lane.usage)
                more = {"finish": end.reason, "usage": usage}
                self._desk.succeeded(lane.where, lane.stage.endpoint, **more)
            elif not lane.ended:
                self._stop(lane, "the step is over")

    # -- facts ---------------------------------------------------------------------------------

    def _feed(self, fact: words.Fact) -> list[words.Act]:
        """The acts of *fact*; before and after it, the machine learns the drain time."""
        now = self._desk.now()
        self._machine.feed(words.Drain(self._drain_at(now)), now)
        return list(self._machine.feed(fact, now))

    async def _next(self) -> words.Fact:
        if not self._facts.empty():
            return self._facts.get_nowait()  # without a timer for each
        now = self._desk.now()
        self._machine.feed(words.Drain(self._drain_at(now)), now)
        try:
            async with asyncio.timeout_at(self._machine.deadline()):
                return await self._facts.get()
        except TimeoutError:
            return words.Tick()

    def _nudge(self) -> None:
        """The drain time changed: the machine's deadline may have too."""
        if self._awaited is not None and not self._voice.is_silent(self._awaited[0]):
            now = self._desk.now()
            self._desk.router.voiced(now - self._awaited[1], now)
            self._awaited = None
        if self._facts.empty():
            self._facts.put_nowait(words.Tick())

    def _queued_s(self) -> float:
        now = self._desk.now()
        return round(max(self._drain_at(now) - now, 0.0), 4)

    async def _attempt(self, number: int, lane: _Lane, prompt: Prompt) -> None:
        endpoint = lane.stage.endpoint
        context = self._desk.started(lane.where, endpoint, lane.kind.value, DataClass.PROMPT)
        self._desk.journal.note(
            "attempt.request",
            {"stage": LLM, "request": asdict(prompt)},
            where=lane.where,
            data_class=DataClass.PROMPT,
            zone=endpoint.zone.name,
        )
        try:
            await self._stream(number, lane, prompt, context)
        except (EndpointError, EgressRefused) as error:
            lane.fault, lane.ended = fault_of(error), True
            # Asked to go on after a whole answer, a model has nothing to add, and rightly so.
            blame = lane.fault is not Fault.EMPTY or not self._said
            self._desk.failed(lane.where, endpoint, error, blame=blame)
            await self._facts.put(words.Failed(number, lane.fault, str(error)))

    async def _stream(self, number: int, lane: _Lane, prompt: Prompt, context: Context) -> None:
        async with lane.stage.open(prompt, context) as deltas:
            async for delta in deltas:
                self._note(delta, lane)
                match delta:
                    case TextDelta(text):
                        await self._facts.put(words.Text(number, text))
                    case ToolCallDelta():
                        await self._facts.put(words.ToolPart(number, delta))
                    case Finish(reason, usage):
                        lane.usage = usage
                        await self._facts.put(words.Ended(number, reason))
                        return
        name = lane.stage.endpoint.name
        raise EndpointError(name, Fault.CUT, "the stream ended without a finish reason")

    def _note(self, delta: Delta, lane: _Lane) -> None:
        data: dict[str, object] = {"stage": LLM, "n": lane.tokens}
        match delta:
            case TextDelta(text):
                data["text"] = text
                lane.text += text
            case ToolCallDelta():
                data["tool"] = asdict(delta)
            case Finish():
                return  # the end of the attempt says it
        lane.tokens += 1
        self._desk.journal.note(
            "attempt.delta",
            data,
            where=lane.where,
            data_class=DataClass.PROMPT,
            zone=lane.stage.endpoint.zone.name,
        )


def _nothing() -> None:
    """No step is under way."""
