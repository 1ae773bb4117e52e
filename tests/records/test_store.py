"""The store and its worker: sealed calls, live logs, and what a dead worker left."""

import asyncio
from pathlib import Path

import pytest
import soundfile

from tests.records.scene import CALL, DAY, ask, clocks, fail_sync, open_records, speak, wal
from trunkline.errors import InputError, RecordError
from trunkline.records import framing
from trunkline.records.lanes import InlineLane
from trunkline.records.projections import read_call
from trunkline.records.store import Store
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, Where

OTHER = CallId("01998d7e-0000-7000-8000-000000000002")


def digit(call: CallId, n: int) -> tuple[str, dict[str, object], Where]:
    """Type, payload and address of a small event."""
    return "dtmf", {"digit": str(n % 10)}, Where(call)


def leftovers(directory: Path) -> list[Path]:
    """Files that were never given their name."""
    return list(directory.rglob("*.part"))


async def die(directory: Path, worker: str = "w0", *, calls: tuple[CallId, ...] = (CALL,)) -> None:
    """A worker that dies with calls up, each with five committed digits."""
    async with open_records(directory, worker) as records:
        for call in calls:
            journal = records.journal(call)
            for n in range(5):
                type, data, where = digit(call, n)
                journal.note(type, data, where=where)
            await journal.commit()
    assert wal(directory, worker), "the log of live calls stays"


async def test_a_call_that_ends_is_sealed_and_listed(tmp_path: Path) -> None:
    """Its journal lies under its day; the log needs it no more."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        assert records.store.list_calls() == []
        await journal.close("done")
        (call,) = records.store.list_calls()
    assert (call.call, call.day) == (CALL, DAY)
    assert call.path == tmp_path / "calls" / DAY / CALL
    assert [event.type for event in call.events] == ["journal.opened", "journal.closed"]
    assert wal(tmp_path) == []
    assert leftovers(tmp_path) == []


async def test_calls_that_share_a_log_are_sealed_apart(tmp_path: Path) -> None:
    """Interleaved in the log and over many segments, each call gets all of its own."""
    async with open_records(tmp_path, segment_bytes_max=2000) as records:
        journals = [records.journal(call) for call in (CALL, OTHER)]
        for n in range(30):
            for journal in journals:
                type, data, where = digit(journal.call, n)
                journal.note(type, data, where=where)
        await journals[0].close("first")
        assert len(wal(tmp_path)) > 5
        await journals[1].close("second")
        for call in (CALL, OTHER):
            digits = [e.data["digit"] for e in records.store.open_call(call).events[1:-1]]
            assert digits == [str(n % 10) for n in range(30)]


async def test_a_transcript_and_a_recording_are_rendered_on_demand(tmp_path: Path) -> None:
    """Made from the journal alone, where somebody wants them; nothing readable lies beside it."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, "yes", at=0)
        speak(journal, "caller", 0, 1.5, 0x22)
        await journal.close("done")
    call = Store(tmp_path).open_call(CALL)
    assert call.transcript().startswith(f"# Call {CALL}\n")
    call.recording(tmp_path / "recording.wav")
    with soundfile.SoundFile(tmp_path / "recording.wav") as file:
        assert (file.samplerate, file.channels, file.frames, file.subtype) == (
            8000,
            2,
            12000,
            "PCM_16",
        )
    assert [path.name for path in call.path.iterdir()] == ["journal.tlj"]


async def test_a_call_without_consent_has_no_recording(tmp_path: Path) -> None:
    """The error says why."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        ask(journal, "no", at=0)
        await journal.close("done")
    with pytest.raises(RecordError, match="consent to it was 'refused'"):
        Store(tmp_path).open_call(CALL).recording(tmp_path / "recording.wav")


async def test_a_dead_workers_calls_are_sealed_when_it_starts_again(tmp_path: Path) -> None:
    """Everything that was committed is there, and the end says that the worker died."""
    await die(tmp_path, calls=(CALL, OTHER))
    async with open_records(tmp_path) as records:
        assert set(records.recovery.calls) == {CALL, OTHER}
        assert records.recovery.damage == ()
        events = records.store.open_call(CALL).events
    assert [event.type for event in events[1:]] == ["dtmf"] * 5 + ["call.ended", "journal.closed"]
    assert events[-2].data == {"reason": "worker died", "broken": True}
    assert events[-1].data == {"reason": "worker died", "events": 8, "recovered": True}
    assert wal(tmp_path) == []


async def test_a_call_that_had_ended_is_only_closed(tmp_path: Path) -> None:
    """A worker that dies between a call's end and its sealing does not change how it ended."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        journal.note("call.ended", {"reason": "caller hung up"}, where=Where(CALL))
        await journal.commit()
    async with open_records(tmp_path) as records:
        events = records.store.open_call(CALL).events
    assert [event.type for event in events] == ["journal.opened", "call.ended", "journal.closed"]
    assert events[1].data == {"reason": "caller hung up"}


