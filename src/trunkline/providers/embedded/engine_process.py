"""The event loop's side of one engine process: frames in, frames out, its stderr and its end.

Reading is done in callbacks (`SubprocessProtocol`), so that a process needs no task of its own,
and its stderr is drained, and kept short, even when nobody is waiting for it.
"""

import asyncio
from collections import deque
from typing import cast

from typing_extensions import override

from trunkline.errors import Fault
from trunkline.providers.embedded.framing import Frame, FrameReader, FramingError

_STDERR_MAX = 2_000
_INBOX_MAX = 64  # frames that wait for their reader before the process is made to wait
_INBOX_BYTES_MAX = 1 << 20  # of payload, and of the one frame that may be larger


class EngineProcess(asyncio.SubprocessProtocol):
    """Callbacks of one running process: frames in, stderr's tail, and its end."""

    def __init__(self) -> None:
        self.inbox: deque[Frame] = deque()
        self.broken: str | None = None
        self.fault = Fault.CUT
        self.exited = asyncio.Event()
        self._waiting_bytes = 0
        self._stderr = bytearray()
        self._reader = FrameReader()
        self._arrived = asyncio.Event()
        self._paused = False
        self.transport: asyncio.SubprocessTransport | None = None

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.SubprocessTransport", transport)

    @override
    def pipe_data_received(self, fd: int, data: bytes) -> None:
        if fd == 2:
            self._stderr += data
            del self._stderr[:-_STDERR_MAX]
            return
        if self.fault is Fault.MALFORMED:
            return  # what follows a broken frame means nothing, and must not pile up
        try:
            for frame in self._reader.feed(data):
                self.inbox.append(frame)
                self._waiting_bytes += len(frame.payload)
        except FramingError as error:
            self.broken, self.fault = f"it sent {error}", Fault.MALFORMED
            if self.transport is not None and self.transport.get_returncode() is None:
                self.transport.kill()  # an idle one would go on until somebody asked it something
        if self._full(1):
            self._pause(paused=True)
        self._arrived.set()

    @override
    def process_exited(self) -> None:
        self.exited.set()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        # Comes after the pipes are drained, so that the tail of stderr is whole.
        self.exited.set()
        if self.broken is None:
            self.broken = "it exited" if exc is None else f"its pipe broke: {exc}"
        self._arrived.set()

    async def next_frame(self) -> Frame | None:
        """The next frame, None once the process is broken and its inbox is empty."""
        while not self.inbox:
            if self.broken is not None:
                return None
            self._arrived.clear()
            await self._arrived.wait()
        frame = self.inbox.popleft()
        self._waiting_bytes -= len(frame.payload)
        if self._paused and not self._full(0.5):
            self._pause(paused=False)
        return frame

    def write(self, data: bytes) -> None:
        """Queue *data* for its stdin; lost if it is broken, which `next_frame` tells."""
        transport = self.transport and self.transport.get_pipe_transport(0)
        if transport is not None and self.broken is None:
            cast("asyncio.WriteTransport", transport).write(data)

    def stderr_tail(self) -> str:
        """The end of what it wrote to stderr."""
        return self._stderr.decode(errors="replace").strip()

    def _full(self, share: float) -> bool:
        return (
            len(self.inbox) > _INBOX_MAX * share or self._waiting_bytes > _INBOX_BYTES_MAX * share
        )

    def _pause(self, *, paused: bool) -> None:
        pipe = self.transport and self.transport.get_pipe_transport(1)
        if pipe is None or self._paused is paused:
            return
        self._paused = paused
        stdout = cast("asyncio.ReadTransport", pipe)
        if paused:
            stdout.pause_reading()
        else:
            stdout.resume_reading()
