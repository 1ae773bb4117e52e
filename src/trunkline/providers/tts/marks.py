"""Where the words of a phrase begin in its audio, from what a synthesiser says of its characters.

Synthesisers echo the text as they got it, nearly: they add and swallow blanks, and now and then a
sign. So blanks are not compared, and a character that is not the expected one may be one of the
next few; if it is none of those, it is passed over. A word is marked where its first character is.
"""

import re
from collections.abc import Iterable

from trunkline.types import SpokenWord

_WORD = re.compile(r"\S+")
_SPEAKABLE = re.compile(r"\w")
_LOOK_AHEAD = 8  # characters that an echo may swallow at a time


class WordMarks:
    """The words of *text*, marked as its characters come."""

    def __init__(self, text: str) -> None:
        self._spans = [match.span() for match in _WORD.finditer(text)]
        self._letters = [
            (text[at], number)
            for number, (start, end) in enumerate(self._spans)
            for at in range(start, end)
        ]
        self._next = 0  # the letter that is expected
        self._marked = 0  # words up to here are marked, or were passed over
        self._at = 0
        self.speakable = _SPEAKABLE.search(text) is not None

    def place(self, characters: Iterable[tuple[str, int]]) -> tuple[SpokenWord, ...]:
        """The words that begin in *characters*, (text, sample of the phrase's audio) in order."""
        letters = ((letter, at) for text, at in characters for letter in text)
        marks = (self._letter(letter, at) for letter, at in letters if not letter.isspace())
        return tuple(mark for mark in marks if mark is not None)

    @property
    def cut_short(self) -> bool:
        """Whether some words were marked, but not the last two: the voice broke off.

        One word may go unmarked at the end; it can be a sign that is not spoken.
        """
        return 0 < self._marked < len(self._spans) - 1

    def _letter(self, letter: str, at: int) -> SpokenWord | None:
        expected = self._letters[self._next : self._next + _LOOK_AHEAD]
        found = next((n for n, (it, _) in enumerate(expected) if it == letter), None)
        if found is None:
            return None
        _, word = self._letters[self._next + found]
        self._next += found + 1
        if word < self._marked:
            return None
        self._marked = word + 1
        self._at = max(self._at, at)  # times that run backwards would take words back
        return SpokenWord(*self._spans[word], self._at)
