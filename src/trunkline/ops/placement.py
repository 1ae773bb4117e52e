"""Which worker gets the next connection: decided by what workers measured of themselves.

Rules
 1. A worker has room while its calls, its share of a core and the lateness of its pacer are all
    below their limits, and its last report is fresh. The one with the most room is given the
    connection.
 2. What was given but cannot be in a report yet counts as a call: a burst must not all go to the
    worker that was idle a moment ago.
 3. When none has room, the least loaded gets the connection all the same, to take no *new* call
    from it: it can answer with a sentence, and it alone knows whether the request belongs to a
    call that is up or just over.
 4. Workers that drain come last: only when no other worker is there.
 5. When no worker can answer at all, the connection is refused here, with a sentence.

Wart: a connection is placed before it says what it wants, so a webhook counts as a call for
`settle_s`. That is a call that begins, most of the time.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, assert_never

from trunkline.types import Mono


@dataclass(frozen=True, slots=True)
class Load:
    """What a worker measured of itself: *calls* that are up, of *calls_max* at most; *late_p99_s*
    of its pacer's ticks; *cpu*, its share of one core."""

    calls: int
    calls_max: int
    late_p99_s: float = 0.0
    cpu: float = 0.0


@dataclass(frozen=True, slots=True)
class PlacementPolicy:
    """Limits. *late_max_s*: less than half of what the carrier holds ahead, so that nobody hears
    it; *report_max_s*: an older report says that the worker hangs; *settle_s*: until what was given
    is in a report; *cpu_per_call*: a call's share of a core until it is measured, and
    *cpu_per_call_max*: the most that is believed, because the first calls pay for what all share.
    """

    cpu_max: float = 0.85
    late_max_s: float = 0.05
    report_max_s: float = 1.0
    settle_s: float = 0.3
    cpu_per_call: float = 0.01
    cpu_per_call_max: float = 0.05


@dataclass(frozen=True, slots=True)
class WorkerUp:
    """*worker* can take connections."""

    worker: str
    load: Load


@dataclass(frozen=True, slots=True)
class WorkerReport:
    """*worker* measured its load."""

    worker: str
    load: Load


@dataclass(frozen=True, slots=True)
class WorkerDraining:
    """*worker* takes no new calls."""

    worker: str


@dataclass(frozen=True, slots=True)
class WorkerDown:
    """*worker* is gone."""

    worker: str


@dataclass(frozen=True, slots=True)
class Connection:
    """Somebody connected."""

    number: int


Fact = WorkerUp | WorkerReport | WorkerDraining | WorkerDown | Connection


@dataclass(frozen=True, slots=True)
class Give:
    """Hand the connection to *worker*; *admits* false: it may begin no call on it."""

    connection: int
    worker: str
    admits: bool = True


@dataclass(frozen=True, slots=True)
class RefuseBusy:
    """Answer the connection with the busy sentence: no worker can."""

    connection: int


Act = Give | RefuseBusy

_NO_ROOM: Final = 0.0


@dataclass(slots=True)
class _Worker:
    load: Load
    reported: Mono
    draining: bool = False
    given: deque[Mono] = field(default_factory=deque)


class Placement:
    """The machine; it knows only workers that are up."""

    def __init__(self, policy: PlacementPolicy) -> None:
        self._policy = policy
        self._workers: dict[str, _Worker] = {}

    def deadline(self) -> Mono | None:
        """Nothing happens by time alone."""
        return None

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; a fact about a worker that is not up changes nothing."""
        match fact:
            case WorkerUp(name, load):
                self._workers[name] = _Worker(load, now)
            case WorkerReport(name, load):
                if (worker := self._workers.get(name)) is not None:
                    worker.load, worker.reported = load, now
            case WorkerDraining(name):
                if (worker := self._workers.get(name)) is not None:
                    worker.draining = True
            case WorkerDown(name):
                self._workers.pop(name, None)
            case Connection(number):
                return [self._place(number, now)]
            case _:
                assert_never(fact)
        return []

    def _place(self, number: int, now: Mono) -> Act:
        fresh = {
            name: worker
            for name, worker in self._workers.items()
            if now - worker.reported <= self._policy.report_max_s
        }
        rooms = {n: self._room(w, now) for n, w in fresh.items() if not w.draining}
        best = max(rooms, key=lambda name: rooms[name], default=None)
        if best is not None and rooms[best] > _NO_ROOM:
            fresh[best].given.append(now)
            return Give(number, best)
        if not fresh:
            return RefuseBusy(number)
        least = min(fresh, key=lambda name: (fresh[name].draining, fresh[name].load.cpu))
        return Give(number, least, admits=False)

    def _room(self, worker: _Worker, now: Mono) -> float:
        """How many calls more *worker* can carry."""
        load, policy = worker.load, self._policy
        while worker.given and worker.given[0] <= now - policy.settle_s:
            worker.given.popleft()
        if load.late_p99_s > policy.late_max_s:
            return _NO_ROOM
        measured = load.cpu / load.calls if load.calls else 0.0
        each = min(max(measured, policy.cpu_per_call), policy.cpu_per_call_max)
        by_cpu = (policy.cpu_max - load.cpu) / each
        room = min(by_cpu, load.calls_max - load.calls) - len(worker.given)
        return room if room >= 1 else _NO_ROOM
