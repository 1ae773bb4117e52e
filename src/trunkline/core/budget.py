"""What hedges and rescues may cost, and their price: one bucket a worker.

Every primary request earns a fraction of an extra one; every hedge and every rescue takes a whole
one. Hedges may not take the last quarter: it is kept for rescues, which save a whole silence where
a hedge saves the end of one. A call may always buy one rescue, whatever the bucket says. A failover
after an error is no extra request (the first one is over) and is free.

All stages share the bucket and its price, but none may buy more than its own primaries earned:
that callers speak and are spoken to is no reason to ask models more often.

The price lambda is what an extra request must save, in seconds of silence, to be worth asking for.
It rises while more is spent than is earned and falls while less is, so that in an incident hedging
thins out and routing has to move the load: retries do not feed the overload that causes them.

    lambda <- lambda * exp(eta * (spent / beta - 1)),  within [0.05, 2] s

after every `PRICED_EVERY` primaries. Constants: simulation of 100,000 calls, November 2026 (below
4.5 % rescues starve hedges, above it little is bought).
"""

import math
from collections import defaultdict
from dataclasses import dataclass

PRICED_EVERY = 20


@dataclass(frozen=True, slots=True)
class BudgetPolicy:
    """*beta*: extra requests earned by a primary; *burst*: the most that can be saved up.

    *reserved*: the share of the bucket that hedges may not take. *price_s* and its bounds: seconds
    of silence for an extra request; *eta*: how fast it moves.
    """

    beta: float = 0.045
    burst: float = 20.0
    reserved: float = 0.25
    price_s: float = 0.15
    price_min_s: float = 0.05
    price_max_s: float = 2.0
    eta: float = 0.1


class Budget:
    """The bucket of one worker; it starts half full. The counters are for the operator."""

    __slots__ = (
        "_caps",
        "_earned",
        "_level",
        "_spent",
        "failovers",
        "hedges",
        "policy",
        "price_s",
        "primaries",
        "rescues",
    )

    def __init__(self, policy: BudgetPolicy) -> None:
        self.policy = policy
        self.price_s = policy.price_s
        self.primaries = self.hedges = self.rescues = self.failovers = 0
        self._level = policy.burst / 2
        self._caps: defaultdict[str, float] = defaultdict(lambda: policy.burst / 2)
        self._earned = self._spent = 0

    @property
    def level(self) -> float:
        """Extra requests that may be bought now, by all stages together."""
        return self._level

    def left(self, stage: str) -> float:
        """Extra requests that *stage* may buy now."""
        return min(self._level, self._caps[stage])

    def earn(self, stage: str = "") -> None:
        """A primary request of *stage* is sent."""
        self.primaries += 1
        burst, beta = self.policy.burst, self.policy.beta
        self._level = min(burst, self._level + beta)
        self._caps[stage] = min(burst, self._caps[stage] + beta)
        self._earned += 1
        if self._earned == PRICED_EVERY:
            excess = self._spent / (self.policy.beta * self._earned) - 1
            price = self.price_s * math.exp(self.policy.eta * excess)
            self.price_s = min(max(price, self.policy.price_min_s), self.policy.price_max_s)
            self._earned = self._spent = 0

    def hedge(self, stage: str = "") -> bool:
        """Buy a hedge, if there is enough beyond what is kept for rescues."""
        if self.left(stage) - 1 < self.policy.reserved * self.policy.burst:
            return False
        self.hedges += 1
        self._take(stage)
        return True

    def rescue(self, stage: str = "", *, owed: bool) -> bool:
        """Buy a rescue; *owed*: whatever the bucket says."""
        if self.left(stage) < 1 and not owed:
            return False
        self.rescues += 1
        self._take(stage)
        return True

    def failover(self) -> None:
        """Another endpoint takes the place of one that failed: free, and counted."""
        self.failovers += 1

    def _take(self, stage: str) -> None:
        self._spent += 1
        self._level = max(0.0, self._level - 1)
        self._caps[stage] = max(0.0, self._caps[stage] - 1)


class Purse:
    """What one *stage* of a call may buy from the bucket of its worker; `of` is another stage's of
    the same call, which is owed one rescue for all of them."""

    __slots__ = ("_budget", "_owed", "_stage")

    def __init__(self, budget: Budget, stage: str = "") -> None:
        self._budget, self._stage = budget, stage
        self._owed = [True]

    def of(self, stage: str) -> "Purse":
        """What *stage* may buy."""
        purse = Purse(self._budget, stage)
        purse._owed = self._owed
        return purse

    def primary(self) -> None:
        """A step begins."""
        self._budget.earn(self._stage)

    def hedge(self) -> bool:
        """Ask a second endpoint because the first is late."""
        return self._budget.hedge(self._stage)

    def failover(self) -> None:
        """Ask another in the place of one that failed."""
        self._budget.failover()

    def rescue(self) -> bool:
        """Ask another because the caller will hear silence; a call's first is never denied."""
        bought = self._budget.rescue(self._stage, owed=self._owed[0])
        self._owed[0] = self._owed[0] and not bought
        return bought