async def test_another_worker_takes_over_a_dead_ones_log(tmp_path: Path) -> None:
    """A worker that never comes back loses no call."""
    await die(tmp_path, "w1")
    async with open_records(tmp_path, "w0") as records:
        assert records.recovery.calls == (CALL,)
    assert wal(tmp_path, "w1") == []


async def test_a_living_worker_is_left_alone(tmp_path: Path) -> None:
    """Who holds its lock is not dead."""
    async with open_records(tmp_path, "w1") as living:
        journal = living.journal(CALL)
        await journal.commit()
        async with open_records(tmp_path, "w0") as records:
            assert records.recovery.calls == ()
        await journal.close("done")
        assert living.store.open_call(CALL).events[-1].data["reason"] == "done"


@pytest.mark.parametrize("cut", range(1, 400, 7))
async def test_a_torn_tail_is_normal(tmp_path: Path, cut: int) -> None:
    """However the last write was cut, the whole events before it are sealed, without complaint."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    data = segment.read_bytes()
    segment.write_bytes(data[:-cut])
    whole = len(list(framing.Frames(data[:-cut])))
    async with open_records(tmp_path) as records:
        assert records.recovery.damage == ()
        assert len(records.store.open_call(CALL).events) == whole + 2


async def test_damage_in_the_middle_is_reported_and_set_aside(tmp_path: Path) -> None:
    """The calls are sealed up to the hole, the worker starts, nothing is thrown away."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    data = bytearray(segment.read_bytes())
    offsets = [at for at, _ in framing.Frames(bytes(data))]
    data[offsets[3] + 20] ^= 1
    segment.write_bytes(data)
    async with open_records(tmp_path) as records:
        damage, aside = records.recovery.damage
        assert f"damaged at offset {offsets[3]}" in damage
        assert len(records.store.open_call(CALL).events) == 3 + 2
        assert records.healthy
    assert aside.endswith(str(segment.parent / "damaged"))
    assert (segment.parent / "damaged" / segment.name).read_bytes() == bytes(data)


async def test_a_hole_between_segments_ends_the_call_before_it(tmp_path: Path) -> None:
    """What follows a lost segment follows nothing: it is not passed off as a whole call."""
    async with open_records(tmp_path, segment_bytes_max=600) as records:
        journal = records.journal(CALL)
        for n in range(12):
            type, data, where = digit(CALL, n)
            journal.note(type, data, where=where)
        await journal.commit()
    wal(tmp_path)[2].unlink()
    async with open_records(tmp_path) as records:
        assert "sealed up to a hole" in records.recovery.damage[0]
        events = records.store.open_call(CALL).events
        assert "chain is broken" in str(events[-1].data["found"])
        assert events[-1].data["recovered"] is True


async def test_a_sealed_call_whose_beginning_is_gone_is_no_damage(tmp_path: Path) -> None:
    """Another call keeps the last segments of a sealed one, not its first: nothing is missing."""
    async with open_records(tmp_path, segment_bytes_max=600) as records:
        first = records.journal(CALL)
        for n in range(12):
            type, data, where = digit(CALL, n)
            first.note(type, data, where=where)
        second = records.journal(OTHER)
        first.note(*digit(CALL, 0)[:2], where=Where(CALL))
        await first.close("done")
        await second.commit()
        assert wal(tmp_path)[0].stem > "0000000001"
    async with open_records(tmp_path) as records:
        assert records.recovery.calls == (OTHER,)
        assert records.recovery.damage == ()
        assert records.store.open_call(CALL).events[-1].data["reason"] == "done"


async def test_recovery_may_be_repeated(tmp_path: Path) -> None:
    """A crash after sealing and before the log is deleted changes nothing."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    data = segment.read_bytes()
    async with open_records(tmp_path) as records:
        first = records.store.open_call(CALL).events
    segment.write_bytes(data)
    async with open_records(tmp_path) as records:
        assert records.recovery.calls == ()
        assert records.store.open_call(CALL).events == first
    assert wal(tmp_path) == []


async def test_a_log_of_another_format_is_not_touched(tmp_path: Path) -> None:
    """An older release does not start over a newer one's log."""
    await die(tmp_path)
    (segment,) = wal(tmp_path)
    data = bytearray(segment.read_bytes())
    data[4] = 9
    segment.write_bytes(data)
    with pytest.raises(RecordError, match="format version 9"):
        async with open_records(tmp_path):
            pytest.fail("started")
    assert segment.read_bytes() == bytes(data)


