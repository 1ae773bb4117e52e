"""HTTP/1.1 for streams, without what streams do not need: one POST, its head, its body as it comes.

A general client spends 10 us on each chunk of a body; a gateway has 40 chunks a request and a
thousand requests a second. This one finds all chunks that a read brought in one go. It speaks
RFC 9112 as far as answers to a POST need it: status line, fields, 1xx before the answer, and a body
that is chunked, counted, or ends with the connection. Anything else is `NotHttp`.

Everything is bounded: the head, a chunk's size line, and what is kept of a body that nobody reads
(reading from the socket pauses). Silence is not: whoever waits has a deadline of their own.
"""

import asyncio
import re
import socket
import ssl
from collections.abc import Mapping
from typing import Final, cast

from aiohappyeyeballs import AddrInfoType, start_connection
from aiohttp.abc import AbstractResolver
from typing_extensions import override

from trunkline.net.resolver import LastGoodResolver

HEAD_BYTES_MAX: Final = 32 * 1024
"""A status line and its fields: proxies send 4 kB."""
FIELDS_MAX: Final = 128
SIZE_LINE_MAX: Final = 256
"""The line before a chunk: a number and extensions that nobody sends."""
BUFFER_BYTES_MAX: Final = 64 * 1024
"""Of a body, read and not taken."""
IDLE_S: Final = 60.0
"""A connection is kept so long for the next request."""
IDLE_MAX: Final = 64
"""Connections that are kept for one address."""

_ATTEMPT_S: Final = 0.25
"""One address has so long for itself before the next is tried beside it: RFC 8305, section 5."""

_BODILESS = {204, 304}
_STATUS = re.compile(rb"HTTP/1\.([01]) ([1-5]\d\d)(?: [^\r\n]*)?")
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_SIZE = re.compile(rb"([0-9A-Fa-f]{1,8})[ \t]*(?:;[^\r\n]*)?")


class NotHttp(ConnectionError):
    """What came is not HTTP/1.1."""


class Unconnected(ConnectionError):
    """There is no connection: name, route, port or TLS."""


