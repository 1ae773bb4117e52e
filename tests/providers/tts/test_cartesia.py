"""Cartesia's protocol, on messages in the shape of its documents.

The messages follow docs.cartesia.ai/2026-03-01/api-reference/tts/websocket and the types of the SDK
`cartesia` 4.2.0, read November 2026; they were not recorded from the live service.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_decode
from trunkline.providers.tts.cartesia import VERSION, Cartesia
from trunkline.testing.conformance import CODEC_LAWS, Conversation
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, Phrase, Speech, SpokenWord

PHRASES = (Phrase(0, "Hello, world!"), Phrase(1, "Grüß Gott."))
AUDIO = bytes(range(240))
PCM = mulaw_decode(AUDIO).tobytes()


def event(name: str, kind: str, *, done: bool = False, **more: object) -> str:
    """A message of context *name*."""
    head = {"type": kind, "done": done, "status_code": 206, "context_id": name}
    return json.dumps(head | more)


def chunk(name: str) -> str:
    """30 ms of audio."""
    return event(name, "chunk", data=base64.b64encode(AUDIO).decode(), step_time=12.3)


def timed(name: str, words: list[str], start: list[float]) -> str:
    """Words and their times."""
    told = {"words": words, "start": start, "end": [at + 0.1 for at in start]}
    return event(name, "timestamps", word_timestamps=told)


REPLIES = (
    timed("0.0", ["Hello,", "world!"], [0.0, 0.01]),
    chunk("0.0"),
    chunk("0.1"),
    event("0.0", "flush_done", flush_done=True, flush_id=1),
    chunk("0.0"),
    event("0.0", "done", done=True),
    timed("0.1", ["Grüß", "Gott."], [0.0, 0.02]),
    event("0.1", "done", done=True),
)
HELLO = (SpokenWord(0, 6, 0), SpokenWord(7, 13, 80))
OUTPUTS = (
    Speech(0, b"", HELLO),
    Speech(0, PCM),
    Speech(0, PCM),
    Speech(0, b"", last=True),
    Speech(1, PCM),
    Speech(1, b"", (SpokenWord(0, 4, 0), SpokenWord(5, 10, 160))),
    Speech(1, b"", last=True),
)


def codec(**options: object) -> Cartesia:
    """The codec with *options*."""
    return Cartesia(endpoint("voice", TTS), {"voice": "anna", **options})


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded reply."""
    law(Conversation(codec, "a-key", PHRASES, REPLIES, OUTPUTS))


def test_the_handshake_has_a_version_and_a_key() -> None:
    """The one in the query, the other in a header of its own."""
    handshake = codec().handshake("a-key")
    assert handshake.path == "tts/websocket"
    assert handshake.query == (("cartesia_version", VERSION),)
    assert handshake.headers == {"X-API-Key": "a-key"}


def test_a_phrase_is_one_request() -> None:
    """Whole, in a context of its own, for audio as it is on the line."""
    (request,) = codec(speed=1.2, language="de").exchange(3).take(Phrase(9, "Grüß Gott!"))
    assert json.loads(request) == {
        "model_id": "voice",
        "voice": {"mode": "id", "id": "anna"},
        "language": "de",
        "output_format": {"container": "raw", "encoding": "pcm_mulaw", "sample_rate": 8000},
        "add_timestamps": True,
        "continue": False,
        "generation_config": {"speed": 1.2},
        "context_id": "3.9",
        "transcript": "Grüß Gott!",
    }


def test_contexts_that_are_left_are_cancelled_and_awaited() -> None:
    """What they still send is nobody's; with the last `done` the connection is free."""
    exchange = codec().exchange(0)
    for phrase in PHRASES:
        exchange.take(phrase)
    cancels = [json.loads(it) for it in exchange.leave()]
    assert cancels == [{"context_id": f"0.{n}", "cancel": True} for n in (0, 1)]
    assert exchange.receive(chunk("0.0")).outputs == ()
    exchange.receive(event("0.0", "done", done=True))
    assert not exchange.done
    exchange.receive(event("0.1", "done", done=True))
    assert exchange.done


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (event("0.0", "done", done=True), Fault.EMPTY),
        (timed("0.0", ["Hello,"], []), Fault.MALFORMED),
        (event("0.0", "chunk", data="****"), Fault.MALFORMED),
        (event("0.0", "error", status_code=429, error_code="concurrency_limited"), Fault.THROTTLED),
        (event("0.0", "error", status_code=400, error_code="model_not_found"), Fault.REFUSED),
        ('{"type":"error","done":true,"status_code":500,"title":"oh"}', Fault.UNAVAILABLE),
        ('{"type":"error","done":true}', Fault.UNAVAILABLE),
    ],
)
def test_what_goes_wrong_in_a_context(reply: str, fault: Fault) -> None:
    """Audio that is missing or broken, and errors that it tells."""
    exchange = codec().exchange(0)
    exchange.take(PHRASES[0])
    with pytest.raises(EndpointError) as caught:
        exchange.receive(reply)
    assert caught.value.fault is fault


def test_an_error_of_a_reply_that_was_left_is_nobodys() -> None:
    """It comes late, and not for this one."""
    exchange = codec().exchange(1)
    exchange.take(PHRASES[0])
    late = event("0.0", "error", status_code=500, error_code="internal")
    assert exchange.receive(late).outputs == ()


def test_a_refused_handshake() -> None:
    """The status decides, the body explains."""
    error = codec().refusal(402, {}, b'{"error_code":"quota_exceeded"}')
    assert error.fault is Fault.REFUSED
    assert "quota_exceeded" in error.detail


@pytest.mark.parametrize("options", [{"voice": ""}, {"output": "mp3"}, {"speed": 9}, {"pitch": 1}])
def test_options_that_it_does_not_know(options: Mapping[str, object]) -> None:
    """They are refused, and named."""
    with pytest.raises(InputError, match=next(iter(options))):
        codec(**options)
