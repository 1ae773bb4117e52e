"""Texts that are spoken for a client, in virtual time."""

import asyncio
import io
import json
import wave

import pytest

from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.errors import EndpointError, Fault
from trunkline.gateway.audio_parts import (
    RATE,
    SOUND_S_MAX,
    TEXT_CHARS_MAX,
    AudioModel,
    Heard,
    Notes,
    Recording,
    Sound,
    read_speech,
)
from trunkline.gateway.refusals import Refusal
from trunkline.testing.simulated import SimTts
from trunkline.types import SAMPLE_RATE, STT, TTS, CallId, Transcript, Where, Word

TEXT = "We are open from nine to six. On Saturdays we are not."


def read(**more: object) -> object:
    """The request with these fields."""
    fields = {"model": "v", "input": "Yes.", "voice": "default", "response_format": "pcm"}
    return read_speech(json.dumps(fields | more).encode())


async def spoken(*stages: SimTts, form: str = "pcm") -> tuple[Sound, Notes, bytes]:
    """What is said of `TEXT`, who said it, and the bytes."""
    notes, loop, router = Notes(), asyncio.get_running_loop(), Router(RoutingPolicy())
    desk = Desk(notes, router, {TTS: stages}, {}, loop.time, router.call(0.5), lambda *_: "")
    sound = Sound(form, loop.time)
    speaker = Speaker(desk, sound, Where(CallId("audio")), SynthesisPolicy())
    speaker.say_line(TEXT)
    speaker.finish()
    await speaker.run()
    return sound, notes, sound.take(last=True)


def seconds(pcm: bytes) -> float:
    """How long *pcm* is."""
    return len(pcm) / 2 / RATE


async def test_a_text_is_spoken_whole() -> None:
    """At the rate that clients expect of raw audio."""
    _, notes, pcm = await spoken(SimTts("a"))
    words = len(TEXT.split())
    assert seconds(pcm) == pytest.approx(words / 2.6, rel=0.15)
    assert notes.served_by == "a"
    assert notes.failovers == []


async def test_a_voice_that_fails_is_gone_on_with_by_another() -> None:
    """Inside the one stream; the change is told."""
    cut = EndpointError("a", Fault.CUT, "gone")
    sound, notes, pcm = await spoken(SimTts("a", broken={"Saturdays": cut}), SimTts("b"))
    assert seconds(pcm) == pytest.approx(len(TEXT.split()) / 2.6, rel=0.15)
    assert not sound.lost
    assert notes.served_by == "b"
    assert str(notes.failovers[0]).startswith("a>b;")


async def test_what_nobody_can_say_is_lost() -> None:
    """And known to be: the body must not look whole."""
    gone = EndpointError("a", Fault.REFUSED, "HTTP 401")
    sound, notes, pcm = await spoken(SimTts("a", broken={"We": gone}))
    assert sound.lost
    assert seconds(pcm) < 0.01
    assert notes.faults == "a: refused"
    assert notes.served_by == ""


async def test_a_wav_has_a_header_and_the_same_samples() -> None:
    """Of the greatest length, for nobody knows it when the header is written."""
    _, _, pcm = await spoken(SimTts("a"))
    _, _, data = await spoken(SimTts("a"), form="wav")
    with wave.open(io.BytesIO(data)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
    assert data.endswith(pcm)


async def test_sound_without_end_is_ended() -> None:
    """Nothing is kept beyond the bound, and the answer is not whole."""
    sound = Sound("pcm", asyncio.get_running_loop().time)
    for _ in range(int(SOUND_S_MAX / 60) + 2):
        sound.queue(0, bytes(2 * 60 * SAMPLE_RATE), (), complete=False)
    assert sound.lost


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": ""}, "model"),
        ({"input": " ... "}, "input"),
        ({"input": "x" * (TEXT_CHARS_MAX + 1)}, "input"),
        ({"response_format": "mp3"}, "response_format"),
        ({"response_format": None}, "response_format"),
        ({"speed": 2}, "speed"),
        ({"instructions": "Whisper."}, "instructions"),
        ({"stream_format": "sse"}, "stream_format"),
    ],
)
def test_what_cannot_be_honoured_is_refused_by_name(fields: dict[str, object], param: str) -> None:
    """mp3 too, which OpenAI makes if nothing is said."""
    read(speed=1.0, stream_format="audio", instructions="")
    with pytest.raises(Refusal) as refused:
        read(**fields)
    assert refused.value.param == param


def test_a_voice_chooses_among_the_endpoints() -> None:
    """The word default means whoever the model has; one that nobody has is refused."""
    model = AudioModel("v", TTS, (SimTts("a"),))
    assert model.speaking("default") is model
    with pytest.raises(Refusal, match="default"):
        model.speaking("alloy")


def test_a_model_does_one_thing() -> None:
    """Whoever asks for another is told where it can be asked for; so is another language."""
    model = AudioModel("v", STT, (), "de")
    with pytest.raises(Refusal, match="transcriptions"):
        model.of(TTS)
    model.understands("de-AT")
    model.understands(None)
    with pytest.raises(Refusal, match="'de'"):
        model.understands("en")


def test_words_are_told_with_their_times() -> None:
    """In seconds, where they were asked for."""
    heard = Heard(Transcript("Yes", True, (Word("Yes", 800, 1600),)), 2.0)  # type: ignore[arg-type]  # samples
    model = AudioModel("v", STT, (), "en")
    assert heard.told(Recording("v", b"", "json", None), model)["text"] == "Yes"
    told = heard.told(Recording("v", b"", "verbose_json", None), model)
    assert told["words"] == [{"word": "Yes", "start": 0.1, "end": 0.2}]
    assert (told["duration"], told["language"]) == (2.0, "en")
