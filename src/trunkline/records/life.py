"""The life of a record after its call: held, released, erased, expired.

Erasing is destroying keys, everywhere that we keep them. In this order, so that a crash anywhere
leaves what `resume` can go on with, and never a call that is said to be erased and is not:

1. one transaction: that nobody holds it, its row, and its entry of the ledger;
2. the list of erasures, which outlives backups (`records.erasures`);
3. the copies of its key in the logs of workers (`records.leftovers`), then the one in the table;
4. the ciphertext, unless the file system forbids it (an immutable file, a write-once volume): then
   it stays, unreadable, and is tried again at each start and each pass;
5. the row says that it is done.

What is left in copies of the key table cannot be reached from here, so it is told.

A call's row in the catalogue stays, as its entry in the ledger does: that there was a call, when,
and what was erased. So does the digest of its ciphertext, by which a copy that turns up is known.
"""

import errno
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final, cast

from trunkline.errors import InputError, RecordError
from trunkline.records import erasures, keycopies
from trunkline.records.archive import Archive
from trunkline.records.database import Transaction
from trunkline.records.disk import our_errors, sync_directory
from trunkline.records.fates import (
    Fate,
    Kind,
    State,
    Step,
    enter,
    reached,
    seconds,
    state_of,
    to_do,
)
from trunkline.records.leftovers import Swept, sweep
from trunkline.records.note import Checkpoint
from trunkline.records.retention import Expiry, Retention, due
from trunkline.records.store import Store

KEEPER: Final = "retention"
"""Who it is, in the catalogue, that erases by age."""
PASS: Final = 50
"""Calls that one pass of `resume` or `expire` erases: each costs a few commits, and the logs are
searched once for all of them."""


@dataclass(frozen=True, slots=True)
class Erasure:
    """An erasure, and what is *left* of it: a sentence each, for an operator."""

    fate: Fate
    left: tuple[str, ...] = ()


