"""Both ends of the Twilio line over real sockets, in real time."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import numpy as np
import pytest
import yarl
from aiohttp import web
from numpy.typing import NDArray
from twilio.request_validator import (  # type: ignore[import-untyped]  # ships no types
    RequestValidator,
)

from trunkline.contracts import Carrier, MarkPlayed, Media, Stopped
from trunkline.errors import CarrierLost
from trunkline.media.g711 import mulaw_encode
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.script import AfterAgent, BargeIn, CallScript, HangUp, Speak, Step, Wait
from trunkline.telephony.server import TelephonyConfig, TelephonyServer
from trunkline.telephony.twiml import Stream, parse_twiml

AUTH = "a made-up auth token"
OnCall = Callable[[Carrier], Awaitable[None]]


def tone(seconds: float, hertz: float = 440.0) -> bytes:
    """A sine in mu-law."""
    n = np.arange(round(8_000 * seconds))
    return mulaw_encode((8_000 * np.sin(2 * np.pi * hertz * n / 8_000)).astype(np.int16))


def loud(side: NDArray[np.int16]) -> NDArray[np.bool_]:
    """Which 20 ms frames of one side of a tape are audible."""
    frames = side[: len(side) // 160 * 160].reshape(-1, 160).astype(float)
    return np.asarray(np.sqrt((frames**2).mean(axis=1)) > 1_000)


@asynccontextmanager
async def serving(on_call: OnCall, **settings: object) -> AsyncIterator[TelephonyServer]:
    """A server on a free port."""
    server = TelephonyServer(TelephonyConfig(port=0, **settings), on_call)  # type: ignore[arg-type]  # a trial's settings
    await server.start()
    try:
        yield server
    finally:
        await server.close()


def webhook(server: TelephonyServer) -> str:
    return f"http://127.0.0.1:{server.port}/twilio/voice"


async def echo(carrier: Carrier) -> None:
    """Send the caller's audio back."""
    async for event in carrier.events():
        if isinstance(event, Media):
            carrier.play(event.mulaw)


# The pause: what is said while the stream is still being dialled reaches nobody.
ASK = CallScript((Step(Wait(0.3)), Step(Speak(tone(1.0)), label="tone"), Step(Wait(0.5))))


def report(name: str, late_s: NDArray[np.float64]) -> None:
    p50, p99, worst = np.percentile(late_s * 1_000, [50, 99, 100])
    print(
        f"{name}: {late_s.size} ticks, late p50 {p50:.2f} ms, p99 {p99:.2f} ms, max {worst:.2f} ms"
    )


def test_an_echo_agent_is_heard_as_loud_as_the_caller() -> None:
    """A signed call through the webhook: what is said comes back whole, at once and on time."""

    async def main() -> CallResult:
        async with serving(echo, auth_token=AUTH) as server:
            return await place_call(webhook(server), ASK, auth_token=AUTH)

    result = asyncio.run(main())
    report("one call", result.late_s)
    caller, agent = loud(result.tape[:, 0]), loud(result.tape[:, 1])
    assert result.ended == "hang_up"
    assert caller.sum() == agent.sum() == 50
    behind = int(agent.argmax() - caller.argmax())
    print(f"echo: {behind * 20} ms behind the caller")
    assert 1 <= behind <= 5
    shift = behind * 160
    assert np.array_equal(result.tape[shift:, 1], result.tape[:-shift, 0])
    assert np.percentile(result.late_s, 99) < 0.020


def test_marks_come_back_in_order_when_their_audio_has_been_played() -> None:
    """Ten marks behind 100 ms each come back 100 ms apart, on the tape and at the agent."""
    at: list[tuple[str, float]] = []

    async def agent(carrier: Carrier) -> None:
        begun = asyncio.get_running_loop().time()
        for number in range(10):
            carrier.play(tone(0.1))
            carrier.mark(f"mark {number}")
        async for event in carrier.events():
            if isinstance(event, MarkPlayed):
                at.append((event.name, asyncio.get_running_loop().time() - begun))
                if len(at) == 10:
                    await carrier.hangup("all said")

    async def main() -> CallResult:
        async with serving(agent) as server:
            script = CallScript((Step(Wait(10.0)),))
            return await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", script)

    result = asyncio.run(main())
    assert result.ended == "agent_closed"
    assert [name for name, _ in at] == [f"mark {n}" for n in range(10)]
    gaps = np.diff(result.times("mark"))
    assert gaps == pytest.approx([0.1] * 9)
    errors = [abs(seen - 0.1 * (n + 1)) for n, (_, seen) in enumerate(at)]
    print(f"marks: at most {max(errors) * 1_000:.1f} ms from their due time at the agent")
    assert max(errors) < 0.060


