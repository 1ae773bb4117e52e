"""One POST and the beginning of its answer: what every protocol over HTTP shares.

Compression is refused: a proxy would hold tokens and audio back until its window is full. A
redirect is an answer like any other, for following it would carry the bytes past the gate.

A pooled connection that the server closes just as we write to it dies before the first byte of an
answer. That POST is sent once more at once: nothing was generated that anybody would pay for. All
other repeats belong to the one budget above.

Leaving tells the provider by the only sign HTTP/1.1 has: the connection goes away. It is aborted,
not closed, because a graceful TLS close waits for a peer that may be frozen. An answer that said it
was done is the exception: its last bytes are given a moment to arrive, so that the connection, and
its TLS handshake, serve the next turn.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import TypeVar

import aiohttp

from trunkline.contracts import Decoder, Request
from trunkline.errors import EndpointError, Fault
from trunkline.net.remote import Pooled, Remote, Watch, lowered, refusal_body

Out = TypeVar("Out")

_DRAIN_S = 0.05  # the end of a finished stream is one packet behind its last event
_PIECE_BYTES = 4 << 10  # a token takes 400; 4 kB of the worst take a millisecond to decode


class Poster:
    """POSTs to *remote*; *credentials* are the headers that carry its key."""

    def __init__(
        self,
        remote: Remote,
        session: aiohttp.ClientSession,
        credentials: Callable[[str], Mapping[str, str]],
        accept: str,
    ) -> None:
        self.remote = remote
        self._session = session
        self._headers = {"Accept": accept, "Accept-Encoding": "identity"}
        self._key_headers = credentials(remote.key) if remote.key else {}

    async def ask(self, request: Request, watch: Watch) -> aiohttp.ClientResponse:
        """The response to *request* when its status is there; `EndpointError` if none comes."""
        pooled = Pooled()
        try:
            return await self._post(request, watch, pooled)
        except EndpointError as error:
            if error.fault is not Fault.CUT or not pooled.reused:
                raise
            # The server had closed the pooled connection: no byte of an answer was lost.
            return await self._post(request, watch, Pooled())

    async def _post(self, request: Request, watch: Watch, pooled: Pooled) -> aiohttp.ClientResponse:
        remote = self.remote
        return await remote.wait(
            self._session.post(
                remote.url(request.path).with_query(request.query),
                data=request.body,
                headers={**self._headers, **request.headers, **self._key_headers},
                allow_redirects=False,
                raise_for_status=False,
                timeout=remote.timeout,
                ssl=remote.access.ssl,
                proxy=remote.access.proxy,
                trace_request_ctx=pooled,
            ),
            watch,
        )

    async def refused(
        self,
        response: aiohttp.ClientResponse,
        refusal: Callable[[int, Mapping[str, str], bytes], Exception | Sequence[Out]],
    ) -> Sequence[Out] | None:
        """None if the body of *response* is the answer; the answer, if its status was one.

        Raises what *refusal* makes of another status, and `MALFORMED` for a body that is encoded.
        """
        if response.status != 200:
            body = await refusal_body(response)
            meant = refusal(response.status, lowered(response), body)
            if not isinstance(meant, Exception):
                return meant
            raise self.remote.redacted(meant) if isinstance(meant, EndpointError) else meant
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise EndpointError(
                self.remote.endpoint.name,
                Fault.MALFORMED,
                f"answered with the encoding {coding[:40]!r}, though only identity was accepted",
            )
        return None


def may_end(decoder: Decoder[Out]) -> bool:
    """Whether all that *decoder* waits for is there."""
    try:
        decoder.end()
    except EndpointError:
        return False
    return True


async def piece(response: aiohttp.ClientResponse) -> bytes:
    """What has come, no more than other calls can wait for."""
    data = await response.content.read(_PIECE_BYTES)
    if len(data) == _PIECE_BYTES:  # more is there, and would come without a pause
        await asyncio.sleep(0)
    return data


async def drain(response: aiohttp.ClientResponse) -> None:
    """Let a finished stream end, which returns its connection to the pool."""
    try:
        async with asyncio.timeout(_DRAIN_S):
            while await response.content.readany():
                pass
    except (aiohttp.ClientError, OSError):
        pass  # it did not end in time, or badly: the answer is complete, the connection is not kept


def abort(response: aiohttp.ClientResponse) -> None:
    """Drop the connection at once, unless the stream ended and it is back in the pool already."""
    if response.connection is not None and response.connection.transport is not None:
        response.connection.transport.abort()
    response.close()
