"""OpenAI's realtime transcription, on messages in the shape of its documents.

They follow developers.openai.com (guide "Realtime transcription") and the types of the SDK `openai`
3.54.0 (`types/realtime`), read November 2026; they were not recorded from the live service.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_encode
from trunkline.providers.stt.openai_realtime import OpenAIRealtime
from trunkline.testing.conformance import CODEC_LAWS, Conversation, Player
from trunkline.testing.simulated import endpoint
from trunkline.types import STT, AudioFrame, Sample, Transcript

PCM = (np.arange(160, dtype=np.int16) * 100).tobytes()
FRAMES = tuple(AudioFrame(PCM, Sample(16_000 + 160 * number)) for number in range(10))
ABOUT = "conversation.item.input_audio_transcription."


def event(kind: str, **more: object) -> str:
    """A message of the server."""
    return json.dumps({"type": kind, "event_id": "event_1", **more})


def transcription(kind: str, item: str = "item_1", **more: object) -> str:
    """One about a transcription."""
    return event(ABOUT + kind, item_id=item, content_index=0, **more)


COMMITTED = event("input_audio_buffer.committed", item_id="item_1", previous_item_id=None)
COMPLETED = transcription("completed", transcript="Two fillings.", usage={"type": "duration"})
REPLIES = (
    event("session.created", session={"type": "transcription"}),
    event("session.updated", session={"type": "transcription"}),
    transcription("delta", delta="Two"),
    transcription("delta", delta=" fillings"),
    COMMITTED,
    event("conversation.item.added", item={"id": "item_1"}),
    COMPLETED,
)
OUTPUTS = (
    Transcript("Two", False),
    Transcript("Two fillings", False),
    Transcript("Two fillings.", True),
)


def codec(**options: object) -> OpenAIRealtime:
    """The codec with *options*."""
    return OpenAIRealtime(endpoint("gpt-live-transcribe", STT), options)


def conversation() -> Conversation[AudioFrame, Transcript]:
    """The recorded utterance."""
    return Conversation(codec, "a-key", FRAMES, REPLIES, OUTPUTS, streams=True)


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded utterance."""
    law(conversation())


def test_the_first_message_sets_up_the_session() -> None:
    """The caller's mu-law as it is, the model inside, no turn detection of the server's."""
    options = {"language": "de", "keywords": ["Zahnreinigung"], "noise_reduction": "far_field"}
    handshake = codec(**options).handshake("a-key")
    assert handshake.path == "realtime"
    assert list(handshake.query) == [("intent", "transcription")]
    assert handshake.headers == {"Authorization": "Bearer a-key"}
    (hello,) = handshake.hello
    assert json.loads(hello) == {
        "type": "session.update",
        "session": {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcmu"},
                    "transcription": {
                        "model": "gpt-live-transcribe",
                        "language": "de",
                        "keywords": ["Zahnreinigung"],
                    },
                    "noise_reduction": {"type": "far_field"},
                    "turn_detection": None,
                }
            },
        },
    }
    gateway = codec(model_in_url=True).handshake(None)
    assert ("model", "gpt-live-transcribe") in gateway.query
    assert dict(gateway.headers) == {}


def test_audio_goes_as_it_comes_and_is_committed() -> None:
    """A message a frame; what is too short to be committed ends in silence."""
    mulaw = mulaw_encode(np.frombuffer(PCM, np.int16))
    sent = [json.loads(it) for it in Player(conversation()).sent]
    assert [base64.b64decode(it["audio"]) for it in sent[:-1]] == [mulaw] * len(FRAMES)
    assert sent[-1] == {"type": "input_audio_buffer.commit"}
    exchange = codec().exchange(0)
    exchange.take(FRAMES[0])
    append, commit = map(json.loads, exchange.finish())
    assert base64.b64decode(append["audio"]) == b"\xff" * 640
    assert commit["type"] == "input_audio_buffer.commit"
    assert exchange.take(AudioFrame(b"", Sample(0))) == ()


def test_a_gateway_that_parts_the_utterance_is_understood() -> None:
    """Items in a row, whose transcripts may come late, are one utterance."""
    exchange = codec().exchange(0)
    for frame in FRAMES:
        exchange.take(frame)
    exchange.receive(COMMITTED)  # by its own turn detection
    exchange.finish()
    exchange.receive(COMPLETED)
    assert not exchange.done
    exchange.receive(event("input_audio_buffer.committed", item_id="item_2"))
    (final,) = exchange.receive(transcription("completed", "item_2", transcript="Bye.")).outputs
    assert final == Transcript("Two fillings. Bye.", True)
    assert exchange.done


def test_a_gateway_that_has_committed_everything_is_done() -> None:
    """Then our own commit is one of nothing, which it says, and which is no fault."""
    exchange = codec().exchange(0)
    for frame in FRAMES:
        exchange.take(frame)
    exchange.receive(COMMITTED)
    exchange.receive(COMPLETED)
    exchange.finish()
    nothing = {"type": "invalid_request_error", "code": "input_audio_buffer_commit_empty"}
    (final,) = exchange.receive(event("error", error=nothing)).outputs
    assert final == Transcript("Two fillings.", True)


@pytest.mark.parametrize(
    ("error", "fault"),
    [
        ({"type": "invalid_request_error", "code": "invalid_model"}, Fault.REFUSED),
        ({"type": "server_error", "message": "oops"}, Fault.UNAVAILABLE),
        ({"type": "x", "code": "rate_limit_exceeded"}, Fault.THROTTLED),
        ({}, Fault.UNAVAILABLE),
    ],
)
@pytest.mark.parametrize("kind", ["error", ABOUT + "failed"])
def test_errors_are_told_as_whose_they_are(
    error: Mapping[str, str], fault: Fault, kind: str
) -> None:
    """Of the session, and of one transcription."""
    with pytest.raises(EndpointError) as caught:
        codec().exchange(0).receive(event(kind, error=error))
    assert caught.value.fault is fault


@pytest.mark.parametrize("options", [{"noise_reduction": "near"}, {"modle": "x"}, {"language": ""}])
def test_options_that_cannot_work(options: Mapping[str, object]) -> None:
    """They are refused when the stage is built."""
    with pytest.raises(InputError):
        codec(**options)
