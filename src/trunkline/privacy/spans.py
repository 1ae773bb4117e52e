"""Spans: which characters of a text are personal, of what kind, and by which rule."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol


class Kind(StrEnum):
    """What a span is. The value is what configuration, journal and surrogates call it."""

    NAME = "name"
    ADDRESS = "address"
    PHONE = "phone"
    EMAIL = "email"
    CARD = "card"
    SECURITY_CODE = "security_code"
    ACCOUNT = "account"  # IBAN, routing and account numbers
    NATIONAL_ID = "national_id"  # SSN, NHS number, tax ids
    DATE_OF_BIRTH = "date_of_birth"
    POSTCODE = "postcode"
    RECORD_ID = "record_id"  # member, policy, patient, licence, plate: the business's own numbers
    URL = "url"
    OTHER = "other"  # a rare word that nothing explains


@dataclass(frozen=True, slots=True)
class Span:
    """Characters `start:end` of a text are *kind*, by *rule*.

    *value* is the normal form: two spans with the same kind and value mean the same ("four one one"
    and "411"). *rule* names what found it, with the version of the rules, for the journal.
    """

    start: int
    end: int
    kind: Kind
    value: str
    rule: str


class Detector(Protocol):
    """Finds what is personal in a text."""

    def spans(self, text: str, expected: frozenset[Kind] = frozenset(), /) -> Sequence[Span]:
        """The personal spans of *text*, in order, not overlapping.

        *expected*: what the agent has just asked for, so that the whole answer may be it.
        """
        ...
