"""Backups of records: whole, without keys, and put back so that nothing erased comes back."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from tests.records.scene import CALL, DAY
from tests.records.test_archive import (
    CANARY,
    KEYS,
    _close,  # noqa: F401  # the fixture that closes archives
    archive,
    lived,
    plot,
    worker,
)
from tests.records.test_life import LATER, life, proves, recovered_keys
from tests.records.test_store import OTHER
from trunkline.errors import InputError, RecordError
from trunkline.records.archive import ArchiveKeys
from trunkline.records.backup import BackedUp, Restored, backup, restore
from trunkline.records.keys import Kek
from trunkline.records.store import JOURNAL, Store


def backed_up(root: Path, *, keys: bool = True) -> BackedUp:
    """The records in `records`, in `backup` and `keys`."""
    store = Store(root / "records", archive(root / "records"))
    return backup(store, root / "backup", root / "keys" if keys else None, lambda: LATER)


def put_back(root: Path, *erased: Path, keys: bool = True, opens: ArchiveKeys = KEYS) -> Restored:
    """What was backed up, in `again`."""
    where = root / "keys" if keys else None
    return restore(
        root / "backup", root / "again", opens, who="olive", keys=where, erased=list(erased)
    )


async def test_a_backup_is_put_back_with_its_keys(tmp_path: Path) -> None:
    """Calls are read and proven as before; journals share their bytes, and no key lies beside."""
    await lived(tmp_path / "records")
    done = backed_up(tmp_path)
    assert (done.journals, done.linked, done.entries, done.keys) == (1, 1, 1, 1)
    assert recovered_keys(tmp_path / "backup") == []
    assert len(recovered_keys(tmp_path / "keys")) == 1
    again = put_back(tmp_path)
    assert (again.calls, again.entries, again.keys, again.again, again.faults) == (1, 1, 1, (), ())
    assert (
        CANARY
        in Store(tmp_path / "again", archive(tmp_path / "again")).open_call(CALL).transcript()
    )
    assert proves(tmp_path / "again") == proves(tmp_path / "records")


async def test_a_backup_is_made_while_calls_are_up(tmp_path: Path) -> None:
    """What is sealed by then is in it; what is up is not."""
    async with worker(tmp_path / "records") as records:
        first, second = records.journal(CALL), records.journal(OTHER)
        plot(first)
        await first.close("done")
        assert backed_up(tmp_path).journals == 1
        await second.close("done")
    assert put_back(tmp_path).calls == 1


@pytest.mark.parametrize("source", ["erased.jsonl", "catalogue.sqlite"])
async def test_an_erased_call_does_not_come_back_with_a_backup(tmp_path: Path, source: str) -> None:
    """Neither with the keys of before: the list, or the newer catalogue, has it erased again."""
    async with worker(tmp_path / "records") as records:
        for call in (CALL, OTHER):
            journal = records.journal(call)
            plot(journal)
            await journal.close("done")
    backed_up(tmp_path)
    life(tmp_path / "records").hold(CALL, "and released, which an older backup does not know")
    life(tmp_path / "records").release(CALL, "")
    life(tmp_path / "records").erase(CALL, "asked to")
    life(tmp_path / "records").erase(OTHER, "asked to", recording=True)
    again = put_back(tmp_path, tmp_path / "records" / source)
    assert set(again.again) == {CALL, OTHER}
    assert recovered_keys(tmp_path / "again", CALL) == []
    assert [it.voice for it in recovered_keys(tmp_path / "again", OTHER)] == [None]
    assert not (tmp_path / "again" / "calls" / DAY / CALL).exists()
    assert "erased at 2025-11-22T08:43:20Z" in " ".join(proves(tmp_path / "again"))
    assert proves(tmp_path / "again", OTHER)
    assert again.faults == ()


async def test_copies_of_the_key_are_told_and_destroyed_where_they_are_given(
    tmp_path: Path,
) -> None:
    """With the key-encryption key and every backup in hand, nobody reads the call then."""
    await lived(tmp_path / "records")
    backed_up(tmp_path)
    mine = life(tmp_path / "records")
    mine.erase(CALL, "asked to", recording=True, backups=[tmp_path / "keys"])
    assert {it.voice for it in recovered_keys(tmp_path)} == {None}
    (told,) = mine.erase(CALL, "asked to").left
    assert told.startswith(
        f"the copy of the keys in {tmp_path / 'keys'}, made at 2025-11-22T08:43:20Z, still"
    )
    assert len(recovered_keys(tmp_path)) == 1, "the search finds it"
    (tmp_path / "keys").rename(tmp_path / "vault")
    (told,) = mine.erase(CALL, "asked to").left
    assert "is not there: wherever it is, if it still is, it holds the key" in told
    (tmp_path / "vault").rename(tmp_path / "keys")
    assert mine.erase(CALL, "asked to", backups=[tmp_path / "keys"]).left == ()
    assert recovered_keys(tmp_path) == []
    with pytest.raises(RecordError, match=r"there is no .*Name the directory"):
        mine.erase(CALL, "asked to", backups=[tmp_path / "nowhere"])


async def test_without_the_keys_a_backup_is_put_back_unreadable(tmp_path: Path) -> None:
    """It proves what it did, and nobody reads it until the keys are there."""
    await lived(tmp_path / "records")
    assert backed_up(tmp_path, keys=False).keys is None
    assert put_back(tmp_path, keys=False).keys is None
    with pytest.raises(RecordError, match="is sealed and its key is not here"):
        _ = Store(tmp_path / "again", archive(tmp_path / "again")).open_call(CALL).events


async def test_what_is_wrong_with_a_backup_is_an_error_each_and_nothing_is_lost(
    tmp_path: Path,
) -> None:
    """A wrong key, another ledger's, one cut off, one changed, a damaged database, a full place."""
    await lived(tmp_path / "records")
    backed_up(tmp_path)
    other = ArchiveKeys(Kek(bytes(32)), KEYS.origin, KEYS.signing)
    with pytest.raises(RecordError, match="sealed under key-encryption key"):
        put_back(tmp_path, opens=other)
    foreign = ArchiveKeys(KEYS.kek, "example.org/others", KEYS.signing)
    with pytest.raises(RecordError, match="a ledger keeps its name"):
        put_back(tmp_path, opens=foreign)
    catalogue, checkpoint = (tmp_path / "backup" / it for it in ("catalogue.sqlite", "checkpoint"))
    whole, note = catalogue.read_bytes(), checkpoint.read_text()
    with closing(sqlite3.connect(catalogue)) as changed, changed:
        changed.execute("DELETE FROM ledger_entry")
    with pytest.raises(RecordError, match="it was rolled back"):
        put_back(tmp_path)
    for damaged in (whole[:2000], b"x" * 5000, whole[:5000] + bytes(8000) + whole[13000:]):
        catalogue.write_bytes(damaged)
        with pytest.raises(RecordError, match="the database is damaged"):
            put_back(tmp_path)
    catalogue.write_bytes(whole)
    checkpoint.unlink()
    with pytest.raises(RecordError, match="no whole backup: it has no checkpoint"):
        put_back(tmp_path)
    checkpoint.write_text(note)
    assert not (tmp_path / "again").exists()
    (tmp_path / "again").mkdir()
    (tmp_path / "again" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not empty"):
        put_back(tmp_path)
    (tmp_path / "again" / "thesis.tex").unlink()
    journal = tmp_path / "backup" / "calls" / DAY / CALL / JOURNAL
    content = journal.read_bytes()
    journal.unlink()
    journal.write_bytes(content[:-1] + b"?")
    assert "is not the journal that the ledger commits to" in put_back(tmp_path).faults[0]


async def test_directories_lie_apart_and_are_new(tmp_path: Path) -> None:
    """Keys beside what they open protect nothing; nothing is overwritten."""
    await lived(tmp_path / "records")
    store = Store(tmp_path / "records", archive(tmp_path / "records"))
    for to, keys in (
        (tmp_path / "records" / "backup", None),
        (tmp_path / "backup", tmp_path / "backup" / "keys"),
        (tmp_path / "backup", tmp_path / "records"),
        (tmp_path / "both", tmp_path / "both"),
    ):
        with pytest.raises(InputError, match="give each a directory of its own"):
            backup(store, to, keys)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.tex").write_text("years of work")
    with pytest.raises(InputError, match="is not empty"):
        backup(store, tmp_path / "full")
    with pytest.raises(InputError, match="has no catalogue"):
        backup(Store(tmp_path / "records"), tmp_path / "new")


async def test_a_full_disk_leaves_no_backup_that_looks_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And the records as they were: an erasure on a full disk is refused and done later."""
    await lived(tmp_path / "records")
    store = Store(tmp_path / "records", archive(tmp_path / "records"))

    def full(fd: int, data: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.write", full)
        with pytest.raises(RecordError, match="No space left on device"):
            backup(store, tmp_path / "backup")
    assert not (tmp_path / "backup" / "checkpoint").exists()
    mine = life(tmp_path / "records")
    with mine._archive.catalogue.transaction() as transaction:
        ((pages,),) = transaction.run("PRAGMA page_count")
        transaction.run(f"PRAGMA max_page_count = {pages!r}")
    with pytest.raises(RecordError, match="the disk is full"):
        mine.hold(CALL, "x" * 100_000)
    with mine._archive.catalogue.transaction() as transaction:
        transaction.run("PRAGMA max_page_count = 1000000")
    assert proves(tmp_path / "records")
    mine.erase(CALL, "asked to")
    assert recovered_keys(tmp_path) == []
