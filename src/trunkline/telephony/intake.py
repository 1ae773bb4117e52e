"""Reads the media sockets of a worker together, a hundred times a second.

Callers do not share a clock: read as they come, the frames of ten calls wake the process five
hundred times a second, each time with cold caches for one frame. That costs more than all that is
done with the frame. So the event loop does not watch these sockets: every 10 ms they are asked all
at once which of them hold anything. Voice activity is judged every 20 ms, and the pacer wakes at
the same moments, so turn-taking hears nothing later than it did.

Nothing is lost by waiting: what has not been read stays in the kernel's buffer, which is how a
peer is held back too.
"""

import asyncio
import os
import select
import socket
from collections.abc import Callable
from functools import partial
from typing import Final

READ_MS: Final = 10
"""Half of a frame: the last of a hundred frames is late by this, far from the next one."""
READ_BYTES: Final = 16 * 1024
"""Of one socket at once: what the kernel may hold of it, a second of a call."""


class Intake:
    """`watch` a connection's socket; what it holds is read while a watch is open."""

    def __init__(self) -> None:
        # Not epoll: half of the sockets hold something each time, so the kernel need not keep note
        # of each arrival. To ask them all is cheaper.
        self._asked = select.poll()
        self._takes: dict[int, Callable[[], None]] = {}
        self._timer: asyncio.TimerHandle | None = None

    def watch(self, transport: asyncio.Transport, take: Callable[[socket.socket], None]) -> "Watch":
        """Call *take* with the socket of *transport*, which is not read any more, when it is
        readable. Raises `OSError` if the process has no file to spare."""
        shown = transport.get_extra_info("socket")
        # A descriptor of our own: one that the transport closes may soon be somebody else's.
        own = socket.socket(fileno=os.dup(shown.fileno()))
        own.setblocking(False)
        transport.pause_reading()
        self._asked.register(own, select.POLLIN)
        self._takes[own.fileno()] = partial(take, own)
        if self._timer is None:
            self._schedule()
        return Watch(self, own)

    def _schedule(self) -> None:
        # On a grid, where the pacer's ticks are too: one wake-up serves both.
        loop = asyncio.get_running_loop()
        now_ms = round(loop.time() * 1000)
        due_ms = (now_ms // READ_MS + 1) * READ_MS
        self._timer = loop.call_at(due_ms / 1000, self._read)

    def _read(self) -> None:
        if not self._takes:
            self._timer = None
            return
        self._schedule()  # first: whatever a reader raises, the others are read again
        for number, _ in self._asked.poll(0):
            if take := self._takes.get(number):  # else another reader has just ended its watch
                take()

    def _forget(self, own: socket.socket) -> None:
        self._asked.unregister(own)
        del self._takes[own.fileno()]
        own.close()


class Watch:
    """One socket in the intake."""

    def __init__(self, intake: Intake, own: socket.socket) -> None:
        self._intake, self._own = intake, own

    def end(self) -> None:
        """Read it no more; idempotent."""
        if self._own.fileno() >= 0:
            self._intake._forget(self._own)
