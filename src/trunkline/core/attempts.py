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
    time to wait for the leader; a fixed timeout would waste it. One that writes more slowly than
    it is spoken is as good as silent once its sentence, at that rate, would end behind E.
 5. Leader and rescuer are tied: whoever completes the next sentence goes on, the other is
    cancelled. If the leader comes back first there is no seam at all.
 6. A rescuer is asked to go on after the committed text. What it repeats is dropped, and so is the
    greeting or apology with which it takes over; who only repeats for long is as good as silent.
 7. Tool calls are proposals until the step settles: the elected attempt's are returned, once.
 8. Fragments are never spoken: a rescue drops the leader's, unless it reads as a whole sentence.
 9. Everything is bounded: attempts per step, attempts at once, and the wait when all are silent.
10. To ask a second endpoint beside one that runs is bought from the call's purse. What is denied is
    asked again later, as a rescue. To replace one that failed is free.
11. A content filter's stop and a refusal are answers: they settle the step, no other endpoint is
    asked to say what this one would not. An answer that hit its length limit is continued, by the
    same endpoint. Every other end without a word is a fault.

    Begin -> Launch ... Text -> Say ... Ended -> Settle
                 \\-- Failed / silence -> Launch (hedge, failover, rescue) --/

`Fill` says, once, that the first sentence is far away; whether anything is said is the shell's.
What the estimators need comes out as `Measured`: an attempt that is silent for `SLOW_S` is booked
then, one that is cancelled before it spoke is booked as cut off.

