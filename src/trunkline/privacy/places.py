"""Addresses: a number with a street, a box, a town with its state; and what follows "I live at"."""

import re
from collections.abc import Iterator
from typing import Final

from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import Vocabulary, listed

_SUFFIX: Final = (
    r"(?:street|st|avenue|ave|av|road|rd|lane|ln|drive|dr|court|ct|boulevard|blvd|way|place|"
    r"pl|terrace|"
    r"circle|cir|crescent|close|parkway|pkwy|highway|hwy|square|sq|trail|trl|alley|row|grove|"
    r"gardens|"
    r"mews|walk|turnpike|pike|loop|ridge|path|run|broadway|causeway|plaza|expressway|route|"
    r"hill|view|"
    r"heights|green|crossing|bend|point|quay|wharf|rise|vale|commons|landing|pass)"
)
_PLAIN_SUFFIX: Final = (
    r"(?:street|avenue|ave|road|rd|lane|drive|boulevard|blvd|terrace|crescent|parkway|court|circle)"
)
_NOT_STREET: Final = (
    r"(?!(?:minutes?|hours?|miles?|blocks?|days?|weeks?|months?|years?|people|kids|in|on|to|"
    r"from|is|a|"
    r"my|your|for|and|or|at|am|pm|o'clock|i|you|we|it|that|this|are|was|have|percent|dollars?|"
    r"i'm|if|"
    r"but|by|so|can|with|other|more|oh|our|his|her|their|please|per|out|up|down|off|into|no|"
    r"not|one|"
    r"same|which|what|any|an|every|each|all|some|take|times?|hundred|thousand|bucks|right)(?!\S))"
)
_NUMBER: Final = r"(?<!\S)\d{1,6}(?: \d{1,4}){0,4}(?: (?:[a-h]|-|/ \d+))?"
_STREET_WORD: Final = rf"{_NOT_STREET}(?:[^\W\d_][\w'-]*|\d+th|\.)"
_NUMBERED: Final = re.compile(
    r"(?:(?<!\S)(?:unit|suite|flat|apartment|apt|floor|room) (?:[a-z]|\d+) (?:, )?)?"
    rf"{_NUMBER}(?: ,)?(?: {_STREET_WORD}){{1,4}}? {_SUFFIX}(?!\S)(?: \.(?!\S))?"
)
_LONE_SUFFIX: Final = re.compile(
    rf"{_NUMBER}(?: ,)? (?:broadway|highway|route|avenue) (?:\d+|of [\w' ]+?|[a-z])(?!\S)|"
    rf"{_NUMBER} broadway(?!\S)"
)
_UNNUMBERED: Final = re.compile(
    rf"(?<!\S)(?:on|at|of|down|along|is|near|off|and) ((?:(?!the )(?:{_STREET_WORD}) )"
    rf"{{1,3}}?{_PLAIN_SUFFIX})(?!\S)"
)
_BOX: Final = re.compile(
    r"(?<!\S)(?:p (?:\. )?o (?:\. )?|po |post office )box (?:number )?\d+(?: \d+){0,6}(?!\S)"
)
_STATE: Final = (
    r"(?:alabama|alaska|arizona|arkansas|california|colorado|connecticut|delaware|florida|"
    r"georgia|hawaii|"
    r"idaho|illinois|indiana|iowa|kansas|kentucky|louisiana|maine|maryland|massachusetts|michigan|"
    r"minnesota|mississippi|missouri|montana|nebraska|nevada|new hampshire|new jersey|new mexico|"
    r"new york|north carolina|north dakota|ohio|oklahoma|oregon|pennsylvania|rhode island|"
    r"south carolina|south dakota|tennessee|texas|utah|vermont|virginia|washington|west virginia|"
    r"wisconsin|wyoming|d c|ontario|quebec|england|scotland|wales|ireland|"
    r"ca|ny|tx|fl|il|pa|oh|ga|nc|mi|nj|va|wa|az|ma|tn|md|mo|wi|co|mn|sc|al|la|ky|ct|ut|nv|ar|"
    r"ms|ks|nm|"
    r"ne|wv|nh|ri|mt|de|sd|nd|ak|dc|vt|wy)"
)
_TOWN: Final = re.compile(
    rf"(?<!\S)((?:{_NOT_STREET}(?!live |lives |address |"
    rf"zip )[^\W\d_][\w'-]* ){{1,2}}?)(?:, )?{_STATE}(?: ,)? \d+(?: \d+){{0,4}}(?!\S)"
)
_TAIL: Final = re.compile(
    r"(?:(?: ,)? (?:apartment|apt|unit|suite|flat|floor|number|#|building|lot|room|"
    r"trailer)(?: number| #)?"
    r"(?: (?:\d+(?:th)?|[a-z](?!\S))){1,4})+"
)
_TAIL_TOWN: Final = re.compile(
    rf"(?: ,| in| city of)?(?: (?!and |my |the |is |i |it's |at |"
    rf"for )[^\W\d_][\w'-]*){{1,4}}?(?: ,)? {_STATE}(?!\S)(?:(?: ,|"
    rf" zip(?: code)?)? \d+(?: \d+){{0,4}}(?!\S))?"
)
_BEFORE: Final = re.compile(
    r"(?<!\S)(?:(?:i|we|he|she|they) (?:just )?(?:live|lives|moved|reside|stay|grew up)|"
    r"living|lives|located|staying|"
    r"residing|reside|live|resides|moved|address(?: on file| there| now| here)?|(?:ship|"
    r"deliver|delivered|send|sent|mail|mailed)"
    r"(?: it| that| them| this)?(?: out)?|directions|from|house|apartment|town|city|street)"
    r"(?: (?:is|was|at|on|in|over|to|by|near|of|just|still|now|out|should be|would be|,|:|"
    r"it's))+(?: the)?(?= )"
)
_PLACE_WORDS: Final = listed(
    """
    north south east west new old saint st fort port mount san los las el santa city town
    village springs beach park hills heights lake valley falls creek island bay point county
    grove upper lower river wood bridge ville field green hill view point northeast northwest
    southeast southwest
    """
)
_STOP: Final = listed(
    """
    and my i i'm can could please thanks thank but so because is it's that's with for do does
    you your we what when have has would will if or just the a it that this phone number name
    date email called since about where there not as then okay yes yeah no right um uh near from
    by who actually ? ! ; need want like get how by
    """
)
_STREETS: Final = frozenset(("street", "avenue", "ave", "road", "rd", "boulevard", "blvd"))
_DIRECTIONS: Final = frozenset(
    ("north", "south", "east", "west", "northeast", "northwest", "southeast", "southwest")
)
_FILLS: Final = frozenset(("the", "corner", "of", "a", "our", "my", "house", "intersection", ","))
_CAPTURE_MAX: Final = 14


