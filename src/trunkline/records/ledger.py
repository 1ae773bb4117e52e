"""The ledger: what there is of records, in an order that nobody can change unseen.

A Merkle tree (`records.merkle`) over entries of canonical JSON. An entry holds no personal data and
nothing that could be guessed from it: of a call, only a commitment, the HMAC of facts about its
journal under a salt that lies with the call's key. Who destroys both, erases the call, and every
proof still verifies.

Each append is one transaction with its checkpoint, signed; the latest is also written to a file
beside the database. That file, and any checkpoint that somebody keeps (an auditor, a time-stamping
authority), show whether the ledger was later rolled back or rewritten. A ledger that is behind its
own checkpoint refuses to go on.
"""

import hashlib
import hmac
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, cast

import msgspec

from trunkline.errors import InputError, RecordError
from trunkline.records import merkle
from trunkline.records.database import Database, Transaction
from trunkline.records.disk import our_errors, publish
from trunkline.records.note import Checkpoint, Signer, proof, read_checkpoint

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS ledger_entry (place BIGINT PRIMARY KEY, entry BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS ledger_node (level INTEGER, place BIGINT, hash BLOB NOT NULL,"
    " PRIMARY KEY (level, place))",
    "CREATE TABLE IF NOT EXISTS ledger_checkpoint (size BIGINT PRIMARY KEY, note TEXT NOT NULL)",
)
ENTRY_BYTES_MAX: Final = 4096
"""An entry is a commitment and some words; C2SP tiles would take 65,535."""

_encoder: Final = msgspec.json.Encoder(order="sorted")


@dataclass(frozen=True, slots=True)
class Facts:
    """What a call's entry commits to.

    *journal_sha256*, *bytes*: of the sealed journal, as the file lies there; *events*: in it;
    *kc*, *vc*: the commitments to the keys that it and its recording are sealed with ("": none).
    """

    call: str
    journal_sha256: str
    bytes: int
    events: int
    kc: str = ""
    vc: str = ""


@dataclass(frozen=True, slots=True)
class Inclusion:
    """That *entry* is at *index* of the ledger: *proof* is a C2SP tlog-proof."""

    index: int
    entry: bytes
    proof: str


def canonical(fields: Mapping[str, object]) -> bytes:
    """*fields* as canonical JSON: keys sorted, no spaces."""
    return _encoder.encode(fields)


def commitment(facts: Facts, salt: bytes) -> str:
    """HMAC-SHA256 of *facts* under *salt*, hexadecimal: without the salt it tells nothing."""
    return hmac.new(salt, canonical(asdict(facts)), hashlib.sha256).hexdigest()


def call_entry(facts: Facts, salt: bytes) -> dict[str, object]:
    """The entry of a sealed call."""
    return {"v": 1, "type": "call", "commitment": commitment(facts, salt)}


class Ledger:
    """The ledger in *database* (which has the tables of `SCHEMA`), signed by *signer*.

    *checkpoint* is where the latest checkpoint is published. Raises `RecordError` if the database
    is behind it, or of another ledger. All methods block.
    """

    def __init__(self, database: Database, signer: Signer, checkpoint: Path) -> None:
        self._database, self._signer, self._path = database, signer, checkpoint
        with database.transaction() as transaction:
            self._check(transaction)

    def append(self, *entries: Mapping[str, object]) -> Checkpoint:
        """Add *entries*, in order; durable, and signed, when it returns.

        Their indexes are the last ones before the checkpoint's size. Raises `RecordError` if the
        ledger cannot be written.
        """
        with self._database.transaction() as transaction:
            checkpoint = self.add(transaction, *entries)
        self.publish(checkpoint)
        return checkpoint

    def add(self, transaction: Transaction, *entries: Mapping[str, object]) -> Checkpoint:
        """The same as a part of *transaction*; `publish` what it returns once that is committed."""
        size = _size(transaction)
        for fields in entries:
            entry = canonical(fields)
            if len(entry) > ENTRY_BYTES_MAX:
                raise InputError(
                    f"an entry of {len(entry)} bytes does not belong in a ledger: at most "
                    f"{ENTRY_BYTES_MAX}. Put the text into a record and commit to it"
                )
            transaction.run("INSERT INTO ledger_entry VALUES (?, ?)", size, entry)
            lookup = _Lookup(transaction)
            for level, place, value in merkle.grown(size, merkle.leaf_hash(entry), lookup):
                transaction.run("INSERT INTO ledger_node VALUES (?, ?, ?)", level, place, value)
            size += 1
        return self._signed(transaction, size)

    def publish(self, checkpoint: Checkpoint) -> None:
        """Write *checkpoint* to the file, unless that is further on (another worker's)."""
        if checkpoint.size >= self._published():
            with our_errors(f"cannot write {self._path}"):
                publish(self._path, [checkpoint.note.encode()])

    def checkpoint(self) -> Checkpoint:
        """The latest checkpoint."""
        with self._database.transaction() as transaction:
            return self._signed(transaction, _size(transaction))

    def entries(self, start: int = 0, count: int = 1000) -> list[bytes]:
        """*count* entries from index *start* on, as they lie there."""
        with self._database.transaction() as transaction:
            rows = transaction.run(
                "SELECT entry FROM ledger_entry WHERE place >= ? AND place < ? ORDER BY place",
                start,
                start + count,
            )
        return [bytes(cast("bytes", entry)) for (entry,) in rows]

    def prove(self, *indexes: int) -> list[Inclusion]:
        """That the entries *indexes* are in the ledger, all of them against the latest checkpoint.

        Raises `InputError` if there is no such entry.
        """
        with self._database.transaction() as transaction:
            checkpoint = self._signed(transaction, _size(transaction))
            lookup = _Lookup(transaction)
            proven = []
            for index in indexes:
                path = merkle.inclusion(index, checkpoint.size, lookup)
                rows = transaction.run("SELECT entry FROM ledger_entry WHERE place = ?", index)
                entry = bytes(cast("bytes", rows[0][0]))
                proven.append(Inclusion(index, entry, proof(index, path, checkpoint)))
        return proven

    def audit(self) -> int:
        """Hash all entries anew, and hold them against the tree; how many there are.

        Raises `RecordError`, naming the entry, if one was changed or is missing.
        """
        start = 0
        while entries := self.entries(start):
            with self._database.transaction() as transaction:
                lookup = _Lookup(transaction)
                for index, entry in enumerate(entries, start):
                    nodes = merkle.grown(index, merkle.leaf_hash(entry), lookup)
                    if any(lookup(level, place) != value for level, place, value in nodes):
                        raise RecordError(
                            f"entry {index} of the ledger was changed, or the tree above it. Put "
                            f"back a backup whose entries fit the checkpoint {self._path}"
                        )
            start += len(entries)
        return start

    def size(self, transaction: Transaction) -> int:
        """How many entries there are."""
        return _size(transaction)

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def grown_from(self, old: int) -> list[bytes]:
        """The proof that the latest checkpoint goes on from the one of *old* entries."""
        with self._database.transaction() as transaction:
            return merkle.consistency(old, _size(transaction), _Lookup(transaction))

    def _signed(self, transaction: Transaction, size: int) -> Checkpoint:
        rows = transaction.run("SELECT note FROM ledger_checkpoint WHERE size = ?", size)
        if rows:
            return read_checkpoint(str(rows[0][0]))
        checkpoint = self._signer.sign(size, merkle.root(size, _Lookup(transaction)))
        transaction.run("INSERT INTO ledger_checkpoint VALUES (?, ?)", size, checkpoint.note)
        return checkpoint

    def _published(self) -> int:
        with our_errors(f"cannot read {self._path}"):
            try:
                return read_checkpoint(self._path.read_text("utf-8", "replace")).size
            except FileNotFoundError:
                return 0

    def _check(self, transaction: Transaction) -> None:
        size = _size(transaction)
        published = self._published()
        if size < published:
            raise RecordError(
                f"the ledger has {size} entries, its checkpoint {self._path} says {published}: it "
                f"was rolled back. If a backup was put back, put back a newer one, or start a new "
                f"ledger under another name and keep this one as it is"
            )
        if published:
            told = read_checkpoint(self._path.read_text("utf-8", "replace"))
            if told.origin != self._signer.origin:
                raise RecordError(
                    f"the ledger here is called {told.origin!r}, the configuration says "
                    f"{self._signer.origin!r}: a ledger keeps its name"
                )
            if merkle.root(published, _Lookup(transaction)) != told.root:
                raise RecordError(
                    f"the first {published} entries of the ledger are not those that its "
                    f"checkpoint {self._path} was signed for: they were changed"
                )


class _Lookup:
    """Hashes of complete subtrees, from the database."""

    def __init__(self, transaction: Transaction) -> None:
        self._transaction = transaction

    def __call__(self, level: int, place: int) -> bytes:
        rows = self._transaction.run(
            "SELECT hash FROM ledger_node WHERE level = ? AND place = ?", level, place
        )
        if not rows:
            raise RecordError(f"the ledger is damaged: node {place} of level {level} is not there")
        return bytes(cast("bytes", rows[0][0]))


def _size(transaction: Transaction) -> int:
    (row,) = transaction.run("SELECT COALESCE(MAX(place) + 1, 0) FROM ledger_entry")
    return int(cast("int", row[0]))
