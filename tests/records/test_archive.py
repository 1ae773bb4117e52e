"""Journals under keys of their own: sealed while the call runs, filed, unreadable once erased."""

import base64
import hashlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from tests.records.scene import CALL, DAY, WALL, ask, clocks
from tests.records.test_store import OTHER
from trunkline.errors import RecordError
from trunkline.records.archive import Archive, ArchiveKeys
from trunkline.records.bundle import Bundle
from trunkline.records.journal import CallJournal
from trunkline.records.keys import (
    Kek,
    kek_of_command,
    kek_of_environment,
    kek_of_file,
)
from trunkline.records.lanes import InlineLane
from trunkline.records.projections import read_call, transcript
from trunkline.records.salvage import Salvage
from trunkline.records.store import JOURNAL, Store
from trunkline.records.verify import verify
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, DataClass, Sample, Where

KEYS = ArchiveKeys(Kek(bytes(range(32))), "example.com/records", bytes(range(32, 64)))
CANARY = "canary-4111111111111111"
LONG = "x" * 5000

_opened: list[Archive] = []


@pytest.fixture(autouse=True)
def _close() -> Iterator[None]:
    yield
    while _opened:
        _opened.pop().close()


def archive(directory: Path, keys: ArchiveKeys = KEYS) -> Archive:
    """The archive in *directory*; it is closed after the test."""
    made = keys.open(directory)
    _opened.append(made)
    return made


def worker(directory: Path, keys: ArchiveKeys | None = KEYS) -> WorkerRecords:
    """A worker's records on inline lanes; *keys* None: nothing is sealed."""
    return WorkerRecords(
        directory,
        "w0",
        clocks=clocks(),
        lane=partial(InlineLane, latency_s=0.0),
        archive=None if keys is None else archive(directory, keys),
    )


def plot(journal: CallJournal) -> None:
    """A call that says a secret three times: in a payload, in a large one, and in audio."""
    where = Where(journal.call, 0)
    said = {"text": f"my card is {CANARY}"}
    journal.note("transcript.final", said, where=where, data_class=DataClass.TRANSCRIPT)
    journal.note("attempt.request", {"stage": "llm", "request": {"t": CANARY + LONG}}, where=where)
    ask(journal, "yes", at=0)
    journal.audio("caller", Sample(0), CANARY.encode() * 400)


async def lived(directory: Path, keys: ArchiveKeys | None = KEYS) -> None:
    """One call, from beginning to end."""
    async with worker(directory, keys) as records:
        journal = records.journal(CALL)
        plot(journal)
        await journal.commit()
        await journal.close("done")


def traces(directory: Path) -> list[str]:
    """The files under *directory* that hold the canary, in any common form."""
    plain = CANARY.encode()
    forms = [plain, plain.hex().encode(), *(base64.b64encode(plain[n:])[:-4] for n in range(3))]
    return [
        path.name
        for path in sorted(directory.rglob("*"))
        if path.is_file() and any(form in path.read_bytes() for form in forms)
    ]


async def test_nothing_of_a_call_is_readable_without_its_key(tmp_path: Path) -> None:
    """Neither while it is up nor sealed; the same search finds it all where nothing is sealed."""
    await lived(tmp_path / "clear", None)
    assert traces(tmp_path / "clear") == [JOURNAL]
    async with worker(tmp_path / "sealed") as records:
        journal = records.journal(CALL)
        plot(journal)
        await journal.commit()
        assert traces(tmp_path / "sealed") == []
        assert list((tmp_path / "sealed").rglob("*.tlw"))
        await journal.close("done")
        assert traces(tmp_path / "sealed") == []


async def test_with_its_key_a_call_reads_as_it_was_noted(tmp_path: Path) -> None:
    """Payloads, large ones and audio; the journal opens with the key that it names."""
    await lived(tmp_path / "clear", None)
    await lived(tmp_path / "sealed")
    clear = Store(tmp_path / "clear").open_call(CALL).events
    sealed = Store(tmp_path / "sealed", archive(tmp_path / "sealed")).open_call(CALL).events
    assert [(it.type, it.data) for it in sealed[1:]] == [(it.type, it.data) for it in clear[1:]]
    secret = _opened[-1].secrets.of(CALL)
    assert secret is not None
    assert sealed[0].data["kc"] == secret.kc


