"""The wire format, both sides, against messages as Twilio documents them."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts import Digit, MarkPlayed, Media, Started, Stopped
from trunkline.errors import InputError
from trunkline.telephony import twilio
from trunkline.telephony.twilio import (
    AgentAudio,
    AgentClear,
    AgentMark,
    CarrierSide,
    StreamDecoder,
)
from trunkline.types import Sample

STREAM, CALL = "MZ" + "1" * 32, "CA" + "2" * 32
CONNECTED = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
START = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": "AC" + "3" * 32,
        "streamSid": STREAM,
        "callSid": CALL,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"FirstName": "Jane", "RemoteParty": "Bob"},
    },
    "streamSid": STREAM,
}


def text(message: object) -> str:
    """A message as it travels."""
    return json.dumps(message)


def audio(payload: bytes, chunk: int, ms: int, track: str = "inbound") -> str:
    """A media message with its numbers as strings, as Twilio sends them."""
    body = {
        "track": track,
        "chunk": str(chunk),
        "timestamp": str(ms),
        "payload": base64.b64encode(payload).decode(),
    }
    return text({"event": "media", "sequenceNumber": "4", "media": body, "streamSid": STREAM})


def started() -> StreamDecoder:
    """A decoder that has seen connected and start."""
    decoder = StreamDecoder()
    assert decoder.decode(text(CONNECTED)) is None
    decoder.decode(text(START))
    return decoder


def test_a_stream_starts_with_its_ids_and_parameters() -> None:
    """`start` gives the call, the stream and the parameters of the TwiML."""
    decoder = StreamDecoder()
    assert decoder.decode(text(CONNECTED)) is None
    event = decoder.decode(text(START))
    assert event == Started(CALL, STREAM, "", {"FirstName": "Jane", "RemoteParty": "Bob"})
    assert decoder.stream == STREAM


def test_every_event_of_a_call_is_understood() -> None:
    """Audio, a key, a mark and the end, each with the fields that Twilio documents."""
    decoder = started()
    frame = bytes(range(160))
    assert decoder.decode(audio(frame, 1, 20)) == Media(frame, Sample(160))
    key = {"event": "dtmf", "streamSid": STREAM, "sequenceNumber": "5"}
    assert decoder.decode(text(key | {"dtmf": {"track": "inbound_track", "digit": "#"}})) == Digit(
        "#"
    )
    echo = {"event": "mark", "sequenceNumber": "6", "streamSid": STREAM, "mark": {"name": "a b"}}
    assert decoder.decode(text(echo)) == MarkPlayed("a b")
    stop = {"event": "stop", "sequenceNumber": "7", "streamSid": STREAM, "stop": {"callSid": CALL}}
    assert isinstance(decoder.decode(text(stop)), Stopped)
    assert decoder.decode(audio(frame, 2, 40)) is None, "what comes after the end is not heard"


def test_numbers_may_be_numbers_and_messages_bytes() -> None:
    """Copies of the protocol send plain numbers and leave out the stream's id."""
    body = {"payload": "////", "chunk": 1, "timestamp": 100}
    message = text({"event": "media", "media": body}).encode()
    assert started().decode(message) == Media(b"\xff\xff\xff", Sample(800))


def test_unknown_events_and_fields_are_ignored() -> None:
    """Twilio adds both without a new version."""
    decoder = started()
    assert decoder.decode(text({"event": "weather", "streamSid": STREAM, "sun": [1, 2]})) is None
    mark = {"event": "mark", "streamSid": STREAM, "mark": {"name": "m", "new": 1}, "newer": None}
    assert decoder.decode(text(mark)) == MarkPlayed("m")


def test_late_and_repeated_chunks_are_dropped_and_counted() -> None:
    """A gap shows in the position of the next frame; the past is not replayed."""
    decoder = started()
    heard = [decoder.decode(audio(b"\xff" * 160, n, n * 20)) for n in (1, 2, 2, 5, 3, 6)]
    assert [e.at if isinstance(e, Media) else None for e in heard] == [
        160,
        320,
        None,
        800,
        None,
        960,
    ]
    assert decoder.dropped == 2


