"""Lanes: where blocking disk work runs, one job at a time, in order.

The journal never blocks the event loop, so its writes run on a thread. Virtual time refuses
threads, so the boundary is a parameter: `ThreadLane` in production, `InlineLane` in tests and
simulations, where a slow disk is a number.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, TypeVar

from typing_extensions import override

from trunkline.errors import TrunklineError

T = TypeVar("T")


class Lane(Protocol):
    """Runs jobs one after the other in the order of `submit`."""

    def submit(self, job: Callable[[], T], /) -> asyncio.Future[T]:
        """Run *job*; its result or exception arrives in the future, on the running loop."""
        ...

    def close(self) -> None:
        """Take no more jobs and free the thread; does not wait for a job that hangs."""
        ...


class ThreadLane(Lane):
    """One thread, named *name*.

    Wart: a job that hangs in the kernel (a dead disk) also holds up the exit of the interpreter;
    that process needs its supervisor's SIGKILL, which loses nothing that was acknowledged.
    """

    def __init__(self, name: str) -> None:
        self._pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix=name)

    @override
    def submit(self, job: Callable[[], T], /) -> asyncio.Future[T]:
        return asyncio.get_running_loop().run_in_executor(self._pool, job)

    @override
    def close(self) -> None:
        self._pool.shutdown(wait=False)


class InlineLane(Lane):
    """Runs each job on the loop itself, *latency_s* (of the loop's time) after the one before."""

    def __init__(self, name: str = "", *, latency_s: float = 0.0) -> None:
        self.name, self.latency_s = name, latency_s
        self._free_at = 0.0

    @override
    def submit(self, job: Callable[[], T], /) -> asyncio.Future[T]:
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._free_at = max(self._free_at, loop.time()) + self.latency_s

        def work() -> None:
            # A failure belongs to whoever awaits the future, a bug to the loop's handler.
            try:
                result = job()
            except (TrunklineError, OSError) as error:
                if not future.done():
                    future.set_exception(error)
            else:
                if not future.done():
                    future.set_result(result)

        if self.latency_s:
            loop.call_at(self._free_at, work)
        else:
            loop.call_soon(work)
        return future

    @override
    def close(self) -> None:
        """Nothing to free."""
