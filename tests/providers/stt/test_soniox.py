"""Soniox' protocol, on messages in the shape of its documents.

They follow soniox.com/docs ("WebSocket API", "Real-time transcription", "Error handling") and the
types of the SDK `soniox` 2.10.0, read November 2026; they were not recorded from the live service.
"""

import json
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.media.g711 import mulaw_encode
from trunkline.providers.stt.soniox import Soniox
from trunkline.testing.conformance import CODEC_LAWS, Conversation, Player
from trunkline.testing.simulated import endpoint
from trunkline.types import STT, AudioFrame, Sample, Transcript, Word

PCM = (np.arange(160, dtype=np.int16) * 100).tobytes()
FRAMES = tuple(AudioFrame(PCM, Sample(16_000 + 160 * number)) for number in range(100))


def result(*tokens: tuple[str, int, int, bool], **more: object) -> str:
    """A message of *tokens*: text, from and to in ms, whether it is final."""
    told = [
        {"text": text, "start_ms": start, "end_ms": end, "confidence": 0.9, "is_final": final}
        for text, start, end, final in tokens
    ]
    return json.dumps({"tokens": told, "final_audio_proc_ms": 0, "total_audio_proc_ms": 9} | more)


FINISHED = result(finished=True)
REPLIES = (
    result(),
    result(("Tw", 100, 150, False)),
    result(("Tw", 100, 150, False)),
    result(("Two", 100, 300, True), (" fil", 300, 600, False)),
    result((" fil", 300, 600, True), ("lings", 600, 900, True), (",", 900, 900, True)),
    result((" please", 1_000, 1_400, True), ("<fin>", 1_400, 1_400, True)),
    FINISHED,
)


def word(text: str, start_ms: int, end_ms: int) -> Word:
    """A word of the call, whose audio begins two seconds into it."""
    return Word(text, Sample(16_000 + 8 * start_ms), Sample(16_000 + 8 * end_ms))


TWO, FILLINGS, PLEASE = (
    word("Two", 100, 300),
    word("fillings,", 300, 900),
    word("please", 1_000, 1_400),
)
OUTPUTS = (
    Transcript("Tw", False, (word("Tw", 100, 150),)),
    Transcript("Two fil", False, (TWO, word("fil", 300, 600))),
    Transcript("Two fillings,", False, (TWO, FILLINGS)),
    Transcript("Two fillings, please", False, (TWO, FILLINGS, PLEASE)),
    Transcript("Two fillings, please", True, (TWO, FILLINGS, PLEASE)),
)


def codec(**options: object) -> Soniox:
    """The codec with *options*."""
    return Soniox(endpoint("stt-rt-v5", STT), options)


def conversation() -> Conversation[AudioFrame, Transcript]:
    """The recorded utterance."""
    return Conversation(codec, "a-key", FRAMES, REPLIES, OUTPUTS, streams=True)


@pytest.mark.parametrize("law", CODEC_LAWS, ids=lambda law: law.__name__)
def test_it_keeps_the_laws_of_a_codec(law: Callable[[Conversation[Any, Any]], None]) -> None:
    """Each law, on the recorded utterance."""
    law(conversation())


def test_the_first_message_says_it_all_but_the_key() -> None:
    """The key is in the header: in the message it is refused from January 2027."""
    handshake = codec(languages=["de"], terms=["Zahn"], reference="r1").handshake("a-key")
    assert handshake.path == "transcribe-websocket"
    assert handshake.headers == {"Authorization": "Bearer a-key"}
    (hello,) = handshake.hello
    assert json.loads(hello) == {
        "model": "stt-rt-v5",
        "audio_format": "mulaw",
        "sample_rate": 8000,
        "num_channels": 1,
        "enable_endpoint_detection": False,
        "language_hints": ["de"],
        "context": {"terms": ["Zahn"]},
        "client_reference_id": "r1",
    }


def test_audio_goes_as_it_comes() -> None:
    """A message a frame, none for an empty frame, which would end the stream; then the end."""
    wire = mulaw_encode(np.frombuffer(PCM, np.int16))
    assert Player(conversation()).sent == [wire] * len(FRAMES) + [""]
    assert codec().exchange(0).take(AudioFrame(b"", Sample(0))) == ()


@pytest.mark.parametrize(
    ("code", "fault"),
    [(400, Fault.REFUSED), (401, Fault.REFUSED), (429, Fault.THROTTLED), (503, Fault.UNAVAILABLE)],
)
def test_errors_are_told_as_whose_they_are(code: int, fault: Fault) -> None:
    """Their codes are those of HTTP."""
    message = json.dumps({"error_code": code, "error_message": "Because."})
    with pytest.raises(EndpointError, match="Because") as caught:
        codec().exchange(0).receive(message)
    assert caught.value.fault is fault


def test_an_end_before_ours_is_a_cut() -> None:
    """However well it is announced."""
    with pytest.raises(EndpointError) as caught:
        codec().exchange(0).receive(FINISHED)
    assert caught.value.fault is Fault.CUT


def test_words_of_audio_that_it_never_got() -> None:
    """They have no place in the call."""
    with pytest.raises(EndpointError, match="never got"):
        codec().exchange(0).receive(result(("Two", 0, 100, True)))


@pytest.mark.parametrize("options", [{"languages": "de"}, {"model": "x"}, {"reference": ""}])
def test_options_that_cannot_work(options: Mapping[str, object]) -> None:
    """They are refused when the stage is built."""
    with pytest.raises(InputError):
        codec(**options)
