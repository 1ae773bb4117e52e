"""Copies of the key table: which there are, and which of them still hold the key of a call.

A copy is what an erasure does not reach by itself. So each is noted when it is made, and an erasure
says which ones still hold the key; it is destroyed in those that are given to it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

import msgspec

from trunkline.errors import RecordError
from trunkline.records.database import Transaction, looked_up, opened_existing
from trunkline.records.fates import Kind, utc
from trunkline.records.keys import Kek, Secrets

TABLE: Final = "keys.sqlite"
SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS key_backup (path TEXT PRIMARY KEY, at DOUBLE PRECISION NOT NULL,"
    " upto BIGINT NOT NULL, strays TEXT NOT NULL)",
)


@dataclass(frozen=True, slots=True)
class KeyCopy:
    """The copy in the directory *path*, made at *at* (seconds since 1970).

    It holds the keys of the calls whose entry is before *upto* of the ledger, but for those that
    were erased by then, and of *strays*: calls that were being filed just then.
    """

    path: Path
    at: float
    upto: int
    strays: tuple[str, ...] = ()

    def note(self, transaction: Transaction) -> None:
        """Remember it."""
        strays = msgspec.json.encode(self.strays).decode()
        transaction.run("DELETE FROM key_backup WHERE path = ?", str(self.path))
        transaction.run(
            "INSERT INTO key_backup VALUES (?, ?, ?, ?)", str(self.path), self.at, self.upto, strays
        )

    def left(self, call: str, place: int, kind: Kind, kek: Kek) -> str:
        """What is left in it of a key of *call*, erased as *kind*: a sentence, empty if nothing."""
        if place >= self.upto and call not in self.strays:
            return ""
        made = f"the copy of the keys in {self.path}, made at {utc(self.at)},"
        if not (self.path / TABLE).is_file():
            return f"{made} is not there: wherever it is, if it still is, it holds the key"
        try:
            if not _holds(self.path / TABLE, call, kind, kek):
                return ""
        except RecordError as error:
            return f"{made} cannot be searched for the key: {error}"
        return f"{made} still holds the key: give it with --backup {self.path}"


def copies(transaction: Transaction) -> list[KeyCopy]:
    """All that are known, oldest first."""
    rows = transaction.run("SELECT path, at, upto, strays FROM key_backup ORDER BY at")
    return [
        KeyCopy(
            Path(str(path)),
            cast("float", at),
            cast("int", upto),
            tuple(msgspec.json.decode(str(strays), type=Sequence[str])),
        )
        for path, at, upto, strays in rows
    ]


def destroy_in(directory: Path, calls: Sequence[str], kind: Kind, kek: Kek) -> None:
    """Destroy what *kind* destroys of *calls* in the copy in *directory*, too.

    Raises `RecordError` if there is none, or it cannot be written.
    """
    secrets = Secrets(kek, opened_existing(directory / TABLE))
    try:
        if kind is Kind.SILENCED:
            for call in calls:
                secrets.silence(call)
        else:
            secrets.destroy(*calls)
    finally:
        secrets.close()


def calls_in(table: Path) -> set[str]:
    """The calls whose keys are in the copy *table*."""
    return {str(call) for (call,) in looked_up(table, "SELECT call FROM call_key")}


def _holds(table: Path, call: str, kind: Kind, kek: Kek) -> bool:
    rows = looked_up(table, "SELECT wrapped FROM call_key WHERE call = ?", call)
    if not rows or kind is not Kind.SILENCED:
        return bool(rows)
    return kek.unwrap(call, cast("bytes", rows[0][0])).voice is not None
