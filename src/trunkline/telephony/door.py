"""The door of a worker: what anybody on the network may ask before we know who it is.

aiohttp bounds what a request may be; here it is told how much, and what it does not bound is added:
how many peers may come in a second and be connected, and how long a body may take. A request that
is refused gets its status; a peer that never completes one is disconnected, for there is nothing to
answer. The limits are for the worker as a whole: whoever wants them by address has a proxy do it.
"""

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final, cast
from urllib.parse import parse_qsl

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from aiohttp.typedefs import Handler, Middleware
from typing_extensions import override

from trunkline.errors import InputError
from trunkline.telephony.wire import Pace

REQUEST_S: Final = 10.0
"""From the connection, or the response before, to the end of a request's head. Also how long an
idle connection is kept: Twilio's next webhook is a call away."""
BODY_S: Final = 5.0
"""For a webhook's form, a packet or two behind its head."""
LINGER_S: Final = 1.0
"""For the rest of a body that nobody wants: else the peer sees a reset instead of its status."""
WEBHOOK_BYTES_MAX: Final = 64 * 1024
"""A webhook's form: Twilio sends some 40 short fields."""
FIELDS_MAX: Final = 200
"""Fields of a form: five times what Twilio sends."""
FIELD_CHARS_MAX: Final = 128
"""A call's id (34), a number or a SIP address; keeps a `<Parameter>` within its limit."""
LINE_BYTES_MAX: Final = 8 * 1024
"""The request line, path and query: a webhook by GET carries its form there."""
HEADER_BYTES_MAX: Final = 4 * 1024
"""One header."""
HEADERS_MAX: Final = 64
"""Headers of a request: Twilio sends ten, proxies add some."""
CONNECTIONS_MAX: Final = 256
"""Connections that are no streams. Beyond, the one that waits longest gets a 503: it has had its
time, and the files that a process may open are for calls."""
PEERS_PER_S: Final = 50.0
"""New connections, and requests, in the long run. A call takes two of each, so this is 25 new calls
a second on a worker that carries a hundred. What it has to spare belongs to those that are up."""
PEERS_BURST: Final = 200
"""The same at once: a campaign that starts."""
PEERS_PER_CALL: Final = 2
"""What is added to both bounds that hold at once, for each call that the worker may have: when its
neighbour dies, as many callers ask the webhook and open a stream in the same second."""
SIP_BYTES: Final = 2048
"""Read of one peer before the others get their turn: six messages of a carrier, or three hundred
empty pings, which take the loop two milliseconds."""

_HOST: Final = re.compile(r"[A-Za-z0-9._-]{1,253}(:\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](:\d{1,5})?")
_TOLD_CHARS: Final = 200
_FORM: Final = "application/x-www-form-urlencoded"
_BUSY: Final = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


class _InOneLine(logging.Filter):
    """What is no HTTP is the noise of any public port: one line, no traceback, nobody is paged."""

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.exc_info, record.levelno, record.levelname = None, logging.INFO, "INFO"
            told = f"{type(error).__name__}: {error.message}"[:_TOLD_CHARS]
            record.msg, record.args = "a request was refused: %r", (told,)
        return True


_log = logging.getLogger(__name__)
_log.addFilter(_InOneLine())


@dataclass(frozen=True, slots=True)
class Clients:
    """Other programs than carriers, under *path*: who they are and what they may do is decided
    there. New connections *per_s*, and *at_once_max* of them, are added to the limits here."""

    path: str = ""
    per_s: int = 0
    at_once_max: int = 0


class Door(web.AppRunner):
    """Serves *app* within the limits of this module."""

    def __init__(
        self,
        app: web.Application,
        *,
        calls_max: int,
        shutdown_timeout: float,
        clients: Clients | None = None,
    ) -> None:
        super().__init__(
            app,
            access_log=None,  # its lines carry callers' numbers in a GET webhook's query
            shutdown_timeout=shutdown_timeout,
            keepalive_timeout=REQUEST_S,
            lingering_time=LINGER_S,
            max_line_size=LINE_BYTES_MAX,
            max_field_size=HEADER_BYTES_MAX,
            max_headers=HEADERS_MAX,
            auto_decompress=False,  # no client of ours compresses; a bomb stays small
            logger=_log,
        )
        self._waiting: dict[web.RequestHandler, None] = {}
        self._no_room: set[web.RequestHandler] = set()
        self._lost: dict[web.RequestHandler, Callable[[], None]] = {}
        clients = clients or Clients()
        self._waiting_max = CONNECTIONS_MAX + PEERS_PER_CALL * calls_max + clients.at_once_max
        burst = PEERS_BURST + PEERS_PER_CALL * calls_max
        more = clients.per_s
        self._pace = Pace(PEERS_PER_S + more, burst + more, time.monotonic)
        app.middlewares.append(_paced(Pace(PEERS_PER_S, burst, time.monotonic), clients.path))

    @property
    @override
    def server(self) -> web.Server | None:
        """What makes the protocol of each connection: aiohttp's, counted."""
        made = super().server
        return None if made is None else _Counted(made, self)  # type: ignore[return-value]  # all that sites ask is to be called

    def enter(
        self, make: Callable[[], web.RequestHandler], *, admits: bool = True
    ) -> asyncio.BaseProtocol:
        """One more connection: refused if it comes too soon, else the oldest is if too many.

        *admits*: what `admits` will say of it.
        """
        if not self._pace.take():
            return _TooSoon()
        if len(self._waiting) >= self._waiting_max:
            # Those that are gone have no transport; nor has, for a moment, one that was just made.
            gone = [it for it in list(self._waiting)[:-128] if it.transport is None]
            for it in gone:
                del self._waiting[it]
            if not gone:
                self._refuse(next(iter(self._waiting)))
        connection = make()
        self._waiting[connection] = None
        if not admits:
            self._no_room = {it for it in self._no_room if it.transport is not None}
            self._no_room.add(connection)
        return _Sipping(connection, self.lost)

    def adopted(self, *, admits: bool) -> asyncio.BaseProtocol:
        """For a connection that somebody else accepted; `InputError` unless it is open."""
        made = super().server
        if made is None:
            raise InputError("the telephony server adopts connections between start() and close()")
        return self.enter(made, admits=admits)

    def admits(self, connection: web.RequestHandler) -> bool:
        """Whether a call may begin on *connection*."""
        return connection not in self._no_room

    def admit(self, connection: web.RequestHandler) -> None:
        """*connection* has become a stream: calls have a limit of their own."""
        self._waiting.pop(connection, None)

    @contextmanager
    def occupied(self, request: web.Request, on_lost: Callable[[], None]) -> Iterator[None]:
        """While the answer to *request* is written, its connection makes room for nobody.

        *on_lost* is called when its peer is gone.
        """
        connection = request.protocol
        self.admit(connection)
        self._lost[connection] = on_lost
        try:
            yield
        finally:
            if self._lost.pop(connection, None) is not None:
                self._waiting[connection] = None

    def lost(self, connection: web.RequestHandler) -> None:
        """The peer of *connection* is gone."""
        if (on_lost := self._lost.pop(connection, None)) is not None:
            on_lost()

    def _refuse(self, connection: web.RequestHandler) -> None:
        del self._waiting[connection]
        if connection.transport is not None:
            connection.transport.write(_BUSY)
        connection.force_close()


