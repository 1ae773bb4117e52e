"""The course of one simulated attempt, in closed form: when which word comes, and how it ends.

Word *k* of an attempt (from 0) comes at `first + k * gap`; from word *bend* on, a pause of *extra*
seconds later (for good: infinity), or, if it drips, one every *extra* seconds. It is the course
that `trunkline.testing.faults.course` plays step by step on sockets, without its steps.

Words between two sentence ends are not events. The machine of the core sees of them only when the
last one came, and only when it looks: at its deadlines, and when something else happens. So they
are handed over then (`due`), in one piece, at the time of the last of them. What the machine
decides is the same as if every word had been an event.
"""

import math
from collections.abc import Mapping

from trunkline.core.attempt_words import Ended, Fact, Failed, Kind, Text, ToolPart
from trunkline.errors import Fault
from trunkline.testing.faults import FaultKind, FaultScript
from trunkline.testing.simulation.answers import Answer
from trunkline.testing.simulation.draws import TOKENS_PER_WORD, Drawn, Trouble
from trunkline.types import ToolCallDelta

TOOL_WORDS = 6
"""A tool call comes in so many pieces."""
_STRAIGHT = 1 << 30


class Lane:
    """One attempt on *endpoint*, launched at *launched*; says *answer* from sentence *sentence*.

    *fed*: words that the machine was told of; *running*: neither ended, failed nor cancelled.
    """

    __slots__ = (
        "answer",
        "bend",
        "drip",
        "endpoint",
        "extra",
        "fault",
        "fed",
        "first",
        "gap",
        "kind",
        "launched",
        "number",
        "reason",
        "running",
        "suspected",
        "tool",
        "until",
        "word0",
        "words",
    )

    def __init__(
        self, number: int, endpoint: int, kind: Kind, answer: Answer, sentence: int, tool: bool
    ) -> None:
        self.number, self.endpoint, self.kind, self.answer = number, endpoint, kind, answer
        self.tool = tool
        self.word0 = 0 if tool else answer.starts[sentence]
        self.words = TOOL_WORDS if tool else answer.starts[-1] - self.word0
        self.running = True
        self.suspected: Fault | None = None
        self.fed = 0
        self.launched = self.first = self.gap = self.extra = 0.0
        self.drip, self.bend = False, _STRAIGHT
        self.until = self.words
        self.reason = "tool_calls" if tool else "stop"
        self.fault: Fault | None = None

    def draw(self, drawn: Drawn, lot: int, now: float) -> None:
        """Let it run its course from *now* on, by draw number *lot*."""
        self.launched = now
        self.first = now + drawn.first_s[lot]
        self.gap = drawn.gap_s[lot]
        trouble = drawn.trouble[lot]
        if trouble == Trouble.NONE:
            return
        at = 1 + int(drawn.place[lot] * max(self.words - 1, 0))
        if trouble == Trouble.ERROR:
            self._fail(0, Fault.UNAVAILABLE)
            self.first = now + drawn.error_after_s
        elif trouble == Trouble.HANG:
            self.first = math.inf
        elif trouble == Trouble.CUT:
            self._fail(at, Fault.CUT)
        else:
            self.bend, self.extra = at, drawn.amount_s[lot]
            self.drip = trouble == Trouble.DRIP

    def suffer(self, script: FaultScript) -> None:
        """Let *script* befall it instead of what was drawn."""
        self.bend, self.extra, self.drip, self.until = _STRAIGHT, 0.0, False, self.words
        self.fault = None
        hold_s = math.inf if script.hold_s is None else script.hold_s
        at = self._place(script)
        if (fault := ENDS.get(script.kind)) is not None:
            self._fail(at, fault)
            return
        match script.kind:
            case FaultKind.HANG | FaultKind.HEADERS_ONLY | FaultKind.KEEPALIVES:
                self.first += hold_s
            case FaultKind.STALL | FaultKind.FREEZE:
                self.bend, self.extra = at, hold_s
                if at == 0:
                    self.first, self.bend = self.first + hold_s, _STRAIGHT
            case FaultKind.DRIP:
                self.bend, self.extra, self.drip = max(at, 1), script.gap_s, True
                self.first = self.first if at else self.launched + script.gap_s
            case FaultKind.EMPTY:
                self.words = self.until = 0
                self.reason = "stop"
            case FaultKind.CONTENT_FILTER:
                self.words = self.until = min(at, self.words)
                self.reason = "content_filter"
            case FaultKind.REFUSE:
                self._fail(0, Fault.UNREACHABLE)
                self.first = self.launched
            case FaultKind.STATUS:
                self._fail(0, fault_of_status(script.status))
            case _:
                pass  # one of `ENDS`

    def _place(self, script: FaultScript) -> int:
        if script.after_s is not None:
            return min(int(script.after_s / self.gap) + 1, self.words) if self.gap else 0
        return min(math.ceil(script.after_tokens / TOKENS_PER_WORD), self.words)

    def _fail(self, at: int, fault: Fault) -> None:
        self.until, self.fault = min(at, self.words), fault

    def at(self, word: int) -> float:
        """When word number *word* comes (number *until*: when the attempt ends)."""
        if word < self.bend:
            return self.first + word * self.gap
        if self.drip:
            return self.first + (self.bend - 1) * self.gap + (word - self.bend + 1) * self.extra
        return self.first + word * self.gap + self.extra

    def mark(self) -> int:
        """The next word whose coming is an event: the first, that after a sentence, the end."""
        fed, until = self.fed, self.until
        if fed == 0 or self.tool:
            return 0 if fed == 0 else until
        word0 = self.word0
        for start in self.answer.starts:
            if start - word0 >= fed:
                return min(start - word0, until)
        return until

    def due(self, now: float) -> int:
        """How many words have come by *now*."""
        count = self.fed
        while count < self.until and self.at(count) <= now:
            count += 1
        return count

    def take(self, count: int) -> Fact:
        """The words up to number *count*, as a fact; there must be some."""
        fed, self.fed = self.fed, count
        if self.tool:
            tool, size = self.answer.tool, -(-len(self.answer.tool.arguments) // TOOL_WORDS)
            piece = tool.arguments[fed * size : count * size]
            name, id_ = (tool.name, f"call-{self.number}") if fed == 0 else ("", "")
            return ToolPart(self.number, ToolCallDelta(0, id_, name, piece))
        ends, word0 = self.answer.ends, self.word0
        begin = ends[word0 + fed - 1] if fed else (ends[word0 - 1] + 1 if word0 else 0)
        return Text(self.number, self.answer.text[begin : ends[word0 + count - 1]])

    def end(self) -> Fact:
        """How it ends, as a fact."""
        self.running = False
        if self.fault is not None:
            return Failed(self.number, self.fault, "simulated")
        return Ended(self.number, self.reason)


ENDS: Mapping[FaultKind, Fault] = {
    FaultKind.CUT: Fault.CUT,
    FaultKind.TRUNCATE: Fault.CUT,
    FaultKind.MALFORMED: Fault.MALFORMED,
    FaultKind.ERROR_INSIDE: Fault.UNAVAILABLE,
}
"""Faults that end an attempt behind what it has said."""
_STATUS = {429: Fault.THROTTLED, 408: Fault.UNAVAILABLE}


def fault_of_status(status: int) -> Fault:
    """What an HTTP status is to us."""
    return _STATUS.get(status, Fault.REFUSED if status < 500 else Fault.UNAVAILABLE)
