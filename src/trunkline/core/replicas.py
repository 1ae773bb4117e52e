"""Which replica of one self-hosted model gets a request, and how many it may have at a time.

Rules
 1. Of two replicas drawn at random the less loaded gets the request (M. Mitzenmacher, "The power
    of two choices in randomized load balancing", IEEE TPDS 12(10), 2001). Not the least loaded of
    all: every worker would send there at once, until the next figures come.
 2. Load is what is under way, from here and (by the replica's own figures) from others, and
    `QUEUED` times what waits in its queue, as a share of its limit. Figures count for `FRESH_S`.
 3. Its limit is adaptive: one more when it is half used and answers as fast as it does unloaded,
    times `BACKOFF` when it answers slowly, or fails (additive increase, multiplicative decrease:
    D. Chiu and R. Jain, Computer Networks and ISDN Systems 17(1), 1989; as a limit on requests in
    flight: Netflix's concurrency-limits, its README read November 2026). Slow is `SLOW` times its
    own unloaded time to first token, which is learnt: quickly downwards, slowly upwards.
 4. One that cannot be reached, or fails twice in a row, is left out for `EJECT_S`, doubled each
    time up to `EJECT_MAX_S`; then one request tries it. Pushback leaves it out for the time it
    asks for. The last one is never left out: if all are, the one whose time ends first is asked.
 5. If all that are well are at their limits there is no replica: that is pushback, and another
    endpoint of the route is asked. To queue here would be silence on somebody's line.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

LIMIT, LIMIT_MIN, LIMIT_MAX = 16.0, 2.0, 256.0
BACKOFF = 0.9
SLOW, SLOW_S, GIVEN_S = 2.0, 0.2, 1.0
FASTER, SLOWER = 0.3, 0.01
STEP_S = 1.0
FRESH_S = 6.0
QUEUED = 2.0
FAILURES = 2
EJECT_S, EJECT_MAX_S = 5.0, 60.0
PUSHBACK_S, PUSHBACK_MAX_S = 1.0, 30.0


@dataclass(slots=True)
class Replica:
    """What is known of one. Times are monotonic seconds."""

    in_flight: int = 0
    limit: float = LIMIT
    unloaded_s: float | None = None  # its time to first token when nothing waits
    others: int = 0  # requests under way that are not from here, by its own figures
    waiting: int = 0
    told_at: float = float("-inf")
    limited_at: float = float("-inf")  # when its limit was last lowered
    failures: int = 0
    out_until: float = float("-inf")
    out_s: float = 0.0  # how long it was left out the last time; 0: it is well

    def load(self, now: float) -> float:
        """Rule 2."""
        fresh = now - self.told_at <= FRESH_S
        told = self.others + QUEUED * self.waiting if fresh else 0.0
        return (self.in_flight + told) / self.limit

    @property
    def slow_s(self) -> float:
        """A first token that comes later is slow."""
        if self.unloaded_s is None:
            return GIVEN_S
        return max(SLOW * self.unloaded_s, self.unloaded_s + SLOW_S)

    def has_room(self, now: float) -> bool:
        """Whether it may get a request; one that was left out gets one to try."""
        return now >= self.out_until and self.in_flight < (1 if self.out_s else self.limit)


class Replicas:
    """The replicas of one endpoint, by number."""

    def __init__(self, count: int) -> None:
        self.known = tuple(Replica() for _ in range(count))

    def pick(
        self, draws: tuple[float, float], now: float, without: Collection[int] = ()
    ) -> int | None:
        """The replica for a request, none of those it was refused by; *draws* in [0, 1)."""
        left = [at for at in range(len(self.known)) if at not in without]
        room = [at for at in left if self.known[at].has_room(now)]
        if room:
            return self._better_of_two(room, draws, now)
        if left and all(now < it.out_until for it in self.known):
            return min(left, key=lambda at: self.known[at].out_until)
        return None

    def _better_of_two(self, room: Sequence[int], draws: tuple[float, float], now: float) -> int:
        first = room[int(draws[0] * len(room))]
        rest = [at for at in room if at != first] or [first]
        second = rest[int(draws[1] * len(rest))]
        return min(first, second, key=lambda at: self.known[at].load(now))

    def started(self, at: int) -> None:
        """A request is sent to replica *at*; `ended` follows, whatever happens."""
        self.known[at].in_flight += 1

    def ended(self, at: int) -> None:
        """It is over, one way or the other."""
        self.known[at].in_flight -= 1

    def answered(self, at: int, first_s: float, now: float) -> None:
        """Its first token came after *first_s*: it is well, and that is how loaded it is."""
        it = self.known[at]
        it.failures, it.out_s = 0, 0.0
        if it.unloaded_s is None:
            it.unloaded_s = first_s
        if first_s > it.slow_s:
            self._lower(it, now)
        elif 2 * it.in_flight >= it.limit:
            it.limit = min(LIMIT_MAX, it.limit + 1)
        rate = FASTER if first_s < it.unloaded_s else SLOWER
        it.unloaded_s += rate * (first_s - it.unloaded_s)

    def failed(self, at: int, now: float, *, surely: bool) -> None:
        """It failed before its first token; *surely*: it cannot be reached at all."""
        it = self.known[at]
        it.failures += 1
        self._lower(it, now)
        if surely or it.failures >= FAILURES or it.out_s:
            it.out_s = min(EJECT_MAX_S, 2 * it.out_s or EJECT_S)
            it.out_until = now + it.out_s

    def abandoned(self, at: int, waited_s: float, now: float) -> None:
        """Nobody waits for its first token any more, after *waited_s*: as good as failed, if that
        is slow for it. A server that is frozen fails nobody otherwise."""
        it = self.known[at]
        if waited_s > it.slow_s:
            self.failed(at, now, surely=False)

    def pushed_back(self, at: int, now: float, pause_s: float | None) -> None:
        """It asks to be left alone for *pause_s* (None: it does not say)."""
        it = self.known[at]
        self._lower(it, now)
        pause_s = min(PUSHBACK_S if pause_s is None else pause_s, PUSHBACK_MAX_S)
        it.out_until = max(it.out_until, now + pause_s)

    def told(self, at: int, running: int, waiting: int, now: float) -> None:
        """Its own figures: requests under way, ours included, and waiting."""
        it = self.known[at]
        it.others, it.waiting, it.told_at = max(0, running - it.in_flight), waiting, now

    def _lower(self, it: Replica, now: float) -> None:
        """Once in `STEP_S`: requests of one moment are one piece of evidence."""
        if now >= it.limited_at + STEP_S:
            it.limit, it.limited_at = max(LIMIT_MIN, it.limit * BACKOFF), now
