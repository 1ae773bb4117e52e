"""What both ends of a media socket share: the socket as we see it, and a bounded outbox.

aiohttp's exceptions become ours here: what the peer did wrong is an `InputError`, a socket that
is gone is a `CarrierLost` to the sender and the end of the messages to the reader.
"""

import asyncio
import socket as sockets
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Final, Protocol

import aiohttp
from aiohttp import ClientWebSocketResponse, WSMsgType, web

from trunkline.errors import CarrierLost, InputError

CLOSE_S: Final = 1.0
"""How long a closing handshake may take; a peer that is gone never answers it."""
OUTBOX_BYTES_MAX: Final = 512 * 1024
"""Some 40 s of audio as JSON: a peer so far behind plays nothing that is still meant."""
KERNEL_SEND_BYTES: Final = 64 * 1024
"""The kernel's send buffer: left alone it grows to minutes of audio and hides a stuck peer."""


class Socket(Protocol):
    """A WebSocket of text messages, as little of it as a phone leg needs."""

    async def receive(self) -> bytes | str | None:
        """The next message, None once closed; `InputError` if the peer broke the protocol."""
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
    """aiohttp's WebSocket, of either end, as a `Socket`."""

    def __init__(
        self,
        ws: web.WebSocketResponse[bool] | ClientWebSocketResponse[bool],
        transport: asyncio.Transport | None,
    ) -> None:
        self._ws, self._transport = ws, transport
        raw = None if transport is None else transport.get_extra_info("socket")
        if raw is not None:
            raw.setsockopt(sockets.SOL_SOCKET, sockets.SO_SNDBUF, KERNEL_SEND_BYTES)

    @classmethod
    def of_client(cls, ws: ClientWebSocketResponse[bool]) -> "AiohttpSocket":
        """A socket that we dialled."""
        connection = ws._conn  # aiohttp has no public way from a client's socket to its transport
        return cls(ws, None if connection is None else connection.transport)

    async def receive(self) -> bytes | str | None:
        """The next text message, None once closed."""
        message = await self._ws.receive()
        if message.type is WSMsgType.TEXT:
            text: bytes | str = message.data
            return text
        match message.type:
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
                # A close frame carries at most 123 bytes of reason (RFC 6455 section 5.5).
                await self._ws.close(code=code, message=reason.encode()[:123])
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
