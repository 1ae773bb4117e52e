"""The journal of a call: ids, times, chain, payloads."""

import hashlib
import itertools
import os
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.records.scene import CALL, WALL, ask, open_log, open_records, speak
from trunkline.errors import InputError, RecordError
from trunkline.records import envelope as wire
from trunkline.records import framing
from trunkline.records.disk import segments
from trunkline.records.journal import CallJournal, Clocks
from trunkline.records.projections import Reader, read_call
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, DataClass, Event, Sample, Where


async def sealed(records: WorkerRecords, journal: CallJournal) -> Path:
    """Close the journal; the path of what was sealed."""
    await journal.close("done")
    return records.store.open_call(journal.call).path / "journal.tlj"


async def test_an_event_is_read_as_it_was_noted(tmp_path: Path) -> None:
    """Address, type, data class, zone, sample and payload survive."""
    data = {
        "text": "grüß gott",
        "words": [["grüß", 1, 2]],
        "n": 1.5,
        "none": None,
        "deep": {"a": [1]},
    }
    where = Where(CALL, 3, 1, 2)
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note(
            "transcript.final",
            data,
            where=where,
            data_class=DataClass.TRANSCRIPT,
            zone="frankfurt",
            sample=Sample(8000),
        )
        event = read_call(await sealed(records, journal))[1]
    assert event == Event(
        wire.SCHEMA,
        event.id,
        where,
        "transcript.final",
        event.mono,
        Sample(8000),
        event.wall,
        DataClass.TRANSCRIPT,
        "frankfurt",
        data,
    )


async def test_ids_are_unique_and_of_version_7(tmp_path: Path) -> None:
    """Every event can be addressed."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        for n in range(50):
            journal.note("dtmf", {"digit": str(n % 10)}, where=Where(CALL))
        events = read_call(await sealed(records, journal))
    assert len({event.id for event in events}) == 52
    assert {event.id[14] for event in events} == {"7"}


async def test_a_clock_that_is_set_cannot_reorder_a_call(tmp_path: Path) -> None:
    """The wall clock is read once; from then on it advances with the monotonic one."""
    mono = itertools.count(100.0, 0.5)
    wall = itertools.chain([WALL], itertools.repeat(0.0))
    ticking = Clocks(lambda: next(mono), lambda: next(wall), os.urandom)
    async with open_log(tmp_path) as log:
        journal = CallJournal(CALL, log, clocks=ticking)
        for _ in range(3):
            journal.note("dtmf", {"digit": "1"}, where=Where(CALL))
        await journal.commit()
        reader = Reader()
        for path in segments(tmp_path):
            for _, record in framing.Frames(path.read_bytes()):
                reader.feed(record)
    assert [event.mono for event in reader.events] == [100.5, 101.0, 101.5, 102.0]
    assert [event.wall - WALL for event in reader.events] == [0.5, 1.0, 1.5, 2.0]


async def test_the_chain_is_of_hashes_of_what_is_stored(tmp_path: Path) -> None:
    """Anyone can verify it with SHA-256 and the call id alone."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note("dtmf", {"digit": "1"}, where=Where(CALL))
        path = await sealed(records, journal)
    prev = hashlib.sha256(b"trunkline journal\n" + CALL.encode()).hexdigest()
    for _, record in framing.Frames(path.read_bytes()):
        assert wire.decode_event(wire.split(record)[2]).prev == prev
        prev = hashlib.sha256(record).hexdigest()


def forged(records: list[bytes], n: int, how: str) -> list[bytes]:
    """*records* with record *n* tampered with; every frame is whole."""
    match how:
        case "removed":
            return records[:n] + records[n + 1 :]
        case "changed":
            return [
                *records[:n],
                records[n].replace(b'"digit":"', b'"digit":"9'),
                *records[n + 1 :],
            ]
        case "repeated":
            return [*records[: n + 1], records[n], *records[n + 1 :]]
        case _:
            return [*records[:n], records[n + 1], records[n], *records[n + 2 :]]


