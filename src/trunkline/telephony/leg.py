"""One phone leg over Twilio Media Streams: `contracts.Carrier` on a `Socket`.

    decoder, started = await accept(socket)    # connected and start
    async with open_leg(socket, decoder, started) as carrier:
        async for event in carrier.events(): ...

Reading is on demand: an agent that does not read its events holds the carrier back through TCP,
there is no queue to grow. Writing goes through a bounded outbox that one task drains.

How a leg ends: the carrier's `stop`, its silence, its socket closed or stuck, its protocol broken,
or our `hangup`. Each is one `Stopped` with its reason, the last event. What is sent to a leg that
has ended is dropped; only the `play` (or mark, or clear) that finds the outbox full raises.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Final

from trunkline.contracts import CarrierEvent, Digit, Media, Started, Stopped
from trunkline.errors import CarrierLost, InputError
from trunkline.telephony import twilio
from trunkline.telephony.wire import Outbox, OverLimit, Pace, Socket
from trunkline.types import SAMPLE_RATE

START_S: Final = 5.0
"""For connected and start: Twilio sends both at once; a socket that does not is no carrier."""
IDLE_S: Final = 10.0
"""Without media: Twilio sends a frame every 20 ms, muted or not; after this the caller is gone."""
FLUSH_S: Final = 2.0
"""How long a hang-up waits for the outbox: longer than any jitter that the line survives."""
AHEAD_S: Final = 10.0
"""How far a caller's audio may be ahead of the clock: as much as the line may have been silent, so
that what is recorded of a call is never longer than the call."""
KEYS_PER_S: Final = 20.0
"""Keys in the long run: a detector takes 80 ms a key at least (ITU-T Q.24)."""
KEYS_BURST: Final = 50
"""Keys at once: a card's number and all else that was typed while the network stalled."""
_BUSY_S: Final = 0.1
"""How soon an agent that does not read is looked at again."""
_PIECE_BYTES: Final = SAMPLE_RATE  # one second: small enough that `clear` finds most of it unsent


