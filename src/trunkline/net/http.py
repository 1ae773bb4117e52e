"""A codec over HTTP with server-sent events, made a Stage: here foreign errors become Faults.

How it works. Entering the context passes the gate, sends the POST and reads the status; the
iterator reads the body, a chunk at a time, through `SseParser` and the codec's decoder. Every wait
for the network goes through `SseStage._wait`, the one place that knows aiohttp's exceptions.

Leaving tells the provider by the only sign HTTP/1.1 has: the connection goes away. It is aborted,
not closed, because a graceful TLS close waits for a peer that may be frozen. A stream that said it
was done is the exception: its last bytes are given a moment to arrive, so that the connection, and
its TLS handshake, serve the next turn.

Silence is not judged here: there is no total and no read timeout, the attempts machine owns those.
Only the connect deadline and `Context.deadline` end a wait.

Warts, admitted. A pooled connection that the server closes just as we write to it looks like a cut
before the first byte; POSTs are not repeated here, because repeats belong to one budget above.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import aiohttp
from yarl import URL

from trunkline.contracts import Codec, Context, Decoder
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.net.sse import SseParser
from trunkline.types import Endpoint

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")

_REFUSAL_BYTES = 16 << 10  # enough for any provider's error object
_REFUSAL_S = 0.5  # an error page that dribbles is not worth more of a caller's silence
_DRAIN_S = 0.05  # the end of a finished stream is one packet behind its last event
_KEEPALIVE_S = 60.0  # longer than a caller's turn, so that the next one finds a warm connection
_DNS_TTL_S = 60
_READ_BUFFER_BYTES = 64 << 10  # aiohttp stops reading the socket at twice this
_PIECE_BYTES = 4 << 10  # a token takes 400; 4 kB of the worst take a millisecond to decode
_LINE_BYTES = 8 << 10  # a status line or a header: a proxy's longest are policies of 4 kB
_HEADERS = 128  # of one response: providers behind two proxies send 40


def client_session() -> aiohttp.ClientSession:
    """The worker's HTTP client: one for all stages, to be closed by its owner, after its calls.

    No limit on connections: each call has a handful of attempts at most, and a request that queues
    behind other calls is dead air. aiohttp sets TCP_NODELAY itself. No proxy or `.netrc` from the
    environment and no cookies: nothing may change where bytes go behind the gate's back.
    """
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(
            limit=0, keepalive_timeout=_KEEPALIVE_S, ttl_dns_cache=_DNS_TTL_S
        ),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, connect=None, sock_connect=None, sock_read=None),
        trust_env=False,
        read_bufsize=_READ_BUFFER_BYTES,
        max_line_size=_LINE_BYTES,
        max_field_size=_LINE_BYTES,
        max_headers=_HEADERS,
        auto_decompress=False,  # we ask for none: a kilobyte must stay one
    )


@dataclass(slots=True)
class _Watch:
    """When one attempt began, when its caller stops waiting, and whether it said anything yet."""

    began: float
    deadline: float | None
    spoke: bool = False


class SseStage(Generic[In, Out]):
    """`Stage[In, Out]` at *base_url*, authorised by *key* (None: no `Authorization` header).

    *connect_s* bounds DNS, TCP and TLS together, in seconds. `InputError` if the address or the
    key could not work. Failures of the endpoint are `EndpointError`:

    ============================================== =====================================
    connection refused, DNS, TLS, connect deadline `UNREACHABLE`
    status other than 200                          whatever the codec's `refusal` says
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
    ) -> None:
        self._endpoint = endpoint
        self._codec = codec
        self._base = _address(endpoint.name, base_url)
        self._key = _token(endpoint.name, key)
        self._session = session
        self._gate = gate
        self._connect_s = connect_s
        host = f"[{self._base.host}]" if ":" in (self._base.host or "") else self._base.host
        self._destination = f"{host}:{self._base.port}"

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._endpoint

    @asynccontextmanager
    async def open(self, source: In, context: Context, /) -> AsyncIterator[AsyncIterator[Out]]:
        """Ask for *source* and stream the outputs; `EgressRefused` before anything is sent."""
        request = self._codec.encode(source)
        self._gate.admit(self._endpoint, context, self._destination)
        watch = _Watch(asyncio.get_running_loop().time(), context.deadline)
        headers = {
            "Accept": "text/event-stream",
            # Compression would let a proxy hold tokens back until its window is full.
            "Accept-Encoding": "identity",
            **request.headers,
        }
        if self._key:
            headers["Authorization"] = f"Bearer {self._key}"
        response = await self._wait(
            self._session.post(
                self._base.joinpath(*request.path.split("/")),
                data=request.body,
                headers=headers,
                allow_redirects=False,  # a redirect would carry the bytes past the gate
                raise_for_status=False,
                timeout=aiohttp.ClientTimeout(
                    total=None, connect=self._connect_s, sock_connect=self._connect_s
                ),
            ),
            watch,
        )
        try:
            await self._check(response)
            decoder = self._codec.decoder()
            async with aclosing(self._outputs(response, decoder, watch)) as outputs:
                yield outputs
            if _may_end(decoder):
                await _drain(response)
        finally:
            _abort(response)

    async def _outputs(
        self, response: aiohttp.ClientResponse, decoder: Decoder[Out], watch: _Watch
    ) -> AsyncGenerator[Out, None]:
        parser = SseParser(self._endpoint.name)
        try:
            while chunk := await self._wait(_piece(response), watch):
                for event in parser.feed(chunk):
                    for output in decoder.feed(event):
                        watch.spoke = True
                        yield output
            for output in decoder.end():
                yield output
        except EndpointError as error:
            raise self._redacted(error) from None

    async def _wait(self, doing: Awaitable[T], watch: _Watch) -> T:
        """Wait for the network: the one line where its errors become ours.

        The foreign error is not chained: aiohttp's carry the request's headers, hence the key.
        """
        scope = asyncio.timeout_at(watch.deadline)
        try:
            async with scope:
                return await doing
        except (aiohttp.ClientError, OSError) as exc:
            failure = self._failure(exc, watch, late=scope.expired())
        raise failure

    def _failure(self, exc: Exception, watch: _Watch, *, late: bool) -> EndpointError:
        name = self._endpoint.name
        if late and watch.deadline is not None:
            fault = Fault.STALLED if watch.spoke else Fault.SILENT
            said = "went silent after its first output" if watch.spoke else "said nothing useful"
            return EndpointError(
                name, fault, f"{self._destination} {said}", deadline_s=watch.deadline - watch.began
            )
        detail = f"{type(exc).__name__}: {exc}"
        match exc:
            case aiohttp.ConnectionTimeoutError():
                error = EndpointError(
                    name,
                    Fault.UNREACHABLE,
                    f"no connection to {self._destination}",
                    deadline_s=self._connect_s,
                )
            case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
                error = EndpointError(name, Fault.UNREACHABLE, detail)
            case aiohttp.ClientResponseError():
                error = EndpointError(name, Fault.MALFORMED, f"not HTTP: {exc.message}")
            case _:
                error = EndpointError(name, Fault.CUT, detail)
        return self._redacted(error)

    async def _check(self, response: aiohttp.ClientResponse) -> None:
        """Raise unless *response* is an event stream."""
        if response.status != 200:
            headers = {name.lower(): value for name, value in response.headers.items()}
            error = self._codec.refusal(response.status, headers, await _body(response))
            raise self._redacted(error) if isinstance(error, EndpointError) else error
        coding = response.headers.get("Content-Encoding", "identity")
        if coding.lower() != "identity":
            raise EndpointError(
                self._endpoint.name,
                Fault.MALFORMED,
                f"answered with the encoding {coding[:40]!r}, though only identity was accepted",
            )
        # Some servers name no type at all; a page of HTML or a JSON object names its own.
        if "Content-Type" in response.headers and response.content_type != "text/event-stream":
            raise EndpointError(
                self._endpoint.name,
                Fault.MALFORMED,
                f"answered with {response.content_type!r} instead of an event stream: "
                f"is {self._base} the API's base URL?",
            )

    def _redacted(self, error: EndpointError) -> EndpointError:
        # Providers quote the key in "incorrect API key" and proxies echo whole requests.
        if not self._key or self._key not in error.detail:
            return error
        return EndpointError(
            error.endpoint,
            error.fault,
            error.detail.replace(self._key, "[key]"),
            deadline_s=error.deadline_s,
            retry_after_s=error.retry_after_s,
        )


