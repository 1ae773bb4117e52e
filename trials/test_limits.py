"""The limits that need sockets: each is crossed, and kept just below."""

import asyncio
import gc
import json
import random
import socket
import time
from contextlib import suppress

import pytest

from trials.hostile import MEDIA, Attack, Send, call, post, ws
from trials.hostile_play import Fate, play
from trials.twilio_line_rig import echo, serving
from trunkline.telephony import door, leg, twilio, wire
from trunkline.telephony.server import CALL_PARAMETER
from trunkline.telephony.twilio import CarrierSide

FORM = b"CallSid=CA1&From=1"
LIVE = b"GET /health/live HTTP/1.1\r\nHost: h\r\n\r\n"
CALLS = 100
HELD_S_MAX = 0.01
"""CPU time of the loop, half a frame of every other call."""
BURST = door.PEERS_BURST + door.PEERS_PER_CALL * CALLS
GET = b"GET /twilio/voice?CallSid=CA1%s HTTP/1.1\r\nHost: h\r\n%s\r\n"


def one(*sends: bytes) -> Attack:
    return Attack("limit", "", [Send(data) for data in sends], "wait")


async def told(*sends: bytes) -> tuple[Fate, float]:
    async with serving(echo, calls_max=CALLS) as server:
        began = time.monotonic()
        fate = await play(server.port, one(*sends))
        return fate, time.monotonic() - began


def filled(count: int) -> bytes:
    return b"&".join([b"CallSid=CA1", *(b"f%d=1" % number for number in range(count - 1))])


@pytest.mark.ci
@pytest.mark.parametrize(
    ("within", "beyond", "status"),
    [
        (
            GET % (b"&x=" + b"a" * (door.LINE_BYTES_MAX - 100), b""),
            GET % (b"&x=" + b"a" * door.LINE_BYTES_MAX, b""),
            400,
        ),
        (
            GET % (b"", b"X: " + b"a" * (door.HEADER_BYTES_MAX - 100) + b"\r\n"),
            GET % (b"", b"X: " + b"a" * (door.HEADER_BYTES_MAX + 100) + b"\r\n"),
            400,
        ),
        (
            GET % (b"", b"".join(b"X%d: 1\r\n" % n for n in range(door.HEADERS_MAX - 10))),
            GET % (b"", b"".join(b"X%d: 1\r\n" % n for n in range(door.HEADERS_MAX + 1))),
            400,
        ),
        (
            post(FORM + b"&x=" + b"a" * (door.WEBHOOK_BYTES_MAX - 100)),
            post(FORM + b"&x=" + b"a" * door.WEBHOOK_BYTES_MAX),
            413,
        ),
        (post(filled(door.FIELDS_MAX)), post(filled(door.FIELDS_MAX + 1)), 400),
        (
            post(b"CallSid=" + b"a" * door.FIELD_CHARS_MAX),
            post(b"CallSid=" + b"a" * (door.FIELD_CHARS_MAX + 1)),
            400,
        ),
    ],
    ids=["line", "header", "headers", "form", "fields", "call_sid"],
)
def test_a_request_is_bounded(within: bytes, beyond: bytes, status: int) -> None:
    """What Twilio sends passes, what is larger gets its status."""
    assert asyncio.run(told(within))[0].status == 200
    assert asyncio.run(told(beyond))[0].status == status


def test_a_peer_that_takes_its_time_is_let_go() -> None:
    """A head, a body and a start have their deadlines."""

    async def main() -> list[tuple[Fate, float]]:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(told(*sends)) for sends in ((), (post(b"", size=9),), (MEDIA,))
            ]
        return [task.result() for task in tasks]

    head, body, start = asyncio.run(main())
    assert (head[0].status, round(head[1])) == (0, round(door.REQUEST_S))
    assert body[0].status == 408
    assert door.BODY_S <= body[1] < door.BODY_S + door.LINGER_S + 1
    assert (start[0].code, round(start[1])) == (1002, round(leg.START_S))


@pytest.mark.ci
def test_the_rest_of_a_body_that_was_refused_is_read_for_a_second() -> None:
    """The status is there at once; who sends on without an end is disconnected, who ends is not."""

    async def main(rest: int) -> tuple[bytes, float, bool]:
        async with serving(echo) as server:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            began = time.monotonic()
            writer.write(post(b"", b"Content-Type: application/json", size=rest))
            status = await reader.readline()
            gone = asyncio.ensure_future(reader.read())  # the rest of the answer, to its end
            while not gone.done() and rest and time.monotonic() < began + 3 * door.LINGER_S:
                writer.write(b"x")
                rest -= 1
                await asyncio.wait([gone], timeout=0.05)
            took, alive = time.monotonic() - began, not gone.done()
            gone.cancel()
            writer.transport.abort()
            return status, took, alive

    status, took, alive = asyncio.run(main(rest=10_000))
    assert (status.split()[1], alive) == (b"415", False)
    assert door.LINGER_S <= took < 2 * door.LINGER_S
    status, took, alive = asyncio.run(main(rest=3))
    assert (status.split()[1], alive) == (b"415", True)


