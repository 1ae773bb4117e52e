"""A codec over server-sent events, as `net.http` makes a Stage of it, for those who count requests.

What differs: the connection is a `raw.Connection`, and outputs come as they came over the network,
all of one read together. What does not: the gate, the faults (see `SseStage`), one repeat of a POST
on a pooled connection that died before the first byte, and how leaving is told.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

from trunkline.contracts import Codec, Context, Decoder, Request
from trunkline.errors import EndpointError, Fault
from trunkline.net.raw import Connection, Pool
from trunkline.net.remote import Remote, Watch
from trunkline.net.sse import SseParser

In = TypeVar("In")
Out = TypeVar("Out")

_DRAIN_S = 0.05  # the end of a finished stream is one packet behind its last event
_REFUSAL_BYTES = 16 << 10
_REFUSAL_S = 0.5
_TARGETS_MAX = 64  # paths of one endpoint: a codec has one


class RawSse(Generic[In, Out]):
    """Streams from *remote*, in the words of *codec*, over connections of *pool*."""

    def __init__(self, remote: Remote, codec: Codec[In, Out], pool: Pool) -> None:
        self._remote, self._codec, self._pool = remote, codec, pool
        base = remote.base
        self._host, self._port = base.host or "", base.port or 0
        self._tls = base.scheme == "https"
        self._targets: dict[tuple[str, tuple[tuple[str, str], ...]], bytes] = {}

    @asynccontextmanager
    async def batches(
        self, source: In, context: Context, /
    ) -> AsyncIterator[AsyncIterator[Sequence[Out]]]:
        """Ask for *source*; the outputs, those together that came together."""
        request = self._codec.encode(source)
        watch = self._remote.admit(context)
        connection = await self._asked(self._written(request), watch)
        try:
            answer = await self._check(connection)
            if answer is not None:
                yield _given(answer)
                return
            async with aclosing(self._outputs(connection, watch)) as outputs:
                yield outputs
            await _drain(connection)
        finally:
            self._pool.release(connection, self._host, self._port, tls=self._tls)

    def _written(self, request: Request) -> bytes:
        target = self._target(request)
        headers = dict(request.headers)
        if self._remote.key:
            headers |= self._codec.credentials(self._remote.key)
        fields = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return b"%s%sContent-Length: %d\r\n\r\n%s" % (
            target,
            fields.encode("latin-1"),
            len(request.body),
            request.body,
        )

    def _target(self, request: Request) -> bytes:
        """The request line and the fields that are always the same."""
        query = tuple(request.query)
        known = self._targets.get((request.path, query))
        if known is None:
            url = self._remote.url(request.path).with_query(query)
            known = (
                f"POST {url.raw_path_qs} HTTP/1.1\r\nHost: {url.host_port_subcomponent}\r\n"
                "User-Agent: trunkline\r\nAccept: text/event-stream\r\n"
                # Compression would let a proxy hold tokens back until its window is full.
                "Accept-Encoding: identity\r\n"
            ).encode("ascii")
            if len(self._targets) < _TARGETS_MAX:
                self._targets[request.path, query] = known
        return known

    async def _asked(self, request: bytes, watch: Watch) -> Connection:
        """A connection on which the head of the answer to *request* has come."""
        connection = self._pool.idle(self._host, self._port, tls=self._tls)
        if connection is not None:
            try:
                return await self._headed(connection, request, watch)
            except EndpointError as error:
                if error.fault is not Fault.CUT or connection.heard:
                    raise
                # The server had closed the pooled connection: no byte of an answer was lost.
        connection = await self._remote.wait(
            self._pool.connect(self._host, self._port, tls=self._tls),
            watch,
            within_s=self._remote.connect_s,
        )
        return await self._headed(connection, request, watch)

    async def _headed(self, connection: Connection, request: bytes, watch: Watch) -> Connection:
        connection.send(request)
        headed = False
        try:
            await self._remote.wait(connection.head(), watch)
            headed = True
        finally:
            if not headed:
                connection.abort()
        return connection

    async def _check(self, connection: Connection) -> Sequence[Out] | None:
        """The whole answer if its status has it, None for an event stream; else raise."""
        name, headers = self._remote.endpoint.name, connection.headers
        if connection.status != 200:
            body = await _refusal_body(connection)
            meant = self._codec.refusal(connection.status, headers, body)
            if not isinstance(meant, Exception):
                return meant
            raise self._remote.redacted(meant) if isinstance(meant, EndpointError) else meant
        coding = headers.get("content-encoding", "identity")
        if coding.lower() != "identity":
            detail = (
                f"answered with the encoding {coding[:40]!r}, though only identity was accepted"
            )
            raise EndpointError(name, Fault.MALFORMED, detail)
        kind = headers.get("content-type", "text/event-stream").partition(";")[0].strip().lower()
        if kind != "text/event-stream":
            raise EndpointError(
                name,
                Fault.MALFORMED,
                f"answered with {kind[:80]!r} instead of an event stream: "
                f"is {self._remote.base} the API's base URL?",
            )
        return None

    async def _outputs(
        self, connection: Connection, watch: Watch
    ) -> AsyncGenerator[Sequence[Out], None]:
        parser, decoder = SseParser(self._remote.endpoint.name), self._codec.decoder()
        ends = False
        while not ends:
            chunk = await self._remote.wait(connection.read(), watch)
            ends, broken, batch = not chunk, None, list[Out]()
            try:
                _decode(parser, decoder, chunk, batch)
                if ends:
                    batch += decoder.end()
            except EndpointError as error:
                broken = self._remote.redacted(error)
            if batch:
                watch.spoke = True
                yield batch
            if broken is not None:
                raise broken


def _decode(parser: SseParser, decoder: Decoder[Out], chunk: bytes, into: list[Out]) -> None:
    feed_all: Callable[[Sequence[bytes], list[Out]], None] | None
    if (feed_all := getattr(decoder, "feed_all", None)) is not None:
        feed_all(_whole(parser, chunk), into)
        return
    for event in parser.feed(chunk):
        into += decoder.feed(event)


def _whole(parser: SseParser, chunk: bytes) -> list[bytes]:
    return list(parser.feed(chunk))


async def _given(outputs: Sequence[Out]) -> AsyncIterator[Sequence[Out]]:
    yield outputs


async def _drain(connection: Connection) -> None:
    """Let a finished stream end, which returns its connection to the pool."""
    if connection.ended:
        return
    try:
        async with asyncio.timeout(_DRAIN_S):
            while await connection.read():
                pass
    except OSError:
        pass  # it did not end in time, or badly: the answer is complete, the connection is not kept


async def _refusal_body(connection: Connection) -> bytes:
    """The start of an error's body: as much as came within the bounds of size and time."""
    body = bytearray()
    try:
        async with asyncio.timeout(_REFUSAL_S):
            while len(body) < _REFUSAL_BYTES and (chunk := await connection.read()):
                body += chunk
    except OSError:
        pass  # the status is the news; half a message, or none, explains it well enough
    return bytes(body[:_REFUSAL_BYTES])
