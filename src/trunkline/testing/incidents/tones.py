"""A language of tones: every word is a pair of frequencies, so that a tape says which were heard.

A simulated voice hums and a simulated recogniser is told what to hear; a test of either believes
the shell that it tests. Here the words are in the audio, at both ends of the line: the voice that
sings them, the recogniser that hears them and the judge of the tape share nothing but a
`Vocabulary`, and a word that was cut off, lost or said twice shows on the tape itself.

A word is one tone of a low and one of a high band, as in DTMF (ITU-T Q.23), with a short silence
behind it, `AGENT_WORD` or `CALLER_WORD` samples long. The bands are narrow enough for G.711 and for
one 60 ms window to tell all of them apart.
"""

import re
from collections.abc import Iterable, Sequence
from itertools import repeat

import numpy as np
from numpy.typing import NDArray

from trunkline.core.playout import WORDS_PER_S
from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE, Phrase, Speech, SpokenWord

AGENT_WORD = int(SAMPLE_RATE / WORDS_PER_S)
CALLER_WORD = SAMPLE_RATE // 4
WHOLE = 0.6
"""A word of which less was heard was not heard."""
_LOW = 500.0 + 40.0 * np.arange(24)
_HIGH = 1700.0 + 60.0 * np.arange(24)
WORDS_MAX = len(_LOW) * len(_HIGH)
_SILENT = 160
_WINDOW = 480
_HOP = 80
_AMPLITUDE = 3000
_LOUD = 400
_TIMES = np.arange(_WINDOW) / SAMPLE_RATE
_TAPER = np.hanning(_WINDOW).astype(np.float32)
_WAVES = np.outer(np.concatenate((_LOW, _HIGH)), 2 * np.pi * _TIMES)
_PROBES = np.concatenate((np.cos(_WAVES), np.sin(_WAVES))).astype(np.float32).T
_PURE = 2 * float((_TAPER**2).sum()) / float(_TAPER.sum()) ** 2
"""Times a tone's squared probe: its share of the window's energy."""
_CLEAR = 0.6
"""Of a window's energy, what its strongest two tones must have to be a word."""

Pcm = NDArray[np.int16]


def words_of(text: str) -> list[str]:
    """The words of *text* as they are compared: lower case, without signs."""
    return [word for it in text.lower().split() if (word := re.sub(r"[^\w'-]", "", it))]


class Vocabulary:
    """Which word is which pair of tones; `InputError` beyond `WORDS_MAX` words."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._words: list[str] = []

    def tone(self, word: str, samples: int) -> Pcm:
        """*word* as so many samples of audio, the silence behind it among them."""
        number = self._number(word)
        t = np.arange(samples) / SAMPLE_RATE
        low, high = _LOW[number % len(_LOW)], _HIGH[number // len(_LOW)]
        wave = _AMPLITUDE * (np.sin(2 * np.pi * low * t) + np.sin(2 * np.pi * high * t))
        wave[-_SILENT:] = 0
        pcm: Pcm = wave.astype(np.int16)
        return pcm

    def sung(self, text: str, samples: int) -> Pcm:
        """*text*, each word *samples* long."""
        tones = [self.tone(word, samples) for word in words_of(text)]
        return np.concatenate(tones) if tones else np.zeros(0, np.int16)

    def speech(self, phrase: Phrase) -> Speech:
        """*phrase* as a synthesiser gives it: its tones, and a mark where each word begins."""
        marks, at = [], 0
        for word in re.finditer(r"\S+", phrase.text):
            if words_of(word[0]):
                marks.append(SpokenWord(word.start(), word.end(), at))
                at += AGENT_WORD
        pcm = self.sung(phrase.text, AGENT_WORD)
        return Speech(phrase.index, pcm.tobytes(), tuple(marks), last=True)

    def heard(self, pcm: Pcm, samples: int) -> list[str]:
        """The words in *pcm* that were heard, each *samples* long when whole, in order."""
        return [self._words[number] for number in _runs(_windows(pcm), samples)]

    def _number(self, word: str) -> int:
        if word not in self._numbers:
            if len(self._words) == WORDS_MAX:
                raise InputError(f"more than {WORDS_MAX} different words: shorten the talk")
            self._numbers[word] = len(self._words)
            self._words.append(word)
        return self._numbers[word]


def _windows(pcm: Pcm) -> list[int | None]:
    """The number of the word in each window of *pcm*, `_HOP` apart; None: no word."""
    if len(pcm) < _WINDOW:
        return []
    views = np.lib.stride_tricks.sliding_window_view(pcm, _WINDOW)[::_HOP].astype(np.float32)
    loud = np.flatnonzero((views**2).mean(axis=1) > _LOUD**2)
    tapered = views[loud] * _TAPER
    waves = tapered @ _PROBES
    bands = len(_LOW) + len(_HIGH)
    power = waves[:, :bands] ** 2 + waves[:, bands:] ** 2
    low, high = power[:, : len(_LOW)], power[:, len(_LOW) :]
    share = _PURE * (low.max(axis=1) + high.max(axis=1)) / (tapered**2).sum(axis=1)
    numbers = low.argmax(axis=1) + len(_LOW) * high.argmax(axis=1)
    found: list[int | None] = [None] * len(views)
    for place, number, part in zip(loud, numbers, share, strict=True):
        if part > _CLEAR:
            found[place] = int(number)
    return found


def _runs(windows: Sequence[int | None], samples: int) -> Iterable[int]:
    """The words that last long enough; a seam without silence may join a word to itself."""
    number, length = None, 0
    for here in (*windows, None):
        if here == number:
            length += 1
            continue
        if number is not None:
            yield from repeat(number, int(length * _HOP / samples + 1 - WHOLE))
        number, length = here, 1
