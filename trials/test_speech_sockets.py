"""Recogniser and synthesiser over WebSockets, against the local servers of the vendors' protocols.

What goes wrong is in `test_speech_sockets_faults`.
"""

import asyncio
import socket as sockets
from collections.abc import AsyncIterator

import pytest

from trials.speech_rig import (
    HEARD,
    KEY,
    LINES,
    audio,
    collect,
    context,
    deepgram_server,
    elevenlabs_server,
    eventually,
    phrases,
    rig,
    trial,
)
from trunkline.testing.simulated import speech
from trunkline.types import DataClass, Phrase, Speech, Transcript


@pytest.mark.ci
@pytest.mark.parametrize("encoding", ["mulaw", "linear16"])
def test_an_utterance_is_heard(encoding: str) -> None:
    """Interims as they change, then the final one; the key goes as Deepgram wants it."""

    @trial
    async def test() -> None:
        async with rig() as r, deepgram_server() as s:
            heard = await collect(r.ears(s.base_url, encoding=encoding), audio(), context())
            said = s.connections[0]
            await eventually(lambda: said.ended)
        assert [it.text for it in heard] == ["I", "I need", "I need an", HEARD.final, HEARD.final]
        assert [it.final for it in heard] == [False] * 4 + [True]
        assert said.headers["Authorization"] == f"Token {KEY}"
        assert dict(said.query)["encoding"] == encoding
        assert list(said.said) == [160 * (1 + (encoding == "linear16"))] * 50 + [
            '{"type":"CloseStream"}'
        ]
        assert said.close_code == 1000
        assert [(d.destination, d.allowed) for d in r.decisions] == [(f"127.0.0.1:{s.port}", True)]

    test()


@pytest.mark.ci
@pytest.mark.parametrize("times", ["message", "context"])
@pytest.mark.parametrize("output", ["ulaw_8000", "pcm_8000"])
def test_phrases_are_spoken_in_order_with_their_words(times: str, output: str) -> None:
    """Audio and word marks of each phrase arrive whole and in order, whatever the text holds."""

    @trial
    async def test() -> None:
        async with rig() as r, elevenlabs_server(times=times) as s:
            spoken = await collect(
                r.voice(s.base_url, output=output), phrases(), context(None, DataClass.SPEECH_TEXT)
            )
            assert s.connections[0].headers["xi-api-key"] == KEY
        assert [it.phrase for it in spoken] == sorted(it.phrase for it in spoken)
        for number, line in enumerate(LINES):
            wanted = speech(Phrase(number, line))
            mine = [it for it in spoken if it.phrase == number]
            assert [it.last for it in mine] == [False] * (len(mine) - 1) + [True]
            assert len(b"".join(it.pcm for it in mine)) == len(wanted.pcm)
            words = [word for it in mine for word in it.words]
            assert [(w.start, w.end) for w in words] == [(w.start, w.end) for w in wanted.words]
            assert all(abs(a.at - b.at) <= 16 for a, b in zip(words, wanted.words, strict=True)), (
                "within 2 ms: the wire has whole milliseconds"
            )

    test()


@trial
async def test_a_finished_reply_leaves_its_connection_to_the_next() -> None:
    """Ten replies, one connection; the gate is asked each time."""
    async with rig() as r, elevenlabs_server() as s:
        stage = r.voice(s.base_url)
        for _ in range(10):
            await collect(stage, phrases("Hello."), context(None, DataClass.SPEECH_TEXT))
        assert len(s.connections) == 1
        assert [record.ended for record in s.requests] == ["finished"] * 10
        assert len(r.decisions) == 10


@trial
async def test_a_warm_connection_that_was_closed_is_not_used() -> None:
    """The server hung up between two replies: the second one connects anew."""
    async with rig() as r:
        async with elevenlabs_server() as s:
            stage, port = r.voice(s.base_url), s.port
            await collect(stage, phrases("Hello."), context(None, DataClass.SPEECH_TEXT))
        await asyncio.sleep(0.2)
        async with elevenlabs_server(port=port) as s:
            await collect(stage, phrases("Hello."), context(None, DataClass.SPEECH_TEXT))
            assert len(s.connections) == 1


@trial
async def test_nothing_to_say() -> None:
    """A reply without phrases is over at once, and an utterance without audio is silence."""
    async with rig() as r, elevenlabs_server() as s, deepgram_server() as d:

        async def no_phrases() -> AsyncIterator[Phrase]:
            for phrase in list[Phrase]():
                yield phrase

        spoken: list[Speech] = await collect(
            r.voice(s.base_url), no_phrases(), context(None, DataClass.SPEECH_TEXT)
        )
        heard: list[Transcript] = await collect(r.ears(d.base_url), audio(0.0), context())
        assert spoken == []
        assert heard == [Transcript("", final=True)]


@trial
async def test_audio_arrives_while_it_is_spoken() -> None:
    """The recogniser is heard before the caller has finished."""
    async with rig() as r, deepgram_server() as s:
        texts = []
        async with r.ears(s.base_url).open(audio(1.0, paced=True), context()) as transcripts:
            async for transcript in transcripts:
                frames = sum(isinstance(it, int) for it in s.connections[0].said)
                texts.append((transcript.text, frames))
    assert texts[0][0] == "I"
    assert texts[0][1] < 20


@trial
async def test_nodelay() -> None:
    """TCP_NODELAY is set on our side of the connection."""
    async with rig() as r, elevenlabs_server() as s:
        headers = {"xi-api-key": KEY}
        url = f"{s.base_url}/text-to-speech/anna/multi-stream-input?output_format=ulaw_8000"
        async with r.session.ws_connect(url, headers=headers) as ws:
            sock = ws.get_extra_info("socket")
            assert sock.getsockopt(sockets.IPPROTO_TCP, sockets.TCP_NODELAY) == 1
