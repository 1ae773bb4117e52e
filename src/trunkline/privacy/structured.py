"""Identifiers of digits and letters: what kind a run is, by cue, checksum and shape.

Digits are denied by default: a row of five or more is somebody's unless it counts something
("twelve thousand five hundred dollars"). What remains to decide is its kind: first by what it was
called just before ("my member number is"), then by checksum, then by what was asked, then by form.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import phonenumbers
from stdnum import iban, luhn
from stdnum.ca import sin
from stdnum.de import idnr
from stdnum.gb import nhs
from stdnum.nl import bsn
from stdnum.us import ssn

from trunkline.errors import InputError
from trunkline.privacy.numerals import Run
from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.utterance import Utterance
from trunkline.privacy.vocabulary import listed

_CUE_ATOMS_MAX: Final = 12
_LOOSE_DIGITS_MIN: Final = 5
_WEAK_MIN: Final = 7


def _cues(kind: Kind, least: int, words: str) -> dict[str, tuple[Kind, int]]:
    return {phrase.strip(): (kind, least) for phrase in words.split(",")}


_CUES: Final[Mapping[str, tuple[Kind, int]]] = {
    # phrase of one or two words -> the kind it announces, with how many digits and letters
    **_cues(Kind.PHONE, 4, "phone, telephone, cell, mobile, cellphone, landline, fax, callback"),
    **_cues(Kind.PHONE, 4, "phone number, cell number, mobile number, whatsapp, home number"),
    **_cues(Kind.PHONE, 3, "area code"),
    **_cues(Kind.PHONE, 2, "extension, ext"),
    **_cues(Kind.PHONE, _WEAK_MIN, "call, reach, text, dial, ring"),
    **_cues(
        Kind.CARD, 4, "card, visa, mastercard, amex, american express, discover, debit, credit"
    ),
    **_cues(Kind.CARD, 4, "card number, master card, debit card, credit card"),
    **_cues(
        Kind.CARD, 3, "expires, expiry, expiration, expiring, exp, expiration date, expiry date"
    ),
    **_cues(Kind.SECURITY_CODE, 3, "cvv, cvc, cv, security code, pin, pin number, passcode"),
    **_cues(Kind.SECURITY_CODE, 3, "password, verification code, access code, code, three digits"),
    **_cues(Kind.SECURITY_CODE, 3, "the back, pin code, one time, the code, gate code, door code"),
    **_cues(Kind.ACCOUNT, 4, "account, iban, routing, sort code, account number, routing number"),
    **_cues(Kind.ACCOUNT, 4, "bank, checking, savings, bic, swift"),
    **_cues(
        Kind.NATIONAL_ID, 4, "social, ssn, social security, nhs, nhs number, national insurance"
    ),
    **_cues(Kind.NATIONAL_ID, 4, "insurance number, tax id, itin, ein, passport, passport number"),
    **_cues(Kind.NATIONAL_ID, 4, "tax number, sin, aadhaar, security number, ni number, social is"),
    **_cues(Kind.POSTCODE, 4, "zip, zip code, zipcode, postcode, post code, postal code, postal"),
    **_cues(Kind.RECORD_ID, 4, "member, member number, member id, policy, policy number, patient"),
    **_cues(Kind.RECORD_ID, 4, "patient number, patient id, chart, record, claim, claim number"),
    **_cues(Kind.RECORD_ID, 4, "group, group number, id, id number, licence, license, plate, tag"),
    **_cues(Kind.RECORD_ID, 4, "registration, reference, reference number, booking, confirmation"),
    **_cues(
        Kind.RECORD_ID, 4, "order, order number, customer, case, case number, ticket, medicare"
    ),
    **_cues(Kind.RECORD_ID, 4, "medicaid, subscriber, npi, vin, invoice, prescription, rx, serial"),
    **_cues(Kind.RECORD_ID, 4, "tracking, employee, student, loyalty, flyer, chart number, mrn"),
    **_cues(Kind.RECORD_ID, 4, "insurance id, customer number, license number, licence number"),
    **_cues(Kind.RECORD_ID, 4, "confirmation number, confirmation code, reference code, badge"),
    **_cues(Kind.RECORD_ID, 4, "booking reference, membership, serial number, number plate, meter"),
    **_cues(
        Kind.RECORD_ID, 4, "record number, reservation, rewards, case id, driver's, file number"
    ),
    **_cues(Kind.DATE_OF_BIRTH, 4, "birth, birthday, birthdate, dob, born, birth date"),
}
_UNITS: Final = listed(
    """
    dollars dollar bucks pounds pound euros euro cents percent minutes minute hours hour days
    day weeks week months month years year miles mile kilometers people o'clock am pm times
    degrees mg milligrams grams points feet inches square kids guests thousand million % copies
    units items calories gallons acres pieces steps employees customers
    """
)
_MONEY: Final = frozenset("$£€")
_SINCE: Final = frozenset(("in", "since", "from", "of", "until", "year", "around", "by", "before"))
_ACRONYMS: Final = listed(
    """
    usa pm am atm id ok dob ssn tv mri uk ct it vip er gp faq ups usps dhl irs dmv pcp hmo ppo
    hsa fsa eta cvv pin abc asap diy gps html wifi sms url pdf ac dc cd dvd icu iv bmw eu un nhs
    ceo hr rsvp aaa aarp amex bic iban vin npi rx ivf ekg ecg adhd ptsd std hiv
    """
)
_UK_POSTCODE: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}")
_CA_POSTCODE: Final = re.compile(r"[a-z]\d[a-z]\d[a-z]\d")
_NINO: Final = re.compile(r"[a-ceghj-prstw-z][a-ceghj-nprstw-z]\d{6}[a-d]")
_NATIONAL: Final[Mapping[str, Callable[[str], bool]]] = {
    "US": ssn.is_valid,
    "GB": nhs.is_valid,
    "CA": sin.is_valid,
    "DE": idnr.is_valid,
    "NL": bsn.is_valid,
}
_ASKED: Final = (
    *(Kind.CARD, Kind.PHONE, Kind.NATIONAL_ID, Kind.ACCOUNT, Kind.RECORD_ID, Kind.POSTCODE),
    *(Kind.SECURITY_CODE, Kind.DATE_OF_BIRTH),
)


@dataclass(frozen=True)
class Identifiers:
    """How identifiers look here. *region*: ISO 3166 of numbers without a country code.

    *own*: name -> regular expression of the business's own identifiers, written without blanks and
    hyphens in capitals (`PT[0-9]{6}`); raises `InputError` if one is none.
    """

    region: str = "US"
    own: Mapping[str, str] = field(default_factory=dict)
    _own: tuple[tuple[str, re.Pattern[str]], ...] = field(init=False, repr=False, default=())

    def __post_init__(self) -> None:
        compiled = []
        for name, pattern in self.own.items():
            try:
                compiled.append((name, re.compile(pattern, re.IGNORECASE)))
            except re.error as error:
                raise InputError(
                    f"identifier {name!r}: {pattern!r} is no regular expression ({error})"
                ) from error
        if self.region not in phonenumbers.SUPPORTED_REGIONS:
            raise InputError(f"region {self.region!r} is no country of ISO 3166, such as US or GB")
        object.__setattr__(self, "_own", tuple(compiled))

    def spans(self, said: Utterance, expected: frozenset[Kind]) -> Iterator[Span]:
        """Every run of *said* that is somebody's."""
        for run in said.runs:
            found = self._judged(said, run, expected)
            if found is not None:
                kind, rule, value = found
                first = run.first - (said.word(run.first - 1) in ("+", "plus"))
                yield said.span(first, run.last, kind, rule, value)

    def _judged(
        self, said: Utterance, run: Run, expected: frozenset[Kind]
    ) -> tuple[Kind, str, str] | None:
        text, digits = run.text, run.digits
        for name, pattern in self._own:
            if pattern.fullmatch(text):
                return Kind.RECORD_ID, f"own.{name}", text
        if not digits:
            return self._spelled(said, run, expected)
        if 13 <= len(digits) <= 19 and luhn.is_valid(digits):
            return Kind.CARD, "card.luhn", digits
        if len(text) >= 15 and iban.is_valid(text):
            return Kind.ACCOUNT, "account.iban", text
        if _counts(said, run):
            return None
        cue = _cue(said, run)
        if cue is not None and len(text) >= cue[1]:
            return cue[0], f"{cue[0].value}.cue", self._value(cue[0], text, digits)
        asked = next((kind for kind in _ASKED if kind in expected), None)
        if asked is not None and len(text) >= 3:
            return asked, f"{asked.value}.asked", self._value(asked, text, digits)
        return self._by_form(text, digits)

    def _by_form(self, text: str, digits: str) -> tuple[Kind, str, str] | None:
        """What a run is that nothing announced."""
        if _UK_POSTCODE.fullmatch(text) or _CA_POSTCODE.fullmatch(text):
            return Kind.POSTCODE, "postcode.form", text
        if _NINO.fullmatch(text):
            return Kind.NATIONAL_ID, "national_id.form", text
        if len(text) > len(digits):
            enough = len(text) >= _LOOSE_DIGITS_MIN and len(digits) >= 2
            return (Kind.RECORD_ID, "record_id.form", text) if enough else None
        if len(digits) < _LOOSE_DIGITS_MIN:
            return None
        if len(digits) in (15, 16):
            return Kind.CARD, "card.form", digits
        check = _NATIONAL.get(self.region)
        if len(digits) != 10 or self.region != "US":
            if check is not None and check(digits):
                return Kind.NATIONAL_ID, "national_id.checksum", digits
        if self._phone(digits):
            return Kind.PHONE, "phone.form", self._value(Kind.PHONE, text, digits)
        if len(digits) == 5 and self.region == "US":
            return Kind.POSTCODE, "postcode.form", digits
        return Kind.RECORD_ID, "record_id.form", digits

    def _phone(self, digits: str) -> bool:
        number = self._parsed(digits)
        return number is not None and phonenumbers.is_possible_number(number)

    def _parsed(self, digits: str) -> phonenumbers.PhoneNumber | None:
        try:
            return phonenumbers.parse(digits, self.region)
        except phonenumbers.NumberParseException:
            return None

    def _value(self, kind: Kind, text: str, digits: str) -> str:
        if kind is not Kind.PHONE:
            return text
        number = self._parsed(digits)
        return digits if number is None else f"+{number.country_code}{number.national_number}"

    def _spelled(
        self, said: Utterance, run: Run, expected: frozenset[Kind]
    ) -> tuple[Kind, str, str] | None:
        """Letters only: a name, unless an acronym or something that was called otherwise."""
        text = run.text
        if len(text) < 3 and not (len(text) == 2 and Kind.NAME in expected):
            return None
        if text in _ACRONYMS or (len(run.atoms) == 1 and len(run.atoms[0].text) < 3):
            return None
        cue = _cue(said, run)
        if cue is not None and cue[0] in (Kind.RECORD_ID, Kind.SECURITY_CODE):
            return cue[0], f"{cue[0].value}.spelled", text
        return Kind.NAME, "name.spelled", text


