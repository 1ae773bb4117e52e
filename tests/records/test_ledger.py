"""The ledger: appended, signed, published, and found out when somebody rolled it back."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError, RecordError
from trunkline.records.database import SqliteDatabase
from trunkline.records.ledger import SCHEMA, Facts, Ledger, call_entry, commitment
from trunkline.records.note import Signer, read_checkpoint, signing_key
from trunkline.records.verify import Refused
from trunkline.records.verify.ed25519 import ed25519_verify
from trunkline.records.verify.tree import read_checkpoint as verified_checkpoint

SECRET = bytes(range(32))
FACTS = Facts("a-call", "ab" * 32, 1234, 7, "cd" * 32)


_opened: list[SqliteDatabase] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def open_ledger(directory: Path, origin: str = "example.com/records") -> Ledger:
    """The ledger in *directory*; it is closed after the test."""
    database = SqliteDatabase(directory / "catalogue.sqlite", SCHEMA)
    _opened.append(database)
    return Ledger(database, Signer(origin, SECRET), directory / "checkpoint")


def test_each_append_is_signed_and_published(tmp_path: Path) -> None:
    """The checkpoint in the file is the one of the last append, and the verifier takes it."""
    ledger = open_ledger(tmp_path)
    for n in range(5):
        made = ledger.append({"v": 1, "type": "gap", "n": n})
        assert (made.size, made.note) == (n + 1, (tmp_path / "checkpoint").read_text())
        state = verified_checkpoint(made.note, Signer(made.origin, SECRET).verifier_key)
        assert (state.size, state.root) == (made.size, made.root)
    assert [b'"n":%d' % n in entry for n, entry in enumerate(ledger.entries())] == [True] * 5


def test_several_workers_share_one_ledger(tmp_path: Path) -> None:
    """Their entries alternate, none is lost, and the published checkpoint only grows."""
    one, two = open_ledger(tmp_path), open_ledger(tmp_path)
    for n in range(6):
        (one, two)[n % 2].append({"n": n})
    assert one.entries() == two.entries()
    assert one.checkpoint() == two.checkpoint()
    one.publish(Signer("example.com/records", SECRET).sign(2, bytes(32)))
    assert read_checkpoint((tmp_path / "checkpoint").read_text()).size == 6


def test_a_ledger_that_was_rolled_back_refuses_to_go_on(tmp_path: Path) -> None:
    """An older copy of the database does not fit its own checkpoint."""
    ledger = open_ledger(tmp_path)
    ledger.append({"n": 0})
    database = tmp_path / "catalogue.sqlite"
    with sqlite3.connect(database) as source, sqlite3.connect(tmp_path / "old") as target:
        source.backup(target)
    ledger.append({"n": 1})
    ledger.close()
    (tmp_path / "old").replace(database)
    for path in tmp_path.glob("catalogue.sqlite-*"):
        path.unlink()
    with pytest.raises(RecordError, match=r"1 entries, its checkpoint .* says 2.*rolled back"):
        open_ledger(tmp_path)


def test_an_entry_that_was_changed_is_found(tmp_path: Path) -> None:
    """By the audit, which hashes all entries anew; a changed root already when it is opened."""
    ledger = open_ledger(tmp_path)
    for n in range(4):
        ledger.append({"n": n})
    assert ledger.audit() == 4
    ledger.close()
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as database:
        database.execute("UPDATE ledger_entry SET entry = ? WHERE place = 2", (b'{"n":9}',))
    ledger = open_ledger(tmp_path)
    with pytest.raises(RecordError, match="entry 2 of the ledger was changed"):
        ledger.audit()
    ledger.close()
    with sqlite3.connect(tmp_path / "catalogue.sqlite") as database:
        database.execute("UPDATE ledger_node SET hash = ? WHERE level = 2", (bytes(32),))
    with pytest.raises(RecordError, match=r"first 4 entries .* were changed"):
        open_ledger(tmp_path)


def test_a_ledger_keeps_its_name(tmp_path: Path) -> None:
    """Another name would be another ledger under the same roof."""
    open_ledger(tmp_path).append({"n": 0})
    with pytest.raises(RecordError, match=r"called 'example.com/records'.*keeps its name"):
        open_ledger(tmp_path, "example.com/other")


def test_a_damaged_database_says_how_to_mend_it(tmp_path: Path) -> None:
    """An error of ours, with the file; and nothing was written to it."""
    path = tmp_path / "catalogue.sqlite"
    path.write_bytes(b"this is no database, " * 400)
    before = path.read_bytes()
    with pytest.raises(RecordError, match=r"catalogue.sqlite: .*damaged.*Put back"):
        open_ledger(tmp_path)
    assert path.read_bytes() == before


def test_what_is_no_entry_is_refused(tmp_path: Path) -> None:
    """A ledger takes commitments, not conversations; and nothing of a refused append stays."""
    ledger = open_ledger(tmp_path)
    with pytest.raises(InputError, match="does not belong in a ledger"):
        ledger.append({"n": 0}, {"text": "x" * 5000})
    assert ledger.entries() == []
    with pytest.raises(InputError, match="entry 0 is not in a ledger of 0 entries"):
        ledger.prove(0)


def test_a_commitment_needs_its_salt_and_every_fact() -> None:
    """Another salt or another fact is another commitment, so that none can be guessed."""
    entry = call_entry(FACTS, bytes(32))
    others = [
        commitment(FACTS, b"\1" * 32),
        commitment(Facts("a-cell", "ab" * 32, 1234, 7, "cd" * 32), bytes(32)),
        commitment(Facts("a-call", "ab" * 32, 1235, 7, "cd" * 32), bytes(32)),
    ]
    assert entry["commitment"] == commitment(FACTS, bytes(32)) not in others
    assert "a-call" not in str(entry)


def test_the_signing_key_is_made_once_and_read_again(tmp_path: Path) -> None:
    """In a file for its owner only; what is no key is refused with what to do."""
    path = tmp_path / "keys" / "ledger"
    with pytest.raises(RecordError, match="cannot use the signing key"):
        signing_key(path)
    secret = signing_key(path, make=True)
    assert len(secret) == 32
    assert signing_key(path, make=True) == signing_key(path) == secret
    assert path.stat().st_mode & 0o077 == 0
    path.write_text("not a key")
    with pytest.raises(RecordError, match=r"holds no signing key.*Put back the key"):
        signing_key(path)


@pytest.mark.parametrize("origin", ["", "a b", "a+b", "x" * 200, "/x"])
def test_a_ledger_needs_a_name_that_others_can_read(origin: str) -> None:
    """C2SP key names have neither spaces nor plus signs."""
    with pytest.raises(InputError, match="cannot be called"):
        Signer(origin, SECRET)


def test_keys_and_signatures_are_those_of_the_specification() -> None:
    """The key of C2SP signed-note's own example verifies its own example, and nothing else."""
    vkey = "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"
    with pytest.raises(Refused, match="no checkpoint"):  # a note, but not of a ledger
        verified_checkpoint("This is an example message.\n\n\u2014 example.com/foo x\n", vkey)
    with pytest.raises(Refused, match="no Ed25519 verifier key"):
        verified_checkpoint("", vkey.replace("530d", "530e"))


@given(st.binary(max_size=200), st.binary(min_size=32, max_size=32), st.integers(0, 511))
def test_our_ed25519_agrees_with_a_library(message: bytes, secret: bytes, bit: int) -> None:
    """Every signature of `cryptography` holds; with any bit changed it does not."""
    key = Ed25519PrivateKey.from_private_bytes(secret)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    assert ed25519_verify(public, signature, message)
    changed = bytearray(signature)
    changed[bit // 8] ^= 1 << bit % 8
    assert not ed25519_verify(public, bytes(changed), message)
    assert not ed25519_verify(public, signature, message + b"x")
    order = 2**252 + 27742317777372353535851937790883648493
    scalar = int.from_bytes(signature[32:], "little") + order
    if scalar < 1 << 256:  # the same signature in another form
        assert not ed25519_verify(public, signature[:32] + scalar.to_bytes(32, "little"), message)
