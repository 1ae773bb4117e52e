"""How many lines calls need, and how many slots of a model server turns need.

Calls arrive as a Poisson stream and find a line or not: Erlang B (Erlang 1917; ITU-T E.501). Turns
wait for one of k slots: M/G/k by Allen and Cunneen's approximation (Allen, Probability, Statistics
and Queueing Theory, 1990, ch. 5), the conditional wait taken as exponential. A server that shares
its processor among requests is not k slots: a measured load curve goes before this formula.
"""

import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from trunkline.decide.figures import Array
from trunkline.errors import InputError

Enough = Callable[[Array, int, NDArray[np.intp]], NDArray[np.bool_]]
"""(blocked share, n, which loads) -> for each of them whether n is enough."""
SLOTS_MAX = 200_000
"""More is no phone system: the recursions stop there."""


def erlang_b(erlangs: float, lines: int) -> float:
    """The share of calls that find all of *lines* taken, *erlangs* being offered."""
    blocked = 1.0
    for n in range(1, lines + 1):
        blocked = erlangs * blocked / (n + erlangs * blocked)
    return blocked


def erlang_c(erlangs: float, slots: int) -> float:
    """The share of requests that have to wait for one of *slots*; 1 if they cannot keep up."""
    if slots <= erlangs:
        return 1.0
    blocked = erlang_b(erlangs, slots)
    return blocked / (1 - erlangs / slots * (1 - blocked))


def wait_s(
    erlangs: float, slots: int, service_s: float, quantile: float, scv: float = 1.0
) -> float:
    """Seconds that a share *quantile* of all requests wait at most; inf if they cannot keep up.

    *scv*: the squared coefficient of variation of the service time (1: exponential).
    """
    if slots <= erlangs:
        return math.inf
    waits = erlang_c(erlangs, slots)
    if waits <= 1 - quantile:
        return 0.0
    mean_of_waiters = service_s / (slots - erlangs) * (1 + scv) / 2
    return mean_of_waiters * math.log(waits / (1 - quantile))


def lines_for(erlangs: Array, blocking: float) -> Array:
    """Lines that keep the blocked share at *blocking* or below, for each of *erlangs*."""
    return _least(erlangs, lambda blocked, _n, _at: blocked <= blocking)


def slots_for(erlangs: Array, service_s: Array, wait_p99_s: float, scv: float = 1.0) -> Array:
    """Slots that keep the p99 wait at *wait_p99_s* or below, for each offered load."""

    def enough(blocked: Array, n: int, at: NDArray[np.intp]) -> NDArray[np.bool_]:
        load, service = erlangs[at], service_s[at]
        room = np.maximum(n - load, 1e-9)
        waits = blocked / np.maximum(1 - load / n * (1 - blocked), 1e-12)
        mean = service / room * (1 + scv) / 2
        p99 = mean * np.log(np.maximum(waits, 0.01) / 0.01)
        kept: NDArray[np.bool_] = (n > load) & (p99 <= wait_p99_s)
        return kept

    return _least(erlangs, enough)


def _least(erlangs: Array, enough: Enough) -> Array:
    """The least n >= 1 at which `enough(blocked share, n, which)` holds, for each load."""
    found = np.zeros(erlangs.shape)
    open_ = np.arange(erlangs.size)
    blocked = np.ones(erlangs.size)
    for n in range(1, SLOTS_MAX + 1):
        load = erlangs[open_]
        blocked = load * blocked / (n + load * blocked)
        done = enough(blocked, n, open_)
        found[open_[done]] = n
        open_, blocked = open_[~done], blocked[~done]
        if not open_.size:
            return found
    raise InputError(
        f"more than {SLOTS_MAX} lines at once would be needed. Look at traffic.minutes_per_month"
    )
