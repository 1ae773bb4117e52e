"""What others do, as machines with the same facts and acts: what Trunkline is compared with.

=============== =============================================================================
error-only      the next endpoint when one fails before it said anything (Pipecat's LLM switcher
                as of its commit acead0507, LiteLLM's Router): no deadline but 60 s
fixed-timeout   the same with a deadline of 5 s for each read (LiveKit Agents' FallbackAdapter as
                of its commit da6af86ac: attempt_timeout 5 s, no retry after a chunk was sent)
p95-hedge       a second request when the first is silent at the p95 of a good day, uncapped
race            two requests at once, always
=============== =============================================================================

None of them covers an answer that has begun: what is missing then is lost. A call stays on the
endpoint that served it last; one that failed a call is that call's last choice from then on.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from typing_extensions import override

from trunkline.core import attempt_words as words
from trunkline.core.phrases import Phrases
from trunkline.errors import Fault
from trunkline.testing.simulation.lanes import Lane
from trunkline.testing.simulation.speech import Speech
from trunkline.testing.simulation.turn import Machine, Policy, Turn
from trunkline.types import Mono, ToolCall, ToolCallDelta

PATIENCE_S = 60.0
"""Where nothing else ends a wait, a client library's own deadline does."""


@dataclass(frozen=True, slots=True)
class Habit:
    """*hedge_after_s*: None: never; 0: at once. *read_s*: the deadline of each read."""

    read_s: float = PATIENCE_S
    hedge_after_s: float | None = None


HABITS = {
    "error-only": Habit(),
    "fixed-timeout": Habit(read_s=5.0),
    "p95-hedge": Habit(hedge_after_s=0.9),
    "race": Habit(hedge_after_s=0.0),
}


