"""What every stage of a language model must do, as laws that take the stage and a server for it.

The server is a `ChatServer` of the protocol; the laws take real time and real sockets. What the
codec alone must do is in `conformance_chat`.

    @pytest.mark.parametrize("law", CHAT_SOCKET_LAWS, ids=lambda law: law.__name__)
    def test_laws(law): asyncio.run(law(ChatAdapter(...)))

A law that does not hold raises `Unlawful`, an `AssertionError`.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from trunkline.contracts import Context, Stage
from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.chat import ChatModel, ChatReply
from trunkline.testing.chat import FixedModel
from trunkline.testing.chat_server import ChatServer
from trunkline.testing.conformance import Unlawful, hold
from trunkline.testing.conformance_chat import HISTORY
from trunkline.testing.conformance_sockets import FAULTS, LEFT_S, logged
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.types import (
    CallId,
    DataClass,
    Delta,
    Finish,
    Mono,
    Prompt,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Where,
)

TEXT = 'We open at 8:30. „Zürich“ costs 120 €, naïve? 你好 👩‍👩‍👧 "quoted" \\ Good-bye!'
CALLS = (
    ToolCall("call_1", "book", '{"day": "Thursday", "at": "14:30", "for": "Zoë"}'),
    ToolCall("call_2", "note", "{}"),
)
CHAT_FAULTS: Mapping[str, tuple[Mapping[str, object], Fault]] = {
    **{name: it for name, it in FAULTS.items() if name != "hang"},
    "hang": ({"kind": "hang"}, Fault.SILENT),  # a WebSocket would not be open yet
    "status_529": ({"kind": "status", "status": 529}, Fault.UNAVAILABLE),
    "error_inside": ({"kind": "error_inside", "after_tokens": 2}, Fault.UNAVAILABLE),
}
_WAIT_S = 1.5


@dataclass(frozen=True, slots=True)
class ChatAdapter:
    """A stage and the kind of its server; *stage* takes the server's base URL, and has *key*."""

    server: type[ChatServer]
    stage: Callable[[str], Stage[Prompt, Delta]]
    key: str

    def serve(
        self, *faults: Mapping[str, object], says: ChatModel | None = None, law: str = "instant"
    ) -> ChatServer:
        """A server whose model says `TEXT`, or what *says* does."""
        scripts = [FaultScript.parse(fault) for fault in faults]
        return self.server(says or FixedModel(ChatReply(TEXT)), law_named(law), 1, scripts)

    async def ask(
        self, stage: Stage[Prompt, Delta], deltas: list[Delta], within_s: float | None = _WAIT_S
    ) -> None:
        """One request, for the next words of a call; *deltas* has what came, also if it fails."""
        deadline = None
        if within_s is not None:
            deadline = Mono(asyncio.get_running_loop().time() + within_s)
        context = Context(Where(CallId("conformance"), 0, 0, 0), DataClass.PROMPT, deadline)
        async with stage.open(HISTORY, context) as stream:
            async for delta in stream:
                deltas.append(delta)  # noqa: PERF401  # it is to have them when the next one fails


async def the_answer_is_whole(adapter: ChatAdapter) -> None:
    """Time after time, over one connection, with its usage at its end."""
    async with adapter.serve() as server:
        stage = adapter.stage(server.base_url)
        for _ in range(3):
            deltas: list[Delta] = []
            await adapter.ask(stage, deltas)
            _check(deltas)
        hold(len({it.peer_port for it in server.requests}) == 1, "each turn dials anew")


async def calls_of_tools_come_whole(adapter: ChatAdapter) -> None:
    """Behind words, several, each with its id, its name and the arguments as they were."""
    async with adapter.serve(says=FixedModel(ChatReply("One moment.", CALLS))) as server:
        deltas: list[Delta] = []
        await adapter.ask(adapter.stage(server.base_url), deltas)
    parts = [it for it in deltas if isinstance(it, ToolCallDelta)]
    for index, call in enumerate(CALLS):
        mine = [it for it in parts if it.index == index]
        told = [(it.id, it.name) for it in mine if it.id or it.name]
        hold(told == [(call.id, call.name)], f"call {index} is told as {told}")
        arguments = json.loads("".join(it.arguments for it in mine))
        hold(arguments == json.loads(call.arguments), f"call {index} has {arguments}")
    finish = deltas[-1]
    hold(isinstance(finish, Finish) and finish.reason == "tool_calls", f"it ends with {finish}")