@pytest.mark.parametrize(
    "message",
    [audio(b"\xff", 1, 0, track="outbound"), audio(b"", 1, 0)],
    ids=["our own voice", "no audio"],
)
def test_frames_without_caller_audio_say_nothing(message: str) -> None:
    """Only the inbound track is the caller."""
    assert started().decode(message) is None


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([START], "'connected' was due"),
        ([CONNECTED, CONNECTED], "'start' was due"),
        ([CONNECTED, START, START], "exactly once"),
        ([CONNECTED, START, CONNECTED], "exactly once"),
        ([CONNECTED, {"event": "mark", "mark": {"name": "m"}}], "before 'start'"),
        ([CONNECTED, START, {"event": "stop", "streamSid": "MZother"}], "for stream 'MZother'"),
    ],
    ids=["no connected", "connected twice", "start twice", "connected late", "early", "other"],
)
def test_a_wrong_sequence_is_refused(messages: list[dict[str, object]], reason: str) -> None:
    """The order is connected, start, then everything else, for one stream."""
    decoder = StreamDecoder()
    *good, bad = messages
    for message in good:
        decoder.decode(text(message))
    with pytest.raises(InputError, match=reason):
        decoder.decode(text(bad))


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ("{", "truncated"),
        ("[]", "object"),
        ("{}", "event"),
        (b'{"event": "mark", "mark": {"name": "\xff"}}', "cannot be read"),
        ('{"event": "stop", "x": ' + "[" * 5000 + "]" * 5000 + "}", "recursion"),
        ('{"event": "media"}', "media"),
        ('{"event": "media", "media": {"payload": "no base64"}}', "base64"),
        ('{"event": "media", "media": {"payload": "//8"}}', "base64"),
        ('{"event": "media", "media": {"payload": "", "timestamp": "soon"}}', "timestamp"),
        ('{"event": "media", "media": {"payload": "", "timestamp": "-1"}}', "timestamp"),
        ('{"event": "media", "media": {"payload": "", "timestamp": 86400001}}', "timestamp"),
        ('{"event": "mark", "mark": {"name": ""}}', "name"),
        ('{"event": "dtmf", "dtmf": {"digit": "12"}}', "digit"),
        (" " * (twilio.MESSAGE_BYTES_MAX + 1), "the limit is 32768"),
    ],
)
def test_malformed_messages_are_refused_with_their_place(message: bytes | str, reason: str) -> None:
    """The error names the field, or the limit."""
    with pytest.raises(InputError, match=reason):
        started().decode(message)


def test_another_audio_format_is_refused() -> None:
    """Only mu-law at 8 kHz is understood, and the error says what came instead."""
    decoder = StreamDecoder()
    decoder.decode(text(CONNECTED))
    form = {"encoding": "audio/x-l16", "sampleRate": 16000, "channels": 1}
    start = {"streamSid": STREAM, "callSid": CALL, "mediaFormat": form}
    with pytest.raises(InputError, match="'audio/x-l16' 16000 Hz"):
        decoder.decode(text({"event": "start", "streamSid": STREAM, "start": start}))


def test_what_we_send_has_exactly_the_documented_fields() -> None:
    """Twilio warns of any other field (31951)."""
    payload = base64.b64encode(b"\x7f\xff").decode()
    assert json.loads(twilio.media(STREAM, b"\x7f\xff")) == {
        "event": "media",
        "streamSid": STREAM,
        "media": {"payload": payload},
    }
    assert json.loads(twilio.mark(STREAM, "m")) == {
        "event": "mark",
        "streamSid": STREAM,
        "mark": {"name": "m"},
    }
    assert json.loads(twilio.clear(STREAM)) == {"event": "clear", "streamSid": STREAM}


def test_the_carrier_reads_what_we_send_and_refuses_another_stream() -> None:
    """Both sides agree; a message for another stream is an error, an unknown one is not."""
    carrier = CarrierSide(STREAM, CALL)
    assert carrier.decode(twilio.media(STREAM, b"\x01\x02")) == AgentAudio(b"\x01\x02")
    assert carrier.decode(twilio.mark(STREAM, "m")) == AgentMark("m")
    assert carrier.decode(twilio.clear(STREAM)) == AgentClear()
    assert carrier.decode(text({"event": "start"})) is None
    with pytest.raises(InputError, match="streamSid is ''"):
        carrier.decode(text({"event": "clear"}))


@given(
    parameters=st.dictionaries(st.text(max_size=20), st.text(max_size=40), max_size=4),
    frames=st.lists(st.binary(min_size=1, max_size=400), max_size=5),
    names=st.lists(st.text(min_size=1, max_size=40), max_size=3),
    digit=st.sampled_from("0123456789*#ABCD"),
)
def test_a_call_survives_the_wire_unchanged(
    parameters: dict[str, str], frames: list[bytes], names: list[str], digit: str
) -> None:
    """What the carrier's side encodes, our side decodes, frame for frame and name for name."""
    carrier, ours = CarrierSide(STREAM, CALL), StreamDecoder()
    assert ours.decode(carrier.connected()) is None
    assert ours.decode(carrier.start(parameters)) == Started(CALL, STREAM, "", parameters)
    for number, frame in enumerate(frames):
        at = Sample(number * 160)
        assert ours.decode(carrier.media(frame, at)) == Media(frame, at)
    for name in names:
        assert ours.decode(carrier.mark(name)) == MarkPlayed(name)
    assert ours.decode(carrier.dtmf(digit)) == Digit(digit)
    assert isinstance(ours.decode(carrier.stop()), Stopped)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["event", "media", "start", "mark", "name"]), inner)
    ),
    max_leaves=8,
)


@given(
    st.binary(max_size=60)
    | JSON.map(json.dumps)
    | st.tuples(st.sampled_from(["media", "start", "mark", "stop", "dtmf"]), JSON).map(
        lambda pair: json.dumps({"event": pair[0], pair[0]: pair[1]})
    )
)
def test_nothing_but_an_input_error_comes_out_of_garbage(message: bytes | str) -> None:
    """Whatever arrives, the decoder answers with an event, nothing, or our error."""
    for decode in (started().decode, StreamDecoder().decode, CarrierSide("", "").decode):
        with suppress(InputError):
            decode(message)
