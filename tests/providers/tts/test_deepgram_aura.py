"""Deepgram's synthesis, on messages in the shape of its documents.

They follow developers.deepgram.com (tts-ws-flush, tts-ws-clear) and the types of deepgram-sdk
7.17.0 (`speak/v1/types`), read November 2026; they were not recorded from the live service.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_decode
from trunkline.providers.tts.deepgram_aura import DeepgramAura
from trunkline.testing.conformance import CODEC_LAWS, Conversation
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, Phrase, Speech

PHRASES = (Phrase(0, "Hello, world!"), Phrase(1, "Grüß Gott."))
AUDIO = bytes(range(240))
PCM = mulaw_decode(AUDIO).tobytes()
FLUSHED = '{"type":"Flushed","sequence_id":%d}'
REPLIES = (
    '{"type":"Metadata","request_id":"r","model_name":"m","model_version":"1","model_uuid":"u"}',
    AUDIO,
    AUDIO[:100],
    FLUSHED % 0,
    AUDIO,
    '{"type":"Warning","code":"SOMETHING","description":"Something else."}',
    FLUSHED % 1,
)
OUTPUTS = (
    Speech(0, PCM),
    Speech(0, PCM[:200]),
    Speech(0, b"", (), last=True),
    Speech(1, PCM),
    Speech(1, b"", (), last=True),
)


def codec(**options: object) -> DeepgramAura:
    """The codec with *options*."""
    return DeepgramAura(endpoint("aura-2-thalia-en", TTS), options)


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded reply."""
    law(Conversation(codec, "a-key", PHRASES, REPLIES, OUTPUTS, binary=True))


def test_the_handshake_says_it_all() -> None:
    """Settings are in the query, the key is in a header of its own scheme."""
    handshake = codec(speed=1.2, mip_opt_out=True).handshake("a-key")
    assert handshake.path == "speak"
    assert handshake.headers == {"Authorization": "Token a-key"}
    assert dict(handshake.query) == {
        "model": "aura-2-thalia-en",
        "encoding": "mulaw",
        "sample_rate": "8000",
        "speed": "1.2",
        "mip_opt_out": "true",
    }


def test_a_phrase_is_spoken_at_once() -> None:
    """Its text, then that nothing more belongs to it."""
    spoken, flush = codec().exchange(0).take(PHRASES[1])
    assert json.loads(spoken) == {"type": "Speak", "text": "Grüß Gott."}
    assert json.loads(flush) == {"type": "Flush"}


@pytest.mark.parametrize(
    ("reply", "fault"),
    [
        (FLUSHED % 0, Fault.EMPTY),
        ('{"type":"Error","err_code":"X","err_msg":"no"}', Fault.UNAVAILABLE),
        ('{"type":"Warning","code":"X","description":"Too many flush messages"}', Fault.THROTTLED),
    ],
)
def test_a_phrase_that_will_not_be_heard_is_a_fault(reply: str, fault: Fault) -> None:
    """No audio, an error, a flush that was one too many in a minute."""
    exchange = codec().exchange(0)
    exchange.take(PHRASES[0])
    with pytest.raises(EndpointError) as caught:
        exchange.receive(reply)
    assert caught.value.fault is fault


def test_what_comes_for_nobody_is_nobodys() -> None:
    """Late audio and a late end, when no phrase is open."""
    exchange = codec().exchange(0)
    assert not exchange.receive(AUDIO).outputs
    assert not exchange.receive(FLUSHED % 0).outputs


@pytest.mark.parametrize("options", [{"speed": 9}, {"voice": "x"}])
def test_options_that_cannot_work(options: Mapping[str, object]) -> None:
    """They are refused when the stage is built."""
    with pytest.raises(InputError):
        codec(**options)
