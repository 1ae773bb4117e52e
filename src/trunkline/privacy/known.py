"""Values that are known to be the caller's: from the customer file or from a tool's answer.

A name is found as it is, and as a recogniser may have misheard it (the same sound by a simple
phonetic key, for words that no vocabulary explains); numbers in any grouping, also their last four
digits; addresses by two of their words in a row.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Final

from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import Vocabulary

VALUES_MAX: Final = 1_000
"""Of one call: a customer's file, not the customer base."""
_TAIL_DIGITS: Final = 4
_WORDS: Final = frozenset((Kind.NAME, Kind.ADDRESS, Kind.OTHER))
_SOUNDS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        # One letter for each class of sounds that a telephone and a recogniser mix up.
        (r"^(?:kn|gn|pn)", "n"),
        (r"^wr", "r"),
        (r"^x", "s"),
        (r"^wh", "w"),
        (r"ph|v", "f"),
        (r"sch|sh|tch|ch|tio|cia", "x"),
        (r"ck|cc|q|c(?![eiy])|g(?![eiy])|k", "k"),
        (r"[cz]", "s"),
        (r"[jg]", "x"),
        (r"th|d", "t"),
        (r"b", "p"),
        (r"m", "n"),
        (r"[hw](?![aeiouy])|(?<=[aeiouy])h", ""),
    )
)


def sounds(word: str) -> str:
    """A key that words have in common which sound alike; own, in the manner of Soundex."""
    key = re.sub(r"[^a-z]", "", word.lower())
    for pattern, sound in _SOUNDS:
        key = pattern.sub(sound, key)
    head, rest = key[:1], re.sub(r"[aeiouyhw]", "", key[1:])
    head = "a" if head in "aeiouy" else head
    return re.sub(r"(.)\1+", r"\1", head + rest)


class KnownValues:
    """*values*: kind -> the values of one caller, as written, of which `VALUES_MAX` are taken."""

    def __init__(self, values: Mapping[Kind, Iterable[str]], vocabulary: Vocabulary) -> None:
        self._known = vocabulary
        self._words: dict[str, Kind] = {}
        self._sounds: dict[str, Kind] = {}
        self._numbers: dict[str, Kind] = {}
        self._pairs: set[tuple[str, str]] = set()
        for kind, value in [(k, v) for k, vs in values.items() for v in vs][:VALUES_MAX]:
            self._learn(kind, value)

    def _learn(self, kind: Kind, value: str) -> None:
        said = Utterance(value)
        words = [atom.text for atom in said.atoms if atom.shape != "mark"]
        if kind is Kind.ADDRESS:
            self._pairs.update(pairwise(words))
        elif kind in _WORDS:
            for word in words:
                if len(word) > 1:
                    self._words[word] = kind
                    self._sounds[sounds(word)] = kind
        else:
            number = "".join(atom.text for atom in said.atoms if atom.text.isalnum())
            if len(number) >= _TAIL_DIGITS:
                self._numbers[number] = kind

    def spans(self, said: Utterance) -> Iterator[Span]:
        """Where one of the values is said."""
        for run in said.runs:
            kind = self._number(run.text) or self._number(run.digits)
            if kind is not None:
                yield said.span(run.first, run.last, kind, "known.number", run.text)
        at = 0
        while at < len(said.atoms):
            found = self._word(said.word(at))
            last = at + 1
            while found is not None and self._word(said.word(last)) == found:
                last += 1  # first and last name are one span
            if found is not None:
                yield said.span(at, last, *found)
            at = last
        for at, atom in enumerate(said.atoms):
            if (atom.text, said.word(at + 1)) in self._pairs:
                yield said.span(at, at + 2, Kind.ADDRESS, "known.address")

    def _number(self, text: str) -> Kind | None:
        if len(text) < _TAIL_DIGITS:
            return None
        for number, kind in self._numbers.items():
            if number.endswith(text) or text.endswith(number):
                return kind
        return None

    def _word(self, word: str) -> tuple[Kind, str] | None:
        stem = word.removesuffix("'s")
        if stem in self._words:
            return self._words[stem], "known.word"
        key = sounds(stem)
        if len(key) > 1 and key in self._sounds and not self._known.common(stem):
            return self._sounds[key], "known.sound"
        return None