async def test_a_sick_disk_refuses_new_calls_but_lets_the_old_ones_talk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a failed sync notes pass silently, commits and new calls are refused."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        await journal.commit()
        fail_sync(monkeypatch)
        type, data, where = digit(CALL, 1)
        journal.note(type, data, where=where)
        with pytest.raises(RecordError, match="Input/output error"):
            await journal.commit()
        journal.note(type, data, where=where)
        assert not records.healthy
        with pytest.raises(RecordError, match=r"cannot be recorded: .*Input/output error"):
            records.journal(OTHER)
        with pytest.raises(RecordError, match="Input/output error"):
            await journal.close("done")
    monkeypatch.undo()
    async with open_records(tmp_path) as records:
        assert records.recovery.calls == (CALL,)


def slow_to_seal(name: str) -> InlineLane:
    """Lanes of a worker whose log is quick and whose sealing is not."""
    return InlineLane(name, latency_s=5.0 if "sealing" in name else 0.1)


async def test_sealing_that_hangs_has_an_end(tmp_path: Path) -> None:
    """A call does not wait for ever for its own file, and hears what becomes of it."""

    def hung(name: str) -> InlineLane:
        lane = slow_to_seal(name)
        lanes.append(lane)
        return lane

    lanes: list[InlineLane] = []
    async with WorkerRecords(tmp_path, "w0", clocks=clocks(), lane=hung) as records:
        lanes[0].latency_s = 45.0
        with pytest.raises(RecordError, match="sealing takes longer than 30 s"):
            await records.journal(CALL).close("done")
    assert Store(tmp_path).open_call(CALL).events[-1].data["reason"] == "done"


async def test_a_cancelled_close_still_seals_the_call(tmp_path: Path) -> None:
    """A call task that is cancelled at its very end does not leave its call unsealed."""
    async with WorkerRecords(tmp_path, "w0", clocks=clocks(), lane=slow_to_seal) as records:
        journal = records.journal(CALL)
        async with asyncio.TaskGroup() as tasks:
            task = tasks.create_task(journal.close("done"))
            await asyncio.sleep(0.15)  # the commit is done, sealing is not
            task.cancel()
        assert task.cancelled()
        assert records.store.list_calls() == []
    assert Store(tmp_path).open_call(CALL).events[-1].data["reason"] == "done"


async def test_records_that_are_no_closed_chain_are_not_sealed(tmp_path: Path) -> None:
    """What is sealed can be read: a journal without its end, or with a hole, gets no name."""
    async with open_records(tmp_path) as records:
        await records.journal(CALL).close("done")
        call = records.store.open_call(CALL)
    whole = [body for _, body in framing.Frames((call.path / "journal.tlj").read_bytes())]
    elsewhere = Store(tmp_path / "elsewhere")
    for broken, says in ((whole[:-1], "no closing event"), (whole[1:], "chain is broken")):
        with pytest.raises(RecordError, match=says):
            elsewhere.seal(CALL, call.events[0].wall, broken)
    assert elsewhere.list_calls() == []
    assert leftovers(tmp_path) == []


async def test_a_call_has_one_journal(tmp_path: Path) -> None:
    """Not two at a time, and not two one after the other."""
    async with open_records(tmp_path) as records:
        journal = records.journal(CALL)
        with pytest.raises(InputError, match="has a journal already"):
            records.journal(CALL)
        await journal.close("done")
        again = records.journal(CALL)
        with pytest.raises(RecordError, match="there already"):
            await again.close("done")
        assert records.store.open_call(CALL).events[-1].data["events"] == 2


@pytest.mark.parametrize("worker", ["", "..", "a/b", "w" * 33])
async def test_a_worker_name_that_cannot_be_a_directory_is_refused(
    tmp_path: Path, worker: str
) -> None:
    """No name leaves the records directory."""
    with pytest.raises(InputError, match="worker name"):
        open_records(tmp_path, worker)


def test_a_call_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The error says where it was looked for and when a call appears."""
    with pytest.raises(RecordError, match="no record of call nobody"):
        Store(tmp_path).open_call("nobody")
    with pytest.raises(InputError, match="call id"):
        Store(tmp_path).open_call("../../etc/passwd")
    with pytest.raises(RecordError, match="no such journal"):
        read_call(tmp_path / "journal.tlj")


async def test_a_damaged_journal_names_the_offset(tmp_path: Path) -> None:
    """Any damage to a sealed journal is an error that says where, its torn tail included."""
    async with open_records(tmp_path) as records:
        await records.journal(CALL).close("done")
        path = records.store.open_call(CALL).path / "journal.tlj"
    whole = path.read_bytes()
    last = [at for at, _ in framing.Frames(whole)][-1]
    path.write_bytes(whole[:-1])
    with pytest.raises(RecordError, match=f"damaged at offset {last}"):
        read_call(path)
    path.write_bytes(whole[:last])
    with pytest.raises(RecordError, match="cut off after 1 events"):
        read_call(path)
    path.write_bytes(b"RIFF" + whole[4:])
    with pytest.raises(RecordError, match="not a Trunkline record"):
        read_call(path)
    path.write_bytes(whole[:4] + b"\2" + whole[5:])
    with pytest.raises(RecordError, match="format version 2"):
        read_call(path)
