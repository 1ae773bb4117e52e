"""The HTTP client against the local OpenAI-compatible server, over real sockets.

What goes wrong is in `test_openai_sse_faults`, who leaves early in `test_openai_sse_leaving`.
"""

import asyncio
import json
import socket
import time
from contextlib import nullcontext

import pytest

from trials.openai_rig import (
    ANSWER,
    PROMPT,
    collect,
    context,
    eventually,
    fault,
    rig,
    server,
    text,
    trial,
)
from trunkline.errors import EndpointError, Fault
from trunkline.net.http import SseStage
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import FixedModel
from trunkline.types import Delta, Finish, Message, Prompt, ToolCall, ToolCallDelta


@trial
async def test_healthy_answer() -> None:
    """The text arrives exactly, with its usage, and the gate noted where it went."""
    async with rig() as r, server(law="self_hosted_8b") as s:
        deltas = await collect(r.stage(s.base_url), context())
    finish = deltas[-1]
    assert text(deltas) == ANSWER
    assert isinstance(finish, Finish)
    assert finish.reason == "stop"
    assert finish.usage is not None
    assert finish.usage.completion_tokens == len(deltas) - 1
    assert [(d.destination, d.allowed) for d in r.decisions] == [(f"127.0.0.1:{s.port}", True)]


@trial
async def test_tool_call() -> None:
    """A tool call arrives in several pieces that join to what the model wrote."""
    arguments = '{"day": "Thursday", "time": "14:30"}'
    model = FixedModel(ChatReply("", (ToolCall("call_1", "book", arguments),)))
    async with rig() as r, server(model=model) as s:
        deltas = await collect(r.stage(s.base_url), context())
    calls = [delta for delta in deltas if isinstance(delta, ToolCallDelta)]
    assert (calls[0].id, calls[0].name) == ("call_1", "book")
    assert len(calls) > 3
    assert "".join(call.arguments for call in calls) == arguments
    assert isinstance(deltas[-1], Finish)
    assert deltas[-1].reason == "tool_calls"


@trial
async def test_continuation() -> None:
    """A half-spoken answer is continued, not repeated."""
    prompt = Prompt(
        (Message("user", "When?"), Message("assistant", "Of course. We are open ")),
        continue_final=True,
    )
    async with rig() as r, server() as s:
        deltas = await collect(r.stage(s.base_url), context(), prompt)
        assert s.requests[0].continue_final
    assert "Of course. We are open" + text(deltas) == ANSWER


@trial
async def test_connection_reuse() -> None:
    """Turn after turn on one connection, also if the caller stops reading at `Finish`."""
    async with rig() as r, server() as s:
        stage = r.stage(s.base_url)
        for turn in range(20):
            async with stage.open(PROMPT, context()) as deltas:
                async for delta in deltas:
                    if turn % 2 and isinstance(delta, Finish):
                        break
        assert len({record.peer_port for record in s.requests}) == 1


@trial
async def test_more_than_a_hundred_streams() -> None:
    """The client has no limit of 100: the 150th caller does not wait for the first."""
    async with rig() as r, server(fault(kind="headers_only")) as s:
        async with asyncio.TaskGroup() as group:
            stage = r.stage(s.base_url, connect_s=5)
            tasks = [group.create_task(_silent(stage)) for _ in range(150)]
            await eventually(lambda: len(s.requests) == 150, 2.5)
            assert not any(task.done() for task in tasks), "all 150 were open at once"
        assert all(task.result() is Fault.SILENT for task in tasks)


async def _silent(stage: SseStage[Prompt, Delta]) -> Fault:
    try:
        await collect(stage, context(3))
    except EndpointError as error:
        return error.fault
    raise AssertionError("a server that only sends headers answered")


@trial
async def test_nodelay() -> None:
    """TCP_NODELAY is set on our side of the connection."""
    ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with (
        rig() as r,
        server(fault(kind="headers_only")) as s,
        r.session.post(f"{s.base_url}/chat/completions", json=ask) as response,
    ):
        assert response.connection is not None
        assert response.connection.transport is not None
        sock = response.connection.transport.get_extra_info("socket")
        assert sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1


@trial
async def test_same_seed_same_timing_with_and_without_a_fault() -> None:
    """Request 2 takes the same time whether or not request 1 suffered a fault."""
    took = []
    for faults in ([], [fault(kind="cut", after_tokens=3, on_request=1)]):
        async with rig() as r, server(*faults, law="self_hosted_8b") as s:
            stage = r.stage(s.base_url)
            with nullcontext() if not faults else pytest.raises(EndpointError):
                await collect(stage, context())
            began = time.monotonic()
            await collect(stage, context())
            took.append(time.monotonic() - began)
    assert took[0] == pytest.approx(took[1], abs=0.05)


@trial
async def test_control_and_plain_answers() -> None:
    """The control endpoint sets and clears faults; requests without `stream` get one body."""
    async with rig() as r, server() as s:
        root = s.base_url.removesuffix("/v1")
        ask = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
        async with r.session.post(f"{root}/_control/fault", json={"kind": "stahl"}) as response:
            assert response.status == 400
            assert "stall" in (await response.json())["error"]["message"]
        bodies = []
        for script, status in (({"kind": "status", "status": 503}, 503), (None, 200)):
            async with r.session.post(
                f"{root}/_control/fault", data=json.dumps(script)
            ) as response:
                assert response.status == 200
            async with r.session.post(f"{s.base_url}/chat/completions", json=ask) as response:
                assert response.status == status
                bodies.append(await response.json())
        assert bodies[-1]["choices"][0]["message"]["content"] == ANSWER
        async with r.session.get(f"{root}/_control/requests") as response:
            told = (await response.json())["requests"]
        assert [record["ended"] for record in told] == ["status at token 0", "finished"]
        async with r.session.get(f"{root}/health") as response:
            assert response.status == 200
