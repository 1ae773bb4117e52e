"""Trunkline's own policy in a simulation: the router, the budget and the machine of the core.

What is reported to the router, and when, is what `calls.think` and `calls.steps` report of a live
call: change one with the other.
"""

from collections.abc import Sequence

from typing_extensions import override

from trunkline.core.attempt_words import AttemptPolicy, Kind, Measured
from trunkline.core.attempts import Attempts
from trunkline.core.decay import LOW_S
from trunkline.core.health import Measure
from trunkline.core.routing import CallState, Router
from trunkline.errors import Fault
from trunkline.testing.simulation.lanes import Lane
from trunkline.testing.simulation.speech import Learning, Routes
from trunkline.testing.simulation.turn import Machine, Policy, Turn
from trunkline.types import LLM, Mono

_ON_ITS_OWN = {Kind.PRIMARY, Kind.CONTINUE}


class Adaptive(Policy):
    """One worker. It learns from its own calls alone, and from its probes."""

    def __init__(
        self,
        router: Router,
        names: Sequence[str],
        models: Sequence[int],
        routes: Routes,
        draws: Sequence[float],
        policy: AttemptPolicy,
    ) -> None:
        self.names, self.router = tuple(names), router
        self._number = {name: number for number, name in enumerate(self.names)}
        self._models = [self.names[number] for number in models]
        self.speech = Learning(routes, router, self.names, self.state)
        self._draws = draws
        self._policy = policy
        # In each of two steps: silent up to the last moment, a token, and silent again.
        self.dead_max_s = 4 * (policy.give_up_s + 1.0)
        self._calls: dict[int, CallState] = {}
        self._last: dict[int, str] = {}  # which model served the call last

    @override
    def begin(self, turn: Turn, now: Mono) -> tuple[Machine, Sequence[int]]:
        """Plan the step."""
        state, last = self.state(turn.call), self._last.get(turn.call)
        plan = self.router.plan(self._models, last, state, now, self._policy)
        machine = Attempts(self._policy, plan, state.purse.of(LLM))
        return machine, [self._number[name] for name in plan.candidates]

    def state(self, call: int) -> CallState:
        """What routing remembers of *call*."""
        found = self._calls.get(call)
        if found is None:
            found = self._calls[call] = self.router.call(self._draws[call % len(self._draws)])
        return found

    @override
    def measured(self, turn: Turn, lane: Lane, act: Measured, now: Mono) -> None:
        """The router learns it; of an attempt that was made because another was late, twice."""
        name = self.names[lane.endpoint]
        self.router.observe(name, act.what, act.seconds, now, act.times)
        if lane.kind in _ON_ITS_OWN or act.what not in {Measure.FIRST, Measure.SLOW}:
            return
        first = self.names[turn.lanes[0].endpoint]
        if first != name:
            self.router.paired(first, name, slow=act.what is Measure.SLOW)

    @override
    def gaps(self, lane: Lane, seconds: float, times: int, now: Mono) -> None:
        """As the machine tells them: the short ones without their length."""
        seconds = seconds if seconds >= LOW_S else 0.0
        self.router.observe(self.names[lane.endpoint], Measure.GAP, seconds, now, times)

    @override
    def failed(self, turn: Turn, lane: Lane, fault: Fault, now: Mono) -> None:
        """Routing is to know, unless it rightly had nothing to add."""
        name = self.names[lane.endpoint]
        if fault is not Fault.EMPTY or not turn.said:
            self._calls[turn.call].failed(name, fault)
            self.router.failed(name, fault, now)

    @override
    def cancelled(self, turn: Turn, lane: Lane, now: Mono) -> None:
        """A silence before the first token was measured as time: no fault on top of that."""
        if lane.suspected is None:
            return
        name = self.names[lane.endpoint]
        self._calls[turn.call].failed(name, lane.suspected)
        if lane.suspected is not Fault.SILENT:
            self.router.failed(name, lane.suspected, now)

    @override
    def voiced(self, seconds: float, now: Mono) -> None:
        """The router learns it."""
        self.router.voiced(seconds, now)

    @override
    def settled(self, turn: Turn, winner: Lane | None, now: Mono) -> None:
        """The call stays with who served it."""
        if winner is not None:
            name = self.names[winner.endpoint]
            self.router.served(name, now)
            self._last[turn.call] = name

    @override
    def over(self, call: int) -> None:
        """The call has ended."""
        self._calls.pop(call, None)
        self._last.pop(call, None)
        self.speech.over(call)

    @override
    def probes(self, now: Mono) -> Sequence[int]:
        """The endpoint that is asked for one token now, if any."""
        due = self.router.probe_due(self.names, now)
        return () if due is None else (self._number[due],)

    @override
    def probed(self, endpoint: int, seconds: float | None, now: Mono) -> None:
        """A probe was answered."""
        self.router.probed(self.names[endpoint], seconds, now)
