"""A pooled connection that dies under the next request, and a prompt that a filter refuses."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from trials.openai_rig import collect, context, rig, text, trial
from trunkline.errors import EndpointError, Fault
from trunkline.types import Finish

CHUNK = {"choices": [{"index": 0, "delta": {"content": "Yes."}, "finish_reason": "stop"}]}
ANSWER = f"data: {json.dumps(CHUNK)}\n\ndata: [DONE]\n\n".encode()
Answers = Callable[[int, int], bytes | None]
"""(connection, request on it), both from 0 -> the bytes to answer with; None: close at once."""


def ok(body: bytes = ANSWER) -> bytes:
    """A whole response that keeps its connection."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


@asynccontextmanager
async def serving(answers: Answers) -> AsyncIterator[tuple[str, list[int]]]:
    """A server that answers as told; its address, and the requests of each connection."""
    seen: list[int] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number = len(seen)
        seen.append(0)
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                size = next(h for h in head.lower().split(b"\r\n") if h.startswith(b"content-len"))
                await reader.readexactly(int(size.partition(b":")[2]))
                answer = answers(number, seen[number])
                seen[number] += 1
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass  # the client went away
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", seen


@pytest.mark.ci
@trial
async def test_a_stale_pooled_connection_costs_a_second_post_and_nothing_else() -> None:
    """The server closes it under the second request; the caller sees an answer."""
    async with (
        rig() as r,
        serving(lambda connection, at: None if (connection, at) == (0, 1) else ok()) as (url, seen),
    ):
        stage = r.stage(url)
        assert text(await collect(stage, context())) == "Yes."
        assert text(await collect(stage, context())) == "Yes."
    assert seen == [2, 1]


@pytest.mark.ci
@trial
async def test_a_fresh_connection_that_dies_is_a_cut_and_is_not_asked_again() -> None:
    """What is repeated after that belongs to the budget."""
    async with rig() as r, serving(lambda *_: None) as (url, seen):
        with pytest.raises(EndpointError) as caught:
            await collect(r.stage(url), context())
    assert caught.value.fault is Fault.CUT
    assert seen == [1]


@pytest.mark.ci
@trial
async def test_a_stale_connection_is_replaced_once() -> None:
    """A server that closes the fresh one too has failed."""
    async with (
        rig() as r,
        serving(lambda connection, at: ok() if (connection, at) == (0, 0) else None) as (url, seen),
    ):
        stage = r.stage(url)
        await collect(stage, context())
        with pytest.raises(EndpointError) as caught:
            await collect(stage, context())
    assert caught.value.fault is Fault.CUT
    assert seen == [2, 1]


@pytest.mark.ci
@trial
async def test_a_prompt_that_a_filter_refuses_by_status_is_answered() -> None:
    """No error reaches the attempts machine, so nobody else is asked."""
    body = b'{"error":{"code":"content_filter","message":"filtered","status":400}}'
    head = f"HTTP/1.1 400 Bad Request\r\nContent-Length: {len(body)}\r\n\r\n".encode()
    async with rig() as r, serving(lambda *_: head + body) as (url, _):
        assert await collect(r.stage(url), context()) == [Finish("content_filter")]
