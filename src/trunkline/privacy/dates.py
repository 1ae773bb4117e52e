"""Dates of birth: a date with a year that can be one, or any date where birth was spoken of.

An appointment's date has no year, or a weekday; so "march third at ten" stays readable.
"""

import re
from collections.abc import Iterator
from typing import Final

from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Match, Utterance

BIRTH_YEAR_MAX: Final = 2023
"""A full date with a later year is more often an appointment; with a cue any year is taken."""
_MONTH: Final = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?: \.)?"
)
_DAY: Final = r"(?:the )?(?:0 )?\d{1,2}(?:th)?"
_YEAR: Final = r"(?:(?:19|20) 0 \d|(?:19|20) \d\d|(?:19|20)\d\d|(?:' )?\d\d|0 \d)"
_SEP: Final = r" (?:/|-|\.|slash|dash) "
_PATTERNS: Final = tuple(
    re.compile(rf"(?<!\S){pattern}(?!\S)")
    for pattern in (
        rf"{_MONTH} {_DAY}(?: ,)?(?: of| in)?(?: ({_YEAR}))?",
        rf"{_DAY}(?: day)?(?: of)? {_MONTH}(?: ,)?(?: of| in)?(?: ({_YEAR}))?",
        rf"(?:0 )?\d{{1,2}}{_SEP}(?:0 )?\d{{1,2}}{_SEP}({_YEAR})",
        rf"((?:19|20)\d\d){_SEP}\d{{1,2}}{_SEP}\d{{1,2}}",
        rf"{_MONTH}(?: of)? ((?:19|20) ?\d\d)",
    )
)
_MONTH_ONLY: Final = 4
"""Which pattern has no day: personal only where birth was spoken of."""
_BORN_YEAR: Final = re.compile(r"born (?:back )?in (?:the year )?((?:19|20) ?(?:0 )?\d{1,2})(?!\S)")
_BIRTH: Final = frozenset(("born", "birth", "birthday", "birthdate", "dob", "birthdays"))
_WEEKDAYS: Final = frozenset(
    ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
)
_CUE_ATOMS_MAX: Final = 10


def spans(said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
    """The dates of birth in *said*."""
    for number, pattern in enumerate(_PATTERNS):
        for match in said.matches(pattern):
            rule = _why(said, match, expected, full=number != _MONTH_ONLY)
            if rule:
                yield said.span(match.first, match.last, Kind.DATE_OF_BIRTH, rule)
    for match in said.matches(_BORN_YEAR):
        year = match.groups[0]
        if year is not None:
            yield said.span(*year, Kind.DATE_OF_BIRTH, "date_of_birth.year")


def _why(said: Utterance, match: Match, expected: frozenset[Kind], *, full: bool) -> str:
    """The rule by which the date is one of birth; empty if it is not."""
    if Kind.DATE_OF_BIRTH in expected:
        return "date_of_birth.asked"
    near = range(match.first - _CUE_ATOMS_MAX, match.last + 6)
    if any(said.word(at).removesuffix("'s") in _BIRTH for at in near):
        return "date_of_birth.cue"
    if said.word(match.first - 1) in _WEEKDAYS or said.word(match.first - 2) in _WEEKDAYS:
        return ""
    year = match.groups[0] if full else None
    return "date_of_birth.form" if year is not None and _past(said, *year) else ""


def _past(said: Utterance, first: int, last: int) -> bool:
    digits = "".join(said.word(at) for at in range(first, last) if said.word(at).isdigit())
    return len(digits) < 4 or int(digits) <= BIRTH_YEAR_MAX
