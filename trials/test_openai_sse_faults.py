"""Every way in which a language model's server fails, as the HTTP client tells it to routing."""

import asyncio
import json
import os
import signal
import socket
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from trials.openai_rig import (
    ANSWER,
    KEY,
    Said,
    collect,
    context,
    eventually,
    fault,
    listen,
    rig,
    server,
    text,
    trial,
)
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import DataClass

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
    "error_inside": ({"kind": "error_inside", "after_tokens": 5}, Fault.UNAVAILABLE),
    "empty": ({"kind": "empty"}, Fault.EMPTY),
}


async def suffer(name: str, within_s: float, connect_s: float) -> tuple[EndpointError, float]:
    """Ask once under fault *name* and check what is told; the error and the seconds it took."""
    script, expected = FAULTS[name]
    said = Said()
    async with rig() as r, server(fault(**script)) as s:
        began = time.monotonic()
        with pytest.raises(EndpointError) as caught:
            await listen(r.stage(s.base_url, connect_s), context(within_s), said)
        took = time.monotonic() - began
    error = caught.value
    assert error.fault is expected, error
    assert KEY not in str(error) + repr(error) + repr(error.__context__)
    if name != "drip":
        assert len(said.deltas) == script.get("after_tokens", 0)
    if name == "status_429":
        assert error.retry_after_s == 7
    if name == "status_401":
        assert "[key]" in error.detail
    return error, took


@pytest.mark.parametrize("name", FAULTS)
def test_fault(name: str) -> None:
    """Each scripted fault is the Fault that routing expects, with what was said before it."""
    error, took = asyncio.run(suffer(name, 0.4, 0.5))
    if error.fault in {Fault.SILENT, Fault.STALLED}:
        assert error.deadline_s == pytest.approx(0.4, abs=0.05)
        assert 0.35 < took < 0.6
    else:
        assert took < 0.35


@pytest.mark.ci
@pytest.mark.parametrize("name", ["status_429", "hang", "stall", "cut", "malformed"])
def test_fault_on_a_busy_machine(name: str) -> None:
    """One fault of each nature is told as what it is, with seconds to spare."""
    asyncio.run(suffer(name, 2.0, 2.0))


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
