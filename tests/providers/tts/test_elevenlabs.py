"""ElevenLabs' multi-context protocol, on messages in the shape of its documents.

The messages follow elevenlabs.io/docs/api-reference (multi-context WebSocket), the types of the SDK
`elevenlabs` 2.78.0 and errors quoted in public issues (pipecat 4114), read November 2026; they were
not recorded from the live service.
"""

import base64
import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_decode
from trunkline.providers.tts.contexts import TEXT_MAX
from trunkline.providers.tts.elevenlabs import ElevenLabs
from trunkline.testing.conformance import CODEC_LAWS, Conversation, Player
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, Phrase, Speech, SpokenWord

PHRASES = (Phrase(4, "Hello world."), Phrase(5, "Züge ⟨fahren⟩"), Phrase(6, "—"))


def audio(
    name: str, samples: int, chars: str = "", starts: list[int] | None = None, **more: object
) -> str:
    """A message with *samples* of audio and an alignment, if *chars* are given."""
    aligned = {
        "chars": list(chars),
        "charStartTimesMs": starts,
        "charDurationsMs": [10] * len(chars),
    }
    message: dict[str, object] = {
        "audio": base64.b64encode(bytes(range(256)) * 32)[: 4 * samples // 3].decode(),
        "isFinal": None,
        "normalizedAlignment": aligned if chars else None,
        "alignment": aligned if chars else None,
        "contextId": name,
    }
    return json.dumps(message | more)


def final(name: str) -> str:
    """The end of a context."""
    return json.dumps({"audio": "", "isFinal": True, "contextId": name})


def sound(samples: int) -> bytes:
    """What `audio` carries, decoded."""
    return mulaw_decode((bytes(range(256)) * 32)[:samples]).tobytes()


REPLIES = (
    audio("7.4", 2400, " Hello", [0, 0, 50, 100, 150, 200]),
    audio("7.5", 1200, "Züge ", [0, 20, 40, 60, 80]),
    audio("1.4", 1200, "late", [0, 1, 2, 3]),  # of an earlier reply
    audio("7.4", 2400, " world. ", [0, 10, 60, 110, 160, 210, 250, 300]),
    final("7.4"),
    audio("7.5", 1200, "⟨fahren⟩ ", [0, 10, 20, 30, 40, 50, 60, 70, 80]),
    final("7.5"),
    final("7.6"),
)
OUTPUTS = (
    Speech(4, sound(2400), (SpokenWord(0, 5, 0),)),
    Speech(4, sound(2400), (SpokenWord(6, 12, 2400 + 80),)),
    Speech(4, b"", (), last=True),
    Speech(5, sound(1200), (SpokenWord(0, 4, 0),)),
    Speech(5, sound(1200), (SpokenWord(5, 13, 1200),)),
    Speech(5, b"", (), last=True),
    Speech(6, b"", (), last=True),
)


def codec(**options: object) -> ElevenLabs:
    """The codec with *options*."""
    return ElevenLabs(endpoint("voice", TTS), {"voice": "anna", **options})


class Seventh:
    """The codec of a connection on which seven replies were spoken before."""

    def __init__(self) -> None:
        self._codec = codec()
        self.handshake, self.refusal = self._codec.handshake, self._codec.refusal
        self.reuse_s, self.keepalive = self._codec.reuse_s, self._codec.keepalive

    def exchange(self, ordinal: int, /) -> Any:
        """The next reply."""
        return self._codec.exchange(7 + ordinal)


CONVERSATION: Conversation[Phrase, Speech] = Conversation(
    Seventh, "a-key", PHRASES, REPLIES, OUTPUTS
)


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded reply."""
    law(CONVERSATION)


def test_the_handshake_says_it_all() -> None:
    """The voice is in the path, the key in a header of its own, settings in the query."""
    handshake = codec(language="de", logging=False).handshake("a-key")
    assert handshake.path == "text-to-speech/anna/multi-stream-input"
    assert handshake.headers == {"xi-api-key": "a-key"}
    query = dict(handshake.query)
    assert (query["output_format"], query["auto_mode"]) == ("ulaw_8000", "true")
    assert (query["language_code"], query["enable_logging"]) == ("de", "false")
    assert query["sync_alignment"] == "true"


def test_a_phrase_is_a_context_that_is_opened_filled_and_closed() -> None:
    """At once, so that `isFinal` tells where its audio ends; settings come with its opening."""
    exchange = codec(stability=0.4, speed=1.1).exchange(3)
    told = [json.loads(it) for it in exchange.take(Phrase(9, " Grüß Gott!"))]
    assert told == [
        {
            "text": " ",
            "context_id": "3.9",
            "voice_settings": {"stability": 0.4, "speed": 1.1},
        },
        {"text": "Grüß Gott! ", "context_id": "3.9", "flush": True},
        {"context_id": "3.9", "close_context": True},
    ]


def test_two_phrases_are_under_way_and_no_more() -> None:
    """A third one would wait there instead of here, and be spoken for nobody."""
    exchange = codec().exchange(0)
    exchange.take(PHRASES[0])
    assert exchange.wants_more
    exchange.take(PHRASES[1])
    assert not exchange.wants_more
    exchange.receive(audio("0.4", 240))
    exchange.receive(final("0.4"))
    assert exchange.wants_more


def test_times_that_are_relative_to_the_context() -> None:
    """They mean the same, and need not fall on the edges of the messages."""
    player = Player(CONVERSATION, ordinal=0)
    player.hear(audio("7.4", 2400, "Hello", [0, 50, 100, 150, 290]))
    player.hear(audio("7.4", 2400, " world.", [295, 310, 360, 410, 460, 510, 550]))
    marks = [word.at for it in player.outputs for word in it.words]
    assert marks == [0, 310 * 8]


def test_linear_audio_may_be_cut_within_a_sample() -> None:
    """Half a sample waits for its other half."""
    exchange = codec(output="pcm_8000").exchange(0)
    exchange.take(PHRASES[0])
    whole = np.arange(-50, 50, dtype="<i2").tobytes()
    heard = b""
    for piece in (whole[:33], whole[33:34], whole[34:151], whole[151:]):
        told = {"audio": base64.b64encode(piece).decode(), "contextId": "0.4"}
        heard += b"".join(it.pcm for it in exchange.receive(json.dumps(told)).outputs)
    assert heard == whole


@pytest.mark.parametrize(
    ("replies", "fault"),
    [
        ([final("0.4")], Fault.EMPTY),
        ([audio("0.4", 240, "Sorry", [0, 1, 2, 3, 4]), final("0.4")], Fault.CUT),
        ([audio("0.4", 240, "ab", [0])], Fault.MALFORMED),
        (['{"audio":"****","contextId":"0.4"}'], Fault.MALFORMED),
        (['{"error":"max_active_conversations","message":"5","code":1008}'], Fault.THROTTLED),
        (['{"error":"invalid_api_key","message":"no","code":1008}'], Fault.REFUSED),
        (['{"error":"internal","message":"oh","code":1011}'], Fault.UNAVAILABLE),
        (['{"error":"something","message":"oh"}'], Fault.UNAVAILABLE),
    ],
)
def test_what_goes_wrong_in_a_context(replies: list[str], fault: Fault) -> None:
    """Audio that is missing, cut short or broken, and errors that it tells."""
    exchange = codec().exchange(0)
    exchange.take(Phrase(4, "Sorry, what did you say?"))
    for reply in replies[:-1]:
        exchange.receive(reply)
    with pytest.raises(EndpointError) as caught:
        exchange.receive(replies[-1])
    assert caught.value.fault is fault


def test_a_phrase_that_is_too_long_is_refused() -> None:
    """It would have to be split at sentences before it comes here."""
    with pytest.raises(EndpointError, match="split at sentences") as caught:
        codec().exchange(0).take(Phrase(0, "a" * (TEXT_MAX + 1)))
    assert caught.value.fault is Fault.REFUSED


def test_a_refused_handshake_tells_why() -> None:
    """The reason is in the body."""
    body = b'{"detail":{"status":"quota_exceeded","message":"You have 0 credits left"}}'
    error = codec().refusal(401, {}, body)
    assert error.fault is Fault.REFUSED
    assert "quota_exceeded" in error.detail


@pytest.mark.parametrize(
    "options",
    [
        {"voice": ""},
        {"output": "mp3_44100_128"},
        {"speed": 3.0},
        {"phrases_ahead": 0},
        {"logging": "no"},
        {"no_such": 1},
    ],
)
def test_options_that_it_does_not_know(options: Mapping[str, object]) -> None:
    """They are refused, and named."""
    with pytest.raises(InputError, match=next(iter(options))):
        codec(**options)
