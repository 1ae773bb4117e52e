"""The HTTP client against the local OpenAI-compatible server, over real sockets.

Measured here and printed: how soon a server notices that its client left, and how soon a stage
lets go of a peer that says nothing.
"""

import asyncio
import json
import os
import signal
import socket
import statistics
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web

from trunkline.contracts import Context
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.testing.chat import FixedModel, opening_hours
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer, RequestRecord
from trunkline.types import (
    CallId,
    DataClass,
    Delta,
    Endpoint,
    Finish,
    Message,
    Mono,
    Prompt,
    StageName,
    TextDelta,
    ToolCall,
    ToolCallDelta,
    Where,
    Zone,
)

KEY = "sk-very-secret-1234567890"
ANSWER = opening_hours().answer.text
PROMPT = Prompt((Message("user", "When are you open?"),))
ZONE = Zone(
    "here",
    "self_hosted",
    "local",
    "eu",
    "us",
    "none",
    baa=True,
    dpa=True,
    accepts=frozenset({DataClass.PROMPT}),
)
ENDPOINT = Endpoint("local", StageName("llm"), "openai", "m", ZONE, "local", "prefix")


def context(within_s: float | None = None, data_class: DataClass = DataClass.PROMPT) -> Context:
    deadline = None
    if within_s is not None:
        deadline = Mono(asyncio.get_running_loop().time() + within_s)
    return Context(Where(CallId("call-1"), 1, 1, 1), data_class, deadline)


@dataclass
class Rig:
    """A client, and what its gate decided."""

    session: aiohttp.ClientSession
    decisions: list[EgressDecision] = field(default_factory=list)

    def stage(self, base_url: str, connect_s: float = 0.5) -> SseStage[Prompt, Delta]:
        gate = Gate(self.decisions.append)
        return SseStage(
            ENDPOINT,
            OpenAIChat(ENDPOINT),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=gate,
            connect_s=connect_s,
        )


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    async with client_session() as session:
        yield Rig(session)


def server(
    *faults: FaultScript, law: str = "instant", model: FixedModel | None = None
) -> OpenAIServer:
    return OpenAIServer(model or opening_hours(), law_named(law), 1, faults)


def fault(**script: object) -> FaultScript:
    return FaultScript.parse(script)


async def collect(
    stage: SseStage[Prompt, Delta], ctx: Context, prompt: Prompt = PROMPT
) -> list[Delta]:
    async with stage.open(prompt, ctx) as deltas:
        return [delta async for delta in deltas]


@dataclass
class Said:
    """What came before a fault, and when the last of it came."""

    deltas: list[Delta] = field(default_factory=list)
    last: float = 0.0


async def listen(stage: SseStage[Prompt, Delta], ctx: Context, said: Said) -> None:
    async with stage.open(PROMPT, ctx) as deltas:
        async for delta in deltas:
            said.deltas.append(delta)
            said.last = time.monotonic()


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def trial(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run in real time, bounded."""

    def run() -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def eventually(check: Callable[[], bool], within_s: float = 1.0) -> float:
    """Wait until *check* holds; the seconds it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        await asyncio.sleep(0.001)
    return time.monotonic() - began


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


FAULTS: dict[str, tuple[dict[str, object], Fault]] = {
    "status_429": ({"kind": "status", "status": 429, "retry_after_s": 7}, Fault.THROTTLED),
    "status_500": ({"kind": "status"}, Fault.UNAVAILABLE),
    "status_401": ({"kind": "status", "status": 401, "body": f"bad key {KEY}"}, Fault.REFUSED),
    "hang": ({"kind": "hang"}, Fault.SILENT),
    "headers_only": ({"kind": "headers_only"}, Fault.SILENT),
    "keepalives": ({"kind": "keepalives", "gap_s": 0.02}, Fault.SILENT),
    "stall": ({"kind": "stall", "after_tokens": 5}, Fault.STALLED),
    "drip": ({"kind": "drip", "after_tokens": 5, "gap_s": 0.2}, Fault.STALLED),
    "cut": ({"kind": "cut", "after_tokens": 5}, Fault.CUT),
    "cut_first": ({"kind": "cut"}, Fault.CUT),
    "truncate": ({"kind": "truncate", "after_tokens": 5}, Fault.CUT),
    "malformed": ({"kind": "malformed", "after_tokens": 5}, Fault.MALFORMED),
    "empty": ({"kind": "empty"}, Fault.EMPTY),
}


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str) -> None:
    """Each scripted fault is the Fault that routing expects, with what was said before it."""
    script, expected = FAULTS[name]

    async def main() -> None:
        said = Said()
        async with rig() as r, server(fault(**script)) as s:
            began = time.monotonic()
            with pytest.raises(EndpointError) as caught:
                await listen(r.stage(s.base_url), context(0.4), said)
            took = time.monotonic() - began
        error = caught.value
        assert error.fault is expected, error
        assert KEY not in str(error) + repr(error) + repr(error.__context__)
        if expected in {Fault.SILENT, Fault.STALLED}:
            assert error.deadline_s == pytest.approx(0.4, abs=0.05)
            assert 0.35 < took < 0.6
        else:
            assert took < 0.35
        if name != "drip":
            assert len(said.deltas) == script.get("after_tokens", 0)
        if name == "status_429":
            assert error.retry_after_s == 7
        if name == "status_401":
            assert "[key]" in error.detail

    asyncio.run(main())


