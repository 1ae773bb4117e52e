"""Whether what comes from the caller's line is the agent's own voice, given back by it.

A two-wire line's hybrid, or a telephone's case, returns what we send: later, softer and filtered.
We know to the sample what we sent, so that can be told from a caller who speaks. It is told only
when it matters, which is where voice activity sees speech while the agent is audible: a canceller
that runs all the time would cost more than all the rest of a call.

1. *Delay*: the lag at which the cross-correlation of what is heard with what was sent, both
   whitened by a first difference and normalised by the energies, is highest (G. C. Carter,
   "Coherence and time delay estimation", Proc. IEEE 75(2), 1987).
2. *Path*: the short FIR filter behind that lag which leaves the least squares. Its normal equations
   are Toeplitz, made of correlations that FFTs give; they are solved by N. Levinson's recursion
   (J. Math. Phys. 25, 1947). It is kept for the call, and made anew only where it does not explain
   a window.
3. *Verdict*: a window is echo if subtracting the filtered voice leaves less than `LEFT_DB` of it.
   What is far below the last loud part of an echo is its tail. A caller who speaks over the echo
   leaves far more, so nothing of theirs is taken away: windows are judged, never changed.

The delays and losses to expect are those of ITU-T G.131 (11/2003) and G.168 (04/2015). Warts: a
path of more than `TAPS` (rooms), or one that is not linear (clipping loudspeakers, mobile codecs),
is not recognised, and stops the agent as any sound does. A caller more than 6 dB softer than the
echo is taken for part of it.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trunkline.media.g711 import mulaw_decode
from trunkline.types import Sample

TAPS: Final = 128
"""16 ms: the dispersion of a hybrid, and the error of the delay on both sides."""
LAG_MAX: Final = 4000
"""500 ms: the longest echo path that G.131 counts with, plus the way to the carrier and back."""
SPAN: Final = 3200
"""0.4 s of the line's audio that a path is fitted to."""
LEFT_DB: Final = -6.0
"""What echo may leave of a window once it is subtracted."""
_SPAN_MIN: Final = 512
_LEAD: Final = 24  # taps before the peak: the delay's error, and filters whose peak is not first
_SHARE: Final = 10 ** (LEFT_DB / 10)
_TAIL: Final = 10 ** (-12 / 10)  # of the last 0.4 s: the voice activity ends later than a voice
_FLOOR: Final = (32_768 * 10 ** (-55 / 20)) ** 2  # power of a line that is silent
_WHITE: Final = 1e-3  # white noise that is added to the normal equations, of the power
_SILENCE: Final = b"\xff"
_KEPT: Final = SPAN + LAG_MAX + TAPS

Audio = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Path:
    """The way back of the agent's voice: after *lag* samples it is filtered with *taps*."""

    lag: int
    taps: Audio

    @property
    def loss_db(self) -> float:
        """By how much white noise would be softer."""
        return float(-10 * np.log10(np.sum(self.taps**2) + 1e-12))


