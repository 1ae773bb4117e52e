"""A duplex codec over a WebSocket, made a Stage: the source goes out while the outputs come in.

The client is aiohttp's: it is the one that HTTP uses already, with its DNS cache, TLS and session.

How it works. Entering the context passes the gate and takes a connection: a warm one, or a new one
within the connect deadline. A task, the *pump*, takes the source and gives it to the provider; the
iterator itself receives. Both are bounded: the pump takes no further item while the exchange does
not want one or the socket does not take one; aiohttp stops reading the socket while nobody
iterates. The pump has no voice of its own. It wakes the receiver, which looks at what has changed:
the source failed, the exchange is done, a keep-alive is due.

Leaving does not wait for anyone. The connection gets an *afterlife*, a task of its own: what the
codec wants said is said, an answer is awaited for half a second, and the connection either waits
for its next exchange (someone must read it meanwhile: pings want their pongs) or is closed, and
aborted if the peer does not close its side, for it may be frozen.

Silence is not judged here, but for `Context.deadline`; a peer that answers no ping for 30 s is cut.
"""

import asyncio
import itertools
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import aiohttp

from trunkline.contracts import Context, DuplexCodec, Exchange, GivesInterims, Reaction, WireMessage
from trunkline.errors import EndpointError, Fault
from trunkline.net.gate import Gate
from trunkline.net.remote import Remote, Watch
from trunkline.types import Endpoint

In = TypeVar("In")
Out = TypeVar("Out")

_IDLE_MAX = 8  # warm connections: replies that begin at the same moment; more are closed
_GOODBYE_S = 0.5  # for a cancelled exchange to be acknowledged, and for the peer's close
_HEARTBEAT_S = 20.0  # aiohttp gives the pong half of it
_MESSAGE_BYTES = 4 << 20  # 5 min of base64 mu-law; no provider sends more in one message
_NORMAL = struct.pack(">H", 1000)
_OVER = {aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSING, aiohttp.WSMsgType.CLOSED}
Socket = aiohttp.ClientWebSocketResponse


@dataclass(eq=False, slots=True)
class _Link:
    """One connection. *afterlife* runs while no exchange uses it; *taken* ends that."""

    socket: Socket
    response: aiohttp.ClientResponse  # what it was upgraded from, and what shows its transport
    sent_at: float
    afterlife: asyncio.Task[None] | None = None
    taken: bool = False

    async def send(self, messages: Sequence[WireMessage]) -> None:
        for message in messages:
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)
            self.sent_at = asyncio.get_running_loop().time()

    async def drop(self) -> None:
        """Drop the connection at once; a peer that is frozen is not waited for."""
        connection = self.response.connection
        if connection is not None and connection.transport is not None:
            connection.transport.abort()
        await self.socket.close()  # cannot say anything any more: it stops its heartbeat
        self.response.close()