class Life:
    """What *who* lets befall the calls of *store*; *clock*: seconds since 1970. Methods block.

    Raises `InputError` if nothing was sealed with keys there.
    """

    def __init__(self, store: Store, who: str, clock: Callable[[], float] = time.time) -> None:
        if store.archive is None:
            raise InputError(
                f"{store.directory} has no keys: nothing was sealed there, so nothing can be held "
                f"or erased but by deleting files"
            )
        self.store, self.who, self.clock = store, who, clock
        self._archive: Archive = store.archive

    def hold(self, call: str, reason: str) -> Fate:
        """Keep *call* from being erased, by anybody and by age, until it is released."""
        return self._enter(call, Kind.HELD, reason, Step.DONE)

    def release(self, call: str, reason: str) -> Fate:
        """End the hold on *call*; `InputError` if there is none."""
        return self._enter(call, Kind.RELEASED, reason, Step.DONE)

    def erase(
        self, call: str, reason: str, *, recording: bool = False, backups: Sequence[Path] = ()
    ) -> Erasure:
        """Erase *call*, or its *recording* alone, also in the copies of keys in *backups*.

        A call that was erased already stays so, and what is left is done: to erase again is as
        well as once. Raises `InputError` if it is held, `RecordError` if it is not filed, or if
        something could not be destroyed: then do it again.
        """
        kind = Kind.SILENCED if recording else Kind.ERASED
        fate = self._enter(call, kind, reason, Step.BEGUN)
        (done,) = self._complete([fate])
        for directory in backups:
            keycopies.destroy_in(directory, [call], fate.kind, self._archive.secrets.kek)
        return Erasure(fate, (*done.left, *self.copies_with(call, fate.kind)))

    def resume(self, count: int = PASS) -> list[Erasure]:
        """Go on with erasures that were broken off, and with ciphertext that could not go."""
        with self._archive.catalogue.transaction() as transaction:
            fates = to_do(transaction, count)
        return self._complete(fates)

    def recheck(self) -> list[str]:
        """Destroy keys of erased calls that are back, because somebody has put an old key table in
        this one's place; the calls whose keys those were."""
        with self._archive.catalogue.transaction() as transaction:
            rows = transaction.run("SELECT call FROM fate WHERE kind = ?", Kind.ERASED.value)
        back = sorted(self._archive.secrets.calls().intersection(str(call) for (call,) in rows))
        if back:
            self._archive.secrets.destroy(*back)
        return back

    def expire(self, policy: Retention, *, dry_run: bool = False, count: int = PASS) -> Expiry:
        """Erase what is older than *policy* lets it become, at most *count* of each; *dry_run*:
        say what would be.

        Raises `RecordError` if the clock is behind the newest call: by a clock that went backwards,
        or forwards before, nothing may be destroyed.
        """
        catalogue, now = self._archive.catalogue, self.clock()
        erased, held = due(catalogue, Kind.ERASED, policy.everything_s, now, count)
        silenced, kept = due(catalogue, Kind.SILENCED, policy.recording_s, now, count)
        more = count in {len(erased), len(silenced)}
        silenced = [call for call in silenced if call not in erased]
        left: list[str] = []
        if not dry_run:
            left += self._expire(erased, Kind.ERASED)
            left += self._expire(silenced, Kind.SILENCED)
        passed_over = dict.fromkeys((*held, *kept))
        return Expiry(tuple(erased), tuple(silenced), tuple(passed_over), more, tuple(left))

    def replay(self, listed: Iterable[erasures.Erased], source: str) -> list[str]:
        """Erase again what was erased after a backup that was put back; the calls it concerned.

        A hold does not stop it: the erasure has happened. Keys of calls that the catalogue does not
        know yet are destroyed, too.
        """
        fates: list[Fate] = []
        again: list[str] = []
        for one in listed:
            known = self._archive.filed(one.call) is not None
            if not known and self._archive.secrets.kept(one.call) is not None:
                self._archive.secrets.destroy(one.call)
                again.append(one.call)
            state = self._archive.state(one.call)
            if not known or state.erased or (state.silenced and one.type is Kind.SILENCED):
                continue
            why = f"erased before, again after {source} was put back"
            at = seconds(one.at)
            fates.append(self._enter(one.call, one.type, why, Step.BEGUN, at=at, forced=True))
            again.append(one.call)
        self._complete(fates)
        return again

    def copies_with(self, call: str, kind: Kind) -> tuple[str, ...]:
        """The copies of the key table that still hold what *kind* destroys of *call*, in words."""
        filed = self._archive.filed(call)
        with self._archive.catalogue.transaction() as transaction:
            known = keycopies.copies(transaction)
        if filed is None:
            return ()
        kek = self._archive.secrets.kek
        told = (copy.left(call, filed.place, kind, kek) for copy in known)
        return tuple(it for it in told if it)

    # -- inside --------------------------------------------------------------------------------

    def _enter(
        self,
        call: str,
        kind: Kind,
        reason: str,
        step: Step,
        *,
        at: float | None = None,
        forced: bool = False,
    ) -> Fate:
        at = self.clock() if at is None else at
        with self._archive.catalogue.transaction() as transaction:
            of = self._place(transaction, call)
            state = state_of(transaction, call)
            before = _before(state, kind)
            if before is not None:
                return before
            if not forced:
                _check(call, state, kind)
            fate = Fate(-1, call, kind, at, self.who, reason, step)
            entered, checkpoint = enter(transaction, self._archive.ledger, of, fate)
        self._publish(checkpoint)
        return entered

    def _publish(self, checkpoint: Checkpoint) -> None:
        self._archive.ledger.publish(checkpoint)

    def _place(self, transaction: Transaction, call: str) -> int:
        rows = transaction.run("SELECT place FROM call WHERE call = ?", call)
        if rows:
            return cast("int", rows[0][0])
        journal = self.store.journal(call)
        if journal is not None:
            raise RecordError(
                f"call {call} has no key of its own: it was sealed before there were any. Nothing "
                f"in the ledger concerns it; to erase it, delete {journal.parent}"
            )
        raise RecordError(
            f"call {call} is not in the catalogue of {self.store.directory}: it is up, was not "
            f"sealed yet (a worker that starts does it), or there is no such call"
        )

    def _complete(self, fates: Sequence[Fate]) -> list[Erasure]:
        """Go through the steps of *fates*, from whichever each has reached."""
        swept = self._unkey(fates)
        return [Erasure(it, tuple(self._left(it, swept))) for it in fates]

    def _unkey(self, fates: Sequence[Fate]) -> Swept:
        """Destroy the keys that *fates* are about, wherever we keep them."""
        if not fates:
            return Swept()
        secrets = self._archive.secrets
        with self._archive.catalogue.transaction() as transaction:
            listed = [
                (it, self._place(transaction, it.call)) for it in fates if it.step is Step.BEGUN
            ]
        if listed:
            erasures.append(self.store.directory / erasures.LIST, listed)
        # The log's copy has both keys in one, and nobody needs it: it goes for either kind.
        swept = sweep(self.store.wal, {it.call: secrets.kept(it.call) for it in fates})
        secrets.destroy(*(it.call for it in fates if it.kind is Kind.ERASED))
        for fate in fates:
            if fate.kind is Kind.SILENCED:
                secrets.silence(fate.call)
        self._reached(fates, Step.UNREADABLE)
        return swept

    def _left(self, fate: Fate, swept: Swept) -> list[str]:
        """Remove the ciphertext of *fate*; what is left, in words. It is done if nothing is."""
        left = [
            f"{path} is damaged where the key of call {fate.call} may lie: delete it when nobody "
            f"needs to look at it any more, and erase the call again"
            for path, call in sorted(swept.unsure)
            if call == fate.call
        ]
        path = self.store.journal(fate.call) if fate.kind is Kind.ERASED else None
        if path is not None:
            left += _removed(path)
        if not left:
            self._reached([fate], Step.DONE)
        return left

    def _reached(self, fates: Sequence[Fate], step: Step) -> None:
        with self._archive.catalogue.transaction() as transaction:
            for fate in fates:
                reached(transaction, fate, step)

    def _expire(self, calls: Sequence[str], kind: Kind) -> list[str]:
        fates: list[Fate] = []
        for call in calls:
            with suppress(InputError):  # somebody has put a hold on it meanwhile
                fates.append(self._enter(call, kind, "its retention has ended", Step.BEGUN))
        return [one for it in self._complete(fates) for one in it.left]


