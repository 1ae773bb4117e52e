"""How calls on the Twilio line end when not by a goodbye, and that the agent is told why."""

import asyncio
import base64
import json

import aiohttp
import pytest

from trials.twilio_line_rig import ASK, echo, serving, tone, webhook
from trunkline.contracts import Carrier, Stopped
from trunkline.errors import CarrierLost
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig

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


def two_callers_vanish() -> list[tuple[str, float]]:
    """One is cut off, one falls silent: what the agent is told, and how long (s) that takes."""
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
    return [(reason, at - left) for (reason, at), left in zip(stopped, gone, strict=True)]


@pytest.mark.ci
def test_a_caller_who_vanishes_is_noticed() -> None:
    """Whether the connection is cut or only falls silent, and the agent is told which."""
    assert [reason.split(" (")[0] for reason, _ in two_callers_vanish()] == [
        "the carrier closed the socket",
        "no audio came from the carrier for 1 s",
    ]


def test_a_caller_who_vanishes_is_noticed_in_time() -> None:
    """A connection that is cut is noticed at once, one that falls silent after the idle limit."""
    after = [seconds for _, seconds in two_callers_vanish()]
    print(f"noticed: cut after {after[0] * 1_000:.0f} ms, silence after {after[1]:.2f} s")
    assert after[0] < 0.1
    assert 0.8 < after[1] < 1.2


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
