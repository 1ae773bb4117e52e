"""A codec over HTTP with server-sent events, made a Stage.

How it works. Entering the context passes the gate, sends the POST and reads the status; the
iterator reads the body, a chunk at a time, through `SseParser` and the codec's decoder. Every wait
for the network goes through `Remote.wait`, where foreign errors become Faults.

Leaving tells the provider by the only sign HTTP/1.1 has: the connection goes away. It is aborted,
not closed, because a graceful TLS close waits for a peer that may be frozen. A stream that said it
was done is the exception: its last bytes are given a moment to arrive, so that the connection, and
its TLS handshake, serve the next turn.

Silence is not judged here: there is no total and no read timeout, the attempts machine owns those.
Only the connect deadline and `Context.deadline` end a wait.

A pooled connection that the server closes just as we write to it dies before the first byte of an
answer. That POST is sent once more at once: nothing was generated that anybody would pay for. All
other repeats belong to the one budget above.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

import aiohttp

from trunkline.contracts import Codec, Context, Decoder, Request
from trunkline.errors import EndpointError, Fault
from trunkline.net.gate import Gate
from trunkline.net.raw import Pool
from trunkline.net.raw_sse import RawSse
from trunkline.net.remote import Remote, Watch, client_session, lowered, refusal_body
from trunkline.net.sse import SseParser
from trunkline.types import Endpoint

__all__ = ["SseStage", "client_session"]

In = TypeVar("In")
Out = TypeVar("Out")

_DRAIN_S = 0.05  # the end of a finished stream is one packet behind its last event
_PIECE_BYTES = 4 << 10  # a token takes 400; 4 kB of the worst take a millisecond to decode


class SseStage(Generic[In, Out]):
    """`Stage[In, Out]` at *base_url*, authorised by *key* (None: the endpoint needs none).

    `batches` is `open` for a gateway, over connections of *pool*: see `net.raw_sse`.

    *connect_s* bounds DNS, TCP and TLS together, in seconds. `InputError` if the address or the
    key could not work. Failures of the endpoint are `EndpointError`:

    ============================================== =====================================
    connection refused, DNS, TLS, connect deadline `UNREACHABLE`
    status other than 200                          whatever the codec's `refusal` says, if no answer
    `Context.deadline` passed                      `SILENT`, or `STALLED` after output
    connection lost, broken body                   `CUT`
    not HTTP, not an event stream, endless event   `MALFORMED`
    ============================================== =====================================
    """

    def __init__(
        self,
        endpoint: Endpoint,
        codec: Codec[In, Out],
        *,
        base_url: str,
        key: str | None,
        session: aiohttp.ClientSession,
        gate: Gate,
        connect_s: float = 0.5,
        pool: Pool | None = None,
    ) -> None:
        self._codec = codec
        self._session = session
        self._remote = Remote(
            endpoint,
            base_url=base_url,
            key=key,
            gate=gate,
            connect_s=connect_s,
        )
        self.batches = RawSse(self._remote, codec, pool or Pool()).batches

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._remote.endpoint

    @property
    def honours(self) -> frozenset[str] | None:
        """The options of its input that its codec knows how to say, None: all."""
        said: frozenset[str] | None = getattr(self._codec, "honours", frozenset())
        return said

    @asynccontextmanager
    async def open(self, source: In, context: Context, /) -> AsyncIterator[AsyncIterator[Out]]:
        """Ask for *source* and stream the outputs; `EgressRefused` before anything is sent."""
        request = self._codec.encode(source)
        remote = self._remote
        watch = remote.admit(context)
        headers = {
            "Accept": "text/event-stream",
            # Compression would let a proxy hold tokens back until its window is full.
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if remote.key:
            headers.update(self._codec.credentials(remote.key))
        try:
            response = await self._post(request, headers, watch)
        except EndpointError as error:
            if error.fault is not Fault.CUT or not watch.reused:
                raise
            # The server had closed the pooled connection: no byte of an answer was lost.
            response = await self._post(request, headers, watch)
        try:
            answer = await self._check(response)
            if answer is not None:
                yield _given(answer)
                return
            decoder = self._codec.decoder()
            async with aclosing(self._outputs(response, decoder, watch)) as outputs:
                yield outputs
            if _may_end(decoder):
                await _drain(response)
        finally:
            _abort(response)

    async def _post(
        self, request: Request, headers: Mapping[str, str], watch: Watch
    ) -> aiohttp.ClientResponse:
        """Send *request*; the response when its status is there."""
        remote, watch.reused = self._remote, False
        return await remote.wait(
            self._session.post(
                remote.url(request.path).with_query(request.query),
                data=request.body,
                headers=headers,
                allow_redirects=False,  # a redirect would carry the bytes past the gate
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=remote.connect_s, sock_connect=remote.connect_s
                ),
                trace_request_ctx=watch,
            ),
            watch,
        )

    async def _outputs(
        self, response: aiohttp.ClientResponse, decoder: Decoder[Out], watch: Watch
    ) -> AsyncGenerator[Out, None]:
        parser = SseParser(self.endpoint.name)
        try:
            while chunk := await self._remote.wait(_piece(response), watch):
                for event in parser.feed(chunk):
                    for output in decoder.feed(event):
                        watch.spoke = True
                        yield output
            for output in decoder.end():
                yield output
        except EndpointError as error:
            raise self._remote.redacted(error) from None

    async def _check(self, response: aiohttp.ClientResponse) -> Sequence[Out] | None:
        """The whole answer if its status has it, None for an event stream; else raise."""
        if response.status != 200:
            body = await refusal_body(response)
            meant = self._codec.refusal(response.status, lowered(response), body)
            if not isinstance(meant, Exception):
                return meant
            raise self._remote.redacted(meant) if isinstance(meant, EndpointError) else meant
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise EndpointError(
                self.endpoint.name,
                Fault.MALFORMED,
                f"answered with the encoding {coding[:40]!r}, though only identity was accepted",
            )
        # Some servers name no type at all; a page of HTML or a JSON object names its own.
        if "Content-Type" in response.headers and response.content_type != "text/event-stream":
            raise EndpointError(
                self.endpoint.name,
                Fault.MALFORMED,
                f"answered with {response.content_type!r} instead of an event stream: "
                f"is {self._remote.base} the API's base URL?",
            )
        return None


def _may_end(decoder: Decoder[Out]) -> bool:
    try:
        decoder.end()
    except EndpointError:
        return False
    return True


async def _piece(response: aiohttp.ClientResponse) -> bytes:
    """What has come, no more than other calls can wait for."""
    piece = await response.content.read(_PIECE_BYTES)
    if len(piece) == _PIECE_BYTES:  # more is there, and would come without a pause
        await asyncio.sleep(0)
    return piece


async def _given(outputs: Sequence[Out]) -> AsyncIterator[Out]:
    """An answer that is there already."""
    for output in outputs:
        yield output


async def _drain(response: aiohttp.ClientResponse) -> None:
    """Let a finished stream end, which returns its connection to the pool."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            while await response.content.readany():
                pass
    except (aiohttp.ClientError, OSError):
        pass  # it did not end in time, or badly: the answer is complete, the connection is not kept


def _abort(response: aiohttp.ClientResponse) -> None:
    """Drop the connection at once, unless the stream ended and it is back in the pool already."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()
