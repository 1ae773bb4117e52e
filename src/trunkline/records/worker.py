"""The records of one worker: opens journals, seals them when calls end, recovers at start.

async with WorkerRecords(directory, "w0") as records:
    journal = records.journal(call)          # refused when the disk has failed
    ...
    await journal.close("caller hung up")    # durable, then sealed in the store
"""

import asyncio
import logging
import re
from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from trunkline.errors import InputError, RecordError
from trunkline.records.archive import Archive
from trunkline.records.envelope import check_call_id
from trunkline.records.finder import Finder, LaneFinder
from trunkline.records.journal import CallJournal, Clocks
from trunkline.records.lanes import Lane, ThreadLane
from trunkline.records.life import KEEPER, Life
from trunkline.records.log import WorkerLog, read_places
from trunkline.records.recovery import Recovery, recover
from trunkline.records.resume import BrokenCall
from trunkline.records.salvage import Salvage
from trunkline.records.store import Store
from trunkline.types import CallId

log = logging.getLogger(__name__)

FIND_S: Final = 8.0
"""How long a broken call's journal is looked for: a worker that lives may be sealing it, a machine
may be starved. Half of what a carrier waits for an answer (Twilio, 15 s)."""
_FIND_AGAIN_S: Final = 0.05
_FIND_AGAIN_S_MAX: Final = 0.4
SEAL_S: Final = 30.0
"""How long a call's end, or the worker's, waits for its journal to be sealed."""
_WORKER: Final = re.compile(r"[A-Za-z0-9_-]{1,32}", re.ASCII)


class WorkerRecords:
    """The records under *directory*, written as worker *worker*.

    *lane* makes the lanes: one for the log, one for sealing, so that sealing a long call does not
    hold up the commits of others, and one for finding what dead workers left. A *finder* in a
    process of its own (`ProcessFinder`) keeps that off this interpreter. On entering, the calls
    that this worker left when it last died are sealed, and those of other workers that are dead:
    `recovery` tells. Entering raises `RecordError` if another process is this worker or the disk
    cannot be used. With an *archive*, journals are sealed with keys of their own, and filed.
    """

    def __init__(
        self,
        directory: Path,
        worker: str,
        *,
        clocks: Clocks | None = None,
        lane: Callable[[str], Lane] = ThreadLane,
        log: Callable[..., WorkerLog] = WorkerLog,
        finder: Finder | None = None,
        archive: Archive | None = None,
    ) -> None:
        if not _WORKER.fullmatch(worker):
            raise InputError(
                f"worker name {worker!r} cannot name a directory: use 1 to 32 letters, digits, "
                f"'-' and '_'"
            )
        self.store = Store(directory, archive)
        self.recovery = Recovery()
        self._clocks = clocks or Clocks()
        self._sealing = lane("trunkline-sealing")
        self._finder = finder or LaneFinder(
            Salvage(self.store, self._clocks), lane("trunkline-finding")
        )
        self._log = log(self.store.wal / worker, lane=lane("trunkline-journal"))
        self._live: set[CallId] = set()
        self._sealings: set[asyncio.Future[Path]] = set()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            if self.store.archive is not None:
                stack.callback(self.store.archive.close)
            stack.callback(self._sealing.close)
            stack.push_async_callback(self._finder.close)
            log = await stack.enter_async_context(self._log)
            self.recovery = await self._sealing.submit(self._recover)
            await log.forget_inherited()
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._sealings:
            await asyncio.wait(self._sealings, timeout=SEAL_S)
        await self._stack.__aexit__(kind, error, trace)

    @property
    def healthy(self) -> bool:
        """Whether records become durable; if not, take no new calls."""
        return self._log.healthy

    @property
    def failure(self) -> str:
        """Why not, for the operator."""
        return self._log.failure

    def journal(self, call: CallId) -> CallJournal:
        """Begin the journal of *call*; `RecordError` if the log has failed: refuse the call.

        Close it in every case, or its log segments stay until the worker starts again.
        """
        if not self._log.healthy:
            raise RecordError(f"call {call} cannot be recorded: {self._log.failure}")
        if call in self._live:
            raise InputError(f"call {call} has a journal already: give each call an id of its own")
        secret, wrapped = (
            (None, None) if self.store.archive is None else self.store.archive.secrets.make(call)
        )
        hold = self._log.hold()
        try:
            journal = CallJournal(
                call,
                self._log,
                clocks=self._clocks,
                secret=secret,
                wrapped=wrapped,
                settle=partial(self._settle, hold),
            )
        except InputError:
            self._log.release(hold)
            raise
        self._live.add(call)
        return journal

    async def find(self, call: CallId, within_s: float = FIND_S) -> BrokenCall | None:
        """How *call* ended, whichever worker wrote it; None if that is not known *within_s*.

        It is known when its journal is sealed, and at once when its worker is dead: a log belongs
        to a worker that lives for as long as the kernel holds its lock, so those are not disturbed.
        Raises `InputError` if *call* is no id and `RecordError` if the journal is damaged.
        """
        check_call_id(call)
        again_s = _FIND_AGAIN_S
        try:
            async with asyncio.timeout(within_s):
                while (found := await self._finder.find(call)) is None:
                    await asyncio.sleep(again_s)
                    again_s = min(2 * again_s, _FIND_AGAIN_S_MAX)  # a hundred may be asking
        except TimeoutError:
            return None
        return found

    async def _settle(self, hold: int, journal: CallJournal) -> None:
        self._live.discard(journal.call)
        seal = partial(
            self.store.seal,
            journal.call,
            journal.started,
            read_places(self._log.directory, journal.places),
            journal.wrapped,
        )
        sealing = self._sealing.submit(seal)
        self._sealings.add(sealing)
        sealing.add_done_callback(partial(self._sealed, hold))
        try:
            async with asyncio.timeout(SEAL_S):
                # Shielded: a call task that is cancelled at its end must not leave it unsealed.
                await asyncio.shield(sealing)
        except TimeoutError as error:
            raise RecordError(
                f"call {journal.call}: sealing takes longer than {SEAL_S:g} s. It goes on; if it "
                f"does not end, the call is sealed when a worker starts again"
            ) from error

    def _sealed(self, hold: int, sealing: asyncio.Future[Path]) -> None:
        self._sealings.discard(sealing)
        if not sealing.cancelled() and sealing.exception() is None:
            self._log.release(hold)  # else its segments stay: they are all there is of the call

    def _recover(self) -> Recovery:
        """Our own segments, and those of workers that are dead; blocking."""
        own = recover(self._log.inherited, self.store, self._clocks)
        others = Salvage(self.store, self._clocks)
        try:
            others.take_dead()
            while others.step():
                pass
        finally:
            others.close()
        self.store.file_missing()
        self._erase_on()
        found = own, others.recovery
        return Recovery(
            tuple(call for one in found for call in one.calls),
            tuple(damage for one in found for damage in one.damage),
        )

    def _erase_on(self) -> None:
        """Go on with erasures that were broken off."""
        if self.store.archive is None:
            return
        try:
            life = Life(self.store, KEEPER)
            for call in life.recheck():
                log.warning("the key of call %s, which was erased, was back: destroyed again", call)
            for erasure in life.resume():
                for left in erasure.left:
                    log.warning("of an erased call there is something left: %s", left)
        except RecordError as error:  # calls come first; it is tried again
            log.error("an erasure cannot be completed: %s", error)  # noqa: TRY400  # no trace
