"""Trunkline's speech stages as a subject: what a real call runs, with the shipped policies.

`calls.speak.Speaker` over ElevenLabs' and Cartesia's protocols, `calls.listen.Listener` over two
of Deepgram's; a new worker for each trial. In place of a carrier there is a clock that plays what
comes; in place of voice activity, the seconds that the caller has spoken.

trunkline_speech.py tts|stt
"""

import asyncio
import logging
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from typing_extensions import override

from benchmarks.failover import subject
from trunkline.calls.ear import Utterance
from trunkline.calls.listen import Listener
from trunkline.calls.speak import Speaker
from trunkline.calls.steps import AnyStage, Desk
from trunkline.calls.voice import Voice
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.phrases import Phrases
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.net.gate import Gate
from trunkline.net.remote import client_session
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.providers.tts.cartesia import Cartesia
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.testing.simulated import MemoryJournal
from trunkline.types import (
    FRAME_SAMPLES,
    SAMPLE_RATE,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Endpoint,
    Mono,
    Sample,
    SpokenWord,
    StageName,
    Where,
    Zone,
)

_ACCEPTS = frozenset({DataClass.AUDIO, DataClass.SPEECH_TEXT})
_ZONE = Zone("here", "self_hosted", "local", "none", "you", "none", False, False, _ACCEPTS)


class Line(Voice):
    """What is queued is played at once: the clock behind the live voice's face."""

    def __init__(self, heard: subject.Heard) -> None:
        self._told = heard
        self._drain = time.monotonic()
        self._waiting: set[int] = set()
        self.latest = -1

    @override
    def expect(self, text: str) -> int:
        self.latest += 1
        self._waiting.add(self.latest)
        return self.latest

    @override
    def is_silent(self, phrase: int) -> bool:
        return phrase in self._waiting

    @override
    def queue(
        self, phrase: int, pcm: bytes, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        if pcm:
            self._waiting.discard(phrase)
            self._told.sound(pcm, SAMPLE_RATE)
            self._drain = max(self._drain, time.monotonic()) + len(pcm) / 2 / SAMPLE_RATE

    @override
    def drop(self, phrase: int, chars: int) -> None:
        self._waiting.discard(phrase)

    @override
    def silent_at(self, now: Mono) -> Mono:
        return Mono(max(self._drain, now))


def _desk(stage: StageName, stages: Sequence[AnyStage]) -> Desk:
    known = {it.endpoint.name: Known(it.endpoint.failure_domain) for it in stages}
    router = Router(RoutingPolicy(), known)
    return Desk(
        MemoryJournal(), router, {stage: stages}, {}, time.monotonic, router.call(0.5),
        lambda *_: "",
    )  # fmt: skip


async def speak(asked: subject.Asked, heard: subject.Heard) -> None:
    first = Endpoint("first", TTS, "elevenlabs", "eleven_flash_v2_5", _ZONE, "a")
    second = Endpoint("second", TTS, "cartesia", "sonic-3", _ZONE, "b")
    async with client_session() as session:
        stages = [
            WebSocketStage(
                endpoint, codec, base_url=url, key="none", session=session,
                gate=Gate(lambda _: None),
            )
            for endpoint, codec, url in (
                (first, ElevenLabs(first, {"voice": "anna"}), asked.primary),
                (second, Cartesia(second, {"voice": "anna"}), asked.backup),
            )
        ]  # fmt: skip
        heard.restart()
        where = Where(CallId(f"trial-{asked.trial}"), 1, 1)
        speaker = Speaker(_desk(TTS, stages), Line(heard), where, SynthesisPolicy())
        phrases = Phrases()
        for sentence in [*phrases.feed(asked.text), phrases.end()]:
            if sentence is not None:
                speaker.say(sentence, "")
        speaker.finish()
        try:
            await speaker.run()
            heard.end()
            if speaker.broke:
                heard.errors.append("no voice could say all of it")
        finally:
            for stage in stages:
                await stage.close()


async def listen(asked: subject.Asked, heard: subject.Heard) -> None:
    pcm = Path(asked.pcm).read_bytes()  # noqa: ASYNC240  # 100 kB, before anything is timed
    size = 2 * FRAME_SAMPLES
    async with client_session() as session:
        stages = []
        for name, url in (("first", asked.primary), ("second", asked.backup)):
            endpoint = Endpoint(name, STT, "deepgram", "nova-3", _ZONE, name)
            stages.append(
                WebSocketStage(
                    endpoint, Deepgram(endpoint, {}), base_url=url, key="none", session=session,
                    gate=Gate(lambda _: None),
                )
            )  # fmt: skip
        utterance = Utterance(0, Sample(0), [])
        heard.restart()

        async def talk() -> None:
            """The utterance at its own pace; an ear that knows that all of it is speech."""
            for number in range(len(pcm) // size):
                data = pcm[number * size : (number + 1) * size]
                utterance.append(AudioFrame(data, Sample(number * FRAME_SAMPLES)))
                utterance.voiced_s += FRAME_SAMPLES / SAMPLE_RATE
                utterance.certain_s = utterance.voiced_s
                due = heard.began + (number + 1) * FRAME_SAMPLES / SAMPLE_RATE
                await asyncio.sleep(max(0.0, due - time.monotonic()))
            heard.spoken = time.monotonic()
            utterance.close()

        listener = Listener(_desk(STT, stages), HearingPolicy())
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(talk())
                where = Where(CallId(f"trial-{asked.trial}"), 1, 1)
                final = await listener.listen(utterance, where, lambda _: None)
            if final is None:
                heard.errors.append("nobody heard the caller")
            else:
                heard.token(final.text)
            heard.end()
        finally:
            for stage in stages:
                await stage.close()


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    subject.serve({"tts": speak, "stt": listen}[sys.argv[1]])
