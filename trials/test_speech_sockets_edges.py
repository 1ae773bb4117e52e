"""WebSockets at their edges: peers that freeze, redirect, fall silent, or talk to nobody."""

import asyncio
import base64
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from trials.speech_rig import (
    HEARD,
    KEY,
    Rig,
    audio,
    cartesia_server,
    collect,
    context,
    deepgram_server,
    elevenlabs_server,
    eventually,
    fault,
    phrases,
    rig,
    trial,
)
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.net.gate import Gate
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.simulated import SimStt
from trunkline.testing.speech_server import SpeechFault
from trunkline.types import AudioFrame, DataClass, Phrase, Transcript

ACCEPT = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"


@contextlib.asynccontextmanager
async def deaf() -> AsyncIterator[tuple[str, asyncio.Event]]:
    """A peer that opens the WebSocket and then reads nothing; its URL, and when it was dropped."""
    dropped = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        key = next(
            line.split(b": ")[1]
            for line in head.split(b"\r\n")
            if line.lower().startswith(b"sec-websocket-key")
        )
        accept = base64.b64encode(hashlib.sha1(key + ACCEPT, usedforsecurity=False).digest())
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept + b"\r\n\r\n"
        )
        writer.transport.pause_reading()  # type: ignore[attr-defined]  # a socket's transport has it
        while not writer.transport.is_closing():
            with contextlib.suppress(OSError):
                writer.write(b"\x8a\x00")  # a pong that nobody asked for: it tells a reset
            await asyncio.sleep(0.05)
        dropped.set()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, limit=1 << 16)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/v1", dropped


async def flood() -> AsyncIterator[AudioFrame]:
    while True:
        async for frame in audio(60):
            yield frame


@trial
async def test_leaving_a_frozen_peer() -> None:
    """With its buffers full it can take no goodbye: it is left at once, and dropped soon."""
    async with rig() as r, deaf() as (url, dropped):
        stage = r.ears(url)
        began = time.monotonic()
        with pytest.raises(EndpointError) as caught:
            await collect(stage, flood(), context(3.0))
        assert caught.value.fault is Fault.SILENT
        assert time.monotonic() - began < 3.3, "leaving waits for nobody"
        await asyncio.wait_for(dropped.wait(), 2)


