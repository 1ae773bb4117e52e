"""Names of people: after a cue ("my name is"), as the answer to a question, as an unknown word.

A *strong* cue takes what follows until a word that cannot be part of a name. A *weak* one ("this
is", "I'm") takes only what the vocabulary does not explain.
"""

import re
from collections.abc import Iterator
from typing import Final

from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import Vocabulary, listed

_RELATIVE: Final = (
    r"(?:daughter|son|wife|husband|mother|father|mom|mum|dad|sister|brother|partner|grandson|"
    r"fiance|"
    r"granddaughter|grandmother|grandfather|nephew|niece|aunt|uncle|cousin|friend|boss|assistant|"
    r"colleague|neighbor|neighbour|caregiver|manager|supervisor|kid|child|boy|girl|baby|spouse|"
    r"stepson|stepdaughter|roommate|landlord|doctor|dentist|client|guardian|girlfriend|boyfriend)"
)
_STRONG: Final = re.compile(
    r"(?<!\S)(?:(?:first|last|middle|maiden|family|full|given|legal|married|real|sur|my|his|"
    r"her|their|the|our)?"
    r" ?(?:name|surname)(?:'s| is| was| would be| should be| will be)(?: (?:actually|just|"
    r"spelled|also|now|it's))?"
    r"(?: ,| :)?|(?:last|first|middle|maiden) name|surname|name of|"
    r"under(?: the name(?: of)?)?|call me|goes by|go by|"
    r"named|(?:he|she|they|i)(?:'s| is|'m| am| are) called|mr(?: \.)?|mrs(?: \.)?|ms(?: \.)?|"
    r"mister|missus|"
    r"miss|dr(?: \.)?|doctor|professor|attorney|nurse|sincerely|is spelled)(?!\S)"
)
_WEAK: Final = re.compile(
    rf"(?<!\S)(?:this is|it's|it is|i'm|i am|that's|that is|(?:my|his|her|our|their|the|"
    rf"your) {_RELATIVE}(?:'s)?(?: ,| is)?|"
    r"speak (?:to|with)|talk (?:to|with)|ask for|see|seeing|patient(?: is)?|contact is|"
    r"holder is|with|for|from|hi|hello|hey|"
    r"is|and|by|name|to|thanks|behalf of)(?!\S)"
)
_LETTERED: Final = re.compile(
    r"(?<!\S)[\w'-]+ with (?:just )?(?:an? |one |two |no )(?:(?:[a-z](?: '? s)?|"
    r"[a-z]'s)(?!\S)(?: and (?:an? )?[a-z](?!\S))?)"
)
"""\"bryan with a y\", "jon with no h"."""
_BEHIND: Final = re.compile(r"(?<!\S)(?:speaking|here|calling|again)(?!\S)")
_NEVER: Final = listed(
    """
    a about actually after again all also am an and any anymore are as ask at available back be
    been before but by calling can can't card check correct could date day did do does doing
    don't done double down each email either else every fine for from get getting give go going
    good got had has have having he her here hers hi him his hold how i i'd i'll i'm i've if in
    is isn't it it's its just know last let like looking me more my name need never new next no
    nope not now number of off oh ok okay old on one only or our out over phone please probably
    really right same say she should so some sorry speaking spelled spelling still sure thank
    thanks that that's the their them then there these they this time to today tomorrow too
    trying um uh under up very wait want was wasn't we well were what what's when where which
    who whose why with wondering would yeah yep yes yet you you're your first middle full maiden
    surname call called common something maybe appointment account insurance wrong important
    private secret different long hard easy listed pronounced address er erm it'd birthday birth
    born zip code social patient doctor married mine hello hey husband wife son daughter mother
    father mom dad there's they're we're he's she's who's letter letters word capital hyphen
    dash dot space comma period apostrophe
    """
)
_REFUSES: Final = re.compile(
    r"\?|(?<!\S)(?:why|how|don't|not|can't|won't|rather|prefer|never|hold on|wait|sorry|"
    r"pardon|repeat|what)(?!\S)"
)
_NAME_ATOMS_MAX: Final = 5
_ANSWER_ATOMS_MAX: Final = 18
"""A longer answer is a story, in which names are found by their cues and as unknown words."""
_SELDOM: Final = listed("will may might in so do march april june august")
"""Words that are a name only where a name was asked for or announced."""
_TITLES: Final = listed(
    """
    mr mrs ms mister missus miss dr doctor nurse professor attorney officer captain reverend judge
    detective pastor sergeant coach madam sir lady lord
    """
)
_PARTICLES: Final = listed(
    """
    de la van von der den del di da bin al el st o mc mac le du san dos
    """
)


