"""Deepgram's protocol, on messages in the shape of its documents.

The messages follow the examples of developers.deepgram.com ("Getting Started With Live Streaming",
"Finalize", "Close Stream") and the types of deepgram-sdk 7.17.0, both read November 2026; they were
not recorded from the live service.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.contracts import GivesInterims
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_encode
from trunkline.providers.stt.deepgram import Deepgram
from trunkline.testing.conformance import CODEC_LAWS, Conversation, Player
from trunkline.testing.simulated import endpoint
from trunkline.types import STT, AudioFrame, Sample, Transcript, Word

PCM = (np.arange(160, dtype=np.int16) * 100).tobytes()
FRAMES = tuple(AudioFrame(PCM, Sample(16_000 + 160 * number)) for number in range(100))
METADATA = json.dumps(
    {
        "type": "Metadata",
        "transaction_key": "deprecated",
        "request_id": "8c8ebea9-dbec-45fa-a035-e4632cb05b5f",
        "sha256": "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
        "created": "2024-08-29T22:37:55.202Z",
        "duration": 2.0,
        "channels": 1,
    }
)


def results(
    text: str, words: list[tuple[str, float, float]], *, final: bool = False, **more: object
) -> str:
    """A `Results` message."""
    told = [
        {
            "word": word.lower().strip(".,"),
            "start": start,
            "end": end,
            "confidence": 0.99,
            "punctuated_word": word,
        }
        for word, start, end in words
    ]
    return json.dumps(
        {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": 1.98,
            "start": 0.0,
            "is_final": final,
            "speech_final": final,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.99, "words": told}]},
            "metadata": {
                "request_id": "52cc0efe-fa77-4aa7-b79c-0dda09de2f14",
                "model_info": {"name": "general-nova-3", "version": "2024-12-20.0", "arch": "n"},
                "model_uuid": "c0d1a568-ce81-4fea-97e7-bd45cb1fdf3c",
            },
            "from_finalize": False,
        }
        | more
    )


REPLIES = (
    '{"type":"SpeechStarted","channel":[0,1],"timestamp":0.1}',
    results("Two", [("Two", 0.1, 0.3)]),
    results("Two", [("Two", 0.1, 0.3)]),
    results("Two fillings,", [("Two", 0.1, 0.3), ("fillings,", 0.3, 0.9)], final=True),
    results("", []),
    results("pleas", [("pleas", 1.0, 1.2)]),
    results("please.", [("please.", 1.0, 1.4)], final=True),
    '{"type":"UtteranceEnd","channel":[0,1],"last_word_end":1.4}',
    METADATA,
)


def word(text: str, start_s: float, end_s: float) -> Word:
    """A word of the call, whose audio begins two seconds into it."""
    at = 16_000
    return Word(text, Sample(at + round(start_s * 8_000)), Sample(at + round(end_s * 8_000)))


TWO, FILLINGS, PLEASE = (
    word("Two", 0.1, 0.3),
    word("fillings,", 0.3, 0.9),
    word("please.", 1.0, 1.4),
)
OUTPUTS = (
    Transcript("Two", False, (TWO,)),
    Transcript("Two fillings,", False, (TWO, FILLINGS)),
    Transcript("Two fillings, pleas", False, (TWO, FILLINGS, word("pleas", 1.0, 1.2))),
    Transcript("Two fillings, please.", False, (TWO, FILLINGS, PLEASE)),
    Transcript("Two fillings, please.", True, (TWO, FILLINGS, PLEASE)),
)


def codec(**options: object) -> Deepgram:
    """The codec with *options*."""
    return Deepgram(endpoint("ears", STT), options)


def conversation(**options: object) -> Conversation[AudioFrame, Transcript]:
    """The recorded utterance."""
    return Conversation(lambda: codec(**options), "a-key", FRAMES, REPLIES, OUTPUTS, streams=True)


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded utterance."""
    law(conversation())


def test_the_handshake_says_it_all() -> None:
    """Settings are in the query, the key is in a header of its own scheme."""
    handshake = codec(
        language="de", keyterms=["Zahnreinigung"], endpointing_ms=0, mip_opt_out=True
    ).handshake("a-key")
    assert handshake.path == "listen"
    assert handshake.headers == {"Authorization": "Token a-key"}
    query = dict(handshake.query)
    assert (query["encoding"], query["sample_rate"], query["channels"]) == ("mulaw", "8000", "1")
    assert (query["language"], query["keyterm"]) == ("de", "Zahnreinigung")
    assert (query["endpointing"], query["interim_results"]) == ("false", "true")
    assert query["mip_opt_out"] == "true"
    assert dict(codec().handshake(None).headers) == {}


