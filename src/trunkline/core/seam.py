"""Text that is passed on as it comes, and how another writer's text is joined on to it.

A reader of text has every character that was sent, the beginning of a sentence included. So the
seam is not where a sentence ends, as in speech (`core.splice`), but where the text broke off:

* Who continues a prefix is believed: its text follows, but for white space that is there already.
* Who is asked by a further turn writes the broken sentence again (or starts over), and the words
  that were sent are dropped by alignment: letters and digits are compared, without case, with the
  sent text from each of its sentence starts on. What fits nowhere cannot be joined on (`lost`).
* Behind whole sentences there is nothing to align: a greeting, an apology and sentences that were
  sent are dropped (`RepeatGate`) until one is new.

`Passing` is a `Phrases` whose sentences are pieces of text as it was written, white space included:
all that may be passed on at once, or what its `Hold` allows.
"""

from typing import Literal, Protocol

from typing_extensions import override

from trunkline.core.phrases import Phrases
from trunkline.core.splice import RepeatGate, opener

Hold = Literal["none", "sentence", "all"]
"""What is kept back of an answer: nothing, the sentence under way, or all until its end."""
STARTS_MAX = 60
"""Sentence starts, the last ones, at which a writer may begin again."""
OPENER_CHARS = 64
"""Text that fits nowhere may be an apology, until it is longer."""


class Joint(Protocol):
    """What of a writer's text is new to the reader."""

    @property
    def lost(self) -> bool:
        """Whether it cannot be joined on: nothing of it may be passed on."""
        ...

    @property
    def waits(self) -> bool:
        """Whether nothing new has come yet."""
        ...

    def feed(self, text: str, /) -> str:
        """The part of *text*, and of what was fed before, that may be passed on now."""
        ...

    def end(self) -> str:
        """The text is over: what else may be passed on."""
        ...


class Onward:
    """Text that follows *sent* directly; *sent* is "" where an answer begins."""

    __slots__ = ("_bare", "lost", "waits")

    def __init__(self, sent: str) -> None:
        self.lost = self.waits = False
        self._bare = sent[-1:].isspace()

    def feed(self, text: str, /) -> str:
        """All, but for white space that stands there already."""
        if self._bare:
            text = text.lstrip()
            self._bare = not text
        return text

    def end(self) -> str:
        """Nothing was kept back."""
        return ""


class Again:
    """Text of a writer that was asked for the rest of *sent*, and may write parts of it again."""

    __slots__ = ("_gate", "_opener", "_phrases", "_sent", "_starts", "_text", "lost", "waits")

    def __init__(self, sent: str, language: str) -> None:
        self.lost, self.waits = False, True
        self._sent, self._text = sent, ""
        said, fragment = sentences(sent)
        self._opener = opener(language)
        self._gate = None if fragment else RepeatGate(said, language)
        self._phrases = Phrases()
        places, at = [], 0
        for sentence in said:
            at = sent.index(sentence, at)
            places.append(at)
            at += len(sentence)
        if fragment:
            places.append(sent.index(fragment, at))
        self._starts = [_letters(sent[place:])[0] for place in places[-STARTS_MAX:]]

    def feed(self, text: str, /) -> str:
        """What is new; nothing until that is known."""
        if not self.waits:
            return text
        self._text += text
        return self._aligned() if self._gate is None else self._ungreeted(self._gate, text)

    def end(self) -> str:
        """The rest, if it is new."""
        if not self.waits or self.lost:
            return ""
        if self._gate is None:
            rest = self._aligned(over=True)
            self.lost = self.waits
            return rest
        last = self._phrases.end()
        return self._new(self._gate, last) if last else ""

    def _ungreeted(self, gate: RepeatGate, text: str) -> str:
        """Sentences that were sent are dropped until one is new; all that follows it is."""
        for sentence in self._phrases.feed(text):
            self._text = self._text[self._text.index(sentence) + len(sentence) :]
            if new := self._new(gate, sentence):
                return new + self._text
        return ""

    def _new(self, gate: RepeatGate, sentence: str) -> str:
        new = gate.new_in(sentence)
        if not new:
            return ""
        self.waits = False
        return new if self._sent[-1:].isspace() else " " + new

    def _aligned(self, *, over: bool = False) -> str:
        """What follows the words that were sent; "" while more may be theirs (*over*: none)."""
        for text in (self._text, self._without_opener()):
            letters, places = _letters(text)
            longest = max((len(s) for s in self._starts if letters.startswith(s)), default=-1)
            waits = any(len(s) > len(letters) and s.startswith(letters) for s in self._starts)
            if waits and not over:
                return ""
            if longest < 0:
                continue
            cut = places[longest - 1] + 1 if longest else 0
            rest = _without_signs(text[cut:], self._sent)
            if not over and not any(sign.isalnum() for sign in rest) and len(letters) == longest:
                return ""  # signs may follow that stand there already
            self.waits = False
            return rest
        self.lost = not over and len(self._text) > OPENER_CHARS
        return ""

    def _without_opener(self) -> str:
        greeted = self._opener and self._opener.match(self._text)
        return self._text[greeted.end() :] if greeted else self._text


