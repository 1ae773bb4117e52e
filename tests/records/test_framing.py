"""Frames: exact prefixes, and every damage noticed."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError, RecordError
from trunkline.records import framing
from trunkline.records.framing import Frames, check_header, frame, header

MAGIC = b"TEST"
bodies = st.lists(st.binary(min_size=1, max_size=60), min_size=1, max_size=8)


def file_of(records: list[bytes]) -> bytes:
    """A whole file."""
    return header(MAGIC) + b"".join(map(frame, records))


def read(data: bytes) -> tuple[list[bytes], framing.Stop]:
    """Everything a reader gives."""
    frames = Frames(data)
    return [body for _, body in frames], frames.stop


@given(bodies)
def test_what_was_written_is_read(records: list[bytes]) -> None:
    """A whole file gives its records and ends cleanly at its last byte."""
    data = file_of(records)
    assert read(data) == (records, framing.Stop("end", len(data)))


@given(bodies, st.data())
def test_a_truncated_file_gives_the_complete_prefix(
    records: list[bytes], draw: st.DataObject
) -> None:
    """Cut anywhere, a file gives exactly the frames that are whole and says where it is torn."""
    data = file_of(records)
    cut = draw.draw(st.integers(framing.HEADER_BYTES, len(data)))
    ends = [len(file_of(records[:n])) for n in range(len(records) + 1)]
    whole = max(n for n, end in enumerate(ends) if end <= cut)
    got, stop = read(data[:cut])
    assert got == records[:whole]
    assert (stop.kind, stop.offset) == ("end" if cut == ends[whole] else "torn", ends[whole])


@given(bodies, st.data())
def test_every_flipped_bit_is_detected(records: list[bytes], draw: st.DataObject) -> None:
    """One flipped bit anywhere: the frames before it are given, it and what follows are not."""
    data = bytearray(file_of(records))
    at = draw.draw(st.integers(framing.HEADER_BYTES, len(data) - 1))
    data[at] ^= 1 << draw.draw(st.integers(0, 7))
    starts = [len(file_of(records[:n])) for n in range(len(records))]
    hit = max(n for n, start in enumerate(starts) if start <= at)
    got, stop = read(bytes(data))
    assert got == records[:hit]
    last = hit == len(records) - 1
    assert stop.offset == starts[hit]
    assert stop.kind == ("torn" if last else "corrupt")


@given(bodies, st.integers(1, 5000))
def test_zeros_behind_the_end_are_a_torn_tail(records: list[bytes], zeros: int) -> None:
    """What a file system may leave behind a power cut is no record."""
    data = file_of(records)
    got, stop = read(data + bytes(zeros))
    assert got == records
    assert (stop.kind, stop.offset) == ("torn", len(data))


def test_damage_in_the_middle_names_the_next_whole_frame() -> None:
    """The operator learns where the damage begins and where it ends."""
    data = bytearray(file_of([b"one", b"two", b"three"]))
    second = len(file_of([b"one"]))
    data[second + 9] ^= 1
    _, stop = read(bytes(data))
    assert stop.kind == "corrupt"
    assert str(len(file_of([b"one", b"two"]))) in stop.detail


@pytest.mark.parametrize("body", [b"", bytes(framing.BODY_BYTES_MAX + 1)])
def test_a_body_that_no_frame_holds_is_refused(body: bytes) -> None:
    """Empty and oversized bodies are mistakes of the caller."""
    with pytest.raises(InputError, match="cannot be framed"):
        frame(body)


def test_the_largest_body_fits() -> None:
    """The bound is inclusive, and its frame is read again."""
    body = bytes(framing.BODY_BYTES_MAX)
    assert read(header(MAGIC) + frame(body))[0] == [body]


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"RIFF\1\0\0\0", "not a Trunkline record"),
        (b"", "not a Trunkline record"),
        (MAGIC + b"\7\0\0\0", "format version 7"),
        (MAGIC + b"\1", "format version 1"),
    ],
)
def test_a_foreign_file_is_named(data: bytes, says: str) -> None:
    """A foreign header says what it is and what to do."""
    with pytest.raises(RecordError, match=says):
        check_header(data, MAGIC, "some.tlj")


@given(bodies)
def test_frames_say_where_they_lie(records: list[bytes]) -> None:
    """The offsets that a reader gives find the same bodies again."""
    data = file_of(records)
    assert [framing.body_at(data, at) for at, _ in Frames(data)] == records