@pytest.mark.parametrize(
    ("encoding", "wire"),
    [("mulaw", mulaw_encode(np.frombuffer(PCM, np.int16))), ("linear16", PCM)],
)
def test_audio_goes_as_it_comes(encoding: str, wire: bytes) -> None:
    """A message a frame, none for an empty frame, which would end the stream; then CloseStream."""
    player = Player(conversation(encoding=encoding))
    assert player.sent == [wire] * len(FRAMES) + ['{"type":"CloseStream"}']
    assert codec().exchange(0).take(AudioFrame(b"", Sample(0))) == ()


def test_words_have_their_place_in_the_call_across_a_gap() -> None:
    """Frames that never came shift nothing: each word is where the caller said it."""
    late = [AudioFrame(PCM, Sample(frame.at + 80_000)) for frame in FRAMES[50:]]
    exchange = codec().exchange(0)
    for frame in (*FRAMES[:50], *late):
        exchange.take(frame)
    told = exchange.receive(results("Two please", [("Two", 0.1, 0.3), ("please.", 1.0, 1.4)]))
    early, after = told.outputs[0].words
    assert early == TWO
    assert after.start == PLEASE.start + 80_000


def test_an_end_before_the_utterance_has_ended_is_a_cut() -> None:
    """A provider that says goodbye while the caller still speaks has not heard the rest."""
    exchange = codec().exchange(0)
    exchange.take(FRAMES[0])
    with pytest.raises(EndpointError) as caught:
        exchange.receive(METADATA)
    assert caught.value.fault is Fault.CUT


@pytest.mark.parametrize(
    ("variant", "fault"),
    [("SchemaError", Fault.REFUSED), ("InternalError", Fault.UNAVAILABLE)],
)
def test_an_error_inside_the_stream(variant: str, fault: Fault) -> None:
    """What we said wrong is refused; anything else is the provider's trouble."""
    said = {"type": "Error", "variant": variant, "description": "no good", "message": "x"}
    with pytest.raises(EndpointError, match="no good") as caught:
        codec().exchange(0).receive(json.dumps(said))
    assert caught.value.fault is fault


def test_words_of_audio_that_was_never_sent_are_malformed() -> None:
    """They have no place in the call."""
    with pytest.raises(EndpointError) as caught:
        codec().exchange(0).receive(REPLIES[1])
    assert caught.value.fault is Fault.MALFORMED


@pytest.mark.parametrize(
    ("status", "fault"),
    [
        (200, Fault.MALFORMED),
        (307, Fault.REFUSED),
        (400, Fault.REFUSED),
        (401, Fault.REFUSED),
        (408, Fault.UNAVAILABLE),
        (429, Fault.THROTTLED),
        (503, Fault.UNAVAILABLE),
    ],
)
def test_a_refused_handshake(status: int, fault: Fault) -> None:
    """The status decides, the header `dg-error` explains."""
    headers = {"dg-error": "Invalid credentials.", "retry-after": "3"}
    error = codec().refusal(status, headers, b'{"err_code":"INVALID_AUTH"}')
    assert error.fault is fault
    assert "Invalid credentials." in error.detail
    assert error.retry_after_s == 3


@pytest.mark.parametrize(
    "options",
    [
        {"encoding": "opus"},
        {"keyterms": "one"},
        {"punctuate": "yes"},
        {"endpointing_ms": -1},
        {"no_such": 1},
    ],
)
def test_options_that_it_does_not_know(options: Mapping[str, object]) -> None:
    """They are refused, and named."""
    with pytest.raises(InputError, match=next(iter(options))):
        codec(**options)


@pytest.mark.parametrize("interim", [True, False])
def test_it_declares_what_it_asks_for(interim: bool) -> None:
    """So a worker knows before the first word whether silence is a sign of deafness."""
    made = codec(interim=interim)
    assert made.gives_interims is interim
    assert ("interim_results", str(interim).lower()) in made.handshake(None).query
    assert isinstance(made, GivesInterims)
