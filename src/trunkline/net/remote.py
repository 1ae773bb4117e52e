"""One endpoint over the network: the gate, its address, its key, and the line where errors change.

Whatever `net/` waits for, it waits for in `Remote.wait`: the one place that knows aiohttp's
exceptions and makes Faults of them. They are not chained, because they carry the request's
headers, hence the key; and a key that a provider quotes in its own words is taken out of them.

A refused WebSocket handshake needs care that aiohttp does not take: it would follow a redirect,
past the gate and with the key, and would throw the explanation in the body away. A middleware of
the session sees to both.
"""

import asyncio
import math
import socket
import ssl
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, TypeVar

import aiohttp
from typing_extensions import override
from yarl import URL

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.net.access import Access
from trunkline.net.gate import Gate
from trunkline.net.raw import NotHttp, Unconnected
from trunkline.net.resolver import LastGoodResolver
from trunkline.types import Endpoint

T = TypeVar("T")
Refusal = Callable[[int, Mapping[str, str], bytes], Exception]

TOUCH_S = 2.0
"""For the answer to a request that keeps a connection warm."""
_ASIDE_BYTES = 2 << 20  # an engine with hundreds of histograms has 300 kB
_REFUSAL_BYTES = 16 << 10  # enough for any provider's error object
_REFUSAL_S = 0.5  # an error page that dribbles is not worth more of a caller's silence
_KEEPALIVE_S = 60.0  # longer than a caller's turn, so that the next one finds a warm connection
_PROBES = {"TCP_KEEPIDLE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}
_READ_BUFFER_BYTES = 64 << 10  # aiohttp stops reading the socket at twice this
_LINE_BYTES = 8 << 10  # a status line or a header: a proxy's longest are policies of 4 kB
_HEADERS = 128  # of one response: providers behind two proxies send 40


class _Connector(aiohttp.TCPConnector):
    """Connections that are kept, to addresses that were good last."""

    def __init__(self, resolver: LastGoodResolver) -> None:
        super().__init__(
            limit=0,
            keepalive_timeout=_KEEPALIVE_S,
            use_dns_cache=False,  # the resolver has one, which outlives the name service
            resolver=resolver,
            socket_factory=_socket,
        )
        self._last_good = resolver

    @override
    def close(self, *, abort_ssl: bool = False) -> Coroutine[Any, Any, None]:
        self._last_good.cancel()  # aiohttp closes only a resolver that it has made
        return super().close(abort_ssl=abort_ssl)


def _socket(info: aiohttp.AddrInfoType) -> socket.socket:
    """A socket that notices within a minute that a peer has gone while the connection idled."""
    family, kind, proto, _, _ = info
    made = socket.socket(family, kind, proto)
    made.setblocking(False)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in _PROBES.items():
        if hasattr(socket, option):  # not on every system
            made.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), value)
    return made


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
        connector=_Connector(LastGoodResolver()),
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
    """Tells the `Pooled` of a request that its connection came from the pool."""

    async def reused(_: aiohttp.ClientSession, context: SimpleNamespace, __: object) -> None:
        if isinstance(pooled := context.trace_request_ctx, Pooled):
            pooled.reused = True

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


@dataclass(slots=True)
class Pooled:
    """Whether the connection of one request came from the pool."""

    reused: bool = False


class Remote:
    """*endpoint* at *base_url*, with *key* (None: it needs none), reached by *access*.

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
        access: Access,
    ) -> None:
        self.endpoint = endpoint
        self.key = _token(endpoint.name, key)
        self.base = _address(endpoint.name, base_url)
        self.access, self.connect_s = access, access.connect_s
        self._refusal, self._gate = refusal, gate
        host = f"[{self.base.host}]" if ":" in (self.base.host or "") else self.base.host
        self.destination = f"{host}:{self.base.port}{access.by_way_of}"
        self.used_at = -math.inf
        """When a request was last admitted (monotonic seconds)."""

    def admit(self, context: Context) -> Watch:
        """Pass the gate, or raise `EgressRefused`; the watch of the attempt."""
        self._gate.admit(self.endpoint, context, self.destination)
        self.used_at = asyncio.get_running_loop().time()
        return Watch(self.used_at, context.deadline)

    async def touch(self, session: aiohttp.ClientSession, context: Context) -> bool:
        """Have a connection in the pool: a GET of the address' root, without the key.

        Whatever the answer is, it keeps the connection, if it is not endless. (Of a HEAD, aiohttp
        often cannot tell whether the connection lives.) Whether there was one already; raises as
        a request does.
        """
        return (await self._aside(session, "/", context, None)).reused

    async def metrics(self, session: aiohttp.ClientSession, context: Context) -> bytes:
        """What stands at `/metrics` of the address, without the key; b"" if nothing does."""
        body = bytearray()
        await self._aside(session, "/metrics", context, body)
        return bytes(body)

    async def _aside(
        self, session: aiohttp.ClientSession, path: str, context: Context, body: bytearray | None
    ) -> Pooled:
        """A request that is nobody's; *body* gets that of a whole answer with status 200."""
        used_at, pooled = self.used_at, Pooled()
        watch = self.admit(context)
        self.used_at = used_at
        response = await self.wait(
            session.get(
                self.base.origin().with_path(path),
                allow_redirects=False,
                raise_for_status=False,
                timeout=self.timeout,
                ssl=self.access.ssl,
                proxy=self.access.proxy,
                trace_request_ctx=pooled,
            ),
            watch,
            within_s=self.connect_s + TOUCH_S,
        )
        try:
            read = bytearray()
            while piece := await self.wait(response.content.readany(), watch, within_s=TOUCH_S):
                read += piece
                if len(read) > _ASIDE_BYTES:
                    return pooled
            if body is not None and response.status == 200:
                body += read
        finally:
            response.close()
        return pooled

    @property
    def timeout(self) -> aiohttp.ClientTimeout:
        """The deadline for connecting; all others are not aiohttp's."""
        return aiohttp.ClientTimeout(
            total=None, connect=self.connect_s, sock_connect=self.connect_s
        )

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
        if isinstance(exc, _Refused) and self._refusal is not None:
            error = self._refusal(exc.status, exc.headers, exc.body)
            return self.redacted(error) if isinstance(error, EndpointError) else error
        return self.redacted(EndpointError(name, *self._fault(exc)))

    def _fault(self, exc: Exception) -> tuple[Fault, str]:
        """What *exc* of the network means, and in words."""
        unreachable, malformed = Fault.UNREACHABLE, Fault.MALFORMED
        match exc:
            case Unconnected():
                told = unreachable, f"{self.destination}: {exc}"
            case NotHttp():
                told = malformed, f"not HTTP: {exc}"
            case aiohttp.ClientHttpProxyError():
                said = f"the proxy{self.access.by_way_of} answers {exc.status} {exc.message}"
                told = unreachable, said
            case aiohttp.ClientConnectorError() | aiohttp.ServerFingerprintMismatch():
                told = unreachable, f"{type(exc).__name__}: {exc}"
            case aiohttp.WSServerHandshakeError():
                told = malformed, f"not a WebSocket: {exc.message}"
            case aiohttp.ClientResponseError():
                told = malformed, f"not HTTP: {exc.message}"
            case _ if isinstance(exc, ssl.SSLError) or isinstance(exc.__cause__, ssl.SSLError):
                # Since TLS 1.3 a server refuses our certificate after the handshake.
                told = unreachable, f"TLS: {exc}"
            case _:
                told = Fault.CUT, f"{type(exc).__name__}: {exc}"
        return told

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
