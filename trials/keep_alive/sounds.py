"""What is said in a trial, and how it is told from the audio alone.

The agent says each word of `REPLY` as a tone of its own: companding, another level and a cut do not
change which tone it is, so the caller's tape tells which words were heard, when, and how often. The
caller says a recording, because only a voice opens a turn; its samples reach a recogniser as they
are, so `Ears` finds pieces of them: a piece that is lost or given twice is a word lost or twice.
"""

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib.resources import files
from itertools import pairwise
from pathlib import Path
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from typing_extensions import override

from trunkline.contracts import Context
from trunkline.media import wav
from trunkline.media.g711 import mulaw_decode, mulaw_encode
from trunkline.testing.simulated import SimTts, endpoint
from trunkline.types import SAMPLE_RATE, STT, AudioFrame, Phrase, Speech, SpokenWord, Transcript

Samples = NDArray[np.int16]

SENTENCES: Final = (
    "Yes, we are open today.",
    "Doctors answer from eight until six each weekday.",
    "Parking behind our building costs nothing before evening.",
)
REPLY: Final = " ".join(SENTENCES)
WORDS: Final = re.findall(r"\w+", REPLY.casefold())
assert len(set(WORDS)) == len(WORDS), "a word that stands twice cannot be told from one repeated"
QUESTION: Final = "where can i park my car today please"
"""Words that are surely all: they end in a courtesy."""

WORD_S: Final = 0.3
PAUSE_S: Final = 0.04
SOUND_S: Final = WORD_S - PAUSE_S
_LOWEST_HZ, _APART_HZ, _OTHER_HZ = 500, 100, 350
_WINDOW, _HOP = SAMPLE_RATE // 50, SAMPLE_RATE // 100
_QUIET: Final = 200
_PAD: Final = 8


def _clip() -> Samples:
    path = Path(str(files("trunkline").joinpath("console/clips"))) / "time.wav"
    return mulaw_decode(mulaw_encode(wav.read(path)))


CALLER: Final = mulaw_encode(_clip())
"""What the caller says, in mu-law at 8 kHz."""


def _pieces() -> list[bytes]:
    """The voiced part of the caller's audio, cut into as many pieces as the question has words."""
    loud = np.flatnonzero(np.abs(_clip().astype(int)) > 1_000)
    count = len(QUESTION.split())
    edges = np.linspace(loud[0], loud[-1], count + 1).astype(int)
    return [CALLER[a:b] for a, b in pairwise(edges)]


class Ears:
    """Hears the pieces of the caller's audio: all of them, in the order in which they came."""

    def __init__(self, final_s: float) -> None:
        self.endpoint = endpoint("ears", STT)
        self._final_s = final_s
        words = dict(zip(_pieces(), QUESTION.split(), strict=True))
        self._words = words
        self._any = re.compile(b"|".join(map(re.escape, words)))

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """An interim for every new word, and all of them *final_s* after the end."""
        del context
        yield self._hear(source)

    async def _hear(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        heard, known = bytearray(), ""
        async for frame in source:
            heard += mulaw_encode(np.frombuffer(frame.pcm, np.int16))
            if (text := self._text(heard)) != known:
                known = text
                yield Transcript(text, final=False)
        await asyncio.sleep(self._final_s)
        yield Transcript(self._text(heard), final=True)

    def _text(self, heard: bytearray) -> str:
        return " ".join(self._words[found] for found in self._any.findall(heard))


def spoken(text: str) -> Samples:
    """*text* as tones, at 8 kHz."""
    at = np.arange(round(SOUND_S * SAMPLE_RATE)) / SAMPLE_RATE
    pause = np.zeros(round(PAUSE_S * SAMPLE_RATE), np.int16)
    parts = [pause[:0]]
    for word in re.findall(r"\S+", text):
        plain = "".join(re.findall(r"\w", word.casefold()))
        known = plain in WORDS
        hertz = _LOWEST_HZ + _APART_HZ * WORDS.index(plain) if known else _OTHER_HZ
        parts += [(8_000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16), pause]
    return np.concatenate(parts)


class Voice(SimTts):
    """Says tones, with a mark for each word."""

    @override
    def speech(self, phrase: Phrase) -> Speech:
        marks = [
            SpokenWord(it.start(), it.end(), round(number * WORD_S * SAMPLE_RATE))
            for number, it in enumerate(re.finditer(r"\S+", phrase.text))
        ]
        return Speech(phrase.index, spoken(phrase.text).tobytes(), tuple(marks), last=True)


@dataclass(frozen=True, slots=True)
class Sound:
    """A stretch of one word's tone (-1: of no word of the reply); seconds."""

    word: int
    start_s: float
    end_s: float


def sounds(pcm: Samples) -> list[Sound]:
    """The stretches of tone in *pcm*, in order."""
    if len(pcm) < _WINDOW:
        return []
    windows = sliding_window_view(pcm, _WINDOW)[::_HOP].astype(np.float64)
    loud = np.abs(windows).mean(axis=1) >= _QUIET
    spectra = np.abs(np.fft.rfft(windows * np.hanning(_WINDOW), _PAD * _WINDOW, axis=1))
    hertz = spectra.argmax(axis=1) * SAMPLE_RATE / (_PAD * _WINDOW)
    place = np.round((hertz - _LOWEST_HZ) / _APART_HZ).astype(int)
    place[(place < 0) | (place >= len(WORDS))] = -1
    found: list[Sound] = []
    for number in np.flatnonzero(loud):
        word, start_s = int(place[number]), number * _HOP / SAMPLE_RATE
        end_s = start_s + _WINDOW / SAMPLE_RATE
        if found and found[-1].word == word and start_s <= found[-1].end_s:
            found[-1] = Sound(word, found[-1].start_s, end_s)
        else:
            found.append(Sound(word, start_s, end_s))
    return found


@dataclass(frozen=True, slots=True)
class Telling:
    """How the reply was heard. *onsets_s*: of each word, when it was first heard (`inf`: never).

    *ends_s*: when its sound ended. *lost*, *repeated*: words of which less than four fifths were
    heard, or of which more than that was heard again.
    """

    onsets_s: Sequence[float]
    ends_s: Sequence[float]
    lost: Sequence[str]
    repeated: Sequence[str]


def telling(pcm: Samples) -> Telling:
    """What of the reply is on the agent's tape *pcm*."""
    heard = [it for it in sounds(pcm) if it.end_s - it.start_s > 2 * _WINDOW / SAMPLE_RATE]
    onsets, ends, lost, repeated = [], [], [], []
    for number, word in enumerate(WORDS):
        mine = [it for it in heard if it.word == number]
        # Each stretch is seen a window too long, less what it takes to be loud at its edges.
        length_s = sum(it.end_s - it.start_s - 0.5 * _WINDOW / SAMPLE_RATE for it in mine)
        onsets.append(mine[0].start_s if mine else np.inf)
        ends.append(mine[-1].end_s if mine else np.inf)
        if length_s < 0.8 * SOUND_S:
            lost.append(word)
        if length_s > 1.3 * SOUND_S:
            repeated.append(word)
    order = [onset for onset in onsets if onset < np.inf]
    if order != sorted(order):
        repeated.append("(out of order)")
    return Telling(onsets, ends, lost, repeated)
