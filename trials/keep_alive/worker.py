"""`trunkline serve`, a fresh process for each trial that does not load the code anew.

A *nursery* loads the code once and does nothing else; each worker is a fork of it, so what one
learns no other knows. To load takes a second of CPU: with it, trials would disturb one another.
A worker starts with low priority, for the same reason, and answers with the usual one.
"""

import asyncio
import json
import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

from trunkline.testing.process import die_with_parent

START_S: Final = 60.0
_LINE_BYTES: Final = 1 << 22
_NICE: Final = 19
NURSERY: Final = get_context("forkserver")


def prepare() -> None:
    """Have the nursery load, when it is first asked for a worker, what workers run."""
    os.environ["OPENBLAS_NUM_THREADS"] = "1"  # a thread of the nursery would be lost in a fork
    os.environ["TRIAL_KEY"] = "none"
    NURSERY.set_forkserver_preload(["trials.keep_alive.loaded"])


@dataclass
class Worker:
    """A worker that answers at *port*, and the events that it told."""

    port: int
    pid: int
    events: list[Mapping[str, Any]] = field(default_factory=list)
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, lines: asyncio.StreamReader) -> None:
        """Note its events until it ends."""
        while line := await lines.readline():
            self.events.append(json.loads(line))
            self._more.set()

    async def until(self, kind: str) -> None:
        """Wait for an event of that *kind*."""
        async with asyncio.timeout(10.0):
            while not any(event["type"] == kind for event in self.events):
                self._more.clear()
                await self._more.wait()


@asynccontextmanager
async def worker(config: Path, starting: asyncio.Semaphore) -> AsyncIterator[Worker]:
    """A worker that is ready; killed at the end, for what it would still write is nobody's.

    *starting* bounds how many start at the same time.
    """
    log, told = config.with_name("worker.log"), config.with_name("events")
    os.mkfifo(told)
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(_LINE_BYTES)
    pipe = os.fdopen(os.open(told, os.O_RDONLY | os.O_NONBLOCK), "rb")
    transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), pipe)
    async with starting:
        process = NURSERY.Process(target=_serve, args=(str(config), str(told), str(log)))
        await asyncio.to_thread(process.start)
        assert process.pid is not None
        try:
            async with asyncio.timeout(START_S):
                ready: dict[str, Any] = {}
                while "port" not in ready:  # what its models showed it tells first
                    line = await lines.readline()
                    assert line, log.read_text()
                    ready = json.loads(line)
        except BaseException:
            await _killed(process.pid, process)
            raise
    _usual_priority(process.pid)
    it = Worker(ready["port"], process.pid)
    reading = asyncio.ensure_future(it.read(lines))
    try:
        yield it
    finally:
        await _killed(process.pid, process)
        reading.cancel()
        transport.close()


async def _killed(pid: int, process: Any) -> None:
    with suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)  # with its clerk
    process.kill()  # if it had no group yet
    await asyncio.to_thread(process.join)
    process.close()


def _serve(config: str, told: str, log: str) -> None:
    die_with_parent()
    os.setpgrp()  # no session of its own: the kernel would share the cores out anew (autogroups)
    os.nice(_NICE)
    for path, number in ((told, 1), (log, 2)):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        os.dup2(descriptor, number)
        os.close(descriptor)
    from trunkline.console.cli import app  # noqa: PLC0415  # the nursery has it, this process not

    app(["serve", config, "--events"])


def _usual_priority(pid: int) -> None:
    """Give all threads of *pid* the priority of this process; only root may."""
    mine = os.getpriority(os.PRIO_PROCESS, 0)
    for thread in Path(f"/proc/{pid}/task").iterdir():
        with suppress(PermissionError, ProcessLookupError):
            os.setpriority(os.PRIO_PROCESS, int(thread.name), mine)
