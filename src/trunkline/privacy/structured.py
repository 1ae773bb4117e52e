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
_ASKED_MIN: Final = 3
_PREFIX_MAX: Final = 4
_SECRET: Final = re.compile(
    r"(?<!\S)(?:password|passphrase|pass word|safe word|secret word|memorable word|security word)"
    r"(?: is| was|'s| would be|:| it's)+ "
    r"((?:(?!(?:and|but|so|for|i|not|wrong|what|the|a|my|it|this|please|expired)(?!\S))\S+ ?){1,6})"
)
"""A word that opens an account; what follows it is taken as it is."""
_CARD_MIN: Final = 13
_CARD_MAX: Final = 19
_IBAN_MIN: Final = 15
_CARD_DIGITS: Final = (15, 16)
"""Of a card that was misheard or misread, so that its checksum fails."""
_Verdict = tuple[Kind, str, str]  # kind, rule, normal form
_BIRTH_ONLY: Final = frozenset((Kind.DATE_OF_BIRTH,))
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
    **_cues(Kind.ACCOUNT, 4, "bank, checking account, savings, bic, swift"),
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
_AROUND: Final = frozenset(("at", "around", "about", "by", "until", "till", "past", "before"))
_CLOCK_DIGITS_MAX: Final = 4
_MONTHS: Final = listed(
    "january february march april may june july august september october november december"
)
_SUMS: Final = listed(
    """
    charged charge charges paid pay paying cost costs owe owed balance total price worth dollars
    bill billed refund refunded credited minutes hours times until after before since ago spent
    withdrew withdrawn deposit deposited transfer transferred limit appointment
    """
)
"""Behind one of these a short number is a sum or a time, whatever was spoken of before it."""
_MONEY: Final = frozenset("$£€")
_SINCE: Final = frozenset(("in", "since", "from", "of", "until", "year", "around", "by", "before"))
_ACRONYMS: Final = listed(
    """
    usa pm am atm id ok dob ssn tv mri uk ct it vip er gp faq ups usps dhl irs dmv pcp hmo ppo
    hsa fsa eta cvv pin abc asap diy gps html wifi sms url pdf ac dc cd dvd icu iv bmw eu un nhs
    ceo hr rsvp aaa aarp amex bic iban vin npi rx ivf ekg ecg adhd ptsd std hiv
    """
)
_POSTCODE: Final = re.compile(r"[a-z]{1,2}\d[a-z\d]?\d[a-z]{2}|[a-z]\d[a-z]\d[a-z]\d")
"""Of the United Kingdom, and of Canada."""
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
                yield said.span(_prefixed(said, run.first), run.last, kind, rule, value)
        for match in said.matches(_SECRET):
            secret = match.groups[0]
            if secret is not None:
                yield said.span(*secret, Kind.SECURITY_CODE, "security_code.word")

    def _judged(self, said: Utterance, run: Run, expected: frozenset[Kind]) -> _Verdict | None:
        own = next((name for name, pattern in self._own if pattern.fullmatch(run.text)), None)
        if own is not None:
            return Kind.RECORD_ID, f"own.{own}", run.text
        if not run.digits:
            return _spelled(said, run, expected)
        proven = _proven(run.text, run.digits)
        if proven is not None or _counts(said, run):
            return proven
        named = self._named(said, run, expected)
        return named or self._by_form(run.text, run.digits)

    def _named(self, said: Utterance, run: Run, expected: frozenset[Kind]) -> _Verdict | None:
        """By what it was called, else by what was asked for."""
        cue, size = _cue(said, run), len(run.text)
        if cue is not None and size >= cue[1]:
            return cue[0], f"{cue[0].value}.cue", self._value(cue[0], run)
        asked = next((kind for kind in _ASKED if kind in expected), None)
        if asked is not None and size >= _ASKED_MIN:
            return asked, f"{asked.value}.asked", self._value(asked, run)
        return None

    def _by_form(self, text: str, digits: str) -> _Verdict | None:
        """What a run is that nothing announced: the first form that fits."""
        alone = text == digits
        check = _NATIONAL.get(self.region, _never)
        american = self.region == "US"
        loose = len(digits) >= _LOOSE_DIGITS_MIN
        forms: tuple[tuple[Kind, str, bool], ...] = (
            (Kind.POSTCODE, "form", bool(_POSTCODE.fullmatch(text))),
            (Kind.NATIONAL_ID, "form", bool(_NINO.fullmatch(text))),
            (
                Kind.RECORD_ID,
                "form",
                not alone and len(text) >= _LOOSE_DIGITS_MIN and len(digits) > 1,
            ),
            (Kind.CARD, "form", alone and len(digits) in _CARD_DIGITS),
            # Ten digits are a telephone number in America, whatever else they could be.
            (
                Kind.NATIONAL_ID,
                "checksum",
                alone and not (american and len(digits) == 10) and check(digits),
            ),
            (Kind.PHONE, "form", alone and loose and self._phone(digits)),
            (Kind.POSTCODE, "form", alone and american and len(digits) == 5),
            (Kind.RECORD_ID, "form", alone and loose),
        )
        for kind, how, fits in forms:
            if fits:
                value = self._number(digits) if kind is Kind.PHONE else text
                return kind, f"{kind.value}.{how}", value
        return None

    def _phone(self, digits: str) -> bool:
        number = self._parsed(digits)
        return number is not None and phonenumbers.is_possible_number(number)

    def _parsed(self, digits: str) -> phonenumbers.PhoneNumber | None:
        try:
            return phonenumbers.parse(digits, self.region)
        except phonenumbers.NumberParseException:
            return None

    def _value(self, kind: Kind, run: Run) -> str:
        return self._number(run.digits) if kind is Kind.PHONE else run.text

    def _number(self, digits: str) -> str:
        number = self._parsed(digits)
        return digits if number is None else f"+{number.country_code}{number.national_number}"


