"""One answer over several endpoints, passed on to a reader of text as it is written.

The machine is that of speech, `core.attempts`, with its rules; what differs is what is committed:

 1. Each piece of text is committed the moment it comes (`Say`), fragments included; with *hold*
    whole sentences only, or nothing before the end. The answer is the pieces, joined.
 2. Whoever speaks first leads, the others are cancelled. A leader that fell silent and comes back
    before another has said something new goes on. One that writes too slowly is heard only by the
    sentence while another has been asked: the reader has something to read until then.
 3. A rescuer goes on behind the last character: see `core.seam`. In the middle of a sentence one
    that continues a prefix (*exact*) is asked before one that does not. Text that cannot be joined
    on is a failure of the attempt, never passed on.
 4. Without *hold* a tool call is passed on as it comes, too: the leader's `ToolPart`s. From its
    first part on nobody else is asked, for nobody else would write the rest of the same call. With
    *hold* tool calls are proposals until the end, as in speech.
 5. Who refused or pushed back is not asked again: once all have, the answer has failed.
 6. What was sent is taken to be read out at the rate of speech: that is the drain time.
"""

from typing_extensions import override

from trunkline.core.attempt_words import (
    Act,
    AttemptPolicy,
    Begin,
    Cancel,
    Ended,
    Failed,
    Kind,
    Launch,
    Measured,
    Plan,
    Say,
    Text,
    ToolPart,
)
from trunkline.core.attempts import Attempts
from trunkline.core.budget import Purse
from trunkline.core.health import Measure
from trunkline.core.lane import spoken_chars_per_s
from trunkline.core.seam import Again, Hold, Onward, Passing, sentences
from trunkline.errors import Fault
from trunkline.types import Mono


class Relay(Attempts):
    """The machine of one answer. *exact*: the endpoints of the plan that continue a prefix."""

    _goes_on_at_length = False  # the limit is the reader's own

    def __init__(
        self,
        policy: AttemptPolicy,
        plan: Plan,
        purse: Purse,
        *,
        exact: frozenset[str],
        hold: Hold = "none",
    ) -> None:
        super().__init__(policy, plan, purse)
        self._exact, self._hold = exact, hold
        self._words: list[Passing] = []
        self._tool_sent = False
        self._spoken_chars_per_s = 1.0

    @property
    @override
    def committed(self) -> str:
        return "".join(self._committed)

    @property
    def tools_from(self) -> int | None:
        """The attempt whose tool calls are passed on as they come, if one is."""
        return self._leader if self._tool_sent else None

    def paused(self, seconds: float) -> None:
        """The reader took nothing for *seconds*, and no attempt was listened to: none was silent,
        and what was sent is read later."""
        self._drain = Mono(self._drain + seconds)
        for lane in self._lanes:
            lane.last, lane.since = Mono(lane.last + seconds), Mono(lane.since + seconds)

    @override
    def _begin(self, fact: Begin, now: Mono) -> list[Act]:
        self._spoken_chars_per_s = spoken_chars_per_s(fact.language)
        return super()._begin(fact, now)

    @override
    def _report(self, fact: Text | ToolPart | Ended | Failed, now: Mono) -> list[Act]:
        number, lane, words = fact.lane, self._lanes[fact.lane], self._words[fact.lane]
        if isinstance(fact, ToolPart) and self._hold == "none":
            acts = self._tool_part(fact, now)
        else:
            acts = super()._report(fact, now)
        lane.repeats = int(lane.useful and words.joint.waits)
        if words.lost and lane.running:
            why = "its words do not join on to those that were sent"
            acts.append(Cancel(number, why, Fault.MALFORMED))
            acts += self._failed(number, Fault.MALFORMED, now)
        return acts

    def _tool_part(self, fact: ToolPart, now: Mono) -> list[Act]:
        number = fact.lane
        rest = self._words[number].end()
        acts = [] if rest is None else self._offer(number, rest, now)
        if not self._words[number].lost:
            acts += self._elect(number, now)
            self._tool_sent = True
            acts += super()._report(fact, now)
        return acts

    @override
    def _offer(self, number: int, sentence: str, now: Mono) -> list[Act]:
        """A lane has a *sentence*, or a piece of one, that may be passed on."""
        lane, words = self._lanes[number], self._words[number]
        whole, words.whole = words.whole, 0
        if lane.dripping and not whole and self._others_run(number):
            words.keep(sentence)
            return []
        acts: list[Act] = []
        if self._leader != number or self._others_run(number):
            acts += self._elect(number, now)
        self._committed.append(sentence)
        self._drain = Mono(max(self._drain, now) + len(sentence) / self._spoken_chars_per_s)
        acts.append(Say(number, sentence))
        if whole:
            self._offered += whole
            lane.sentence_over(now, new=True)
            if lane.sentences == 1:
                acts.append(Measured(number, Measure.SENTENCE, now - lane.launched))
        return acts

    def _others_run(self, number: int) -> bool:
        return any(lane.running for at, lane in enumerate(self._lanes) if at != number)

    @override
    def _may_launch(self) -> bool:
        return not self._tool_sent and self._somebody_left() and super()._may_launch()

    def _somebody_left(self) -> bool:
        """Whether there is an endpoint that has not refused: unlike a caller, a client can be told
        to come back later, and does the waiting itself."""
        shunned = {self._plan.candidates[it.candidate] for it in self._lanes if it.shunned}
        return not shunned.issuperset(self._plan.candidates)

    @override
    def _next_candidate(self) -> tuple[int, bool]:
        chosen, fresh = super()._next_candidate()
        names, asked = self._plan.candidates, {lane.candidate for lane in self._lanes}
        if names[chosen] in self._exact or not sentences(self.committed)[1]:
            return chosen, fresh
        better = [at for at, name in enumerate(names) if name in self._exact and at not in asked]
        return (better[0], True) if better else (chosen, fresh)

    @override
    def _launch(self, kind: Kind, now: Mono, candidate: int | None = None) -> Launch:
        launch = super()._launch(kind, now, candidate)
        lane, sent = self._lanes[-1], self.committed
        exact = self._plan.candidates[launch.candidate] in self._exact and launch.committed
        joint = Onward(sent) if exact or not sent else Again(sent, self._language)
        lane.phrases = words = Passing(joint, self._hold)
        self._words.append(words)
        return launch