class _Counted:
    def __init__(self, made: web.Server, door: Door) -> None:
        self._made, self._door = made, door

    def __call__(self) -> asyncio.BaseProtocol:
        return self._door.enter(self._made)


class _Sipping(asyncio.BufferedProtocol):
    """Hands *inner* what comes, `SIP_BYTES` in one turn of the loop.

    A transport gives its protocol all that has arrived at once, and aiohttp decodes all of it: of
    empty pings that takes up to 24 ms, in which every other call falls silent.
    """

    def __init__(
        self, inner: web.RequestHandler, on_lost: Callable[[web.RequestHandler], None]
    ) -> None:
        self._inner, self._on_lost = inner, on_lost
        self._buffer = memoryview(bytearray(SIP_BYTES))

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._loop = asyncio.get_running_loop()
        self._inner.connection_made(transport)

    @override
    def get_buffer(self, sizehint: int) -> memoryview:
        del sizehint
        return self._buffer

    @override
    def buffer_updated(self, nbytes: int) -> None:
        self._inner.data_received(bytes(self._buffer[:nbytes]))
        if nbytes == SIP_BYTES and not self._transport.is_closing():
            self._transport.pause_reading()  # uvloop would read on, thirty-two times in one turn
            self._loop.call_soon(self._go_on)

    def _go_on(self) -> None:
        # aiohttp holds a peer back itself, whose messages nobody takes: then it lets it go on, too.
        held = self._inner._reading_paused or self._inner._buffer_paused  # they have no public name
        if not held and not self._transport.is_closing():
            self._transport.resume_reading()

    @override
    def eof_received(self) -> bool | None:
        self._inner.eof_received()  # closes nothing: an answer may be under way
        return None

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._inner.connection_lost(exc)
        self._on_lost(self._inner)

    @override
    def pause_writing(self) -> None:
        self._inner.pause_writing()

    @override
    def resume_writing(self) -> None:
        self._inner.resume_writing()


class _TooSoon(asyncio.Protocol):
    """Says so without having read a byte: it is to cost as little as can be."""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        told = cast("asyncio.WriteTransport", transport)
        told.write(_BUSY)
        told.close()


def _paced(pace: Pace, unpaced: str) -> Middleware:
    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if unpaced and request.path.startswith(unpaced):
            return await handler(request)
        if not pace.take():
            response = web.Response(status=503, text="too many requests at once\n")
            response.force_close()  # whatever else it has sent along
            return response
        return await handler(request)

    return middleware


async def read_form(request: web.Request) -> dict[str, list[str]]:
    """The form that was posted, {} for a GET; raises the HTTP refusal of one that is none."""
    if request.method != "POST":
        return {}
    if request.content_type != _FORM:
        raise web.HTTPUnsupportedMediaType(text=f"a webhook posts {_FORM}\n")
    try:
        async with asyncio.timeout(BODY_S):
            body = await request.read()  # 413 beyond the limit
    except TimeoutError:
        raise web.HTTPRequestTimeout(
            text=f"the body took longer than {BODY_S:g} s\n", headers={"Connection": "close"}
        ) from None
    except (web.RequestPayloadError, ConnectionError) as broken:
        raise web.HTTPBadRequest(text="the body is not what its head promised\n") from broken
    form: dict[str, list[str]] = {}
    try:
        pairs = parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX)
    except ValueError as broken:  # also bad UTF-8
        raise web.HTTPBadRequest(text="the body is no form\n") from broken
    for name, value in pairs:
        form.setdefault(name, []).append(value)
    return form


def check_host(request: web.Request) -> str:
    """The `Host` of *request*, which goes into what we answer; refused if it is none."""
    if not _HOST.fullmatch(request.host):
        raise web.HTTPBadRequest(text="the Host header is no host\n")
    return request.host
