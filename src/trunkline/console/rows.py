"""Where the picture of a call is cut into rows: in a pause, as a typesetter breaks lines.

Of all ways to cut, the one is taken whose sum of penalties is the lowest (dynamic programming over
the pauses, as in D. E. Knuth and M. F. Plass, Breaking Paragraphs into Lines, 1981): a cut before
a new turn is free, one between sentences costs little, one inside a sentence, a word or a
measured wait costs much; short rows cost something, and every row does.
"""

import re
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from itertools import pairwise

from trunkline.console.picture import CallPicture, Said

ROW_S_MAX = 20.0
_SHORTEST_S = 3.0
_LEAD_S = 0.35
"""A row begins this much before its first word, if the pause is long enough."""
_GRID_S = 1.0  # where nothing is said, or everybody talks without a pause
_ROW, _RAGGED, _SENTENCE, _INSIDE, _WAIT, _WORD = 0.5, 2.0, 0.6, 3.0, 2.0, 5.0
_SENTENCE_ENDS = re.compile(r"[.!?。！？][\"'”’)]*$")


def row_starts(picture: CallPicture) -> list[float]:
    """Where each row begins, in seconds; the first at 0, none longer than `ROW_S_MAX`."""
    if picture.duration_s <= ROW_S_MAX:
        return [0.0]
    cuts = _Cuts(picture)
    at = [0.0, *cuts.candidates(), picture.duration_s]
    cost, before = [0.0], [0]
    for n in range(1, len(at)):
        last = n == len(at) - 1
        # The first cut from which a row reaches here; the grid sees to it that there is one.
        first = bisect_left(at, at[n] - ROW_S_MAX + 0.25, 0, n - 1)
        best = min(range(first, n), key=lambda i: cost[i] + _length_cost(at[n] - at[i], last=last))
        before.append(best)
        here = 0.0 if last else cuts.penalty(at[n])
        cost.append(cost[best] + _length_cost(at[n] - at[best], last=last) + here + _ROW)
    starts, n = [], len(at) - 1
    while n > 0:
        n = before[n]
        starts.append(at[n])
    return starts[::-1]


def _length_cost(length_s: float, *, last: bool) -> float:
    if length_s < _SHORTEST_S:
        return 4.0
    return 0.0 if last else _RAGGED * ((ROW_S_MAX - length_s) / ROW_S_MAX) ** 2


class _Cuts:
    """What it costs to cut at a time."""

    def __init__(self, picture: CallPicture) -> None:
        said = [(said, "caller") for said in picture.caller_said]
        said += [(said, "agent") for said in picture.agent_said]
        self._said = sorted(said, key=lambda one: one[0].start_s)
        self._starts = [one.start_s for one, _ in self._said]
        self._duration_s = picture.duration_s
        # The end of the latest word that began so far: people talk over each other.
        self._ends: list[float] = []
        for one, _ in self._said:
            self._ends.append(max(one.end_s, self._ends[-1] if self._ends else 0.0))
        waits = [
            (turn.end_of_speech_s, turn.end_of_speech_s + (turn.audio_s or 0.0))
            for turn in picture.turns
        ]
        waits += [(a.at_s, b.at_s) for a, b in pairwise(picture.moments)]
        self._waits = [(a, b) for a, b in waits if b - a < ROW_S_MAX / 2]

    def candidates(self) -> Iterator[float]:
        """Times at which a row may begin, in order."""
        grid = {n * _GRID_S for n in range(1, int(self._duration_s / _GRID_S) + 1)}
        for ends_s, starts_s in zip(self._ends, self._starts[1:], strict=False):
            if starts_s >= ends_s:
                grid.add(starts_s - min(_LEAD_S, (starts_s - ends_s) / 2))
        yield from sorted(at for at in grid if 0 < at < self._duration_s)

    def penalty(self, at_s: float) -> float:
        """From 0: nobody would notice."""
        n = bisect_right(self._starts, at_s)
        waiting = _WAIT * any(a < at_s < b for a, b in self._waits)
        if n == 0 or n == len(self._said):
            return waiting
        if at_s < self._ends[n - 1]:
            return _WORD + waiting
        (last, who), (following, next_who) = self._said[n - 1], self._said[n]
        if who == next_who:
            return waiting + self._within(last, following, who)
        return waiting + (_SENTENCE if next_who == "agent" else 0.0)

    @staticmethod
    def _within(last: Said, following: Said, who: str) -> float:
        if who == "agent":
            return _SENTENCE if _SENTENCE_ENDS.search(last.text.strip()) else _INSIDE
        return _SENTENCE if following.start_s - last.end_s > 1.0 else _INSIDE
