"""What befell calls after they were filed: held, released, erased, their recording erased.

Each is an entry of the ledger, which says of which entry, what, and when, and nothing personal;
and a row beside it, which says who did it and why. Both are made in one transaction. What a call's
state is now follows from its rows: there is no flag that could disagree with them.

An erasure is more than its entry, so its row says how far it has come (`Step`); whoever opens the
archive next goes on with one that was broken off.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import IntEnum, StrEnum
from typing import Final, cast

from trunkline.records.database import Row, Transaction
from trunkline.records.ledger import Ledger
from trunkline.records.note import Checkpoint

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS fate (place BIGINT PRIMARY KEY, call TEXT NOT NULL,"
    " kind TEXT NOT NULL, at DOUBLE PRECISION NOT NULL, who TEXT NOT NULL, reason TEXT NOT NULL,"
    " done INTEGER NOT NULL)",
    "CREATE INDEX IF NOT EXISTS fate_of_call ON fate (call, place)",
    "CREATE INDEX IF NOT EXISTS fate_to_do ON fate (done, place)",
)
_COLUMNS: Final = "place, call, kind, at, who, reason, done"


class Kind(StrEnum):
    """What befell a call; the words are those of the ledger."""

    HELD = "held"
    RELEASED = "released"
    ERASED = "erased"
    SILENCED = "recording_erased"


class Step(IntEnum):
    """How far it has come: entered; its keys destroyed; nothing left to do."""

    BEGUN = 0
    UNREADABLE = 1
    DONE = 2


@dataclass(frozen=True, slots=True)
class Fate:
    """*kind* befell *call* at *at* (seconds since 1970); *place* is its entry of the ledger."""

    place: int
    call: str
    kind: Kind
    at: float
    who: str
    reason: str
    step: Step

    @property
    def told(self) -> str:
        """When, by whom and why, in words."""
        why = f": {self.reason}" if self.reason else ""
        return f"{self.kind.replace('_', ' ')} at {utc(self.at)} by {self.who}{why}"


@dataclass(frozen=True, slots=True)
class State:
    """All that befell a call, oldest first, and what follows from it."""

    fates: tuple[Fate, ...] = ()

    @property
    def held(self) -> Fate | None:
        """The hold that is on it; None if there is none."""
        holds = [it for it in self.fates if it.kind in {Kind.HELD, Kind.RELEASED}]
        return holds[-1] if holds and holds[-1].kind is Kind.HELD else None

    @property
    def erased(self) -> Fate | None:
        """Its erasure."""
        return next((it for it in self.fates if it.kind is Kind.ERASED), None)

    @property
    def silenced(self) -> Fate | None:
        """The erasure of its recording alone."""
        return next((it for it in self.fates if it.kind is Kind.SILENCED), None)


def state_of(transaction: Transaction, call: str) -> State:
    """All that befell *call*."""
    rows = transaction.run(f"SELECT {_COLUMNS} FROM fate WHERE call = ? ORDER BY place", call)  # noqa: S608  # our own columns
    return State(tuple(_fates(rows)))


def to_do(transaction: Transaction, count: int) -> list[Fate]:
    """*count* of those that something is still to be done for, oldest first."""
    rows = transaction.run(
        f"SELECT {_COLUMNS} FROM fate WHERE done < ? ORDER BY place LIMIT ?",  # noqa: S608  # our own columns
        int(Step.DONE),
        count,
    )
    return list(_fates(rows))


def enter(transaction: Transaction, ledger: Ledger, of: int, fate: Fate) -> tuple[Fate, Checkpoint]:
    """Enter *fate* (its place is not known yet) of the call whose entry is *of*.

    Publish the checkpoint once the transaction is committed.
    """
    entry = {"v": 1, "type": fate.kind.value, "of": of, "at": utc(fate.at)}
    checkpoint = ledger.add(transaction, entry)
    place = checkpoint.size - 1
    transaction.run(
        "INSERT INTO fate VALUES (?, ?, ?, ?, ?, ?, ?)",
        *(place, fate.call, fate.kind.value, fate.at, fate.who, fate.reason, int(fate.step)),
    )
    return Fate(place, fate.call, fate.kind, fate.at, fate.who, fate.reason, fate.step), checkpoint


def reached(transaction: Transaction, fate: Fate, step: Step) -> None:
    """*fate* has come as far as *step*."""
    transaction.run("UPDATE fate SET done = ? WHERE place = ?", int(step), fate.place)


def utc(at: float) -> str:
    """Seconds since 1970 as ISO 8601, UTC, to the second."""
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def seconds(told: str) -> float:
    """The other way; `ValueError` if *told* is no such time."""
    return datetime.strptime(told, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC).timestamp()


def _fates(rows: Iterable[Row]) -> Iterable[Fate]:
    for place, call, kind, at, who, reason, done in rows:
        yield Fate(
            cast("int", place),
            str(call),
            Kind(str(kind)),
            cast("float", at),
            str(who),
            str(reason),
            Step(cast("int", done)),
        )
