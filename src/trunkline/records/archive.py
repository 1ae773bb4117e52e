"""What a directory of records has beside journals: keys, a catalogue, and the ledger.

    keys.sqlite        the wrapped secrets of the calls
    catalogue.sqlite   one row a sealed call; the ledger; what befell calls, and who read them
    checkpoint         the latest checkpoint of the ledger
    ledger.pub         the key that verifies it
    erased.jsonl       which calls were erased, for who puts back an older backup

A call is filed once its journal lies there, in one transaction: its row, and its entry of the
ledger. A worker that dies between the two leaves a journal that is not filed; whoever opens the
archive next files it (`file_missing`). The key lies in its table before the journal has its name.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, cast

import msgspec

from trunkline.errors import RecordError
from trunkline.records import access, fates, keycopies, ledger
from trunkline.records.database import Database, Row, SqliteDatabase
from trunkline.records.disk import our_errors, publish
from trunkline.records.fates import State, state_of
from trunkline.records.keycopies import TABLE
from trunkline.records.keys import SCHEMA as KEYS
from trunkline.records.keys import Kek, Secrets
from trunkline.records.ledger import Facts, Ledger, call_entry
from trunkline.records.note import Signer

SCHEMA: Final = (
    *ledger.SCHEMA,
    *fates.SCHEMA,
    *keycopies.SCHEMA,
    *access.SCHEMA,
    "CREATE TABLE IF NOT EXISTS call (call TEXT PRIMARY KEY, day TEXT NOT NULL,"
    " started DOUBLE PRECISION NOT NULL, ended DOUBLE PRECISION NOT NULL,"
    " events INTEGER NOT NULL, bytes BIGINT NOT NULL, sha256 TEXT NOT NULL, kc TEXT NOT NULL,"
    " vc TEXT NOT NULL, place BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS call_ended ON call (ended)",
)
CATALOGUE: Final = "catalogue.sqlite"
CHECKPOINT: Final = "checkpoint"
_FILED: Final = "SELECT call, sha256, bytes, events, kc, vc, day, started, ended, place FROM call"


@dataclass(frozen=True, slots=True)
class Filed:
    """A call as the catalogue has it. *started*, *ended*: seconds since 1970; *place*: its entry
    of the ledger."""

    facts: Facts
    day: str
    started: float
    ended: float
    place: int


@dataclass(frozen=True, slots=True)
class ArchiveKeys:
    """What it takes to open an archive: the key-encryption key, and the ledger's name and key."""

    kek: Kek
    origin: str
    signing: bytes = field(repr=False)

    def open(self, directory: Path) -> "Archive":
        """The archive in *directory*; `RecordError` if it is damaged or was rolled back."""
        return Archive(directory, self.kek, Signer(self.origin, self.signing))

    def line(self) -> bytes:
        """As a line for a child process's standard input."""
        told = {"kek": self.kek.secret, "origin": self.origin, "signing": self.signing}
        return msgspec.json.encode(told)

    @staticmethod
    def of_line(line: bytes) -> "ArchiveKeys":
        """From such a line."""
        told = msgspec.json.decode(line, type=_Line)
        return ArchiveKeys(Kek(told.kek), told.origin, told.signing)


class _Line(msgspec.Struct):
    kek: bytes
    origin: str
    signing: bytes


class Archive:
    """The archive in *directory*: secrets under *kek*, a ledger signed by *signer*. Blocks.

    Raises `RecordError` if a database is damaged or the ledger was rolled back.
    """

    def __init__(self, directory: Path, kek: Kek, signer: Signer) -> None:
        self.directory = directory
        self.catalogue: Database = SqliteDatabase(directory / CATALOGUE, SCHEMA)
        try:
            self.secrets = Secrets(kek, SqliteDatabase(directory / TABLE, KEYS))
        except RecordError:
            self.catalogue.close()
            raise
        self.verifier_key = signer.verifier_key
        try:
            self.ledger = Ledger(self.catalogue, signer, directory / CHECKPOINT)
            with our_errors(f"cannot write {directory / 'ledger.pub'}"):
                publish(directory / "ledger.pub", [signer.verifier_key.encode() + b"\n"])
        except RecordError:
            self.close()
            raise

    def file(self, facts: Facts, day: str, started: float, ended: float) -> None:
        """Enter a call whose journal lies there; again is as well as once.

        Raises `RecordError` if its secret is not in the table: nothing could prove it then.
        """
        secret = self.secrets.of(facts.call)
        if secret is None:
            raise RecordError(f"call {facts.call} cannot be filed: its key is not in the key table")
        with self.catalogue.transaction() as transaction:
            if transaction.run("SELECT 1 FROM call WHERE call = ?", facts.call):
                return
            checkpoint = self.ledger.add(transaction, call_entry(facts, secret.salt))
            transaction.run(
                "INSERT INTO call VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                *(facts.call, day, started, ended),
                *(facts.events, facts.bytes, facts.journal_sha256, facts.kc, facts.vc),
                checkpoint.size - 1,
            )
        self.ledger.publish(checkpoint)

    def filed(self, call: str) -> Filed | None:
        """The row of *call*; None if it was never filed."""
        with self.catalogue.transaction() as transaction:
            rows = transaction.run(f"{_FILED} WHERE call = ?", call)
        return _filed(rows[0]) if rows else None

    def all_filed(self) -> list[Filed]:
        """All calls, oldest first: those that were erased too."""
        with self.catalogue.transaction() as transaction:
            return [_filed(row) for row in transaction.run(f"{_FILED} ORDER BY started, place")]

    def state(self, call: str) -> State:
        """What befell *call*."""
        with self.catalogue.transaction() as transaction:
            return state_of(transaction, call)

    def filed_on(self, day: str) -> set[str]:
        """The calls of *day* that are filed."""
        with self.catalogue.transaction() as transaction:
            return {
                str(call) for (call,) in transaction.run("SELECT call FROM call WHERE day = ?", day)
            }

    def close(self) -> None:
        """Close the databases; idempotent."""
        self.catalogue.close()
        self.secrets.close()


def _filed(row: Row) -> Filed:
    name, sha256, size, events, kc, vc, day, started, ended, place = row
    facts = Facts(str(name), str(sha256), cast("int", size), cast("int", events), str(kc), str(vc))
    return Filed(facts, str(day), cast("float", started), cast("float", ended), cast("int", place))
