"""Who is let in: as many calls as a worker can carry, those that are up before those that are not.

Admission is decided once, at the webhook, which promises a stream. Two kinds of streams are taken
beyond the limit, up to `RESERVE` times of it: those that were promised, and those that go on with
a call that broke off, because the callers of a worker that died have nowhere else to go.
"""

from collections import deque
from collections.abc import Callable
from typing import Final

RESERVE: Final = 2
"""Times the limit: as many again as one worker of two may leave behind."""
PROMISE_S: Final = 3.0
"""From our answer to the stream that it asks for: its place is kept for so long."""


class Admission:
    """Counts streams against *calls_max*. Times are monotonic seconds."""

    def __init__(self, calls_max: int) -> None:
        self._calls_max = calls_max
        self._promised: deque[float] = deque()
        self.streams = 0
        """Streams that are open, those that have not started yet included."""
        self.measured: Callable[[], bool] = _always
        """Whether the worker has room by what it measures; where a parent places, it asks."""

    def has_room(self, now: float, *, counts_promises: bool = True) -> bool:
        """Whether a new call may begin.

        *counts_promises* false: the streams that were promised may open at another worker, and
        whoever places them counts them.
        """
        while self._promised and self._promised[0] <= now:
            self._promised.popleft()
        coming = len(self._promised) if counts_promises else 0
        return self.streams + coming < self._calls_max and self.measured()

    @property
    def full(self) -> bool:
        """Whether nothing at all can be taken."""
        return self.streams >= RESERVE * self._calls_max

    def promise(self, now: float) -> None:
        """A stream was asked for: keep a place for it."""
        self._promised.append(now + PROMISE_S)

    def keep(self) -> None:
        """A stream that was promised is here (the oldest promise: they are alike)."""
        if self._promised:
            self._promised.popleft()


def _always() -> bool:
    return True