@trial
async def test_refused() -> None:
    """A closed listener is UNREACHABLE until it is back, also for a client that was connected."""
    async with rig() as r, server(fault(kind="refuse", on_request=2, hold_s=0.3)) as s:
        stage = r.stage(s.base_url)
        assert text(await collect(stage, context())) == ANSWER
        with pytest.raises(EndpointError) as caught:
            await collect(stage, context())
        assert caught.value.fault is Fault.UNREACHABLE
        await asyncio.sleep(0.4)
        assert text(await collect(stage, context())) == ANSWER


@trial
async def test_connect_deadline() -> None:
    """A host that drops SYNs is UNREACHABLE after the connect deadline, not after a minute."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen(0)
        port = deaf.getsockname()[1]
        fillers = []
        for _ in range(4):  # a full backlog drops SYNs
            filler = socket.socket()
            filler.setblocking(False)
            filler.connect_ex(("127.0.0.1", port))
            fillers.append(filler)
        await asyncio.sleep(0.05)
        async with rig() as r:
            began = time.monotonic()
            with pytest.raises(EndpointError) as caught:
                await collect(r.stage(f"http://127.0.0.1:{port}/v1", connect_s=0.2), context())
        for filler in fillers:
            filler.close()
    assert caught.value.fault is Fault.UNREACHABLE
    assert caught.value.deadline_s == 0.2
    assert time.monotonic() - began < 0.4


@trial
async def test_unknown_host() -> None:
    """A name that does not resolve is UNREACHABLE."""
    async with rig() as r:
        with pytest.raises(EndpointError) as caught:
            await collect(r.stage("http://nowhere.invalid/v1", connect_s=2), context())
    assert caught.value.fault is Fault.UNREACHABLE


@trial
async def test_tls_failure() -> None:
    """TLS against a server that speaks none is UNREACHABLE."""
    async with rig() as r, server() as s:
        with pytest.raises(EndpointError) as caught:
            await collect(r.stage(f"https://127.0.0.1:{s.port}/v1"), context())
    assert caught.value.fault is Fault.UNREACHABLE


@trial
async def test_egress_refused() -> None:
    """Audio may not go to a zone that takes prompts only: no connection is made."""
    async with rig() as r, server() as s:
        with pytest.raises(EgressRefused):
            await collect(r.stage(s.base_url), context(data_class=DataClass.AUDIO))
        assert not s.requests
    assert [decision.allowed for decision in r.decisions] == [False]


@asynccontextmanager
async def answering(response: Callable[[], web.Response]) -> AsyncIterator[str]:
    """A server that answers every request with *response*; its base URL."""

    async def answer(_: web.Request) -> web.Response:
        return response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
    finally:
        await runner.cleanup()


@trial
async def test_redirect() -> None:
    """A redirect is not followed: the gate did not admit the bytes to where it points."""
    async with rig() as r, server() as s:
        there = {"Location": f"{s.base_url}/chat/completions"}
        async with answering(lambda: web.Response(status=307, headers=there)) as url:
            with pytest.raises(EndpointError) as caught:
                await collect(r.stage(url), context())
        assert caught.value.fault is Fault.REFUSED
        assert not s.requests


@trial
async def test_a_page_instead_of_a_stream() -> None:
    """A proxy's login page with status 200 is MALFORMED, and the error says what came."""
    page = web.Response
    async with (
        rig() as r,
        answering(lambda: page(text="Log in", content_type="text/html")) as url,
    ):
        with pytest.raises(EndpointError, match="text/html") as caught:
            await collect(r.stage(url), context())
    assert caught.value.fault is Fault.MALFORMED


@trial
async def test_an_event_without_end() -> None:
    """A peer that never ends its event is MALFORMED at the bound."""
    flood = b"data: " + b"x" * (2 << 20)
    async with (
        rig() as r,
        answering(lambda: web.Response(body=flood, content_type="text/event-stream")) as url,
    ):
        with pytest.raises(EndpointError) as caught:
            await collect(r.stage(url), context())
    assert caught.value.fault is Fault.MALFORMED


