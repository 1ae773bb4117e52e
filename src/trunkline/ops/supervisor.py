"""Many workers behind one port: accepts, hands over, starts again what died.

A small process that touches no call: it accepts connections and gives each to the worker that
`ops.placement` chooses. A worker that dies is started again after `ops.backoff`; one that stops
reporting is killed, because its callers hear nothing: killed, their streams break, and the carrier
asks again (`telephony.server`). `drain` ends all workers, `renew` replaces them one by one.

Rules
 1. Whoever connects is answered: by a worker, or, if none comes up in time, here with a sentence.
    A connection is kept open here until its worker says that it has it: the callers of a worker
    that dies come back within milliseconds, before its death is known, and would be given to the
    dead.
 2. A worker's name is that of its records. Names are reused, the one that died last comes last,
    so that its log is not reopened while another worker takes it over.
 3. Everything ends: a start within `START_S`, a drain within its time and `END_S`.
"""

import asyncio
import logging
import socket
from asyncio.subprocess import Process
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from random import Random
from typing import Final

from trunkline.errors import InputError
from trunkline.ops.backoff import Backoff, BackoffPolicy
from trunkline.ops.channel import Channel, Message, load_of
from trunkline.ops.hanging import silence_max_s, waited_s
from trunkline.ops.placement import (
    Connection,
    Give,
    Placement,
    PlacementPolicy,
    WorkerDown,
    WorkerDraining,
    WorkerReport,
    WorkerUp,
)
from trunkline.types import Mono

START_S: Final = 60.0
"""For a worker to come up: engines load in a second or two, recovery may take longer."""
END_S: Final = 30.0
"""Beyond the drain: hanging up, sealing, stopping the engines."""
PENDING_MAX: Final = 64
"""Connections that a worker may leave lying: it takes one within a turn of its loop."""
PATIENCE_S: Final = 8.0
"""For a worker to come up, if none is there: carriers wait for a webhook for 15 s (Twilio)."""
RETURN_S: Final = 1.5
"""Before a worker is started again while others are there: to load takes a core for a second or
two, which is wanted by those to whom its callers come back."""
REFUSE_S: Final = 2.0
REFUSALS_MAX: Final = 256
BACKLOG: Final = 512
_REQUEST_BYTES_MAX: Final = 16_384
_WATCH_S: Final = 0.25

log = logging.getLogger(__name__)

Spawn = Callable[[str, socket.socket], Awaitable[Process]]
"""Start worker *name* with its end of the channel, as a process."""
Tell = Callable[[dict[str, object]], None]


def _nothing(*_: object) -> None:
    """What nobody wants to know."""


@dataclass(slots=True, eq=False)
class _Worker:
    name: str
    process: Process
    started: float
    heard: float
    channel: Channel | None = None
    up: bool = False
    waited_s: float = 0.0
    """For a core, until it was heard last."""
    settled: asyncio.Event = field(default_factory=asyncio.Event)
    """It is up, or it is gone."""
    gone: asyncio.Event = field(default_factory=asyncio.Event)
    pending: deque[socket.socket] = field(default_factory=deque)
    """Connections that it was given and has not taken yet."""
    leaving: bool = False
    """Told to drain: it is not started again."""