async def test_without_the_key_an_error_says_what_is_missing(tmp_path: Path) -> None:
    """No archive, another key-encryption key, an erased key: each is a sentence."""
    await lived(tmp_path)
    with pytest.raises(RecordError, match="is sealed and its key is not here"):
        _ = Store(tmp_path).open_call(CALL).events
    other = ArchiveKeys(Kek(bytes(32)), KEYS.origin, KEYS.signing)
    with pytest.raises(RecordError, match=r"sealed under key-encryption key \w{16}; the one that"):
        _ = Store(tmp_path, archive(tmp_path, other)).open_call(CALL).events
    mine = archive(tmp_path)
    with pytest.raises(RecordError, match="does not open with the call's key"):
        read_call(tmp_path / "calls" / DAY / CALL / JOURNAL, mine.secrets.make(CALL)[0])


async def test_a_sealed_call_is_proven_with_and_without_its_key(tmp_path: Path) -> None:
    """The bundle of a real call, verified by the verifier that knows nothing of us."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    filed, secret = mine.filed(CALL), mine.secrets.of(CALL)
    assert filed is not None
    assert secret is not None
    assert (filed.day, filed.started, filed.place) == (DAY, WALL, 0)
    journal = (tmp_path / "calls" / DAY / CALL / JOURNAL).read_bytes()
    assert filed.facts.journal_sha256 == hashlib.sha256(journal).hexdigest()
    (entry,) = mine.ledger.prove(0)
    assert CALL.encode() not in entry.entry
    bundle = Bundle(entry, journal, filed.facts, secret.salt, key=secret.key, voice=secret.voice)
    assert verify(bundle.encode(), mine.verifier_key).proven[-2:] == [
        "the key in the bundle is what the journal was sealed with",
        "the voice in the bundle is what the recording was sealed with",
    ]
    assert (tmp_path / "ledger.pub").read_text().strip() == mine.verifier_key


async def test_a_destroyed_key_leaves_nothing_that_opens_the_call(tmp_path: Path) -> None:
    """Neither its bytes, wrapped as they were, nor a way to read; the chain still verifies."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    kept = mine.secrets.kept(CALL)
    assert kept is not None
    files = [tmp_path / "keys.sqlite", tmp_path / "keys.sqlite-wal"]
    assert any(kept.wrapped in file.read_bytes() for file in files), "the search finds it"
    mine.secrets.destroy(CALL)
    assert not any(kept.wrapped in file.read_bytes() for file in files)
    assert mine.secrets.of(CALL) is None
    assert not [path for path in tmp_path.rglob("*.tlw") if kept.wrapped in path.read_bytes()]
    with pytest.raises(RecordError, match="either it was erased"):
        _ = Store(tmp_path, mine).open_call(CALL).events


