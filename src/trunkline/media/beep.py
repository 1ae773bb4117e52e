"""The tone after which a caller speaks."""

from functools import cache
from typing import Final

import numpy as np

from trunkline.types import SAMPLE_RATE

BEEP_S: Final = 0.4
_HERTZ: Final = 1_000.0
_AMPLITUDE: Final = 6_000.0
_EDGE: Final = 80  # samples: an edge that is not softened clicks


@cache
def beep() -> bytes:
    """1 kHz for `BEEP_S`, 16-bit mono 8 kHz, about as loud as speech."""
    n = np.arange(round(BEEP_S * SAMPLE_RATE))
    edge = np.clip(np.minimum(n, n[::-1]) / _EDGE, 0.0, 1.0)
    wave = _AMPLITUDE * edge * np.sin(2 * np.pi * _HERTZ * n / SAMPLE_RATE)
    return wave.astype(np.int16).tobytes()
