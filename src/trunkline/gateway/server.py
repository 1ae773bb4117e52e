"""The HTTP side: OpenAI's paths over the endpoints of a worker, on the port of its calls.

    POST /v1/chat/completions      an answer, streamed or whole
    GET  /v1/models, /v1/models/x  the names that a client may ask for
    GET  /health/ready             200 while every model has an endpoint that is well
    GET  /metrics                  for Prometheus, of this worker

Who asks is known by a key (`keys`), what is asked is checked (`requests`), and what comes of it is
one line of the log and some counters, without a word of what was said: a gateway keeps no record.
A client that leaves takes its request along: the endpoints are told at once.
"""

import asyncio
import logging
import math
import os
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

import msgspec
from aiohttp import web

from trunkline.core.health import Breaker
from trunkline.core.routing import Router
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.gateway import answers
from trunkline.gateway.exchange import ChatModel, Exchange, Outbox, Try, theirs
from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.metrics import CONTENT_TYPE, Metrics
from trunkline.gateway.outboxes import Collected, Streamed
from trunkline.gateway.refusals import Refusal, unsupported
from trunkline.gateway.requests import Ask, read_chat
from trunkline.types import CallId, Prompt, Where

log = logging.getLogger(__name__)

BODY_S: Final = 10.0
"""For the body of a request; its head came before."""
RETRY_AFTER_S: Final = 1.0
"""What a client is told to wait when this worker has no room, or no endpoint is well."""
_GOLDEN: Final = 0.6180339887

Occupied = Callable[[web.Request, Callable[[], None]], AbstractContextManager[None]]
"""While inside, a request's connection is nobody else's; the callback is called when it is lost."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a worker: requests that run at once, bytes of a body."""

    at_once_max: int = 256
    body_bytes_max: int = 1 << 20


@dataclass(slots=True)
class Account:
    """What is told of one request when it is over."""

    route: str
    began: float
    client: str = ""
    model: str = ""
    outcome: str = "refused"
    status: int = 0
    exchange: Exchange | None = None
    first_at: float | None = None


