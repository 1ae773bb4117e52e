"""The server's end of a carrier's WebSocket: aiohttp up to the handshake, ours from there on.

What aiohttp does for each frame (a queue, a future, a task's wake-up, two coroutines) costs more
than the frame's audio. So once a stream is let in, its bytes go to our `FrameReader`, which is
aiohttp's *payload parser* for this connection; the connection stays aiohttp's: it is closed with
the server, and its loss and its backpressure are told by aiohttp.
"""

import asyncio
import base64
import binascii
import hashlib
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from aiohttp import web

from trunkline.errors import CarrierLost, InputError
from trunkline.telephony import frames, wire
from trunkline.telephony.frames import FrameReader, Said, Violation
from trunkline.telephony.intake import READ_BYTES, Intake, Watch
from trunkline.telephony.wire import CLOSE_S, Pace

if TYPE_CHECKING:
    from aiohttp.abc import AbstractStreamWriter

_GUID: Final = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 section 1.3
_HELD_BYTES_MAX: Final = 64 * 1024
"""Read, and not taken by the call: beyond it nothing is read, and TCP holds the peer back."""
_MESSAGE_BYTES: Final = 100  # of memory, for a message without a byte
_NO_CODE, _ABNORMAL = 1005, 1006  # RFC 6455 section 7.4.1: never sent, only told


def handshake(request: web.Request) -> web.StreamResponse:
    """The 101 that upgrades *request* (RFC 6455 section 4.2); raises HTTP 400 if it cannot be."""
    headers = request.headers
    asks = headers.get("Upgrade", "").strip().lower() == "websocket"
    connection = headers.get("Connection", "").lower()
    if not asks or "upgrade" not in [token.strip() for token in connection.split(",")]:
        raise web.HTTPBadRequest(text="this is a WebSocket: ask for an upgrade to it\n")
    if headers.get("Sec-WebSocket-Version") != "13":
        raise web.HTTPBadRequest(text="Sec-WebSocket-Version has to be 13\n")
    key = headers.get("Sec-WebSocket-Key", "")
    try:
        size = len(base64.b64decode(key, validate=True))
    except (binascii.Error, ValueError):  # the latter: not ASCII
        size = 0
    if size != 16:
        raise web.HTTPBadRequest(text="Sec-WebSocket-Key has to be 16 bytes in base64\n")
    accept = base64.b64encode(
        hashlib.sha1(key.encode() + _GUID, usedforsecurity=False).digest()
    ).decode()
    upgrade = {"Upgrade": "websocket", "Connection": "upgrade", "Sec-WebSocket-Accept": accept}
    response = web.StreamResponse(status=101, headers=upgrade)
    response.force_close()
    return response