class Names:
    """Finds names with the help of *vocabulary*."""

    def __init__(self, vocabulary: Vocabulary, *, deny_unknown: bool = True) -> None:
        self._known = vocabulary
        self._deny = deny_unknown

    def spans(self, said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
        """The names in *said*, by cue and as answers."""
        for match in said.matches(_STRONG):
            first, last = self._strong(said, match.last)
            if last > first:
                first = self._titled(said, first) if first == match.last else first
                yield said.span(first, last, Kind.NAME, "name.cue")
        yield from self._weak(said)
        if Kind.NAME in expected and not _REFUSES.search(said.line):
            yield from self._answer(said)

    def _weak(self, said: Utterance) -> Iterator[Span]:
        """Names at places where something else may stand as well."""
        for match in said.matches(_WEAK):
            last = said.while_true(match.last, _NAME_ATOMS_MAX, lambda at: self._odd(said, at))
            if self._telling(said, match.last, last):
                yield said.span(match.last, last, Kind.NAME, "name.weak_cue")
        for match in said.matches(_BEHIND):
            first = match.first
            while first > max(match.first - 3, 0) and self._odd(said, first - 1):
                first -= 1
            if first < match.first:
                yield said.span(first, match.first, Kind.NAME, "name.speaking")
        for match in said.matches(_LETTERED):
            if self._odd(said, match.first):
                yield said.span(match.first, match.last, Kind.NAME, "name.lettered")

    @staticmethod
    def _titled(said: Utterance, first: int) -> int:
        """With the title before atom *first*."""
        title = first - 1 - (said.word(first - 1) == ".")
        return title if said.word(title) in _TITLES else first

    def unknown(self, said: Utterance) -> Iterator[Span]:
        """Rows of words that nothing explains; a neighbour that may be a name belongs to them."""
        if not self._deny:
            return
        cased = said.text != said.text.lower() and said.text != said.text.upper()
        at = 0
        while at < len(said.atoms):
            last = said.while_true(at, len(said.atoms), lambda i: self._foreign(said, i, cased))
            if last == at:
                at += 1
                continue
            first, behind = self._widened(said, at, last)
            kind = Kind.NAME if behind - first > 1 else Kind.OTHER
            yield said.span(first, behind, kind, "unknown.word")
            at = max(behind, last)

    def _foreign(self, said: Utterance, at: int, cased: bool) -> bool:
        atom = said.atoms[at]
        if atom.shape != "word":
            return False
        if not self._known.common(atom.text):
            return True
        return cased and self._maybe(said, at) and self._capital(said, at)

    @staticmethod
    def _capital(said: Utterance, at: int) -> bool:
        """Whether the word is written large where a sentence does not ask for it."""
        start = said.atoms[at].start
        begins = at == 0 or said.word(at - 1) in (".", "?", "!", ":", '"')
        return said.text[start].isupper() and not begins

    def _widened(self, said: Utterance, first: int, last: int) -> tuple[int, int]:
        """With the names that are words too on both sides: "john baker", "grace okafor"."""
        while last < len(said.atoms) and (self._maybe(said, last) or self._joint(said, last)):
            last += 1
        while first > 0 and self._given(said, first - 1):
            first -= 1
        return first, last

    def _joint(self, said: Utterance, at: int) -> bool:
        """A hyphen or particle between two odd words."""
        near = said.word(at) in ("-", "'") or said.word(at) in _PARTICLES
        return near and at + 1 < len(said.atoms) and self._odd(said, at + 1)

    def _given(self, said: Utterance, at: int) -> bool:
        return self._maybe(said, at) and self._known.first_name(said.word(at))

    def _maybe(self, said: Utterance, at: int) -> bool:
        word = said.word(at)
        return self._known.ambiguous(word) and word not in _NEVER and word not in _SELDOM

    def _odd(self, said: Utterance, at: int) -> bool:
        atom = said.atoms[at]
        if atom.shape != "word" or atom.text in _NEVER:
            return False
        return not self._known.common(atom.text) or self._maybe(said, at)

    def _telling(self, said: Utterance, first: int, last: int) -> bool:
        """Whether atoms `first:last`, all odd, are a name: a first name, or unknown words."""
        words = [said.word(at) for at in range(first, last)]
        return any(not self._known.common(word) for word in words) or (
            bool(words) and self._known.first_name(words[0])
        )

    def _strong(self, said: Utterance, at: int) -> tuple[int, int]:
        """From atom *at* on: words until one that is no part of a name. A colon may come first."""
        while said.word(at) in (
            ":",
            ",",
            "-",
            "uh",
            "um",
            "is",
            "it's",
            '"',
            "spelled",
            "the",
            ".",
        ):
            if (
                said.word(at) == "."
                and said.atoms[at].end < len(said.text)
                and not self._title(said, at)
            ):
                break
            at += 1
        last = said.while_true(
            at,
            _NAME_ATOMS_MAX,
            lambda i: self._nameable(said, i) and (i == at or self._on(said, i)),
        )
        return at, last

    def _on(self, said: Utterance, at: int) -> bool:
        """Whether the name goes on with atom *at*: "sarah miller", but not "sarah told"."""
        return said.atoms[at].shape == "letter" or self._odd(said, at) or self._joint(said, at)

    @staticmethod
    def _title(said: Utterance, at: int) -> bool:
        return said.word(at - 1) in ("mr", "mrs", "ms", "dr")

    def _nameable(self, said: Utterance, at: int) -> bool:
        atom = said.atoms[at]
        if atom.shape == "letter":
            return atom.text not in ("i", "a") or said.word(at + 1) == "."
        if atom.shape == "mark":
            return atom.text in ("-", "'", "’")
        return atom.shape == "word" and atom.text not in _NEVER

    def _answer(self, said: Utterance) -> Iterator[Span]:
        """What of an answer to "your name?" is not manners."""
        at = 0
        behind = len(said.atoms) if len(said.atoms) <= _ANSWER_ATOMS_MAX else 0
        while at < behind:
            last = said.while_true(at, behind, lambda i: i < behind and self._nameable(said, i))
            if any(said.atoms[i].shape != "mark" for i in range(at, last)):
                yield said.span(at, last, Kind.NAME, "name.asked")
            at = max(last, at + 1)