class Plain:
    """The machine of one step; lanes are numbered in the order of their launch."""

    def __init__(self, habit: Habit, candidates: int) -> None:
        self._habit, self._candidates = habit, candidates
        self._running: dict[int, float] = {}  # lane -> its last sign of life
        self._phrases: dict[int, Phrases] = {}
        self._launched = 0
        self._leader: int | None = None
        self._tool: list[ToolCallDelta] = []
        self._hedge_at = math.inf
        self._settled = False

    def feed(self, fact: words.Fact, now: Mono) -> Sequence[words.Act]:
        """Take a fact."""
        acts: Sequence[words.Act] = ()
        match fact:
            case _ if self._settled:
                pass
            case words.Begin():
                acts = self._begin(now)
            case words.Tick():
                acts = self._tick(now)
            case words.Text(lane, text) if lane in self._running:
                elected = self._lead(lane, now)
                said = self._phrases[lane].feed(text)
                acts = [*elected, *(words.Say(lane, sentence) for sentence in said)]
            case words.ToolPart(lane, delta) if lane in self._running:
                acts = self._lead(lane, now)
                self._tool.append(delta)
            case words.Ended(lane, reason) if lane in self._running:
                acts = self._ended(lane, reason, now)
            case words.Failed(lane) if lane in self._running:
                acts = self._lost(lane, now)
            case _:
                pass
        return acts

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due."""
        if self._settled:
            return None
        reads = [last + self._habit.read_s for last in self._running.values()]
        return Mono(min([*reads, self._hedge_at]))

    def _begin(self, now: Mono) -> list[words.Act]:
        acts: list[words.Act] = [self._launch(words.Kind.PRIMARY, now)]
        delay_s = self._habit.hedge_after_s
        if delay_s is not None and self._candidates > 1:
            self._hedge_at = now + delay_s
            if not delay_s:
                acts.append(self._hedge(now))
        return acts

    def _launch(self, kind: words.Kind, now: Mono) -> words.Launch:
        number = self._launched
        self._launched += 1
        self._running[number] = now
        self._phrases[number] = Phrases()
        return words.Launch(number, number % self._candidates, kind, "")

    def _hedge(self, now: Mono) -> words.Launch:
        self._hedge_at = math.inf
        return self._launch(words.Kind.HEDGE, now)

    def _lead(self, lane: int, now: Mono) -> list[words.Act]:
        """The first useful token elects."""
        self._running[lane] = now
        if self._leader is not None:
            return []
        self._leader, self._hedge_at = lane, math.inf
        return self._cancel_others(lane)

    def _cancel_others(self, lane: int | None) -> list[words.Act]:
        others = [number for number in self._running if number != lane]
        for number in others:
            del self._running[number]
        return [words.Cancel(number, "another was first") for number in others]

    def _ended(self, lane: int, reason: str, now: Mono) -> list[words.Act]:
        rest = self._phrases[lane].end()
        if self._leader is None and rest is None and reason != "content_filter":
            return self._lost(lane, now)  # an empty answer is an error to all of them
        acts: list[words.Act] = [] if rest is None else [words.Say(lane, rest)]
        self._running.pop(lane)
        return [*acts, *self._cancel_others(lane), *self._settle(reason)]

    def _lost(self, lane: int, now: Mono) -> list[words.Act]:
        """An attempt failed or was too slow."""
        del self._running[lane]
        if self._running:
            return []
        if self._leader is not None or self._launched >= max(self._candidates, 2):
            return self._settle("failed")
        return [self._launch(words.Kind.FAILOVER, now)]

    def _tick(self, now: Mono) -> list[words.Act]:
        acts: list[words.Act] = []
        if now >= self._hedge_at:
            acts.append(self._hedge(now))
        for lane, last in list(self._running.items()):
            if now >= last + self._habit.read_s:
                acts += [words.Suspect(lane, Fault.SILENT, now - last), words.Cancel(lane, "late")]
                acts += self._lost(lane, now)
        return acts

    def _settle(self, reason: str) -> list[words.Act]:
        self._settled = True
        calls: tuple[ToolCall, ...] = ()
        if self._tool:
            arguments = "".join(part.arguments for part in self._tool)
            calls = (ToolCall(self._tool[0].id, self._tool[0].name, arguments),)
        return [words.Settle(self._leader, reason, calls)]


class Baseline(Policy):
    """A worker of theirs: what a call learnt of its endpoints is all that is known."""

    def __init__(self, habit: Habit, models: Sequence[int], speech: Speech) -> None:
        self._habit, self._models, self.speech = habit, models, speech
        stages = 2 + 4 * len(speech.routes)  # each endpoint, in both steps; and of speech
        self.dead_max_s = (PATIENCE_S + 5.0) * max(len(models), 2) * stages
        self._sour: dict[int, list[int]] = {}
        self._served: dict[int, int] = {}

    @override
    def begin(self, turn: Turn, now: Mono) -> tuple[Machine, Sequence[int]]:
        """Those that failed this call go last; the one that served it last goes first."""
        sour, last = self._sour.get(turn.call, []), self._served.get(turn.call)

        def rank(endpoint: int) -> tuple[int, bool, int]:
            failed = sour.index(endpoint) + 1 if endpoint in sour else 0
            return failed, endpoint != last, endpoint

        order = sorted(self._models, key=rank)
        return Plain(self._habit, len(order)), order

    @override
    def failed(self, turn: Turn, lane: Lane, fault: Fault, now: Mono) -> None:
        """It is the call's last choice from now on."""
        sour = self._sour.setdefault(turn.call, [])
        if lane.endpoint in sour:
            sour.remove(lane.endpoint)
        sour.append(lane.endpoint)

    @override
    def cancelled(self, turn: Turn, lane: Lane, now: Mono) -> None:
        """Too late is failed; to be second in a race is not."""
        if lane.suspected:
            self.failed(turn, lane, Fault.SILENT, now)

    @override
    def settled(self, turn: Turn, winner: Lane | None, now: Mono) -> None:
        """The call stays with who served it."""
        if winner is not None:
            self._served[turn.call] = winner.endpoint

    @override
    def over(self, call: int) -> None:
        """The call has ended."""
        self._sour.pop(call, None)
        self._served.pop(call, None)
        self.speech.over(call)