class MediaSocket:
    """A `wire.Socket` of a carrier that has dialled us. Made by `open`."""

    def __init__(
        self,
        request: web.Request,
        writer: "AbstractStreamWriter",
        transport: asyncio.Transport,
        message_bytes_max: int,
        pace: Pace,
    ) -> None:
        self._protocol, self._writer, self._transport = request.protocol, writer, transport
        self._pace = pace
        self._loop = asyncio.get_running_loop()
        self._reader = FrameReader(message_bytes_max)
        self._inbox: deque[Said | InputError] = deque()
        self._inbox_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._watch: Watch | None = None
        self._paused = False  # only where no intake reads
        self._gone = self._closing = self._heard_close = self._flooded = False
        self._closed = asyncio.Event()
        self._turn = wire.Turn()
        self._take: Callable[[bytes], bool] | None = None
        self._code: int | None = None
        self._verdict = 0

    @classmethod
    async def open(
        cls, request: web.Request, intake: Intake, message_bytes_max: int, pace: Pace
    ) -> tuple["MediaSocket", web.StreamResponse]:
        """Upgrade *request*, and read its connection through *intake*.

        The response is to be returned by the handler. Raises HTTP 400 if the request is no
        upgrade, `ConnectionError` if the peer is gone.
        """
        response = handshake(request)
        writer = await response.prepare(request)
        transport = request.transport
        if writer is None or transport is None:
            raise ConnectionResetError("the peer left during the handshake")
        media = cls(request, writer, transport, message_bytes_max, pace)
        wire.bound_kernel(transport)
        request.protocol.keep_alive(False)
        request.protocol.set_parser(media)  # type: ignore[arg-type]  # feed_data and feed_eof are all that is asked of a parser
        if transport.get_extra_info("ssl_object") is None:  # else its bytes are not the socket's
            with suppress(OSError):  # no file to spare: the loop reads it, as it reads all others
                media._watch = intake.watch(transport, media._read)
        return media, response

    # -- what aiohttp calls, or the intake ----------------------------------------------------

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        """Bytes of the peer, behind its handshake."""
        for said in self._reader.feed(data):
            if isinstance(said, Violation) or said[0] == frames.CLOSE:
                self._put(said)
            elif self._flooded:
                continue
            elif not self._pace.take():
                self._flooded = True
                self._put(_too_many())
            elif not self._taken(*said):
                self._put(said)
        if self._inbox:
            self._wake()
        if self._watch is None and not self._paused and self._inbox_bytes > _HELD_BYTES_MAX:
            self._paused = True
            self._transport.pause_reading()
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone."""
        self._gone = True
        if self._watch is not None:
            self._watch.end()
        self._wake()

    def _read(self, own: socket.socket) -> None:
        if self._inbox_bytes > _HELD_BYTES_MAX:
            return
        try:
            data = own.recv(READ_BYTES)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:  # it was reset
            data = b""
        if data:
            self.feed_data(data)
        else:
            self.feed_eof()
            self._transport.abort()

    def _put(self, said: Said | InputError) -> None:
        self._inbox.append(said)
        self._inbox_bytes += _weight(said)

    def _taken(self, opcode: int, payload: bytes) -> bool:
        """Whether a message needs no place in the inbox, because somebody took it at once."""
        if self._take is None or self._inbox or self._closing or opcode != frames.TEXT:
            return False
        return self._take(payload)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    # -- `Socket` -----------------------------------------------------------------------------

    def offer(self, take: Callable[[bytes], bool] | None, /) -> None:
        """As `wire.Socket` has it."""
        self._take = take

    async def receive(self) -> bytes | str | None:
        """The next text message, None once closed; `InputError` if the peer broke the protocol."""
        while True:
            await self._turn.take()  # before the next: what is returned has waited for nobody
            if (said := await self._next()) is None:
                return None
            if isinstance(said, InputError):
                if isinstance(said, Violation):
                    self._verdict = said.code
                raise said
            opcode, payload = said
            match opcode:
                case frames.TEXT:
                    return payload
                case frames.PING:
                    with suppress(CarrierLost):  # the next read tells
                        await self._write(frames.PONG, payload)
                case frames.BINARY:
                    raise InputError("media stream: a binary message; the protocol is JSON text")
                case frames.CLOSE:
                    self._close_heard(payload)
                    await self.close(1000, "")
                    return None
                case _:  # a pong, which nobody asked for
                    pass

    async def send(self, message: bytes, /) -> None:
        """Send one text message; returns when the peer keeps up; `CarrierLost` if it is gone."""
        if self._closing:
            raise CarrierLost("the media socket is closing")
        await self._write(frames.TEXT, message)

    async def close(self, code: int, reason: str, /) -> None:
        """Close with a handshake, within `CLOSE_S` or without one; idempotent.

        A peer that broke RFC 6455 is told the code that it has for that, not *code*.
        """
        if self._closing:
            await self._closed.wait()
            return
        self._closing = True
        self._wake()  # whoever reads is told that there is nothing more
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._write(
                    frames.CLOSE,
                    (self._verdict or code).to_bytes(2, "big") + wire.close_reason(reason),
                )
                await self._await_close()
        except (TimeoutError, CarrierLost):
            self.abort()
        finally:
            self._code = self._code or _ABNORMAL
            self._transport.close()
            self._closed.set()

    def abort(self) -> None:
        """Drop the connection."""
        self._transport.abort()

    @property
    def close_code(self) -> int | None:
        """The code that the socket was closed with."""
        return self._code

    # -- inside -------------------------------------------------------------------------------

    async def _next(self, *, closing: bool = False) -> Said | InputError | None:
        """The next that was said; None: nothing more will be, or only to whoever is closing."""
        while not self._inbox or self._closing is not closing:
            if self._gone or self._closing is not closing:
                return None
            self._waiter = self._loop.create_future()
            await self._waiter
        said = self._inbox.popleft()
        self._inbox_bytes -= _weight(said)
        if self._paused and self._inbox_bytes <= _HELD_BYTES_MAX:
            self._paused = False
            self._transport.resume_reading()
        return said

    async def _await_close(self) -> None:
        while not self._heard_close and (said := await self._next(closing=True)) is not None:
            await self._turn.take()
            if isinstance(said, InputError):
                return
            if said[0] == frames.CLOSE:
                self._close_heard(said[1])

    def _close_heard(self, payload: bytes) -> None:
        self._heard_close = True
        self._code = int.from_bytes(payload[:2], "big") if payload else _NO_CODE

    async def _write(self, opcode: int, payload: bytes) -> None:
        if self._gone or self._transport.is_closing():
            raise CarrierLost("the media socket is gone")
        self._transport.write(frames.frame(opcode, payload))
        if self._protocol.writing_paused:
            try:
                await self._writer.drain()
            except ConnectionError as gone:
                raise CarrierLost("the media socket is gone") from gone


def _too_many() -> wire.OverLimit:
    return wire.OverLimit(
        f"media stream: more than {wire.MESSAGES_BURST} messages at once or "
        f"{wire.MESSAGES_PER_S:g} a second; send a frame every 20 ms"
    )


def _weight(said: Said | InputError) -> int:
    """What *said* takes of the inbox: a message without a byte takes some too."""
    return _MESSAGE_BYTES + (len(said[1]) if isinstance(said, tuple) else 0)
