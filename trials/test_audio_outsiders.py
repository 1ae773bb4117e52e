"""The vendors' own SDKs against our local servers of speech: what they hear, and what we hear.

They run in an environment of their own (`trials/peers`), which is made on first use.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from trials.embedded_rig import endpoint
from trials.peers import environment
from trials.speech_rig import (
    LINES,
    collect,
    context,
    fault,
    openai_speech_server,
    phrases,
    rig,
    trial,
)
from trials.test_embedded_speech import TEXTS
from trials.test_speech_outsiders import CLIP, frames, pcm
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.testing.aura_server import AuraServer
from trunkline.testing.openai_realtime_server import OpenAIRealtimeServer
from trunkline.testing.openai_speech_server import OpenAISpeechServer
from trunkline.testing.openai_transcription_server import OpenAITranscriptionServer
from trunkline.testing.simulated import SimTts
from trunkline.testing.soniox_server import SonioxServer
from trunkline.types import SAMPLE_RATE, STT, DataClass

CLIENT = Path(__file__).parent / "peers" / "audio_client.py"


async def outsider(kind: str, url: str, what: str) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        environment.python("audio"), CLIENT, kind, url, what, stdout=asyncio.subprocess.PIPE, env={}
    )
    assert process.stdout is not None
    said = await process.stdout.read()
    assert await process.wait() == 0
    told: dict[str, Any] = json.loads(said)
    return told


@pytest.mark.parametrize("vendor", ["openai-speech", "deepgram-speak"])
def test_an_sdk_is_told_what_we_are_told(vendor: str) -> None:
    """As much audio, in pieces, by the SDK at 24 kHz and by our codec at 8 kHz."""
    environment.python("audio")  # outside of the trial's bound: it may have to be fetched

    @trial(bound_s=90)
    async def test() -> None:
        voice = SimTts("hum", ttfb_s=0.0)
        server = OpenAISpeechServer(voice) if vendor == "openai-speech" else AuraServer(voice)
        async with rig() as r, server as s:
            stage = (r.openai_voice if vendor == "openai-speech" else r.aura_voice)(s.base_url)
            asked = context(None, DataClass.SPEECH_TEXT)
            ours = await collect(stage, phrases(LINES[0]), asked)
            theirs = await outsider(vendor, s.base_url, LINES[0])
        samples = sum(len(it.pcm) // 2 for it in ours)
        assert theirs["samples"] / 24_000 == pytest.approx(samples / SAMPLE_RATE, abs=0.01)
        assert theirs["pieces"] > 3
        assert theirs.get("events", ["Flushed"])[-1] == "Flushed"

    test()


@pytest.mark.parametrize(
    ("status", "error"), [(401, "AuthenticationError 401"), (429, "RateLimitError 429")]
)
def test_an_sdk_takes_our_errors_for_its_own(status: int, error: str) -> None:
    """A status of the server is the vendor's exception."""
    environment.python("audio")

    @trial(bound_s=90)
    async def test() -> None:
        async with openai_speech_server(fault(kind="status", status=status)) as s:
            assert (await outsider("openai-speech", s.base_url, "Hello."))["error"] == error

    test()


def test_sdks_hear_what_we_hear(tmp_path: Path) -> None:
    """Real speech before a real recogniser: the same text by every protocol, ours and theirs."""
    environment.python("audio")
    clip = tmp_path / "clip.pcm"
    clip.write_bytes(pcm())

    @trial(bound_s=200)
    async def test() -> None:
        stt = PocketsphinxStt(endpoint(STT), {"decoders": 1})
        try:
            async with rig() as r:
                async with OpenAITranscriptionServer(stt) as s:
                    ears = r.file_ears(s.base_url, words=True)
                    ours = (await collect(ears, frames(0), context()))[-1]
                    theirs = await outsider("openai-file", s.base_url, str(clip))
                    events = await outsider("openai-events", s.base_url, str(clip))
                assert ours.text == theirs["final"] == events["final"] == TEXTS[CLIP]
                assert "".join(events["interim"]) == events["final"]
                for word, (text, start, end) in zip(ours.words, theirs["words"], strict=True):
                    assert word.text == text
                    assert word.start / SAMPLE_RATE == pytest.approx(start, abs=0.002)
                    assert word.end / SAMPLE_RATE == pytest.approx(end, abs=0.002)
                async with OpenAIRealtimeServer(stt) as s:
                    live = await collect(r.realtime_ears(s.base_url), frames(0), context())
                    theirs = await outsider("openai-realtime", s.base_url, str(clip))
                assert live[-1].text == theirs["final"] == TEXTS[CLIP]
                assert len(live) > 1
                assert {"session.created", "session.updated"} <= set(theirs["events"])
                async with SonioxServer(stt) as s:
                    ours = (await collect(r.soniox_ears(s.base_url), frames(0), context()))[-1]
                    theirs = await outsider("soniox", s.base_url, str(clip))
                assert ours.text == theirs["final"] == TEXTS[CLIP]
                assert [word.text for word in ours.words] == TEXTS[CLIP].split()
                assert theirs["finished"]
        finally:
            await stt.close()

    test()
