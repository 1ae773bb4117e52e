"""The clients of a gateway in one process: closed loop, open loop, and streams at a model's pace.

python -m benchmarks.gateway.load

Each line of JSON on standard input is an `Order`, each is answered with a line `{"load": ...}`.
Every event of every answer is parsed; an answer counts only if its status is 200, all 40 pieces of
it came, one finish_reason and one `[DONE]`. Connections are kept and used again.
"""

import asyncio
import json
import os
import random
import sys
import time
from array import array
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass, field
from typing import Any, cast

import uvloop
from typing_extensions import override

from benchmarks.density import cores
from benchmarks.gateway import processes
from benchmarks.gateway.wire import GAP_S, PIECES, Response, decode, request, stamped

GIVE_UP_S = 30.0
"""After the end of what is measured, until answers that are still awaited count as failed."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to measure of *model*, at *path* of the gateway on *port*.

    *connections*: a closed loop, each asks again when it is answered. *rate*: an open loop,
    requests a second at random moments (Poisson, from *seed*), whoever is still waiting. *streams*:
    so many paced answers at a time, begun evenly spread over a piece's gap. One of them is given.
    *pids*: the gateway's processes, *own*: the upstream's; *core*, *own_core*: where they run.
    """

    port: int
    path: str
    model: str
    headers: dict[str, str]
    seconds: float
    warm_s: float = 0.5
    connections: int = 0
    rate: float = 0.0
    streams: int = 0
    seed: int = 0
    pids: list[int] = field(default_factory=list)
    own: list[int] = field(default_factory=list)
    core: int | None = None
    own_core: int | None = None


class Tally:
    """What came within the window that is measured."""

    def __init__(self) -> None:
        self.first_s, self.late_s, self.piece_s = array("d"), array("d"), array("d")
        self.finished = self.failed = 0
        self.errors: list[str] = []

    def fail(self, error: str) -> None:
        """One answer was not whole."""
        self.failed += 1
        if len(self.errors) < 3:
            self.errors.append(error[:300])


class Connection(asyncio.Protocol):
    """One connection; *idle* is called when it may ask again."""

    def __init__(self, idle: Callable[["Connection"], None], tally: Tally) -> None:
        self._idle, self.tally = idle, tally
        self.usable, self.busy = True, False

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False
        if self.busy:
            self._end(f"the connection was closed: {exc}")

    def ask(self, asked: bytes) -> None:
        """Ask, now."""
        self.busy, self._sent = True, time.monotonic()
        self._response, self._rest = Response(), b""
        self._pieces = array("d")
        self._first, self._finishes, self._dones = 0.0, 0, 0
        self._transport.write(asked)

    def abort(self) -> None:
        """Nobody waits any more."""
        self._transport.abort()

    def give_up(self) -> None:
        """It has taken too long."""
        self._end(f"no answer within {GIVE_UP_S:g} s")

    @override
    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        try:
            body = self._response.feed(data)
            if self._response.status != 200:
                self._rest += body
            else:
                *lines, self._rest = (self._rest + body).split(b"\n")
                for line in lines:
                    if line[:5] == b"data:":
                        self._event(line, now)
        except ValueError as error:  # no HTTP, no JSON, or no pieces of ours
            self._end(f"{type(error).__name__}: {error}")
            return
        if self._response.whole:
            self._end(self._wrong())

    def _event(self, line: bytes, now: float) -> None:
        if line[5:].strip() == b"[DONE]":
            self._dones += 1
            return
        for choice in decode(line[5:]).choices:
            if content := choice.delta.content:
                for sent_us in stamped(content):
                    self._pieces.append(now - sent_us * 1e-6)
            if choice.finish_reason:
                self._finishes += 1
        if not self._first and self._pieces:
            self._first = now

    def _wrong(self) -> str:
        if self._response.status != 200:
            return f"status {self._response.status}: {self._rest.decode(errors='replace')}"
        if (len(self._pieces), self._finishes, self._dones) != (PIECES, 1, 1):
            return f"{len(self._pieces)} pieces, {self._finishes} finishes, {self._dones} [DONE]"
        return ""

    def _end(self, wrong: str) -> None:
        self.busy = False
        if wrong or self._response.close:
            self.usable = False
            self._transport.abort()
        if wrong:
            self.tally.fail(wrong)
        else:
            tally = self.tally
            tally.finished += 1
            tally.first_s.append(self._first - self._sent)
            tally.piece_s.extend(self._pieces)
        self._idle(self)