class Gateway:
    """Serves *models* to whoever has one of *keys*. They are asked for by each request."""

    def __init__(
        self,
        models: Callable[[], Mapping[str, ChatModel]],
        keys: Keys,
        router: Router,
        metrics: Metrics,
        *,
        occupied: Occupied,
        wall: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        self._models, self._keys, self._router, self._metrics = models, keys, router, metrics
        self._occupied, self._wall = occupied, wall
        self._limits = limits or Limits()
        self._clock = asyncio.get_running_loop().time
        self._running, self._count = 0, 0
        self._began_at = int(wall())

    def routes(self) -> list[web.RouteDef]:
        """The routes of all this."""
        return [
            web.post("/v1/chat/completions", self._chat),
            web.get("/v1/models", self._list, allow_head=False),
            web.get("/v1/models/{model}", self._one, allow_head=False),
            web.get("/health/ready", self._ready, allow_head=False),
            web.get("/metrics", self._tell, allow_head=False),
        ]

    # -- chat completions ----------------------------------------------------------------------

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        account = Account("chat", self._clock())
        try:
            with self._admitted(request, account) as client:
                ask = read_chat(await read_body(request, self._limits.body_bytes_max))
                model = self._model(client, ask, account)
                return await self._answered(request, ask, model, account)
        except Refusal as refusal:
            account.status = refusal.status
            return _refused(refusal)
        finally:
            self._account(account)

    async def _answered(
        self, request: web.Request, ask: Ask, model: ChatModel, account: Account
    ) -> web.StreamResponse:
        created = int(self._wall())
        answer = "chatcmpl-" + os.urandom(12).hex()

        def headers() -> dict[str, str]:
            account.first_at = self._clock()
            return {**_STREAM, **_told_headers(exchange)}

        outbox: Streamed | Collected = Collected()
        if ask.stream:
            chunks = answers.Chunks(answer, model.name, created, usage=ask.usage)
            outbox = Streamed(
                request,
                chunks,
                headers,
                lambda: _unanswered(model.name, exchange),
                lambda: _told(exchange),
                usage=ask.usage,
            )
        else:
            model = replace(model, hold="all")
        exchange = account.exchange = self._exchange(answer, model, ask.prompt, outbox)
        with self._occupied(request, exchange.leave):
            await exchange.run(outbox.flush)
        end = exchange.end
        if exchange.left or end is None:
            account.outcome, account.status = "left", 499
            return web.Response(status=499)  # nobody reads it
        if end.reason == "failed":
            account.outcome = "broken"
            if isinstance(outbox, Collected) or outbox.response is None:
                raise _unanswered(model.name, exchange)
        else:
            account.outcome = "complete"
        account.status = 200
        if isinstance(outbox, Streamed):
            assert outbox.response is not None  # noqa: S101  # the end was flushed
            return outbox.response
        account.first_at = self._clock()
        body = answers.whole(
            answer, model.name, created, outbox.text, end.tool_calls, end.reason, exchange.usage
        )
        return _json(body, _told_headers(exchange))

    def _exchange(self, answer: str, model: ChatModel, prompt: Prompt, outbox: Outbox) -> Exchange:
        self._count += 1
        return Exchange(
            model,
            prompt,
            router=self._router,
            state=self._router.call(self._count * _GOLDEN % 1.0),
            where=Where(CallId(answer)),
            outbox=outbox,
            clock=self._clock,
        )

    def _model(self, client: Client, ask: Ask, account: Account) -> ChatModel:
        """Who serves *ask*: of the model's endpoints, those that can honour all of it."""
        model = self._models().get(ask.model)
        if model is None or not client.may_use(ask.model):
            raise _no_model(ask.model)
        account.model = model.name
        options = ask.prompt.options
        if not options:
            return model
        able = tuple(it for it in model.stages if _honours(it, options))
        if not able:
            odd = next(o for o in options if not any(_honours(s, (o,)) for s in model.stages))
            raise unsupported(odd, f"no endpoint of {model.name!r} knows it")
        return replace(model, stages=able)

    # -- who may ask ---------------------------------------------------------------------------

    @contextmanager
    def _admitted(self, request: web.Request, account: Account) -> Iterator[Client]:
        client = self._keys.client(request.headers.get("Authorization", ""))
        account.client = client.name
        if self._running >= self._limits.at_once_max:
            message = f"{self._running} requests are running, as many as this worker takes"
            raise Refusal(429, message, "overloaded", retry_after_s=RETRY_AFTER_S)
        client.begin(self._clock())
        self._running += 1
        try:
            yield client
        finally:
            self._running -= 1
            client.finish()

    def _account(self, account: Account) -> None:
        """One line, and the counters."""
        metrics, exchange = self._metrics, account.exchange
        metrics.requests.add(account.route, account.model, account.outcome)
        served = ""
        if exchange is not None:
            served = exchange.served_by
            for it in exchange.tries:
                metrics.attempts.add(it.name, it.kind.value, it.fault.value if it.fault else "")
            for told in exchange.failovers:
                metrics.failovers.add(told.old, told.new, told.fault.value, told.kind.value)
            if account.first_at is not None:
                metrics.ttft.add(account.first_at - account.began, account.model, served)
        if log.isEnabledFor(logging.INFO):
            log.info("%s", msgspec.json.encode(self._line(account, served)).decode())

    def _line(self, account: Account, served: str) -> dict[str, object]:
        exchange, now = account.exchange, self._clock()
        first = account.first_at
        return {
            "request": account.route,
            "client": account.client,
            "model": account.model,
            "outcome": account.outcome,
            "status": account.status,
            "endpoint": served,
            "attempts": 0 if exchange is None else len(exchange.tries),
            "failovers": 0 if exchange is None else len(exchange.failovers),
            "ttft_ms": first and round((first - account.began) * 1000, 1),
            "ms": round((now - account.began) * 1000, 1),
        }

    # -- what there is -------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.Response:
        try:
            client = self._keys.client(request.headers.get("Authorization", ""))
        except Refusal as refusal:
            return _refused(refusal)
        listed = [self._described(name) for name in self._models() if client.may_use(name)]
        return web.json_response({"object": "list", "data": listed})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        try:
            client = self._keys.client(request.headers.get("Authorization", ""))
            if name not in self._models() or not client.may_use(name):
                raise _no_model(name)
        except Refusal as refusal:
            return _refused(refusal)
        return web.json_response(self._described(name))

    def _described(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._began_at, "owned_by": "trunkline"}

    async def _ready(self, _: web.Request) -> web.Response:
        well = {Breaker.CLOSED, Breaker.HALF_OPEN}
        breakers = self._breakers()
        models = {
            name: any(breakers[stage.endpoint.name] in well for stage in model.stages)
            for name, model in self._models().items()
        }
        return web.json_response({"models": models}, status=200 if all(models.values()) else 503)

    async def _tell(self, request: web.Request) -> web.Response:
        try:
            self._keys.client(request.headers.get("Authorization", ""))
        except Refusal as refusal:
            return _refused(refusal)
        text = self._metrics.text(self._running, self._breakers())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    def _breakers(self) -> dict[str, Breaker]:
        router, now = self._router, self._clock()
        names = {stage.endpoint.name for it in self._models().values() for stage in it.stages}
        return {name: router.health(name).breaker(now) for name in sorted(names)}


_STREAM: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would keep tokens back
}