class WebSocketStage(Generic[In, Out]):
    """`Stage[AsyncIterator[In], Out]` at *base_url* (http or https, as in the configuration).

    *connect_s* bounds DNS, TCP, TLS and the handshake together, in seconds. `InputError` if the
    address or the key could not work. Failures of the endpoint are `EndpointError`:

    ============================================== =====================================
    connection refused, DNS, TLS, connect deadline `UNREACHABLE`
    handshake answered with another status         whatever the codec's `refusal` says
    closed before the exchange is done             whatever the exchange's `closed` says
    `Context.deadline` passed                      `SILENT`, or `STALLED` after output
    no pong                                        `CUT`
    not a WebSocket, broken or endless message     `MALFORMED`
    ============================================== =====================================

    What the source raises comes out of the iterator as it is. `close` ends the warm connections.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        codec: DuplexCodec[In, Out],
        *,
        base_url: str,
        key: str | None,
        session: aiohttp.ClientSession,
        gate: Gate,
        connect_s: float = 1.5,
    ) -> None:
        self._codec = codec
        self._session = session
        self._remote = Remote(
            endpoint, codec.refusal, base_url=base_url, key=key, gate=gate, connect_s=connect_s
        )
        self._ordinals = itertools.count()
        self._idle: list[_Link] = []  # the one used last is taken first
        self._afterlives: set[asyncio.Task[None]] = set()

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._remote.endpoint

    @property
    def gives_interims(self) -> bool:
        """Whether its codec declares it (`contracts.GivesInterims`)."""
        return isinstance(self._codec, GivesInterims) and self._codec.gives_interims

    async def start(self) -> None:
        """Nothing: a connection is opened for a call that passed the gate, not before."""

    async def close(self) -> None:
        """End the connections that no exchange uses; idempotent."""
        for task in list(self._afterlives):
            task.cancel()
        if self._afterlives:
            await asyncio.wait(self._afterlives)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[In], context: Context, /
    ) -> AsyncIterator[AsyncIterator[Out]]:
        """Stream *source* out and the outputs in; `EgressRefused` before anything is sent."""
        watch = self._remote.admit(context)
        link = await self._warm() or await self._connect(watch)
        exchange = self._codec.exchange(next(self._ordinals))
        talk = _Talk(self._remote, link, exchange, watch, self._codec.keepalive)
        loop = asyncio.get_running_loop()
        # No TaskGroup: around the caller's block it would wrap the caller's own errors.
        pump = loop.create_task(talk.pump(source))
        pump.add_done_callback(talk.pumped)
        try:
            async with aclosing(talk.outputs()) as outputs:
                yield outputs
        finally:
            pump.cancel()
            link.taken = False
            link.afterlife = loop.create_task(self._afterlive(link, exchange))
            self._afterlives.add(link.afterlife)
            link.afterlife.add_done_callback(self._afterlives.discard)
            await asyncio.wait({pump})  # the source is the caller's again

    async def _warm(self) -> _Link | None:
        while self._idle:
            link = self._idle.pop()
            link.taken = True
            if link.afterlife is not None:
                link.afterlife.cancel()
                await asyncio.wait(
                    {link.afterlife}
                )  # it is in `receive`, which takes one at a time
            if not link.socket.closed:
                return link
        return None

    async def _connect(self, watch: Watch) -> _Link:
        handshake = self._codec.handshake(self._remote.key)
        socket = await self._remote.wait(
            self._session.ws_connect(
                self._remote.url(handshake.path).with_query(list(handshake.query)),
                headers=handshake.headers,
                timeout=aiohttp.ClientWSTimeout(ws_close=_GOODBYE_S),
                heartbeat=_HEARTBEAT_S,
                max_msg_size=_MESSAGE_BYTES,
            ),
            watch,
            within_s=self._remote.connect_s,
        )
        # aiohttp shows the transport of a response, but not of the WebSocket that it makes of it.
        link = _Link(socket, socket._response, watch.began)
        try:
            await self._remote.wait(link.send(handshake.hello), watch)
        except BaseException:
            await link.drop()
            raise
        return link

    async def _afterlive(self, link: _Link, exchange: Exchange[In, Out]) -> None:
        """What becomes of *link* when its exchange has been left."""
        try:
            if await _released(link, exchange) and self._codec.reuse_s:
                await self._wait_for_next(link)
            if not link.socket.closed:
                await _part(link)
        except (aiohttp.ClientError, OSError):
            pass  # it is being closed anyway, and nobody waits for the outcome
        finally:
            if not link.taken:
                await link.drop()

    async def _wait_for_next(self, link: _Link) -> None:
        if len(self._idle) >= _IDLE_MAX:
            return
        self._idle.append(link)
        try:
            async with asyncio.timeout(self._codec.reuse_s):
                # What comes now is late news of an exchange that is over.
                while (await link.socket.receive()).type not in _OVER:
                    pass
        except TimeoutError:
            pass
        finally:
            if link in self._idle:
                self._idle.remove(link)


async def _released(link: _Link, exchange: Exchange[In, Out]) -> bool:
    """Tell the provider that nobody listens; whether the connection is free for another."""
    farewell = () if exchange.done else exchange.leave()
    if link.socket.closed or exchange.done:
        return not link.socket.closed
    if not farewell:
        return False
    try:
        async with asyncio.timeout(_GOODBYE_S):
            await link.send(farewell)
            while not exchange.done:
                message = await link.socket.receive()
                if message.type not in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
                    return False
                exchange.receive(message.data)
    except (TimeoutError, EndpointError):
        return False
    return True


async def _part(link: _Link) -> None:
    """Say goodbye, and wait a moment for the peer to do so: a reset could overtake our words."""
    async with asyncio.timeout(_GOODBYE_S):
        # Not `close()`: once a `receive` was cancelled, that does not wait for the peer's close.
        await link.socket.send_frame(_NORMAL, aiohttp.WSMsgType.CLOSE)
        while (await link.socket.receive()).type not in _OVER:
            pass


@dataclass(eq=False, slots=True)
class _Talk(Generic[In, Out]):
    """One exchange on one link."""

    remote: Remote
    link: _Link
    exchange: Exchange[In, Out]
    watch: Watch
    keepalive: tuple[WireMessage, float] | None
    failed: BaseException | None = None  # what ended the pump
    scope: asyncio.Timeout | None = None  # the receiver's wait: to reschedule it is to wake it
    wanted: asyncio.Event = field(default_factory=asyncio.Event)

    async def pump(self, source: AsyncIterator[In]) -> None:
        """Give *source* to the provider, no faster than it is wanted."""
        try:
            await self.link.send(self.exchange.begin())
            async for item in source:
                await self.link.send(self.exchange.take(item))
                while not self.exchange.wants_more:
                    self.wanted.clear()
                    await self.wanted.wait()
            await self.link.send(self.exchange.finish())
        except (aiohttp.ClientError, ConnectionError):
            pass  # the receiver hears of it, too, and with the peer's reason

    def pumped(self, pump: asyncio.Task[None]) -> None:
        """The pump has ended: the receiver is to see what that means."""
        if not pump.cancelled():
            self.failed = pump.exception()
            if self.scope is not None and not self.scope.expired():
                self.scope.reschedule(asyncio.get_running_loop().time())

    async def outputs(self) -> AsyncGenerator[Out, None]:
        """Receive until the exchange is done."""
        try:
            while not self.exchange.done:
                message = await self._receive()
                if self.failed is not None:
                    raise self.failed
                if message is None:
                    await self._keep_alive()
                    continue
                reaction = self._react(message)
                if reaction.send:
                    await self.remote.wait(self.link.send(reaction.send), self.watch)
                if self.exchange.wants_more:
                    self.wanted.set()
                for output in reaction.outputs:
                    self.watch.spoke = True
                    yield output
        except EndpointError as error:
            raise self.remote.redacted(error) from None

    async def _receive(self) -> aiohttp.WSMessage | None:
        """The next message, or None: something else may have changed."""
        due = None if self.keepalive is None else self.link.sent_at + self.keepalive[1]
        if self.failed is not None:
            return None
        try:
            async with asyncio.timeout_at(due) as self.scope:
                return await self.remote.wait(self.link.socket.receive(), self.watch)
        except TimeoutError:
            return None
        finally:
            self.scope = None

    async def _keep_alive(self) -> None:
        now = asyncio.get_running_loop().time()
        if self.keepalive is not None and now >= self.link.sent_at + self.keepalive[1]:
            await self.remote.wait(self.link.send([self.keepalive[0]]), self.watch)

    def _react(self, message: aiohttp.WSMessage) -> Reaction[Out]:
        if message.type in {aiohttp.WSMsgType.TEXT, aiohttp.WSMsgType.BINARY}:
            return self.exchange.receive(message.data)
        if message.type is aiohttp.WSMsgType.ERROR:
            ours = isinstance(message.data, aiohttp.WebSocketError)
            raise EndpointError(
                self.remote.endpoint.name,
                Fault.MALFORMED if ours else Fault.CUT,
                f"{type(message.data).__name__}: {message.data}",
            )
        reason = message.extra if isinstance(message.extra, str) else ""
        return Reaction(self.exchange.closed(self.link.socket.close_code or 1006, reason))
