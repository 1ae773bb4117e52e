"""Keys of calls: made with the call, wrapped by a key-encryption key, destroyed with the call.

A call's secret is random. Before its first payload is durable its wrapped form is too: it is the
first record of the call in the worker's log, and when the call is sealed it moves to the key table
(`keys.sqlite`). It never lies in the journal. So who destroys the row (and has no old copy of the
table) has erased the call wherever its ciphertext lies, and keeping copies of the table is a
decision of its own: see `docs/records.md`.

The key-encryption key comes from a file, from the environment, or from a program that prints it,
which is how a key management service or a hardware module is asked, once when a worker starts.
"""

import hashlib
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, cast

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from trunkline.errors import RecordError
from trunkline.records import envelope as wire
from trunkline.records.database import Database, SqliteDatabase
from trunkline.records.disk import make_directory, our_errors, publish_once
from trunkline.records.sealing import KEY_BYTES, NONCE_BYTES, CallSecret
from trunkline.types import CallId

SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS call_key"
    " (call TEXT PRIMARY KEY, kek TEXT NOT NULL, wrapped BLOB NOT NULL)",
)
COMMAND_S: Final = 20.0
"""How long a program may take to print the key: a service far away answers in a second."""


@dataclass(frozen=True, slots=True)
class Kek:
    """A key-encryption key, called by its *id*: a hash of it, which tells nothing of it."""

    secret: bytes = field(repr=False)
    id: str = field(init=False)

    def __post_init__(self) -> None:
        told = hashlib.sha256(b"trunkline key-encryption key\0" + self.secret).hexdigest()
        object.__setattr__(self, "id", told[:16])

    def wrap(self, call: str, secret: CallSecret) -> bytes:
        """*secret* of *call*, sealed under this key."""
        nonce = os.urandom(NONCE_BYTES)
        whole = secret.key + secret.salt + (secret.voice or b"")
        return nonce + AESGCM(self.secret).encrypt(nonce, whole, call.encode())

    def unwrap(self, call: str, wrapped: bytes) -> CallSecret:
        """The secret of *call*; `RecordError` if this key did not wrap it, or not for that call."""
        try:
            whole = AESGCM(self.secret).decrypt(
                wrapped[:NONCE_BYTES], wrapped[NONCE_BYTES:], call.encode()
            )
        except (InvalidTag, ValueError) as error:
            raise RecordError(
                f"the key of call {call} does not open with key-encryption key {self.id}: it was "
                f"changed, or moved here from another call"
            ) from error
        key, salt, voice = (whole[at : at + KEY_BYTES] for at in (0, KEY_BYTES, 2 * KEY_BYTES))
        return CallSecret(key, salt, voice or None)


class Wrapped(msgspec.Struct, frozen=True):
    """A call's secret as it is kept: *wrapped* under the key-encryption key *kek*."""

    kek: str
    wrapped: bytes

    def record(self, call: CallId) -> bytes:
        """As a record of the worker's log."""
        return wire.record_head(wire.KEY, call) + msgspec.json.encode(self)

    @staticmethod
    def of_record(content: bytes) -> "Wrapped":
        """From a record's content; `RecordError` if it is none."""
        try:
            return msgspec.json.decode(content, type=Wrapped)
        except msgspec.MsgspecError as error:
            raise RecordError(f"the record of a call's key cannot be read: {error}") from error


