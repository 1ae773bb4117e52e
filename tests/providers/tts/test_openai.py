"""OpenAI's synthesis, on bodies in the shape of its documents.

They follow the types of the SDK `openai` 3.54.0 and the OpenAPI document 2.3.0, read November 2026;
they were not recorded from the live service.
"""

import base64
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.resample import StreamResampler
from trunkline.providers.tts.openai import OpenAISpeech
from trunkline.testing.conformance_body import BODY_LAWS, Dialogue
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, Phrase, Speech

PHRASES = (Phrase(0, "Hello, world!"), Phrase(1, "Grüß Gott."))
TONE = (8_000 * np.sin(np.arange(2_400) / 20)).astype("<i2")


def codec(**options: object) -> OpenAISpeech:
    """The codec with *options*."""
    return OpenAISpeech(endpoint("kokoro", TTS), {"voice": "anna", **options})


def at_8_khz(samples: Any) -> bytes:
    """What is heard of *samples* at 24 kHz."""
    resampler = StreamResampler(24_000, 8_000)
    heard: bytes = resampler.feed(samples).tobytes() + resampler.flush().tobytes()
    return heard


def together(pieces: Sequence[Speech]) -> object:
    """The audio of each phrase, and which phrases are complete."""
    audio = {n: b"".join(it.pcm for it in pieces if it.phrase == n) for n in (0, 1)}
    return audio, [it.phrase for it in pieces if it.last]


def events(samples: Any, *, done: bool = True) -> bytes:
    """*samples* as server-sent events, as OpenAI's newer models send them."""
    raw = samples.tobytes()
    told: list[dict[str, object]] = [
        {"type": "speech.audio.delta", "audio": base64.b64encode(raw[at : at + 999]).decode()}
        for at in range(0, len(raw), 999)
    ]
    if done:
        told.append({"type": "speech.audio.done", "usage": {"total_tokens": 3}})
    return b"".join(f"data: {json.dumps(it)}\n\n".encode() for it in told)


HEARD = ({0: at_8_khz(TONE), 1: at_8_khz(-TONE)}, [0, 1])
RAW = Dialogue(
    codec,
    "a-key",
    PHRASES,
    "audio/pcm",
    (TONE.tobytes(), (-TONE).tobytes()),
    HEARD,
    together,
    silent_end=True,
)
FRAMED = Dialogue(
    lambda: codec(stream="sse"),
    "a-key",
    PHRASES,
    "text/event-stream",
    (events(TONE), events(-TONE)),
    HEARD,
    together,
)


@pytest.mark.parametrize("law", BODY_LAWS, ids=lambda law: law.__name__)
@pytest.mark.parametrize("dialogue", [RAW, FRAMED], ids=["raw", "framed"])
def test_it_keeps_the_laws_of_a_codec(
    law: Callable[[Dialogue[Any, Any]], None], dialogue: Dialogue[Any, Any]
) -> None:
    """Each law, for raw audio and for events."""
    law(dialogue)


def test_a_phrase_is_one_request() -> None:
    """With what the endpoint is configured for; `extra` is laid over it."""
    asked = codec(
        speed=1.2, instructions="Calm.", stream="sse", extra={"lang_code": "d", "speed": None}
    )
    post = asked.exchange().take(Phrase(9, "Grüß Gott!"))
    assert post is not None
    assert post.request.path == "audio/speech"
    assert json.loads(post.request.body) == {
        "model": "kokoro",
        "voice": "anna",
        "response_format": "pcm",
        "instructions": "Calm.",
        "stream_format": "sse",
        "lang_code": "d",
        "input": "Grüß Gott!",
    }
    assert asked.exchange().finish() is None


def test_a_server_of_another_rate_is_heard_at_its_own() -> None:
    """A second is a second."""
    post = codec(sample_rate_hz=16_000).exchange().take(PHRASES[0])
    assert post is not None
    decoder = post.decoder("audio/pcm")
    heard = [*decoder.feed(bytes(32_000)), *decoder.end()]
    assert sum(len(it.pcm) // 2 for it in heard) == pytest.approx(8_000, abs=40)


@pytest.mark.parametrize(
    ("media_type", "body", "fault"),
    [
        ("audio/pcm", b"", Fault.EMPTY),
        ("audio/pcm", b"\x00", Fault.MALFORMED),
        ("audio/pcm", bytes(24_000 * 2 * 181), Fault.MALFORMED),
        ("text/event-stream", b'data: {"type":"speech.audio.done"}\n\n', Fault.EMPTY),
        ("text/event-stream", events(TONE, done=False), Fault.CUT),
        (
            "text/event-stream",
            b'data: {"type":"error","error":{"code":"x"}}\n\n',
            Fault.UNAVAILABLE,
        ),
        ("text/event-stream", b'data: {"audio":"****"}\n\n', Fault.MALFORMED),
    ],
)
def test_an_answer_that_is_none(media_type: str, body: bytes, fault: Fault) -> None:
    """Nothing, half a sample, an endless one, one that breaks off, an error inside."""
    post = codec().exchange().take(PHRASES[0])
    assert post is not None
    decoder = post.decoder(media_type)
    with pytest.raises(EndpointError) as caught:
        decoder.feed(body), decoder.end()
    assert caught.value.fault is fault


def test_a_sign_that_is_not_spoken_may_be_silent() -> None:
    """An ellipsis has no audio, and that is no fault."""
    post = codec().exchange().take(Phrase(0, "..."))
    assert post is not None
    assert post.decoder("audio/pcm").end() == (Speech(0, b"", (), last=True),)


def test_a_phrase_that_is_too_long_is_refused_before_it_is_sent() -> None:
    """So that nobody waits for the server to do so."""
    with pytest.raises(EndpointError, match="2001 characters") as caught:
        codec().exchange().take(Phrase(0, "a" * 2_001))
    assert caught.value.fault is Fault.REFUSED


def test_an_exhausted_account_is_no_pushback() -> None:
    """Waiting does not mend it."""
    body = b'{"error":{"message":"You exceeded your quota","code":"insufficient_quota"}}'
    error = codec().refusal(429, {}, body)
    assert error.fault is Fault.REFUSED
    assert "insufficient_quota" in error.detail


@pytest.mark.parametrize(
    "options",
    [{"voice": ""}, {"sample_rate_hz": 11}, {"speed": 9}, {"voise": "x"}, {"stream": "x"}],
)
def test_options_that_cannot_work(options: Mapping[str, object]) -> None:
    """They are refused when the stage is built."""
    with pytest.raises(InputError):
        codec(**options)
