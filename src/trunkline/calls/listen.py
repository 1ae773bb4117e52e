"""The caller's utterances through the recognisers of the route: streams around `core.hearing`."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from trunkline.calls.ear import Utterance
from trunkline.calls.steps import Desk, SttStage, attempt, fault_of
from trunkline.calls.timing import Timing
from trunkline.contracts import Context, GivesInterims
from trunkline.core import hearing_words as words
from trunkline.core.attempt_words import Kind
from trunkline.core.hearing import Hearing
from trunkline.core.speech_plan import hearing
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import STT, DataClass, Mono, Transcript, Where

FACTS_MAX = 256
"""Facts that may wait; a recogniser that is faster than the machine waits its turn."""


@dataclass(slots=True)
class _Lane:
    stage: SttStage
    kind: Kind
    where: Where
    timing: Timing
    due: Mono  # when it has caught up with what was said before it was asked
    voiced_s: float  # what the caller had said at its launch or its last interim
    task: asyncio.Task[None] | None = None
    final: Transcript | None = None
    fault: Fault | None = None
    silent_s: float = 0.0
    ended: bool = False


class Listener:
    """One call's: it remembers which recogniser heard nothing where somebody spoke."""

    def __init__(self, desk: Desk, policy: words.HearingPolicy) -> None:
        self._desk, self._policy = desk, policy
        self._doubtful: set[str] = set()

    async def listen(
        self, utterance: Utterance, where: Where, interim: Callable[[str], None]
    ) -> Transcript | None:
        """The words of *utterance*, none if it held none; None if no recogniser could tell.

        *interim* gets the text so far, as often as a recogniser says one.
        """
        listening = _Listening(self._desk, self._policy, self._doubtful, utterance, where)
        return await listening.run(interim)


