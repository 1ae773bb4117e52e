"""One step of a reply over several endpoints: who runs, who is heard, where the seam is.

Rules
 1. Only useful tokens count. Whatever else an endpoint sends resets no deadline.
 2. Until a sentence is committed, attempts are equals: the first to complete one (or to finish)
    leads, the others are cancelled. A second attempt is a *hedge* if the first is merely late, a
    *failover* if it failed.
 3. A sentence is committed when it is given to the synthesiser (`Say`). It is never taken back.
 4. When the leader falls silent, a *rescue* begins at

        max(last useful token + gap floor,  E - q95(recovery of the backup))

    where E is the drain time: when the caller will hear silence. While audio is queued there is
    time to wait for the leader; a fixed timeout would waste it.
 5. Leader and rescuer are tied: whoever completes the next sentence goes on, the other is
    cancelled. If the leader comes back first there is no seam at all.
 6. A rescuer is asked to go on after the committed text, and what it repeats is dropped.
 7. Tool calls are proposals until the step settles: the elected attempt's are returned, once.
 8. Fragments are never spoken: a rescue drops the leader's, unless it reads as a whole sentence.
 9. Everything is bounded: attempts per step, attempts at once, and the wait when all are silent.

    Begin -> Launch ... Text -> Say ... Ended -> Settle
                 \\-- Failed / silence -> Launch (hedge, failover, rescue) --/

Warts: the hedge delay and the recovery quantile are configured, not learnt. A rescuer that adds
nothing is believed (the answer was complete) only if the leader left no fragment behind.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import assert_never

from trunkline.core.attempt_words import (
    Act,
    AttemptPolicy,
    Begin,
    Cancel,
    Drain,
    Elect,
    Ended,
    Fact,
    Failed,
    Kind,
    Launch,
    Say,
    Settle,
    Suspect,
    Text,
    Tick,
    ToolPart,
)
from trunkline.core.phrases import Phrases
from trunkline.core.splice import RepeatGate
from trunkline.errors import Fault
from trunkline.types import Mono, ToolCall, ToolCallDelta

NEVER = Mono(math.inf)


@dataclass(slots=True)
class _Lane:
    candidate: int
    kind: Kind
    gate: RepeatGate
    last: Mono  # its last useful token, at first its launch
    running: bool = True
    useful: bool = False
    suspected: bool = False
    phrases: Phrases = field(default_factory=Phrases)
    tools: dict[int, ToolCallDelta] = field(default_factory=dict)

    @property
    def tool_chars(self) -> int:
        """The length of all arguments so far, and one for each call."""
        return sum(len(part.arguments) + 1 for part in self.tools.values())

    def add_tool_part(self, delta: ToolCallDelta) -> bool:
        """Put the pieces of a tool call together; whether this one added anything."""
        before = self.tools.get(delta.index)
        part = before or ToolCallDelta(delta.index, "", "", "")
        part = ToolCallDelta(
            delta.index,
            part.id or delta.id,
            part.name or delta.name,
            part.arguments + delta.arguments,
        )
        self.tools[delta.index] = part
        return part != before


class Attempts:
    """The machine of one step. Lanes are attempts, numbered in the order of their launch."""

    def __init__(self, policy: AttemptPolicy) -> None:
        self._policy = policy
        self._lanes: list[_Lane] = []
        self._candidates = 0
        self._leader: int | None = None
        self._committed: list[str] = []
        self._offered = 0
        self._drain = Mono(-math.inf)
        self._began = Mono(0.0)
        self._retry_at = NEVER
        self._settled = False

    @property
    def committed(self) -> str:
        """The text that was given to the synthesiser."""
        return " ".join(self._committed)

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; after `Settle` nothing more comes."""
        if self._settled:
            return ()
        match fact:
            case Begin(candidates, heard):
                self._candidates, self._began = candidates, now
                said = Phrases()  # the gate compares sentences
                self._committed += filter(None, [*said.feed(heard), said.end()])
                return [self._launch(Kind.PRIMARY, now)]
            case Drain(at):
                # a silence that has begun stays where it began, or nobody would ever give up
                self._drain = at if at > now else min(self._drain, now)
                return ()
            case Tick():
                return self._tick(now)
            case Text(lane) | ToolPart(lane) | Ended(lane) | Failed(lane):
                # a lane that was cancelled may still report
                return self._report(fact, now) if self._lanes[lane].running else ()
            case _:
                assert_never(fact)

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due, or None once settled or before `Begin`."""
        if self._settled or not self._lanes:
            return None
        return Mono(min(self._give_up_at(), self._flush_at(), self._launch_at()))

    # -- reports of attempts -------------------------------------------------------------------

    def _report(self, fact: Text | ToolPart | Ended | Failed, now: Mono) -> list[Act]:
        lane = self._lanes[fact.lane]
        match fact:
            case Text(number, text):
                if text.strip():
                    self._alive(lane, now)
                acts: list[Act] = []
                for sentence in lane.phrases.feed(text):
                    acts += self._offer(number, sentence)
                    if self._offered >= self._policy.sentences_max:
                        acts += self._cancel_others(None, "too long")
                        return [*acts, *self._settle("length")]
                return acts
            case ToolPart(number, delta):
                if lane.add_tool_part(delta):
                    self._alive(lane, now)
                if lane.tool_chars <= self._policy.tool_chars_max:
                    return []
                return [Cancel(number, "too long"), *self._failed(number, Fault.MALFORMED, now)]
            case Ended(number, reason):
                return self._ended(number, reason, now)
            case Failed(number, fault, _):
                return self._failed(number, fault, now)
            case _:
                assert_never(fact)

    def _offer(self, number: int, sentence: str) -> list[Act]:
        """A lane completed *sentence*: it leads from now on, unless it only repeats."""
        self._offered += 1
        if self._lanes[number].gate.repeats(sentence):
            return []
        self._committed.append(sentence)
        return [*self._elect(number), Say(number, sentence)]

    def _elect(self, number: int) -> list[Act]:
        acts: list[Act] = self._cancel_others(number, "another attempt was first")
        for i, lane in enumerate(self._lanes):
            if i != number:
                lane.tools.clear()  # no proposal any more
        if self._leader != number:
            acts.append(Elect(number, self._leader))
            self._leader = number
        return acts

    def _ended(self, number: int, reason: str, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        acts: list[Act] = []
        cut_short = reason == "length"
        rest = lane.phrases.complete_rest() if cut_short else lane.phrases.end()
        if rest is not None:
            acts += self._offer(number, rest)
        lane.running = False
        if cut_short and self._leader == number and self._may_launch():
            return [*acts, self._launch(Kind.CONTINUE, now, lane.candidate)]
        if self._leader != number and not lane.tools and reason != "content_filter":
            return self._failed(number, Fault.EMPTY, now)  # it only repeated, or not even that
        if self._leader is None or lane.tools:
            acts += self._elect(number)
        acts += self._cancel_others(number, "the answer is complete")
        return [*acts, *self._settle(reason, self._tool_calls(lane))]

    def _failed(self, number: int, fault: Fault, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        lane.running = False
        if fault is Fault.EMPTY and self._committed and not self._fragment_left:
            # Asked to go on, it had nothing to add: the answer was complete.
            return [*self._cancel_others(None, "the answer is complete"), *self._settle("stop")]
        if any(other.running and not other.suspected for other in self._lanes):
            return []
        rest = lane.phrases.complete_rest() if self._committed else None
        acts = [] if rest is None else self._offer(number, rest)
        if self._may_launch():
            if self._tried < self._candidates:
                return [*acts, self._launch(self._rescue_kind(Kind.FAILOVER), now)]
            self._retry_at = Mono(now + self._policy.retry_pause_s)
            return acts
        if any(other.running for other in self._lanes):
            return acts  # a suspect may still come back, until we give up
        return [*acts, *self._settle("failed")]

    # -- time ----------------------------------------------------------------------------------

    def _tick(self, now: Mono) -> list[Act]:
        if now >= self._give_up_at():
            return [*self._cancel_others(None, "gave up"), *self._settle("failed")]
        acts: list[Act] = []
        while now >= self._flush_at():
            acts += self._flush()
        if now >= self._launch_at():
            acts += self._suspect(now)
        return acts

    def _flush(self) -> list[Act]:
        """A pending sentence has its full stop, and nothing followed."""
        number = self._ready()[0]
        rest = self._lanes[number].phrases.complete_rest()
        return [] if rest is None else self._offer(number, rest)

    def _suspect(self, now: Mono) -> list[Act]:
        """The lane in front is silent for too long, or failed a while ago: begin another."""
        if now >= self._retry_at:
            return [self._launch(self._rescue_kind(Kind.FAILOVER), now)]
        number = self._front()
        lane = self._lanes[number]
        lane.suspected = True
        fault = Fault.STALLED if lane.useful else Fault.SILENT
        suspect = Suspect(number, fault, now - lane.last)
        return [suspect, self._launch(self._rescue_kind(Kind.HEDGE), now)]

    def _launch_at(self) -> Mono:
        """When the silence of the lane in front calls for another attempt."""
        lane = self._lanes[self._front()]
        if self._retry_at < NEVER or not self._may_launch():
            return self._retry_at
        if not lane.useful:
            return Mono(lane.last + self._policy.hedge_after_s)
        if not self._committed:
            return Mono(lane.last + self._policy.gap_floor_empty_s)
        floor = lane.last + self._policy.gap_floor_s
        return Mono(max(floor, self._drain - self._policy.recovery_q95_s))

    def _flush_at(self) -> Mono:
        ready = self._ready()
        return Mono(self._lanes[ready[0]].last + self._policy.flush_s) if ready else NEVER

    def _give_up_at(self) -> Mono:
        useful = max((lane.last for lane in self._lanes if lane.useful), default=self._began)
        return Mono(max(useful, self._drain, self._began) + self._policy.give_up_s)

    # -- inside --------------------------------------------------------------------------------

    def _alive(self, lane: _Lane, now: Mono) -> None:
        lane.last, lane.useful, lane.suspected = now, True, False
        self._retry_at = NEVER

    @property
    def _fragment_left(self) -> bool:
        """Whether who led last (or began) broke off inside a sentence or a tool call."""
        lane = self._lanes[self._leader or 0]
        return bool(lane.phrases.rest or lane.tools)

    @property
    def _tried(self) -> int:
        """How many candidates had their turn."""
        return sum(lane.kind is not Kind.CONTINUE for lane in self._lanes)

    def _front(self) -> int:
        """The lane whose silence matters: the newest that runs well, else that runs, else any."""
        lanes = enumerate(self._lanes)
        return max((it.running, not it.suspected, i) for i, it in lanes)[-1]

    def _ready(self) -> list[int]:
        """The running lanes whose fragment reads as a sentence, the longest wait first."""
        lanes = [i for i, it in enumerate(self._lanes) if it.running and it.phrases.reads_complete]
        return sorted(lanes, key=lambda i: self._lanes[i].last)

    def _rescue_kind(self, otherwise: Kind) -> Kind:
        return Kind.RESCUE if self._committed else otherwise

    def _may_launch(self) -> bool:
        running = sum(lane.running for lane in self._lanes)
        return len(self._lanes) < self._policy.attempts_max and running < self._policy.at_once_max

    def _launch(self, kind: Kind, now: Mono, candidate: int | None = None) -> Launch:
        number = len(self._lanes)
        chosen = self._tried % self._candidates if candidate is None else candidate
        self._retry_at = NEVER
        gate = RepeatGate(self._committed)
        self._lanes.append(_Lane(chosen, kind, gate, last=now))
        # A step that breaks off inside a tool call is run again from the start: asked to go on
        # after a prefix, models talk instead of calling.
        mid_tool = any(lane.tools for lane in self._lanes)
        return Launch(number, chosen, kind, "" if mid_tool else self.committed)

    def _cancel_others(self, number: int | None, why: str) -> list[Act]:
        acts: list[Act] = []
        for i, lane in enumerate(self._lanes):
            if lane.running and i != number:
                lane.running = False
                acts.append(Cancel(i, why))
        return acts

    def _tool_calls(self, lane: _Lane) -> tuple[ToolCall, ...]:
        parts = (lane.tools[index] for index in sorted(lane.tools))
        return tuple(ToolCall(part.id, part.name, part.arguments) for part in parts)

    def _settle(self, reason: str, tool_calls: tuple[ToolCall, ...] = ()) -> list[Act]:
        self._settled = True
        return [Settle(self._leader, reason, tool_calls)]
