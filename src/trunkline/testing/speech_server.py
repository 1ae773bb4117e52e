"""What the local speech servers share: a WebSocket, who asked what, and the faults.

A *request* is what a fault strikes: an utterance, or a phrase to be spoken. What a server would
send for it goes, message by message, through a `Performance`, which lets it pass, holds it, breaks
it or swallows it as the `FaultScript` says: a message is here what a token is in `testing.faults`,
and `headers_only` is a WebSocket that opens and stays silent. `status`, `hang` and `refuse` strike
before there is a WebSocket: the handshake of the next request, which has no text to match yet.
`freeze` would stop the process that the server shares with its user, so it is refused.
"""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from aiohttp import WSMsgType, web

from trunkline.errors import InputError
from trunkline.testing.faults import FaultKind, FaultScript, lot_of
from trunkline.testing.listener import Listener, peer_port, reset

_SEED = 0  # of the lots that faults with a share draw
_BODY_BYTES = 4 << 20  # of a request over HTTP: four minutes of audio
_KEPT_REQUESTS = 1_000
_KEPT_MESSAGES = 2_000
_HANDSHAKE = {FaultKind.STATUS, FaultKind.HANG}
_GARBAGE = '{"type":"Results","channel":{"alterna'


@dataclass(slots=True)
class SpeechRecord:
    """One request: *text* to be spoken ("" for an utterance), how it *ended* ("" while it runs).

    *messages* were sent for it, not counting the last; *peer_port* tells its connection,
    *ended_mono* when it ended, on this machine's monotonic clock.
    """

    ordinal: int
    text: str
    peer_port: int
    messages: int = 0
    ended: str = ""
    ended_mono: float = 0.0


@dataclass(slots=True)
class ConnectionRecord:
    """One connection: how it was asked for, what the client said, how it was closed.

    *said* has the text messages of the client, and how many bytes a binary one had; *close_code*
    is the client's (None: it went away without a word).
    """

    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    peer_port: int
    said: deque[str | int] = field(default_factory=lambda: deque(maxlen=_KEPT_MESSAGES))
    close_code: int | None = None
    ended: bool = False


class Struck(Exception):
    """The fault has ended the connection."""


@dataclass(frozen=True, slots=True)
class SpeechFault:
    """A fault takes effect: in *request*, before message number *message* (from 0), at *mono*."""

    kind: FaultKind
    request: int
    message: int
    mono: float


OnFault = Callable[[SpeechFault], None]


class Sink(Protocol):
    """Where the messages of a request go: aiohttp's WebSocket, or the body of a response."""

    async def send_str(self, data: str) -> None:
        """One message of text."""
        ...

    async def send_bytes(self, data: bytes) -> None:
        """One of bytes."""
        ...

    async def ping(self) -> None:
        """A sign of life that says nothing, if there is one."""
        ...

    async def close(self) -> bool:
        """End, cleanly."""
        ...


