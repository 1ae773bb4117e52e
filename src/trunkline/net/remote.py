"""One endpoint over the network: the gate, its address, its key, and the line where errors change.

Whatever `net/` waits for, it waits for in `Remote.wait`: the one place that knows aiohttp's
exceptions and makes Faults of them. They are not chained, because they carry the request's
headers, hence the key; and a key that a provider quotes in its own words is taken out of them.

A refused WebSocket handshake needs care that aiohttp does not take: it would follow a redirect,
past the gate and with the key, and would throw the explanation in the body away. A middleware of
the session sees to both.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TypeVar

import aiohttp
from yarl import URL

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.net.raw import NotHttp, Unconnected
from trunkline.types import Endpoint

T = TypeVar("T")
Refusal = Callable[[int, Mapping[str, str], bytes], Exception]

_REFUSAL_BYTES = 16 << 10  # enough for any provider's error object
_REFUSAL_S = 0.5  # an error page that dribbles is not worth more of a caller's silence
_KEEPALIVE_S = 60.0  # longer than a caller's turn, so that the next one finds a warm connection
_DNS_TTL_S = 60
_READ_BUFFER_BYTES = 64 << 10  # aiohttp stops reading the socket at twice this
_LINE_BYTES = 8 << 10  # a status line or a header: a proxy's longest are policies of 4 kB
_HEADERS = 128  # of one response: providers behind two proxies send 40


class _Refused(aiohttp.ClientError):
    """A WebSocket handshake that was not answered with 101."""

    def __init__(self, status: int, headers: Mapping[str, str], body: bytes) -> None:
        self.status, self.headers, self.body = status, headers, body
        super().__init__(status)


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
        middlewares=(_upgraded,),
        trace_configs=[_reuse_told()],
    )


def _reuse_told() -> aiohttp.TraceConfig:
    """Tells the `Watch` of a request that its connection came from the pool."""

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        if isinstance(watch := context.trace_request_ctx, Watch):
            watch.reused = True

    tracing = aiohttp.TraceConfig()
    tracing.on_connection_reuseconn.append(reused)
    return tracing


async def _upgraded(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    response = await handler(request)
    if "Upgrade" in request.headers and response.status != 101:
        try:
            raise _Refused(response.status, lowered(response), await refusal_body(response))
        finally:
            response.close()
    return response


def lowered(response: aiohttp.ClientResponse) -> dict[str, str]:
    """The headers of *response*, their names in lower case."""
    return {name.lower(): value for name, value in response.headers.items()}


async def refusal_body(response: aiohttp.ClientResponse) -> bytes:
    """The start of an error's body: as much as came within the bounds of size and time."""
    body = bytearray()
    try:
        async with asyncio.timeout(_REFUSAL_S):
            while len(body) < _REFUSAL_BYTES and (chunk := await response.content.readany()):
                body += chunk
    except (aiohttp.ClientError, OSError):
        pass  # the status is the news; half a message, or none, explains it well enough
    return bytes(body[:_REFUSAL_BYTES])


@dataclass(slots=True)
class Watch:
    """When one attempt began, when its caller stops waiting, and whether it said anything yet."""

    began: float
    deadline: float | None
    spoke: bool = False
    reused: bool = False  # the connection came from the pool


class Remote:
    """*endpoint* at *base_url*, with *key* (None: it needs none); *connect_s* bounds connecting.

    `InputError` if the address or the key could not work. *refusal*: what a refused WebSocket
    handshake means (None: there are none).
    """

    def __init__(
        self,
        endpoint: Endpoint,
        refusal: Refusal | None = None,
        *,
        base_url: str,
        key: str | None,
        gate: Gate,
        connect_s: float,
    ) -> None:
        self.endpoint = endpoint
        self.key = _token(endpoint.name, key)
        self.base = _address(endpoint.name, base_url)
        self.connect_s = connect_s
        self._refusal, self._gate = refusal, gate
        host = f"[{self.base.host}]" if ":" in (self.base.host or "") else self.base.host
        self.destination = f"{host}:{self.base.port}"

    def admit(self, context: Context) -> Watch:
        """Pass the gate, or raise `EgressRefused`; the watch of the attempt."""
        self._gate.admit(self.endpoint, context, self.destination)
        return Watch(asyncio.get_running_loop().time(), context.deadline)

    def url(self, path: str) -> URL:
        """The address of *path*, relative to the base URL."""
        return self.base.joinpath(*path.split("/"))

    async def wait(self, doing: Awaitable[T], watch: Watch, *, within_s: float | None = None) -> T:
        """Wait for the network: the one line where its errors become ours.

        *within_s* is for what belongs to connecting and has a bound of its own.
        """
        if watch.deadline is None and within_s is None:  # two timeouts cost as much as a token
            try:
                return await doing
            except (aiohttp.ClientError, OSError) as exc:
                failure = self._failure(exc, watch, late=False, unconnected=False)
            raise failure
        scope, connecting = asyncio.timeout_at(watch.deadline), asyncio.timeout(within_s)
        try:
            async with scope, connecting:
                return await doing
        except (aiohttp.ClientError, OSError) as exc:
            late = scope.expired() and not connecting.expired()
            failure = self._failure(exc, watch, late=late, unconnected=connecting.expired())
        raise failure

    def _failure(self, exc: Exception, watch: Watch, *, late: bool, unconnected: bool) -> Exception:
        name = self.endpoint.name
        if late and watch.deadline is not None:
            fault = Fault.STALLED if watch.spoke else Fault.SILENT
            said = "went silent after its first output" if watch.spoke else "said nothing useful"
            return EndpointError(
                name, fault, f"{self.destination} {said}", deadline_s=watch.deadline - watch.began
            )
        if unconnected or isinstance(exc, aiohttp.ConnectionTimeoutError):
            detail = f"no connection to {self.destination}"
            return EndpointError(name, Fault.UNREACHABLE, detail, deadline_s=self.connect_s)
        match exc:
            case Unconnected():
                fault, detail = Fault.UNREACHABLE, f"{self.destination}: {exc}"
            case NotHttp():
                fault, detail = Fault.MALFORMED, f"not HTTP: {exc}"
            case _Refused() if self._refusal is not None:
                error = self._refusal(exc.status, exc.headers, exc.body)
                return self.redacted(error) if isinstance(error, EndpointError) else error
            case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
                fault, detail = Fault.UNREACHABLE, f"{type(exc).__name__}: {exc}"
            case aiohttp.WSServerHandshakeError():
                fault, detail = Fault.MALFORMED, f"not a WebSocket: {exc.message}"
            case aiohttp.ClientResponseError():
                fault, detail = Fault.MALFORMED, f"not HTTP: {exc.message}"
            case _:
                fault, detail = Fault.CUT, f"{type(exc).__name__}: {exc}"
        return self.redacted(EndpointError(name, fault, detail))

    def redacted(self, error: EndpointError) -> EndpointError:
        """*error* without the key: providers quote it in "incorrect API key", proxies echo it."""
        if not self.key or self.key not in error.detail:
            return error
        return EndpointError(
            error.endpoint,
            error.fault,
            error.detail.replace(self.key, "[key]"),
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
