"""What the caller hears of the reply in one turn: the playout clock of a simulation.

A sentence that is given to the voice sounds once the voice has made its first audio and the
sentence before it is over. The drain time E is the end of the last one. The voice is a law, or one
of the world's synthesisers; where these leave something to decide, `mouths.Mouth` does.
"""

import math
from typing import Protocol

from trunkline.testing.simulation.answers import Answer
from trunkline.testing.simulation.judge import Judge
from trunkline.testing.simulation.mouths import Mouth, Speaks
from trunkline.types import TTS, Mono

VOICES = 16
"""Draws of the voice's first audio per turn; longer answers begin again."""


class Loud(Speaks, Protocol):
    """What it needs of the worker."""

    voice_s: list[float]
    """Seconds to first audio, `VOICES` a turn."""

    transport_s: float

    def voiced(self, seconds: float, now: Mono) -> None:
        """A sentence was said with nothing ahead of it, and got its first audio so much later."""


class Heard:
    """The reply of turn number *lot* of its worker, whose caller stopped speaking at *began*.

    *said*: sentences that were given to the voice. *v2v_s* from *began* to the first audio, *gap_s*
    the longest silence after that, *drain* the drain time.
    """

    __slots__ = (
        "_answer",
        "_call",
        "_judge",
        "_lot",
        "_plain",
        "_said_at",
        "_voiced_at",
        "_voices_s",
        "_worker",
        "began",
        "drain",
        "gap_s",
        "mouth",
        "said",
        "v2v_s",
    )

    def __init__(self, worker: Loud, call: int, lot: int, answer: Answer, judge: Judge) -> None:
        self._worker, self._call, self._lot = worker, call, lot
        self._answer, self._judge = answer, judge
        self.began, self.said = 0.0, 0
        self.v2v_s, self.gap_s, self.drain = math.inf, 0.0, -math.inf
        self.mouth: Mouth | None = None
        """Decides about the voice."""
        self._plain: Mouth | None = None  # there is nothing to decide:
        self._voices_s: list[float] | None = None  # the seconds to the first audio are these
        self._said_at = 0.0
        self._voiced_at = -math.inf

    def say(self, sentence: str, now: float) -> None:
        """Give *sentence* to the voice."""
        place = self._judge.say(sentence)
        if not self.said and TTS in self._worker.speech.routes:
            self._open(now)
        if self.mouth is not None:
            self.mouth.say(max(place, 0), now)
            self.drain = self.mouth.drain_at(now)
        else:
            self._sound(place, now)
        self.said += 1

    def drain_at(self, now: float) -> float:
        """E; it moves along while a voice is waited for."""
        return self.drain if self.mouth is None else self.mouth.drain_at(now)

    def advance(self, now: float) -> None:
        """Something is due for the mouth."""
        assert self.mouth is not None  # noqa: S101  # it asked for it
        silent = self.mouth.begins_at < 0
        self.mouth.advance(now)
        if silent and self.mouth.begins_at >= 0:
            self._worker.voiced(self.mouth.begins_at - self._said_at, Mono(now))

    def finish(self, now: float) -> None:
        """No more sentences will come."""
        if self._plain is not None:
            self._plain.spoke_plainly(now)
        if self.mouth is not None:
            self.mouth.finish(now)

    @property
    def pending(self) -> bool:
        """Whether the voice still has to say something."""
        return self.mouth is not None and not self.mouth.settled

    def end(self, now: float, *, broken: bool) -> bool:
        """The turn is over; *broken*: some of the answer is missing. Whether it is.

        The call apologises then, or the caller asks what happened: that is when silence ends.
        """
        if self.mouth is not None:
            broken |= self.mouth.lost
            self.drain, self.gap_s = self.mouth.drain, self.mouth.gap_s
            self.v2v_s = self.mouth.begins_at + self._worker.transport_s - self.began
        sorry_s = self._worker.voice_s[self._lot]
        if not self.said or (self.mouth is not None and self.mouth.begins_at < 0):
            self.v2v_s = now - self.began + sorry_s
        elif broken:
            silent_s = max(0.0, now - max(self.drain, self.began)) + sorry_s
            self.gap_s = max(self.gap_s, silent_s)
        self.drain = max(self.drain, now)
        return broken

    def _open(self, now: float) -> None:
        mouth = Mouth(self._worker, self._call, self._lot, self._answer, self._judge, now)
        self._voices_s, self._said_at = mouth.plain(), now
        if self._voices_s is None:
            mouth.begin()
            self.mouth = mouth
        else:
            self._plain = mouth

    def _sound(self, place: int, now: float) -> None:
        if self._voices_s is not None:
            voice_s = self._voices_s[self.said % len(self._voices_s)]
        else:
            voice_s = self._worker.voice_s[self._lot * VOICES + self.said % VOICES]
        ready = now + voice_s
        if self._voiced_at <= now:  # no sentence is still waiting for its first audio
            self._worker.voiced(voice_s, Mono(now))
        self._voiced_at = max(self._voiced_at, ready)
        starts = max(ready, self.drain)
        if self.said:
            self.gap_s = max(self.gap_s, starts - self.drain)
        else:
            self.v2v_s = starts + self._worker.transport_s - self.began
        self.drain = starts + (self._answer.sounds_s[place] if place >= 0 else 1.0)
