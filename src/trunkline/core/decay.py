"""What an endpoint did lately, with the past fading: the estimators of `core.health`.

Everything decays exponentially in time. Nothing is swept: the weight of a *new* observation grows
instead, `exp((now - epoch) / tau)`, and a reading divides by the weight of now, so that to add is
one addition and the epoch moves only now and then.

A request that has not answered is an observation too (right-censored). At `SLOW_S` it is booked as
slow at once, spread over a Pareto tail of shape 1.5, whose mean is 3 x `SLOW_S` (2.6 x, cut at
`HIGH_S`): detection does not wait for the slow request to end. One that is cancelled earlier is
spread over what the law itself says of the time after it (E. L. Kaplan and P. Meier 1958; B. Efron
1967: its mass goes to the right).

Constants: simulation of 100,000 calls, November 2026; tau of 20 to 60 s are equal, 5 s is jumpy.
"""

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

BINS = 56
LOW_S, HIGH_S = 0.08, 40.0
SLOW_S = 1.2
"""A request that is silent for so long is slow, whatever becomes of it."""
TAIL_SHAPE = 1.5
_PER_LOG = BINS / math.log(HIGH_S / LOW_S)
EDGES = tuple(LOW_S * math.exp(i / _PER_LOG) for i in range(BINS + 1))
MIDDLES = tuple(math.sqrt(a * b) for a, b in pairwise(EDGES))
_RENEW_TAUS = 12.0  # the weight stays below e^12: far from where floats lose small counts

Law = tuple[float, ...]
"""The share of each of the `BINS` bins; the shares sum to 1."""


def bin_of(seconds: float) -> int:
    """The bin of *seconds*; what is shorter or longer than all of them falls into the outermost."""
    if seconds <= LOW_S:
        return 0
    return min(BINS - 1, int(math.log(seconds / LOW_S) * _PER_LOG))


def _from_survival(survival: Sequence[float]) -> Law:
    """The law whose `P(X > edge)` are *survival*, one an edge; the outermost bins take the rest."""
    inner = [1.0, *survival[1:-1], 0.0]
    return tuple(a - b for a, b in pairwise(inner))


_SLOW_BIN = bin_of(SLOW_S)
TAIL: Law = _from_survival([min(1.0, (SLOW_S / edge) ** TAIL_SHAPE) for edge in EDGES])
"""How long a request lasts that is silent at `SLOW_S`."""


def lognormal(median_s: float, p95_s: float, slow_share: float = 0.0) -> Law:
    """A law with this body, of which *slow_share* is replaced by `TAIL`.

    Raises ValueError unless 0 < *median_s* < *p95_s* and 0 <= *slow_share* < 1.
    """
    if not 0 < median_s < p95_s or not 0 <= slow_share < 1:
        raise ValueError(f"no law has median {median_s}, p95 {p95_s}, slow share {slow_share}")
    scale = math.log(p95_s / median_s) / 1.6449 * math.sqrt(2)
    body = _from_survival([0.5 * math.erfc(math.log(edge / median_s) / scale) for edge in EDGES])
    return tuple((1 - slow_share) * b + slow_share * t for b, t in zip(body, TAIL, strict=True))


