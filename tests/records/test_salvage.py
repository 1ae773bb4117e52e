"""What dead workers left: told at once from their logs, sealed when nobody asks."""

import asyncio
from pathlib import Path

import pytest

from tests.records.scene import CALL, ask, clocks, open_records, speak, wal
from tests.records.test_store import OTHER, die, digit
from trunkline.records.journal import CallJournal
from trunkline.records.resume import broken_call
from trunkline.records.salvage import Salvage
from trunkline.records.store import Store
from trunkline.types import DataClass, Where

LONG = ("I would like to know all about it. " * 200).strip()


def say(journal: CallJournal, text: str) -> None:
    """The caller says *text*."""
    where = Where(journal.call, 0)
    journal.note("transcript.final", {"text": text}, where=where, data_class=DataClass.TRANSCRIPT)


def said(salvage: Salvage) -> list[str] | None:
    """What the history of `CALL` holds, None if nothing is known of it."""
    found = salvage.find(CALL)
    return None if found is None else [it.content for it in found.resumption.history]


async def dies_saying(folder: Path, *texts: str, **log: int) -> None:
    """A worker that dies when the caller of `CALL` has said *texts*, each for itself."""
    async with open_records(folder, "w0", **log) as records:
        journal = records.journal(CALL)
        for number, text in enumerate(texts):
            say(journal, text)
            where = Where(CALL, number)
            journal.note("reply.started", {"turn": number}, where=where)
            ended = {"heard": "Yes.", "interrupted": True}
            phrase = {"index": 0, "text": "Yes."}
            journal.note("phrase.spoken", phrase, where=where)
            journal.note("reply.ended", ended, where=where)
        await journal.commit()


async def test_a_call_is_told_before_any_is_sealed(tmp_path: Path) -> None:
    """Its caller waits; sealing follows, and says the same of it, the audio included."""
    async with open_records(tmp_path) as records:
        journal, other = records.journal(CALL), records.journal(OTHER)
        ask(journal, "yes", at=800)
        say(journal, LONG)
        speak(journal, "caller", 800, 2.5, 0x22)
        say(other, "hello")
        await journal.commit()
    salvage = Salvage(Store(tmp_path), clocks())
    found = salvage.find(CALL)
    assert salvage.store.list_calls() == []
    while salvage.step():
        pass
    assert set(salvage.recovery.calls) == {CALL, OTHER}
    sealed = salvage.store.open_call(CALL).events
    assert "audio.segment" in {event.type for event in sealed}
    assert found == broken_call(sealed) == salvage.find(CALL)
    assert wal(tmp_path) == []


async def test_payloads_that_lie_in_the_segment_before_are_found(tmp_path: Path) -> None:
    """The log may be cut between a long text and the event that refers to it."""
    await dies_saying(tmp_path, LONG, "short", LONG, segment_bytes_max=600)
    salvage = Salvage(Store(tmp_path), clocks())
    assert said(salvage) == [LONG, "Yes.", "short", "Yes.", LONG, "Yes."]
    salvage.close()


async def test_a_call_is_told_up_to_a_hole(tmp_path: Path) -> None:
    """What follows a lost segment is not part of the call; what lies before it helps its caller."""
    await dies_saying(tmp_path, *"abcdefgh", segment_bytes_max=2_000)
    wal(tmp_path)[2].unlink()
    salvage = Salvage(Store(tmp_path), clocks())
    told = said(salvage)
    salvage.close()
    assert told is not None
    assert told[:2] == ["a", "Yes."]
    assert 2 <= len(told) < 12


async def test_damage_ends_a_call_and_is_reported_when_it_is_sealed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A size that lies sends the walk astray, a bit that fell fails its checksum."""
    await dies_saying(tmp_path, *"abcdefgh")
    (segment,) = wal(tmp_path)
    data = bytearray(segment.read_bytes())
    data[len(data) // 2] ^= 0xFF
    segment.write_bytes(data)
    salvage = Salvage(Store(tmp_path), clocks())
    told = said(salvage)
    assert told is not None
    assert told[:2] == ["a", "Yes."]
    assert len(told) < 16
    while salvage.step():
        pass
    assert "was set aside" in caplog.text
    assert said(salvage) == told
    assert wal(tmp_path) == []


async def test_readers_stand_side_by_side(tmp_path: Path) -> None:
    """Whoever has a caller reads, one of them seals, and no new worker takes the log meanwhile."""
    await die(tmp_path, "w1", calls=(CALL, OTHER))
    one, two = (Salvage(Store(tmp_path), clocks()) for _ in range(2))
    assert one.find(CALL) is not None
    assert one.step()
    assert not two.step()
    assert two.find(OTHER) == one.find(OTHER)
    assert not two.step(), "the other one seals it"
    assert two.find(OTHER) is not None
    while one.step():
        pass
    assert {it.call for it in one.store.list_calls()} == {CALL, OTHER}
    assert two.find(CALL) == one.find(CALL)
    assert not two.step()
    async with open_records(tmp_path, "w1") as records:
        assert records.recovery.calls == ()


async def test_a_log_of_another_format_is_left_and_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A newer release wrote it: nobody is told what cannot be read, nothing is deleted."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    data = bytearray(segment.read_bytes())
    data[4] = 9
    segment.write_bytes(data)
    salvage = Salvage(Store(tmp_path), clocks())
    for _ in range(2):
        assert salvage.find(CALL) is None
        assert not salvage.step()
    salvage.close()
    assert caplog.text.count("format version 9") == 1
    assert segment.read_bytes() == bytes(data)


async def test_a_file_without_a_beginning_is_no_damage(tmp_path: Path) -> None:
    """The worker died while it made its next segment."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    segment.with_name("0000000002.tlw").touch()
    salvage = Salvage(Store(tmp_path), clocks())
    assert salvage.find(CALL) is not None
    while salvage.step():
        pass
    assert salvage.recovery.damage == ()


async def test_what_was_found_is_sealed_when_nobody_asks_any_more(tmp_path: Path) -> None:
    """The callers first; a second later the calls of the dead worker are in the store."""
    async with open_records(tmp_path, "w0") as records:
        await die(tmp_path, "w1", calls=(CALL, OTHER))
        for _ in range(5):
            assert await records.find(CALL) is not None
            await asyncio.sleep(0.5)
            assert records.store.list_calls() == []
        await asyncio.sleep(2.0)
        assert {it.call for it in records.store.list_calls()} == {CALL, OTHER}
        type, data, where = digit(CALL, 0)
        fresh = records.store.open_call(CALL).events[1]
        assert (fresh.type, fresh.data, fresh.where) == (type, data, where)
    assert wal(tmp_path, "w1") == []