async def each_fault_is_told_as_what_it_is(adapter: ChatAdapter) -> None:
    """With what was said before it, in time, and without the key in any word of it or any log."""
    with logged() as lines:
        for name, (script, expected) in CHAT_FAULTS.items():
            body = {"body": str(script["body"]).format(key=adapter.key)} if "body" in script else {}
            began = time.monotonic()
            async with adapter.serve({**script, **body}) as server:
                deltas: list[Delta] = []
                error = await _fails(adapter, adapter.stage(server.base_url), deltas)
            took = time.monotonic() - began
            hold(error.fault is expected, f"{name} is told as {error}")
            hold(bool(deltas) == ("after_tokens" in script), f"{name}: it said {deltas}")
            hold(took < _WAIT_S + 1.0, f"{name} took {took:.1f} s")
            told = str(error) + repr(error) + repr(error.__cause__) + repr(error.__context__)
            hold(adapter.key not in told, f"{name} shows the key")
            if expected in {Fault.SILENT, Fault.STALLED}:
                hold(error.deadline_s is not None, f"{name} does not say which deadline passed")
            if name == "status_429":
                hold(error.retry_after_s == 7, f"{name} does not say when to come back")
    hold(not any(adapter.key in line for line in lines), "the key is in the log")


async def an_empty_answer_is_a_fault(adapter: ChatAdapter) -> None:
    """The caller would hear nothing."""
    async with adapter.serve({"kind": "empty"}) as server:
        error = await _fails(adapter, adapter.stage(server.base_url), [])
    hold(error.fault is Fault.EMPTY, f"it is told as {error}")


async def a_filter_has_answered(adapter: ChatAdapter) -> None:
    """No other endpoint is asked to say what this one would not, with words before it or none."""
    for said in (0, 2):
        async with adapter.serve({"kind": "content_filter", "after_tokens": said}) as server:
            deltas: list[Delta] = []
            await adapter.ask(adapter.stage(server.base_url), deltas)
        finish = deltas[-1]
        filtered = isinstance(finish, Finish) and finish.reason == "content_filter"
        hold(filtered, f"it ends with {finish}")
        hold(len(deltas) == said + 1, f"it said {deltas}")


async def the_stage_recovers(adapter: ChatAdapter) -> None:
    """What broke one request does not touch the next."""
    for kind in ("cut", "malformed", "error_inside", "truncate"):
        async with adapter.serve({"kind": kind, "after_tokens": 2, "on_request": 1}) as server:
            stage = adapter.stage(server.base_url)
            await _fails(adapter, stage, [])
            deltas: list[Delta] = []
            await adapter.ask(stage, deltas)
            _check(deltas)


async def leaving_tells_the_provider(adapter: ChatAdapter) -> None:
    """In the middle of an answer, and before it; at once for the one who leaves."""
    for fault in ({"kind": "stall", "after_tokens": 2}, {"kind": "headers_only"}):
        async with adapter.serve(fault) as server:
            deltas: list[Delta] = []
            stage = adapter.stage(server.base_url)
            task = asyncio.ensure_future(adapter.ask(stage, deltas, None))
            await _until(lambda s=server: bool(s.requests))  # type: ignore[misc]  # bound now
            if "after_tokens" in fault:
                await _until(lambda d=deltas: len(d) >= 2)  # type: ignore[misc]  # bound now
            left = time.monotonic()
            task.cancel()
            await asyncio.wait({task})
            hold(time.monotonic() - left < 0.1, "leaving took its time")
            await _until(lambda s=server: s.requests[-1].ended != "")  # type: ignore[misc]  # bound now
            ended = server.requests[-1].ended
            hold(ended.startswith("cancelled"), f"the provider went on: {ended}")


CHAT_SOCKET_LAWS: Sequence[Callable[[ChatAdapter], Awaitable[None]]] = (
    the_answer_is_whole,
    calls_of_tools_come_whole,
    each_fault_is_told_as_what_it_is,
    an_empty_answer_is_a_fault,
    a_filter_has_answered,
    the_stage_recovers,
    leaving_tells_the_provider,
)


def _check(deltas: Sequence[Delta]) -> None:
    text = "".join(it.text for it in deltas if isinstance(it, TextDelta))
    hold(text == TEXT, f"it said {text!r}")
    finish = deltas[-1]
    if not isinstance(finish, Finish) or finish.usage is None:
        raise Unlawful(f"it ends with {finish}, not with its usage")
    hold(finish.reason == "stop", f"it ends with {finish}")
    hold(finish.usage.completion_tokens > 1, f"it used {finish.usage}")


async def _fails(
    adapter: ChatAdapter, stage: Stage[Prompt, Delta], deltas: list[Delta]
) -> EndpointError:
    try:
        await adapter.ask(stage, deltas)
    except EndpointError as error:
        return error
    raise Unlawful(f"it should have failed, and said {deltas}")


async def _until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(LEFT_S):
        while True:
            if check():
                return
            await asyncio.sleep(0.002)