class Clients:
    """All connections to one gateway."""

    def __init__(self, order: Order) -> None:
        self._order, self._loop = order, asyncio.get_running_loop()
        host = f"127.0.0.1:{order.port}"
        self._asked = request(order.path, host, order.model, order.headers)
        self._tally, self._again = Tally(), True
        self._idle: list[Connection] = []
        self._all: list[Connection] = []
        self._group = asyncio.TaskGroup()

    async def measure(self) -> dict[str, Any]:
        """Warm up, measure, wait for what is still awaited."""
        order = self._order
        async with self._group:
            if order.rate:
                return await self._measured(self._arrivals())
            for number in range(order.connections or order.streams):
                await asyncio.sleep(number and order.streams and GAP_S / order.streams)
                self._group.create_task(self._dial())
            await asyncio.sleep(order.warm_s)
            return await self._measured(asyncio.sleep(order.seconds))

    async def _measured(self, meanwhile: Awaitable[None]) -> dict[str, Any]:
        measured = await self._window(meanwhile)
        self._again = False
        for connection in self._all:
            connection.abort()
        return measured

    async def _arrivals(self) -> None:
        draw = random.Random(self._order.seed)  # noqa: S311  # to be repeated by its seed
        due = time.monotonic()  # not the loop's clock, which counts milliseconds
        end = due + self._order.seconds
        while (due := due + draw.expovariate(self._order.rate)) < end:
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            self._tally.late_s.append(time.monotonic() - due)
            usable = None
            while self._idle and usable is None:
                usable = it if (it := self._idle.pop()).usable else None
            if usable is None:
                self._group.create_task(self._dial())
            else:
                usable.ask(self._asked)
        until = time.monotonic() + GIVE_UP_S
        while any(it.busy for it in self._all) and time.monotonic() < until:  # noqa: ASYNC110  # an event would cost each answer
            await asyncio.sleep(0.01)
        for waiting in [it for it in self._all if it.busy]:
            waiting.give_up()

    async def _window(self, meanwhile: Awaitable[None]) -> dict[str, Any]:
        order, own = self._order, [*self._order.own, os.getpid()]
        tally = self._tally = Tally()
        for connection in self._all:
            connection.tally = tally
        watch = cores.Watch(order.core, order.own_core)
        cpu, own_cpu = processes.cpu_s(order.pids), processes.cpu_s(own)
        began = time.monotonic()
        await meanwhile
        wall_s = time.monotonic() - began
        cpu, own_cpu = processes.cpu_s(order.pids) - cpu, processes.cpu_s(own) - own_cpu
        ticks = watch.stop()
        return {
            "wall_s": wall_s,
            "finished": tally.finished,
            "failed": tally.failed,
            "errors": tally.errors,
            "cpu_s": cpu,
            "own_cpu_s": own_cpu,
            "rss_mb": processes.rss_mb(order.pids),
            "core": asdict(ticks[0].use(wall_s, cpu)),
            "own_core": asdict(ticks[1].use(wall_s, own_cpu)),
            "first_s": list(tally.first_s),
            "late_s": list(tally.late_s),
            "piece_s": list(tally.piece_s),
        }

    async def _dial(self) -> None:
        try:
            _, connection = await self._loop.create_connection(
                lambda: Connection(self._answered, self._tally), "127.0.0.1", self._order.port
            )
        except OSError as error:
            self._tally.fail(f"{type(error).__name__}: {error}")
            return
        self._all.append(connection)
        connection.ask(self._asked)

    def _answered(self, connection: Connection) -> None:
        if self._order.rate:
            self._idle.append(connection)
        elif self._again and connection.usable:
            connection.ask(self._asked)
        elif self._again:
            self._group.create_task(self._dial())


async def main() -> None:
    """Measure what is ordered, until standard input is closed."""
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        told = await Clients(Order(**json.loads(line))).measure()
        sys.stdout.write(json.dumps({"load": told}) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    uvloop.run(main())
