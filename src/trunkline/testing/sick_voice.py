"""A simulated synthesiser that fails as real ones do: in the middle of a sentence, and politely.

`SickTts` streams audio in pieces, faster than it is spoken, with or without word marks. A
`Sickness` strikes the phrases that contain its text, after so many words of what it was asked for.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trunkline.contracts import Context
from trunkline.core.playout import WORDS_PER_S
from trunkline.errors import EndpointError, Fault
from trunkline.testing.simulated import endpoint
from trunkline.types import SAMPLE_RATE, Phrase, Speech, SpokenWord, StageName

WORD_SAMPLES = int(SAMPLE_RATE / WORDS_PER_S)


@dataclass(frozen=True, slots=True)
class Sickness:
    """*kind*: `die` breaks the stream, `stall` leaves it open without a byte, `mute` goes on with
    silence, `shorten` closes the phrase as if it were complete, `close` the stream, `drip` goes on
    at half the speed of speech, `refuse` wants nothing of it. `part` is well: it says the phrase
    and closes the stream. *after_words* 0: before the first audio. *times* it strikes."""

    kind: Literal["die", "refuse", "stall", "mute", "shorten", "close", "part", "drip"]
    after_words: int = 0
    times: int = 1


class SickTts:
    """A synthesiser whose phrases are struck by *sick*: text in them -> what happens.

    *pace*: seconds of audio made in a second; *amplitude*: of its hum; *marks*: whether it tells
    where words begin. `spoken` keeps what it was asked for, `open_streams` must be 0 after a call.
    """

    def __init__(
        self,
        name: str,
        sick: Mapping[str, Sickness] | None = None,
        *,
        ttfb_s: float = 0.05,
        piece_s: float = 0.2,
        pace: float = 10.0,
        amplitude: int = 4000,
        marks: bool = True,
    ) -> None:
        self.endpoint = endpoint(name, StageName("tts"))
        self.spoken: list[str] = []
        self.open_streams = 0
        self._sick = dict(sick or {})
        self._struck: dict[str, int] = {}
        self._ttfb_s, self._piece, self._pace = ttfb_s, round(piece_s * SAMPLE_RATE), pace
        self._amplitude, self._marks = amplitude, marks

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        """Synthesise each phrase as it comes."""
        del context
        self.open_streams += 1
        try:
            yield self._synthesise(source)
        finally:
            self.open_streams -= 1

    async def _synthesise(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        async for phrase in source:
            self.spoken.append(phrase.text)
            sickness = self._strikes(phrase.text)
            await asyncio.sleep(self._ttfb_s)
            whole = self._whole(phrase)
            end = len(whole.pcm) // 2
            if sickness is not None and sickness.kind != "part":
                end = min(end, sickness.after_words * WORD_SAMPLES + WORD_SAMPLES // 2)
                end *= bool(sickness.after_words)
            last = sickness is None or sickness.kind in {"shorten", "part"}
            async for piece in self._stream(whole, 0, end, self._pace, last=last):
                yield piece
            if sickness is not None and sickness.kind == "part":
                return
            if sickness is not None and sickness.kind != "shorten":
                async for piece in self._sickly(sickness, whole, end):
                    yield piece
                if sickness.kind == "close":
                    return

    async def _sickly(self, sickness: Sickness, whole: Speech, at: int) -> AsyncIterator[Speech]:
        match sickness.kind:
            case "refuse":
                raise EndpointError(self.endpoint.name, Fault.REFUSED, "401")
            case "die":
                raise EndpointError(self.endpoint.name, Fault.CUT, "reset")
            case "stall":
                await asyncio.get_running_loop().create_future()
            case "mute":
                silent = Speech(whole.phrase, bytes(len(whole.pcm)), whole.words, last=True)
                async for piece in self._stream(silent, at, len(whole.pcm) // 2, self._pace):
                    yield piece
            case "drip":
                async for piece in self._stream(whole, at, len(whole.pcm) // 2, 0.5):
                    yield piece
            case _:
                pass

    async def _stream(
        self, whole: Speech, start: int, end: int, pace: float, *, last: bool = True
    ) -> AsyncIterator[Speech]:
        while start < end:
            stop = min(start + self._piece, end)
            marks = tuple(word for word in whole.words if start <= word.at < stop)
            pcm = whole.pcm[2 * start : 2 * stop]
            yield Speech(whole.phrase, pcm, marks, last=last and stop == end)
            await asyncio.sleep((stop - start) / SAMPLE_RATE / pace)
            start = stop

    def _strikes(self, text: str) -> Sickness | None:
        for struck, sickness in self._sick.items():
            if struck in text and self._struck.get(struck, 0) < sickness.times:
                self._struck[struck] = self._struck.get(struck, 0) + 1
                return sickness
        return None

    def _whole(self, phrase: Phrase) -> Speech:
        marks, start = [], 0
        for number, word in enumerate(phrase.text.split(" ")):
            marks.append(SpokenWord(start, start + len(word), number * WORD_SAMPLES))
            start += len(word) + 1
        # A hum is as loud as its half-waves: 100 Hz, so that a crossfade has something to fade.
        t = np.arange(len(marks) * WORD_SAMPLES)
        wave = np.where(t // 40 % 2, self._amplitude, -self._amplitude).astype(np.int16)
        return Speech(phrase.index, wave.tobytes(), tuple(marks) if self._marks else ())