async def test_a_recording_is_erased_and_its_transcript_stays(tmp_path: Path) -> None:
    """Its key is destroyed alone; whoever asks for it is told, and the proof still holds."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    stored = Store(tmp_path, mine).open_call(CALL)
    stored.recording(tmp_path / "before.wav")
    assert mine.secrets.silence(CALL)
    assert not mine.secrets.silence(CALL)
    stored = Store(tmp_path, mine).open_call(CALL)
    assert CANARY in stored.transcript()
    with pytest.raises(RecordError, match=r"the recording of call .* was erased"):
        stored.recording(tmp_path / "after.wav")
    assert not (tmp_path / "after.wav").exists()
    filed, secret = mine.filed(CALL), mine.secrets.of(CALL)
    assert filed is not None
    assert secret is not None
    (entry,) = mine.ledger.prove(0)
    journal = (stored.path / JOURNAL).read_bytes()
    verify(
        Bundle(entry, journal, filed.facts, secret.salt, key=secret.key).encode(), mine.verifier_key
    )


async def test_a_call_whose_worker_died_is_read_and_filed_with_its_key(tmp_path: Path) -> None:
    """The key lies in the log before all that it seals, and moves to the table with the journal."""
    async with worker(tmp_path) as records:
        journal = records.journal(CALL)
        plot(journal)
        await journal.commit()
    mine = archive(tmp_path)
    assert mine.secrets.of(CALL) is None
    salvage = Salvage(Store(tmp_path, mine), clocks())
    found = salvage.find(CALL)
    assert found is not None
    assert [it.content for it in found.resumption.history] == [f"my card is {CANARY}"]
    while salvage.step():
        pass
    salvage.close()
    assert traces(tmp_path) == []
    said = transcript(Store(tmp_path, mine).open_call(CALL).events).entries
    assert any(CANARY in entry.text for entry in said)
    assert mine.filed(CALL) is not None


async def test_a_dead_worker_without_its_key_is_an_error_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    """Who takes over with another key-encryption key is told so, and the log stays."""
    async with worker(tmp_path) as records:
        plot(records.journal(CALL))
    other = ArchiveKeys(Kek(bytes(32)), KEYS.origin, KEYS.signing)
    for store in (Store(tmp_path), Store(tmp_path, archive(tmp_path, other))):
        salvage = Salvage(store, clocks())
        with pytest.raises(RecordError, match="key-encryption key"):
            salvage.find(CALL)
        salvage.close()
    assert list(tmp_path.rglob("*.tlw"))


async def test_a_call_that_was_sealed_and_not_filed_is_filed_later(tmp_path: Path) -> None:
    """Its worker died between the two; the next one that starts does it, once."""
    mine = archive(tmp_path)
    async with worker(tmp_path) as records:
        records.store.archive = None  # it dies before the catalogue has the call
        journal = CallJournal(OTHER, records._log, clocks=clocks())  # and one in clear
        await journal.close("done")
        first = records.journal(OTHER)
        await first.close("done")
    assert Store(tmp_path, mine).file_missing() == []
    await lived(tmp_path)
    with mine.catalogue.transaction() as transaction:  # as if it had never been
        transaction.run("DELETE FROM call")
    async with worker(tmp_path):
        assert mine.filed(CALL) is not None
    filed = mine.filed(CALL)
    assert filed is not None
    assert filed.place == 1
    assert Store(tmp_path, mine).file_missing() == []


async def test_a_call_that_has_no_key_cannot_be_filed(tmp_path: Path) -> None:
    """Nothing could ever prove it."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    filed = mine.filed(CALL)
    assert filed is not None
    mine.secrets.destroy(CALL)
    with pytest.raises(RecordError, match="its key is not in the key table"):
        mine.file(filed.facts, filed.day, filed.started, filed.ended)


async def test_keys_move_to_another_key_encryption_key(tmp_path: Path) -> None:
    """All in one transaction; the old one opens nothing any more."""
    await lived(tmp_path)
    mine = archive(tmp_path)
    before = mine.secrets.of(CALL)
    new = Kek(bytes(31) + b"\1")
    assert mine.secrets.rewrap(new) == 1
    assert mine.secrets.of(CALL) == before
    with pytest.raises(RecordError, match="key-encryption key"):
        archive(tmp_path).secrets.of(CALL)


def test_a_wrapped_key_belongs_to_its_call(tmp_path: Path) -> None:
    """Moved to another call it does not open."""
    secrets = archive(tmp_path).secrets
    _, wrapped = secrets.make(CALL)
    with pytest.raises(RecordError, match=f"key of call {OTHER} does not open"):
        secrets.open(OTHER, wrapped)


def test_the_line_for_a_child_process_holds_all_that_opens_the_archive() -> None:
    """And nothing of it shows when the keys are printed."""
    again = ArchiveKeys.of_line(KEYS.line())
    assert again == KEYS
    assert KEYS.kek.secret.hex() not in repr(KEYS)
    assert "signing" not in repr(KEYS)


def test_the_key_encryption_key_comes_from_where_the_operator_keeps_it(tmp_path: Path) -> None:
    """A file that is made once, the environment, a program: all give the same."""
    path = tmp_path / "keys" / "kek"
    made = kek_of_file(path, make=True)
    assert path.stat().st_mode & 0o077 == 0
    assert kek_of_file(path, make=True) == made == kek_of_file(path)
    text = path.read_text()
    assert kek_of_environment("KEK", {"KEK": text}) == made
    assert kek_of_command(["cat", str(path)]) == made
    with pytest.raises(RecordError, match="cannot read the key-encryption key"):
        kek_of_file(tmp_path / "missing")
    with pytest.raises(RecordError, match="the environment has no KEK"):
        kek_of_environment("KEK", {})
    with pytest.raises(RecordError, match="ended with status 1"):
        kek_of_command(["false"])
    with pytest.raises(RecordError, match="cannot run 'no-such-program'"):
        kek_of_command(["no-such-program"])
    path.write_text("too short")
    with pytest.raises(RecordError, match=r"is no key-encryption key.*Put back"):
        kek_of_file(path)


def test_calls_are_named_by_what_they_are(tmp_path: Path) -> None:
    """A call that nobody filed is not in the catalogue."""
    assert archive(tmp_path).filed(CallId("nobody")) is None