class Performance:
    """The messages of one request, as its fault lets them pass. `Struck`: there will be no more.

    *garbage* is what is not of the protocol.
    """

    def __init__(
        self,
        request: web.Request,
        sink: Sink,
        record: SpeechRecord,
        fault: FaultScript | None,
        on_fault: OnFault,
        garbage: str | bytes = _GARBAGE,
    ) -> None:
        self._request, self._socket, self._garbage = request, sink, garbage
        self.record, self._fault, self._on_fault = record, fault, on_fault
        self._held = self._told = False

    async def send(self, message: str | bytes) -> None:
        """One message that carries something."""
        fault = self._fault
        if fault is not None and fault.kind is FaultKind.EMPTY:
            return
        if fault is not None and self.record.messages >= fault.after_tokens:
            await self._strike(fault)
        await self._put(message)
        self.record.messages += 1

    async def finish(self, *messages: str | bytes) -> None:
        """The last messages, which say that the answer is complete."""
        fault = self._fault
        if fault is not None and fault.kind not in {FaultKind.EMPTY, FaultKind.DRIP}:
            await self._strike(fault)
        for message in messages:
            await self._put(message)
        self._end("empty" if fault is not None and fault.kind is FaultKind.EMPTY else "finished")

    def leave(self) -> None:
        """The client has gone, or has cancelled; idempotent."""
        self._end(f"cancelled at message {self.record.messages}")

    async def _strike(self, fault: FaultScript) -> None:
        if not self._told:
            self._told = True
            self._on_fault(_now(fault, self.record.ordinal, self.record.messages))
        match fault.kind:
            case FaultKind.DRIP:
                await asyncio.sleep(fault.gap_s)
            case FaultKind.STALL | FaultKind.HEADERS_ONLY | FaultKind.KEEPALIVES:
                await self._hold(fault)
            case FaultKind.CUT:
                reset(self._request)
            case FaultKind.TRUNCATE:
                await self._socket.close()
            case FaultKind.MALFORMED:
                await self._put(self._garbage)
            case _:
                raise AssertionError(f"{fault.kind} does not strike here")
        if fault.kind in {FaultKind.CUT, FaultKind.TRUNCATE, FaultKind.MALFORMED}:
            self._end(f"{fault.kind} at message {self.record.messages}")
            raise Struck

    async def _hold(self, fault: FaultScript) -> None:
        if self._held:
            return
        self._held = True
        until = time.monotonic() + (math.inf if fault.hold_s is None else fault.hold_s)
        while (left := until - time.monotonic()) > 0:
            if fault.kind is FaultKind.KEEPALIVES:
                await self._socket.ping()
            # In pieces: the event loop has no timer for ever.
            await asyncio.sleep(min(left, fault.gap_s))

    async def _put(self, message: str | bytes) -> None:
        if isinstance(message, str):
            await self._socket.send_str(message)
        else:
            await self._socket.send_bytes(message)

    def _end(self, how: str) -> None:
        if not self.record.ended:
            self.record.ended, self.record.ended_mono = how, time.monotonic()


@dataclass(frozen=True, slots=True)
class Talk:
    """One connection; what goes on beside its reading is a task of *group*."""

    request: web.Request
    socket: web.WebSocketResponse
    record: ConnectionRecord
    group: asyncio.TaskGroup

    async def messages(self, quiet_s: float) -> AsyncIterator[str | bytes]:
        """What the client says, until it closes; `TimeoutError` after *quiet_s* without a word."""
        while True:
            message = await self.socket.receive(quiet_s)
            if message.type is WSMsgType.TEXT:
                self.record.said.append(message.data)
            elif message.type is WSMsgType.BINARY:
                self.record.said.append(len(message.data))
            else:
                return
            yield message.data


