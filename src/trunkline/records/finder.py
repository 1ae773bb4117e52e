"""Finders: how a worker asks what became of a call, without doing the reading itself.

Folding the journals of a hundred calls takes half a second of the interpreter, in which the calls
that are up would stutter, on whatever thread it ran. So `ProcessFinder` asks a clerk
(`records.clerk`), a process that was started before it was needed: the core that the dead worker
has left is free for it. `LaneFinder` is for virtual time and for tools, where nobody hears it.
"""

import asyncio
import logging
import sys
from asyncio.subprocess import PIPE, Process
from collections import deque
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import msgspec
from typing_extensions import override

from trunkline.errors import RecordError
from trunkline.records.lanes import Lane
from trunkline.records.resume import BrokenCall
from trunkline.records.salvage import Salvage
from trunkline.types import CallId

log = logging.getLogger(__name__)

ANSWER_BYTES_MAX: Final = 2**24
"""Of one call's state; a history that is longer than a model can read."""
START_S: Final = 20.0
"""For a clerk to load: half a second of a core that is not wanted elsewhere."""
ANSWER_S: Final = 5.0
"""A loaded clerk that owes an answer for longer hangs, and is killed; answers take milliseconds."""
ASKED_MAX: Final = 1024
"""Questions at a time: more than a worker has callers."""
AGAIN_S: Final = 1.0
"""Between two starts of a clerk that dies."""
SEAL_FIRST_S: Final = 1.0
"""So long after the last question sealing begins: callers come back within a second."""
SEAL_AGAIN_S: Final = 0.02
"""Between two steps of sealing."""
CLOSE_S: Final = 20.0
"""For a clerk to seal what it holds, when its worker ends."""


class Answer(msgspec.Struct, frozen=True):
    """What the clerk says to a question: what it *found*, if anything, or an *error*."""

    found: BrokenCall | None = None
    error: str = ""


_decoder: Final = msgspec.json.Decoder(Answer)


class Finder(Protocol):
    """Tells what became of calls, and seals what dead workers left."""

    async def find(self, call: CallId, /) -> BrokenCall | None:
        """As `Salvage.find`; None also if nobody can be asked just now."""
        ...

    async def close(self) -> None:
        """Seal what was found, and end."""
        ...


class LaneFinder(Finder):
    """Asks *salvage* on *lane*."""

    def __init__(self, salvage: Salvage, lane: Lane) -> None:
        self._salvage, self._lane = salvage, lane
        self._timer: asyncio.TimerHandle | None = None

    @override
    async def find(self, call: CallId, /) -> BrokenCall | None:
        """Ask, and seal once nobody has asked for `SEAL_FIRST_S`."""
        self._seal_in(SEAL_FIRST_S)
        return await self._lane.submit(partial(self._salvage.find, call))

    @override
    async def close(self) -> None:
        """Seal the rest."""
        if self._timer is not None:
            self._timer.cancel()
        try:
            while await self._lane.submit(self._salvage.step):
                pass
            await self._lane.submit(self._salvage.close)
        finally:
            self._lane.close()

    def _seal_in(self, delay_s: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._seal)

    def _seal(self) -> None:
        self._timer = None
        self._lane.submit(self._salvage.step).add_done_callback(self._stepped)

    def _stepped(self, step: asyncio.Future[bool]) -> None:
        if not step.cancelled() and step.result() and self._timer is None:
            self._seal_in(SEAL_AGAIN_S)


class ProcessFinder(Finder):
    """Asks a clerk for the records in *directory*; one that dies is started again.

    *secrets* is the line that opens the archive (`clerk.secrets_line`): it goes through the pipe,
    because arguments and environment of a process can be read by others. Questions are answered in
    their order.
    """

    def __init__(self, directory: Path, secrets: bytes = b"") -> None:
        self._directory, self._secrets = directory, secrets
        self._process: Process | None = None
        self._asked: deque[asyncio.Future[bytes]] = deque()
        self._loaded: asyncio.Future[bytes] | None = None
        self._reading: asyncio.Task[None] | None = None
        self._hung: Process | None = None
        self._not_before = 0.0
        self._starting = asyncio.Lock()

    @property
    def pid(self) -> int | None:
        """The clerk, if there is one."""
        return None if self._process is None else self._process.pid

    @classmethod
    async def start(cls, directory: Path, secrets: bytes = b"") -> "ProcessFinder":
        """One whose clerk is loading: `find` waits for it, within `START_S`."""
        made = cls(directory, secrets)
        await made._living()
        return made

    @override
    async def find(self, call: CallId, /) -> BrokenCall | None:
        """Ask the clerk."""
        process = await self._living()
        if process is None or process.stdin is None or len(self._asked) >= ASKED_MAX:
            return None
        answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._asked.append(answer)
        process.stdin.write(call.encode() + b"\n")
        try:
            if self._loaded is not None:
                async with asyncio.timeout(START_S):
                    await asyncio.shield(self._loaded)
            async with asyncio.timeout(ANSWER_S):
                line = await answer
        except TimeoutError:
            if self._hung is not process:
                self._hung = process
                log.warning("the clerk of the records is killed: no answer in %g s", ANSWER_S)
                process.kill()
            return None
        if not line.endswith(b"\n"):
            return None  # it died: the next one is asked
        told = _decoder.decode(line)
        if told.error:
            raise RecordError(told.error)
        return told.found

    @override
    async def close(self) -> None:
        """Let it seal what it holds, and end."""
        process = self._process
        if process is None or process.stdin is None or self._reading is None:
            return
        process.stdin.close()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._reading
        except TimeoutError:
            log.warning("the clerk did not end in %g s: what it left is sealed later", CLOSE_S)
            process.kill()
        await process.wait()

    async def _living(self) -> Process | None:
        """The clerk, started if there is none; None while it is not started again."""
        async with self._starting:
            clock = asyncio.get_running_loop().time
            if self._reading is not None and not self._reading.done():
                return self._process
            if clock() < self._not_before:
                return None
            self._not_before = clock() + AGAIN_S
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-m", "trunkline.records.clerk", str(self._directory)),
                    stdin=PIPE,
                    stdout=PIPE,
                    limit=ANSWER_BYTES_MAX,
                )
            except OSError as error:
                log.warning("no process for the clerk of the records: %s", error.strerror)
                return None
            if self._process.stdin is not None:
                self._process.stdin.write(self._secrets + b"\n")
            self._loaded = asyncio.get_running_loop().create_future()
            self._asked.append(self._loaded)
            self._reading = asyncio.ensure_future(self._read(self._process))
            return self._process

    async def _read(self, process: Process) -> None:
        assert process.stdout is not None  # noqa: S101  # it was asked for
        try:
            async for line in process.stdout:
                if not (answer := self._asked.popleft()).done():
                    answer.set_result(line)
        finally:
            for answer in self._asked:
                if not answer.done():
                    answer.set_result(b"")
            self._asked.clear()
        if (status := await process.wait()) != 0:
            log.warning("the clerk of the records died (status %d)", status)
