"""The event stream parser against the WHATWG standard, however the network cuts the bytes."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import EndpointError, Fault
from trunkline.net.sse import MAX_IDLE_BYTES, MAX_STREAM_BYTES, SseParser


def events(*chunks: bytes, max_event_bytes: int = 1 << 20) -> list[bytes]:
    """The events of a stream that arrives in *chunks*."""
    parser = SseParser("local", max_event_bytes=max_event_bytes)
    return [event for chunk in chunks for event in parser.feed(chunk)]


def by_the_standard(stream: bytes) -> list[bytes]:
    """What the standard's algorithm says of the whole stream at once, written as it is stated."""
    lines = re.split(rb"\r\n|\r|\n", stream.removeprefix(b"\xef\xbb\xbf"))
    found: list[bytes] = []
    data: bytes | None = None
    for line in lines[:-1]:  # what follows the last line end is an incomplete line
        if line == b"":
            if data is not None:
                found.append(data[:-1])
            data = None
        elif line.startswith(b":"):
            continue
        else:
            name, colon, value = line.partition(b":")
            if colon and value.startswith(b" "):
                value = value[1:]
            if name == b"data":
                data = (data or b"") + value + b"\n"
    return found


texts = st.sampled_from(
    [
        b"data: a",
        b"data:b",
        b"data:  two spaces",
        b"data",
        b"data:",
        "data: Zürich ☎".encode(),
        b"data: \xff\x00\x0b\x0c\x1c\xc2\x85",
        b": comment",
        b":",
        b"event: x",
        b"dat: no",
        b" data: no",
        b"\xef\xbb\xbfdata: a byte order mark",
        b"",
    ]
)
ends = st.sampled_from([b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b""])
lines = st.tuples(texts, ends).map(b"".join)
streams = st.lists(lines, max_size=20).map(b"".join)


@given(streams, st.lists(st.integers(0, 200), max_size=12))
def test_any_chunking_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    """The same events come out whole, in any pieces, byte by byte, and by the standard."""
    places = [0, *sorted(cuts), len(stream)]
    chunks = [stream[a:b] for a, b in pairwise(places)]
    expected = by_the_standard(stream)
    assert events(stream) == expected
    assert events(*chunks) == expected
    assert events(*(bytes([byte]) for byte in stream)) == expected


@pytest.mark.parametrize(
    ("stream", "data"),
    [
        (b"\xef\xbb\xbfdata: a mark is skipped\n\n", [b"a mark is skipped"]),
        (b"\xef\xbb\xbf\xef\xbb\xbfdata: one mark only\n\n", []),
        (b"\n\xef\xbb\xbfdata: only at the start\n\n", []),
        (b"data:  one space goes\n\n", [b" one space goes"]),
        (b"data:\ttabs stay\n\n", [b"\ttabs stay"]),
        (b"data: a\ndata\ndata: b\n\n", [b"a\n\nb"]),
        (b"data\n\n", [b""]),
        (b"event: nothing\n\n", []),
        ("data: Zürich\n\n".encode(), ["Zürich".encode()]),
    ],
)
def test_lines_and_fields(stream: bytes, data: list[bytes]) -> None:
    """The cases that the standard spells out, each whole and byte by byte."""
    assert events(stream) == data
    assert events(*(bytes([byte]) for byte in stream)) == data


def test_an_event_is_given_at_its_carriage_return() -> None:
    """An event is not held back until the line feed after its last CR arrives."""
    assert events(b"data: now\r\r") == [b"now"]
    assert events(b"data: now\r\n\r", b"", b"\ndata: then\n\n") == [b"now", b"then"]


def test_an_incomplete_event_is_dropped() -> None:
    """What comes after the last blank line is no event."""
    assert events(b"data: whole\n\ndata: half\n") == [b"whole"]


@pytest.mark.parametrize(
    "chunks",
    [
        [b"data: " + b"x" * 100],
        [b"x"] * 100,
        [b"data: " + b"x" * 20 + b"\n"] * 4,
        [b"data\n" * 100],
    ],
)
def test_an_endless_event_is_malformed(chunks: list[bytes]) -> None:
    """A line without an end, and an event without one, are stopped at the bound."""
    with pytest.raises(EndpointError) as caught:
        events(*chunks, max_event_bytes=64)
    assert caught.value.fault is Fault.MALFORMED


def test_events_before_an_endless_one_are_given() -> None:
    """A fault at the end of a chunk does not swallow the events before it."""
    given_before: list[bytes] = []
    parser = SseParser("local", max_event_bytes=16)
    with pytest.raises(EndpointError):
        given_before.extend(parser.feed(b"data: a\n\ndata: b\n\n" + b"y" * 17))
    assert given_before == [b"a", b"b"]


def test_comments_for_an_hour_fill_nothing() -> None:
    """Keep-alives count against no event's bound, with or without blank lines between them."""
    assert events(*[b": ping\n"] * 1000, b"data: x\n\n", max_event_bytes=16) == [b"x"]


@pytest.mark.parametrize("idle", [b": keep-alive\n\n", b"\n", b"event: ping\n", b"\r\n\r\n"])
def test_what_is_no_event_is_bounded(idle: bytes) -> None:
    """Up to `MAX_IDLE_BYTES` between two events are read past; beyond, the peer has gone wrong."""
    within = idle * ((MAX_IDLE_BYTES - 1) // len(idle) // 2)
    assert events(within, b"data: x\n\n", within, b"data: y\n\n") == [b"x", b"y"]
    with pytest.raises(EndpointError, match=f"{MAX_IDLE_BYTES} bytes came without") as caught:
        events(b"data: x\n\n", idle * (3 * MAX_IDLE_BYTES // len(idle)))
    assert caught.value.fault is Fault.MALFORMED


def test_an_answer_is_bounded() -> None:
    """`MAX_STREAM_BYTES` of good events are an answer; one byte more is none."""
    event = b"data: " + b"x" * 1_016 + b"\n\n"
    assert len(event) == 1 << 10
    full = [event] * (MAX_STREAM_BYTES >> 10)
    assert len(events(*full)) == len(full)
    with pytest.raises(EndpointError, match=f"longer than {MAX_STREAM_BYTES} bytes") as caught:
        events(*full, b"d")
    assert caught.value.fault is Fault.MALFORMED
