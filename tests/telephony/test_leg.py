"""A phone leg on a socket that is a pair of queues, in virtual time."""

import asyncio
import json
from collections.abc import Callable, Coroutine

import pytest

from trunkline.contracts import Carrier, CarrierEvent, MarkPlayed, Media, Started, Stopped
from trunkline.errors import CarrierLost, InputError
from trunkline.telephony.leg import TwilioCarrier, accept, open_leg
from trunkline.telephony.twilio import CarrierSide
from trunkline.telephony.wire import OUTBOX_BYTES_MAX, Outbox
from trunkline.testing.virtual import run
from trunkline.types import Sample

FRAME = b"\x55" * 160


class FakeSocket:
    """The carrier's end in memory: `say` what it sends, read `sent`, `stick` to stop it reading."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.closed: tuple[int, str] | None = None
        self.aborted = False
        self.close_code: int | None = None
        self._inbox: asyncio.Queue[bytes | InputError | None] = asyncio.Queue()
        self._open = asyncio.Event()
        self._open.set()
        self._take: Callable[[bytes], bool] | None = None

    def say(self, message: bytes | InputError | None) -> None:
        """The carrier sends a message, breaks the protocol, or (None) is gone."""
        self._inbox.put_nowait(message)

    def stick(self) -> None:
        """The carrier stops reading."""
        self._open.clear()

    async def receive(self) -> bytes | None:
        """As `Socket`."""
        while True:
            message = await self._inbox.get()
            if isinstance(message, InputError):
                raise message
            if message is None or self._take is None or not self._take(message):
                return message

    def offer(self, take: Callable[[bytes], bool] | None, /) -> None:
        """As `Socket`."""
        self._take = take

    async def send(self, message: bytes, /) -> None:
        """As `Socket`."""
        await self._open.wait()
        if self.aborted:
            raise CarrierLost("the media socket is gone")
        self.sent.append(message)

    async def close(self, code: int, reason: str, /) -> None:
        """As `Socket`."""
        if self.closed is None:
            self.closed, self.close_code = (code, reason), code
            self.abort()

    def abort(self) -> None:
        """As `Socket`."""
        self.aborted = True
        self._open.set()
        self.say(None)


Body = Callable[[FakeSocket, CarrierSide, TwilioCarrier], Coroutine[None, None, None]]


def on_a_leg(body: Body) -> FakeSocket:
    """Run *body* with a leg that has started; returns the socket as it was left."""
    socket = FakeSocket()

    async def main() -> None:
        side = CarrierSide("MZ1", "CA1")
        socket.say(side.connected())
        socket.say(side.start({"a": "b"}))
        decoder, started = await accept(socket)
        async with open_leg(socket, decoder, started) as carrier:
            await body(socket, side, carrier)

    run(main())
    return socket


def names(socket: FakeSocket) -> list[str]:
    """What was sent: `media`, `clear`, or the name of a mark."""
    messages = [json.loads(message) for message in socket.sent]
    return [m["mark"]["name"] if m["event"] == "mark" else m["event"] for m in messages]


async def everything(carrier: Carrier) -> list[CarrierEvent]:
    """All events of a leg."""
    return [event async for event in carrier.events()]


def test_a_call_is_started_first_and_stopped_last() -> None:
    """Events come in the order in which the carrier sent them."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.say(side.media(FRAME, Sample(0)))
        socket.say(side.mark("m"))
        socket.say(side.stop())
        assert await everything(carrier) == [
            Started("CA1", "MZ1", "", {"a": "b"}),
            Media(FRAME, Sample(0)),
            MarkPlayed("m"),
            Stopped("the carrier ended the stream"),
        ]

    on_a_leg(body)


def test_what_is_sent_arrives_in_order_and_long_audio_in_pieces() -> None:
    """Two and a half seconds are three messages; leaving the leg closes it properly."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        carrier.play(FRAME * 125)
        carrier.mark("end")

    socket = on_a_leg(body)
    assert names(socket) == ["media", "media", "media", "end"]
    assert socket.closed == (1000, "the agent is done")


def test_clear_drops_our_own_audio_and_keeps_the_marks() -> None:
    """Audio that was not sent yet is not sent; its marks go ahead of the `clear`, in order."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.stick()
        carrier.play(FRAME)
        await asyncio.sleep(0.1)  # that one is with the socket already
        for name in ("one", "two"):
            carrier.play(FRAME)
            carrier.mark(name)
        carrier.clear()
        carrier.play(FRAME)
        socket._open.set()

    assert names(on_a_leg(body)) == ["media", "one", "two", "clear", "media"]


