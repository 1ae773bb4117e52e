"""The verifier: what it takes for proven, and that it takes nothing else."""

import ast
import hashlib
import random
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

import trunkline.records.verify.__main__ as program
from tests.records.scene import CALL, open_records
from trunkline.records import framing
from trunkline.records.bundle import Bundle, Growth
from trunkline.records.database import SqliteDatabase
from trunkline.records.ledger import SCHEMA, Facts, Ledger, call_entry
from trunkline.records.note import Signer
from trunkline.records.projections import JOURNAL_MAGIC
from trunkline.records.verify import Refused, verify
from trunkline.testing.virtual import run
from trunkline.types import Where

SALT = bytes(range(32, 64))
SIGNER = Signer("example.com/records", bytes(range(32)))
VKEY = SIGNER.verifier_key


@dataclass
class Evidence:
    """A call of seven in a ledger: *kept* was signed when there were three."""

    bundle: Bundle
    kept: str
    journal: bytes


@pytest.fixture
def evidence(tmp_path: Path) -> Evidence:
    """A real journal, sealed by a worker, and its proof."""
    return run(_evidence(tmp_path))


async def _evidence(tmp_path: Path) -> Evidence:
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        for n in range(3):
            journal.note("dtmf", {"digit": str(n)}, where=Where(CALL))
        journal.note("caller.said", {"text": "word " * 1200}, where=Where(CALL))  # a blob
        await journal.close("done")
        (stored,) = records.store.list_calls()
    data = (stored.path / "journal.tlj").read_bytes()
    count = len(stored.events)
    facts = Facts(CALL, hashlib.sha256(data).hexdigest(), len(data), count)
    database = SqliteDatabase(tmp_path / "catalogue.sqlite", SCHEMA)
    ledger = Ledger(database, SIGNER, tmp_path / "checkpoint")
    kept = ledger.append(*({"v": 1, "n": n} for n in range(3))).note
    ledger.append(call_entry(facts, SALT))
    ledger.append({"v": 1, "type": "held", "of": 3, "at": "2026-11-22T10:00:00Z"})
    ledger.append({"v": 1, "type": "erased", "of": 3, "at": "2026-11-23T10:00:00Z"})
    ledger.append({"v": 1, "type": "gap"})
    proven = ledger.prove(3, 4, 5)
    growth = Growth(3, ledger.grown_from(3))
    database.close()
    bundle = Bundle(proven[0], data, facts, SALT, later=proven[1:2], growth=growth)
    return Evidence(bundle, kept, data)


def test_what_is_proven_is_said(evidence: Evidence) -> None:
    """The whole bundle: signature, place, growth, fate, journal."""
    verdict = verify(evidence.bundle.encode(), VKEY, evidence.kept)
    told = " | ".join(verdict.proven)
    assert re.search(r"7 entries is signed by example\.com/records\+", told)
    assert "at index 3" in told
    assert "goes on from the checkpoint of 3 entries" in told
    assert "was held at 2026-11-22T10:00:00Z" in told
    assert f"journal of call {CALL} is the one" in told
    assert not verdict.notes