class Places:
    """Finds addresses with the help of *vocabulary*."""

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._known = vocabulary

    def spans(self, said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
        """The addresses in *said*."""
        for pattern, rule in (
            (_NUMBERED, "street"),
            (_LONE_SUFFIX, "street"),
            (_BOX, "box"),
            (_TOWN, "town"),
        ):
            for match in said.matches(pattern):
                last = self._behind(said, match.last)
                yield said.span(match.first, last, Kind.ADDRESS, f"address.{rule}")
        for match in said.matches(_UNNUMBERED):
            street = match.groups[0]
            if street is not None and self._telling(said, *street):
                last = self._behind(said, street[1])
                yield said.span(street[0], last, Kind.ADDRESS, "address.street_name")
        for match in said.matches(_BEFORE):
            first = said.while_true(match.last, 4, lambda at: said.word(at) in _FILLS)
            last = self._captured(said, first)
            if last > first:
                yield said.span(first, last, Kind.ADDRESS, "address.cue")
        if Kind.ADDRESS in expected:
            yield from self._asked(said)

    def _telling(self, said: Utterance, first: int, last: int) -> bool:
        """Whether a street without a number is one: an odd word in it, or home spoken of."""
        odd = any(self._odd(said, at) for at in range(first, last - 1))
        home = {said.word(at) for at in range(first - 6, first)}
        if said.word(last - 1) in _STREETS:
            return True  # "on sunset boulevard": without an article it is one of that name
        return odd or not home.isdisjoint(
            ("live", "lives", "living", "address", "moved", "house", "home")
        )

    def _odd(self, said: Utterance, at: int) -> bool:
        atom = said.atoms[at]
        if atom.shape in ("digits", "ordinal"):
            return True
        return atom.shape == "word" and (
            not self._known.common(atom.text) or self._known.ambiguous(atom.text)
        )

    def _behind(self, said: Utterance, last: int) -> int:
        """Behind direction, apartment, town, state and code that follow a street."""
        last = said.while_true(last, 2, lambda at: said.word(at) in _DIRECTIONS)
        for pattern in (_TAIL, _TAIL_TOWN):
            found = said.next(pattern, last)
            last = last if found is None else found
        return self._towns(said, last)

    def _towns(self, said: Utterance, at: int) -> int:
        """Behind the row of odd words, place words and numbers from atom *at*."""
        last = at
        while at < len(said.atoms):
            word = said.word(at)
            if word in _STOP:
                break
            if self._odd(said, at) or (last < at and said.atoms[at].shape == "letter"):
                last = at + 1
            elif word not in _PLACE_WORDS and word not in (",", "in", "zip", "code", "-"):
                break
            at += 1
        return last

    def _captured(self, said: Utterance, first: int) -> int:
        """How far an address goes behind "I live at": to its last number, odd word or street."""
        last, at = first, first
        behind = min(first + _CAPTURE_MAX, len(said.atoms))
        while at < behind and said.word(at) not in _STOP:
            if self._odd(said, at) or (re.fullmatch(_SUFFIX, said.word(at)) and at > first):
                last = at + 1
            at += 1
        return last

    def _asked(self, said: Utterance) -> Iterator[Span]:
        """The answer to "what is your address": from its first number to where it ends."""
        at = 0
        while at < len(said.atoms):
            last = self._captured(said, at)
            if last > at:
                yield said.span(at, last, Kind.ADDRESS, "address.asked")
            at = max(last, at + 1)
