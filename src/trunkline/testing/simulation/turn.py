"""One turn of one simulated call: the caller has stopped speaking, the agent answers.

The turn is the shell around a machine: it launches simulated attempts, hands the machine their
facts in the order of time, performs its acts and keeps the playout clock, as `calls/` does for a
live call. It decides nothing. Whatever the machine does, the turn checks (`Judge`).
"""

import math
from collections.abc import Sequence
from typing import Protocol

from trunkline.core import attempt_words as words
from trunkline.core.health import Measure
from trunkline.errors import Fault
from trunkline.testing.faults import FaultScript
from trunkline.testing.simulation.answers import Answer
from trunkline.testing.simulation.draws import ATTEMPTS, Draws
from trunkline.testing.simulation.ears import Ear
from trunkline.testing.simulation.heard import Heard, Loud
from trunkline.testing.simulation.judge import Judge
from trunkline.testing.simulation.lanes import Lane
from trunkline.testing.simulation.mouths import Mouth
from trunkline.testing.simulation.speech import Speech
from trunkline.types import Mono

NOTICED_S = 1.5
"""A reply that begins later than this after the caller's last word leaves dead air."""
TOOL_S = 0.05
"""What a tool takes in these worlds."""
STEPS_MAX = 4
BEGIN, TICK = words.Begin(), words.Tick()


class Machine(Protocol):
    """What runs a step: `core.attempts.Attempts`, or a baseline."""

    def feed(self, fact: words.Fact, now: Mono) -> Sequence[words.Act]:
        """Take a fact."""

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due."""


class Policy:
    """Who decides, for all calls of one worker: the endpoints' estimates live here.

    Inherit from it: whoever learns nothing from an event leaves its method out. *dead_max_s*: no
    silence may be longer, whatever the endpoints do. *speech* decides about the other stages.
    """

    dead_max_s: float
    speech: Speech

    def begin(self, turn: "Turn", now: Mono) -> tuple[Machine, Sequence[int]]:
        """The machine of the turn's next step, and the endpoints to try, by number."""
        raise NotImplementedError

    def measured(self, turn: "Turn", lane: Lane, act: words.Measured, now: Mono) -> None:
        """Its machine says what is to be learnt of it; gaps between tokens come by `gaps`."""

    def gaps(self, lane: Lane, seconds: float, times: int, now: Mono) -> None:
        """So many gaps between its words."""

    def failed(self, turn: "Turn", lane: Lane, fault: Fault, now: Mono) -> None:
        """It failed."""

    def cancelled(self, turn: "Turn", lane: Lane, now: Mono) -> None:
        """It was cancelled; `lane.suspected`: why it was thought to have failed, if it was."""

    def voiced(self, seconds: float, now: Mono) -> None:
        """A sentence is said *now* and gets its first audio after *seconds*; nothing is ahead."""

    def settled(self, turn: "Turn", winner: Lane | None, now: Mono) -> None:
        """The step is over; *winner* ended well."""

    def over(self, call: int) -> None:
        """The call has ended."""

    def probes(self, now: Mono) -> Sequence[int]:
        """The endpoints that are asked for one token now."""
        del now
        return ()

    def probed(self, endpoint: int, seconds: float | None, now: Mono) -> None:
        """A probe was answered after *seconds*, or not in time."""


class Worker(Loud, Protocol):
    """What a turn needs of the worker that it runs on."""

    draws: Draws
    policy: Policy

    def strike(self, turn: "Turn", endpoint: int, now: float) -> FaultScript | None:
        """The fault that befalls a request, if any."""

    def repeats(self, turn: "Turn") -> bool:
        """Whether a rescuer in this turn begins with the last sentence that was heard."""