def _counts(said: Utterance, run: Run) -> bool:
    """Whether the run is a quantity: counted, or with a unit, or money, or a year gone by."""
    before, behind = said.word(run.first - 1), said.word(run.last)
    if len(run.text) >= _WEAK_MIN and not run.atoms[-1].scaled:
        return False
    if before in _MONEY or behind in _UNITS or (behind == "%"):
        return True
    if len(run.atoms) == 1 and run.atoms[0].scaled:
        return _cue(said, run) is None
    year = len(run.digits) == 4 and run.digits[:2] in ("19", "20") and run.text == run.digits
    return year and before in _SINCE and _cue(said, run, DOB_ONLY) is None


DOB_ONLY: Final = frozenset((Kind.DATE_OF_BIRTH,))


def _cue(
    said: Utterance, run: Run, only: frozenset[Kind] = frozenset(Kind)
) -> tuple[Kind, int] | None:
    """What the run was called: the nearest cue before it in its sentence, or right behind it."""
    for at in range(run.first - 1, max(run.first - 1 - _CUE_ATOMS_MAX, -1), -1):
        if said.word(at) in ("?", "!"):
            break
        found = _cue_at(said, at)
        if found is not None and found[0] in only:
            return found
    if said.word(run.last) in ("is", "as", "was", "for"):
        for at in range(run.last + 1, run.last + 5):
            found = _cue_at(said, at)
            if found is not None and found[0] in only:
                return found
    return None


def _cue_at(said: Utterance, at: int) -> tuple[Kind, int] | None:
    """The cue that ends with atom *at*."""
    word = said.word(at)
    return _CUES.get(f"{said.word(at - 1)} {word}") or _CUES.get(word.removesuffix("'s"))
