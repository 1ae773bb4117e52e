"""A local server of a language model's protocol: a scripted model behind real HTTP, with timing.

It is not a language model and measures no hardware. The sockets, the HTTP and the protocol are
real; what is said comes from a `ChatModel` (a script), when it is said from a `Law`, and how it
fails from `FaultScript`s. The timing of request n depends on the seed and on n alone, so a run with
a fault and a run without one differ by the fault only. What differs between protocols is a `Wire`.

For tests there are `POST /_control/fault` (a fault mapping replaces all faults, `null` clears them)
and `GET /_control/requests` (what was asked and how it ended).

As a process (see `command`) it can also freeze, and ends when its parent does or its stdin pipe is
closed. It writes a line of JSON when it is ready, `{"ready": {"port": 40001, "pid": 7}}`, and one
when a fault strikes, `{"fault": {"kind": "freeze", "request": 1, "token": 20, "mono": 12.3}}`,
before it takes effect; `mono` is this machine's monotonic clock, in seconds.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from types import TracebackType
from typing import ClassVar, Self, cast

from aiohttp import web

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatModel
from trunkline.testing import faults as scripts
from trunkline.testing.chat import ChatRequest
from trunkline.testing.chat_wire import Answering, Wire
from trunkline.testing.faults import Act, FaultKind, FaultScript, course, struck
from trunkline.testing.laws import Law, law_named
from trunkline.testing.listener import Listener, peer_port, reset
from trunkline.testing.process import announce, freeze, load, until_orphaned

_KEPT_REQUESTS = 10_000
_REASONS = {Act.FINISH: "", Act.FILTER: "content_filter"}
_SCRIPTED = FaultScript(FaultKind.STATUS).body


@dataclass(slots=True)
class RequestRecord:
    """One request for a completion: what it asked and how it *ended* ("" while it runs).

    *peer_port* tells which connection it came on, *tokens* how many were sent, *ended_mono* when.
    """

    ordinal: int
    model: str
    last_user: str
    stream: bool
    continue_final: bool
    peer_port: int
    tokens: int = 0
    ended: str = ""
    ended_mono: float = 0.0


@dataclass(frozen=True, slots=True)
class FaultStruck:
    """A fault took effect: in *request*, before token number *token* (from 0), at time *mono*."""

    kind: FaultKind
    request: int
    token: int
    mono: float


class ChatServer:
    """The server of a *wire* as an async context manager; `base_url` is what a client wants.

    *on_fault* is told of each fault before it takes effect. *stop_process* does what `freeze`
    asks for; without it a `freeze` is an `InputError`, for it would stop the caller's process.
    """

    wire: ClassVar[Wire]

    def __init__(
        self,
        model: ChatModel,
        law: Law,
        seed: int = 0,
        faults: Sequence[FaultScript] = (),
        port: int = 0,
        *,
        on_fault: Callable[[FaultStruck], None] = lambda _: None,
        stop_process: Callable[[], None] | None = None,
    ) -> None:
        self._model, self._law, self._seed = model, law, seed
        self._on_fault, self._stop_process = on_fault, stop_process
        self._faults = self._checked(faults)
        self._count, self._began = 0, time.monotonic()
        self._records: deque[RequestRecord] = deque(maxlen=_KEPT_REQUESTS)
        app = web.Application()
        for route in self.wire.routes:
            app.router.add_post(route, self._chat)
        app.router.add_get("/v1/models", self._models)
        app.router.add_get("/health", self._health)
        app.router.add_post("/_control/fault", self._set_fault)
        app.router.add_get("/_control/requests", self._get_requests)
        self._listener = Listener(app, port)

    async def __aenter__(self) -> Self:
        await self._listener.open()
        await self._refuse_if_due()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._listener.close()

    @property
    def host(self) -> str:
        """The address that it listens on; set it before it is entered."""
        return self._listener.host

    @host.setter
    def host(self, address: str) -> None:
        self._listener.host = address

    @property
    def port(self) -> int:
        """Where it listens, once it does."""
        return self._listener.port

    @property
    def base_url(self) -> str:
        """The base URL of the API, with its version."""
        return f"http://{self.host}:{self.port}{self.wire.home}"

    @property
    def requests(self) -> Sequence[RequestRecord]:
        """The last requests for completions, oldest first."""
        return tuple(self._records)

    def _checked(self, faults: Sequence[FaultScript]) -> tuple[FaultScript, ...]:
        if self._stop_process is None and any(f.kind is FaultKind.FREEZE for f in faults):
            raise InputError(
                "freeze stops the whole process: run the server as a process of its own "
                f"(python -m {type(self).__module__}), or use stall"
            )
        return tuple(faults)

    async def _refuse_if_due(self) -> None:
        """Close the listener if the next request is one that nobody is to hear."""
        refusals = (fault for fault in self._faults if fault.kind is FaultKind.REFUSE)
        at_s = time.monotonic() - self._began
        due = [fault for fault in refusals if fault.strikes(self._count + 1, "", at_s=at_s)]
        if not due or self._listener.refusing:
            return
        self._faults = tuple(fault for fault in self._faults if fault is not due[0])
        self._strike(FaultKind.REFUSE, self._count + 1, 0)
        await self._listener.refuse(due[0].hold_s)

    async def _health(self, _: web.Request) -> web.Response:
        return web.json_response({"status": "ok"})

    async def _models(self, _: web.Request) -> web.Response:
        model = {"id": self._law.name, "object": "model", "created": 0, "owned_by": "trunkline"}
        return web.json_response({"object": "list", "data": [model]})

    async def _get_requests(self, _: web.Request) -> web.Response:
        return web.json_response({"requests": [asdict(record) for record in self._records]})

    async def _set_fault(self, request: web.Request) -> web.Response:
        try:
            raw = json.loads(await request.read())
            faults = [] if raw is None else [FaultScript.parse(raw)]
            self._faults = self._checked(faults)
        except (ValueError, InputError) as exc:
            return _bad_request(str(exc))
        await self._refuse_if_due()
        return web.json_response({"faults": len(faults)})

    async def _chat(self, request: web.Request) -> web.StreamResponse:
        try:
            chat = self.wire.parse(await request.read(), request.path)
        except InputError as exc:
            error = self.wire.error(str(exc), 400)
            return web.Response(status=400, text=error, content_type="application/json")
        self._count += 1
        record = RequestRecord(
            self._count,
            chat.model,
            chat.last_user,
            chat.stream,
            chat.prompt.continue_final,
            peer_port(request),
        )
        self._records.append(record)
        at_s, told = time.monotonic() - self._began, (record.ordinal, chat.last_user)
        fault = struck(self._faults, *told, turn=chat.turn, at_s=at_s, seed=self._seed)
        await self._refuse_if_due()
        try:
            return await self._play(request, chat, record, fault)
        except (asyncio.CancelledError, ConnectionResetError):
            record.ended = f"cancelled at token {record.tokens}"
            raise
        finally:
            record.ended_mono = time.monotonic()

    async def _play(
        self,
        request: web.Request,
        chat: ChatRequest,
        record: RequestRecord,
        fault: FaultScript | None,
    ) -> web.StreamResponse:
        completion = self.wire.answer(chat, self._model.reply(chat.prompt), record.ordinal)
        answer = (_Stream if chat.stream else _Body)(request, completion, self.wire)
        timing = self._law.timing(self._seed, record.ordinal)
        due, last = time.monotonic(), Act.FINISH
        for step in course(fault, timing, completion.length):
            # Due times are summed, not sleeps: a late timer must not slow the whole answer down.
            due, last = due + step.after_s, step.act
            await _until(due)
            if step.act is Act.STRIKE and fault is not None:
                self._strike(fault.kind, record.ordinal, record.tokens)
            elif step.act is Act.STOP_PROCESS and self._stop_process is not None:
                self._stop_process()
                due = time.monotonic()  # continued: it goes on at its pace, without a burst
            elif step.act is Act.ANSWER_STATUS and fault is not None:
                answer.response = _status(fault, self.wire)
            elif step.act is Act.RESET:
                reset(request)
            else:
                await answer.act(step.act, record.tokens, fault)
                record.tokens += step.act is Act.TOKEN
        if fault is not None and (last is not Act.FINISH or fault.kind is FaultKind.EMPTY):
            record.ended = f"{fault.kind} at token {record.tokens}"
        else:
            record.ended = "finished"
        return answer.response

    def _strike(self, kind: FaultKind, request: int, token: int) -> None:
        self._on_fault(FaultStruck(kind, request, token, time.monotonic()))


class _Stream:
    """An answer as server-sent events, written as its steps come."""

    def __init__(self, request: web.Request, completion: Answering, wire: Wire) -> None:
        self._request, self._completion, self._wire = request, completion, wire
        headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        self.response: web.StreamResponse = web.StreamResponse(headers=headers)

    async def act(self, act: Act, said: int, fault: FaultScript | None) -> None:
        match act:
            case Act.HEADERS:
                await self.response.prepare(self._request)
            case Act.ROLE:
                await self.response.write(self._completion.role())
            case Act.TOKEN:
                await self.response.write(self._completion.token(said))
            case Act.COMMENT:
                await self.response.write(self._wire.comment)
            case Act.GARBAGE:
                await self.response.write(self._wire.garbage)
            case Act.FINISH | Act.FILTER:
                await self.response.write(self._completion.finish(said, _REASONS[act]))
            case Act.ERROR if fault is not None:
                await self.response.write(self._wire.error_event(_said(fault, self._wire)))
            case _:
                pass  # CLOSE: returning the response ends the stream


class _Body:
    """An answer as one body, sent when its last step has come."""

    def __init__(self, request: web.Request, completion: Answering, wire: Wire) -> None:
        self._request, self._completion, self._wire = request, completion, wire
        self.response: web.StreamResponse = web.Response()

    async def act(self, act: Act, said: int, fault: FaultScript | None) -> None:
        match act:
            case Act.GARBAGE:
                self.response = web.json_response(body=self._wire.garbage)
            case Act.FINISH | Act.FILTER:
                whole = self._completion.whole(said, _REASONS[act])
                self.response = web.json_response(body=whole)
            case Act.ERROR if fault is not None:
                self.response = _status(fault, self._wire)
            case Act.CLOSE:
                reset(self._request)  # the one way for a single body to be incomplete
            case _:
                pass


def _said(fault: FaultScript, wire: Wire) -> str:
    """The error that *fault* has written out, else one of the protocol."""
    return wire.error("scripted fault", fault.status) if fault.body == _SCRIPTED else fault.body


def _status(fault: FaultScript, wire: Wire) -> web.Response:
    headers = {}
    if fault.retry_after_s is not None:
        headers["Retry-After"] = f"{fault.retry_after_s:g}"
    return web.Response(
        status=fault.status,
        text=_said(fault, wire),
        content_type="application/json",
        headers=headers,
    )


def _bad_request(message: str) -> web.Response:
    error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return web.json_response({"error": error}, status=400)


async def _until(due: float) -> None:
    if due == math.inf:
        await asyncio.get_running_loop().create_future()  # until the client's leaving cancels us
    await asyncio.sleep(max(0.0, due - time.monotonic()))


async def _serve(
    kind: type[ChatServer], model: ChatModel, law: Law, options: argparse.Namespace
) -> None:
    server = kind(
        model,
        law,
        options.seed,
        scripts.faults_of(options, "llm"),
        options.port,
        on_fault=lambda struck: announce("fault", **asdict(struck)),
        stop_process=freeze,
    )
    async with server:
        announce("ready", port=server.port, pid=os.getpid())
        await until_orphaned()


def command(kind: type[ChatServer], module: str) -> int:
    """Run a server as a process; the exit status is 2 if the command line is wrong."""
    parser = argparse.ArgumentParser(f"python -m {module}")
    parser.add_argument("--model", required=True, help="package.module:factory of a ChatModel")
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--law", default="instant", help="latency law, see testing/laws.py")
    parser.add_argument("--seed", type=int, default=0, help="of the timing")
    scripts.fault_options(parser)
    options = parser.parse_args()
    try:
        model = cast("ChatModel", load(options.model))
        asyncio.run(_serve(kind, model, law_named(options.law), options))
    except (InputError, ValueError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 2
    return 0