async def _leave(how: str, r: Rig, s: OpenAIServer) -> tuple[float, RequestRecord]:
    """Leave an answer at its fifth token, by `break` or by cancellation: when, and the record."""
    turn, left = len(s.requests) + 1, 0.0

    async def hear() -> None:
        nonlocal left
        async with r.stage(s.base_url).open(PROMPT, context()) as deltas:
            said = 0
            async for _ in deltas:
                said += 1
                if said == 5 and how == "break":
                    left = time.monotonic()
                    break

    task = asyncio.ensure_future(hear())
    if how == "cancel":
        await eventually(lambda: len(s.requests) == turn and s.requests[-1].tokens >= 5, 3)
        left = time.monotonic()
        task.cancel()
    await asyncio.wait({task}, timeout=3)
    assert task.done()
    assert time.monotonic() - left < 0.05, "leaving hung"
    assert len(s.requests) == turn
    await eventually(lambda: s.requests[-1].ended != "")
    return left, s.requests[-1]


@pytest.mark.parametrize("how", ["break", "cancel"])
def test_server_notices_that_the_client_left(how: str) -> None:
    """Within 100 ms, whether the caller broke off or was cancelled."""

    async def main() -> list[float]:
        noticed = []
        async with rig() as r, server(law="self_hosted_8b") as s:
            for _ in range(20):
                left, record = await _leave(how, r, s)
                assert record.ended == f"cancelled at token {record.tokens}"
                assert 5 <= record.tokens < 30
                noticed.append(record.ended_mono - left)
        return noticed

    noticed = asyncio.run(main())
    middle, worst = statistics.median(noticed) * 1e3, max(noticed) * 1e3
    print(f"noticed after {how}: median {middle:.2f} ms, max {worst:.2f} ms")
    assert min(noticed) > 0
    assert worst < 100


@pytest.mark.parametrize("kind", ["hang", "headers_only"])
def test_cancel_before_the_first_token(kind: str) -> None:
    """Cancelling an attempt at a silent provider returns at once and tells the provider."""

    async def main() -> None:
        async with rig() as r, server(fault(kind=kind)) as s:
            task = asyncio.ensure_future(collect(r.stage(s.base_url), context()))
            await eventually(lambda: bool(s.requests))
            await asyncio.sleep(0.05)
            task.cancel()
            left = time.monotonic()
            await asyncio.wait({task}, timeout=1)
            assert task.cancelled()
            assert time.monotonic() - left < 0.05
            await eventually(lambda: s.requests[0].ended == "cancelled at token 0", 0.1)

    asyncio.run(main())


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


async def _child(*arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "trunkline.testing.openai_server",
        "--model",
        "trunkline.testing.chat:opening_hours",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )


async def _line(child: asyncio.subprocess.Process, what: str) -> dict[str, float]:
    assert child.stdout is not None
    told: dict[str, dict[str, float]] = json.loads(await child.stdout.readline())
    return told[what]


@trial
async def test_freeze() -> None:
    """A frozen process says when it froze, is a stall to its client, and goes on after SIGCONT."""
    script = '{"kind": "freeze", "after_tokens": 9}'
    child = await _child("--law", "self_hosted_8b", "--seed", "1", "--fault", script)
    try:
        ready = await _line(child, "ready")
        said = Said()
        async with rig() as r:
            with pytest.raises(EndpointError) as caught:
                await listen(r.stage(f"http://127.0.0.1:{ready['port']}/v1"), context(0.8), said)
        struck = await _line(child, "fault")
        assert caught.value.fault is Fault.STALLED
        assert len(said.deltas) == struck["token"] == 9
        assert abs(struck["mono"] - said.last) < 0.05
        os.kill(child.pid, signal.SIGCONT)
        assert child.stdin is not None
        child.stdin.close()
        assert await asyncio.wait_for(child.wait(), 3) == 0, "a closed stdin ends it"
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()


@trial
async def test_a_frozen_server_does_not_outlive_its_parent() -> None:
    """The kernel ends it with its parent, though it is stopped and can end nothing itself."""
    code = (
        "import subprocess, sys, time\n"
        "c = subprocess.Popen([sys.executable, '-m', 'trunkline.testing.openai_server', '--model',"
        " 'trunkline.testing.chat:opening_hours'], stdin=subprocess.PIPE, stdout=subprocess.PIPE)\n"
        "c.stdout.readline()\n"
        "print(c.pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    parent = await asyncio.create_subprocess_exec(
        sys.executable, "-c", code, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    os.kill(pid, signal.SIGSTOP)
    parent.kill()
    await parent.wait()
    await eventually(lambda: _gone(pid), 3)


def _gone(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True
