"""Is it us? A watch over this process, so that what it did is not charged to a provider.

A timer of 5 ms sees how late the event loop runs it: whatever came in meanwhile was stamped late by
as much. Once a second it takes the share of a core that this process used: close to one, and
everything that it stamps is late.

What counts is a stall at the moment of a stamp, not one somewhere in a turn: long turns meet more
stalls, and to leave them out for that would flatter whoever is slow.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import Sequence

Stretches = Sequence[tuple[float, float]] | deque[tuple[float, float]]

STEP_S = 0.005
LAG_S = 0.005
"""A stall of the loop from which on a stamp is not to be trusted."""
SEND_LAG_S = 0.005
"""A request that left later than this after its time is flagged, too."""
CPU_SHARE = 0.9
_KEPT = 20_000  # as many stalls as four minutes of nothing else: such a run is void anyway


class Sentinel:
    """Run it in the loop that measures; ask `flags` about moments soon after them."""

    def __init__(self) -> None:
        self._lags: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._busy: deque[tuple[float, float]] = deque(maxlen=_KEPT)
        self._due = math.inf
        self.worst_s = 0.0

    async def run(self) -> None:
        """Watch, until cancelled."""
        clock = asyncio.get_running_loop().time
        second, used = clock(), time.process_time()
        while True:
            self._due = clock() + STEP_S
            await asyncio.sleep(STEP_S)
            now = clock()
            if now - self._due > LAG_S:
                self._lags.append((self._due, now))
                self.worst_s = max(self.worst_s, now - self._due)
            if now - second >= 1:
                used_now = time.process_time()
                if (used_now - used) / (now - second) > CPU_SHARE:
                    self._busy.append((second, now))
                second, used = now, used_now

    def flags(self, *moments: float) -> tuple[str, ...]:
        """What was wrong on our side at any of *moments* (times of the loop)."""
        now = asyncio.get_running_loop().time()
        # The timer itself may be among those that wait: then the stall is not in the books yet.
        waiting = [(self._due, now)] if now - self._due > LAG_S else []
        found = []
        if any(_within(it, self._lags) or _within(it, waiting) for it in moments):
            found.append("loop_lag")
        if any(_within(it, self._busy) for it in moments):
            found.append("cpu")
        return tuple(found)


def _within(moment: float, stretches: Stretches) -> bool:
    """Whether it fell into one of *stretches*, or the step that the timer took right behind one."""
    for began, ended in reversed(stretches):
        if ended + STEP_S < moment:
            return False  # they are in order
        if began <= moment:
            return True
    return False