def _address(endpoint: str, base_url: str) -> URL:
    try:
        url = URL(base_url)
    except ValueError:
        url = URL()
    # A password or a query in the address would show in errors and in the journal.
    secrets = url.user or url.password or url.query_string or url.fragment
    if secrets or url.scheme not in {"http", "https"} or not url.host or not url.port:
        raise InputError(
            f"{endpoint}: the base URL is not an address like https://api.example.com/v1. "
            f"Give scheme, host and path only; credentials go into the key"
        )
    return url


def _token(endpoint: str, key: str | None) -> str | None:
    if key is None or (key and key.isascii() and key.isprintable() and " " not in key):
        return key
    raise InputError(
        f"{endpoint}: the key is empty or has spaces, line breaks or non-ASCII signs (not shown). "
        f"Copy it again, without quotes and line ends, or leave it out if the endpoint needs none"
    )


async def _piece(response: aiohttp.ClientResponse) -> bytes:
    """What has come, no more than other calls can wait for."""
    piece = await response.content.read(_PIECE_BYTES)
    if len(piece) == _PIECE_BYTES:  # more is there, and would come without a pause
        await asyncio.sleep(0)
    return piece


async def _body(response: aiohttp.ClientResponse) -> bytes:
    """The start of an error's body: as much as came within the bounds of size and time."""
    body = bytearray()
    try:
        async with asyncio.timeout(_REFUSAL_S):
            while len(body) < _REFUSAL_BYTES and (chunk := await response.content.readany()):
                body += chunk
    except (aiohttp.ClientError, OSError):
        pass  # the status is the news; half a message, or none, explains it well enough
    return bytes(body[:_REFUSAL_BYTES])


def _may_end(decoder: Decoder[Out]) -> bool:
    try:
        decoder.end()
    except EndpointError:
        return False
    return True


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
