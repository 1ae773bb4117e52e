"""The agent's voice on its way to the carrier: the bytes that `core.playout` keeps count of.

Audio and marks stand in one queue in the order in which they are to be sent. What was sent is
recorded once the caller has heard it, not before: a `clear` takes the rest back.
"""

from collections import deque
from collections.abc import Callable, Sequence

import numpy as np

from trunkline.contracts import Carrier
from trunkline.core.playout import Cue, Playout
from trunkline.media.g711 import mulaw_encode
from trunkline.types import FRAME_S, FRAME_SAMPLES, Mono, SpokenWord

SILENCE = b"\xff"
"""Mu-law zero."""


class Voice:
    """One call's agent audio. *heard* is called with each frame that the caller has heard."""

    def __init__(
        self, carrier: Carrier, playout: Playout, heard: Callable[[bytes, Mono], None]
    ) -> None:
        self._carrier, self._playout, self._heard = carrier, playout, heard
        self._queue: deque[bytes | str] = deque()
        self._tail = b""  # of the phrase whose audio is coming in: less than a frame
        self._phrase, self._position = -1, 0
        self._cues: deque[Cue] = deque()
        self._playing: deque[tuple[Mono, bytes]] = deque()
        self.on_change: Callable[[], None] = _nothing
        """Called when the drain time may have changed."""

    def expect(self, text: str) -> int:
        """A phrase was given to the synthesiser; its number."""
        number = self._playout.expect(text)
        self.on_change()
        return number

    def queue(
        self, phrase: int, pcm: bytes, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        """More audio of *phrase* (16-bit, 8 kHz); the last piece is padded to a whole frame.

        Audio of a phrase that was cleared meanwhile is dropped.
        """
        if self._playout.stale(phrase):
            return
        if phrase != self._phrase:
            self._phrase, self._position, self._tail = phrase, 0, b""
            self._cues.clear()
        mulaw = self._tail + mulaw_encode(np.frombuffer(pcm, np.int16))
        if complete and len(mulaw) % FRAME_SAMPLES:
            mulaw += SILENCE * (FRAME_SAMPLES - len(mulaw) % FRAME_SAMPLES)
        whole = len(mulaw) - len(mulaw) % FRAME_SAMPLES
        self._tail = mulaw[whole:]
        self._cues += self._playout.queue(phrase, whole, words, complete=complete)
        for start in range(0, whole, FRAME_SAMPLES):
            self._queue.append(mulaw[start : start + FRAME_SAMPLES])
            self._position += FRAME_SAMPLES
            self._place_marks()
        if complete:
            self._place_marks()
        self.on_change()

    def drop(self, phrase: int) -> None:
        """No more audio of *phrase* will come."""
        self._playout.drop(phrase)
        self.on_change()

    def tick(self, now: Mono) -> None:
        """Send what is due and hand over what was heard."""
        if not self._queue and not self._playing:
            return  # the agent is silent: half of all ticks
        for _ in range(self._playout.due(now)):
            self._send_marks()
            frame = self._queue.popleft()
            assert isinstance(frame, bytes)  # noqa: S101  # marks were sent just above
            self._carrier.play(frame)
            self._playing.append((self._playout.sent(now), frame))
        self._send_marks()
        self._hand_over(Mono(now - FRAME_S))

    def clear(self, now: Mono) -> str:
        """Stop at once; the text that was heard."""
        self._hand_over(now)
        self._carrier.clear()
        self._queue.clear()
        self._cues.clear()
        self._playing.clear()
        self._phrase, self._tail = -1, b""
        return self._playout.clear(now)

    def _hand_over(self, began_by: Mono) -> None:
        while self._playing and self._playing[0][0] <= began_by:
            at, frame = self._playing.popleft()
            self._heard(frame, at)

    def _place_marks(self) -> None:
        while self._cues and self._cues[0].after <= self._position:
            self._queue.append(self._cues.popleft().name)

    def _send_marks(self) -> None:
        while self._queue and isinstance(mark := self._queue[0], str):
            self._carrier.mark(mark)
            self._queue.popleft()


def _nothing() -> None:
    """Nobody waits for a change."""
