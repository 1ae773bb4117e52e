"""All trials of a session: several at once, each placed until the caller kept time.

A trial in which the caller's own clock was late by more than `LATE_S_MAX` measured the machine: it
is placed again, and counted. Nothing is ever placed again for its result.
"""

import asyncio
import gc
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from trials.keep_alive.judge import Heard, heard
from trials.keep_alive.order import Order
from trials.keep_alive.rig import Host, Slot, host, place
from trials.keep_alive.worker import prepare
from trunkline.errors import TrunklineError

AT_ONCE: Final = int(os.environ.get("TRUNKLINE_TRIAL_AT_ONCE", "8"))
STARTS_AT_ONCE: Final = 4
LATE_S_MAX: Final = float(os.environ.get("TRUNKLINE_TRIAL_LATE_MS", "50")) / 1e3
TRIES_MAX: Final = 6
LOAD_S: Final = 2.0
"""For a pool to start all its processes: one that is done is given the next task."""


@dataclass
class Campaign:
    """The calls so far."""

    folder: Path
    seen: dict[Order, Heard] = field(default_factory=dict)
    discarded: list[str] = field(default_factory=list)
    failed: dict[Order, str] = field(default_factory=dict)

    async def place(self, orders: Iterable[Order]) -> None:
        """Place those of *orders* that were not placed yet."""
        waiting = asyncio.Queue[Order](100_000)
        for order in dict.fromkeys(orders):
            if order not in self.seen:
                waiting.put_nowait(order)
        prepare()
        starting = asyncio.Semaphore(STARTS_AT_ONCE)
        at_once, spawn = min(AT_ONCE, waiting.qsize()), get_context("spawn")
        judges = ProcessPoolExecutor(1, spawn, initializer=os.nice, initargs=(10,))
        callers = ProcessPoolExecutor(at_once, spawn)
        async with AsyncExitStack() as stack:
            stack.enter_context(judges)
            stack.enter_context(callers)
            await asyncio.wait([asyncio.wrap_future(callers.submit(_load)) for _ in range(at_once)])
            slots = [
                await stack.enter_async_context(slot(number, starting)) for number in range(at_once)
            ]
            async with asyncio.TaskGroup() as group:
                for number, mine in enumerate(slots):
                    folder = self.folder / f"slot{number}"
                    group.create_task(self._work(mine, folder, waiting, callers, judges))

    async def _work(
        self,
        mine: Slot,
        folder: Path,
        waiting: asyncio.Queue[Order],
        callers: Executor,
        judges: Executor,
    ) -> None:
        while not waiting.empty():
            await self._one(waiting.get_nowait(), mine, folder, callers, judges)

    async def _one(
        self, order: Order, mine: Slot, folder: Path, callers: Executor, judges: Executor
    ) -> None:
        for _ in range(TRIES_MAX):
            try:
                placed = await place(order, mine, folder, callers)
            except (AssertionError, OSError, TrunklineError) as error:
                self.failed[order] = f"{type(error).__name__}: {error}"
                return
            print(f"{order}: the caller was late by {placed.late_s * 1e3:.0f} ms", flush=True)
            if placed.late_s <= LATE_S_MAX:
                loop = asyncio.get_running_loop()
                self.seen[order] = await loop.run_in_executor(judges, heard, placed)
                return
            self.discarded.append(f"{order}: {placed.late_s * 1e3:.0f} ms late")
        self.failed[order] = f"the caller's clock was late in {TRIES_MAX} calls"


def _load() -> None:
    """Have every process of callers load what it runs, before the first call."""
    gc.collect()  # later, a full collection would take a frame or two of a call
    gc.freeze()
    time.sleep(LOAD_S)


@asynccontextmanager
async def slot(number: int, starting: asyncio.Semaphore) -> AsyncIterator[Slot]:
    """Place for one trial after the other."""
    async with AsyncExitStack() as stack:
        well, sick = [await stack.enter_async_context(host()) for _ in range(2)]
        cut_off = await stack.enter_async_context(namespaced(number)) if can_cut_off() else None
        yield Slot(well, sick, cut_off, starting)


@cache
def can_cut_off() -> bool:
    """Whether this process may make network namespaces: Linux, iproute2, CAP_NET_ADMIN."""
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    made = subprocess.run(["ip", "netns", "add", "trunkline-can"], check=False, capture_output=True)
    subprocess.run(["ip", "netns", "del", "trunkline-can"], check=False, capture_output=True)
    return made.returncode == 0


@asynccontextmanager
async def namespaced(number: int) -> AsyncIterator[Host]:
    """Local servers behind a link of their own, whose namespace can lose its way back."""
    pid = os.getpid()
    name, here, there = (f"tk{pid}.{number}{end}" for end in ("", "a", "b"))
    network = f"10.{128 + pid % 100}.{pid // 100 % 250}"  # no other session's
    ours, theirs = f"{network}.{4 * number + 1}", f"{network}.{4 * number + 2}"
    try:
        for command in (
            f"ip netns add {name}",
            f"ip link add {here} type veth peer name {there} netns {name}",
            f"ip addr add {ours}/30 dev {here}",
            f"ip link set {here} up",
            f"ip -n {name} addr add {theirs}/30 dev {there}",
            f"ip -n {name} link set {there} up",
            f"ip -n {name} link set lo up",
        ):
            await _run(command)
        prefix = ("ip", "netns", "exec", name)
        async with host(theirs, f"{ours}/32", prefix) as it:
            it.restore = lambda: _run(f"ip -n {name} route del blackhole {ours}/32", check=False)
            yield it
    finally:
        await _run(f"ip link del {here}", check=False)
        await _run(f"ip netns del {name}", check=False)


async def _run(command: str, *, check: bool = True) -> None:
    process = await asyncio.create_subprocess_exec(*command.split(), stderr=asyncio.subprocess.PIPE)
    _, said = await process.communicate()
    if check and process.returncode:
        raise AssertionError(f"{command}: {said.decode()}")