class Connection(asyncio.Protocol):
    """One connection to a server, one request at a time."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._body: list[bytes] = []
        self._body_bytes = 0
        self._waiter: asyncio.Future[None] | None = None
        self._lost: Exception | None = None
        self._paused = False
        self.used_at = 0.0
        self._reset()

    def _reset(self) -> None:
        self.status = 0
        self.headers: Mapping[str, str] = {}
        self._left: int | None = None  # of the body, or of the chunk; None: to the connection's end
        self._chunked = self._line_end = self._trailers = self._closes = False
        self.ended = False
        self.heard = False  # a byte of the answer

    # -- what others do --------------------------------------------------------------------------

    @property
    def alive(self) -> bool:
        """Whether it may carry another request."""
        whole = self.ended and not self._closes and not self._buffer
        return whole and self._lost is None and not self._transport.is_closing()

    def send(self, request: bytes) -> None:
        """Begin a request."""
        self._reset()
        self._transport.write(request)

    async def head(self) -> None:
        """Wait until `status` and `headers` are there."""
        while not self.status:
            await self._wait()

    async def read(self) -> bytes:
        """What has come of the body; b"" at its end. Raises `ConnectionError` if it breaks off."""
        while not self._body:
            if self.ended:
                return b""
            await self._wait()
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        self._body.clear()
        self._body_bytes = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        return body

    def abort(self) -> None:
        """Drop it at once: the only sign by which the server learns that nobody listens."""
        self._transport.abort()

    # -- what happens ----------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        if (sock := transport.get_extra_info("socket")) is not None:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    @override
    def data_received(self, data: bytes) -> None:
        if self.ended:  # nobody asked
            self._transport.abort()
            return
        self.heard = True
        try:
            self._take(data)
        except NotHttp as broken:
            self._lost = broken
            self._transport.abort()
        if self._body_bytes > BUFFER_BYTES_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._rouse()

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        if self.status and self._left is None and not self._chunked and exc is None:
            self.ended = True  # a body that ends with its connection
        self._closes = True
        if self._lost is None:
            self._lost = exc or ConnectionResetError("the server closed the connection")
        self._rouse()

    # -- inside ----------------------------------------------------------------------------------

    async def _wait(self) -> None:
        if self._lost is not None:
            raise self._lost
        self._waiter = asyncio.get_running_loop().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _rouse(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _take(self, data: bytes) -> None:
        if self.status and not self._chunked and not self.ended:
            self._counted(data)
            return
        self._buffer += data
        while not self.status and self._read_head():
            pass
        if self.status and not self.ended:
            if self._chunked:
                self._read_chunks()
            elif self._buffer:
                rest = bytes(self._buffer)
                self._buffer.clear()
                self._counted(rest)

    def _read_head(self) -> bool:
        """Take a head from the buffer; whether there was one."""
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or end > HEAD_BYTES_MAX:
            if len(self._buffer) > HEAD_BYTES_MAX:
                raise NotHttp(f"a head of more than {HEAD_BYTES_MAX} bytes")
            return False
        line, *fields = bytes(self._buffer[:end]).split(b"\r\n")
        del self._buffer[: end + 4]
        found = _STATUS.fullmatch(line)
        if found is None:
            raise NotHttp("no status line")
        if int(found[2]) < 200:
            return True  # 100 Continue, 103 Early Hints: the answer follows
        if len(fields) > FIELDS_MAX:
            raise NotHttp(f"more than {FIELDS_MAX} fields")
        headers: dict[str, str] = {}
        for field in fields:
            name, colon, value = field.partition(b":")
            if not colon or _NAME.fullmatch(name) is None:
                raise NotHttp("a field without a name")
            headers[name.decode().lower()] = value.strip().decode("latin-1")
        self.headers = headers
        status = int(found[2])
        self._frame(headers, status, old=found[1] == b"0")
        self.status = status
        return True

    def _frame(self, headers: Mapping[str, str], status: int, *, old: bool) -> None:
        """How the end of the body is known: RFC 9112, section 6.3."""
        self._closes = old or "close" in headers.get("connection", "").lower()
        coding = headers.get("transfer-encoding", "").lower()
        if coding and coding != "chunked":
            raise NotHttp(f"transfer coding {coding[:40]!r}")
        self._chunked = bool(coding)
        length = headers.get("content-length")
        if status in _BODILESS:
            self._chunked, self._left, self.ended = False, 0, True
        elif self._chunked:
            self._left = 0
        elif length is None:
            self._left, self._closes = None, True
        elif length.isascii() and length.isdigit() and len(length) < 16:
            self._left = int(length)
            self.ended = not self._left
        else:
            raise NotHttp(f"content length {length[:40]!r}")

    def _counted(self, data: bytes) -> None:
        if self._left is not None:
            if len(data) > self._left:
                raise NotHttp("more than the promised body")
            self._left -= len(data)
            self.ended = not self._left
        self._put(data)

    def _read_chunks(self) -> None:
        """Take all chunks, and parts of one, that are in the buffer: RFC 9112, section 7.1."""
        data = bytes(self._buffer)
        between = not (self._left or self._line_end or self._trailers)
        at: int = self._whole_chunks(data) if between else 0
        while not self.ended and (after := self._part(data, at)) is not None:
            at = after
        del self._buffer[:at]

    def _part(self, data: bytes, at: int) -> int | None:
        """Take what stands in *data* at *at*; where it ends, None: more of it has to come."""
        if self._left:
            piece = data[at : at + self._left]
            if not piece:
                return None
            self._left -= len(piece)
            self._line_end = not self._left
            self._put(piece)
            return at + len(piece)
        if self._line_end:
            if len(data) - at < 2:
                return None
            if data[at : at + 2] != b"\r\n":
                raise NotHttp("a chunk is longer than it says")
            self._line_end = False
            return at + 2
        end = data.find(b"\r\n", at, at + SIZE_LINE_MAX)
        if end < 0:
            if len(data) - at >= SIZE_LINE_MAX:
                raise NotHttp("no size of a chunk")
            return None
        line = data[at:end]
        if self._trailers:
            self.ended = not line
        else:
            self._left = _size(line)
            self._trailers = not self._left
        return end + 2

    def _whole_chunks(self, data: bytes) -> int:
        """Take the chunks that *data* begins with, if they are whole and plain; to where.

        Where no chunk has a line end of HTTP inside, sizes and chunks alternate between line ends,
        and all are found in one go. If not, or if anything is odd, `_part` takes them: nothing is
        taken here.
        """
        *lines, _ = data.split(b"\r\n")
        sizes, chunks = lines[::2], lines[1::2]
        del sizes[len(chunks) :]
        if not b"".join(sizes).isalnum():
            return 0
        try:
            lengths = [int(size, 16) for size in sizes]
        except ValueError:
            return 0
        if lengths != list(map(len, chunks)):
            return 0
        if 0 in lengths:  # the end, which is not plain
            last = lengths.index(0)
            del sizes[last:], chunks[last:], lengths[last:]
        self._body += chunks
        taken = sum(lengths)
        self._body_bytes += taken
        return taken + sum(map(len, sizes)) + 4 * len(chunks)

    def _put(self, piece: bytes) -> None:
        self._body.append(piece)
        self._body_bytes += len(piece)


def _size(line: bytes) -> int:
    try:
        return int(line, 16) if len(line) < 8 and line.isalnum() else _extended(line)
    except ValueError:
        return _extended(line)


def _extended(line: bytes) -> int:
    found = _SIZE.fullmatch(line)
    if found is None:
        raise NotHttp("no size of a chunk")
    return int(found[1], 16)


class Pool:
    """Connections to any address, kept for the next request."""

    def __init__(self, resolver: AbstractResolver | None = None) -> None:
        """*resolver*: None for the system's, and what was good last when that fails."""
        self._resolver = resolver
        self._idle: dict[tuple[str, int, bool], list[Connection]] = {}
        self._tls: ssl.SSLContext | None = None

    def idle(self, host: str, port: int, *, tls: bool) -> Connection | None:
        """One that is there already, if one is."""
        kept = self._idle.get((host, port, tls), [])
        now = asyncio.get_running_loop().time()
        while kept:
            connection = kept.pop()
            if connection.alive and now - connection.used_at < IDLE_S:
                return connection
            connection.abort()
        return None

    async def connect(self, host: str, port: int, *, tls: bool) -> Connection:
        """A new one; `Unconnected` if there is none to be had."""
        if tls and self._tls is None:
            self._tls = ssl.create_default_context()
        try:
            return await self._connected(host, port, tls=tls)
        except OSError as refused:
            raise Unconnected(f"{type(refused).__name__}: {refused}") from None

    async def _connected(self, host: str, port: int, *, tls: bool) -> Connection:
        """Over the first of the host's addresses that answers: a route of IPv6 that is broken costs
        `_ATTEMPT_S`, not the deadline."""
        if self._resolver is None:
            self._resolver = LastGoodResolver()
        found = await self._resolver.resolve(host, port, socket.AF_UNSPEC)
        addresses: list[AddrInfoType] = [
            (it["family"], socket.SOCK_STREAM, it["proto"], "", (it["host"], it["port"]))
            for it in found
        ]
        loop = asyncio.get_running_loop()
        made = await start_connection(
            addresses, happy_eyeballs_delay=_ATTEMPT_S, interleave=1, loop=loop
        )
        secure, name = (self._tls, host) if tls else (None, None)
        try:
            _, connection = await loop.create_connection(
                Connection, sock=made, ssl=secure, server_hostname=name
            )
        except BaseException:  # a handshake that failed or was left: the socket is nobody's
            made.close()
            raise
        return connection

    def release(self, connection: Connection, host: str, port: int, *, tls: bool) -> None:
        """Keep *connection*, if it may carry another request; else it is dropped."""
        kept = self._idle.setdefault((host, port, tls), [])
        if connection.alive and len(kept) < IDLE_MAX:
            connection.used_at = asyncio.get_running_loop().time()
            kept.append(connection)
        else:
            connection.abort()

    def close(self) -> None:
        """Drop all that are kept."""
        if isinstance(self._resolver, LastGoodResolver):
            self._resolver.cancel()
        for kept in self._idle.values():
            for connection in kept:
                connection.abort()
        self._idle.clear()
