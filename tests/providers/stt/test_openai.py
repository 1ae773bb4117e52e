"""OpenAI's transcription, on bodies in the shape of its documents.

They follow the types of the SDK `openai` 3.54.0, and vLLM's issue 49116 for the dialect of chat
completions, read November 2026; they were not recorded from the live service.
"""

import email
import email.policy
import io
import json
import wave
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from trunkline.contracts import Post
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.stt.openai import UTTERANCE_S_MAX, OpenAITranscription
from trunkline.testing.conformance_body import BODY_LAWS, Dialogue
from trunkline.testing.simulated import endpoint
from trunkline.types import STT, AudioFrame, Sample, Transcript, Word

PCM = (np.arange(160, dtype=np.int16) * 100).tobytes()
FRAMES = tuple(AudioFrame(PCM, Sample(16_000 + 160 * number)) for number in range(100))
JSON = json.dumps({"text": " Two fillings, please. ", "usage": {"type": "duration"}}).encode()


def codec(**options: object) -> OpenAITranscription:
    """The codec with *options*."""
    return OpenAITranscription(endpoint("whisper-1", STT), options)


def asked(frames: Sequence[AudioFrame] = FRAMES, **options: object) -> Post[Transcript]:
    """The request for an utterance of *frames*."""
    exchange = codec(**options).exchange()
    assert [exchange.take(frame) for frame in frames] == [None] * len(frames)
    post = exchange.finish()
    assert post is not None
    return post


def form(post: Post[Transcript]) -> dict[str, bytes]:
    """The fields of a request, read by the standard library."""
    head = f"Content-Type: {post.request.headers['Content-Type']}\r\n\r\n".encode()
    message = email.message_from_bytes(head + post.request.body, policy=email.policy.HTTP)
    fields = {}
    for part in message.iter_parts():
        name = part.get_param("name", header="content-disposition")
        fields[str(name)] = part.get_payload(decode=True)
    return fields  # type: ignore[return-value]  # a part that is not multipart has bytes


def events(*told: Mapping[str, object], last: bytes = b"") -> bytes:
    """*told* as server-sent events."""
    return b"".join(f"data: {json.dumps(it)}\n\n".encode() for it in told) + last


STREAM = events(
    {"type": "transcript.text.delta", "delta": "Two", "logprobs": []},
    {"type": "transcript.text.delta", "delta": " fillings"},
    {"type": "transcript.text.done", "text": "Two fillings, please.", "usage": {}},
    last=b"data: [DONE]\n\n",
)
CHAT = events(
    {"object": "transcription.chunk", "choices": [{"delta": {"content": " Two"}}]},
    {"object": "transcription.chunk", "choices": [{"delta": {"content": " fillings"}}]},
    {"object": "transcription.chunk", "choices": [{"delta": {}, "finish_reason": "stop"}]},
    last=b"data: [DONE]\n\n",
)
INTERIMS = [Transcript("Two", False), Transcript("Two fillings", False)]
WHOLE = Dialogue(
    codec,
    "a-key",
    FRAMES,
    "application/json",
    (JSON,),
    [Transcript("Two fillings, please.", True)],
    list,
)
STREAMED = Dialogue(
    lambda: codec(stream=True),
    "a-key",
    FRAMES,
    "text/event-stream",
    (STREAM,),
    [*INTERIMS, Transcript("Two fillings, please.", True)],
    list,
)
OLDER = Dialogue(
    lambda: codec(stream=True),
    "a-key",
    FRAMES,
    "text/event-stream",
    (CHAT,),
    [*INTERIMS, Transcript("Two fillings", True)],
    list,
)


