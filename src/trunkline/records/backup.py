"""Backups of records, and putting one back.

    TO/catalogue.sqlite   what there is of calls, and the ledger
    TO/calls/...          the sealed journals
    TO/ledger.pub         the key that verifies the ledger
    TO/erased.jsonl       what had been erased
    TO/checkpoint         the ledger's checkpoint; written last, so a backup with it is whole
    KEYS/keys.sqlite      the wrapped keys, only if they are asked for

Two rules: the keys never lie in the backup, so that its copies need not be hunted down when a call
is erased; and whoever puts a backup back says what was erased since, or erased calls come back.
Calls that are up, or whose worker died and that nobody has sealed yet, are not in a backup.
"""

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trunkline.errors import InputError, RecordError
from trunkline.records import erasures
from trunkline.records.archive import CATALOGUE, CHECKPOINT, Archive, ArchiveKeys
from trunkline.records.database import copied, looked_up
from trunkline.records.disk import make_directory, our_errors, publish, sync_directory
from trunkline.records.keycopies import TABLE, KeyCopy, calls_in
from trunkline.records.keys import Secrets
from trunkline.records.life import Life
from trunkline.records.note import read_checkpoint
from trunkline.records.store import Store

_PUBLIC: Final = "ledger.pub"
_PIECE_BYTES: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class BackedUp:
    """What a backup has: *journals*, of which *linked* share their bytes with the records, up to
    *entries* of the ledger; *keys*: how many were copied (None: none were asked for)."""

    journals: int
    linked: int
    entries: int
    keys: int | None


@dataclass(frozen=True, slots=True)
class Restored:
    """What was put back. *again*: calls that had been erased since the backup, and were again.
    *faults*: journals that are missing, or are not what the ledger commits to, in words."""

    calls: int
    entries: int
    keys: int | None
    again: tuple[str, ...]
    faults: tuple[str, ...]


def backup(
    store: Store, to: Path, keys: Path | None = None, clock: Callable[[], float] = time.time
) -> BackedUp:
    """Back *store* up into the new directory *to*, and its keys into *keys*, while calls go on.

    Raises `InputError` if a directory is not empty or one lies in another, `RecordError` if
    something cannot be read or written: then *to* has no checkpoint and is no backup.
    """
    archive = _archive(store)
    _check_apart({"records": store.directory, "backup": to, "keys": keys})
    for directory in (to, keys):
        if directory is not None:
            _fresh(directory)
    # A call's key is kept, then its journal has its name, then it is filed. In this order the
    # copies have the key and the journal of whatever the catalogue's copy has.
    sealed = {path.parent.name for path in store.journals()}
    copied(store.directory / CATALOGUE, to / CATALOGUE)
    sealed |= {str(call) for (call,) in looked_up(to / CATALOGUE, "SELECT call FROM call")}
    count = None if keys is None else _copy_keys(archive, keys, clock())
    journals, linked = _copy_journals(store, sealed, to / "calls", link=True)
    for name in (_PUBLIC, erasures.LIST):
        _copy_file(store.directory / name, to / name)
    # The directory's checkpoint may be further on than the copy of the catalogue is.
    note = _checkpoint_in(to / CATALOGUE)
    with our_errors(f"cannot write {to / CHECKPOINT}"):
        publish(to / CHECKPOINT, [note.encode()])
    return BackedUp(journals, linked, read_checkpoint(note).size, count)


def restore(
    source: Path,
    to: Path,
    opens: ArchiveKeys,
    *,
    who: str,
    keys: Path | None = None,
    erased: Sequence[Path] = (),
) -> Restored:
    """Put the backup *source* back into the empty directory *to*, and erase again what was erased.

    *keys*: the directory of its copy of the keys; *erased*: lists of erasures, or catalogues, that
    are newer than the backup. Raises `InputError` if *to* is not empty, `RecordError` if the backup
    is not whole, its ledger is not what its checkpoint was signed for, or *opens* does not open it.
    """
    _check_apart({"backup": source, "records": to, "keys": keys})
    listed = [one for path in erased for one in erasures.read(path)]
    if not (source / CHECKPOINT).is_file():
        raise RecordError(
            f"{source} is no whole backup: it has no checkpoint, which is written last. Take "
            f"another one"
        )
    _fresh(to)
    try:
        return _restored(source, to, opens, who, keys, listed)
    except (RecordError, InputError):
        shutil.rmtree(to)  # it was empty; the backup is as it was
        raise


