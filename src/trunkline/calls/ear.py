"""The caller's audio in one call: recorder tap, voice activity, and the utterance that is open.

While the caller is silent the last half second is kept, because an onset is known only after the
fact. While the caller speaks everything is kept, at most 30 s: it is what a second recogniser
replays when the first one dies.

The agent's voice is placed among the caller's samples here too, which is why the ear can tell
when the line gives it back.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace

from trunkline.contracts import Media
from trunkline.core.turns import Window
from trunkline.media.echo import SPAN, Echo
from trunkline.media.g711 import mulaw_decode
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, AudioFrame, Mono, Sample

PREROLL_S = 0.4
"""Audio before the onset that the recogniser gets: soft first consonants are in it."""
_RING_FRAMES = 50
_JITTER_SAMPLES = 800  # 100 ms of our own clock: less is the same stretch of speech
CERTAIN = 0.8
"""Speech probability that coughs and noises hold for 0.03 s at most (`trials/test_turntaking.py`,
68 clips), and half of the sentences for all but a window or two."""
UTTERANCE_FRAMES_MAX = 1500
"""30 s: turn-taking ends an utterance before that."""


class Utterance:
    """One stretch of caller speech. Every `source()` replays it from its start, then follows."""

    def __init__(self, number: int, start: Sample, frames: list[AudioFrame]) -> None:
        self.number, self.start = number, start
        self.voiced_s = self.certain_s = 0.0
        """Seconds of it that are speech, by our own voice activity; and surely so."""
        self._frames = frames
        self._waiters: list[asyncio.Future[None]] = []
        self._closed = False
        self._on_close: set[Callable[[], None]] = set()

    @property
    def closed(self) -> bool:
        """Whether the caller has finished."""
        return self._closed

    def append(self, frame: AudioFrame) -> None:
        """More audio; beyond the bound it is not kept."""
        if len(self._frames) < UTTERANCE_FRAMES_MAX:
            self._frames.append(frame)
        self._wake()

    def close(self) -> None:
        """The caller has finished; idempotent."""
        self._closed = True
        self._wake()
        while self._on_close:
            self._on_close.pop()()

    def when_closed(self, act: Callable[[], None]) -> None:
        """Call *act* when the caller has finished: now, if that is so already."""
        if self._closed:
            act()
        else:
            self._on_close.add(act)

    def forget(self, act: Callable[[], None]) -> None:
        """Do not call *act* any more; idempotent."""
        self._on_close.discard(act)

    async def source(self) -> AsyncIterator[AudioFrame]:
        """All frames so far at once, then each as it comes, until the utterance is closed."""
        position = 0
        while True:
            while position < len(self._frames):
                yield self._frames[position]
                position += 1
            if self._closed:
                return
            # A bare future: fifty times a second an Event costs more than the frame.
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def _wake(self) -> None:
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():  # its task may have been cancelled
                waiter.set_result(None)


class Ear:
    """*tap* sees every frame (the recorder); *watch* too (voice activity)."""

    def __init__(
        self, tap: Callable[[Sample, bytes], None], watch: Callable[[bytes], None]
    ) -> None:
        self._tap, self._watch = tap, watch
        self._ring: deque[Media] = deque(maxlen=_RING_FRAMES)
        self._utterance: Utterance | None = None
        self._opened = Utterance(-1, Sample(0), [])
        self._count = 0
        self._next = Sample(0)
        self._heard_at: Mono | None = None
        self._agent_at = Sample(0)
        self._echo = Echo()

    def media(self, media: Media, now: Mono) -> None:
        """A frame of the caller arrived."""
        self._tap(media.at, media.mulaw)
        self._watch(media.mulaw)
        self._next, self._heard_at = Sample(media.at + len(media.mulaw)), now
        self._ring.append(media)
        if self._utterance is not None:
            self._utterance.append(_frame(media))

    def open(self, at: Sample) -> Utterance:
        """The caller began to speak at *at*."""
        since = at - int(PREROLL_S * SAMPLE_RATE)
        frames = [_frame(media) for media in self._ring if media.at + FRAME_SAMPLES > since]
        self._utterance = self._opened = Utterance(self._count, at, frames)
        self._count += 1
        return self._utterance

    def voiced(self, window: Window) -> None:
        """This stretch of the caller's audio was judged to be speech."""
        if self._utterance is not None:
            seconds = (window.end - window.start) / SAMPLE_RATE
            self._utterance.voiced_s += seconds
            self._utterance.certain_s += seconds if window.probability >= CERTAIN else 0.0

    def close(self) -> Utterance:
        """The caller has finished the utterance that was opened last; idempotent."""
        utterance, self._utterance = self._opened, None
        utterance.close()
        return utterance

    def agent(self, mulaw: bytes, when: Mono) -> Sample:
        """The caller hears *mulaw* of the agent at *when*; its first sample among the caller's.

        Jitter of the clock cuts no words apart.
        """
        at = self.sample_at(when)
        if at < self._agent_at or at - self._agent_at < _JITTER_SAMPLES:
            at = self._agent_at
        self._echo.sent(at, mulaw)
        self._agent_at = Sample(at + len(mulaw))
        return at

    def without_echo(self, window: Window, run: Sequence[Window]) -> tuple[Window, int]:
        """*window*, as no speech if it holds nothing but what the line gives back of the agent;
        and, if it is speech, how many of the *run* before it go, the last echo and what led to it.
        """
        if self._is_echo(window):
            return replace(window, probability=0.0), 0
        echoes = (n for n in range(len(run), 0, -1) if self._is_echo(run[n - 1]))
        return window, next(echoes, 0)

    def _is_echo(self, window: Window) -> bool:
        if not self._echo.audible(window.end):
            return False
        heard = b"".join([media.mulaw for media in self._ring])
        heard = heard[: len(heard) - (self._next - window.end)][-SPAN:]
        return self._echo.explains(heard, window.end, window.end - window.start)

    def sample_at(self, when: Mono) -> Sample:
        """The sample of the call that is current at *when*; 0 before the first frame."""
        if self._heard_at is None:
            return self._next
        return Sample(self._next + round((when - self._heard_at) * SAMPLE_RATE))


def _frame(media: Media) -> AudioFrame:
    """Decoded only here: most frames of a call are silence that no recogniser gets."""
    return AudioFrame(mulaw_decode(media.mulaw).tobytes(), media.at)