def test_clear_silences_the_tape_within_one_frame() -> None:
    """Ten seconds are queued and cleared after one: the tape is silent, the mark comes back."""
    cleared: list[float] = []
    names: list[str] = []

    async def agent(carrier: Carrier) -> None:
        loop = asyncio.get_running_loop()
        carrier.play(tone(10.0))
        carrier.mark("never reached")
        heard = 0
        async for event in carrier.events():
            heard += isinstance(event, Media)
            if heard == 50 and not cleared:
                cleared.append(loop.time())
                carrier.clear()
            if isinstance(event, MarkPlayed):
                names.append(event.name)

    async def main() -> CallResult:
        async with serving(agent) as server:
            script = CallScript((Step(Wait(2.0)),))
            return await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", script)

    result = asyncio.run(main())
    last = int(np.flatnonzero(loud(result.tape[:, 1]))[-1])
    asked = cleared[0] - result.mono0
    print(f"clear: asked for at {asked:.3f} s, last sound ended at {(last + 1) * 0.02:.3f} s")
    assert (last + 1) * 0.02 - asked < 0.020 + 0.010  # the frame under way, and the way there
    assert result.times("mark", "never reached") == result.times("clear")
    assert names == ["never reached"]


def test_twenty_calls_at_once_keep_their_pace() -> None:
    """Twenty echoed calls share one loop with their server, and none loses a frame."""

    async def main() -> list[CallResult]:
        async with serving(echo, auth_token=AUTH) as server, asyncio.TaskGroup() as group:
            calls = [
                group.create_task(place_call(webhook(server), ASK, auth_token=AUTH))
                for _ in range(20)
            ]
        return [call.result() for call in calls]

    results = asyncio.run(main())
    late = np.concatenate([result.late_s for result in results])
    report("twenty calls", late)
    assert [int(loud(result.tape[:, 1]).sum()) for result in results] == [50] * 20
    assert np.percentile(late, 99) < 0.040


def test_the_caller_barges_in_and_waits_for_answers() -> None:
    """A scripted caller interrupts a long greeting one second in, and answers the next line."""

    async def agent(carrier: Carrier) -> None:
        carrier.play(tone(5.0))
        speech = 0
        async for event in carrier.events():
            if isinstance(event, Media) and event.mulaw != b"\xff" * 160:
                speech += 1
                if speech == 5:
                    carrier.clear()
                if speech in (25, 50):
                    carrier.play(tone(0.6))

    async def main() -> CallResult:
        script = CallScript(
            (
                Step(Speak(tone(0.5)), BargeIn(1.0), "barge in"),
                Step(Speak(tone(0.5)), AfterAgent(0.5), "answer"),
                Step(HangUp(), AfterAgent(0.5)),
            )
        )
        async with serving(agent) as server:
            return await place_call(webhook(server), script)

    result = asyncio.run(main())
    onset = result.times("agent_on")[0]
    assert result.times("step_start", "barge in")[0] - onset == pytest.approx(1.0, abs=0.021)
    assert result.ended == "hang_up"
    assert result.times("step_start", "answer")[0] > result.times("step_end", "barge in")[0] + 1.0


@pytest.mark.parametrize("token", [None, "the wrong one"])
def test_a_wrong_signature_is_refused_before_anything_else(token: str | None) -> None:
    """Webhook and socket refuse who cannot sign, and a signed socket still needs a ticket."""

    async def main() -> None:
        async with serving(echo, auth_token=AUTH) as server:
            with pytest.raises(CarrierLost, match="HTTP 403"):
                await place_call(webhook(server), ASK, auth_token=token)
            stream = f"ws://127.0.0.1:{server.port}/twilio/media"
            with pytest.raises(CarrierLost, match="403"):
                await place_call(stream, ASK, auth_token=token)
            ticketless = await place_call(stream, ASK, auth_token=AUTH)
            assert ticketless.ended == "agent_closed"
            assert "1008" in ticketless.events[-2].detail

    asyncio.run(main())