class Turn:
    """Turn *number* of call *call*, whose caller stopped speaking at *began*.

    *heard* is what the caller hears. After `done`: *broken* says whether some of the answer was
    never said.
    """

    __slots__ = (
        "_asked",
        "_closing",
        "_next",
        "_order",
        "_worker",
        "answer",
        "broken",
        "call",
        "done",
        "ear",
        "extra",
        "heard",
        "judge",
        "lanes",
        "lot",
        "machine",
        "memory",
        "number",
        "primary",
        "step",
        "tool",
    )

    def __init__(
        self, worker: Worker, call: int, number: int, lot: int, answer: Answer, *, tool: bool
    ) -> None:
        self._worker = worker
        self.call, self.number, self.lot, self.answer, self.tool = call, number, lot, answer, tool
        self.judge = Judge(answer, 2 if tool else 1)
        self.lanes: list[Lane] = []
        self.machine: Machine | None = None
        self.memory: object = None
        """What the policy keeps about this turn."""
        self._order: Sequence[int] = ()
        self._asked: dict[int, int] = {}
        self._next: Lane | Mouth | None = None
        self._closing = False  # the model is done, the voice is not
        self.heard = Heard(worker, call, lot, answer, self.judge)
        self.ear: Ear | None = None
        """Hears what the caller says before the turn, where a world has recognisers."""
        self.step = -1
        self.primary = -1
        self.extra: list[words.Kind] = []
        self.broken = self.done = False

    def unheard(self, at: float) -> None:
        """Nobody could tell what the caller said: at that second the call says so."""
        self.broken = self.done = True
        self.heard.end(at, broken=True)

    # -- time ------------------------------------------------------------------------------------

    def begin(self, now: float) -> float:
        """Start the next step; when the turn wants to be advanced next."""
        self.step += 1
        if self.ear is not None and not self.ear.done:
            self.ear.advance(now)
        self.lanes = []
        self.machine, self._order = self._worker.policy.begin(self, Mono(now))
        self._feed(BEGIN, now)
        return self._schedule()

    def advance(self, now: float) -> float:
        """Something is due *now*; when the next thing is (infinity: nothing, the turn is done)."""
        match self._next:
            case Mouth():
                self._spoken(now)
            case _ if self.machine is None:
                return self.begin(now)
            case Lane():
                self._report(self._next, now)
            case None:
                if not self._catch_up(now):
                    self._feed(TICK, now)
        if self._closing:
            return self._schedule()
        if self.machine is None and not self.done:
            return now + TOOL_S  # the tool runs, then the model is asked again
        return self._schedule()

    def _schedule(self) -> float:
        self._next = None
        due = math.inf
        if self.machine is not None and (soonest := self.machine.deadline()) is not None:
            due = float(soonest)
        mouth = self.heard.mouth
        if mouth is not None and (at := mouth.due()) <= due:
            due, self._next = at, mouth
        if self.machine is None:
            return due
        for lane in self.lanes:
            if lane.running:
                at = lane.at(lane.mark())
                if at <= due:
                    due, self._next = at, lane
        return due

    # -- facts -----------------------------------------------------------------------------------

    def _report(self, lane: Lane, now: float) -> None:
        mark = lane.mark()
        if mark < lane.until:
            self._tell(lane, mark + 1, now, now)
            return
        self._catch_up(now)
        if not lane.running:
            return  # what came just before its end has settled the step
        if lane.fault is not None:
            self._worker.policy.failed(self, lane, lane.fault, Mono(now))
        self._feed(lane.end(), now)

    def _catch_up(self, now: float) -> bool:
        """Tell the machine of the words that came since it last looked; whether there were any."""
        late = []
        for lane in self.lanes:
            if lane.running and lane.fed < lane.until:
                count = lane.due(now)
                if count > lane.fed:
                    late.append((lane.at(count - 1), lane.number, count))
        for at, number, count in sorted(late):
            lane = self.lanes[number]
            if lane.running and self.machine is not None:
                self._tell(lane, count, at, now)
        return bool(late)

    def _tell(self, lane: Lane, count: int, at: float, now: float) -> None:
        """The words up to number *count* came, the last of them *at*; it is *now* for others.

        A machine that is told of many words at once would take the time since the last piece for
        a gap between tokens; what the estimators learn of gaps is therefore taken from the course.
        """
        fed = lane.fed
        pause_s = lane.gap + lane.extra if fed <= lane.bend < count and lane.bend else 0.0
        if pause_s:
            self._worker.policy.gaps(lane, pause_s, 1, Mono(now))
        steady = count - max(fed, 1) - (pause_s > 0)
        if steady > 0:
            drips = lane.drip and fed > lane.bend
            self._worker.policy.gaps(lane, lane.extra if drips else lane.gap, steady, Mono(now))
        self._feed(lane.take(count), at)

    def _feed(self, fact: words.Fact, now: float) -> None:
        machine = self.machine
        assert machine is not None  # noqa: S101  # nothing is fed between steps
        heard = self.heard
        said = heard.said
        if heard.mouth is not None:
            machine.feed(words.Drain(Mono(heard.drain_at(now))), Mono(now))
        for act in machine.feed(fact, Mono(now)):
            self._perform(act, now)
        if heard.said > said and self.machine is not None:
            machine.feed(words.Drain(Mono(heard.drain)), Mono(now))

    # -- acts ------------------------------------------------------------------------------------

    def _perform(self, act: words.Act, now: float) -> None:
        match act:
            case words.Say(_, sentence):
                self.heard.say(sentence, now)
            case words.Launch():
                self._launch(act, now)
            case words.Cancel(number):
                lane = self.lanes[number]
                if lane.running:
                    lane.running = False
                    self._worker.policy.cancelled(self, lane, Mono(now))
            case words.Suspect(number, fault):
                self.lanes[number].suspected = fault
            case words.Measured(number, what):
                if what is not Measure.GAP:
                    self._worker.policy.measured(self, self.lanes[number], act, Mono(now))
            case words.Elect() | words.Fill():
                pass  # a filler would shorten what callers call silence; here it is counted whole
            case words.Settle():
                self._settle(act, now)

    def _launch(self, act: words.Launch, now: float) -> None:
        endpoint = self._order[act.candidate]
        sentence = self.judge.committed(act.committed)
        tool = self.tool and self.step == 0
        lane = Lane(act.lane, endpoint, act.kind, self.answer, sentence, tool)
        if sentence and not tool and self._worker.repeats(self):
            lane = Lane(act.lane, endpoint, act.kind, self.answer, sentence - 1, tool)
        asked = self._asked.get(endpoint, 0)
        self._asked[endpoint] = asked + 1
        lot = self.lot * ATTEMPTS + asked % ATTEMPTS
        lane.draw(self._worker.draws.of(endpoint, now), lot, now)
        script = self._worker.strike(self, endpoint, now)
        if script is not None:
            lane.suffer(script)
        self.lanes.append(lane)
        if act.kind is words.Kind.PRIMARY:
            self.primary = endpoint if self.primary < 0 else self.primary
        else:
            self.extra.append(act.kind)

    def _settle(self, act: words.Settle, now: float) -> None:
        self.judge.settle(act, self.lanes)
        winner = None if act.lane is None or act.reason == "failed" else self.lanes[act.lane]
        self._worker.policy.settled(self, winner, Mono(now))
        self.machine = None
        if self.tool and self.step == 0 and act.reason == "tool_calls":
            self.judge.execute(act.tool_calls)
            return
        self.broken, self._closing = act.reason == "failed", True
        self.heard.finish(now)
        self._close(now)

    def _spoken(self, now: float) -> None:
        """Something is due for the voice."""
        self.heard.advance(now)
        if self.machine is not None:
            self.machine.feed(words.Drain(Mono(self.heard.drain_at(now))), Mono(now))
        self._close(now)

    def _close(self, now: float) -> None:
        """Once the model is done and so is the voice, so is the turn."""
        if self._closing and not self.heard.pending:
            self.done, self._closing = True, False
            self.broken = self.heard.end(now, broken=self.broken)

    @property
    def said(self) -> int:
        """How many sentences were given to the voice."""
        return self.heard.said

    @property
    def dead_s(self) -> float:
        """The longest dead air: a reply that begins late, or a silence inside it."""
        return max(0.0, self.heard.v2v_s - NOTICED_S, self.heard.gap_s)
