"""How long records are kept, and which of them are due."""

import re
from dataclasses import dataclass
from typing import Final, cast

from trunkline.errors import InputError, RecordError
from trunkline.records.database import Database
from trunkline.records.fates import Kind, utc

CLOCK_SLACK_S: Final = 60.0
"""Clocks of machines that file into one catalogue differ by less."""
_DUE: Final = (
    "SELECT call FROM call WHERE ended < ? AND NOT EXISTS (SELECT 1 FROM fate WHERE"
    " fate.call = call.call AND fate.kind IN (?, ?)) AND COALESCE((SELECT kind FROM fate WHERE"
    " fate.call = call.call AND fate.kind IN (?, ?) ORDER BY place DESC LIMIT 1), ?) = ?"
    " ORDER BY ended LIMIT ?"
)
_AGE: Final = re.compile(r"([1-9][0-9]{0,4})([hdwy])", re.ASCII)
_UNIT_S: Final = {"h": 3600.0, "d": 86_400.0, "w": 7 * 86_400.0, "y": 365 * 86_400.0}


@dataclass(frozen=True, slots=True)
class Retention:
    """How old, in seconds since its end, a recording and a whole call may become (None: any)."""

    recording_s: float | None = None
    everything_s: float | None = None


@dataclass(frozen=True, slots=True)
class Expiry:
    """What a pass erased, or would have: *erased*, *silenced* (recordings). *held*: what it passed
    over because of holds (at most `PASS` are named). *more*: another pass would erase more."""

    erased: tuple[str, ...]
    silenced: tuple[str, ...]
    held: tuple[str, ...]
    more: bool
    left: tuple[str, ...] = ()


def age_s(told: str) -> float:
    """An age such as 30d, in seconds: a number and h, d, w or y (365 days).

    Raises `InputError` if it is none.
    """
    match = _AGE.fullmatch(told)
    if match is None:
        raise InputError(f"{told!r} is no age: write a number and h, d, w or y, such as 30d")
    return int(match[1]) * _UNIT_S[match[2]]


def due(
    catalogue: Database, kind: Kind, age_s: float | None, now: float, count: int
) -> tuple[list[str], list[str]]:
    """Calls that ended longer than *age_s* before *now*: those to be erased, and those held; at
    most *count* of each, the oldest first.

    Raises `RecordError` if *now* is before the end of the newest call.
    """
    if age_s is None:
        return [], []
    with catalogue.transaction() as transaction:
        newest = transaction.run("SELECT ended, call FROM call ORDER BY ended DESC LIMIT 1")
        for ended, call in newest:
            _check_clock(now, cast("float", ended), str(call))
        also = Kind.ERASED if kind is Kind.SILENCED else kind
        fates = (kind.value, also.value, Kind.HELD.value, Kind.RELEASED.value, Kind.RELEASED.value)
        found = [
            [str(call) for (call,) in transaction.run(_DUE, now - age_s, *fates, which, count)]
            for which in (Kind.RELEASED.value, Kind.HELD.value)
        ]
    return found[0], found[1]


def _check_clock(now: float, newest: float, call: str) -> None:
    if newest > now + CLOCK_SLACK_S:
        raise RecordError(
            f"nothing is expired: this machine's clock says {utc(now)}, and call {call} ended at "
            f"{utc(newest)}. One of the two clocks was wrong: set this one, or erase that call"
        )
