"""Finding the calls of a person: by reading them all, because there is no index of people.

An index of callers' numbers would have to be readable, or keyed: one computer of whoever has the
key tries ten billion numbers in a day. It would outlive the calls in every backup. So journals are
opened one by one, and only what was asked for is looked for: a number, as digits or as spoken, or
any other text that is known of the person, in what was said, asked, answered and done.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from trunkline.errors import InputError, RecordError
from trunkline.records.store import Store, StoredCall
from trunkline.types import Event

_DIGITS_MIN: Final = 7
_NUMBER_DIGITS: Final = 10
"""Without the country's code, which callers leave out."""
_TEXT_MIN: Final = 4
_NAMES: Final = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_SPOKEN: Final = {name: str(digit) for digit, name in enumerate(_NAMES)} | {"oh": "0", "o": "0"}
_TWICE: Final = {"double": 2, "triple": 3}
_TOKEN: Final = re.compile(r"[0-9]+|[^\W\d_]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A call in which the person was found, in events of the types *within*; or an *error*: the
    call cannot be read, so what is in it is not known."""

    stored: StoredCall
    within: tuple[str, ...] = ()
    error: str = ""


def search(
    store: Store,
    value: str,
    *,
    wanted: Callable[[StoredCall], bool] = lambda _: True,
    progress: Callable[[int], None] = lambda _: None,
) -> Iterator[Found]:
    """The calls of *store* that hold *value*, oldest day first; one is in memory at a time.

    *progress* is told how many were read. Raises `InputError` if *value* is too short to mean one
    person.
    """
    matches = matcher(value)
    for number, stored in enumerate(filter(wanted, store.list_calls()), 1):
        try:
            within = sorted({event.type for event in stored.events if _holds(event, matches)})
        except RecordError as error:
            yield Found(stored, error=str(error))
        else:
            if within:
                yield Found(stored, tuple(within))
        stored.__dict__.pop("events", None)
        progress(number)


def matcher(value: str) -> Callable[[str], bool]:
    """Whether a text holds *value*: a number however it is written or spoken, or other text in
    whatever case and spacing."""
    digits = re.sub(r"[\s().+/-]", "", value)
    if digits.isdecimal():
        if len(digits) < _DIGITS_MIN:
            raise InputError(
                f"a number of {len(digits)} digits means many people: give at least {_DIGITS_MIN}"
            )
        tail = digits[-_NUMBER_DIGITS:]
        return lambda text: any(run.endswith(tail) for run in _numbers(text))
    known = " ".join(value.casefold().split())
    if len(known) < _TEXT_MIN:
        raise InputError(f"{value!r} means many people: give at least {_TEXT_MIN} characters")
    return lambda text: known in " ".join(text.casefold().split())


def recipients(events: Sequence[Event]) -> list[dict[str, str]]:
    """To whom what of the call was sent: endpoint, destination and data class, each once."""
    keys = ("endpoint", "destination", "data_class")
    told = {
        tuple(str(event.data.get(key, "")) for key in keys)
        for event in events
        if event.type == "egress" and event.data.get("allowed")
    }
    return [dict(zip(keys, one, strict=True)) for one in sorted(told)]


def _holds(event: Event, matches: Callable[[str], bool]) -> bool:
    return any(matches(text) for text in _texts(event.data))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _texts(item)


def _numbers(text: str) -> Iterator[str]:
    """Runs of digits, written or spoken, with nothing but signs and spaces between them."""
    run, times = "", 1
    for token in _TOKEN.findall(text.casefold()):
        if token in _TWICE:
            times = _TWICE[token]
            continue
        digits = token if token.isdecimal() else _SPOKEN.get(token, "")
        if not digits and run:
            yield run
            run = ""
        run += digits[:1] * (times - 1) + digits
        times = 1
    if run:
        yield run