class _Listening:
    def __init__(
        self,
        desk: Desk,
        policy: words.HearingPolicy,
        doubtful: set[str],
        utterance: Utterance,
        where: Where,
    ) -> None:
        self._desk, self._utterance, self._where = desk, utterance, where
        self._policy, self._doubtful = policy, doubtful
        self._stages, _ = desk.order(STT)
        self._lanes: list[_Lane] = []
        self._facts: asyncio.Queue[words.Fact] = asyncio.Queue(FACTS_MAX)
        self._over_at: Mono | None = None

    async def run(self, interim: Callable[[str], None]) -> Transcript | None:
        names = [stage.endpoint.name for stage in self._stages]
        known = self._desk.give_interims.union(
            it.endpoint.name
            for it in self._stages
            if isinstance(it, GivesInterims) and it.gives_interims
        )
        candidates = [words.Candidate(name in known, name in self._doubtful) for name in names]
        policy = hearing(self._policy, self._desk.router, names, self._desk.now())
        self._machine = Hearing(policy, candidates, self._desk.state.purse)
        self._utterance.when_closed(self._nudge)
        try:
            async with asyncio.TaskGroup() as group:
                end: words.Settle | None = None
                acts = list(self._machine.begin(self._desk.now()))
                while end is None:
                    for act in acts:
                        match act:
                            case words.Launch():
                                self._launch(act, group)
                            case words.Tell(text):
                                interim(text)
                            case words.Settle():
                                end = act
                            case _:
                                self._perform(act)
                    if end is None:
                        acts = self._feed(await self._next())
                self._settle(end)
        finally:
            self._utterance.forget(self._nudge)
            for lane in self._lanes:
                if not lane.ended:
                    self._desk.ended(lane.where, lane.stage.endpoint, "cancelled")
        return None if end.lane is None else self._lanes[end.lane].final

    # -- acts ----------------------------------------------------------------------------------

    def _launch(self, act: words.Launch, group: asyncio.TaskGroup) -> None:
        stage, where = self._stages[act.candidate], attempt(self._where, act.lane)
        late = self._lanes[-1].stage.endpoint if act.kind is not Kind.PRIMARY else None
        timing, said_s = Timing(self._desk, where, stage.endpoint, late), self._utterance.voiced_s
        due = Mono(self._desk.now() + said_s / self._policy.replay_speed)
        lane = _Lane(stage, act.kind, where, timing, due, said_s)
        self._lanes.append(lane)
        lane.task = group.create_task(self._attempt(act.lane, lane))

    def _perform(self, act: words.Act) -> None:
        match act:
            case words.Suspect(number, fault, silent_s):
                lane = self._lanes[number]
                lane.fault, lane.silent_s = fault, silent_s
                data = {
                    "endpoint": lane.stage.endpoint.name,
                    "fault": fault.value,
                    "silent_s": round(silent_s, 4),
                    "queued_s": 0.0,
                }
                self._desk.journal.note("attempt.suspected", data, where=lane.where)
            case words.Doubt(number):
                self._lanes[number].fault = Fault.EMPTY
            case words.Cancel(number, why):
                self._stop(self._lanes[number], why)
            case words.Launch() | words.Tell() | words.Settle():
                raise AssertionError("handled by run")

    def _settle(self, end: words.Settle) -> None:
        for number, lane in enumerate(self._lanes):
            self._remember(lane)
            if number == end.lane and lane.final is not None:
                self._won(lane, lane.final)
            else:
                empty = lane.fault is Fault.EMPTY and end.text
                self._stop(lane, "no words where others heard some" if empty else "not needed")
        if end.lane is None:
            data = {"voiced_s": round(self._utterance.voiced_s, 2)}
            self._desk.journal.note("utterance.lost", data, where=self._where)

    def _remember(self, lane: _Lane) -> None:
        if lane.final is None:
            return
        name = lane.stage.endpoint.name
        if lane.final.text.strip() or self._utterance.voiced_s < self._policy.noise_s:
            self._doubtful.discard(name)
        else:
            self._doubtful.add(name)

    def _won(self, lane: _Lane, final: Transcript) -> None:
        lane.ended = True
        self._note("transcript.final", final, lane)
        self._desk.succeeded(lane.where, lane.stage.endpoint)
        for old in self._lanes[: self._lanes.index(lane)]:
            agrees = old.fault is Fault.EMPTY and not final.text.strip()
            if old.fault is not None and not agrees:
                endpoints = old.stage.endpoint, lane.stage.endpoint
                self._desk.failover(lane.where, *endpoints, old.fault, lane.kind.value)
                return

    def _stop(self, lane: _Lane, why: str) -> None:
        """Cancel an attempt. One that was late when another was first counts as a failure."""
        if lane.task is not None:
            lane.task.cancel()
        if lane.ended:
            return
        lane.ended = True
        if lane.fault is None or (lane.fault is Fault.EMPTY and why == "not needed"):
            self._desk.ended(lane.where, lane.stage.endpoint, "lost", detail=why)
        else:
            late_s = lane.silent_s or None
            error = EndpointError(lane.stage.endpoint.name, lane.fault, why, deadline_s=late_s)
            late = lane.fault in {Fault.SILENT, Fault.STALLED} and lane.timing.overtaken()
            if late:
                self._desk.state.failed(lane.stage.endpoint.name, lane.fault)
            self._desk.failed(lane.where, lane.stage.endpoint, error, blame=not late)

    # -- facts ---------------------------------------------------------------------------------

    def _feed(self, fact: words.Fact) -> list[words.Act]:
        """The acts of *fact*; before it the machine learns what our own ear knows."""
        now = self._desk.now()
        self._witness()
        acts = [*self._machine.feed(fact, now)]
        if self._utterance.closed:
            self._over_at = now if self._over_at is None else self._over_at
            acts += self._machine.feed(words.SpeechOver(), now)
        return acts

    def _witness(self) -> None:
        it = self._utterance
        self._machine.feed(words.Voiced(it.voiced_s, it.certain_s), self._desk.now())

    async def _next(self) -> words.Fact:
        self._witness()
        try:
            async with asyncio.timeout_at(self._machine.deadline()):
                return await self._facts.get()
        except TimeoutError:
            return words.Tick()

    def _nudge(self) -> None:
        """The utterance was closed."""
        if self._facts.empty():
            self._facts.put_nowait(words.Tick())

    async def _attempt(self, number: int, lane: _Lane) -> None:
        endpoint = lane.stage.endpoint
        context = self._desk.started(lane.where, endpoint, lane.kind.value, DataClass.AUDIO)
        try:
            lane.final = await self._recognise(number, lane, context)
        except (EndpointError, EgressRefused) as error:
            lane.fault, lane.ended = fault_of(error), True
            self._desk.failed(lane.where, endpoint, error)
            await self._facts.put(words.Failed(number, lane.fault))
        else:
            await self._facts.put(words.Final(number, lane.final.text))

    async def _recognise(self, number: int, lane: _Lane, context: Context) -> Transcript:
        """Every attempt replays the utterance from its start, faster than it was spoken."""
        async with lane.stage.open(self._utterance.source(), context) as transcripts:
            async for transcript in transcripts:
                if transcript.final:
                    lane.timing.first(max(self._over_at or lane.due, lane.due))
                    return transcript
                said_s = self._utterance.voiced_s
                lane.timing.gap(said_s - lane.voiced_s)
                lane.voiced_s = said_s
                self._desk.give_interims.add(lane.stage.endpoint.name)
                self._note("transcript.interim", transcript, lane)
                await self._facts.put(words.Interim(number, transcript.text))
        name = lane.stage.endpoint.name
        raise EndpointError(name, Fault.CUT, "the stream ended without a final transcript")

    def _note(self, kind: str, transcript: Transcript, lane: _Lane) -> None:
        self._desk.journal.note(
            kind,
            {
                "text": transcript.text,
                "words": [[word.text, word.start, word.end] for word in transcript.words],
                "endpoint": lane.stage.endpoint.name,
            },
            where=lane.where,
            data_class=DataClass.TRANSCRIPT,
            zone=lane.stage.endpoint.zone.name,
        )