def _restored(
    source: Path,
    to: Path,
    opens: ArchiveKeys,
    who: str,
    keys: Path | None,
    listed: Sequence[erasures.Erased],
) -> Restored:
    for name in (_PUBLIC, erasures.LIST, CHECKPOINT):
        _copy_file(source / name, to / name)
    copied(source / CATALOGUE, to / CATALOGUE)
    if keys is not None:
        copied(keys / TABLE, to / TABLE)
    archive = opens.open(to)  # its ledger against its checkpoint
    try:
        entries = archive.ledger.audit()
        count = None if keys is None else _checked_keys(archive.secrets, to / TABLE)
        store, old = Store(to, archive), Store(source)
        _copy_journals(old, {path.parent.name for path in old.journals()}, store.calls, link=False)
        life = Life(store, who)
        life.resume()
        if (to / erasures.LIST).is_file():
            listed = [*erasures.read(to / erasures.LIST), *listed]
        again = [*life.recheck(), *life.replay(listed, str(source))]
        filed = archive.all_filed()
        faults = tuple(it for it in map(store.fault, filed) if it)
        return Restored(len(filed), entries, count, tuple(again), faults)
    finally:
        archive.close()


def _archive(store: Store) -> Archive:
    if store.archive is None:
        raise InputError(f"{store.directory} has no catalogue: copy its files, there is no more")
    return store.archive


def _check_apart(directories: dict[str, Path | None]) -> None:
    whole = {name: path.resolve() for name, path in directories.items() if path is not None}
    for name, path in whole.items():
        for other, where in whole.items():
            if name != other and path.is_relative_to(where):
                raise InputError(
                    f"{path} ({name}) lies in {where} ({other}): give each a directory of its own. "
                    f"Keys that lie beside what they open protect nothing"
                )


def _fresh(directory: Path) -> None:
    with our_errors(f"cannot make {directory}"):
        if directory.exists() and any(directory.iterdir()):
            raise InputError(f"{directory} is not empty: name a new directory. Nothing was written")
        make_directory(directory)


def _copy_keys(archive: Archive, to: Path, at: float) -> int:
    copied(archive.directory / TABLE, to / TABLE)
    calls = calls_in(to / TABLE)
    # What was kept before the copy is filed by now, or is being filed: that is named.
    with archive.catalogue.transaction() as transaction:
        upto = archive.ledger.size(transaction)
        filed = {str(call) for (call,) in transaction.run("SELECT call FROM call")}
        KeyCopy(to.resolve(), at, upto, tuple(sorted(calls - filed))).note(transaction)
    return len(calls)


def _checked_keys(secrets: Secrets, table: Path) -> int:
    """How many keys there are; `RecordError` if the key-encryption key does not open one."""
    calls = calls_in(table)
    for call in sorted(calls)[:1]:
        secrets.of(call)
    return len(calls)


def _copy_journals(store: Store, calls: set[str], to: Path, *, link: bool) -> tuple[int, int]:
    """How many there were, and how many could be linked: journals never change."""
    count = linked = 0
    for path in store.journals():
        if path.parent.name not in calls:
            continue
        goal = to / path.relative_to(store.calls)
        with our_errors(f"cannot copy {path} to {goal}"):
            make_directory(goal.parent)
            with suppress(FileNotFoundError):  # erased meanwhile
                linked += link and _link(path, goal)
                _copy_file(path, goal)
                count += 1
    return count, linked


def _link(path: Path, to: Path) -> bool:
    try:
        to.hardlink_to(path)
    except FileNotFoundError:
        raise
    except OSError:  # another volume, or one that knows no links
        return False
    sync_directory(to.parent)
    return True


def _copy_file(source: Path, to: Path) -> None:
    """Copy *source*, unless it is not there or *to* is."""
    with our_errors(f"cannot copy {source} to {to}"):
        if to.exists() or not source.exists():
            return
        with source.open("rb") as file:
            publish(to, iter(lambda: file.read(_PIECE_BYTES), b""))


def _checkpoint_in(catalogue: Path) -> str:
    rows = looked_up(catalogue, "SELECT note FROM ledger_checkpoint ORDER BY size DESC LIMIT 1")
    if not rows:
        raise RecordError(f"{catalogue} has no ledger: there is nothing to back up")
    return str(rows[0][0])
