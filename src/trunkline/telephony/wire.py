"""What both ends of a media socket share: the socket as we see it, and a bounded outbox.

aiohttp's exceptions become ours here: what the peer did wrong is an `InputError` (`OverLimit` if it
was too much rather than wrong), a socket that is gone is a `CarrierLost` to the sender and the end
of the messages to the reader.
"""

import asyncio
import socket as sockets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType

from trunkline.errors import CarrierLost, InputError

CLOSE_S: Final = 1.0
"""How long a closing handshake may take; a peer that is gone never answers it."""
OUTBOX_BYTES_MAX: Final = 512 * 1024
"""Some 40 s of audio as JSON: a peer so far behind plays nothing that is still meant."""
KERNEL_SEND_BYTES: Final = 64 * 1024
"""The kernel's send buffer: left alone it grows to minutes of audio and hides a stuck peer."""
KERNEL_RECEIVE_BYTES: Final = 16 * 1024
"""The kernel's receive buffer, a second of a call: what is read at once is decoded at once, and a
peer that floods must not hold up the frames of the others for longer than a millisecond or two."""
MESSAGES_PER_S: Final = 200.0
"""From one peer in the long run: four times its frames, echoes of our marks and keys."""
MESSAGES_BURST: Final = 1_000
"""At once: what a network that stalled for ten seconds delivers when it comes back."""
_TURN: Final = 32
"""Messages of one peer that are taken before the others get their turn."""


class OverLimit(InputError):
    """The peer kept to the protocol, but sent more than any phone call does."""


class Pace:
    """A token bucket: *burst* at once, *per_s* in the long run."""

    def __init__(self, per_s: float, burst: int, clock: Callable[[], float]) -> None:
        self._per_s, self._burst, self._clock = per_s, burst, clock
        self._left, self._at = float(burst), clock()

    def take(self) -> bool:
        """Whether one more is within the bounds."""
        now = self._clock()
        self._left = min(self._left + (now - self._at) * self._per_s, self._burst) - 1.0
        self._at = now
        return self._left >= 0.0


class Turn:
    """Lets the others have theirs: what has arrived already is read without a pause, so a peer
    that floods would starve all other calls."""

    def __init__(self) -> None:
        self._taken = 0

    async def take(self) -> None:
        """One more message was read."""
        self._taken += 1
        if self._taken % _TURN == 0:
            await asyncio.sleep(0)


def bound_kernel(transport: asyncio.Transport) -> None:
    """Bound what the kernel holds of a media socket, both ways."""
    raw = transport.get_extra_info("socket")
    if raw is not None:
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, KERNEL_SEND_BYTES)
        raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, KERNEL_RECEIVE_BYTES)


class Socket(Protocol):
    """A WebSocket of text messages, as little of it as a phone leg needs."""

    async def receive(self) -> bytes | str | None:
        """The next message, None once closed; `InputError` if the peer broke the protocol."""
        ...

    def offer(self, take: Callable[[bytes], bool] | None, /) -> None:
        """Show messages to *take* before they wait for `receive`: those that come while none
        waits. What it returns True for is done with. It raises nothing. None: no more."""
        ...

    async def send(self, message: bytes, /) -> None:
        """Send one text message; returns when the peer keeps up; `CarrierLost` if it is gone."""
        ...

    async def close(self, code: int, reason: str, /) -> None:
        """Close with a handshake, within `CLOSE_S` or without one."""
        ...

    def abort(self) -> None:
        """Drop the connection now, whatever is in flight."""
        ...

    @property
    def close_code(self) -> int | None:
        """The code that the socket was closed with, None: open, or closed without one."""
        ...


class AiohttpSocket:
    """The socket of a stream that we dialled, as aiohttp's client has it."""

    def __init__(self, ws: ClientWebSocketResponse[bool]) -> None:
        self._ws = ws
        connection = ws._conn  # aiohttp has no public way from a client's socket to its transport
        self._transport = None if connection is None else connection.transport
        self._turn = Turn()
        if self._transport is not None:
            bound_kernel(self._transport)

    async def receive(self) -> bytes | str | None:
        """The next text message, None once closed."""
        await self._turn.take()
        message = await self._ws.receive()
        match message.type:
            case WSMsgType.TEXT:
                text: bytes | str = message.data
                return text
            case WSMsgType.BINARY:
                raise InputError("media stream: a binary message; the protocol is JSON text")
            case WSMsgType.ERROR if isinstance(message.data, aiohttp.WebSocketError):
                raise InputError(f"media stream: {message.data}")
            case _:
                return None

    async def send(self, message: bytes, /) -> None:
        """Send one text message."""
        try:
            await self._ws.send_frame(message, WSMsgType.TEXT)
        except (ConnectionError, aiohttp.ClientError) as gone:
            raise CarrierLost("the media socket is gone") from gone

    async def close(self, code: int, reason: str, /) -> None:
        """Close; without a handshake if the peer does not take part in one."""
        with suppress(TimeoutError, ConnectionError):
            async with asyncio.timeout(2 * CLOSE_S):  # aiohttp's own limit leaves the sending out
                await self._ws.close(code=code, message=close_reason(reason))
                return
        self.abort()

    def abort(self) -> None:
        """Drop the connection."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def close_code(self) -> int | None:
        """The code that the socket was closed with."""
        return self._ws.close_code


def close_reason(text: str) -> bytes:
    """*text* as a close frame carries it: at most 123 bytes, valid UTF-8 (RFC 6455 section 5.5)."""
    return text.encode(errors="replace")[:123].decode(errors="ignore").encode()


class Outbox:
    """Messages on their way to a socket: `put` never blocks, `drain` sends, one task of it.

    Bounded in bytes; `put` raises `CarrierLost` when full. What is put after `finish` is dropped.
    """

    def __init__(self, bytes_max: int = OUTBOX_BYTES_MAX) -> None:
        self._bytes_max = bytes_max
        self._bytes = 0
        self._queue: deque[tuple[bytes, bool]] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._finished = False

    def put(self, message: bytes, *, audio: bool = False) -> None:
        """Queue *message*; *audio* tells what `drop_audio` may drop."""
        if self._finished:
            return
        if self._bytes + len(message) > self._bytes_max:
            raise CarrierLost(
                f"the other end of the media socket is not reading: {self._bytes} bytes wait, "
                f"the limit is {self._bytes_max}"
            )
        self._bytes += len(message)
        self._queue.append((message, audio))
        self._wake()

    def drop_audio(self) -> None:
        """Drop the audio that was not sent yet; all else keeps its order."""
        self._queue = deque(item for item in self._queue if not item[1])
        self._bytes = sum(len(message) for message, _ in self._queue)

    def finish(self) -> None:
        """Nothing more comes: `drain` returns once all is sent."""
        self._finished = True
        self._wake()

    async def drain(self, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Send messages in order until `finish`; raises what *send* raises."""
        loop = asyncio.get_running_loop()
        while True:
            while self._queue:
                message, _ = self._queue.popleft()
                self._bytes -= len(message)
                await send(message)
            if self._finished:
                return
            self._waiter = loop.create_future()
            await self._waiter

    def _wake(self) -> None:
        # A bare future: an Event would look up the loop for each of the leg's frames.
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