def _before(state: State, kind: Kind) -> Fate | None:
    """The erasure that *kind* would only repeat."""
    if kind is Kind.ERASED:
        return state.erased
    if kind is Kind.SILENCED:
        return state.erased or state.silenced
    return None


def _check(call: str, state: State, kind: Kind) -> None:
    if state.erased is not None:
        raise InputError(
            f"call {call} was {state.erased.told}: there is nothing left of it to keep"
        )
    held = state.held
    if kind is Kind.RELEASED:
        if held is None:
            raise InputError(f"call {call} is not held: nothing to release")
    elif held is not None:
        mend = (
            "It stays so" if kind is Kind.HELD else "Release it first, if whoever holds it agrees"
        )
        raise InputError(f"call {call} is {held.told}. {mend}")


def _removed(path: Path) -> list[str]:
    """Remove the journal *path*; what is left of it, in words."""
    try:
        path.unlink(missing_ok=True)
    except PermissionError as error:
        return [
            f"the ciphertext {path} is locked ({error.strerror}): it stays, nobody can read it, "
            f"and the first pass after the lock has ended removes it"
        ]
    except OSError as error:
        if error.errno != errno.EROFS:
            raise RecordError(f"cannot remove {path}: {error.strerror}") from error
        return [
            f"the ciphertext {path} lies on a read-only volume: it stays, and nobody can read it"
        ]
    for directory in (path.parent, path.parent.parent):
        with suppress(OSError):  # of a day there are others
            directory.rmdir()
    with our_errors(f"cannot remove {path}"), suppress(FileNotFoundError):
        sync_directory(path.parents[2])
        sync_directory(path.parent.parent)
    return []