async def read_body(request: web.Request, bytes_max: int) -> bytes:
    """The body; `Refusal` (413, 408, 400) if it is too long, too slow or broken."""
    too_long = Refusal(413, f"the body is longer than {bytes_max} bytes", closes=True)
    if (request.content_length or 0) > bytes_max:
        raise too_long
    if request.content.is_eof():  # it came with its head
        whole: bytes = request.content.read_nowait()
        if len(whole) > bytes_max:
            raise too_long
        return whole
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_S):
            async for piece in request.content.iter_any():
                body += piece
                if len(body) > bytes_max:
                    raise too_long
    except TimeoutError:
        message = f"the body took longer than {BODY_S:g} s"
        raise Refusal(408, message, closes=True) from None
    except (web.RequestPayloadError, ConnectionError) as broken:
        raise Refusal(400, "the body is not what its head promised", closes=True) from broken
    return bytes(body)


def _honours(stage: object, options: Iterable[str]) -> bool:
    """Whether *stage* knows all *options*; one that does not say knows none."""
    known: frozenset[str] | None = getattr(stage, "honours", frozenset())
    return known is None or known.issuperset(options)


def _no_model(name: str) -> Refusal:
    message = f"there is no model {name[:80]!r} here. GET /v1/models lists those that you may use"
    return Refusal(404, message, "model_not_found", "model")


def _unanswered(model: str, exchange: Exchange) -> Refusal:
    """Why nobody has answered, or not to the end, as the client is told."""
    tries = exchange.tries
    asked = [it.error for it in tries if it.error is not None and theirs(it.error)]
    if asked and len(asked) == len(tries):
        said = asked[-1]
        detail = said.detail if isinstance(said, EndpointError) else str(said)
        return Refusal(400, f"{tries[-1].name} refused the request: {detail}", "refused")
    faults = _faults(tries)
    headers = _told_headers(exchange)
    pauses = [it.error.retry_after_s for it in tries if _throttled(it.error)]
    if tries and len(pauses) == len(tries):
        wait_s = min((it for it in pauses if it is not None), default=RETRY_AFTER_S)
        message = f"every endpoint of {model!r} pushes back ({faults})"
        return Refusal(429, message, "throttled", retry_after_s=wait_s, headers=headers)
    message = f"no endpoint of {model!r} is left to complete the answer ({faults})"
    return Refusal(503, message, "no_endpoint_left", retry_after_s=RETRY_AFTER_S, headers=headers)


def _faults(tries: Iterable[Try]) -> str:
    """What became of all attempts: each endpoint is named with each of its faults."""
    counted = Counter(f"{it.name}: {_fault(it)}" for it in tries)
    return "; ".join(f"{told} ({n} times)" if n > 1 else told for told, n in counted.items())


def _fault(attempt: Try) -> str:
    error = attempt.error
    if isinstance(error, EgressRefused):
        return "forbidden by policy"
    if error is None:  # it ran until nobody waited any longer
        return (Fault.STALLED if attempt.said else Fault.SILENT).value
    return error.fault.value


def _throttled(error: EndpointError | EgressRefused | None) -> TypeGuard[EndpointError]:
    return isinstance(error, EndpointError) and error.fault is Fault.THROTTLED


def _told(exchange: Exchange) -> dict[str, object]:
    return {
        "endpoint": exchange.served_by,
        "attempts": len(exchange.tries),
        "failovers": [it.told for it in exchange.failovers],
    }


def _told_headers(exchange: Exchange) -> dict[str, str]:
    """Who answers, as far as it is known when the headers are written."""
    told = {"X-Trunkline-Endpoint": exchange.served_by} if exchange.served_by else {}
    if exchange.failovers:
        told["X-Trunkline-Failover"] = ", ".join(map(str, exchange.failovers))
    return told


def _refused(refusal: Refusal) -> web.Response:
    headers = dict(refusal.headers)
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after_s)))
    response = _json(refusal.body, headers, refusal.status)
    if refusal.closes:
        response.force_close()
    return response


def _json(body: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
    told = {**headers, "Content-Type": "application/json"}
    return web.Response(body=body, status=status, headers=told)
