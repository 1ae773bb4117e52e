"""Real speech through the vendors' protocols: what our codecs hear, and what others' clients hear.

The local servers stand before the embedded engines, which can be asked directly, too: what comes
over the wire must be the same. LiveKit's plugins and Deepgram's own SDK are the outsiders; they run
in an environment of their own (`trials/peers`), which is made on first use.
"""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from trials.embedded_rig import CONTEXT, endpoint
from trials.peers import environment
from trials.speech_rig import collect, context, phrases, rig, trial
from trials.test_embedded_speech import CLIPS, TEXTS, over_the_phone
from trunkline.media import wav
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.testing.cartesia_server import CartesiaServer
from trunkline.testing.deepgram_server import DeepgramServer
from trunkline.testing.elevenlabs_server import ElevenLabsServer
from trunkline.types import SAMPLE_RATE, STT, TTS, AudioFrame, DataClass, Sample, Speech

CLIENT = Path(__file__).parent / "peers" / "speech_client.py"
CLIP = "book"
LINES = ("We are open on Tuesday from 9:30 to five.", "It costs $120, please bring your card.")
MS = SAMPLE_RATE // 1_000
AT = 40_000


def pcm() -> bytes:
    return over_the_phone(wav.read(CLIPS / f"{CLIP}.wav").tobytes())


async def frames(at: int = AT, gap_at: int | None = None) -> AsyncIterator[AudioFrame]:
    """The clip; after byte *gap_at* a second of the call is missing."""
    audio = pcm()
    for start in range(0, len(audio), 320):
        late = SAMPLE_RATE if gap_at is not None and start >= gap_at else 0
        yield AudioFrame(audio[start : start + 320], Sample(at + late + start // 2))


def audio_of(pieces: list[Speech]) -> bytes:
    return b"".join(piece.pcm for piece in pieces)


@pytest.mark.ci
@pytest.mark.parametrize("gap_at", [None, 8_000])
def test_the_wire_changes_nothing_that_is_heard(gap_at: int | None) -> None:
    """The recogniser behind Deepgram's protocol: the same words at the same places of the call."""

    @trial
    async def test() -> None:
        stt = PocketsphinxStt(endpoint(STT), {"decoders": 1})
        try:
            direct = (await collect(stt, frames(gap_at=gap_at), CONTEXT))[-1]
            async with rig() as r, DeepgramServer(stt) as s:
                over = (await collect(r.ears(s.base_url), frames(gap_at=gap_at), context()))[-1]
        finally:
            await stt.close()
        assert over.final
        assert over.text == direct.text == TEXTS[CLIP]
        for mine, true in zip(over.words, direct.words, strict=True):
            assert mine.text == true.text
            assert abs(mine.start - true.start) <= MS
            assert abs(mine.end - true.end) <= MS

    test()


@pytest.mark.ci
@trial
async def test_the_wire_changes_nothing_that_is_said() -> None:
    """The voice behind ElevenLabs' protocol: the same samples, the words within a millisecond."""
    tts = EspeakTts(endpoint(TTS), {})
    try:
        direct = await collect(tts, phrases(*LINES), CONTEXT)
        async with rig() as r, ElevenLabsServer(tts) as s:
            asked = context(None, DataClass.SPEECH_TEXT)
            over = await collect(r.voice(s.base_url), phrases(*LINES), asked)
    finally:
        await tts.close()
    for number in range(len(LINES)):
        true = [piece for piece in direct if piece.phrase == number]
        mine = [piece for piece in over if piece.phrase == number]
        assert audio_of(mine) == over_the_phone(audio_of(true))
        words = list(itertools.chain.from_iterable(piece.words for piece in mine))
        wanted = list(itertools.chain.from_iterable(piece.words for piece in true))
        assert [(w.start, w.end) for w in words] == [(w.start, w.end) for w in wanted]
        assert all(abs(a.at - b.at) <= MS for a, b in zip(words, wanted, strict=True))


async def outsider(kind: str, url: str, what: str) -> dict[str, Any]:
    python = await asyncio.to_thread(environment.python)
    process = await asyncio.create_subprocess_exec(
        python, CLIENT, kind, url, what, stdout=asyncio.subprocess.PIPE, env={}
    )
    assert process.stdout is not None
    said = await process.stdout.read()
    assert await process.wait() == 0
    heard: dict[str, Any] = json.loads(said)
    return heard


def test_outsiders_hear_what_we_hear(tmp_path: Path) -> None:
    """LiveKit's plugin and Deepgram's SDK: the same text, the same words at the same times."""
    environment.python()  # outside of the trial's bound: it may have to be fetched
    clip = tmp_path / "clip.pcm"
    clip.write_bytes(pcm())

    @trial(bound_s=90)
    async def test() -> None:
        stt = PocketsphinxStt(endpoint(STT), {"decoders": 1})
        try:
            async with rig() as r, DeepgramServer(stt) as s:
                ours = (await collect(r.ears(s.base_url), frames(0), context()))[-1]
                words = [[w.text, w.start / SAMPLE_RATE, w.end / SAMPLE_RATE] for w in ours.words]
                for kind in ("livekit-stt", "deepgram-sdk"):
                    theirs = await outsider(kind, s.base_url, str(clip))
                    print(kind, theirs["final"])
                    assert theirs["final"] == [ours.text]
                    assert theirs["interim"], "they are told while the caller speaks"
                    for (text, *times), (said, *told) in zip(words, theirs["words"], strict=True):
                        assert text == said
                        assert times == pytest.approx(told, abs=0.002)
        finally:
            await stt.close()

    test()


@pytest.mark.parametrize("vendor", ["elevenlabs", "cartesia"])
def test_outsiders_are_told_what_we_are_told(vendor: str) -> None:
    """LiveKit's plugins: as much audio, the same words at the same times.

    The one for ElevenLabs reads times as relative to the context, so the server tells them so.
    """
    environment.python()

    @trial(bound_s=90)
    async def test() -> None:
        tts = EspeakTts(endpoint(TTS), {})
        server = (
            ElevenLabsServer(tts, times="context")
            if vendor == "elevenlabs"
            else CartesiaServer(tts)
        )
        try:
            async with rig() as r, server as s:
                stage = (r.voice if vendor == "elevenlabs" else r.other_voice)(s.base_url)
                asked = context(None, DataClass.SPEECH_TEXT)
                ours = await collect(stage, phrases(LINES[0]), asked)
                theirs = await outsider(f"livekit-{vendor}", s.base_url, LINES[0])
        finally:
            await tts.close()
        words = [
            [LINES[0][word.start : word.end], word.at / SAMPLE_RATE]
            for piece in ours
            for word in piece.words
        ]
        assert theirs["samples"] == pytest.approx(len(audio_of(ours)), abs=1_600)
        assert [text for text, _ in theirs["words"]] == [text for text, _ in words]
        assert [at for _, at in theirs["words"]] == pytest.approx(
            [at for _, at in words], abs=0.002
        )

    test()
