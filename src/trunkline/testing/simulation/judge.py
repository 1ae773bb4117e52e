"""What must hold of every simulated turn, whoever decides it.

One reply per turn; no content twice and none lost; tools run at most once; no attempt is left
behind; and dead air has an end. What is wrong is kept in words, with the turn's address added by
whoever reports it.
"""

from collections.abc import Sequence

from trunkline.core.attempt_words import Settle
from trunkline.core.deeds import deed_key
from trunkline.core.synthesis_words import Release
from trunkline.testing.simulation.answers import Answer
from trunkline.testing.simulation.lanes import Lane
from trunkline.types import CallId, ToolCall

WRONG_MAX = 8
"""Violations that one turn reports; one is enough to look at it."""


class Judge:
    """Watches one turn that should settle *steps* times and say *answer*."""

    __slots__ = ("_answer", "_deeds", "_said", "_settled", "_steps", "wrong")

    def __init__(self, answer: Answer, steps: int) -> None:
        self._answer, self._steps = answer, steps
        self._said = 0
        self._settled = 0
        self._deeds: set[str] = set()
        self.wrong: list[str] = []

    def committed(self, text: str) -> int:
        """How many sentences *text* has, which an attempt is asked to go on after."""
        sentences = self._answer.committed.get(len(text))
        if sentences is None:
            self.note(f"asked to go on inside a sentence: {text[-40:]!r}")
            return 0
        return sentences

    def say(self, sentence: str) -> int:
        """A sentence is given to the voice; its place in the answer, -1: it is not in it."""
        due, sentences = self._said, self._answer.sentences
        if due < len(sentences) and sentences[due] == sentence:
            self._said += 1
            return due
        try:
            place = sentences.index(sentence)
        except ValueError:
            self.note(f"not a sentence of the answer: {sentence!r}")
            return -1
        self.note(f"{'repeated' if place < due else 'left out before'}: {sentence!r}")
        self._said = max(due, place + 1)
        return place

    def hear(self, due: tuple[int, int], act: Release, text: str) -> tuple[int, int]:
        """The voice says the words of *act*, which are of *text*; *due* is the phrase, and the
        character in it, that comes next. What comes after them."""
        phrase, at = due
        if act.phrase != phrase:
            self.note(f"phrase {act.phrase} is heard where {phrase} is due")
        for word in act.words:
            begins = at + len(text[at:]) - len(text[at:].lstrip())
            if word.start != begins:
                what = "again" if word.start < begins else "and what is before it is not"
                self.note(f"{text[word.start : word.end]!r} is heard {what}")
            at = word.end
        if not act.complete:
            return phrase, at
        if text[at:].strip():
            self.note(f"never heard: {text[at:]!r}")
        return phrase + 1, 0

    def execute(self, calls: Sequence[ToolCall]) -> None:
        """The tools that a step asked for are run."""
        if len(calls) != 1:
            self.note(f"{len(calls)} tool calls instead of one")
        for call in calls:
            key = deed_key(CallId("simulated"), 0, 0, call)
            if key in self._deeds:
                self.note(f"tool {call.name} would run twice")
            self._deeds.add(key)
            if call.arguments != self._answer.tool.arguments:
                self.note(f"half a tool call: {call.arguments!r}")

    def settle(self, act: Settle, lanes: Sequence[Lane]) -> None:
        """A step is over; *lanes* are its attempts."""
        self._settled += 1
        if self._settled > self._steps:
            self.note("a second reply in one turn")
        left = [lane.number for lane in lanes if lane.running]
        if left:
            self.note(f"attempts {left} are left behind")
        last = self._settled == self._steps
        whole = self._said == len(self._answer.sentences)
        if last and act.reason == "stop" and not whole:
            missing = len(self._answer.sentences) - self._said
            self.note(f"settled as complete with {missing} sentences unsaid")

    def bounded(self, dead_s: float, max_s: float) -> None:
        """The turn is over; it was silent for *dead_s* at a time."""
        if dead_s > max_s:
            self.note(f"dead air of {dead_s:.1f} s, more than {max_s:.1f} s")

    def note(self, what: str) -> None:
        """Something is wrong."""
        if len(self.wrong) < WRONG_MAX:
            self.wrong.append(what)