START = {"streamSid": "MZ1", "callSid": "CA1"}


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (json.dumps({"event": "start", "streamSid": "MZ1", "start": START}), 1002),
        (json.dumps({"event": "mark", "mark": {"name": "x" * 40_000}}), 1009),
        ('{"event": "media", "media": {"payload": "not base64!"}}', 1002),
        ("{", 1002),
    ],
    ids=["second start", "oversized", "not base64", "not JSON"],
)
def test_a_broken_peer_is_disconnected_with_a_code(message: str, code: int) -> None:
    """After a proper start, one bad message ends the leg, and the agent is told why."""
    stopped: list[str] = []

    async def agent(carrier: Carrier) -> None:
        stopped.extend([e.reason async for e in carrier.events() if isinstance(e, Stopped)])

    async def main() -> int | None:
        async with serving(agent) as server, aiohttp.ClientSession() as session:
            url = f"ws://127.0.0.1:{server.port}/twilio/media"
            async with session.ws_connect(url) as ws:
                await ws.send_json({"event": "connected", "protocol": "Call", "version": "1.0.0"})
                await ws.send_json({"event": "start", "streamSid": "MZ1", "start": START})
                await ws.send_str(message)
                async with asyncio.timeout(3):
                    await ws.receive()
                return ws.close_code

    assert asyncio.run(main()) == code
    assert len(stopped) == 1
    assert stopped[0].startswith("the carrier broke the protocol")


def test_a_caller_who_vanishes_is_noticed() -> None:
    """A connection that is cut is noticed at once, one that falls silent after the idle limit."""
    stopped: list[tuple[str, float]] = []

    async def agent(carrier: Carrier) -> None:
        reasons = [e.reason async for e in carrier.events() if isinstance(e, Stopped)]
        stopped.append((reasons[0], asyncio.get_running_loop().time()))

    async def main() -> list[float]:
        loop = asyncio.get_running_loop()
        gone = []
        frame = base64.b64encode(b"\xff" * 160).decode()
        async with serving(agent, idle_s=1.0) as server:
            for silent in (False, True):
                async with aiohttp.ClientSession() as session:
                    ws = await session.ws_connect(f"ws://127.0.0.1:{server.port}/twilio/media")
                    await ws.send_json({"event": "connected"})
                    await ws.send_json({"event": "start", "streamSid": "MZ1", "start": START})
                    await ws.send_json({"event": "media", "media": {"payload": frame}})
                    await asyncio.sleep(0.1)
                    gone.append(loop.time())
                    if silent:
                        await asyncio.sleep(1.5)
                    else:
                        assert ws._conn is not None  # a cut cable sends no close frame
                        assert ws._conn.transport is not None
                        ws._conn.transport.abort()
                await asyncio.sleep(0.1)
        return gone

    gone = asyncio.run(main())
    after = [at - left for (_, at), left in zip(stopped, gone, strict=True)]
    print(f"noticed: cut after {after[0] * 1_000:.0f} ms, silence after {after[1]:.2f} s")
    assert after[0] < 0.1
    assert 0.8 < after[1] < 1.2
    assert [reason.split(" (")[0] for reason, _ in stopped] == [
        "the carrier closed the socket",
        "no audio came from the carrier for 1 s",
    ]


def test_a_peer_that_does_not_read_loses_the_leg() -> None:
    """Half a megabyte waits for a stuck peer, and no more: then `play` raises and the leg ends."""
    outcome: list[str] = []

    async def agent(carrier: Carrier) -> None:
        try:
            while True:
                carrier.play(tone(1.0))
                await asyncio.sleep(0.001)
        except CarrierLost as lost:
            outcome.append(str(lost))
        outcome.extend([e.reason async for e in carrier.events() if isinstance(e, Stopped)])

    async def main() -> None:
        async with serving(agent) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            key = base64.b64encode(b"0123456789abcdef").decode()
            writer.write(
                f"GET /twilio/media HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                f"Sec-WebSocket-Key: {key}\r\n\r\n".encode()
            )
            await reader.readuntil(b"\r\n\r\n")
            for text in (
                b'{"event":"connected"}',
                b'{"event":"start","start":{"streamSid":"MZ1","callSid":"CA1"}}',
            ):
                writer.write(bytes([0x81, 0x80 | len(text)]) + b"\0\0\0\0" + text)  # mask of zeros
            await writer.drain()
            async with asyncio.timeout(20):
                while len(outcome) < 2:  # noqa: ASYNC110  # a trial polls its outcome
                    await asyncio.sleep(0.05)
            writer.close()

    asyncio.run(main())
    assert "not reading" in outcome[0]
    assert outcome[1] == outcome[0]


def test_more_calls_than_allowed_hear_that_the_lines_are_busy() -> None:
    """The webhook answers the second call with a sentence, the socket with code 1013."""

    async def main() -> tuple[CallResult, CallResult, CallResult]:
        async with serving(echo, calls_max=1) as server, asyncio.TaskGroup() as group:
            first = group.create_task(place_call(webhook(server), ASK))
            await asyncio.sleep(0.5)
            second = await place_call(webhook(server), ASK)
            third = await place_call(f"ws://127.0.0.1:{server.port}/twilio/media", ASK)
            await first
        return first.result(), second, third

    first, second, third = asyncio.run(main())
    assert first.ended == "hang_up"
    assert second.ended == "no_stream"
    assert second.times("say", "All our lines are busy. Please call again in a few minutes.")
    assert any("1013" in event.detail for event in third.events)


