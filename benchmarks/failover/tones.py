"""Speech of which a program can tell the words: each is a tone of its own.

Loudness, companding and resampling do not change which tone it is. Audio is 16-bit mono.
"""

import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from trunkline.contracts import Context
from trunkline.testing.simulated import SimTts, endpoint
from trunkline.types import SAMPLE_RATE, STT, AudioFrame, Phrase, Speech, SpokenWord, Transcript

REPLY = (
    "We are open from eight until six during weekdays this month. Please bring your insurance card "
    "when visiting Doctor Miller again."
)
CALLER = "I would like to move my appointment with Doctor Miller to next Thursday at ten"
WORD_S, PAUSE_S = 0.38, 0.04
_LOWEST_HZ, _APART_HZ = 500, 100
_WINDOW_S = 0.02
_QUIET = 200
_VOCABULARY = list(dict.fromkeys(re.findall(r"\w+", f"{REPLY} {CALLER}".casefold())))
_SOUND_S = WORD_S - PAUSE_S


def spoken(text: str) -> NDArray[np.int16]:
    """*text* as tones, at 8 kHz."""
    at = np.arange(round(_SOUND_S * SAMPLE_RATE)) / SAMPLE_RATE
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.int16)
    parts = []
    for word in _words(text):
        hertz = _LOWEST_HZ + _APART_HZ * _VOCABULARY.index(word)
        parts += [(8_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16), pause]
    return np.concatenate(parts) if parts else pause


def seconds(pcm: NDArray[np.int16], rate: int) -> dict[str, float]:
    """How long each word sounds in *pcm*, in the order in which they are first heard."""
    size = round(_WINDOW_S * rate)
    heard: dict[str, float] = {}
    for start in range(0, len(pcm) - size + 1, size):
        window = pcm[start : start + size].astype(np.float64)
        if np.abs(window).mean() < _QUIET:
            continue
        spectrum = np.abs(np.fft.rfft(window * np.hanning(size), 8 * size))
        hertz = float(spectrum.argmax()) * rate / (8 * size)
        number = round((hertz - _LOWEST_HZ) / _APART_HZ)
        if 0 <= number < len(_VOCABULARY):
            word = _VOCABULARY[number]
            heard[word] = heard.get(word, 0.0) + _WINDOW_S
    return heard


def words(heard: dict[str, float]) -> list[str]:
    """The words that sound: those of which half is there; one that sounds twice stands twice."""
    return [word for word, sound_s in heard.items() for _ in range(int(sound_s / _SOUND_S + 0.5))]


def audio_lost_s(text: str, heard: dict[str, float]) -> float:
    """How much of the sound of *text* is missing."""
    return sum(max(_SOUND_S - heard.get(word, 0.0), 0.0) for word in _words(text))


class Voice(SimTts):
    """Says tones, with a mark for each word."""

    @override
    def speech(self, phrase: Phrase) -> Speech:
        marks = [
            SpokenWord(it.start(), it.end(), round(number * WORD_S * SAMPLE_RATE))
            for number, it in enumerate(re.finditer(r"\S+", phrase.text))
        ]
        return Speech(phrase.index, spoken(phrase.text).tobytes(), tuple(marks), last=True)


class Ears:
    """Hears tones: an interim for every new word, and all of them at the end."""

    def __init__(self) -> None:
        self.endpoint = endpoint("ears", STT)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        del context
        yield self._recognise(source)

    async def _recognise(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        pcm, rest = dict[str, float](), b""
        known: list[str] = []
        size = 2 * round(_WINDOW_S * SAMPLE_RATE)
        async for frame in source:
            rest += frame.pcm
            whole, rest = rest[: len(rest) // size * size], rest[len(rest) // size * size :]
            for word, sound_s in seconds(np.frombuffer(whole, np.int16), SAMPLE_RATE).items():
                pcm[word] = pcm.get(word, 0.0) + sound_s
            if (now := words(pcm)) != known:
                known = now
                yield Transcript(" ".join(known), final=False)
        yield Transcript(" ".join(words(pcm)), final=True)


def _words(text: str) -> Sequence[str]:
    return re.findall(r"\w+", text.casefold())
