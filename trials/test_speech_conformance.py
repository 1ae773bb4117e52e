"""The laws of an adapter, over real sockets, for each protocol of speech."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any

import aiohttp
import pytest

from trials.speech_rig import (
    HEARD,
    KEY,
    LINES,
    Rig,
    audio,
    aura_server,
    cartesia_server,
    deepgram_server,
    elevenlabs_server,
    openai_speech_server,
    phrases,
    realtime_server,
    soniox_server,
    transcription_server,
)
from trunkline.core.playout import WORDS_PER_S
from trunkline.errors import Fault
from trunkline.net.remote import client_session
from trunkline.testing.conformance_sockets import SOCKET_LAWS, Adapter
from trunkline.types import SAMPLE_RATE, AudioFrame, DataClass, Phrase, Speech, Transcript

SLOW = {"each_fault_is_told_as_what_it_is", "the_source_is_not_read_ahead"}  # they wait, for long


def heard_all(outputs: Sequence[Transcript]) -> None:
    assert [it.text for it in outputs if it.final] == [HEARD.final]
    assert outputs[-1].final


def spoke_all(outputs: Sequence[Speech]) -> None:
    assert [it.phrase for it in outputs if it.last] == list(range(len(LINES)))
    for number, line in enumerate(LINES):
        words = [word for it in outputs if it.phrase == number for word in it.words]
        assert [line[word.start : word.end] for word in words] == line.split()


async def endless_audio() -> AsyncIterator[AudioFrame]:
    async for frame in audio(1e6, paced=True):
        yield frame


async def endless_talk() -> AsyncIterator[Phrase]:
    for number in range(1_000_000):
        yield Phrase(number, "And on and on and on it goes.")


def deepgram(session: aiohttp.ClientSession) -> Adapter[AudioFrame, Transcript]:
    r = Rig(session)
    return Adapter(
        server=lambda faults: deepgram_server(*faults),
        stage=r.ears,
        source=audio,
        endless=endless_audio,
        check=heard_all,
        data_class=DataClass.AUDIO,
        key=KEY,
        empty=None,
    )


def elevenlabs(session: aiohttp.ClientSession) -> Adapter[Phrase, Speech]:
    r = Rig(session)
    return Adapter(
        server=lambda faults: elevenlabs_server(*faults, pace=20.0),
        stage=r.voice,
        source=phrases,
        endless=endless_talk,
        check=spoke_all,
        data_class=DataClass.SPEECH_TEXT,
        key=KEY,
    )


def cartesia(session: aiohttp.ClientSession) -> Adapter[Phrase, Speech]:
    r = Rig(session)
    return Adapter(
        server=lambda faults: cartesia_server(*faults, pace=20.0),
        stage=r.other_voice,
        source=phrases,
        endless=endless_talk,
        check=spoke_all,
        data_class=DataClass.SPEECH_TEXT,
        key=KEY,
    )


def said_all(outputs: Sequence[Speech]) -> None:
    """As much audio as there is, phrase by phrase; this protocol marks no words."""
    assert [it.phrase for it in outputs if it.last] == list(range(len(LINES)))
    for number, line in enumerate(LINES):
        samples = sum(len(it.pcm) // 2 for it in outputs if it.phrase == number)
        assert samples == pytest.approx(len(line.split()) * int(SAMPLE_RATE / WORDS_PER_S), abs=40)


def openai_speech(session: aiohttp.ClientSession) -> Adapter[Phrase, Speech]:
    r = Rig(session)
    return Adapter(
        server=lambda faults: openai_speech_server(*faults, pace=20.0),
        stage=r.openai_voice,
        source=phrases,
        endless=endless_talk,
        check=said_all,
        data_class=DataClass.SPEECH_TEXT,
        key=KEY,
        # Raw audio has no last word: its end is an end, and the duration is the judge (core.tempo).
        told={"hang": Fault.SILENT, "truncate": None},
        aborts=True,
    )


def openai_speech_events(session: aiohttp.ClientSession) -> Adapter[Phrase, Speech]:
    plain = openai_speech(session)
    r = Rig(session)
    stage = lambda url: r.openai_voice(url, stream="sse")  # noqa: E731  # shorter than a def
    return replace(plain, stage=stage, told={"hang": Fault.SILENT})


def aura(session: aiohttp.ClientSession) -> Adapter[Phrase, Speech]:
    r = Rig(session)
    return Adapter(
        server=lambda faults: aura_server(*faults, pace=20.0),
        stage=r.aura_voice,
        source=phrases,
        endless=endless_talk,
        check=said_all,
        data_class=DataClass.SPEECH_TEXT,
        key=KEY,
    )


def soniox(session: aiohttp.ClientSession) -> Adapter[AudioFrame, Transcript]:
    r = Rig(session)
    server = lambda faults: soniox_server(*faults)  # noqa: E731  # shorter than a def
    return replace(deepgram(session), server=server, stage=r.soniox_ears)


def openai_realtime(session: aiohttp.ClientSession) -> Adapter[AudioFrame, Transcript]:
    r = Rig(session)
    server = lambda faults: realtime_server(*faults)  # noqa: E731  # shorter than a def
    return replace(deepgram(session), server=server, stage=r.realtime_ears)


def openai_transcription(session: aiohttp.ClientSession) -> Adapter[AudioFrame, Transcript]:
    r = Rig(session)
    return replace(
        deepgram(session),
        server=lambda faults: transcription_server(*faults, gap_s=0.05),
        stage=lambda url: r.file_ears(url, stream=True),
        endless=audio,  # nothing is asked before an utterance ends
        told={"hang": Fault.SILENT},
        gathers=True,
        aborts=True,
    )


ADAPTERS = [
    deepgram,
    soniox,
    openai_realtime,
    openai_transcription,
    elevenlabs,
    cartesia,
    aura,
    openai_speech,
    openai_speech_events,
]


@pytest.mark.parametrize("adapter", ADAPTERS, ids=lambda it: it.__name__)
@pytest.mark.parametrize(
    "law",
    [
        pytest.param(law, id=law.__name__, marks=[] if law.__name__ in SLOW else pytest.mark.ci)
        for law in SOCKET_LAWS
    ],
)
def test_an_adapter_keeps_the_law(
    law: Callable[[Adapter[Any, Any]], Awaitable[None]],
    adapter: Callable[[aiohttp.ClientSession], Adapter[Any, Any]],
) -> None:
    """Each law holds for each adapter."""

    async def main() -> None:
        async with asyncio.timeout(40), client_session() as session:
            await law(adapter(session))

    asyncio.run(main())