@pytest.mark.ci
def test_peers_that_come_too_fast_are_refused_and_calls_go_on() -> None:
    """The burst is let in, the rest gets a 503 unread; so do requests on one connection."""

    async def main() -> tuple[int, int, Fate]:
        async with serving(echo, calls_max=CALLS) as server, asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(play(server.port, one(GET % (b"", b""))))
                for _ in range(BURST + 100)
            ]
        statuses = [task.result().status for task in tasks]
        pipelined = await told((GET % (b"", b"")) * (BURST + 100))
        return statuses.count(200), statuses.count(503), pipelined[0]

    let_in, refused, pipelined = asyncio.run(main())
    assert let_in + refused == BURST + 100
    assert let_in >= BURST
    assert refused > 0
    assert pipelined.status in (200, 503)


@pytest.mark.ci
def test_the_callers_of_a_neighbour_that_died_are_let_in_together() -> None:
    """As many as the worker may have: each asks and opens its stream, upon a burst of others."""

    async def main() -> list[tuple[int, int]]:
        async with serving(echo, calls_max=CALLS) as server:

            async def caller(number: int) -> tuple[int, int]:
                asked = await play(server.port, one(GET % (b"&n=%d" % number, b"")))
                side = CarrierSide(f"MZ{number}", f"CA{number}")
                told = [side.connected(), side.start({CALL_PARAMETER: str(number)}), side.stop()]
                heard = await play(server.port, one(MEDIA, *map(ws, told)))
                return asked.status, heard.code

            async with asyncio.TaskGroup() as group:
                for _ in range(door.PEERS_BURST):
                    group.create_task(play(server.port, one(LIVE)))
                tasks = [group.create_task(caller(number)) for number in range(CALLS)]
            return [task.result() for task in tasks]

    assert asyncio.run(main()) == [(200, 1000)] * CALLS


@pytest.mark.ci
def test_connections_that_a_parent_gives_are_counted_too() -> None:
    """Those that may begin no call as well: each beyond the burst gets its 503."""

    async def main() -> list[bytes]:
        async with serving(echo, calls_max=1) as server:
            held = []
            for _ in range(door.PEERS_BURST + door.PEERS_PER_CALL + 20):
                ours, given = socket.socketpair()
                ours.setblocking(False)
                held.append(ours)
                await server.adopt(given, admits=False)
            loop = asyncio.get_running_loop()
            async with asyncio.timeout(5):
                told = [await loop.sock_recv(ours, 12) for ours in held[-3:]]
            for ours in held:
                ours.close()
            return told

    assert asyncio.run(main()) == [b"HTTP/1.1 503"] * 3


@pytest.mark.ci
def test_a_flood_does_not_hold_up_the_others() -> None:
    """However much has arrived, one peer's turn is short: tiny frames are the dearest."""

    async def main() -> float:
        longest = 0.0

        async def look() -> None:
            nonlocal longest
            last = time.thread_time()
            while True:
                await asyncio.sleep(0)
                last, spent = (now := time.thread_time()), now - last
                longest = max(longest, spent)

        async with serving(echo) as server, asyncio.TaskGroup() as group:
            await asyncio.to_thread(flood, server.port)  # what is done once is done
            gc.collect()
            gc.freeze()
            looking = group.create_task(look())
            for _ in range(8):
                await asyncio.to_thread(flood, server.port)
            looking.cancel()
        return longest

    longest = asyncio.run(main())
    print(f"the loop was held for {1e3 * longest:.1f} ms at most")
    assert longest < HELD_S_MAX


def flood(port: int) -> None:
    """Pings as fast as the line carries them, by a thread: its work is not the loop's."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as line:
        line.sendall(MEDIA)
        assert line.recv(4096).startswith(b"HTTP/1.1 101")
        line.sendall(b"".join(ws(it) for it in call(random.Random(1), 3)[:2]))  # noqa: S311  # to be repeated
        with suppress(OSError):  # it is closed before it has sent them all
            line.sendall(ws(b"", 9) * 20_000)
            while line.recv(65_536):
                pass


def test_the_oldest_of_too_many_connections_is_refused() -> None:
    """New peers get in; calls do not count."""

    async def main() -> tuple[bytes, int]:
        async with serving(echo, calls_max=1) as server:
            held = []
            for _ in range(door.CONNECTIONS_MAX + door.PEERS_PER_CALL + 1):
                held.append(await asyncio.open_connection("127.0.0.1", server.port))
                await asyncio.sleep(1.2 / door.PEERS_PER_S if len(held) > 100 else 0.005)
            refused = b""
            with suppress(OSError):
                refused = await asyncio.wait_for(held[0][0].read(100), 1)
            fate = await play(server.port, one(GET % (b"", b"")))
            for _, writer in held:
                writer.transport.abort()
            return refused, fate.status

    refused, fresh = asyncio.run(main())
    assert b" 503 " in refused
    assert fresh == 200


@pytest.mark.ci
@pytest.mark.parametrize(
    ("payload", "code"),
    [
        (ws(b" " * (twilio.MESSAGE_BYTES_MAX + 1)), 1009),
        (ws(json.dumps({"event": "unknown"}).encode()) * (wire.MESSAGES_BURST + 50), 1008),
        (ws(b"", 9) * (wire.MESSAGES_BURST + 50), 1008),
    ],
    ids=["message", "messages", "pings"],
)
def test_a_stream_is_bounded(payload: bytes, code: int) -> None:
    """Size and number of messages, pings among them; the close code says which."""
    opening = b"".join(ws(message) for message in call(random.Random(1), 3)[:2])  # noqa: S311  # to be repeated
    assert asyncio.run(told(MEDIA, opening, payload))[0].code == code
