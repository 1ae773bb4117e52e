"""Default deny: a word that is no common English and not the agent's own is taken for a name.

Without an entity model this is what protects names and places. The list has 63,000 words (SCOWL up
to size 50: see NOTICE) without those that are more often a name. A word that is both ("baker") is
*ambiguous*: personal where a cue, a capital or an unknown neighbour says so, else not.
"""

import gzip
import re
from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from typing import Final


def listed(words: str) -> frozenset[str]:
    """The set of *words*, which stand with blanks between them."""
    return frozenset(words.split())


_WORD: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*")
_TAILS: Final = ("'s", "'ll", "'ve", "'re", "'d", "'m", "n't", "s'", "'")
_FRAGMENTS: Final = frozenset(
    ("ain", "o'clock", "y'all", "ma'am", "let's", "won't", "can't", "shan't", "rock'n'roll")
)
_CONTRACTED: Final = frozenset(("i'm", "i've", "i'd", "i'll"))


@cache
def _packaged() -> tuple[frozenset[str], frozenset[str], frozenset[str]]:
    """All common words; those of them that are names too; those of these that are first names."""
    packed = files("trunkline").joinpath("privacy/data/words.txt.gz").read_bytes()
    lines = gzip.decompress(packed).decode("ascii").split()
    return (
        frozenset(line.rstrip("*!") for line in lines),
        frozenset(line[:-1] for line in lines if line.endswith(("*", "!"))),
        frozenset(line[:-1] for line in lines if line.endswith("!")),
    )


class Vocabulary:
    """Common English, and *own*: texts of the agent (practice, persona) that are no secret."""

    def __init__(self, own: Iterable[str] = ()) -> None:
        self._words, self._names, self._first = _packaged()
        self._own = frozenset(
            word.lower().replace("’", "'") for text in own for word in _WORD.findall(text)
        )

    def common(self, word: str) -> bool:
        """Whether *word* (lower case, no white space) is nothing that identifies somebody."""
        if len(word) < 2 or word in self._words or word in self._own or word in _CONTRACTED:
            return True
        if word in _FRAGMENTS:
            return True
        return any(
            word.endswith(tail) and self.common(word[: -len(tail)])
            for tail in _TAILS
            if len(word) > len(tail)
        )

    def ambiguous(self, word: str) -> bool:
        """Whether *word* is a common word and a frequent name; what is the agent's own is none."""
        stem = word.removesuffix("'s")
        return stem in self._names and stem not in self._own

    def first_name(self, word: str) -> bool:
        """Whether *word* is an ambiguous word that is rather a first name ("grace", "frank")."""
        return word.removesuffix("'s") in self._first and self.ambiguous(word)
