"""What a speaker spells and counts, as written characters that know where they came from.

"double five oh, b as in boy" is heard as words. Patterns for identifiers want `550B`, and whoever
redacts wants the words back. So a text becomes *atoms* (a number, a letter, a word, a mark, each
with its place), and neighbouring numbers and letters become *runs*. Written text passes through the
same way: "555-0123" is a run too.

English. Numbers are taken as people dictate them: "four twenty two" is 422, "nineteen eighty two"
is 1982, "one hundred and five" is 105.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Shape = Literal["digits", "ordinal", "letter", "word", "mark"]

_TOKEN: Final = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+|[^\w\s]|_")
_UNITS: Final = {
    **{"zero": 0, "oh": 0, "o": 0, "nought": 0, "naught": 0, "one": 1, "two": 2, "three": 3},
    **{"four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "niner": 9},
}
_TEENS: Final = {
    **{"ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15},
    **{"sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19},
}
_TENS: Final = {
    **{"twenty": 20, "thirty": 30, "forty": 40, "fourty": 40, "fifty": 50, "sixty": 60},
    **{"seventy": 70, "eighty": 80, "ninety": 90},
}
_SCALES: Final = {"hundred": 100, "thousand": 1_000, "million": 1_000_000, "billion": 10**9}
_ORDINALS: Final = {
    **{"first": 1, "second": 2, "third": 3, "fourth": 4, "fifth": 5, "sixth": 6, "seventh": 7},
    **{"eighth": 8, "ninth": 9, "tenth": 10, "eleventh": 11, "twelfth": 12, "thirteenth": 13},
    **{"fourteenth": 14, "fifteenth": 15, "sixteenth": 16, "seventeenth": 17, "eighteenth": 18},
    **{"nineteenth": 19, "twentieth": 20, "thirtieth": 30, "fortieth": 40, "fiftieth": 50},
}
_TIMES: Final = {"double": 2, "triple": 3, "treble": 3, "quadruple": 4}
_PLURALS: Final = {
    **{"zeros": 0, "zeroes": 0, "ohs": 0, "os": 0, "ones": 1, "twos": 2, "threes": 3, "fours": 4},
    **{"fives": 5, "sixes": 6, "sevens": 7, "eights": 8, "nines": 9},
}
_LETTER_NAMES: Final = {"zed": "z", "zee": "z", "aitch": "h", "haitch": "h"}
_NATO: Final = {
    word: word[0]
    for word in [
        "alpha",
        "alfa",
        "bravo",
        "charlie",
        "delta",
        "echo",
        "foxtrot",
        "golf",
        "hotel",
        "india",
        "juliet",
        "juliett",
        "kilo",
        "lima",
        "mike",
        "november",
        "oscar",
        "papa",
        "quebec",
        "romeo",
        "sierra",
        "tango",
        "uniform",
        "victor",
        "whiskey",
        "whisky",
        "xray",
        "yankee",
        "zulu",
    ]
}
_BEFORE_LETTER: Final = frozenset(("capital", "uppercase", "lowercase", "letter"))
_AS_IN: Final = (("as", "in"), ("for",), ("like",), ("is", "for"), ("as",))
_JOINS: Final = frozenset("-.,/()#–—")
_FILLERS: Final = frozenset(
    ("uh", "um", "er", "erm", "dash", "hyphen", "then", "space", "slash", "ah")
)
_FILLERS_MAX: Final = 3
"""Between two groups of digits; more is not hesitation but another thought."""


@dataclass(frozen=True, slots=True)
class Atom:
    """Characters `start:end`, which say *text* (lower case); *scaled*: a counted quantity."""

    start: int
    end: int
    text: str
    shape: Shape
    scaled: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """Atoms `first:last` (of all) are numbers and letters in a row; *atoms* say them."""

    first: int
    last: int
    atoms: tuple[Atom, ...]

    @property
    def start(self) -> int:
        """Its first character."""
        return self.atoms[0].start

    @property
    def end(self) -> int:
        """Behind its last character."""
        return self.atoms[-1].end

    @property
    def text(self) -> str:
        """Its digits and letters, in lower case, without what is between them."""
        return "".join(atom.text for atom in self.atoms)

    @property
    def digits(self) -> str:
        """Its digits."""
        return "".join(atom.text for atom in self.atoms if atom.shape == "digits")

    @property
    def letters(self) -> str:
        """Its letters."""
        return "".join(atom.text for atom in self.atoms if atom.shape == "letter")


def atoms(text: str) -> list[Atom]:
    """*text* as atoms, in order; what is between them is white space."""
    return list(_Folder([_token(match) for match in _TOKEN.finditer(text)]).fold())


def _token(match: re.Match[str]) -> Atom:
    said = match[0].lower().replace("’", "'")
    if said.isdigit():
        # Digits of other scripts too: `str.isdecimal` ones are read by int().
        written = "".join(str(int(char)) if char.isdecimal() else char for char in said)
        return Atom(match.start(), match.end(), written, "digits")
    shape: Shape = "word" if said[0].isalpha() else "mark"
    return Atom(match.start(), match.end(), said, shape)


class _Folder:
    """Folds tokens into atoms, from left to right."""

    def __init__(self, tokens: list[Atom]) -> None:
        self._tokens = tokens

    def fold(self) -> Iterator[Atom]:
        at = 0
        while at < len(self._tokens):
            found = self._repeated(at) or self._number(at) or self._letter(at)
            atom, used = found or (self._tokens[at], 1)
            yield atom
            at += used

    def _word(self, at: int) -> str:
        return self._tokens[at].text if 0 <= at < len(self._tokens) else ""

    def _made(self, at: int, used: int, text: str, shape: Shape, scaled: bool = False) -> Atom:
        return Atom(self._tokens[at].start, self._tokens[at + used - 1].end, text, shape, scaled)

    def _repeated(self, at: int) -> tuple[Atom, int] | None:
        """ "double five", "triple oh", "double l"; "double u" is a letter of its own."""
        what = self._word(at + 1)
        if what in _PLURALS and (count := _UNITS.get(self._word(at), 0)) > 1:
            return self._made(at, 2, str(_PLURALS[what]) * count, "digits"), 2  # "four zeros"
        times = _TIMES.get(self._word(at))
        if times is None or not what:
            return None
        if times == 2 and what in ("u", "you"):
            return self._made(at, 2, "w", "letter"), 2
        if what in _UNITS:
            return self._made(at, 2, str(_UNITS[what]) * times, "digits"), 2
        if len(what) == 1 and what.isalnum():
            return self._made(at, 2, what * times, "digits" if what.isdigit() else "letter"), 2
        return None

    def _number(self, at: int) -> tuple[Atom, int] | None:
        """A number in words, with its scale, or an ordinal."""
        small = self._below_hundred(at)
        if small is None:
            ordinal = _ORDINALS.get(self._word(at))
            if ordinal is not None:
                return self._made(at, 1, str(ordinal), "ordinal"), 1
            return self._written_ordinal(at)
        value, used, text = small
        hyphen = int(self._word(at + 1) == "-")
        last = _ORDINALS.get(self._word(at + 1 + hyphen), 99)
        if self._word(at) in _TENS and used == 1 and last < 10:
            return self._made(at, 2 + hyphen, str(value + last), "ordinal"), 2 + hyphen
        if self._word(at + used) in _SCALES and self._word(at) not in ("o", "oh"):
            value, used = self._scaled(at)
            return self._made(at, used, str(value), "digits", scaled=True), used
        return self._made(at, used, text, "digits"), used

    def _written_ordinal(self, at: int) -> tuple[Atom, int] | None:
        token = self._tokens[at]
        suffixed = token.shape == "digits" and self._word(at + 1) in ("st", "nd", "rd", "th")
        if suffixed and self._tokens[at + 1].start == token.end:
            return self._made(at, 2, token.text, "ordinal"), 2
        return None

    def _below_hundred(self, at: int) -> tuple[int, int, str] | None:
        """Value, tokens and digits of what begins at *at*; "oh five" is two of them."""
        word = self._word(at)
        if word == "o" and self._among_letters(at):
            return None
        if word in _UNITS:
            return _UNITS[word], 1, str(_UNITS[word])
        if word in _TEENS:
            return _TEENS[word], 1, str(_TEENS[word])
        if word in _TENS:
            value, hyphen = _TENS[word], self._word(at + 1) == "-"
            unit = self._word(at + 1 + hyphen)
            if _UNITS.get(unit, 0) > 0:
                return value + _UNITS[unit], 2 + hyphen, str(value + _UNITS[unit])
            return value, 1, str(value)
        return None

    def _scaled(self, at: int) -> tuple[int, int]:
        """ "two thousand and five": value and tokens."""
        total, part, here = 0, 0, at
        while True:
            word = self._word(here)
            scale, small = _SCALES.get(word), self._below_hundred(here)
            if scale == 100:
                part, here = max(part, 1) * 100, here + 1
            elif scale is not None:
                total, part, here = total + max(part, 1) * scale, 0, here + 1
            elif word == "and" and self._below_hundred(here + 1) and part % 100 == 0:
                here += 1
            elif small is not None and part % 100 == 0 and word not in ("o", "oh"):
                part, here = part + small[0], here + small[1]
            else:
                return total + part, here - at

    def _letter(self, at: int) -> tuple[Atom, int] | None:
        """One letter: "b", "b as in boy", "capital b", "zed", "bravo" beside another letter."""
        skipped = int(self._word(at) in _BEFORE_LETTER)
        word = self._word(at + skipped)
        letter = _LETTER_NAMES.get(word) or (word if len(word) == 1 and word.isalpha() else "")
        if not letter and self._is_nato(at + skipped):
            letter = _NATO[word]
        if not letter:
            return None
        used = skipped + 1
        if letter == "x" and (self._word(at + used), self._word(at + used + 1)) == ("-", "ray"):
            used += 2
        used += self._as_in(at + used, letter)
        return self._made(at, used, letter, "letter"), used

    def _among_letters(self, at: int) -> bool:
        """Whether the "o" at *at* is spelled, and no zero: letters on one side, no digits there."""
        beside = [self._word(at - 1), self._word(at + 1)]
        if "-" in beside:  # "s-m-o-k-e"
            beside = [self._word(at - 2), self._word(at + 2)]
        numbers = any((near in _UNITS and near != "o") or near.isdigit() for near in beside)
        return not numbers and any(len(near) == 1 and near.isalpha() for near in beside)

    def _as_in(self, at: int, letter: str) -> int:
        """How many tokens explain *letter*: "as in boy"; none if the word does not begin so."""
        comma = int(self._word(at) == ",")
        for words in _AS_IN:
            behind = at + comma + len(words)
            said = tuple(self._word(i) for i in range(at + comma, behind))
            if said == words and self._word(behind).startswith(letter):
                return comma + len(words) + 1
        return 0

    def _is_nato(self, at: int) -> bool:
        """Many of these are names and places: only beside another letter."""
        return self._word(at) in _NATO and any(
            near in _NATO or (len(near) == 1 and near.isalpha() and near not in ("a", "i"))
            for near in (self._word(at - 1), self._word(at + 1))
        )


def runs(found: Sequence[Atom]) -> list[Run]:
    """The numbers and letters in a row, with at most hesitation and hyphens between them."""
    made, at = [], 0
    while at < len(found):
        if found[at].shape not in ("digits", "letter"):
            at += 1
            continue
        said, last = [found[at]], at
        while (then := _next(found, last)) is not None:
            said.append(found[then])
            last = then
        run = Run(at, last + 1, tuple(said))
        made += _trimmed(run)
        at = last + 1
    return made


def _next(found: Sequence[Atom], last: int) -> int | None:
    """Where the run goes on behind atom *last*."""
    fillers = 0
    for at in range(last + 1, len(found)):
        atom = found[at]
        if atom.shape in ("digits", "letter"):
            return None if _new_thought(found, at) else at
        if not (atom.text in _JOINS or atom.text in _FILLERS):
            return None
        fillers += atom.shape == "word"
        if fillers > _FILLERS_MAX:
            return None
    return None


def _new_thought(found: Sequence[Atom], at: int) -> bool:
    """Whether letter *at* is a word ("i", "a") after digits and not part of an identifier."""
    atom = found[at]
    if atom.shape == "letter" and atom.text in ("i", "a") and atom.end - atom.start == 1:
        then = found[at + 1] if at + 1 < len(found) else None
        return then is not None and then.shape == "word" and then.text not in _FILLERS
    return False


def _trimmed(run: Run) -> list[Run]:
    """Without the "a" of "a 5 minute walk" and the "oh" of "oh, i"; none if nothing is left."""
    said, first = list(run.atoms), run.first
    while len(said) > 1 and said[0].text in ("a", "i") and said[1].shape == "digits":
        del said[0]
        first += 1
    return [Run(first, run.last, tuple(said))] if len(said) > 1 or said[0].text != "0" else []
