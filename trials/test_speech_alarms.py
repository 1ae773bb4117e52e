"""No sentence of a real synthesiser is mistaken for a lie or for a cut one.

espeak-ng, its child process and its word marks; two paces, of which one is more than twice as fast
as the prior of `core.tempo` expects.
"""

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import pytest

from trunkline.contracts import Context
from trunkline.core.phrases import Phrases
from trunkline.core.takes import Take
from trunkline.core.tempo import Tempo
from trunkline.media.loudness import silences
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.testing.simulated import endpoint
from trunkline.types import SAMPLE_RATE, TTS, CallId, DataClass, Phrase, Where

pytest.importorskip("espeakng_loader")

SAID = """
Thank you for calling Riverside Dental. I am Sam, an AI assistant. Is that all right with you?
I am sorry, I am having technical trouble and cannot go on. Please call us again in a few minutes.
Are you still there? Yes. Of course. Hm. Sure, one moment. No problem! Well - let me see... fine.
We are open Monday to Friday, from nine in the morning until five in the afternoon.
Your appointment is on the 14th of November 2026 at 3:45 p.m. with Dr. Miller. It costs $120.50.
The code is 4 7 1 1. Call 555-0182, or write to info at example dot com; otherwise, come on Friday.
There is free parking behind the house (second entrance on the left), and the bus stop is near.
"""
CONTEXT = Context(Where(CallId("trial")), DataClass.SPEECH_TEXT)


async def one(phrase: Phrase) -> AsyncIterator[Phrase]:
    """Just that."""
    yield phrase


@pytest.mark.ci
@pytest.mark.parametrize("rate", [165, 400])
def test_no_sentence_of_espeak_is_rejected(rate: int) -> None:
    """Three times over, so that the voice's pace is known by the end."""
    assert asyncio.run(judged(rate)).known


async def judged(rate: int) -> Tempo:
    """Every sentence was said and believed; the pace that was learnt from them."""
    phrases, tempo = Phrases(), Tempo()
    sentences = [*phrases.feed(SAID * 3), phrases.end()]
    espeak = EspeakTts(endpoint("voice", TTS), {"rate": rate})
    await espeak.start()
    try:
        for text in filter(None, sentences):
            take = Take(text)
            async with espeak.open(one(Phrase(0, text)), CONTEXT) as pieces:
                async for piece in pieces:
                    pcm = np.frombuffer(piece.pcm, np.int16)
                    quiet = silences(pcm, take.samples)
                    take.add(len(pcm), piece.words, quiet, last=piece.last)
                    assert take.lies_at() is None, text
            assert take.short(tempo) == "", text
            tempo.learn(len(text), take.samples / SAMPLE_RATE)
    finally:
        await espeak.close()
    return tempo
