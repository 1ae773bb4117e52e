"""The one way to a database: transactions over SQL that SQLite and PostgreSQL both understand.

SQL is written with `?` for parameters and BLOB for bytes. All of it blocks: on a worker it belongs
on a lane. A transaction that writes waits its turn, for at most `BUSY_S`, so that several workers
may share a file. What was committed is durable when the transaction's context is left.
"""

import os
import sqlite3
import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Final, Protocol, cast

from typing_extensions import override

from trunkline.errors import RecordError
from trunkline.records.disk import make_directory, our_errors, sync_directory

BUSY_S: Final = 10.0
"""How long a transaction waits for another process's: a commit takes milliseconds."""

Value = str | int | float | bytes | None
Row = tuple[Value, ...]


class Transaction(Protocol):
    """Statements that take effect together or not at all."""

    def run(self, sql: str, *values: Value) -> list[Row]:
        """Run one statement; its rows."""
        ...


class Database(Protocol):
    """Where the catalogue lives."""

    def transaction(self) -> AbstractContextManager[Transaction]:
        """A transaction: committed when the block ends, rolled back if it raises.

        Raises `RecordError` if the database cannot be used.
        """
        ...

    def close(self) -> None:
        """Give the connection back; idempotent."""
        ...


class SqliteDatabase(Database):
    """The database in the file *path*, made with the statements of *schema* if it is new.

    What is deleted is overwritten (`secure_delete`), and each commit is synchronised before it
    returns. Raises `RecordError` if the file is damaged or cannot be used.
    """

    def __init__(self, path: Path, schema: Sequence[str]) -> None:
        self._path = path
        self._turn = threading.Lock()
        with our_errors(f"cannot make {path.parent}"):
            make_directory(path.parent)
        with self._ours():
            self._connection = sqlite3.connect(
                path, timeout=BUSY_S, isolation_level=None, check_same_thread=False
            )
        try:
            with self._ours():
                path.chmod(0o600)
                for pragma in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
                    self._connection.execute(f"PRAGMA {pragma}")
                self._connection.execute("PRAGMA fullfsync=ON")  # macOS: fsync alone is no barrier
            with self.transaction() as transaction:
                for statement in schema:
                    transaction.run(statement)
        except RecordError:
            self.close()
            raise

    @override
    @contextmanager
    def transaction(self) -> Iterator[Transaction]:
        with self._turn, self._ours():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield _SqliteTransaction(self._connection)
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    def scrub(self) -> None:
        """Empty the write-ahead log, so that what was deleted lies nowhere in it either.

        Raises `RecordError` if a reader holds it: try again when it is gone.
        """
        with self._turn, self._ours():
            busy, _, _ = self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
        if busy:
            raise RecordError(
                f"{self._path}: what was deleted is still in its write-ahead log, because another "
                f"process reads it. Run the same again when that has ended"
            )

    @override
    def close(self) -> None:
        with self._turn:
            self._connection.close()

    @contextmanager
    def _ours(self) -> Iterator[None]:
        try:
            with our_errors(f"cannot use {self._path}"):
                yield
        except sqlite3.DatabaseError as error:
            raise RecordError(f"{self._path}: {_told(error)}") from error


class _SqliteTransaction(Transaction):
    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @override
    def run(self, sql: str, *values: Value) -> list[Row]:
        return cast("list[Row]", self._connection.execute(sql, values).fetchall())


def _told(error: sqlite3.DatabaseError) -> str:
    code = getattr(error, "sqlite_errorname", "")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")):
        return (
            f"the database is damaged ({error}). Nothing was written to it. Put back its last "
            f"backup (`trunkline records restore`); the journals of the calls are files of their "
            f"own and are not touched"
        )
    if code.startswith("SQLITE_FULL"):
        return f"the disk is full ({error}). Nothing of this was written; make room, then go on"
    if code.startswith("SQLITE_BUSY"):
        return f"another process has held the database for {BUSY_S:g} s ({error})"
    return f"the database refused: {error}"


def opened_existing(path: Path) -> SqliteDatabase:
    """The database in *path*; `RecordError` if there is no such file: it is never made."""
    if not path.is_file():
        raise RecordError(f"there is no {path}. Name the directory that the backup was written to")
    return SqliteDatabase(path, ())


def looked_up(path: Path, sql: str, *values: Value) -> list[Row]:
    """The rows of *sql* in the database *path*, which is not changed in any way, also if it lies on
    a volume that cannot be written; `RecordError` if it is missing or damaged."""
    if not path.is_file():
        raise RecordError(f"there is no {path}. Name the directory that the backup was written to")
    with (
        our_errors(f"cannot read {path}"),
        _named(path),
        closing(sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)) as connection,
    ):
        return cast("list[Row]", connection.execute(sql, values).fetchall())


def copied(source: Path, to: Path) -> None:
    """Copy the database *source*, while others use it, to the new file *to*: whole, or not at all.

    The copy is one file and has no log beside it. Raises `RecordError` if *source* is missing or
    damaged, or *to* cannot be written; then *to* is not there.
    """
    if not source.is_file():
        raise RecordError(f"there is no {source}, so it cannot be copied")
    part = to.with_name(f"{to.name}.part")
    try:
        with our_errors(f"cannot copy {source} to {to}"), _named(source):
            os.close(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            with (
                closing(sqlite3.connect(f"{source.resolve().as_uri()}?mode=ro", uri=True)) as old,
                closing(sqlite3.connect(part, isolation_level=None)) as new,
            ):
                new.execute("PRAGMA synchronous=FULL")
                old.backup(new)
                new.execute("PRAGMA journal_mode=DELETE")
                (told,) = new.execute("PRAGMA quick_check(1)").fetchone()
                if told != "ok":
                    raise RecordError(
                        f"{source}: the database is damaged ({told}). It was not copied, and "
                        f"nothing was changed. Put back its last good backup"
                    )
            part.replace(to)
            sync_directory(to.parent)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.DatabaseError as error:
        raise RecordError(f"{path}: {_told(error)}") from error
