"""One utterance, as the rules read it: atoms, runs, and a line of normal text to match against."""

import re
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

from trunkline.privacy.numerals import Atom, Run, atoms, runs
from trunkline.privacy.spans import Kind, Span

RULES_VERSION: Final = "1"
"""Raised with each change that finds something else: it is journaled with every redaction."""
UTTERANCE_CHARS_MAX: Final = 20_000
"""Half an hour of speech without a pause. More is cut into pieces by whoever hands it over."""


@dataclass(frozen=True, slots=True)
class Match:
    """Atoms `first:last` match, at *groups* of the pattern (atom ranges, None: not in it)."""

    first: int
    last: int
    groups: tuple[tuple[int, int] | None, ...]


class Utterance:
    """*text*, read once. *line*: its atoms in normal form ("march 3th 19 82"), a blank between."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.atoms: list[Atom] = atoms(text)
        self.runs: list[Run] = runs(self.atoms)
        self._starts: list[int] = []
        pieces, at = [], 0
        for atom in self.atoms:
            piece = f"{atom.text}th" if atom.shape == "ordinal" else atom.text
            self._starts.append(at)
            pieces.append(piece)
            at += len(piece) + 1
        self.line = " ".join(pieces)

    def matches(self, pattern: re.Pattern[str]) -> Iterator[Match]:
        """Where *pattern* matches the line, as atoms."""
        for found in pattern.finditer(self.line):
            groups = tuple(
                None
                if found.start(i) < 0 or found.start(i) == found.end(i)
                else self._range(*found.span(i))
                for i in range(1, (pattern.groups or 0) + 1)
            )
            yield Match(*self._range(*found.span()), groups)

    def next(self, pattern: re.Pattern[str], at: int) -> int | None:
        """Behind the atoms that match *pattern*, which begins with the blank before atom *at*."""
        if at >= len(self.atoms):
            return None
        found = pattern.match(self.line, self._starts[at] - 1)
        return None if found is None else self._range(*found.span())[1]

    def _range(self, start: int, end: int) -> tuple[int, int]:
        return bisect_right(self._starts, start) - 1, bisect_right(
            self._starts, max(end - 1, start)
        )

    def span(self, first: int, last: int, kind: Kind, rule: str, value: str = "") -> Span:
        """Atoms `first:last` as a span of *kind*, without marks at its ends."""
        while last > first + 1 and self.atoms[last - 1].shape == "mark":
            last -= 1
        while (
            first < last - 1 and self.atoms[first].shape == "mark" and self.atoms[first].text != "+"
        ):
            first += 1
        said = self.atoms[first:last]
        value = value or " ".join(atom.text for atom in said if atom.shape != "mark")
        return Span(said[0].start, said[-1].end, kind, value, f"{rule}/{RULES_VERSION}")

    def while_true(self, first: int, most: int, wanted: Callable[[int], bool]) -> int:
        """The atom behind the row from *first* of at most *most* atoms that are all *wanted*."""
        last = first
        while last < min(len(self.atoms), first + most) and wanted(last):
            last += 1
        return last

    def word(self, at: int) -> str:
        """The text of atom *at*; empty outside."""
        return self.atoms[at].text if 0 <= at < len(self.atoms) else ""