class Supervisor:
    """Keeps *workers* workers on *listener*; `run` until drained.

    *refusal*: the HTTP response for whoever connects when there is no worker. *drain_s*: how long
    workers let their calls go on. *rng* draws the back-off's jitter. *taken* gets the digest of a
    configuration that a worker has taken while it ran.
    """

    def __init__(
        self,
        spawn: Spawn,
        workers: int,
        listener: socket.socket,
        *,
        refusal: bytes,
        drain_s: float,
        rng: Random,
        tell: Tell,
        taken: Callable[[str], None] = _nothing,
    ) -> None:
        if workers < 1:
            raise InputError(f"{workers} workers: give one or more")
        self._spawn, self._count, self._listener = spawn, workers, listener
        self._refusal, self._drain_s, self._rng, self._tell = refusal, drain_s, rng, tell
        self._taken = taken
        self._placement = Placement(PlacementPolicy())
        self._names = deque(f"w{n}" for n in range(2 * workers + 2))
        self._workers: dict[str, _Worker] = {}
        self._places: set[asyncio.Task[None]] = set()
        self._ready = self._draining = self._renewing = False
        self._accepted = 0
        self._reports = asyncio.Event()
        self._refusing = 0
        self._stop = asyncio.Event()

    async def run(self) -> None:
        """Serve until `drain` is over."""
        self._listener.setblocking(False)
        self._listener.listen(BACKLOG)
        async with asyncio.TaskGroup() as group:
            self._group = group
            helpers = [group.create_task(self._accept()), group.create_task(self._watch())]
            for _ in range(self._count):
                self._add_place(None)
            await self._stop.wait()
            for task in self._places:
                task.cancel()
            try:
                async with asyncio.timeout(self._drain_s + END_S):
                    await self._all_gone()
            except TimeoutError:
                log.warning("killing %s: no end in time", ", ".join(self._workers))
                for worker in self._workers.values():
                    worker.process.kill()
                await self._all_gone()
            for task in helpers:
                task.cancel()

    def drain(self) -> None:
        """Take no new calls; end when those that are up have ended, or their time is over."""
        if not self._draining:
            self._draining = True
            self._reports.set()  # nobody is waited for any more
            for worker in list(self._workers.values()):
                self._send_away(worker)
            self._stop.set()

    def renew(self) -> None:
        """Start a successor for each worker, and let those that are there drain."""
        if not self._draining and not self._renewing:
            self._renewing = True
            self._group.create_task(self._renew())

    # -- workers -------------------------------------------------------------------------------

    def _add_place(self, worker: _Worker | None) -> None:
        self._places.add(task := self._group.create_task(self._keep(worker)))
        task.add_done_callback(self._places.discard)

    async def _keep(self, worker: _Worker | None) -> None:
        """One place for a worker: whoever dies in it is started again."""
        backoff = Backoff(BackoffPolicy(), self._rng)
        clock = asyncio.get_running_loop().time
        while True:
            worker = worker or await self._start()
            lived_s, how = 0.0, "did not start"
            if worker is not None:
                await worker.gone.wait()
                if worker.leaving:
                    return
                lived_s = clock() - worker.started
                how = f"{worker.name} died (status {worker.process.returncode})"
            wait_s = backoff.after(lived_s)
            if any(it.up and not it.leaving for it in self._workers.values()):
                wait_s = max(wait_s, RETURN_S)
            log.warning("a worker is started again in %.2f s: %s", wait_s, how)
            worker = None
            await asyncio.sleep(wait_s)

    async def _all_gone(self) -> None:
        while self._workers:
            await next(iter(self._workers.values())).gone.wait()

    async def _renew(self) -> None:
        """One successor after the other, so that at most one worker more than needed loads."""
        try:
            for old in [it for it in self._workers.values() if not it.leaving]:
                new = await self._start()
                if new is not None:
                    await new.settled.wait()
                if self._draining:
                    return
                if new is None or not new.up:
                    log.error("no successor of %s came up: it stays, and so do others", old.name)
                    return
                self._add_place(new)
                self._send_away(old)
            self._tell({"type": "renewed", "workers": sorted(self._workers)})
        finally:
            self._renewing = False

    async def _start(self) -> _Worker | None:
        """A process that is to become a worker; None if the system has no room for it."""
        ours, theirs = socket.socketpair()
        name = self._names.popleft()
        clock = asyncio.get_running_loop().time
        try:
            process = await self._spawn(name, theirs)
        except OSError as error:
            log.warning("no process for %s: %s", name, error.strerror)
            ours.close()
            self._names.append(name)
            return None
        finally:
            theirs.close()
        worker = _Worker(name, process, clock(), clock())
        worker.channel = Channel(ours, partial(self._reported, worker), _nothing)
        self._workers[name] = worker
        self._group.create_task(self._bury(worker))
        if self._draining:
            self._send_away(worker)
        return worker

    async def _bury(self, worker: _Worker) -> None:
        status = await worker.process.wait()
        if worker.channel is not None:
            worker.channel.close()
        self._placement.feed(WorkerDown(worker.name), self._now())
        del self._workers[worker.name]
        self._names.append(worker.name)
        worker.gone.set()
        worker.settled.set()
        for connection in worker.pending:
            self._place(connection)
        self._tell({"type": "worker.down", "worker": worker.name, "status": status})

    def _send_away(self, worker: _Worker) -> None:
        worker.leaving = True
        self._placement.feed(WorkerDraining(worker.name), self._now())
        if worker.channel is None or not worker.channel.send({"drain": True}):
            worker.process.kill()  # it hangs, or is about to be gone

    def _reported(self, worker: _Worker, message: Message, _: socket.socket | None) -> None:
        worker.heard = asyncio.get_running_loop().time()
        self._reports.set()
        try:
            if "up" in message:
                self._placement.feed(WorkerUp(worker.name, load_of(message["up"])), self._now())
                worker.up = True
                worker.settled.set()
                up = {"type": "worker.up", "worker": worker.name, "pid": worker.process.pid}
                self._tell(up)
                self._tell_when_ready()
            elif "took" in message:
                worker.pending.popleft().close()
            elif "config" in message:
                self._taken(str(message["config"]))
            else:
                report = WorkerReport(worker.name, load_of(message.get("load")))
                self._placement.feed(report, self._now())
        except InputError:
            log.exception("%s is killed: it does not speak our protocol", worker.name)
            worker.process.kill()

    async def _watch(self) -> None:
        """Kill what hangs; what died is started again where it was kept."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(_WATCH_S)
            for worker in self._workers.values():
                silent_s, waited = clock() - worker.heard, waited_s(worker.process.pid)
                if silent_s <= 2 * _WATCH_S:
                    worker.waited_s = waited
                waited -= worker.waited_s
                limit_s = silence_max_s(silent_s, waited) if worker.up else START_S
                if silent_s > limit_s and worker.process.returncode is None:
                    log.error(
                        "%s is killed: no report for %.1f s, of which it waited %.1f s for a core",
                        worker.name,
                        silent_s,
                        waited,
                    )
                    worker.process.kill()

    def _tell_when_ready(self) -> None:
        if not self._ready and sum(it.up for it in self._workers.values()) == self._count:
            self._ready = True
            self._tell({"type": "ready", "port": self._listener.getsockname()[1]})

    # -- connections ---------------------------------------------------------------------------

    async def _accept(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, _ = await loop.sock_accept(self._listener)
            except OSError as error:  # out of descriptors, or the peer was gone already
                log.warning("a connection could not be accepted: %s", error.strerror)
                await asyncio.sleep(_WATCH_S)
                continue
            self._place(connection)

    def _place(self, connection: socket.socket) -> None:
        if self._give(connection):
            return
        if self._refusing >= REFUSALS_MAX:
            connection.close()  # an attack, or a host that lost all its workers under full load
            return
        self._refusing += 1
        self._group.create_task(self._wait(connection))

    async def _wait(self, connection: socket.socket) -> None:
        """For a worker that reports, rather than send somebody away whom it may know.

        Again and again: of fifty callers whose worker has died some find the channel to the other
        one full, which empties it in its next turn.
        """
        given = False
        with suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE_S):
                while not given and not self._draining:
                    self._reports.clear()
                    await self._reports.wait()
                    given = self._give(connection)
        if not given and not self._give(connection):
            await self._refuse(connection)
        self._refusing -= 1

    def _give(self, connection: socket.socket) -> bool:
        self._accepted += 1
        (act,) = self._placement.feed(Connection(self._accepted), self._now())
        if not isinstance(act, Give):
            return False
        worker = self._workers[act.worker]
        if worker.channel is None or len(worker.pending) >= PENDING_MAX:
            return False
        if not worker.channel.send({"give": act.admits}, connection):
            return False
        worker.pending.append(connection)
        return True

    async def _refuse(self, connection: socket.socket) -> None:
        """Read the request, or its peer would see a reset; answer with the sentence."""
        loop = asyncio.get_running_loop()
        connection.setblocking(False)
        try:
            with suppress(TimeoutError, OSError):
                async with asyncio.timeout(REFUSE_S):
                    request = b""
                    while b"\r\n\r\n" not in request and len(request) < _REQUEST_BYTES_MAX:
                        piece = await loop.sock_recv(connection, _REQUEST_BYTES_MAX)
                        if not piece:
                            return
                        request += piece
                    await loop.sock_sendall(connection, self._refusal)
                    connection.shutdown(socket.SHUT_WR)
                    while await loop.sock_recv(connection, _REQUEST_BYTES_MAX):
                        pass  # the rest of its body
        finally:
            connection.close()

    def _now(self) -> Mono:
        return Mono(asyncio.get_running_loop().time())
