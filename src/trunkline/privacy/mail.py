"""E-mail addresses and sites, spoken ("john dot smith at gmail dot com") and written."""

import re
from collections.abc import Iterator
from typing import Final

from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import listed

_TLD: Final = (
    r"(?:com|org|net|edu|gov|mil|int|info|biz|name|io|me|co|us|uk|ca|au|nz|de|fr|es|it|nl|ie|in|eu|"
    r"ch|at|be|se|no|dk|pl|pt|jp|cn|br|mx|za|tv|ai|app|dev|health|care|law|school|online|store|xyz)"
)
_DOT: Final = r"(?:dot|\.|period|point)"
_HOST: Final = (
    rf"(?:(?!dot |at )[\w'-]+ (?:(?:-|dash|hyphen) )?){{1,5}}?"
    rf"(?:{_DOT} (?:(?!dot |at )[\w-]+ ){{1,3}}?)?{_DOT} (?:{_TLD}|c o m|u k)(?: {_DOT} (?:uk|"
    rf"u k|au|nz|za|jp))?"
)
_FREE: Final = (
    r"(?:gmail|g mail|hotmail|yahoo|outlook|icloud|i cloud|aol|a o l|protonmail|proton mail|msn|"
    r"comcast|verizon|googlemail|live|me|att)"
)
_AT: Final = re.compile(rf"(?<!\S)(?:@|at) (?:the )?({_HOST}|{_FREE})(?!\S)")
_SITE: Final = re.compile(
    rf"(?<!\S)(?:https? : / / )?(?:(?:www|w w w|dub dub dub) {_DOT} (?:[\w-]+ ){{0,3}}?)?"
    rf"((?!dot |at |is |on |the |to )[\w-]+(?: (?:-|dash|"
    rf"hyphen) [\w-]+){{0,4}}(?: {_DOT} (?!com )[\w-]+){{0,2}} {_DOT} "
    rf"{_TLD}(?: {_DOT} (?:uk|au|nz))?)(?: (?:/|slash) [\w-]+){{0,6}}(?!\S)"
)
_STOPS: Final = listed(
    """
    is it's its that's email e-mail mail address me to at as on yes sure okay ok uh um er yeah
    well my reach or send so the you can be would for use contact and , ? ! : ; its' here's has
    your this by with one's looked go went found visit website site i'm was just please
    """
)
_JOINTS: Final = frozenset(
    ("dot", ".", "underscore", "_", "dash", "-", "hyphen", "period", "plus", "+")
)
_SITE_WORDS_MAX: Final = 3
_BEFORE_SITE: Final = frozenset(
    ("see", "called", "name", "page", "browse", "check", "out", "in", "a")
)
_COMMENTS: Final = frozenset((",", "then", "letter", "number", "word", "uh", "um", "so"))
_NO_LOCAL: Final = frozenset(
    (
        "me",
        "us",
        "him",
        "her",
        "them",
        "it",
        "am",
        "is",
        "are",
        "be",
        "you",
        "i'm",
        "look",
        "website",
    )
)
_LOCAL_ATOMS_MAX: Final = 40
"""Spelled letter by letter, with a word for each."""


def spans(said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
    """The addresses in *said*, then the sites."""
    taken = []
    for match in said.matches(_AT):
        first = _local(said, match.first, dictated=Kind.EMAIL in expected)
        if first < match.first:
            taken.append(range(first, match.last))
            yield said.span(first, match.last, Kind.EMAIL, "email.form")
    for match in said.matches(_SITE):
        if not any(match.first in it or match.last - 1 in it for it in taken) and _is_site(
            said, match.first, match.last
        ):
            yield said.span(_site(said, match.first), match.last, Kind.URL, "url.form")


def _is_site(said: Utterance, first: int, last: int) -> bool:
    """A written "end. In" is the end of a sentence: a blank follows its stop."""
    for at in range(first + 1, last):
        if said.word(at) == ".":
            return said.atoms[at].end == said.atoms[at + 1].start
    return True


def _local(said: Utterance, at: int, *, dictated: bool) -> int:
    """Where the part before atom *at*, the "at", begins. *dictated*: with pauses and comments."""
    first = at
    while first > max(at - _LOCAL_ATOMS_MAX, 0):
        word = said.word(first - 1)
        if word == "the" and said.word(first - 2) in ("is", "it's", ""):
            return first - 1  # "it's the real bob at ..."
        if dictated and word in _COMMENTS:
            first -= 1
            continue
        if (word in _STOPS or word.removesuffix("'s") in _STOPS) and not (
            word in ("and",) and said.word(first - 2) in _JOINTS
        ):
            break
        if word == "." and said.atoms[first - 1].end < said.atoms[first].start:
            break  # the end of a sentence, not a dot
        first -= 1
    while first < at and (said.word(first) in _JOINTS or _pronoun(said, first)):
        first += 1
    if first == at and said.word(at - 1).isalpha() and said.word(at - 1) not in _NO_LOCAL:
        return at - 1  # "contact at", "mail at": a word of ours may be theirs
    return first


def _pronoun(said: Utterance, at: int) -> bool:
    """Whether "i" begins a sentence and no address."""
    then = said.atoms[at + 1] if at + 1 < len(said.atoms) else None
    return (
        said.word(at) == "i"
        and then is not None
        and then.shape == "word"
        and then.text not in _JOINTS
        and then.text != "at"
    )


def _site(said: Utterance, at: int) -> int:
    """Where a site begins whose last word before the dot is atom *at*: "sunny smiles dot com"."""
    first = at
    while first > max(at - _SITE_WORDS_MAX, 0) and said.atoms[first - 1].shape != "mark":
        word = said.word(first - 1)
        if word in _STOPS or word.removesuffix("'s") in _STOPS or word in _BEFORE_SITE:
            break
        first -= 1
    return first
