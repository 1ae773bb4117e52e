"""The detector: every rule over one utterance, and one answer without overlaps.

Where rules disagree the surer one keeps its characters and the other the rest: covering too much is
the smaller harm. The order: what is known of this caller, addresses of mail and sites, dates of
birth, streets, identifiers, the entity model, names, and words that nothing explains.
"""

from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from trunkline.errors import InputError
from trunkline.privacy import dates, mail
from trunkline.privacy.entities import SCORE_MIN, EntityModel
from trunkline.privacy.known import KnownValues
from trunkline.privacy.naming import Names
from trunkline.privacy.places import Places
from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.structured import Identifiers
from trunkline.privacy.utterance import UTTERANCE_CHARS_MAX, Utterance
from trunkline.privacy.vocabulary import Vocabulary

_NOTHING: Final[frozenset[Kind]] = frozenset()


@dataclass(frozen=True)
class Rules:
    """What detection goes by: *region* of numbers; *own*: names and patterns of own identifiers;
    *agent*: texts whose words are no secret; *known*: kind -> values of this caller; *model*: an
    entity model, without which unknown words are denied."""

    region: str = "US"
    own: Mapping[str, str] = field(default_factory=dict)
    agent: tuple[str, ...] = ()
    known: Mapping[Kind, Iterable[str]] = field(default_factory=dict)
    model: EntityModel | None = None


class SpeechDetector:
    """A `Detector` for speech. Raises `InputError` for rules that make no sense."""

    def __init__(self, rules: Rules | None = None) -> None:
        rules = rules or Rules()
        vocabulary = Vocabulary(rules.agent)
        self._identifiers = Identifiers(rules.region, rules.own)
        self._known = KnownValues(rules.known, vocabulary)
        self._places = Places(vocabulary)
        self._names = Names(vocabulary, deny_unknown=rules.model is None)
        self._model = rules.model

    def spans(self, text: str, expected: frozenset[Kind] = _NOTHING, /) -> list[Span]:
        """The personal spans of *text*, in order, not overlapping.

        *expected*: what the agent has just asked for (`slots.expected_kinds`). Raises `InputError`
        for a text that is no utterance.
        """
        if len(text) > UTTERANCE_CHARS_MAX:
            raise InputError(
                f"an utterance of {len(text)} characters: cut it into pieces of at most "
                f"{UTTERANCE_CHARS_MAX}"
            )
        said = Utterance(text)
        return resolved(text, self._found(said, expected))

    def _found(self, said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
        """All that any rule finds, the surer ones first."""
        yield from self._known.spans(said)
        yield from mail.spans(said, expected)
        yield from dates.spans(said, expected)
        yield from self._places.spans(said, expected)
        yield from self._identifiers.spans(said, expected)
        yield from self._modelled(said.text)
        yield from self._names.spans(said, expected)
        yield from self._names.unknown(said)

    def _modelled(self, text: str) -> Iterator[Span]:
        if self._model is None:
            return
        for it in self._model.entities(text):
            if it.score >= SCORE_MIN and 0 <= it.start < it.end <= len(text):
                value = " ".join(text[it.start : it.end].lower().split())
                yield Span(it.start, it.end, it.kind, value, f"model/{self._model.name}")


def resolved(text: str, found: Iterable[Span]) -> list[Span]:
    """*found*, the surest first, without overlaps and in order; a part that is cut stays a span."""
    kept: list[Span] = []  # always in order and apart
    for span in found:
        at = bisect_right(kept, span.start, key=lambda it: it.end)
        behind = at
        while behind < len(kept) and kept[behind].start < span.end:
            behind += 1
        taken = kept[at:behind]
        starts = [span.start, *(max(it.end, span.start) for it in taken)]
        ends = [*(it.start for it in taken), span.end]
        gaps = [_part(text, span, *gap) for gap in zip(starts, ends, strict=True)]
        parts = [part for part in gaps if part is not None] if taken else [span]
        kept[at:behind] = sorted([*taken, *parts], key=lambda it: it.start)
    return kept


def _part(text: str, span: Span, start: int, end: int) -> Span | None:
    """Characters `start:end` of *span* without blanks around; None if they hold nothing to hide."""
    if start >= end or not any(char.isalnum() for char in text[start:end]):
        return None
    first = end - len(text[start:end].lstrip())
    last = start + len(text[start:end].rstrip())
    return Span(first, last, span.kind, text[first:last].lower(), span.rule)
