"""Which endpoints a step tries, in which order, and when it asks the next: the plan of a step.

Rules
 1. Endpoints are ordered by their score (`core.health`), times 1, 1.2, 1.3 by their place in the
    route: the configured order is a preference, not a law.
 2. A call stays with the endpoint that served it last while that one scores at most 1.15 times the
    best: its prompt cache is warm. For this call, an endpoint that failed it scores threefold, one
    that was too slow half as much again, each time.
 3. Behind those that are well stand those that push back, then the open ones, then the
    misconfigured. None is left out, but only those that are well are hedged or rescued onto (one
    that stands alone twice, before the others); the others are tried when all else has failed. If
    none is well (panic), the two least bad are raced, if the budget allows.
 4. The backup is chosen given that the first is slow: one that then is slow too (co-slow rate pi)
    helps nobody. The same holds for all while an endpoint is open, which says twice as much. pi
    begins at 0.3 for the same failure domain and 0.01 for others, and is learnt from pairs: every
    hedge, failover and rescue is one. Sooner than by one that is 2.5 s worse, the first is backed
    up by itself.
 5. Before the first audio, the second is asked at the delay d that minimises

        J(d) = int_tau^4s P(X > t) P(Y > t - d) dt  +  lambda P(X > d),     d = 0.6, 0.7 ... 2.2 s

    X the first's time to first token, Y the backup's given that X is slow, tau where a caller
    begins to notice, lambda the price (`core.budget`). Beyond 4 s the integrand hardly depends on
    d. Recomputed at most every 3 s for a pair.
 6. Delays at which more steps would hedge than the budget earns are not considered. If all are, a
    share of the steps hedges (SingleR: T. Kaler, Y. He and S. Elnikety, SPAA 2017) once half of
    what was saved up is spent; the others wait until `LATE_S` and ask as rescues.
 7. While audio is queued, `core.attempts` decides by the recovery time of the backup: the q95 of
    its time to a complete sentence, and the q90 of the voice's time to its first audio.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import mul
from typing import NamedTuple

from trunkline.core.attempt_words import AttemptPolicy, Plan
from trunkline.core.budget import Budget, BudgetPolicy, Purse
from trunkline.core.decay import Histogram, lognormal, survival
from trunkline.core.health import Breaker, Expected, Health, Measure
from trunkline.errors import Fault
from trunkline.types import LLM, Mono

PREFERENCE = (1.0, 1.2, 1.3)
STICKY = 1.15
SOUR_FAILED, SOUR_SLOW = 3.0, 1.5
SOUR_MAX = 27.0
CO_SLOW_SAME, CO_SLOW_OTHER = 0.3, 0.01
CO_SLOW_WEIGHT = 10.0
PAIRS_MAX = 50.0
CO_SLOW_COST_S = 5.0
OPEN_SAYS = 2.0  # an open endpoint tells so many times as much of its neighbours as a slow request
AGAIN_COST_S = 2.5
NOTICED_S = 0.7
LATE_S = 2.2
AGAIN_S = 3.0
VOICE_TAU_S = 60.0
GAP_FLOOR_S = 0.25, 1.0
EMPTY_GAP = 5 / 3
_STEP_S = 0.1
_TIMES = [i * _STEP_S for i in range(41)]
_BAD = survival(lognormal(1.6, 4.3), _TIMES)  # a brown-out: median 1.6 s, sigma 0.6
LEARNT = AttemptPolicy()
_GOLDEN = 0.6180339887


class Patience(NamedTuple):
    """For how long a caller does: in steps of 0.1 s, from when on it is *noticed*, and the *delays*
    among which to choose."""

    noticed: int
    delays: range


THINKING = Patience(round(NOTICED_S / _STEP_S), range(6, 23))


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """How a worker routes; the budget is the worker's, too."""

    budget: BudgetPolicy = field(default_factory=BudgetPolicy)


@dataclass(frozen=True, slots=True)
class Known:
    """What the configuration says of an endpoint; "" shares no failure domain with anybody."""

    failure_domain: str = ""
    expected: Expected = field(default_factory=Expected)


class CallState:
    """What routing remembers of one call: *draw* in [0, 1), and its purse."""

    __slots__ = ("_sour", "_steps", "draw", "purse")

    def __init__(self, draw: float, purse: Purse) -> None:
        self.draw, self.purse = draw, purse
        self._sour: dict[str, float] = {}
        self._steps = 0

    def failed(self, endpoint: str, fault: Fault) -> None:
        """*endpoint* failed this call, or another had to speak for it."""
        if fault not in {Fault.THROTTLED, Fault.EMPTY}:
            factor = SOUR_SLOW if fault is Fault.SILENT else SOUR_FAILED
            self._sour[endpoint] = min(SOUR_MAX, self.sourness(endpoint) * factor)

    def sourness(self, endpoint: str) -> float:
        """The factor on its score, for this call."""
        return self._sour.get(endpoint, 1.0)

    def next_draw(self) -> float:
        """A number in [0, 1) for the next step: evenly spread over a call and over calls."""
        self._steps += 1
        return (self.draw + self._steps * _GOLDEN) % 1.0