class Secrets:
    """The secrets of the calls whose keys lie in *database*, under *kek*. Methods block."""

    def __init__(self, kek: Kek, database: Database) -> None:
        self.kek, self._database = kek, database

    def make(self, call: CallId) -> tuple[CallSecret, Wrapped]:
        """The secret of a new *call*, and how it is kept; touches no disk."""
        secret = CallSecret.make()
        return secret, Wrapped(self.kek.id, self.kek.wrap(call, secret))

    def open(self, call: str, wrapped: Wrapped) -> CallSecret:
        """The secret of *call*; `RecordError` if our key-encryption key is another one."""
        if wrapped.kek != self.kek.id:
            raise RecordError(
                f"call {call} is sealed under key-encryption key {wrapped.kek}; the one that was "
                f"given is {self.kek.id}. Give that one (records.key_file, key_env or key_command)"
            )
        return self.kek.unwrap(call, wrapped.wrapped)

    def keep(self, call: CallId, wrapped: Wrapped) -> None:
        """Put *wrapped* into the table, durably; again is as well as once."""
        with self._database.transaction() as transaction:
            transaction.run(
                "INSERT INTO call_key VALUES (?, ?, ?) ON CONFLICT (call) DO NOTHING",
                call,
                wrapped.kek,
                wrapped.wrapped,
            )

    def kept(self, call: str) -> Wrapped | None:
        """How the secret of *call* is kept; None if it was destroyed, or never was."""
        with self._database.transaction() as transaction:
            rows = transaction.run("SELECT kek, wrapped FROM call_key WHERE call = ?", call)
        return Wrapped(str(rows[0][0]), bytes(cast("bytes", rows[0][1]))) if rows else None

    def calls(self) -> set[str]:
        """The calls whose secrets are in the table."""
        with self._database.transaction() as transaction:
            return {str(call) for (call,) in transaction.run("SELECT call FROM call_key")}

    def of(self, call: str) -> CallSecret | None:
        """The secret of *call*; None if it was destroyed, or never was."""
        wrapped = self.kept(call)
        return None if wrapped is None else self.open(call, wrapped)

    def destroy(self, *calls: str) -> None:
        """Delete the rows of *calls*, overwritten where they lay: nobody opens their journals.

        Raises `RecordError` if they are deleted and still lie in the database's log: do it again.
        """
        with self._database.transaction() as transaction:
            for call in calls:
                transaction.run("DELETE FROM call_key WHERE call = ?", call)
        self._scrub()

    def silence(self, call: str) -> bool:
        """Destroy the key of the recording of *call*, and keep the rest; False if there is none."""
        secret = self.of(call)
        if secret is None or secret.voice is None:
            self._scrub()  # whoever did it may have died before that
            return False
        with self._database.transaction() as transaction:
            transaction.run(
                "UPDATE call_key SET wrapped = ? WHERE call = ?",
                self.kek.wrap(call, replace(secret, voice=None)),
                call,
            )
        self._scrub()
        return True

    def _scrub(self) -> None:
        """What was overwritten must lie in no log of the database either."""
        if isinstance(self._database, SqliteDatabase):
            self._database.scrub()

    def rewrap(self, kek: Kek) -> int:
        """Wrap all secrets under *kek* instead, in one transaction; how many there were."""
        with self._database.transaction() as transaction:
            rows = transaction.run("SELECT call, kek, wrapped FROM call_key")
            for call, old, wrapped in rows:
                kept = Wrapped(str(old), bytes(cast("bytes", wrapped)))
                secret = self.open(str(call), kept)
                transaction.run(
                    "UPDATE call_key SET kek = ?, wrapped = ? WHERE call = ?",
                    kek.id,
                    kek.wrap(str(call), secret),
                    call,
                )
        self.kek = kek
        self._scrub()
        return len(rows)

    def close(self) -> None:
        """Close the table."""
        self._database.close()


def kek_of_file(path: Path, *, make: bool = False) -> Kek:
    """The key in *path* (64 hexadecimal digits). *make*: made there if there is no such file."""
    with our_errors(f"cannot read the key-encryption key {path}"):
        if make and not path.exists():
            make_directory(path.parent)
            publish_once(path, [os.urandom(KEY_BYTES).hex().encode() + b"\n"])
        return _kek(path.read_text("ascii", "replace"), str(path))


def kek_of_environment(name: str, environment: Mapping[str, str] = os.environ) -> Kek:
    """The key in the environment's variable *name*."""
    if name not in environment:
        raise RecordError(
            f"the environment has no {name}: the key-encryption key of the records is expected "
            f"there, as {2 * KEY_BYTES} hexadecimal digits"
        )
    return _kek(environment[name], f"the variable {name}")


def kek_of_command(command: Sequence[str]) -> Kek:
    """The key that *command* prints: a key management service's client, for instance."""
    told = " ".join(command)
    with our_errors(f"cannot run {told!r} for the key-encryption key"):
        try:
            done = subprocess.run(  # noqa: S603  # the operator's own program, no shell
                command, capture_output=True, timeout=COMMAND_S, check=False
            )
        except subprocess.TimeoutExpired as error:
            raise RecordError(
                f"{told!r} printed no key-encryption key within {COMMAND_S:g} s"
            ) from error
    if done.returncode:
        last = done.stderr.decode("utf-8", "replace").strip()[-300:]
        raise RecordError(f"{told!r} ended with status {done.returncode}: {last or 'no word'}")
    return _kek(done.stdout.decode("ascii", "replace"), f"what {told!r} printed")


def _kek(text: str, source: str) -> Kek:
    try:
        secret = bytes.fromhex(text.strip())
    except ValueError:
        secret = b""
    if len(secret) != KEY_BYTES:
        raise RecordError(
            f"{source} is no key-encryption key: it should be {2 * KEY_BYTES} hexadecimal digits. "
            f"Put back the one that the records were sealed under: without it nobody reads them"
        )
    return Kek(secret)
