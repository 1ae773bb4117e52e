"""The engines behind the local servers of speech: one that says words, one that is late."""

import asyncio
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from trials.embedded_rig import CONTEXT, endpoint
from trunkline.contracts import Context
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.types import SAMPLE_RATE, TTS, AudioFrame, Phrase, Speech, SpokenWord, Transcript

WORD_GAP: Final = SAMPLE_RATE // 25
"""40 ms of silence behind each word."""
SENTENCE_GAP: Final = SAMPLE_RATE // 10

Samples = NDArray[np.int16]


class Words:
    """The sound of each word, as espeak says it by itself, without the silence around it."""

    def __init__(self) -> None:
        self.of: dict[str, Samples] = {}

    async def learn(self, texts: Iterable[str]) -> None:
        """Render the words of *texts*."""
        espeak = EspeakTts(endpoint(TTS), {})
        await espeak.start()
        try:
            for word in {plain for text in texts for plain in words_of(text)}:
                self.of[word] = await _rendered(espeak, word)
        finally:
            await espeak.close()


async def _rendered(espeak: EspeakTts, word: str) -> Samples:
    async def one() -> AsyncIterator[Phrase]:
        yield Phrase(0, word)

    async with espeak.open(one(), CONTEXT) as pieces:
        pcm = np.frombuffer(b"".join([piece.pcm async for piece in pieces]), np.int16)
    loud = np.flatnonzero(np.abs(pcm.astype(int)) > 100)
    return pcm[loud[0] : loud[-1] + 1]


def words_of(text: str) -> list[str]:
    return re.findall(r"[a-z]+", text.lower())


@dataclass(frozen=True, slots=True)
class Sick:
    """A voice that ends cleanly (`early`) or goes silent (`mute`) after *words* of *sentence*."""

    how: str
    sentence: str
    words: int


class WordVoice:
    """A synthesiser that says one word after the other, with a mark for each."""

    def __init__(self, words: Words, sick: Sick | None = None) -> None:
        self.endpoint = endpoint(TTS)
        self._words, self._sick = words, sick

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        del context

        async def speak() -> AsyncIterator[Speech]:
            async for phrase in source:
                yield self._say(phrase)

        yield speak()

    def _say(self, phrase: Phrase) -> Speech:
        sick = self._sick if self._sick and self._sick.sentence == phrase.text else None
        pcm, marks = [], []
        at = 0
        for number, match in enumerate(re.finditer(r"\S+", phrase.text)):
            struck = sick is not None and number >= sick.words
            if struck and sick is not None and sick.how == "early":
                break
            sound = self._words.of[words_of(match[0])[0]]
            marks.append(SpokenWord(match.start(), match.end(), at))
            pcm += [sound * (not struck), np.zeros(WORD_GAP, np.int16)]
            at += len(sound) + WORD_GAP
        audio = np.concatenate([*pcm, np.zeros(SENTENCE_GAP, np.int16)]).astype(np.int16)
        return Speech(phrase.index, audio.tobytes(), tuple(marks), last=True)

    def seconds(self, text: str) -> float:
        """How long *text* takes."""
        return len(self._say(Phrase(0, text)).pcm) / 2 / SAMPLE_RATE


class LateEars:
    """A recogniser whose final transcripts come late."""

    def __init__(self, inner: PocketsphinxStt, late_s: float) -> None:
        self.endpoint, self._inner, self._late_s = inner.endpoint, inner, late_s

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        async with self._inner.open(source, context) as transcripts:

            async def late() -> AsyncIterator[Transcript]:
                async for transcript in transcripts:
                    await asyncio.sleep(self._late_s * transcript.final)
                    yield transcript

            yield late()
