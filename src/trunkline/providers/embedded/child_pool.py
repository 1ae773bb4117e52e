"""A few engine processes, shared out to exchanges in order of arrival, with a bounded queue."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol

from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.child import Exchange


class Engine(Protocol):
    """What a stage needs of its engine: the seam where tests put one without processes.

    A `Child` is one, for one exchange at a time; a `ChildPool` makes one of several.
    """

    async def start(self) -> None:
        """Start; raises what is wrong with the settings or the machine."""
        ...

    def exchange(self) -> AbstractAsyncContextManager[Exchange]:
        """A request and its answers."""
        ...

    async def close(self) -> None:
        """End; idempotent."""
        ...


class ChildPool:
    """*children*, each taken by one exchange at a time; at most *waiting* exchanges stand in line.

    An exchange that finds the line full, or no idle child within *wait_s*, is refused with
    `THROTTLED`: its caller has better things to try than to stand in line.
    """

    def __init__(
        self, endpoint: str, children: Sequence[Engine], *, waiting: int, wait_s: float
    ) -> None:
        self._endpoint, self._children = endpoint, children
        self._waiting_max, self._wait_s = waiting, wait_s
        self._idle = deque(children)
        self._free = asyncio.Semaphore(len(children))  # wakes its waiters in order of arrival
        self._waiting = 0

    async def start(self) -> None:
        """Start all children: one after the other, for the first one fills the caches."""
        for child in self._children:
            await child.start()

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        """An exchange with an idle child, which is taken until it is left."""
        await self._take_turn()
        child = self._idle.popleft()
        try:
            async with child.exchange() as exchange:
                yield exchange
        finally:
            self._idle.append(child)
            self._free.release()

    async def _take_turn(self) -> None:
        if self._free.locked() and self._waiting >= self._waiting_max:
            raise self._throttled(f"{self._waiting} exchanges wait for {len(self._children)}")
        self._waiting += 1
        try:
            async with asyncio.timeout(self._wait_s):
                await self._free.acquire()
        except TimeoutError:
            raise self._throttled(f"no process was idle within {self._wait_s:g} s") from None
        finally:
            self._waiting -= 1

    def _throttled(self, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, Fault.THROTTLED, detail)

    async def close(self) -> None:
        """End all children, side by side."""
        async with asyncio.TaskGroup() as group:
            for child in self._children:
                group.create_task(child.close())