class TwilioCarrier:
    """A started leg; made by `open_leg`. *started* is also the first event."""

    def __init__(
        self, socket: Socket, decoder: twilio.StreamDecoder, started: Started, idle_s: float
    ) -> None:
        self.started = started
        self._socket, self._decoder, self._idle_s = socket, decoder, idle_s
        self._outbox = Outbox()
        self._delivered = asyncio.Event()
        self._reason: str | None = None
        self._clock = asyncio.get_running_loop().time
        self._began = self._heard = self._clock()
        self._keys = Pace(KEYS_PER_S, KEYS_BURST, self._clock)
        self._reading = False
        self._decoded: deque[CarrierEvent | Exception] = deque()

    async def events(
        self, hear: Callable[[Media], None] | None = None, /
    ) -> AsyncGenerator[CarrierEvent, None]:
        """What happens on the leg, `Started` first, `Stopped` last. To be iterated once."""
        yield self.started
        if hear is not None:
            self._socket.offer(partial(self._taken, hear))
        try:
            while True:
                event = await self._next()
                if hear is not None and isinstance(event, Media):
                    hear(event)
                elif event is not None:
                    yield event
                if isinstance(event, Stopped):
                    return
        finally:
            self._socket.offer(None)

    def play(self, mulaw: bytes, /) -> None:
        """Send audio; raises `CarrierLost` if the peer has stopped reading."""
        stream = self._decoder.stream
        for start in range(0, len(mulaw), _PIECE_BYTES):
            piece = mulaw[start : start + _PIECE_BYTES]
            self._put(twilio.media(stream, piece), audio=True)

    def mark(self, name: str, /) -> None:
        """Ask for *name* back once all audio so far has been played."""
        self._put(twilio.mark(self._decoder.stream, name))

    def clear(self) -> None:
        """Drop audio here and at the carrier.

        Marks that still wait here are sent before the `clear`, in their order: the carrier holds
        them behind nothing, or behind audio that it drops, and returns them at once. The names
        tell the caller of this which reply they belonged to.
        """
        self._outbox.drop_audio()
        self._put(twilio.clear(self._decoder.stream))

    async def hangup(self, reason: str, /, *, failed: bool = False) -> None:
        """Send what is in the outbox, within `FLUSH_S`, and close, 1011 if we *failed*; idempotent.

        The carrier drops what it has not played by then: to be heard out, await a mark first.
        """
        self._end(reason)
        self._outbox.finish()
        with suppress(TimeoutError):
            async with asyncio.timeout(FLUSH_S):
                await self._delivered.wait()
        await self._socket.close(1011 if failed else 1000, self._reason or reason)

    async def watch(self) -> None:
        """Lose a leg that brings no audio for `idle_s` while its events are awaited.

        One timer a leg, asleep most of the time: a timeout around each read costs more than to
        decode what was read.
        """
        while self._reason is None:
            left_s = self._heard + self._idle_s - self._clock()
            if left_s > 0:
                await asyncio.sleep(max(left_s, 0.001))  # a clock may not move by less
            elif self._reading:
                self._lose(f"no audio came from the carrier for {self._idle_s:g} s")
            else:  # the agent does not read: that is not the carrier's silence
                await asyncio.sleep(_BUSY_S)

    async def deliver(self) -> None:
        """Drain the outbox until the leg ends: the one task that sends."""
        try:
            await self._outbox.drain(self._socket.send)
        except CarrierLost as lost:
            self._lose(str(lost))
        finally:
            self._delivered.set()

    async def _next(self) -> CarrierEvent | None:
        self._reading = True
        try:
            text = await self._socket.receive()
            event = None if text is None else self._received(text)
        except InputError as broken:
            self._end(f"the carrier broke the protocol: {broken}")
            await self._socket.close(1008 if isinstance(broken, OverLimit) else 1002, str(broken))
            return Stopped(self._reason or "", lost=True)
        finally:
            self._reading = False
        if text is None:
            self._end(f"the carrier closed the socket (code {self._socket.close_code or 1006})")
            self._outbox.finish()
            return Stopped(self._reason or "", lost=True)
        if isinstance(event, Stopped):
            self._end(event.reason)
            self._outbox.finish()
        return event

    def _taken(self, hear: Callable[[Media], None], text: bytes) -> bool:
        """Take a message of audio where it was read, without the wake-up of a task.

        All else waits for `events`, with what was made of it: a message is decoded once.
        """
        try:
            event = self._read(text)
            if isinstance(event, Media):
                hear(event)
                return True
        except Exception as error:  # noqa: BLE001  # of this call only: `events` raises it
            self._decoded.append(error)
            return False
        if event is not None:
            self._decoded.append(event)
        return event is None

    def _received(self, text: bytes | str) -> CarrierEvent | None:
        if not self._decoded:
            return self._read(text)
        decoded = self._decoded.popleft()  # it was offered before it waited, as those behind it
        if isinstance(decoded, Exception):
            raise decoded
        return decoded

    def _read(self, text: bytes | str) -> CarrierEvent | None:
        event = self._decoder.decode(text)
        self._check(event)
        if isinstance(event, Media):
            self._heard = self._clock()
        return event

    def _check(self, event: CarrierEvent | None) -> None:
        """`OverLimit` if no phone call could have brought *event* by now."""
        if isinstance(event, Media):
            end_s = (event.at + len(event.mulaw)) / SAMPLE_RATE
            if end_s > self._clock() - self._began + AHEAD_S:
                raise OverLimit(
                    f"media stream: audio up to {end_s:.1f} s of the stream, which began "
                    f"{self._clock() - self._began:.1f} s ago; send it at the pace of speech"
                )
        elif isinstance(event, Digit) and not self._keys.take():
            raise OverLimit(
                f"media stream: more than {KEYS_BURST} keys at once or {KEYS_PER_S:g} a second"
            )

    def _put(self, message: bytes, *, audio: bool = False) -> None:
        try:
            self._outbox.put(message, audio=audio)
        except CarrierLost as lost:
            self._lose(str(lost))
            raise

    def _end(self, reason: str) -> None:
        self._reason = self._reason or reason  # the first reason is the cause

    def _lose(self, reason: str) -> None:
        """Give the leg up without a handshake; the reader, if it waits, sees the socket close."""
        self._end(reason)
        self._outbox.finish()
        self._socket.abort()


async def accept(
    socket: Socket, *, start_s: float = START_S
) -> tuple[twilio.StreamDecoder, Started]:
    """Read up to `start`; `InputError` if the peer says another thing, `CarrierLost` if none."""
    decoder = twilio.StreamDecoder()
    try:
        async with asyncio.timeout(start_s):
            while (text := await socket.receive()) is not None:
                event = decoder.decode(text)
                if isinstance(event, Started):
                    return decoder, event
    except TimeoutError:
        raise CarrierLost(f"no start message within {start_s:g} s of the connection") from None
    raise CarrierLost("the socket was closed before the start message")


@asynccontextmanager
async def open_leg(
    socket: Socket, decoder: twilio.StreamDecoder, started: Started, *, idle_s: float = IDLE_S
) -> AsyncIterator[TwilioCarrier]:
    """A carrier for a stream that `accept` accepted; leaving the context hangs up."""
    async with asyncio.TaskGroup() as tasks:
        carrier = TwilioCarrier(socket, decoder, started, idle_s)
        tasks.create_task(carrier.deliver())
        watching = tasks.create_task(carrier.watch())
        try:
            yield carrier
        except BaseException:
            await carrier.hangup("the agent failed", failed=True)
            raise
        finally:
            watching.cancel()
        await carrier.hangup("the agent is done")