class SpeechServer:
    """A local server as an async context manager; `base_url` is what a client wants."""

    path: str
    """The route, as aiohttp writes it."""
    version = "/v1"
    on_fault: OnFault
    """Told of each fault just before it takes effect, but for `empty`."""

    def __init__(self, faults: Sequence[FaultScript] = (), port: int = 0) -> None:
        self.faults = faults
        self.on_fault = lambda _: None
        self._requests: deque[SpeechRecord] = deque(maxlen=_KEPT_REQUESTS)
        self._connections: deque[ConnectionRecord] = deque(maxlen=_KEPT_REQUESTS)
        self._idle: set[web.WebSocketResponse] = set()
        self._count, self._began = 0, time.monotonic()
        app = web.Application(client_max_size=_BODY_BYTES)
        self.routes(app.router)
        self._listener = Listener(app, port)

    async def __aenter__(self) -> Self:
        await self._listener.open()
        await self.refuse_if_due()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._listener.close()

    @property
    def host(self) -> str:
        """The address that it listens on; set it before it is entered."""
        return self._listener.host

    @host.setter
    def host(self, address: str) -> None:
        self._listener.host = address

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._listener.port

    @property
    def base_url(self) -> str:
        """The base URL of the API, with its version."""
        return f"http://{self.host}:{self.port}{self.version}"

    @property
    def requests(self) -> Sequence[SpeechRecord]:
        """The last requests, oldest first."""
        return tuple(self._requests)

    @property
    def connections(self) -> Sequence[ConnectionRecord]:
        """The last connections, oldest first."""
        return tuple(self._connections)

    @property
    def faults(self) -> Sequence[FaultScript]:
        """The faults that are set; `InputError` for a `freeze`, and for turns."""
        return self._faults

    @faults.setter
    def faults(self, faults: Sequence[FaultScript]) -> None:
        if any(fault.kind is FaultKind.FREEZE for fault in faults):
            raise InputError("freeze would stop your own process: use stall, or headers_only")
        if any(fault.on_turn is not None for fault in faults):
            raise InputError("on_turn: a speech server knows no turns: use on_request, or match")
        self._faults = tuple(faults)

    # -- what a server is made of ---------------------------------------------------------------

    def routes(self, router: web.UrlDispatcher) -> None:
        """What it answers to: a WebSocket at `path`."""
        router.add_get(f"{self.version}/{self.path}", self._handle)

    def refusal(self, request: web.Request) -> web.Response | None:
        """What a handshake is answered that is wrong, as the vendor does."""
        raise NotImplementedError

    async def converse(self, talk: "Talk") -> None:
        """Serve one connection until its client has gone or `Struck`."""
        raise NotImplementedError

    async def begin(self, talk: "Talk", text: str = "") -> Performance:
        """A request has come."""
        record, fault = self.record(talk.record.peer_port, text)
        await self.refuse_if_due()
        return Performance(talk.request, talk.socket, record, fault, self.on_fault)

    def keep(self, connection: ConnectionRecord) -> None:
        """Remember *connection*."""
        self._connections.append(connection)

    def record(self, port: int, text: str) -> tuple[SpeechRecord, FaultScript | None]:
        """A request has come from *port*: its record, and what befalls it after the handshake."""
        self._count += 1
        record = SpeechRecord(self._count, text, port)
        self._requests.append(record)
        return record, self._fault(text, lambda it: it.kind not in {*_HANDSHAKE, FaultKind.REFUSE})

    def _fault(
        self, text: str, fits: Callable[[FaultScript], bool], ahead: int = 0
    ) -> FaultScript | None:
        ordinal = self._count + ahead
        at_s = time.monotonic() - self._began
        for place, fault in enumerate(self._faults):
            lot = lot_of(_SEED, ordinal, place)
            if fits(fault) and fault.strikes(ordinal, text, at_s=at_s, lot=lot):
                return fault
        return None

    async def refuse_if_due(self) -> None:
        """Close the listener if the next request is one that nobody is to hear."""
        due = self._fault("", lambda it: it.kind is FaultKind.REFUSE, ahead=1)
        if due is not None and not self._listener.refusing:
            self._faults = tuple(it for it in self._faults if it is not due)
            self.on_fault(_now(due, self._count + 1, 0))
            await self._listener.refuse(due.hold_s)

    async def struck_first(self, text: str = "") -> web.Response | None:
        """Play the fault that strikes the next request, of *text*, before it is looked at."""
        fault = self._fault(text, lambda it: it.kind in _HANDSHAKE, ahead=1)
        if fault is None:
            return None
        self._count += 1
        self.on_fault(_now(fault, self._count, 0))
        if fault.kind is FaultKind.STATUS:
            return _status(fault)
        if fault.hold_s is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(fault.hold_s or 0.0)
        return None

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        if (struck := await self.struck_first()) is not None:
            return struck
        if (refused := self.refusal(request)) is not None:
            return refused
        connection = ConnectionRecord(
            request.path, tuple(request.query.items()), dict(request.headers), peer_port(request)
        )
        self.keep(connection)
        socket = web.WebSocketResponse(timeout=0.1)
        await socket.prepare(request)
        try:
            async with asyncio.TaskGroup() as group:
                await self.converse(Talk(request, socket, connection, group))
        except* (Struck, ConnectionResetError):
            pass  # what was scripted, or a client that went away
        finally:
            connection.ended, connection.close_code = True, socket.close_code
        return socket


def _now(fault: FaultScript, request: int, message: int) -> SpeechFault:
    return SpeechFault(fault.kind, request, message, time.monotonic())


def _status(fault: FaultScript) -> web.Response:
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = f"{fault.retry_after_s:g}"
    return web.Response(
        status=fault.status, text=fault.body, content_type="application/json", headers=headers
    )