Wart: a rescuer that adds nothing is believed (the answer was complete) only if the leader left no
fragment behind.
"""

import math
from collections.abc import Sequence
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
    Fill,
    Kind,
    Launch,
    Measured,
    Plan,
    Say,
    Settle,
    Suspect,
    Text,
    Tick,
    ToolPart,
)
from trunkline.core.budget import Purse
from trunkline.core.health import Measure
from trunkline.core.lane import NEVER, Lane, drip_chars_per_s
from trunkline.core.phrases import Phrases
from trunkline.core.splice import RepeatGate
from trunkline.errors import Fault
from trunkline.types import Mono

_NOT_AGAIN = {Fault.REFUSED, Fault.THROTTLED}
"""Who fails so need not be asked again in the same step, if there is another."""


class Attempts:
    """The machine of one step. Lanes are attempts, numbered in the order of their launch."""

    _goes_on_at_length = True

    def __init__(self, policy: AttemptPolicy, plan: Plan, purse: Purse) -> None:
        self._policy, self._plan, self._purse = policy, plan, purse
        self._lanes: list[Lane] = []
        self._leader: int | None = None
        self._committed: list[str] = []
        self._offered = 0
        self._drain = Mono(-math.inf)
        self._began = Mono(0.0)
        self._retry_at = NEVER
        self._denied_until = Mono(-math.inf)
        self._settled = self._filled = False
        self._language, self._drip_chars_per_s = "", 0.0

    @property
    def committed(self) -> str:
        """The text that was given to the synthesiser."""
        return " ".join(self._committed)

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; after `Settle` nothing more comes."""
        if self._settled:
            return ()
        match fact:
            case Begin():
                return self._begin(fact, now)
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
        times = [self._give_up_at(), self._flush_at(), self._launch_at(), self._fill_at()]
        return min(times + [lane.slow_at for lane in self._lanes])

    def _begin(self, fact: Begin, now: Mono) -> list[Act]:
        self._began, self._language = now, fact.language
        self._drip_chars_per_s = drip_chars_per_s(fact.language)
        said = Phrases()  # the gate compares sentences
        self._committed += filter(None, [*said.feed(fact.heard), said.end()])
        self._purse.primary()
        acts: list[Act] = [self._launch(Kind.PRIMARY, now)]
        races = self._plan.hedge_after_s <= 0 and len(self._plan.candidates) > 1
        if races and self._may_launch() and self._purse.hedge():
            acts.append(self._launch(Kind.HEDGE, now))
        return acts

    # -- reports of attempts -------------------------------------------------------------------

    def _report(self, fact: Text | ToolPart | Ended | Failed, now: Mono) -> list[Act]:
        lane = self._lanes[fact.lane]
        match fact:
            case Text(number, text):
                acts = self._alive(number, len(text), now) if text.strip() else []
                for sentence in lane.phrases.feed(text):
                    acts += self._offer(number, sentence, now)
                    if self._offered >= self._policy.sentences_max:
                        acts += self._cancel_others(None, "too long", now)
                        return [*acts, *self._settle("length")]
                return acts
            case ToolPart(number, delta):
                grew = lane.add_tool_part(delta)
                acts = self._alive(number, len(delta.arguments) + 1, now) if grew else []
                if lane.tool_chars <= self._policy.tool_chars_max:
                    return acts
                acts.append(Cancel(number, "too long", Fault.MALFORMED))
                return [*acts, *self._failed(number, Fault.MALFORMED, now)]
            case Ended(number, reason):
                return self._ended(number, reason, now)
            case Failed(number, fault, _):
                return self._failed(number, fault, now)
            case _:
                assert_never(fact)

    def _offer(self, number: int, sentence: str, now: Mono) -> list[Act]:
        """A lane completed *sentence*: it leads from now on, unless it only repeats."""
        self._offered += 1
        lane = self._lanes[number]
        said = lane.gate.new_in(sentence)
        lane.sentence_over(now, new=bool(said))
        if not said:
            return []
        self._committed.append(said)
        acts = [*self._elect(number, now), Say(number, said)]
        if lane.sentences == 1:
            acts.append(Measured(number, Measure.SENTENCE, now - lane.launched))
        return acts

    def _elect(self, number: int, now: Mono) -> list[Act]:
        acts = self._cancel_others(number, "another attempt was first", now)
        for i, lane in enumerate(self._lanes):
            if i != number:
                lane.tools.clear()  # no proposal any more
        if self._leader != number:
            acts.append(Elect(number, self._leader))
            self._leader = number
        return acts

    def _ended(self, number: int, reason: str, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        acts = self._over(number)
        cut_short = reason == "length" and self._goes_on_at_length
        rest = lane.phrases.complete_rest() if cut_short else lane.phrases.end()
        if rest is not None:
            acts += self._offer(number, rest, now)
        if cut_short and self._leader == number and self._may_launch():
            return [*acts, self._launch(Kind.CONTINUE, now, lane.candidate)]
        if self._leader != number and not lane.tools and reason != "content_filter":
            # it only repeated, or not even that
            return [*acts, *self._failed(number, Fault.EMPTY, now)]
        if self._leader is None or lane.tools:
            acts += self._elect(number, now)
        acts += self._cancel_others(number, "the answer is complete", now)
        return [*acts, *self._settle(reason, number)]

    def _failed(self, number: int, fault: Fault, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        acts = self._over(number)
        lane.shunned = fault in _NOT_AGAIN
        if fault is Fault.EMPTY and self._committed and not self._fragment_left:
            # Asked to go on, it had nothing to add: the answer was complete.
            acts += self._cancel_others(None, "the answer is complete", now)
            return [*acts, *self._settle("stop")]
        if any(other.running and not other.suspected for other in self._lanes):
            return acts
        rest = lane.phrases.complete_rest() if self._committed else None
        if rest is not None:
            acts += self._offer(number, rest, now)
        if self._may_launch():
            if self._next_candidate()[1]:
                self._purse.failover()
                return [*acts, self._launch(self._rescue_kind(Kind.FAILOVER), now)]
            self._retry_at = Mono(now + self._policy.retry_pause_s)
            return acts
        if any(other.running for other in self._lanes):
            return acts  # a suspect may still come back, until we give up
        return [*acts, *self._settle("failed")]

    # -- time ----------------------------------------------------------------------------------

    def _tick(self, now: Mono) -> list[Act]:
        if now >= self._give_up_at():
            return [*self._cancel_others(None, "gave up", now), *self._settle("failed")]
        acts: list[Act] = []
        for number, lane in enumerate(self._lanes):
            if now >= lane.slow_at:
                lane.slow = True
                acts.append(Measured(number, Measure.SLOW, now - lane.launched))
        while now >= self._flush_at():
            acts += self._flush(now)
        if now >= self._fill_at():
            self._filled = True
            acts.append(Fill(now - self._began))
        if now >= self._launch_at():
            acts += self._suspect(now)
        return acts

    def _flush(self, now: Mono) -> list[Act]:
        """A pending sentence has its full stop, and nothing followed."""
        number = self._ready()[0]
        rest = self._lanes[number].phrases.complete_rest()
        return [] if rest is None else self._offer(number, rest, now)

    def _suspect(self, now: Mono) -> list[Act]:
        """The lane in front is silent for too long, or failed a while ago: begin another."""
        if now >= self._retry_at:
            self._purse.failover()
            return [self._launch(self._rescue_kind(Kind.FAILOVER), now)]
        number = self._front()
        lane = self._lanes[number]
        late_at = Mono(lane.launched + self._plan.late_s)
        if self._committed or now >= late_at:
            bought, again_at = self._purse.rescue(), Mono(now + self._plan.late_s)
        else:
            bought, again_at = self._purse.hedge(), late_at
        if not bought:
            self._denied_until = again_at
            return []
        lane.suspected, lane.dripping = True, now < self._silent_at(lane)
        fault = Fault.STALLED if lane.useful else Fault.SILENT
        rate = lane.rate(now) if lane.dripping else None
        suspect = Suspect(number, fault, now - lane.last, rate)
        return [suspect, self._launch(self._rescue_kind(Kind.HEDGE), now)]

    def _launch_at(self) -> Mono:
        """When the lane in front calls for another attempt."""
        if self._retry_at < NEVER or not self._may_launch():
            return self._retry_at
        lane, plan = self._lanes[self._front()], self._plan
        drain = self._drain if self._committed else None
        floor_s = plan.gap_floor_s if self._committed else plan.gap_floor_empty_s
        recovery_s = plan.recovery_q95_s
        drips_at = lane.drips_at(drain, recovery_s, floor_s, self._drip_chars_per_s)
        if lane.repeats and not lane.sentences and not lane.dripping:
            drips_at = min(drips_at, Mono(lane.first + self._policy.look_ahead_s))
        return max(min(self._silent_at(lane), drips_at), self._denied_until)

    def _silent_at(self, lane: Lane) -> Mono:
        """When *lane* is judged silent, if nothing more comes."""
        plan = self._plan
        if lane.useful:
            floor_s = plan.gap_floor_s if self._committed else plan.gap_floor_empty_s
        elif lane is self._lanes[0] and plan.hedge_after_s > 0:
            floor_s = plan.hedge_after_s
        else:
            floor_s = plan.escalate_after_s
        if not self._committed:
            return Mono(lane.last + floor_s)
        return Mono(max(lane.last + floor_s, self._drain - plan.recovery_q95_s))

    def _fill_at(self) -> Mono:
        """When the wait for the first sentence is foreseen to be too long: nobody has begun, and
        half of what a backup needs at most would pass the limit."""
        begun = any(lane.running and lane.useful and not lane.suspected for lane in self._lanes)
        if self._filled or self._committed or begun:
            return NEVER
        ahead_s = self._plan.recovery_q95_s / 2
        return Mono(self._began + max(0.0, self._policy.filler_after_s - ahead_s))

    def _flush_at(self) -> Mono:
        ready = self._ready()
        return Mono(self._lanes[ready[0]].last + self._policy.flush_s) if ready else NEVER

    def _give_up_at(self) -> Mono:
        useful = max((lane.last for lane in self._lanes if lane.useful), default=self._began)
        return Mono(max(useful, self._drain, self._began) + self._policy.give_up_s)

    # -- inside --------------------------------------------------------------------------------

    def _alive(self, number: int, chars: int, now: Mono) -> list[Act]:
        """A useful token came; what there is to learn from when it came."""
        lane = self._lanes[number]
        begins, self._retry_at = not lane.useful, NEVER
        gap_s = lane.alive(chars, now, self._drip_chars_per_s)
        if begins and not lane.slow:
            return [Measured(number, Measure.FIRST, now - lane.launched)]
        return [Measured(number, Measure.GAP, gap_s)] if gap_s else []

    def _over(self, number: int) -> list[Act]:
        """An attempt is over: its short gaps are told all at once."""
        lane = self._lanes[number]
        lane.running = False
        if not lane.small_gaps:
            return []
        gaps, lane.small_gaps = lane.small_gaps, 0
        return [Measured(number, Measure.GAP, 0.0, gaps)]

    @property
    def _fragment_left(self) -> bool:
        """Whether who led last (or began) broke off inside a sentence or a tool call."""
        lane = self._lanes[self._leader or 0]
        return bool(lane.phrases.rest or lane.tools)

    def _next_candidate(self) -> tuple[int, bool]:
        """Whose turn it is, and whether it had none yet: the first in the plan that had fewest,
        but sooner any other than one that would refuse again."""
        names, turns = self._plan.candidates, [0] * len(self._plan.candidates)
        shunned = set[str]()
        for lane in self._lanes:
            turns[lane.candidate] += 1
            if lane.shunned:
                shunned.add(names[lane.candidate])
        chosen = min(range(len(names)), key=lambda i: (names[i] in shunned, turns[i], i))
        return chosen, not turns[chosen] and names[chosen] not in shunned

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
        if candidate is None:
            candidate = self._next_candidate()[0]
        self._retry_at = NEVER
        gate = RepeatGate(self._committed, self._language)
        # A step that breaks off inside a tool call is run again from the start: asked to go on
        # after a prefix, models talk instead of calling.
        mid_tool = any(lane.tools for lane in self._lanes)
        self._lanes.append(Lane(candidate, kind, gate, now, now))
        return Launch(number, candidate, kind, "" if mid_tool else self.committed)

    def _cancel_others(self, number: int | None, why: str, now: Mono) -> list[Act]:
        acts: list[Act] = []
        for i, lane in enumerate(self._lanes):
            if lane.running and i != number:
                acts += self._over(i)
                if not lane.useful and not lane.slow:
                    acts.append(Measured(i, Measure.CANCELLED, now - lane.launched))
                acts.append(Cancel(i, why))
        return acts

    def _settle(self, reason: str, ended: int | None = None) -> list[Act]:
        """*ended*: the lane whose end it is, and whose tool calls are to be run."""
        self._settled = True
        tool_calls = () if ended is None else self._lanes[ended].tool_calls
        return [Settle(self._leader, reason, tool_calls)]
