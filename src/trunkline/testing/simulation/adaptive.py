"""Trunkline's own policy in a simulation: the router, the budget and the machine of the core."""

from collections.abc import Mapping, Sequence

from trunkline.core.attempt_words import AttemptPolicy, Measured
from trunkline.core.attempts import Attempts
from trunkline.core.health import Measure
from trunkline.core.routing import CallState, Known, Router, RoutingPolicy
from trunkline.errors import Fault
from trunkline.testing.simulation.lanes import Lane
from trunkline.testing.simulation.turn import Machine, Turn
from trunkline.types import Mono


class Adaptive:
    """One worker. It learns from its own calls alone, and from its probes."""

    def __init__(self, router: Router, names: Sequence[str], draws: Sequence[float]) -> None:
        self.names, self.router = tuple(names), router
        self._number = {name: number for number, name in enumerate(self.names)}
        self._draws = draws
        self._policy = AttemptPolicy()
        self._calls: dict[int, tuple[CallState, str | None]] = {}

    @classmethod
    def of(cls, known: Mapping[str, Known], draws: Sequence[float]) -> "Adaptive":
        """A worker that knows of its endpoints what the configuration says."""
        return cls(Router(RoutingPolicy(), known), tuple(known), draws)

    def begin(self, turn: Turn, now: Mono) -> tuple[Machine, Sequence[int]]:
        """Plan the step."""
        state, last = self._calls.get(turn.call) or (
            self.router.call(self._draws[turn.call % len(self._draws)]),
            None,
        )
        self._calls[turn.call] = state, last
        plan = self.router.plan(self.names, last, state, now)
        machine = Attempts(self._policy, plan, state.purse)
        return machine, [self._number[name] for name in plan.candidates]

    def launched(self, turn: Turn, lane: Lane, now: Mono) -> None:
        """Its machine watches it."""

    def measured(self, turn: Turn, lane: Lane, act: Measured, now: Mono) -> None:
        """Learn from it."""
        self.router.observe(self.names[lane.endpoint], act.what, act.seconds, now, act.times)

    def gaps(self, lane: Lane, seconds: float, times: int, now: Mono) -> None:
        """Learn from them."""
        self.router.observe(self.names[lane.endpoint], Measure.GAP, seconds, now, times)

    def failed(self, turn: Turn, lane: Lane, fault: Fault, now: Mono) -> None:
        """It failed."""
        name = self.names[lane.endpoint]
        self.router.failed(name, fault, now)
        self._calls[turn.call][0].failed(name)

    def cancelled(self, turn: Turn, lane: Lane, now: Mono) -> None:
        """It was too slow, or another was first."""

    def settled(self, turn: Turn, winner: Lane | None, reason: str, now: Mono) -> None:
        """The call stays with who served it."""
        if winner is not None:
            name = self.names[winner.endpoint]
            self.router.served(name, now)
            self._calls[turn.call] = self._calls[turn.call][0], name

    def over(self, call: int) -> None:
        """The call has ended."""
        self._calls.pop(call, None)

    def probes(self, now: Mono) -> Sequence[int]:
        """The endpoints that are asked for one token now."""
        return [self._number[name] for name in self.router.probes_due(now)]

    def probed(self, endpoint: int, seconds: float | None, now: Mono) -> None:
        """A probe was answered."""
        self.router.probed(self.names[endpoint], seconds, now)