class Router:
    """What a worker knows of its endpoints; decides alone, from its own calls.

    *known*: by endpoint name; of others nothing is known. Any stage: names are all that counts.
    """

    def __init__(self, policy: RoutingPolicy, known: Mapping[str, Known] | None = None) -> None:
        self._known = dict(known or {})
        self._health: dict[str, Health] = {}
        self.budget = Budget(policy.budget)
        self._pairs: dict[tuple[str, str], list[float]] = {}
        self._delays: dict[tuple[str, str], tuple[float, float, float]] = {}
        self._voice = Histogram(lognormal(0.25, 0.4), n0=10.0, tau_s=VOICE_TAU_S)
        self._voice_q90: tuple[float, float] = (0.0, -AGAIN_S)

    def health(self, endpoint: str) -> Health:
        """What is known of *endpoint*."""
        found = self._health.get(endpoint)
        if found is None:
            known = self._known.get(endpoint, Known())
            found = self._health[endpoint] = Health(known.expected)
        return found

    def call(self, draw: float) -> CallState:
        """A new call; *draw* in [0, 1) is random, and the call's for good."""
        return CallState(draw, Purse(self.budget))

    def renew(self, known: Mapping[str, Known], changed: Collection[str]) -> None:
        """The configuration is another: *known* of its endpoints, and which are not the same.

        What was learnt of the others stays; of those that changed or are gone, nothing does.
        """
        self._known = dict(known)
        stay = known.keys() - set(changed)
        self._health = {name: it for name, it in self._health.items() if name in stay}
        self._pairs = {pair: it for pair, it in self._pairs.items() if stay.issuperset(pair)}
        self._delays = {pair: it for pair, it in self._delays.items() if stay.issuperset(pair)}

    # -- what happens ----------------------------------------------------------------------------

    def observe(
        self, endpoint: str, what: Measure, seconds: float, now: Mono, count: float = 1.0
    ) -> Breaker | None:
        """Book a measurement; the new state of the endpoint's breaker, if it changed."""
        health = self.health(endpoint)
        return health.breaker(now) if health.measured(what, seconds, now, count) else None

    def failed(
        self, endpoint: str, fault: Fault, now: Mono, retry_after_s: float | None = None
    ) -> Breaker | None:
        """An attempt on *endpoint* failed; the new state of its breaker, if it changed."""
        health = self.health(endpoint)
        return health.breaker(now) if health.failed(fault, now, retry_after_s) else None

    def served(self, endpoint: str, now: Mono) -> None:
        """An attempt on *endpoint* completed."""
        self.health(endpoint).served(now)

    def paired(self, first: str, backup: str, *, slow: bool) -> None:
        """While *first* was slow or failing, *backup* was asked: was it slow as well?"""
        pair = self._pairs.setdefault((first, backup), self._prior(first, backup))
        if pair[1] >= CO_SLOW_WEIGHT + PAIRS_MAX:  # let what is old fade
            pair[0] -= pair[0] / pair[1]
            pair[1] -= 1
        pair[0] += slow
        pair[1] += 1

    def voiced(self, seconds: float, now: Mono) -> None:
        """A sentence that had nothing before it was heard *seconds* after it was said."""
        self._voice.add(seconds, now)

    # -- what to do ------------------------------------------------------------------------------

    def order(
        self, route: Sequence[str], last: str | None, state: CallState, now: Mono
    ) -> tuple[list[str], int]:
        """*route* in the order to try it, and how many in front are well.

        *last*: the endpoint that served this call last, None if it is new.
        """
        ranked = self._ranked(route, last, state, now)
        return [rank[3] for rank in ranked], sum(rank[0] == 0 for rank in ranked)

    def _ranked(
        self, route: Sequence[str], last: str | None, state: CallState, now: Mono
    ) -> list[tuple[int, float, int, str]]:
        """By tier (0: those that are well), score, place in the route and name."""
        ranked = []
        sick = [name for name in route if self.health(name).breaker(now) is Breaker.OPEN]
        for place, name in enumerate(route):
            health = self.health(name)
            score = health.score(now) * PREFERENCE[min(place, 2)] * state.sourness(name)
            if sick:
                shared = max(self.co_slow(other, name) for other in sick)
                score += CO_SLOW_COST_S * min(1.0, OPEN_SAYS * shared)
            mine = name == last
            draw = 0.0 if mine else state.draw if last is None else None
            if health.admits(draw, now):
                tier = 0 if now >= health.pushed_back_until else 1
            else:
                tier = 3 if health.breaker(now) is Breaker.MISCONFIGURED else 2
            ranked.append((tier, score / STICKY if mine else score, place, name))
        ranked.sort()
        first = ranked[0][3]
        if len(ranked) > 2:
            ranked[1:] = sorted(
                (tier, score + CO_SLOW_COST_S * self.co_slow(first, name), place, name)
                for tier, score, place, name in ranked[1:]
            )
        return ranked

    def plan(
        self,
        route: Sequence[str],
        last: str | None,
        state: CallState,
        now: Mono,
        policy: AttemptPolicy = LEARNT,
    ) -> Plan:
        """The plan of the next step of a call over the endpoints *route*; *last* as in `order`."""
        ranked = self._ranked(route, last, state, now)
        names, well = [rank[3] for rank in ranked], sum(rank[0] == 0 for rank in ranked)
        if well and len(names) > 1:
            _, score, _, first = ranked[0]
            if well == 1 or ranked[1][1] > score + AGAIN_COST_S:
                names.insert(1, first)
        first, backup = names[0], names[min(1, len(names) - 1)]
        gap_s = min(max(self.health(first).gap_p999_s(now), GAP_FLOOR_S[0]), GAP_FLOOR_S[1])
        draw = state.next_draw()
        if policy.hedge_after_s is not None:
            hedge_s = escalate_s = policy.hedge_after_s
        else:
            escalate_s, share = self.hedge_delay(first, backup, now)
            may = draw < share or self.budget.left(LLM) >= self.budget.policy.burst / 2
            hedge_s = (escalate_s if may else LATE_S) if well else 0.0
        recovery_s, gap_set_s = policy.recovery_q95_s, policy.gap_floor_s
        empty_s = policy.gap_floor_empty_s
        return Plan(
            tuple(names),
            hedge_s,
            escalate_s,
            LATE_S,
            self._recovery_s(backup, now) if recovery_s is None else recovery_s,
            gap_s if gap_set_s is None else gap_set_s,
            min(gap_s * EMPTY_GAP, GAP_FLOOR_S[1]) if empty_s is None else empty_s,
        )

    def hedge_delay(
        self, first: str, backup: str, now: Mono, patience: Patience = THINKING
    ) -> tuple[float, float]:
        """(d*, the share of steps that may hedge then) for this pair (rules 5 and 6)."""
        known = self._delays.get((first, backup))
        if known is None or now >= known[2] + AGAIN_S:
            x = survival(self.health(first).ttft(now), _TIMES)
            y = survival(self.health(backup).ttft(now), _TIMES)
            pi = self.co_slow(first, backup)
            y = [(1 - pi) * a + pi * b for a, b in zip(y, _BAD, strict=True)]
            budget = self.budget
            noticed, delays = patience
            affordable = [d for d in delays if x[d] <= budget.policy.beta]

            def cost(d: int) -> float:
                """J(d); the sums are of steps of 0.1 s."""
                if d < noticed:
                    late: float = sum(map(mul, x[noticed:], y[noticed - d :]))
                else:
                    late = sum(x[noticed:d]) + sum(map(mul, x[d:], y))
                return late * _STEP_S + budget.price_s * x[d]

            best = min(affordable or delays, key=cost)
            share = min(1.0, budget.policy.beta / max(x[best], 1e-9))
            known = self._delays[first, backup] = (best * _STEP_S, share, now)
        return known[0], known[1]

    def co_slow(self, first: str, backup: str) -> float:
        """The chance that *backup* is slow when *first* is."""
        slow, n = self._pairs.get((first, backup)) or self._prior(first, backup)
        return slow / n

    def probe_due(self, endpoints: Sequence[str], now: Mono) -> str | None:
        """The one of *endpoints* to ask for one token now, or None; it then counts as asked."""
        waiting = []
        for name in endpoints:
            at = self.health(name).probe_due(now)
            if at is not None and at <= now:
                waiting.append((at, name))
        if not waiting:
            return None
        name = min(waiting)[1]
        self.health(name).probing(now)
        return name

    def probed(self, endpoint: str, seconds: float | None, now: Mono) -> Breaker | None:
        """A probe's first token came after *seconds* (None: not in time); the new state, if any."""
        health = self.health(endpoint)
        return health.breaker(now) if health.probed(seconds, now) else None

    # -- inside ----------------------------------------------------------------------------------

    def _prior(self, first: str, backup: str) -> list[float]:
        one, other = self._known.get(first, Known()), self._known.get(backup, Known())
        same = first == backup or (
            one.failure_domain != "" and one.failure_domain == other.failure_domain
        )
        return [CO_SLOW_WEIGHT * (CO_SLOW_SAME if same else CO_SLOW_OTHER), CO_SLOW_WEIGHT]

    def _recovery_s(self, backup: str, now: Mono) -> float:
        if now >= self._voice_q90[1] + AGAIN_S:
            self._voice_q90 = self._voice.quantile(0.9, now), now
        return self.health(backup).sentence_q95_s(now) + self._voice_q90[0]
