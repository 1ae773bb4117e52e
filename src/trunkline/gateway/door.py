"""Who comes in, and what is told of them when they have left: one line and the counters."""

import asyncio
import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final, Protocol, TypeVar

import msgspec
from aiohttp import web
from typing_extensions import override

from trunkline.calls.steps import AnyStage
from trunkline.errors import Fault
from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.metrics import Metrics
from trunkline.gateway.refusals import Refusal, wrong

log = logging.getLogger(__name__)

BODY_S: Final = 10.0
"""For the body of a request; its head came before."""
RETRY_AFTER_S: Final = 1.0
"""What a client is told to wait when this worker has no room, or no endpoint is well."""

Occupied = Callable[[web.Request, Callable[[], None]], AbstractContextManager[None]]
"""While inside, a request's connection is nobody else's; the callback is called when it is lost."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of a worker: requests that run at once, bytes of a body and of an uploaded recording."""

    at_once_max: int = 256
    body_bytes_max: int = 1 << 20
    audio_bytes_max: int = 25 << 20


class Model(Protocol):
    """A name that clients ask for, and who serves it."""

    @property
    def name(self) -> str:
        """As clients give it."""
        ...

    @property
    def stages(self) -> Sequence[AnyStage]:
        """Its endpoints, the preferred one first."""
        ...

    @property
    def paths(self) -> str:
        """Where it can be asked for."""
        ...


M = TypeVar("M", bound=Model)


class Tried(Protocol):
    """One attempt."""

    @property
    def name(self) -> str:
        """Its endpoint."""
        ...

    @property
    def kind(self) -> str:
        """Why it was made."""
        ...

    @property
    def fault(self) -> Fault | None:
        """How it failed, if it did."""
        ...


@dataclass(frozen=True, slots=True)
class Failover:
    """The answer went over from one endpoint to another (or to itself, asked again). *tried*: who
    was asked in vain between the two."""

    old: str
    new: str
    fault: Fault
    kind: str
    tried: tuple[str, ...] = ()

    @property
    def told(self) -> dict[str, object]:
        """As clients read it."""
        told: dict[str, object] = {
            "from": self.old,
            "to": self.new,
            "fault": self.fault.value,
            "kind": str(self.kind),
        }
        return told | ({"tried": self.tried} if self.tried else {})

    @override
    def __str__(self) -> str:
        return f"{'>'.join((self.old, *self.tried, self.new))};{self.fault.value}"


class Story(Protocol):
    """What became of a request among the endpoints."""

    @property
    def served_by(self) -> str:
        """The endpoint that leads, "" if none does."""
        ...

    @property
    def tries(self) -> Sequence[Tried]:
        """All attempts."""
        ...

    @property
    def failovers(self) -> Sequence[Failover]:
        """All changes of endpoint."""
        ...


@dataclass(slots=True)
class Account:
    """What is told of one request when it is over."""

    route: str
    began: float
    client: str = ""
    model: str = ""
    outcome: str = "refused"
    status: int = 0
    story: Story | None = None
    first_at: float | None = None


class Door:
    """Lets in whoever has one of *keys*, within *limits*, and keeps the accounts."""

    def __init__(
        self,
        keys: Keys,
        metrics: Metrics,
        clock: Callable[[], float],
        occupied: Occupied,
        limits: Limits,
    ) -> None:
        self._keys, self._metrics = keys, metrics
        self.clock, self.occupied, self.limits = clock, occupied, limits
        self.running = 0

    def client(self, request: web.Request) -> Client:
        """Who asks; `Refusal` (401) if nobody is known by that key."""
        return self._keys.client(request.headers.get("Authorization", ""))

    def model(self, models: Mapping[str, Model], client: Client, name: str, kind: type[M]) -> M:
        """The model *name*, of this *kind*; `Refusal` (404, 400)."""
        model = models.get(name)
        if model is None or not client.may_use(name):
            raise no_model(name)
        if not isinstance(model, kind):
            raise wrong("model", f"{name!r} serves {model.paths}")
        return model

    def account(self, route: str) -> Account:
        """Of a request to *route* that begins now."""
        return Account(route, self.clock())

    @contextmanager
    def admitted(self, request: web.Request, account: Account) -> Iterator[Client]:
        """While inside, the request counts as running; `Refusal` (401, 429)."""
        client = self.client(request)
        account.client = client.name
        if self.running >= self.limits.at_once_max:
            message = f"{self.running} requests are running, as many as this worker takes"
            raise Refusal(429, message, "overloaded", retry_after_s=RETRY_AFTER_S)
        client.begin(self.clock())
        self.running += 1
        try:
            yield client
        finally:
            self.running -= 1
            client.finish()

    def close(self, account: Account) -> None:
        """The request is over: one line, and the counters."""
        metrics, story = self._metrics, account.story
        metrics.requests.add(account.route, account.model, account.outcome)
        served = ""
        if story is not None:
            served = story.served_by
            for it in story.tries:
                metrics.attempts.add(it.name, str(it.kind), it.fault.value if it.fault else "")
            for told in story.failovers:
                metrics.failovers.add(told.old, told.new, told.fault.value, str(told.kind))
            if account.first_at is not None:
                metrics.ttft.add(account.first_at - account.began, account.model, served)
        if log.isEnabledFor(logging.INFO):
            log.info("%s", msgspec.json.encode(self._line(account, served)).decode())

    def _line(self, account: Account, served: str) -> Mapping[str, object]:
        story, now, first = account.story, self.clock(), account.first_at
        return {
            "request": account.route,
            "client": account.client,
            "model": account.model,
            "outcome": account.outcome,
            "status": account.status,
            "endpoint": served,
            "attempts": 0 if story is None else len(story.tries),
            "failovers": 0 if story is None else len(story.failovers),
            "ttft_ms": first and round((first - account.began) * 1000, 1),
            "ms": round((now - account.began) * 1000, 1),
        }


def told_headers(story: Story) -> dict[str, str]:
    """Who answers, as far as it is known when the headers are written."""
    told = {"X-Trunkline-Endpoint": story.served_by} if story.served_by else {}
    if story.failovers:
        told["X-Trunkline-Failover"] = ", ".join(map(str, story.failovers))
    return told


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


def no_model(name: str) -> Refusal:
    """It is not there, or not for this client."""
    message = f"there is no model {name[:80]!r} here. GET /v1/models lists those that you may use"
    return Refusal(404, message, "model_not_found", "model")


def refused(refusal: Refusal) -> web.Response:
    """What the client gets instead of an answer."""
    headers = dict(refusal.headers)
    if refusal.retry_after_s is not None:
        headers["Retry-After"] = str(max(1, math.ceil(refusal.retry_after_s)))
    response = json_body(refusal.body, headers, refusal.status)
    if refusal.closes:
        response.force_close()
    return response


def json_body(body: bytes, headers: Mapping[str, str], status: int = 200) -> web.Response:
    """*body*, which is JSON."""
    told = {**headers, "Content-Type": "application/json"}
    return web.Response(body=body, status=status, headers=told)