def test_a_peer_that_does_not_read_is_lost() -> None:
    """`play` raises when the outbox is full, and the events say the same; nothing blocks."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.stick()
        with pytest.raises(CarrierLost, match="not reading"):
            carrier.play(FRAME * (OUTBOX_BYTES_MAX // 160))
        assert socket.aborted
        carrier.play(FRAME)  # the leg has ended: dropped
        last = (await everything(carrier))[-1]
        assert isinstance(last, Stopped)
        assert "not reading" in last.reason

    on_a_leg(body)


def test_ten_seconds_without_audio_end_the_leg() -> None:
    """Other messages do not count: a carrier without audio has lost its caller."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        async with asyncio.TaskGroup() as group:

            async def chatter() -> None:
                await asyncio.sleep(5)
                socket.say(side.media(FRAME, Sample(0)))
                for _ in range(3):
                    await asyncio.sleep(3)
                    socket.say(side.mark("still here"))

            group.create_task(chatter())
            last = (await everything(carrier))[-1]
        assert last == Stopped("no audio came from the carrier for 10 s", lost=True)
        assert loop.time() - begun == pytest.approx(15.0)

    assert on_a_leg(body).aborted


def test_an_agent_that_does_not_read_is_no_silent_carrier() -> None:
    """What came while the agent was busy for a minute is still there when it reads on."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        events = carrier.events()
        assert isinstance(await anext(events), Started)
        socket.say(side.media(FRAME, Sample(0)))
        socket.say(side.stop())
        await asyncio.sleep(60)
        assert not socket.aborted
        rest = [event async for event in events]
        assert rest == [Media(FRAME, Sample(0)), Stopped("the carrier ended the stream")]

    on_a_leg(body)


def test_a_broken_protocol_ends_the_leg_with_its_reason() -> None:
    """A second start, or what the socket itself refuses."""

    async def twice(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.say(side.start({}))
        last = (await everything(carrier))[-1]
        assert isinstance(last, Stopped)
        assert "exactly once" in last.reason

    async def binary(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.say(InputError("media stream: a binary message"))
        assert "binary" in str((await everything(carrier))[-1])

    code, why = on_a_leg(twice).closed or (0, "")
    assert code == 1002
    assert "exactly once" in why
    assert on_a_leg(binary).closed == (1002, "media stream: a binary message")


def test_a_closed_socket_is_a_stop_with_its_code() -> None:
    """1006, as the standard has it, when the peer vanished without a code."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.say(None)
        assert (await everything(carrier))[-1] == Stopped(
            "the carrier closed the socket (code 1006)", lost=True
        )

    on_a_leg(body)


def test_hanging_up_twice_is_hanging_up_once() -> None:
    """The first reason counts, and a reader that waits is told."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        async with asyncio.TaskGroup() as group:
            reading = group.create_task(everything(carrier))
            await asyncio.sleep(1)
            carrier.play(FRAME)
            await carrier.hangup("goodbye")
            await carrier.hangup("again")
        assert reading.result()[-1] == Stopped("goodbye", lost=True)

    socket = on_a_leg(body)
    assert socket.closed == (1000, "goodbye")
    assert names(socket) == ["media"]


def test_a_failure_of_ours_is_told_as_one() -> None:
    """Code 1011 (RFC 6455 section 7.4.1): the carrier's log says whose fault it was."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        carrier.play(FRAME)
        await carrier.hangup("the call broke", failed=True)

    socket = on_a_leg(body)
    assert socket.closed == (1011, "the call broke")
    assert names(socket) == ["media"]


def test_a_stuck_peer_does_not_hold_up_a_hang_up() -> None:
    """Two seconds for the outbox, then the socket is closed anyway."""

    async def body(socket: FakeSocket, side: CarrierSide, carrier: TwilioCarrier) -> None:
        socket.stick()
        carrier.play(FRAME)
        begun = asyncio.get_running_loop().time()
        await carrier.hangup("goodbye")
        assert asyncio.get_running_loop().time() - begun == pytest.approx(2.0)

    assert on_a_leg(body).closed == (1000, "goodbye")


def test_a_socket_that_does_not_start_is_given_up() -> None:
    """Silence, a close, or something else than the opening messages."""

    async def main() -> None:
        loop = asyncio.get_running_loop()
        begun = loop.time()
        with pytest.raises(CarrierLost, match="within 5 s"):
            await accept(FakeSocket())
        assert loop.time() - begun == pytest.approx(5.0)
        socket = FakeSocket()
        socket.say(None)
        with pytest.raises(CarrierLost, match="before the start"):
            await accept(socket)
        socket.say(CarrierSide("MZ1", "CA1").mark("m"))
        with pytest.raises(InputError, match="before 'start'"):
            await accept(socket)

    run(main())


def test_the_outbox_is_bounded_in_bytes_and_frees_what_it_sent() -> None:
    """The limit is what waits, not what ever passed."""
    sent: list[bytes] = []

    async def send(message: bytes) -> None:
        sent.append(message)

    async def main() -> None:
        box = Outbox(10)
        async with asyncio.TaskGroup() as group:
            group.create_task(box.drain(send))
            for _ in range(5):
                box.put(b"123456")
                with pytest.raises(CarrierLost, match="6 bytes wait"):
                    box.put(b"12345")
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            box.finish()
            box.put(b"late")

    run(main())
    assert sent == [b"123456"] * 5
