"""The agent's voice on its way to the carrier: the bytes that `core.playout` keeps count of.

The audio of a phrase is kept until the reply is over, because a voice that is held goes back to
the first word that was not heard: frames are cut, and marks named, when they are sent. What was
sent is recorded once the caller begins to hear it, not before: `hold` and `clear` take the rest
back.
"""

from collections import deque
from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from trunkline.contracts import Carrier
from trunkline.core.playout import Playout
from trunkline.media.g711 import mulaw_encode
from trunkline.types import FRAME_SAMPLES, Mono, SpokenWord

SILENCE = b"\xff"
"""Mu-law zero."""


class Mouth(Protocol):
    """Where the audio of phrases goes: a caller's line, or whoever reads it."""

    @property
    def latest(self) -> int:
        """The phrase that was expected last."""
        ...

    def expect(self, text: str, /) -> int:
        """A phrase was given to the synthesiser; its number."""
        ...

    def queue(
        self, phrase: int, pcm: bytes, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        """More audio of *phrase* (16-bit, 8 kHz), of which phrases come in their order."""
        ...

    def drop(self, phrase: int, chars: int, /) -> None:
        """No more of *phrase* will come than its first *chars* characters."""
        ...

    def silent_at(self, now: Mono, /) -> Mono:
        """When silence is heard if nothing more comes."""
        ...


class Voice:
    """One call's agent audio. *heard* is called with each frame as the caller begins to hear it."""

    def __init__(
        self, carrier: Carrier, playout: Playout, heard: Callable[[bytes, Mono], None]
    ) -> None:
        self._carrier, self._playout, self._heard = carrier, playout, heard
        self._audio: dict[int, bytearray] = {}  # by phrase, from its first sample on
        self._playing: deque[tuple[Mono, bytes]] = deque()
        self._stirred = False  # something may be due
        self._silent: set[int] = set()
        self.latest = -1
        """The phrase that was expected last."""
        self.on_change: Callable[[], None] = _nothing
        """Called when the drain time may have changed."""

    def expect(self, text: str) -> int:
        """A phrase was given to the synthesiser; its number."""
        self.latest = number = self._playout.expect(text)
        self._silent.add(number)
        self.on_change()
        return number

    @property
    def held(self) -> bool:
        """Whether nothing is sent until `release`."""
        return self._playout.held

    @property
    def silent(self) -> int:
        """How many phrases have no audio yet."""
        return len(self._silent)

    def is_silent(self, phrase: int) -> bool:
        """Whether *phrase* has no audio yet, and may still get some."""
        return phrase in self._silent

    def queue(
        self, phrase: int, pcm: bytes, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        """More audio of *phrase* (16-bit, 8 kHz); the last piece is padded to a whole frame.

        Audio of a phrase that was cleared meanwhile is dropped.
        """
        if self._playout.stale(phrase):
            return
        self._silent.discard(phrase)
        audio = self._audio.setdefault(phrase, bytearray())
        before = len(audio) // FRAME_SAMPLES
        audio += mulaw_encode(np.frombuffer(pcm, np.int16))
        if complete:
            audio += SILENCE * (-len(audio) % FRAME_SAMPLES)
        whole = (len(audio) // FRAME_SAMPLES - before) * FRAME_SAMPLES
        self._playout.queue(phrase, whole, words, complete=complete)
        self._stirred = True
        self.on_change()

    def drop(self, phrase: int, chars: int) -> None:
        """No more audio of *phrase* will come than that of its first *chars* characters."""
        self._silent.discard(phrase)
        if self._playout.stale(phrase):
            return
        audio = self._audio.setdefault(phrase, bytearray())
        padding = -len(audio) % FRAME_SAMPLES
        if padding:
            audio += SILENCE * padding
            self._playout.queue(phrase, FRAME_SAMPLES, (), complete=False)
        self._playout.drop(phrase, chars)
        self._stirred = True
        self.on_change()

    def silent_at(self, now: Mono) -> Mono:
        """When the caller hears silence if no more audio is queued."""
        return self._playout.silent_at(now)

    def tick(self, now: Mono) -> None:
        """Send what is due and hand over what was heard."""
        if not self._stirred and not self._playing:
            return  # the agent is silent: half of all ticks
        packet = self._marked(b"")
        for _ in range(self._playout.due(now)):
            frame = self._playout.send(now)
            mulaw = bytes(self._audio[frame.phrase][frame.at : frame.at + FRAME_SAMPLES])
            self._playing.append((frame.when, mulaw))
            packet = self._marked(packet + mulaw)
        if packet:
            self._carrier.play(packet)
        self._stirred = self._playout.unsent > 0
        self._hand_over(now)

    def hold(self, now: Mono) -> None:
        """Fall silent at once; what is not heard yet is kept. Idempotent."""
        if not self._playout.held:
            self._take_back(now)
            self._playout.hold(now)
            self.on_change()

    def release(self, now: Mono) -> None:
        """Go on from the first word that was not heard to its end."""
        self._playout.release(now)
        self._stirred = True
        self.on_change()

    def clear(self, now: Mono) -> str:
        """Stop at once; the text that was heard."""
        if not self._playout.held:
            self._take_back(now)
        self._audio.clear()
        self._silent.clear()
        return self._playout.clear(now)

    def close(self) -> str:
        """The reply was heard to its end: its audio is not needed any more; its text."""
        if not self._playout.unsent:
            self._audio.clear()
        return self._playout.close()

    def _take_back(self, now: Mono) -> None:
        self._hand_over(now)
        self._carrier.clear()
        self._playing.clear()

    def _hand_over(self, began_by: Mono) -> None:
        while self._playing and self._playing[0][0] <= began_by:
            at, frame = self._playing.popleft()
            self._heard(frame, at)

    def _marked(self, packet: bytes) -> bytes:
        """Send the marks that are due behind *packet*, and it before them; what is left of it."""
        names = self._playout.reached()
        if names and packet:
            self._carrier.play(packet)
            packet = b""
        for name in names:
            self._carrier.mark(name)
        return packet


def _nothing() -> None:
    """Nobody waits for a change."""