def _prefixed(said: Utterance, first: int) -> int:
    """Where a run begins: with the plus of a country, or the short word of "inv dash two"."""
    before = said.word(first - 1)
    if before in ("+", "plus"):
        return first - 1
    word = said.word(first - 2)
    if before in ("dash", "hyphen", "-") and word.isalpha() and len(word) <= _PREFIX_MAX:
        return first - 2
    return first


def _never(_: str) -> bool:
    return False


def _proven(text: str, digits: str) -> _Verdict | None:
    """By a checksum that hardly anything else passes."""
    if _CARD_MIN <= len(digits) <= _CARD_MAX and luhn.is_valid(digits):
        return Kind.CARD, "card.luhn", digits
    if len(text) >= _IBAN_MIN and iban.is_valid(text.removeprefix("iban")):
        return Kind.ACCOUNT, "account.iban", text
    return None


def _spelled(said: Utterance, run: Run, expected: frozenset[Kind]) -> _Verdict | None:
    """Letters only: a name, unless an acronym or something that was called otherwise."""
    text = run.text
    least = 2 if Kind.NAME in expected else 3
    if len(text) < least or text in _ACRONYMS or (len(run.atoms) == 1 and len(text) < 3):
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
    if before in _MONEY or behind in _UNITS or before in _MONTHS:
        return True
    if before in _AROUND and len(run.text) <= _CLOCK_DIGITS_MAX:
        return True
    if len(run.atoms) == 1 and run.atoms[0].scaled:
        return _cue(said, run) is None
    year = len(run.digits) == 4 and run.digits[:2] in ("19", "20") and run.text == run.digits
    return year and before in _SINCE and _cue(said, run, _BIRTH_ONLY) is None


def _cue(
    said: Utterance, run: Run, only: frozenset[Kind] = frozenset(Kind)
) -> tuple[Kind, int] | None:
    """What the run was called: the nearest cue before it in its sentence, or right behind it."""
    short = len(run.text) < _WEAK_MIN
    for at in range(run.first - 1, max(run.first - 1 - _CUE_ATOMS_MAX, -1), -1):
        if said.word(at) in ("?", "!") or (short and said.word(at) in _SUMS):
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
