"""What local servers of recognition share: a client's audio, on its way to a recogniser."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import numpy as np

from trunkline.contracts import Context, Stage
from trunkline.media.g711 import mulaw_decode
from trunkline.media.resample import StreamResampler
from trunkline.types import (
    SAMPLE_RATE,
    AudioFrame,
    CallId,
    DataClass,
    Sample,
    Transcript,
    Where,
)

Recogniser = Stage[AsyncIterator[AudioFrame], Transcript]

_QUEUED = 500  # messages of audio that the recogniser is behind; then the socket is not read
_CONTEXT = Context(Where(CallId("local")), DataClass.AUDIO)


class Ear:
    """One utterance: audio as it comes, at *rate* samples a second, mu-law or 16-bit linear."""

    def __init__(self, rate: int, *, mulaw: bool) -> None:
        self._mulaw, self._resampler = mulaw, StreamResampler(rate, SAMPLE_RATE)
        self._frames: asyncio.Queue[AudioFrame | None] = asyncio.Queue(maxsize=_QUEUED)
        self._samples = 0

    @property
    def seconds(self) -> float:
        """How much audio came."""
        return self._samples / SAMPLE_RATE

    async def put(self, audio: bytes) -> None:
        """More of it."""
        even = len(audio) - len(audio) % 2
        pcm = mulaw_decode(audio) if self._mulaw else np.frombuffer(audio[:even], "<i2")
        pcm = self._resampler.feed(pcm)
        await self._frames.put(AudioFrame(pcm.tobytes(), Sample(self._samples)))
        self._samples += len(pcm)

    async def end(self) -> None:
        """That was all."""
        await self._frames.put(None)

    async def hear(
        self, recogniser: Recogniser, told: Callable[[Transcript], Awaitable[None]]
    ) -> None:
        """Give all of it to *recogniser*; *told* gets what that makes of it."""
        async with recogniser.open(self._source(), _CONTEXT) as transcripts:
            async for transcript in transcripts:
                await told(transcript)

    async def _source(self) -> AsyncIterator[AudioFrame]:
        while (frame := await self._frames.get()) is not None:
            yield frame