@pytest.mark.parametrize("how", ["removed", "changed", "repeated", "swapped"])
async def test_tampering_breaks_the_chain(tmp_path: Path, how: str) -> None:
    """With every checksum right, an edited journal is still found out, and where."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        for n in range(5):
            journal.note("dtmf", {"digit": str(n)}, where=Where(CALL))
        path = await sealed(records, journal)
    whole = [body for _, body in framing.Frames(path.read_bytes())]
    for n in range(1, 5):
        edited = forged(whole, n, how)
        path.write_bytes(framing.header(b"TLKJ") + b"".join(map(framing.frame, edited)))
        with pytest.raises(RecordError, match=r"chain is broken|its blob|counts"):
            read_call(path)


async def test_nothing_follows_the_closing_event(tmp_path: Path) -> None:
    """An event appended to a sealed journal is found out, also if it knows the hash."""
    async with open_records(tmp_path) as records:
        path = await sealed(records, records.journal(CALL))
    whole = [body for _, body in framing.Frames(path.read_bytes())]
    last = wire.decode_event(wire.split(whole[-1])[2])
    more = msgspec.structs.replace(last, type="dtmf", prev=wire.digest(whole[-1]))
    late = wire.encode_event(wire.record_head(wire.EVENT, CALL), more)
    path.write_bytes(path.read_bytes() + framing.frame(late))
    with pytest.raises(RecordError, match="follows the closing event"):
        read_call(path)


async def test_a_large_payload_goes_by_reference(tmp_path: Path) -> None:
    """A long prompt is found again whole, while its event stays small."""
    request = {"messages": [{"role": "user", "content": "word " * 5000}]}
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note("attempt.request", {"request": request}, where=Where(CALL, 0, 0, 0))
        path = await sealed(records, journal)
    assert read_call(path)[1].data == {"request": request}
    kinds = {record[0]: len(record) for _, record in framing.Frames(path.read_bytes())}
    assert kinds[wire.EVENT] < wire.INLINE_BYTES_MAX
    assert kinds[wire.BLOB] > 25_000


@pytest.mark.parametrize(
    "data",
    [
        {"audio": b"\0"},
        {"deep": {"list": [1, (bytearray(2),)]}},
        {"thing": object()},
        {"keys": {1: 2}},
    ],
)
async def test_a_payload_that_is_not_json_is_refused(
    tmp_path: Path, data: dict[str, object]
) -> None:
    """The caller's mistake is named, and the journal goes on unharmed."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        with pytest.raises(InputError, match="'odd' cannot be journaled"):
            journal.note("odd", data, where=Where(CALL))
        assert len(read_call(await sealed(records, journal))) == 2


async def test_half_a_surrogate_pair_does_not_stop_a_call(tmp_path: Path) -> None:
    """What a model's stream really delivers is journaled, mended."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note("attempt.delta", {"n": 0, "text": "a\ud83d"}, where=Where(CALL))
        assert read_call(await sealed(records, journal))[1].data["text"] == "a\ufffd"


async def test_an_event_of_another_call_is_refused(tmp_path: Path) -> None:
    """Two calls never mix in a record."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        with pytest.raises(InputError, match="noted in the journal of"):
            journal.note("dtmf", {"digit": "1"}, where=Where(CallId("other")))


@pytest.mark.parametrize("call", ["", "../x", "a/b", "+4930123", "x" * 65, "a b", "é"])
async def test_a_call_id_that_cannot_be_a_name_is_refused(tmp_path: Path, call: str) -> None:
    """No id leaves the records directory, and no phone number is one."""
    async with open_records(tmp_path) as records:
        with pytest.raises(InputError, match="call id"):
            records.journal(CallId(call))


async def test_a_closed_journal_takes_nothing_more(tmp_path: Path) -> None:
    """Closing twice is fine; a note behind it is a bug that must show."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        await journal.close("done")
        await journal.close("again")
        with pytest.raises(RecordError, match="is closed"):
            journal.note("dtmf", {"digit": "1"}, where=Where(CALL))
        with pytest.raises(RecordError, match="is closed"):
            journal.audio("caller", Sample(0), b"\0" * 160)


async def test_a_gap_in_the_audio_starts_a_new_segment(tmp_path: Path) -> None:
    """Lost frames are silence in their place, not a shift of what follows."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, "yes", at=0)
        speak(journal, "caller", 0, 0.5, 0x22)
        speak(journal, "caller", 6000, 0.5, 0x22)
        events = read_call(await sealed(records, journal))
    pieces = [
        (event.data["start"], event.data["samples"])
        for event in events
        if event.type == "audio.segment"
    ]
    assert pieces == [(0, 4000), (6000, 4000)]


json = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=8), json, max_size=6))
def test_the_encoding_is_canonical(data: dict[str, object]) -> None:
    """The order of keys leaves no trace, so equal payloads have equal hashes."""
    turned = dict(reversed(data.items()))
    assert wire.encode_payload("any", data) == wire.encode_payload("any", turned)


@given(st.binary(min_size=1, max_size=80))
def test_bytes_that_are_no_record_are_an_error(junk: bytes) -> None:
    """Whatever a frame holds, reading it ends in a RecordError and leaves the reader as it was."""
    reader = Reader()
    with pytest.raises(RecordError):
        reader.feed(b"E" + junk)
    assert reader.events == []


def test_a_newer_schema_is_refused() -> None:
    """An event from the future is not guessed at."""
    content = b'{"call":"c","id":"i","mono":1,"prev":"","type":"t","v":3,"wall":1}'
    with pytest.raises(RecordError, match="schema version 3"):
        wire.decode_event(content)