@trial
async def test_a_redirected_handshake_is_refused() -> None:
    """The gate did not admit the bytes, nor the key, to where it points."""
    async with rig() as r, deepgram_server() as there:

        async def answer(request: web.Request) -> web.Response:
            raise web.HTTPTemporaryRedirect(f"{there.base_url}/listen?{request.query_string}")

        app = web.Application()
        app.router.add_get("/v1/listen", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            with pytest.raises(EndpointError) as caught:
                await collect(r.ears(url), audio(), context())
        finally:
            await runner.cleanup()
        assert caught.value.fault is Fault.REFUSED
        assert not there.connections


@trial
async def test_a_server_that_speaks_http_alone() -> None:
    """A page instead of a WebSocket is no protocol of a recogniser."""
    async with rig() as r:

        async def answer(_: web.Request) -> web.Response:
            return web.Response(text="Log in", content_type="text/html")

        app = web.Application()
        app.router.add_get("/{path:.*}", answer)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
            with pytest.raises(EndpointError, match="Log in") as caught:
                await collect(r.ears(url), audio(), context())
        finally:
            await runner.cleanup()
        assert caught.value.fault is Fault.MALFORMED


class Restless(Deepgram):
    """Deepgram's codec, for a server with little patience."""

    keepalive = (Deepgram.keepalive[0], 0.2)


def restless(r: Rig, base_url: str) -> WebSocketStage[AudioFrame, Transcript]:
    stage = r.ears(base_url)
    gate = Gate(r.decisions.append)
    codec = Restless(stage.endpoint, {})
    it = WebSocketStage(
        stage.endpoint, codec, base_url=base_url, key=KEY, session=r.session, gate=gate
    )
    r.stages.append(it)
    return it


async def halting(pause_s: float) -> AsyncIterator[AudioFrame]:
    """Half a second, a pause in which no audio comes at all, and the rest."""
    number = 0
    async for frame in audio(1.0):
        if number == 25:
            await asyncio.sleep(pause_s)
        number += 1
        yield frame


@trial
async def test_a_pause_of_the_source_is_kept_alive() -> None:
    """The server would hang up after half a second; it is told in time that we are there."""
    async with rig() as r, DeepgramServer(SimStt("e", [HEARD] * 2), quiet_s=0.5) as s:
        heard = await collect(restless(r, s.base_url), halting(1.2), context())
        assert heard[-1] == Transcript(HEARD.final, final=True)
        said = list(s.connections[0].said)
        assert 3 <= said.count('{"type":"KeepAlive"}') <= 6
        assert said.index('{"type":"KeepAlive"}') == 25
        with pytest.raises(EndpointError, match="NET-0001") as caught:
            await collect(r.ears(s.base_url), halting(1.2), context())
        assert caught.value.fault is Fault.UNAVAILABLE


@trial
async def test_a_reader_who_stops_stops_the_phrases() -> None:
    """Nobody listens on: two phrases are under way, the others stay where they are."""
    given = 0

    async def lines() -> AsyncIterator[Phrase]:
        nonlocal given
        for number in range(1_000):
            given += 1
            yield Phrase(number, "And on and on it goes.")

    async with rig() as r, elevenlabs_server() as s:
        asked = context(None, DataClass.SPEECH_TEXT)
        async with r.voice(s.base_url).open(lines(), asked) as speech:
            await anext(speech)
            await asyncio.sleep(0.5)
            assert given == 2
            assert len(s.requests) == 2


@trial
async def test_a_voice_that_is_interrupted_again_and_again() -> None:
    """Contexts do not pile up: each interruption gives its connection up, the next one works."""
    async with rig() as r, elevenlabs_server(pace=20.0) as s:
        stage = r.voice(s.base_url)
        for _ in range(12):
            async with stage.open(
                phrases("This will be cut off.", "And this."), context(None, DataClass.SPEECH_TEXT)
            ) as speech:
                await anext(speech)
        spoken = await collect(stage, phrases("Hello."), context(None, DataClass.SPEECH_TEXT))
        assert spoken[-1].last
        await eventually(lambda: all(it.ended for it in s.connections[:-1]))
        assert all(it.close_code == 1000 for it in s.connections[:-1])


@trial
async def test_a_voice_that_can_be_cancelled_keeps_its_connection() -> None:
    """A provider that acknowledges the end of a context serves the next reply on the same line."""
    asked = context(None, DataClass.SPEECH_TEXT)
    async with rig() as r, cartesia_server(pace=20.0) as s:
        stage = r.other_voice(s.base_url)
        for _ in range(12):
            async with stage.open(phrases("This will be cut off.", "And this."), asked) as speech:
                await anext(speech)
            await asyncio.sleep(0.05)
        spoken = await collect(stage, phrases("Hello."), asked)
        assert [it.phrase for it in spoken if it.last] == [0]
        assert len(s.connections) == 1
        assert [it.ended.partition(" ")[0] for it in s.requests[:-1]] == ["cancelled"] * 24


@trial
async def test_many_at_once() -> None:
    """A hundred utterances at a time: no limit but the machine's."""
    async with rig() as r, deepgram_server(hears=[HEARD] * 100) as s:
        stage = r.ears(s.base_url, connect_s=5.0)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(collect(stage, audio(), context())) for _ in range(100)]
        assert all(task.result()[-1].text == HEARD.final for task in tasks)


@trial
async def test_egress_refused() -> None:
    """A prompt may not go to a zone that takes audio: no connection is made."""
    async with rig() as r, deepgram_server() as s:
        with pytest.raises(EgressRefused):
            await collect(r.ears(s.base_url), audio(), context(None, DataClass.PROMPT))
        assert not s.connections


@trial
async def test_a_stage_that_is_closed_leaves_no_connection() -> None:
    """Warm connections end with their stage."""
    async with rig() as r, elevenlabs_server(fault(kind="refuse", on_request=9)) as s:
        stage = r.voice(s.base_url)
        await collect(stage, phrases("Hello."), context(None, DataClass.SPEECH_TEXT))
        assert not s.connections[0].ended
        await stage.close()
        await eventually(lambda: s.connections[0].ended)


@pytest.mark.ci
@trial
async def test_a_server_tells_of_its_fault() -> None:
    """Once, when it takes effect, and where in the answer."""
    for told, message in (
        ({"kind": "cut", "after_tokens": 2}, 2),
        ({"kind": "status"}, 0),
        ({"kind": "refuse", "on_request": 1}, 0),
    ):
        server, struck = deepgram_server(fault(**told)), list[SpeechFault]()
        server.on_fault = struck.append
        async with rig() as r, server as s:
            with pytest.raises(EndpointError):
                await collect(r.ears(s.base_url), audio(), context())
        assert [(it.kind, it.request, it.message) for it in struck] == [(told["kind"], 1, message)]
