"""What local servers of synthesis share: a voice of ours, in the format that a client asks for."""

import base64
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from trunkline.contracts import Context, Stage
from trunkline.media.g711 import mulaw_encode
from trunkline.media.resample import resample
from trunkline.types import SAMPLE_RATE, CallId, DataClass, Phrase, Speech, SpokenWord, Where

RATES = frozenset({8_000, 16_000, 22_050, 24_000, 44_100, 48_000})
"""Samples per second that vendors offer."""
_CONTEXT = Context(Where(CallId("local")), DataClass.SPEECH_TEXT)


@dataclass(frozen=True, slots=True)
class Mouth:
    """An output format: samples per second, and mu-law or 16-bit linear."""

    rate: int
    mulaw: bool

    def encode(self, pcm: bytes) -> str:
        """16-bit mono at 8 kHz, in base64."""
        return base64.b64encode(self.raw(pcm)).decode()

    def raw(self, pcm: bytes) -> bytes:
        """16-bit mono at 8 kHz, in this format."""
        samples: NDArray[np.int16] = np.frombuffer(pcm, "<i2").astype(np.int16)
        if self.mulaw:
            return mulaw_encode(samples)
        return resample(samples, SAMPLE_RATE, self.rate).tobytes()


async def render(
    voice: Stage[AsyncIterator[Phrase], Speech], text: str
) -> tuple[bytes, Sequence[SpokenWord]]:
    """All of *text*: 16-bit mono at 8 kHz, and its words."""

    async def one() -> AsyncIterator[Phrase]:
        yield Phrase(0, text)

    async with voice.open(one(), _CONTEXT) as speech:
        pieces = [piece async for piece in speech]
    return b"".join(piece.pcm for piece in pieces), [w for piece in pieces for w in piece.words]