def test_closing_the_server_drains_then_hangs_up() -> None:
    """A call that ends within the drain time ends by itself; a longer one is hung up."""

    async def main() -> list[str]:
        endings: list[str] = []
        for drain_s in (3.0, 0.2):
            server = TelephonyServer(TelephonyConfig(port=0), echo)
            await server.start()
            async with asyncio.TaskGroup() as group:
                call = group.create_task(place_call(webhook(server), ASK))
                await asyncio.sleep(0.5)
                await server.close(drain_s)
            endings.append(call.result().ended)
        return endings

    assert asyncio.run(main()) == ["hang_up", "agent_closed"]


def test_a_proxied_webhook_is_checked_against_its_public_url() -> None:
    """Signed as Twilio does it, for the address that Twilio knows; GET, POST and a huge form."""
    public, official = "https://phone.example.com/eu", RequestValidator(AUTH)
    form = {"CallSid": "CA1", "From": "sip:a&b@example.com"}

    async def main() -> tuple[bytes, bytes, int]:
        async with (
            serving(echo, auth_token=AUTH, public_url=public) as server,
            aiohttp.ClientSession() as session,
        ):
            signed = official.compute_signature(public + "/twilio/voice", form)
            headers = {"X-Twilio-Signature": signed}
            async with session.post(webhook(server), data=form, headers=headers) as response:
                posted = await response.read()
            query = "?CallSid=CA1&From=%2B12025550123"
            signed = official.compute_signature(public + "/twilio/voice" + query, {})
            headers = {"X-Twilio-Signature": signed}
            url = yarl.URL(webhook(server) + query, encoded=True)
            async with session.get(url, headers=headers) as response:
                got = await response.read()
            huge = form | {"x": "y" * 100_000}
            async with session.post(webhook(server), data=huge) as response:
                return posted, got, response.status

    posted, got, status = asyncio.run(main())
    for document in (posted, got):
        (verb,) = parse_twiml(document)
        assert isinstance(verb, Stream)
        assert verb.url == "wss://phone.example.com/eu/twilio/media"
        assert verb.parameters["trunkline_ticket"]
    assert b"sip:a&amp;b@example.com" in posted
    assert status == 413


def test_after_the_stream_the_next_verbs_run_on_the_same_tape() -> None:
    """An agent hangs up, the document sends the call on, and a second agent is heard."""
    said: list[str] = []

    async def agent(carrier: Carrier) -> None:
        carrier.play(tone(0.5))
        carrier.mark("said")
        async for event in carrier.events():
            if isinstance(event, MarkPlayed):
                await carrier.hangup("over to my colleague")

    async def main() -> CallResult:
        server = TelephonyServer(TelephonyConfig(port=0), agent)

        async def first(request: web.Request) -> web.Response:
            stream = f"ws://{request.host}/twilio/media"
            return web.Response(
                text=f'<Response><Connect><Stream url="{stream}"/></Connect><Say>hold on</Say>'
                '<Pause length="1"/><Redirect>/twilio/voice</Redirect></Response>'
            )

        server.app.add_routes([web.post("/first", first)])
        await server.start()
        try:
            return await place_call(
                f"http://127.0.0.1:{server.port}/first",
                CallScript((Step(Wait(20.0)),)),
                progress=lambda event: said.append(event.kind),
            )
        finally:
            await server.close()

    result = asyncio.run(main())
    assert result.ended == "agent_closed"
    kinds = [event.kind for event in result.events]
    assert said == kinds
    wanted = ["stream", "mark", "say", "stream", "mark", "ended"]
    assert [kind for kind in kinds if kind in wanted] == wanted
    begun = result.times("stream")
    assert begun[1] - begun[0] == pytest.approx(1.5, abs=0.15)
    assert int(loud(result.tape[:, 1]).sum()) == 50


def test_a_failing_agent_costs_its_own_call_only(caplog: pytest.LogCaptureFixture) -> None:
    """The caller sees code 1011, the log the error, and the next call is answered."""
    calls: list[int] = []

    async def agent(carrier: Carrier) -> None:
        calls.append(1)
        if len(calls) == 1:
            raise LookupError("a bug of the agent")
        await echo(carrier)

    async def main() -> tuple[CallResult, CallResult]:
        async with serving(agent) as server:
            return await place_call(webhook(server), ASK), await place_call(webhook(server), ASK)

    failed, fine = asyncio.run(main())
    assert failed.ended == "agent_closed"
    assert "1011" in failed.events[-2].detail
    assert "a bug of the agent" in caplog.text
    assert fine.ended == "hang_up"
