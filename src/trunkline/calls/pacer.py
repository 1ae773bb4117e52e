"""One clock for all calls of a worker: every 20 ms, voice activity once, then every call.

A task a call would wake two cores a thousand times a second for nothing. Deadlines are absolute,
so lateness never adds up; a worker that was stopped for long skips what it missed.
"""

import asyncio
import math
from collections import deque
from collections.abc import Sequence
from typing import Protocol

from trunkline.core.turns import Window
from trunkline.types import FRAME_S, Mono

LATE_TICKS = 250
"""Five seconds: long enough for a 99th percentile, short enough to tell of now."""
BEHIND_MAX_S = 0.5
"""A pacer later than this starts anew: a burst of missed ticks would help nobody."""


class Paced(Protocol):
    """What the pacer does for a call."""

    def hear(self, window: Window, now: Mono) -> None:
        """The caller's next window was judged."""
        ...

    def tick(self, now: Mono) -> None:
        """20 ms have passed."""
        ...

    def broke(self, error: Exception) -> None:
        """One of the two raised: the call is paced no more and has to end."""
        ...


class Listener(Protocol):
    """One call's part of the voice activity; `media.vad.VadStream`."""

    def feed(self, mulaw: bytes, /) -> None:
        """The caller's next audio."""
        ...

    def close(self) -> None:
        """The call is over."""
        ...


class VoiceActivity(Protocol):
    """Judges the windows of all calls at once; `media.vad.VadPool`."""

    def join(self) -> Listener:
        """For one more call."""
        ...

    def tick(self) -> Sequence[tuple[Listener, Window]]:
        """Judge all whole windows that are held."""
        ...


class Pacer:
    """`join` a call, `leave` it; `run` for as long as the worker lives."""

    def __init__(self, vad: VoiceActivity) -> None:
        self._vad = vad
        self._calls: dict[Listener, Paced] = {}
        self._busy = asyncio.Event()
        self.due = Mono(0.0)
        """When the tick that is being served was due: how late the worker is."""
        self.late: deque[float] = deque(maxlen=LATE_TICKS)
        """How late the last ticks came, in seconds."""

    def join(self, call: Paced) -> Listener:
        """Pace *call*; feed the stream that comes back with its caller's audio."""
        stream = self._vad.join()
        self._calls[stream] = call
        self._busy.set()
        return stream

    def leave(self, stream: Listener) -> None:
        """The call of *stream* is over; idempotent."""
        stream.close()
        self._calls.pop(stream, None)

    async def run(self) -> None:
        """Tick for ever; sleeps while there is no call."""
        clock = asyncio.get_running_loop().time
        while True:
            if not self._calls:
                self._busy.clear()
                await self._busy.wait()
            due = _on_grid(clock())
            while self._calls:
                await asyncio.sleep(max(0.0, due - clock()))
                now, self.due = Mono(clock()), Mono(due)
                self.late.append(now - due)
                due = due + FRAME_S if now < due + BEHIND_MAX_S else now + FRAME_S
                self._tick(now)

    def _tick(self, now: Mono) -> None:
        windows: dict[Listener, list[Window]] = {}
        for stream, window in self._vad.tick():
            windows.setdefault(stream, []).append(window)
        for stream, call in list(self._calls.items()):
            try:
                for window in windows.get(stream, ()):
                    call.hear(window, now)
                call.tick(now)
            except Exception as error:  # noqa: BLE001  # one call's bug must not stop all clocks
                self.leave(stream)
                call.broke(error)


def _on_grid(now: float) -> float:
    """The next multiple of a frame: when the media sockets are read too (`telephony.intake`)."""
    return math.ceil(now / FRAME_S - 1e-6) * FRAME_S