def test_every_flipped_bit_of_a_bundle_is_found(evidence: Evidence) -> None:
    """Each of them, wherever it lies; and the same search finds none in a bundle left alone."""
    bundle = bytearray(evidence.bundle.encode())
    assert len(bundle) < 16 << 10
    verify(bytes(bundle), VKEY, evidence.kept)
    stride = 7  # co-prime to 8, so that all bits of a byte have their turn; the trial takes all
    for bit in range(0, 8 * len(bundle), stride):
        bundle[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Refused):
            verify(bytes(bundle), VKEY, evidence.kept)
        bundle[bit // 8] ^= 1 << bit % 8


def test_every_truncation_and_every_addition_is_found(evidence: Evidence) -> None:
    """Cut anywhere, or with something behind its end, it is no bundle."""
    bundle = evidence.bundle.encode()
    for size in range(0, len(bundle), 5):
        with pytest.raises(Refused):
            verify(bundle[:size], VKEY, evidence.kept)
    sections = bundle.split(b"\n", 1)[1]
    for more in (b"\n", b"x", bundle, sections):
        with pytest.raises(Refused):
            verify(bundle + more, VKEY, evidence.kept)


def reordered(journal: bytes) -> bytes:
    """The same records, two of them exchanged, each in a good frame."""
    records = [body for _, body in framing.Frames(journal)]
    records[1], records[2] = records[2], records[1]
    return refiled(records)


def shortened(journal: bytes) -> bytes:
    """Without one of its events."""
    records = [body for _, body in framing.Frames(journal)]
    return refiled(records[:2] + records[3:])


def unclosed(journal: bytes) -> bytes:
    """Without its last event."""
    return refiled([body for _, body in framing.Frames(journal)][:-1])


def refiled(records: list[bytes]) -> bytes:
    """A journal file of *records*."""
    return framing.header(JOURNAL_MAGIC) + b"".join(map(framing.frame, records))


def reworded(journal: bytes) -> bytes:
    """One digit exchanged within its event, framed anew."""
    records = [body for _, body in framing.Frames(journal)]
    return refiled([body.replace(b'"digit":"1"', b'"digit":"9"') for body in records])


@pytest.mark.parametrize("change", [reordered, shortened, unclosed, reworded])
def test_a_forged_journal_is_not_the_one_that_was_committed_to(
    evidence: Evidence, change: Callable[[bytes], bytes]
) -> None:
    """Even if every digest in the bundle was made anew; and its chain is broken besides."""
    forged = change(evidence.journal)
    assert forged != evidence.journal
    with pytest.raises(Refused, match="not the one that the entry commits to"):
        verify(replace(evidence.bundle, journal=forged).encode(), VKEY, evidence.kept)
    facts = evidence.bundle.facts
    assert facts is not None
    told = replace(facts, journal_sha256=hashlib.sha256(forged).hexdigest(), bytes=len(forged))
    with pytest.raises(Refused, match="does not commit to these facts"):
        verify(replace(evidence.bundle, journal=forged, facts=told).encode(), VKEY, evidence.kept)


def test_a_ledger_that_was_rolled_back_or_rewritten_is_found(tmp_path: Path) -> None:
    """Against the checkpoint that somebody kept, and only against that."""
    entries = [call_entry(Facts(CALL, "00" * 32, n, 1), SALT) for n in range(6)]
    rewritten = [entries[0], *entries[2:]]
    kept = ledger_of(tmp_path / "true", *entries[:4]).checkpoint().note
    shorter = erased(ledger_of(tmp_path / "shorter", *entries[:2]))
    other = erased(ledger_of(tmp_path / "other", *rewritten))
    for bundle in (shorter, other):
        verify(bundle.encode(), VKEY)  # alone, each looks sound
    with pytest.raises(Refused, match=r"rolled back: it had 4 entries.* it has 3"):
        verify(shorter.encode(), VKEY, kept)
    ledger = ledger_of(tmp_path / "again", *rewritten)
    ledger.append({"v": 1, "type": "erased", "of": 0, "at": "now"})
    growth = Growth(4, ledger.grown_from(4))
    with pytest.raises(Refused, match="was rewritten"):
        verify(replace(other, growth=growth).encode(), VKEY, kept)
    with pytest.raises(Refused, match="--since"):
        verify(other.encode(), VKEY, kept)


def ledger_of(directory: Path, *entries: dict[str, object]) -> Ledger:
    """A ledger with *entries*."""
    ledger = Ledger(
        SqliteDatabase(directory / "catalogue.sqlite", SCHEMA), SIGNER, directory / "checkpoint"
    )
    for entry in entries:
        ledger.append(entry)
    return ledger


def erased(ledger: Ledger) -> Bundle:
    """The bundle of the first call of *ledger*, which is erased now."""
    ledger.append({"v": 1, "type": "erased", "of": 0, "at": "2026-11-23T10:00:00Z"})
    last = len(ledger.entries()) - 1
    entry, later = ledger.prove(0, last)
    return Bundle(entry, later=[later])


def test_an_erased_call_stays_proven(tmp_path: Path) -> None:
    """Its entry and its erasure verify without journal, facts or salt; a lost one does not."""
    bundle = erased(ledger_of(tmp_path, call_entry(Facts(CALL, "00" * 32, 9, 1), SALT)))
    assert "the journal was erased" in verify(bundle.encode(), VKEY).proven[-1]
    with pytest.raises(Refused, match="says nothing of an erasure"):
        verify(replace(bundle, later=[]).encode(), VKEY)


def test_the_key_of_another_ledger_or_call_is_refused(evidence: Evidence) -> None:
    """Nobody vouches for somebody else."""
    bundle = evidence.bundle.encode()
    with pytest.raises(Refused, match="another key"):
        verify(bundle, Signer("example.com/records", bytes(32)).verifier_key)
    with pytest.raises(Refused, match=r"no checkpoint that 'example\.com/other'"):
        verify(bundle, Signer("example.com/other", bytes(range(32))).verifier_key)
    with pytest.raises(Refused, match="not what the journal was sealed with"):
        verify(replace(evidence.bundle, key=bytes(32)).encode(), VKEY, evidence.kept)
    with pytest.raises(Refused, match="voice in the bundle is not what the recording was"):
        verify(replace(evidence.bundle, voice=bytes(32)).encode(), VKEY, evidence.kept)
    wrong_call = replace(evidence.bundle, entry=evidence.bundle.later[0], later=[])
    with pytest.raises(Refused, match="of type 'held', not a call's"):
        verify(wrong_call.encode(), VKEY, evidence.kept)


def test_bytes_that_nobody_made_are_refused_and_nothing_else_happens(
    evidence: Evidence,
) -> None:
    """Random damage with good digests: a refusal, never another exception."""
    draw = random.Random(6)  # noqa: S311  # the same damage every time
    bundle = evidence.bundle
    assert bundle.journal is not None
    for _ in range(80):
        journal = bytearray(bundle.journal)
        for _ in range(draw.randrange(1, 4)):
            journal[draw.randrange(len(journal))] = draw.randrange(256)
        entry = bytearray(bundle.entry.entry)
        entry[draw.randrange(len(entry))] = draw.randrange(256)
        proof = list(bundle.entry.proof)
        proof[draw.randrange(len(proof))] = chr(draw.randrange(1, 300))
        for forged in (
            replace(bundle, journal=bytes(journal)),
            replace(bundle, entry=replace(bundle.entry, entry=bytes(entry))),
            replace(bundle, entry=replace(bundle.entry, proof="".join(proof))),
        ):
            if forged != bundle:
                with pytest.raises(Refused):
                    verify(forged.encode(), VKEY, evidence.kept)


def test_the_program_says_what_it_found(
    evidence: Evidence, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit status 0 and what is proven, 1 and what is not, 2 and what could not be read."""
    bundle, kept, keep = tmp_path / "a.bundle", tmp_path / "kept", tmp_path / "new"
    bundle.write_bytes(evidence.bundle.encode())
    kept.write_text(evidence.kept)
    arguments = [str(bundle), "--key", VKEY, "--checkpoint", str(kept)]
    assert program.main([*arguments, "--keep", str(keep)]) == 0
    assert capsys.readouterr().out.endswith("VERIFIED\n")
    assert keep.read_text().split("\n")[1] == "7"
    bundle.write_bytes(evidence.bundle.encode()[:-1])
    assert program.main(arguments) == 1
    assert capsys.readouterr().err.startswith("NOT VERIFIED: ")
    assert program.main(["missing", "--key", VKEY]) == 2
    assert "missing" in capsys.readouterr().err


def test_the_verifier_stands_on_the_standard_library_alone() -> None:
    """It imports itself and Python's own modules: nothing of what it judges."""
    folder = Path(program.__file__).parent
    foreign = {
        name
        for path in folder.glob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        for name in _imported(node)
        if name not in sys.stdlib_module_names
    }
    assert len(list(folder.glob("*.py"))) > 4
    assert foreign == set()


def _imported(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name.split(".")[0] for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.level != 1:
        return [(node.module or "the parent").split(".")[0]]
    return []
