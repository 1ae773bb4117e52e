"""When an idle connection is used again, so that its server does not close it.

How long a server keeps one is not known: uvicorn, hence vLLM, closes after 5 s, many after 60 s or
more. So it is learnt: an interval after which the connection was gone is halved, one after which it
was there grows again. A caller's request does the same service.
"""

MOST_S, LEAST_S = 45.0, 4.0
_GROWTH = 1.25


class Warmth:
    """Of one endpoint. Times are monotonic seconds; *first_at*: when to connect ahead."""

    __slots__ = ("_touched_at", "interval_s")

    def __init__(self, first_at: float) -> None:
        self.interval_s = MOST_S
        self._touched_at = first_at - MOST_S

    def due(self, used_at: float) -> float:
        """When to use it next; *used_at*: when a caller last did."""
        return max(self._touched_at, used_at) + self.interval_s

    def touched(self, now: float, *, reused: bool | None) -> None:
        """It was used; *reused*: it was still there (None: the server could not be reached)."""
        self._touched_at = now
        if reused is None:
            self.interval_s = MOST_S  # whether it is back is for probes to learn
        elif reused:
            self.interval_s = min(MOST_S, self.interval_s * _GROWTH)
        else:
            self.interval_s = max(LEAST_S, self.interval_s / 2)
