"""Frames survive any slicing of the pipe, and nonsense is refused."""

import io
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import Buffer, override

from trunkline.providers.embedded.framing import (
    PAYLOAD_MAX,
    Frame,
    FrameReader,
    FramingError,
    Kind,
    Pipe,
    encode,
)

frames = st.builds(
    Frame,
    st.sampled_from(Kind),
    st.integers(0, 2**32 - 1),
    st.binary(max_size=300),
)


@given(st.lists(frames, max_size=6), st.integers(1, 40))
def test_any_slicing_gives_the_frames_back(sent: list[Frame], size: int) -> None:
    """A pipe may cut its bytes anywhere."""
    data = b"".join(encode(frame) for frame in sent)
    reader = FrameReader()
    slices = [data[at : at + size] for at in range(0, len(data), size)]
    assert [frame for part in slices for frame in reader.feed(part)] == sent


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (struct.pack(">IBI", 5 + PAYLOAD_MAX + 1, Kind.RESULT, 1), "bytes"),
        (struct.pack(">IBI", 4, Kind.RESULT, 1), "of 4 bytes"),
        (struct.pack(">IBI", 5, 99, 1), "unknown kind 99"),
        (b"Traceback (most recent call last):", "bytes"),
    ],
)
def test_nonsense_is_refused_before_it_is_buffered(data: bytes, says: str) -> None:
    """A length or kind that no frame has means that the other side is broken."""
    with pytest.raises(FramingError, match=says):
        list(FrameReader().feed(data))


def test_a_payload_too_large_is_refused_by_its_sender() -> None:
    """The bound is kept where it can still be named."""
    with pytest.raises(FramingError, match="over"):
        encode(Frame(Kind.AUDIO, 1, bytes(PAYLOAD_MAX + 1)))


class Trickle(io.BytesIO):
    """A pipe that takes a few bytes at a time."""

    @override
    def write(self, data: Buffer, /) -> int:
        return super().write(memoryview(data)[:3])


def test_the_childs_end_reads_until_the_pipe_ends_and_sends_frames_whole() -> None:
    """End of stdin ends a child; a full pipe does not tear its answer."""
    asked = [Frame(Kind.TEXT, 1, b"hello"), Frame(Kind.TEXT, 2, b"again")]
    sink = Trickle()
    pipe = Pipe(io.BytesIO(b"".join(encode(frame) for frame in asked)), sink)
    heard = list(pipe.frames())
    pipe.send(Kind.RESULT, 2, b"a long answer")
    assert heard == asked
    assert list(FrameReader().feed(sink.getvalue())) == [Frame(Kind.RESULT, 2, b"a long answer")]
