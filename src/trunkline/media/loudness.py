"""How loud a voice is, and one voice after another without a step or a click.

Levels are RMS in dBFS of 16-bit samples (0 dBFS: a full-scale square wave), measured over 10 ms
frames, of which only those that hold speech count: two voices with different pauses are matched
by what is heard of them. On the phone's narrow band that is close to a gated LUFS figure (ITU-R
BS.1770-5 gates for the same reason), without its filter.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trunkline.types import SAMPLE_RATE

SILENT_DBFS = -50.0
"""A frame below this is silence: the noise of a quiet phone line is louder."""
GAIN_DB_MAX = 9.0
"""More than this is no difference between voices but a fault, which must not be amplified."""
SEAM_SAMPLES = SAMPLE_RATE * 15 // 1000
_FRAME = SAMPLE_RATE // 100
_FULL = 32768.0
_PEAK = 32000.0
_SILENT_POWER = 10 ** (SILENT_DBFS / 10)
_KEEP = 0.999  # a frame: the last 10 s of speech count

Pcm = NDArray[np.int16]


def silences(pcm: Pcm, at: int) -> list[tuple[int, int]]:
    """The stretches of silence in *pcm*, whose first sample is number *at*: (first, after last)."""
    quiet = np.zeros(-(-len(pcm) // _FRAME) + 2, np.bool_)  # with a frame of sound at either end
    quiet[1:-1] = _powers(pcm) < _SILENT_POWER
    edges = np.flatnonzero(quiet[1:] != quiet[:-1]).tolist()
    return [
        (at + first * _FRAME, at + min(after * _FRAME, len(pcm)))
        for first, after in zip(edges[::2], edges[1::2], strict=True)
    ]


@dataclass(slots=True)
class Level:
    """The running level of one voice."""

    energy: float = 0.0
    weight: float = 0.0

    def learn(self, pcm: Pcm) -> None:
        """The voice said *pcm*."""
        for power in _powers(pcm):
            if power >= _SILENT_POWER:
                self.energy = _KEEP * self.energy + float(power)
                self.weight = _KEEP * self.weight + 1.0

    @property
    def dbfs(self) -> float | None:
        """RMS of its speech; None before it said anything."""
        return 10 * math.log10(self.energy / self.weight) if self.weight else None


def gain_db(own: Level, target: Level) -> float:
    """What makes a voice as loud as *target*, bounded; 0 while either is unknown."""
    if own.dbfs is None or target.dbfs is None:
        return 0.0
    return min(max(target.dbfs - own.dbfs, -GAIN_DB_MAX), GAIN_DB_MAX)


def amplified(pcm: Pcm, db: float) -> Pcm:
    """*pcm* louder by *db*; peaks that would clip lower the gain of the whole piece."""
    if not db or not len(pcm):
        return pcm
    loud = pcm.astype(np.float64) * 10 ** (db / 20)
    peak = float(np.abs(loud).max())
    if peak > _PEAK and db > 0:
        loud *= max(_PEAK / peak, 10 ** (-db / 20))
    return loud.round().astype(np.int16)


def joined(tail: Pcm, head: Pcm) -> Pcm:
    """*head* faded in over 15 ms, and out of *tail*, which is what would have come instead.

    As long as *head*; equal power, because the two are not in phase.
    """
    length = min(SEAM_SAMPLES, len(head))
    ramp = np.sqrt((np.arange(length) + 0.5) / max(length, 1))
    mixed = head[:length] * ramp
    over = min(length, len(tail))
    # a tail that is shorter than the seam fades out by its own end
    mixed[:over] += tail[:over] * np.sqrt((np.arange(over)[::-1] + 0.5) / max(over, 1))
    faded = np.clip(mixed.round(), -_FULL, _FULL - 1).astype(np.int16)
    return np.concatenate([faded, head[length:]])


def _powers(pcm: Pcm) -> NDArray[np.float64]:
    """The mean square of each 10 ms (full scale is 1); the last frame may be shorter."""
    if not len(pcm):
        return np.zeros(0)
    squares = np.square(pcm.astype(np.float64) / _FULL)
    starts = np.arange(0, len(pcm), _FRAME)
    lengths = np.diff(np.append(starts, len(pcm)))
    powers: NDArray[np.float64] = np.add.reduceat(squares, starts) / lengths
    return powers