@pytest.mark.parametrize("law", BODY_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("dialogue", [WHOLE, STREAMED, OLDER], ids=["json", "events", "chat"])
def test_it_keeps_the_laws_of_a_codec(
    law: Callable[[Dialogue[Any, Any]], None], dialogue: Dialogue[Any, Any]
) -> None:
    """Each law, for JSON and for both dialects of events."""
    law(dialogue)


def test_an_utterance_is_one_form() -> None:
    """The fields that are configured, and all audio as a WAV file that others can read."""
    post = asked(language="de", prompt="Zahnarzt", extra={"vad_filter": "false"})
    fields = form(post)
    audio = fields.pop("file")
    assert post.request.path == "audio/transcriptions"
    assert fields == {
        "model": b"whisper-1",
        "response_format": b"json",
        "language": b"de",
        "prompt": b"Zahnarzt",
        "vad_filter": b"false",
    }
    with wave.open(io.BytesIO(audio)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 8_000)
        assert file.readframes(file.getnframes()) == PCM * len(FRAMES)


def test_what_is_shorter_than_a_server_takes_ends_in_silence() -> None:
    """A cough of 20 ms, and no audio at all, are a tenth of a second."""
    for frames in (FRAMES[:1], ()):
        with wave.open(io.BytesIO(form(asked(frames))["file"])) as file:
            assert file.getnframes() == 800


def test_words_have_their_place_in_the_call_across_a_gap() -> None:
    """Frames that never came shift nothing: each word is where the caller said it."""
    late = [AudioFrame(PCM, Sample(frame.at + 80_000)) for frame in FRAMES[50:]]
    post = asked([*FRAMES[:50], *late], words=True)
    assert form(post)["timestamp_granularities[]"] == b"word"
    words = [
        {"word": "Two", "start": 0.1, "end": 0.3},
        {"word": "fillings", "start": 1.1, "end": 1.4},
    ]
    decoder = post.decoder("application/json")
    decoder.feed(json.dumps({"text": "Two fillings", "words": words}).encode())
    (heard,) = decoder.end()
    two, fillings = Sample(16_800), Sample(16_000 + 80_000 + 8_800)
    assert heard.words == (
        Word("Two", two, Sample(two + 1_600)),
        Word("fillings", fillings, Sample(fillings + 2_400)),
    )


@pytest.mark.parametrize(("unlikely", "doubtful"), [((0.9, 0.7), True), ((0.9, 0.1), False)])
def test_the_servers_own_doubt_is_told(unlikely: Sequence[float], doubtful: bool) -> None:
    """Whisper makes words of noise, and says so: all segments are likelier to be no speech."""
    decoder = asked(words=True).decoder("application/json")
    segments = [{"id": 0, "text": "x", "no_speech_prob": it} for it in unlikely]
    decoder.feed(json.dumps({"text": "Thank you.", "words": [], "segments": segments}).encode())
    assert decoder.end() == (Transcript("Thank you.", True, (), doubtful),)


@pytest.mark.parametrize(
    ("media_type", "body", "fault"),
    [
        ("application/json", b"[" * 2_000_000, Fault.MALFORMED),
        ("text/event-stream", events({"type": "error", "error": {"code": "x"}}), Fault.UNAVAILABLE),
        ("text/event-stream", b": wait\n\n", Fault.CUT),
    ],
)
def test_an_answer_that_is_none(media_type: str, body: bytes, fault: Fault) -> None:
    """One that does not end, an error inside of a stream, a stream without a word."""
    decoder = asked().decoder(media_type)
    with pytest.raises(EndpointError) as caught:
        decoder.feed(body), decoder.end()
    assert caught.value.fault is fault


def test_words_of_audio_that_it_never_got() -> None:
    """A server that tells words of silence is broken."""
    decoder = asked(()).decoder("application/json")
    decoder.feed(b'{"text":"a","words":[{"word":"a","start":0,"end":1}]}')
    with pytest.raises(EndpointError, match="never got"):
        decoder.end()


def test_an_utterance_that_does_not_end_is_refused() -> None:
    """Nothing piles up without a bound."""
    exchange = codec().exchange()
    second = AudioFrame(bytes(16_000), Sample(0))
    for _ in range(UTTERANCE_S_MAX):
        exchange.take(second)
    with pytest.raises(EndpointError, match="60 s") as caught:
        exchange.take(second)
    assert caught.value.fault is Fault.REFUSED


@pytest.mark.parametrize(
    "options",
    [{"stream": True, "words": True}, {"extra": {"x": 1}}, {"langauge": "de"}, {"prompt": ""}],
)
def test_options_that_cannot_work(options: Mapping[str, object]) -> None:
    """They are refused when the stage is built."""
    with pytest.raises(InputError):
        codec(**options)