class Histogram:
    """Decayed counts over logarithmic bins, upon *n0* pseudo-observations of the law *prior*.

    *costs*: what a duration in each bin costs; `cost` is its mean, at the price of one division.
    Times are monotonic seconds and may repeat, but not go back.
    """

    __slots__ = (
        "_cost",
        "_costs",
        "_counts",
        "_epoch",
        "_mass",
        "_n0",
        "_prior",
        "_prior_cost",
        "_tau",
    )

    def __init__(
        self, prior: Law, *, n0: float, tau_s: float, costs: Sequence[float] = MIDDLES
    ) -> None:
        self._prior, self._n0, self._tau, self._costs = prior, n0, tau_s, costs
        self._prior_cost = n0 * sum(map(float.__mul__, prior, costs))
        self._counts = [0.0] * BINS
        self._mass = self._cost = 0.0
        self._epoch = -math.inf

    def add(self, seconds: float, now: float, count: float = 1.0) -> None:
        """*count* observations of *seconds*."""
        place, weight = bin_of(seconds), count * self._weight(now)
        self._counts[place] += weight
        self._mass += weight
        self._cost += weight * self._costs[place]

    def add_slow(self, now: float) -> None:
        """Something is silent at `SLOW_S`."""
        self._spread(TAIL, now)

    def add_censored(self, seconds: float, now: float) -> float:
        """Something was cancelled after *seconds*, before it came; how likely it was slow."""
        law = self.law(now)
        first = bin_of(seconds) + 1
        beyond = sum(law[first:])
        if seconds >= SLOW_S or beyond <= 0.0:
            self.add_slow(now)
            return 1.0
        self._spread([0.0] * first + [share / beyond for share in law[first:]], now)
        return min(1.0, sum(law[_SLOW_BIN:]) / beyond)

    def cost(self, now: float) -> float:
        """The mean of *costs*."""
        weight = self._weight(now)
        return (self._cost + self._prior_cost * weight) / (self._mass + self._n0 * weight)

    def law(self, now: float) -> Law:
        """The share of each bin, now."""
        prior = self._n0 * self._weight(now)
        total = self._mass + prior
        return tuple(
            (c + prior * p) / total for c, p in zip(self._counts, self._prior, strict=True)
        )

    def quantile(self, q: float, now: float) -> float:
        """The duration that a share *q* does not exceed, interpolated within its bin."""
        return quantile(self.law(now), q)

    def _spread(self, law: Sequence[float], now: float) -> None:
        weight = self._weight(now)
        for place, share in enumerate(law):
            self._counts[place] += weight * share
        self._mass += weight
        self._cost += weight * sum(map(float.__mul__, law, self._costs))

    def _weight(self, now: float) -> float:
        """What an observation made now weighs."""
        age = (now - self._epoch) / self._tau
        if age > _RENEW_TAUS:
            fade = math.exp(-age)
            self._counts = [count * fade for count in self._counts]
            self._mass *= fade
            self._cost *= fade
            self._epoch, age = now, 0.0
        return math.exp(age)


def quantile(law: Law, q: float) -> float:
    """The duration that a share *q* of *law* does not exceed; at most `HIGH_S`."""
    below = 0.0
    for place, share in enumerate(law):
        if below + share >= q and share > 0.0:
            return EDGES[place] * math.exp((q - below) / share / _PER_LOG)
        below += share
    return HIGH_S


def survival(law: Law, times: Sequence[float]) -> list[float]:
    """`P(X > t)` for each of *times*, which rise."""
    above = [0.0] * (BINS + 1)
    for place in range(BINS - 1, -1, -1):
        above[place] = above[place + 1] + law[place]
    found = []
    for t in times:
        place = bisect_right(EDGES, t) - 1
        if place < 0:
            found.append(1.0)
        elif place >= BINS:
            found.append(0.0)
        else:
            inside = (t - EDGES[place]) / (EDGES[place + 1] - EDGES[place])
            found.append(above[place] - inside * law[place])
    return found


class Rate:
    """The decayed share of hits, upon *n0* pseudo-observations of *prior*."""

    __slots__ = ("_at", "_hits", "_n", "_n0", "_prior", "_tau")

    def __init__(self, prior: float, *, n0: float, tau_s: float) -> None:
        self._prior, self._n0, self._tau = prior, n0, tau_s
        self._hits = self._n = 0.0
        self._at = -math.inf

    def add(self, hit: float, now: float, count: float = 1.0) -> None:
        """*count* observations, of which *hit* are hits."""
        fade = math.exp((self._at - now) / self._tau)
        self._hits = self._hits * fade + hit
        self._n = self._n * fade + count
        self._at = now

    def share(self, now: float) -> float:
        """The expected share, now."""
        fade = math.exp((self._at - now) / self._tau)
        hits, n = self._hits * fade, self._n * fade
        return (hits + self._prior * self._n0) / (n + self._n0)

    def forget(self) -> None:
        """Know nothing again."""
        self._hits = self._n = 0.0