def sentences(text: str) -> tuple[list[str], str]:
    """The whole sentences of *text*, stripped, and the fragment behind them ("": none)."""
    cut = Phrases()
    whole = cut.feed(text)
    last = cut.complete_rest()
    return [*whole, last] if last else whole, cut.rest


def _letters(text: str) -> tuple[str, list[int]]:
    """The letters and digits of *text* without case, and where each stands in it."""
    found = [(low, at) for at, sign in enumerate(text) if sign.isalnum() for low in sign.casefold()]
    return "".join(low for low, _ in found), [at for _, at in found]


def _without_signs(rest: str, sent: str) -> str:
    """*rest*, which follows the last letter of *sent*, without the signs that *sent* ends in."""
    last = max((at for at, sign in enumerate(sent) if sign.isalnum()), default=-1)
    for sign in sent[last + 1 :]:
        if sign.isspace():
            rest = rest.lstrip()
        else:
            rest = rest.lstrip().removeprefix(sign) if rest.lstrip().startswith(sign) else rest
    return rest


class Passing(Phrases):
    """What may be passed on of a text that *joint* joins on.

    Nothing is given out before the first sign that is no white space. `whole` counts sentences.
    """

    __slots__ = ("_begun", "_cut", "_held", "_hold", "joint", "whole")

    def __init__(self, joint: Joint, hold: Hold) -> None:
        super().__init__()
        self._cut = Phrases()
        self.joint = joint
        self.whole = 0
        self._hold, self._begun = hold, False
        self._held = ""

    @property
    def lost(self) -> bool:
        """Whether it cannot be joined on."""
        return self.joint.lost

    @override
    def feed(self, text: str) -> list[str]:
        return self._given(self.joint.feed(text))

    @property
    @override
    def reads_complete(self) -> bool:
        return self._hold == "sentence" and self._cut.reads_complete

    @property
    @override
    def rest(self) -> str:
        """The fragment behind the last whole sentence; none, if it reads as a sentence."""
        return "" if self._hold == "none" and self._cut.reads_complete else self._cut.rest

    @override
    def complete_rest(self) -> str | None:
        return self._take() if self.reads_complete else None

    @override
    def end(self) -> str | None:
        given = self._given(self.joint.end())
        return "".join([*given, self._take() or ""]) or None

    def keep(self, piece: str) -> None:
        """*piece* is not to be passed on yet: it comes back with what follows it."""
        self._held = piece + self._held

    def _given(self, text: str) -> list[str]:
        if not text:
            return []
        done = self._cut.feed(text)
        self.whole += len(done)
        self._held += text
        self._begun = self._begun or not text.isspace()
        if not self._begun or self._hold == "all" or (self._hold == "sentence" and not done):
            return []
        cut = len(self._held)
        if self._hold == "sentence":
            at = 0
            for sentence in done:
                at = self._held.index(sentence, at) + len(sentence)
            cut = at
        piece, self._held = self._held[:cut], self._held[cut:]
        return [piece]

    def _take(self) -> str | None:
        self._cut.end()
        held, self._held = self._held, ""
        return held if held.strip() else None
