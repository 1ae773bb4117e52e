"""Changing the sample rate: `StreamResampler` on the live path, `resample` everywhere else.

Theory of operation. The live path may not wait: a high-quality resampler with a long filter gives
nothing for its first frames. Here the filter is a windowed sinc (Kaiser, 80 dB; Oppenheim and
Schafer, Discrete-Time Signal Processing, 7.5.3) of a fixed *duration*, so that the delay depends
only on the lower of the two rates: 2.1 ms where that is 8 kHz. What it costs is a wide transition:
flat to 0.85 of the lower Nyquist frequency, closed from 1.15 on. At 8 kHz that is 3.4 kHz, where
the telephone band ends, and 4.6 kHz, whose alias lands at 3.4 kHz: all that folds, folds above
the band.

The rates' ratio is L/M in lowest terms. Output n lies at n*M on a grid L times finer than the
input's, and needs only one of L phases of the filter: a polyphase bank (Crochiere and Rabiner).

The coefficients are integers over 2**20. So every product and every partial sum is an integer
below 2**53, floating point is exact, and no order of summation can change a bit of the output:
the result does not depend on how the stream was cut into chunks.
"""

from functools import lru_cache
from math import gcd, pi
from typing import Final

import numpy as np
import soxr
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trunkline.errors import InputError

_STOPBAND_DB: Final = 80.0
_TRANSITION: Final = 0.30  # width, as a share of the lower Nyquist frequency
_SCALE: Final = 1 << 20
_RATE_MIN_HZ, _RATE_MAX_HZ = 8_000, 48_000
_BANK_MAX: Final = 50_000  # coefficients: 400 kB a pair of rates


@lru_cache(maxsize=32)
def _bank(rate_in: int, rate_out: int) -> NDArray[np.float64]:
    """The filter as phases[L, taps], each phase reversed in time and of unit gain times _SCALE."""
    up = rate_out // gcd(rate_in, rate_out)
    if rate_in == rate_out:
        return np.full((1, 1), float(_SCALE))
    low = min(rate_in, rate_out)
    width = 2 * pi * _TRANSITION * low / 2 / (up * rate_in)  # radians a sample of the fine grid
    length = (_STOPBAND_DB - 8) / (2.285 * width)
    taps = int(np.ceil(length / up))
    if up * taps > _BANK_MAX:
        raise InputError(
            f"cannot resample {rate_in} Hz to {rate_out} Hz live: their ratio {up}/"
            f"{rate_in // gcd(rate_in, rate_out)} needs too large a filter. "
            "Use a common rate (8000, 16000, 22050, 24000, 44100, 48000)"
        )
    grid = np.arange(up * taps) - (up * taps - 1) / 2
    window = np.kaiser(up * taps, 0.1102 * (_STOPBAND_DB - 8.7))
    phases = (np.sinc(grid * low / (up * rate_in)) * window).reshape(taps, up).T[:, ::-1]
    # Unit gain per phase: else a constant input would come out with a tone at the lower rate.
    bank = np.rint(phases / phases.sum(axis=1, keepdims=True) * _SCALE)
    return np.ascontiguousarray(bank)


class StreamResampler:
    """A causal resampler for a stream of 16-bit mono samples; holds < 5 ms of it.

    Any two rates of 8,000 to 48,000 Hz with a ratio that keeps the filter small; equal rates pass
    through. Raises `InputError` for others.
    """

    def __init__(self, rate_in: int, rate_out: int) -> None:
        for rate in (rate_in, rate_out):
            if not _RATE_MIN_HZ <= rate <= _RATE_MAX_HZ:
                raise InputError(
                    f"cannot resample {rate_in} Hz to {rate_out} Hz live: {rate} is not within "
                    f"{_RATE_MIN_HZ} to {_RATE_MAX_HZ}. Give the rate in hertz"
                )
        self._bank = _bank(rate_in, rate_out)
        self._up: int = self._bank.shape[0]
        self._taps: int = self._bank.shape[1]
        self._down = rate_in // gcd(rate_in, rate_out)
        self._rate_in = rate_in
        self._reset()

    def _reset(self) -> None:
        self._history: NDArray[np.float64] = np.zeros(self._taps - 1)
        self._next = 0  # grid points from the next input sample to the next output sample

    @property
    def delay_s(self) -> float:
        """Seconds by which a sound comes out later than it went in (linear phase: all alike)."""
        return (self._up * self._taps - 1) / 2 / (self._up * self._rate_in)

    def feed(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """All output that *pcm* (any length, one dimension) completes."""
        signal: NDArray[np.float64] = np.concatenate((self._history, pcm))
        point = np.arange(self._next, len(pcm) * self._up, self._down)
        self._next += len(point) * self._down - len(pcm) * self._up
        self._history = signal[len(pcm) :]
        if not len(point):
            return np.empty(0, np.int16)
        at, phase = np.divmod(point, self._up)
        windows = sliding_window_view(signal, self._taps)[at]
        exact = np.einsum("ij,ij->i", windows, self._bank[phase])
        out: NDArray[np.int16] = np.clip(np.rint(exact / _SCALE), -32_768, 32_767).astype(np.int16)
        return out

    def flush(self) -> NDArray[np.int16]:
        """The `delay_s` of sound still inside; then the resampler is as new."""
        tail = self.feed(np.zeros(int(np.ceil(self.delay_s * self._rate_in)), np.int16))
        self._reset()
        return tail


def resample(pcm: NDArray[np.int16], rate_in: int, rate_out: int) -> NDArray[np.int16]:
    """A whole clip, `[n]` or `[n, channels]`, at soxr's high quality, without delay.

    The result has exactly `round(n * rate_out / rate_in)` samples. Raises `InputError` for a rate
    below 1 Hz.
    """
    if min(rate_in, rate_out) < 1:
        raise InputError(f"cannot resample {rate_in} Hz to {rate_out} Hz: rates are positive")
    if rate_in == rate_out:
        return pcm.copy()
    length = round(len(pcm) * rate_out / rate_in)
    if not len(pcm) or not length:
        return np.zeros((length, *pcm.shape[1:]), np.int16)
    out: NDArray[np.int16] = soxr.resample(pcm, rate_in, rate_out, quality="HQ")[:length]
    missing = [(0, length - len(out))] + [(0, 0)] * (pcm.ndim - 1)
    return np.pad(out, missing) if len(out) < length else out
