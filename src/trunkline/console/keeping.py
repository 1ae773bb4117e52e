"""`trunkline records hold|release|erase|expire|backup|restore|access|play`: in words.

Whoever reads a call is entered into the log of accesses first, and whoever may not is refused
before anything is opened.
"""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from trunkline.console import reading
from trunkline.console.archiving import Place, archive_keys, opened, policy
from trunkline.errors import InputError
from trunkline.records import access
from trunkline.records.access import Access, Person
from trunkline.records.backup import backup, restore
from trunkline.records.fates import utc
from trunkline.records.life import Life
from trunkline.records.store import Store, StoredCall


@dataclass(frozen=True, slots=True)
class Desk:
    """The records of *store*, for the *person* who is there."""

    store: Store
    person: Person

    @property
    def life(self) -> Life:
        """What they let befall calls."""
        return Life(self.store, self.person.name)

    def note(self, what: str, call: str) -> None:
        """Enter that they are going to read *call*; where nothing is sealed there is no log."""
        if self.store.archive is not None:
            entry = Access(time.time(), self.person.name, what, call)
            access.note(self.store.archive.catalogue, entry)

    def find(self, call: str, what: str) -> StoredCall:
        """*call*, or the last one, for *what*, which is noted."""
        stored = reading.find(self.store, call)
        self.note(what, stored.call)
        return stored


def person(place: Place, what: str) -> Person:
    """Who asks; `InputError` if *what* is not theirs to do."""
    asks = Person(access.user(place.user_env), place.roles.model_dump())
    asks.check(what)
    return asks


@contextmanager
def desk(place: Place, what: str) -> Iterator[Desk]:
    """The records at *place*, for who may do *what* with them."""
    asks = person(place, what)
    with opened(place) as store:
        yield Desk(store, asks)


def played(at: Desk, call: str, to: Path | None) -> str:
    """Write the recording of *call* to the file *to*, or to one that is called like the call."""
    stored = at.find(call, "play")
    path = to or Path(f"{stored.call}.wav")
    stored.recording(path)
    return f"{path}: the caller is left, the agent right"


def erased(
    at: Desk, call: str, reason: str, *, recording: bool, backups: Sequence[Path]
) -> list[str]:
    """Erase *call*; what was done, and what is left to do."""
    done = at.life.erase(call, reason, recording=recording, backups=backups)
    told = [f"{call}: {done.fate.told}; entry {done.fate.place} of the ledger"]
    return told + [f"left: {one}" for one in done.left]


def expired(at: Desk, place: Place, *, dry_run: bool) -> list[str]:
    """Erase what is too old, all of it; *dry_run*: say what would be, at most a pass of it."""
    ages = policy(place.retention)
    if ages.recording_s is None and ages.everything_s is None:
        raise InputError(
            "no retention is configured, so nothing is ever too old: give --config a file with "
            "records.retention"
        )
    told: list[str] = []
    held: dict[str, None] = {}
    more = True
    while more:
        done = at.life.expire(ages, dry_run=dry_run)
        verb = "would be erased" if dry_run else "erased"
        told += [f"{call}: {verb}" for call in done.erased]
        told += [f"{call}: its recording {verb}" for call in done.silenced]
        told += [f"left: {one}" for one in done.left]
        held |= dict.fromkeys(done.held)
        more = done.more and not dry_run
        if done.more and dry_run:
            told.append("and more")
    told += [f"{call}: held, so it stays" for call in held]
    return told or ["nothing is too old"]


def backed_up(at: Desk, to: Path, keys: Path | None) -> list[str]:
    """Back the records up into *to*, and their keys into *keys*."""
    done = backup(at.store, to, keys)
    told = [
        f"{to}: {done.journals} journals ({done.linked} of them links: copy the directory to "
        f"another volume), {done.entries} entries of the ledger"
    ]
    if done.keys is None:
        return [*told, "the keys of the calls are NOT in it: without them nobody can read it"]
    return [
        *told,
        f"{keys}: {done.keys} keys. Whoever erases a call must be able to reach this copy, or it "
        f"must be gone when the erasure has to be complete",
    ]


def put_back(
    source: Path, place: Place, keys: Path | None, lists: Sequence[Path]
) -> tuple[list[str], bool]:
    """Put the backup *source* back at *place*; in words, and whether all of it is whole."""
    asks = person(place, "restore")
    done = restore(
        source, place.directory, archive_keys(place), who=asks.name, keys=keys, erased=lists
    )
    told = [f"{place.directory}: {done.calls} calls, {done.entries} entries of the ledger"]
    if done.keys is None:
        told.append("no keys were put back: nobody can read the calls. --keys says where they are")
    told += [f"{call}: had been erased since the backup, erased again" for call in done.again]
    if not lists:
        told.append(
            "no list of erasures was given: what was erased after the backup is back. Give "
            "--erased the erased.jsonl, or the catalogue.sqlite, that is newer"
        )
    return [*told, *(f"fault: {one}" for one in done.faults)], not done.faults


def accesses(at: Desk, call: str | None, count: int) -> list[Access]:
    """Who read *call*, or any, last."""
    if at.store.archive is None:
        raise InputError(f"{at.store.directory} has no catalogue, so nobody noted who read what")
    return access.accesses(at.store.archive.catalogue, call, count)


def access_line(one: Access) -> str:
    """For a person."""
    return f"{utc(one.at)}  {one.who}  {one.what}  {one.call}"