class Echo:
    """One call's line: `sent` is told what the caller hears, `explains` judges a window."""

    def __init__(self) -> None:
        self._sent = bytearray()
        self._end = Sample(0)  # of what was sent
        self.path: Path | None = None
        """As it was found last."""

    def sent(self, at: Sample, mulaw: bytes) -> None:
        """The caller hears *mulaw* from sample *at* of the call on; never before what was sent."""
        gap = at - self._end
        if gap >= _KEPT:
            self._sent.clear()
        elif gap > 0:
            self._sent += _SILENCE * gap
        self._sent += mulaw
        self._end = Sample(at + len(mulaw))
        if len(self._sent) > 2 * _KEPT:  # rarely, so that a frame costs nothing
            del self._sent[:-_KEPT]

    def audible(self, now: Sample) -> bool:
        """Whether the line can still give something back at *now*."""
        return now - self._end < LAG_MAX and bool(self._sent)

    def explains(self, heard: bytes, end: Sample, window: int) -> bool:
        """Whether the last *window* samples of *heard*, mu-law up to sample *end*, are echo."""
        last = mulaw_decode(heard[-window:]).astype(np.float64)
        left = np.inf if self.path is None else self._left(self.path, last, end)
        if left < _SHARE * _power(last):
            return True  # nearly always, once the path is known
        line = mulaw_decode(heard[-SPAN:]).astype(np.float64)
        if len(line) < _SPAN_MIN:
            return False
        may_be_left = max(_SHARE * _power(last), _TAIL * _power(line), _FLOOR)
        if left < may_be_left:
            return True
        path = self._find(line, end)
        if path is None or self._left(path, last, end) >= may_be_left:
            return False
        self.path = path
        return True

    def _left(self, path: Path, last: Audio, end: Sample) -> float:
        """The power of the *last* samples without their echo."""
        voice = self._voice(end - path.lag - len(last) - TAPS + 1, len(last) + TAPS - 1)
        return _power(last - np.convolve(voice, path.taps, "valid"))

    def _voice(self, start: int, samples: int) -> Audio:
        """What was sent from sample *start* on, with silence around it."""
        audio = np.zeros(samples)
        first = start - (self._end - len(self._sent))
        known = mulaw_decode(bytes(self._sent[max(first, 0) : max(first + samples, 0)]))
        begins = max(-first, 0)
        audio[begins : begins + len(known)] = known
        return audio

    def _find(self, line: Audio, end: Sample) -> Path | None:
        """The path that leaves the least of *line*, unless it leaves too much of that too."""
        size = len(line)
        voice = self._voice(end - size - LAG_MAX, size + LAG_MAX)
        lag = _delay(line, voice) - _LEAD
        voice = self._voice(end - size - lag - TAPS + 1, size + TAPS - 1)
        taps = _filter(line, voice)
        left = _power(line - np.convolve(voice, taps, "valid"))
        if left >= _SHARE * _power(line):
            return None
        return Path(lag, taps)


def _power(audio: Audio) -> float:
    return float(audio @ audio) / len(audio)


def _delay(line: Audio, voice: Audio) -> int:
    """By how many samples *line* comes after *voice*, which begins `LAG_MAX` earlier."""
    white, sent = np.diff(line), np.diff(voice)
    size = 1 << (len(voice) + len(line)).bit_length()
    spectrum = np.fft.rfft(sent, size) * np.conj(np.fft.rfft(white, size))
    found = np.fft.irfft(spectrum, size)[: LAG_MAX + 1]  # [k]: line against voice[k:]
    energy = np.concatenate([[0.0], np.cumsum(sent**2)])
    energies = energy[len(white) : len(white) + LAG_MAX + 1] - energy[: LAG_MAX + 1]
    floor = 1e-3 * energies.max() + 1.0
    return LAG_MAX - int(np.argmax(np.abs(found) / np.sqrt(energies + floor)))


def _filter(line: Audio, voice: Audio) -> Audio:
    """The FIR filter that makes *line* of *voice*, which begins `TAPS - 1` samples earlier."""
    size = 1 << (2 * len(voice)).bit_length()
    sent = np.fft.rfft(voice, size)
    own = np.fft.irfft(np.abs(sent) ** 2, size)[:TAPS]
    heard = np.concatenate([np.zeros(TAPS - 1), line])
    cross = np.fft.irfft(np.conj(sent) * np.fft.rfft(heard, size), size)[:TAPS]
    own[0] = own[0] * (1 + _WHITE) + 1.0
    return _levinson(own, cross)


def _levinson(own: Audio, cross: Audio) -> Audio:
    """x where the symmetric Toeplitz matrix with first row *own*, times x, is *cross*.

    By recursion, not by LAPACK: its threads, woken for so small a matrix, cost ten times as much.
    """
    size = len(own)
    backward, x = np.zeros(size), np.zeros(size)
    backward[0], x[0] = 1.0, cross[0] / own[0]
    error = own[0]
    for n in range(1, size):
        row = own[n:0:-1]
        reflection = -(own[1 : n + 1] @ backward[:n]) / error
        shifted = np.concatenate([[0.0], backward[:n]])
        shifted[:n] += reflection * backward[n - 1 :: -1]
        shifted[n] = 1.0
        backward[: n + 1] = shifted
        error *= 1 - reflection**2
        x[: n + 1] += (cross[n] - row @ x[:n]) / error * shifted
    return x
