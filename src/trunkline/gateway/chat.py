"""Answers of language models, in any of the forms in which clients ask for them."""

import os
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, TypeGuard

from aiohttp import web

from trunkline.core.routing import Router
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.gateway.answers import Head, Whole
from trunkline.gateway.door import (
    RETRY_AFTER_S,
    Account,
    Door,
    Model,
    json_body,
    read_body,
    refused,
    told_headers,
)
from trunkline.gateway.exchange import ChatModel, Exchange, Outbox, Try, theirs
from trunkline.gateway.keys import Client
from trunkline.gateway.outboxes import Collected, Streamed, Writer
from trunkline.gateway.refusals import Refusal, unsupported
from trunkline.gateway.requests import Ask
from trunkline.types import CallId, Prompt, Where

_GOLDEN: Final = 0.6180339887


@dataclass(frozen=True, slots=True)
class Form:
    """One way to ask: how a request is read, and how its answer is written."""

    route: str
    prefix: str
    """What the id of an answer begins with."""
    read: Callable[[bytes], Ask]
    writer: Callable[[Head, Ask], Writer]
    body: Callable[[Head, Ask, Whole], bytes]


class Answering:
    """Serves one *form* over *models*."""

    def __init__(
        self,
        form: Form,
        models: Callable[[], Mapping[str, Model]],
        router: Router,
        door: Door,
        wall: Callable[[], float],
    ) -> None:
        self._form, self._models, self._router, self._door = form, models, router, door
        self._wall, self._count = wall, 0

    async def serve(self, request: web.Request) -> web.StreamResponse:
        """One request."""
        account = self._door.account(self._form.route)
        try:
            with self._door.admitted(request, account) as client:
                body = await read_body(request, self._door.limits.body_bytes_max)
                ask = self._form.read(body)
                model = self._model(client, ask, account)
                return await self._answered(request, ask, model, account)
        except Refusal as refusal:
            account.status = refusal.status
            return refused(refusal)
        finally:
            self._door.close(account)

    async def _answered(
        self, request: web.Request, ask: Ask, model: ChatModel, account: Account
    ) -> web.StreamResponse:
        head = Head(self._form.prefix + os.urandom(12).hex(), model.name, int(self._wall()))

        def headers() -> dict[str, str]:
            account.first_at = self._door.clock()
            return {**_STREAM, **told_headers(exchange)}

        outbox: Streamed | Collected = Collected()
        if ask.stream:
            outbox = Streamed(
                request,
                self._form.writer(head, ask),
                headers,
                lambda: _unanswered(model.name, exchange),
                lambda: _told(exchange),
            )
        else:
            model = replace(model, hold="all")
        exchange = account.story = self._exchange(head.id, model, ask.prompt, outbox)
        with self._door.occupied(request, exchange.leave):
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
        account.first_at = self._door.clock()
        whole = Whole(outbox.text, end.tool_calls, end.reason, exchange.usage)
        return json_body(self._form.body(head, ask, whole), told_headers(exchange))

    def _exchange(self, answer: str, model: ChatModel, prompt: Prompt, outbox: Outbox) -> Exchange:
        self._count += 1
        return Exchange(
            model,
            prompt,
            router=self._router,
            state=self._router.call(self._count * _GOLDEN % 1.0),
            where=Where(CallId(answer)),
            outbox=outbox,
            clock=self._door.clock,
        )

    def _model(self, client: Client, ask: Ask, account: Account) -> ChatModel:
        """Who serves *ask*: of the model's endpoints, those that can honour all of it."""
        model = self._door.model(self._models(), client, ask.model, ChatModel)
        account.model = model.name
        options = ask.prompt.options
        if not options:
            return model
        able = tuple(it for it in model.stages if _honours(it, options))
        if not able:
            odd = next(o for o in options if not any(_honours(s, (o,)) for s in model.stages))
            raise unsupported(odd, f"no endpoint of {model.name!r} knows it")
        return replace(model, stages=able)


_STREAM: Final = {
    "Content-Type": "text/event-stream; charset=utf-8",
    "Cache-Control": "no-cache",
    "X-Accel-Buffering": "no",  # nginx would keep tokens back
}


def _honours(stage: object, options: Iterable[str]) -> bool:
    """Whether *stage* knows all *options*; one that does not say knows none."""
    known: frozenset[str] | None = getattr(stage, "honours", frozenset())
    return known is None or known.issuperset(options)


def _unanswered(model: str, exchange: Exchange) -> Refusal:
    """Why nobody has answered, or not to the end, as the client is told."""
    tries = exchange.tries
    asked = [it.error for it in tries if it.error is not None and theirs(it.error)]
    if asked and len(asked) == len(tries):
        said = asked[-1]
        detail = said.detail if isinstance(said, EndpointError) else str(said)
        return Refusal(400, f"{tries[-1].name} refused the request: {detail}", "refused")
    faults = _faults(tries)
    headers = told_headers(exchange)
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
