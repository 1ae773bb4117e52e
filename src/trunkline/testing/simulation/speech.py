"""Recognisers and synthesisers of a simulated worker: how an attempt on one goes, and who decides.

What is reported to the router, and when, is what `calls.timing`, `calls.listen` and `calls.speak`
report of a live call: change one with the other.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from typing_extensions import override

from trunkline.core import speech_plan
from trunkline.core.attempt_words import Kind
from trunkline.core.budget import Purse
from trunkline.core.health import READ_AGAIN_S, Measure
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.playout import WORDS_PER_S
from trunkline.core.routing import CallState, Router
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.errors import Fault
from trunkline.testing.faults import FaultKind, FaultScript
from trunkline.testing.simulation.draws import Drawn, Trouble
from trunkline.testing.simulation.lanes import ENDS, fault_of_status
from trunkline.types import STT, TTS, Mono, StageName

Routes = Mapping[StageName, Sequence[int]]
"""The endpoints of each speech stage, by number, the preferred one first."""


@dataclass(slots=True)
class Course:
    """What an attempt does with its words, of which a *message* of the stream holds one.

    *first_s*: to its first output, once there is something to work on. At word *place* (a share of
    them, or *words* if it is known how many come before) it *fails*, or pauses for *pause_s*, or
    makes one word every *drip_s* from then on. *empty*: it ends properly without a word.
    """

    first_s: float
    plain: bool = True
    place: float = 0.0
    words: int | None = None
    fails: Fault | None = None
    pause_s: float = 0.0
    drip_s: float = 0.0
    empty: bool = False

    def bend(self, words: int) -> int:
        """Before which of its *words* it goes wrong; *words*: nowhere."""
        if self.plain:
            return words
        return min(int(self.place * words) if self.words is None else self.words, words)

    def suffer(self, script: FaultScript) -> None:
        """Let *script* befall it instead of what was drawn."""
        hold_s = math.inf if script.hold_s is None else script.hold_s
        before = script.after_tokens
        self.words = before if script.after_s is None else int(script.after_s * WORDS_PER_S)
        self.plain, self.fails, self.pause_s, self.drip_s = False, ENDS.get(script.kind), 0.0, 0.0
        match script.kind:
            case FaultKind.REFUSE:
                self.fails, self.words, self.first_s = Fault.UNREACHABLE, 0, 0.0
            case FaultKind.STATUS:
                self.fails, self.words = fault_of_status(script.status), 0
            case FaultKind.HANG | FaultKind.HEADERS_ONLY | FaultKind.KEEPALIVES:
                self.first_s += hold_s
            case FaultKind.STALL | FaultKind.FREEZE:
                self.pause_s = hold_s
            case FaultKind.DRIP:
                self.drip_s = script.gap_s
            case FaultKind.EMPTY | FaultKind.CONTENT_FILTER:
                self.empty = True
            case _:
                pass  # one of `ENDS`


def course_of(drawn: Drawn, lot: int) -> Course:
    """The course that was drawn for an attempt."""
    course = Course(drawn.first_s[lot])
    trouble = drawn.trouble[lot]
    if trouble == Trouble.NONE:
        return course
    course.plain, course.place = False, drawn.place[lot]
    if trouble == Trouble.ERROR:
        course.fails, course.words, course.first_s = Fault.UNAVAILABLE, 0, drawn.error_after_s
    elif trouble == Trouble.HANG:
        course.first_s = math.inf
    elif trouble == Trouble.CUT:
        course.fails = Fault.CUT
    elif trouble == Trouble.DRIP:
        course.drip_s = drawn.amount_s[lot]
    else:
        course.pause_s = drawn.amount_s[lot]
    return course


@dataclass(slots=True)
class Try:
    """An attempt on *endpoint*, asked at *asked*. *late*: the endpoint that it was begun for,
    because that one was late or failed; None: it is the first."""

    endpoint: int
    kind: Kind
    asked: float
    course: Course
    late: int | None = None
    fault: Fault | None = None
    answered: bool = False
    whole: bool = False
    over: bool = False


class Speech:
    """Who decides about speech, for all calls of one worker: here what others do.

    The next endpoint is asked when one fails, and when one is silent for *patience_s*; a call stays
    with who served it, and one that failed it is its last choice from then on.
    """

    def __init__(self, routes: Routes, patience_s: float) -> None:
        self.routes, self._patience_s = routes, patience_s
        self._choices: dict[tuple[int, StageName], list[int]] = {}

    def order(self, stage: StageName, call: int, lot: int, now: Mono) -> Sequence[int]:
        """The endpoints in the order to try them, in the turn that has number *lot*."""
        del lot, now
        return self._order(stage, call)

    def hears(self, order: Sequence[int], now: Mono) -> HearingPolicy:
        """For how long recognisers are waited for."""
        del order, now
        s = self._patience_s
        return HearingPolicy(interim_after_s=math.inf, final_after_s=s, give_up_s=4 * s)

    def speaks(self, order: Sequence[int], now: Mono) -> SynthesisPolicy:
        """For how long synthesisers are."""
        del order, now
        s = self._patience_s
        return SynthesisPolicy(s, s, 0.0, drip_window_s=math.inf, give_up_s=4 * s)

    def purse(self, stage: StageName, call: int) -> Purse | None:
        """What may be spent; None: nobody counts."""
        del stage, call
        return None

    def answered(self, it: Try, seconds: float, now: Mono) -> None:
        """Its first useful output came after *seconds* of work."""
        del seconds, now
        it.answered = True

    def whole(self, it: Try, now: Mono) -> None:
        """Its first whole word is there."""

    def gaps(self, it: Try, seconds: float, times: int, now: Mono) -> None:
        """So many gaps between its outputs."""

    def failed(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """It failed with `it.fault`."""
        del now
        self._last(stage, call, it.endpoint)

    def overtaken(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """It was late, with `it.fault`, and another was first."""
        self.failed(stage, call, it, now)

    def served(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """It served the call."""
        del now
        others = [number for number in self._order(stage, call) if number != it.endpoint]
        self._choices[call, stage] = [it.endpoint, *others]

    def over(self, call: int) -> None:
        """The call has ended."""
        for stage in self.routes:
            self._choices.pop((call, stage), None)

    def _order(self, stage: StageName, call: int) -> Sequence[int]:
        return self._choices.get((call, stage), self.routes[stage])

    def _last(self, stage: StageName, call: int, endpoint: int) -> None:
        others = [it for it in self._order(stage, call) if it != endpoint]
        self._choices[call, stage] = [*others, endpoint]


class Learning(Speech):
    """Our own: the router of the worker and what `core.speech_plan` makes of it.

    *state* finds what routing remembers of a call.
    """

    def __init__(
        self,
        routes: Routes,
        router: Router,
        names: Sequence[str],
        state: Callable[[int], CallState],
    ) -> None:
        super().__init__(routes, 0.0)
        self._router, self._names, self._state = router, names, state
        self._number = {name: number for number, name in enumerate(names)}
        self._route = {
            stage: [names[number] for number in numbers] for stage, numbers in routes.items()
        }
        self._served: dict[tuple[int, StageName], str] = {}
        self._hears: dict[int, tuple[Mono, HearingPolicy]] = {}  # by who is asked first
        self._speaks: dict[int, tuple[Mono, SynthesisPolicy]] = {}

    @override
    def order(self, stage: StageName, call: int, lot: int, now: Mono) -> Sequence[int]:
        """As the router has it."""
        last = self._served.get((call, stage))
        found, _ = self._router.order(self._route[stage], last, self._state(call), now)
        return [self._number[name] for name in found]

    @override
    def hears(self, order: Sequence[int], now: Mono) -> HearingPolicy:
        """As long as was learnt."""
        known = self._hears.get(order[0])
        if known is None or now >= known[0] + READ_AGAIN_S:
            route = [self._names[number] for number in order]
            policy = speech_plan.hearing(HearingPolicy(), self._router, route, now)
            known = self._hears[order[0]] = now, policy
        return known[1]

    @override
    def speaks(self, order: Sequence[int], now: Mono) -> SynthesisPolicy:
        """As long as was learnt."""
        known = self._speaks.get(order[0])
        if known is None or now >= known[0] + READ_AGAIN_S:
            route = [self._names[number] for number in order]
            policy = speech_plan.speaking(SynthesisPolicy(), self._router, route, now)
            known = self._speaks[order[0]] = now, policy
        return known[1]

    @override
    def purse(self, stage: StageName, call: int) -> Purse | None:
        """The call's."""
        return self._state(call).purse.of(stage)

    @override
    def answered(self, it: Try, seconds: float, now: Mono) -> None:
        """The router learns it, once."""
        if not it.answered:
            it.answered = True
            self._router.observe(self._names[it.endpoint], Measure.FIRST, seconds, now)
            self._pair(it, slow=False)

    @override
    def whole(self, it: Try, now: Mono) -> None:
        """The router learns it, once."""
        if not it.whole:
            it.whole = True
            self._router.observe(self._names[it.endpoint], Measure.SENTENCE, now - it.asked, now)

    @override
    def gaps(self, it: Try, seconds: float, times: int, now: Mono) -> None:
        """The router learns them."""
        self._router.observe(self._names[it.endpoint], Measure.GAP, seconds, now, times)

    @override
    def failed(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """The router and the call learn it."""
        name, fault = self._names[it.endpoint], it.fault or Fault.CUT
        self._state(call).failed(name, fault)
        self._router.failed(name, fault, now)

    @override
    def overtaken(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """It counts as slow if nothing came of it, else as failed; never as both."""
        if it.answered:
            self.failed(stage, call, it, now)
            return
        it.answered = True
        name = self._names[it.endpoint]
        self._router.observe(name, Measure.SLOW, now - it.asked, now)
        self._pair(it, slow=True)
        self._state(call).failed(name, it.fault or Fault.SILENT)

    @override
    def served(self, stage: StageName, call: int, it: Try, now: Mono) -> None:
        """The call stays with it."""
        name = self._names[it.endpoint]
        self._router.served(name, now)
        self._served[call, stage] = name

    @override
    def over(self, call: int) -> None:
        """The call has ended."""
        for stage in (STT, TTS):
            self._served.pop((call, stage), None)

    def _pair(self, it: Try, *, slow: bool) -> None:
        if it.late is not None and it.late != it.endpoint:
            self._router.paired(self._names[it.late], self._names[it.endpoint], slow=slow)
