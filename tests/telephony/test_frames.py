"""Frames of RFC 6455 as a server reads them: whole, cut anywhere, and broken."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.telephony.frames import (
    BINARY,
    CLOSE,
    FRAGMENTS_MAX,
    PING,
    PONG,
    TEXT,
    FrameReader,
    Said,
    Violation,
    frame,
)

BYTES_MAX = 1 << 17
MASK = b"\x37\xfa\x21\x3d"
HELLO = bytes.fromhex("818537fa213d7f9f4d5158")
"""RFC 6455 section 5.7: a single-frame masked text message that says "Hello"."""


def masked(payload: bytes, first: int = 0x80 | TEXT, *, mask: bytes = MASK) -> bytes:
    """A frame as a client sends it."""
    size = len(payload)
    if size < 126:
        head = bytes((first, 0x80 | size))
    elif size < 1 << 16:
        head = bytes((first, 0xFE)) + size.to_bytes(2, "big")
    else:
        head = bytes((first, 0xFF)) + size.to_bytes(8, "big")
    return head + mask + bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


def read(data: bytes, bytes_max: int = BYTES_MAX) -> list[Said]:
    """All that *data* says."""
    return FrameReader(bytes_max).feed(data)


def code(data: bytes, bytes_max: int = BYTES_MAX) -> int:
    """What the socket has to be closed with after *data*, whose last is a violation."""
    *before, last = read(data, bytes_max)
    assert not any(isinstance(it, Violation) for it in before)
    assert isinstance(last, Violation)
    return last.code


def test_the_examples_of_the_standard_are_understood() -> None:
    """Section 5.7: a masked text, and a masked pong with the body of the ping."""
    assert read(HELLO) == [(TEXT, b"Hello")]
    assert read(bytes.fromhex("8a8537fa213d7f9f4d5158")) == [(PONG, b"Hello")]


def test_what_a_server_sends_has_the_shortest_head() -> None:
    """Section 5.7: "Hello", 256 bytes and 64 KiB, none of them masked."""
    assert frame(TEXT, b"Hello") == bytes.fromhex("810548656c6c6f")
    assert frame(BINARY, bytes(256))[:4] == bytes.fromhex("827e0100")
    assert frame(BINARY, bytes(65_536))[:10] == bytes.fromhex("827f0000000000010000")


@given(
    st.lists(
        st.tuples(
            st.sampled_from((TEXT, BINARY, PING, PONG)),
            st.sampled_from((0, 1, 3, 4, 125)),
            st.binary(min_size=4, max_size=4),
        ),
        max_size=6,
    ),
    st.lists(st.integers(1, 40), min_size=1),
)
def test_frames_may_be_cut_anywhere(frames: list[tuple[int, int, bytes]], cuts: list[int]) -> None:
    """Whatever pieces the network makes of them, the same messages come in the same order."""
    said = [(opcode, bytes(range(size))) for opcode, size, _ in frames]
    data = b"".join(
        masked(payload, 0x80 | opcode, mask=mask)
        for (opcode, payload), (_, _, mask) in zip(said, frames, strict=True)
    )
    reader, got, at = FrameReader(BYTES_MAX), [], 0
    while at < len(data):
        size = cuts[at % len(cuts)]
        got += reader.feed(data[at : at + size])
        at += size
    assert got == said


@pytest.mark.parametrize("size", [125, 126, 65_535, 65_536])
def test_lengths_of_each_kind_are_read(size: int) -> None:
    """Seven bits, sixteen, and sixty-four."""
    assert read(masked(b"x" * size)) == [(TEXT, b"x" * size)]


def test_a_message_may_come_in_fragments_with_pings_between() -> None:
    """Section 5.4: control frames may stand between the fragments of a message."""
    data = masked(b"Hel", TEXT) + masked(b"?", 0x80 | PING) + masked(b"lo", 0x80)
    assert read(data + HELLO) == [(PING, b"?"), (TEXT, b"Hello"), (TEXT, b"Hello")]


@pytest.mark.parametrize(
    ("data", "closed"),
    [
        (frame(TEXT, b"Hello"), 1002),  # not masked
        (masked(b"", 0xC0 | TEXT), 1002),  # a reserved bit
        (masked(b"", 0x83), 1002),  # an opcode that nobody has defined
        (masked(b"", PING), 1002),  # a control frame in fragments
        (masked(b"x" * 126, 0x80 | PING), 1002),
        (masked(b"x", 0x80), 1002),  # continues nothing
        (masked(b"x", TEXT) + HELLO, 1002),  # a message inside another
        (masked(b"", TEXT) + masked(b"", 0) * FRAGMENTS_MAX, 1002),
        (masked(b"\x03", 0x80 | CLOSE), 1002),
        (masked((1005).to_bytes(2, "big"), 0x80 | CLOSE), 1002),
        (masked((1000).to_bytes(2, "big") + b"\xff", 0x80 | CLOSE), 1007),
        (masked(b"x" * 101), 1009),
        (masked(b"x" * 60, TEXT) + masked(b"x" * 41, 0x80), 1009),
    ],
)
def test_what_breaks_the_standard_closes_the_socket_with_its_code(data: bytes, closed: int) -> None:
    """What came before is told, and what comes behind is not looked at."""
    assert code(HELLO + data + HELLO, bytes_max=100) == closed


def test_a_frame_that_announces_too_much_is_refused_at_once() -> None:
    """Its head is enough: nothing of it is held."""
    assert code(b"\x81\xff" + (1 << 62).to_bytes(8, "big")) == 1009


def test_a_close_may_say_nothing() -> None:
    """Section 5.5.1: its body may be empty, or a code, with a reason or without."""
    body = (4000).to_bytes(2, "big") + "bis später".encode()
    data = masked(b"", 0x80 | CLOSE) + masked(body, 0x80 | CLOSE)
    assert read(data) == [(CLOSE, b""), (CLOSE, body)]
