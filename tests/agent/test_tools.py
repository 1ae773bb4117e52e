"""What the receptionist may do, at most once."""

import json
import os
from pathlib import Path

import pytest

from tests.agent.support import Clock, answer, ask, riverside, starts, tools_in
from trunkline.agent.calendar import Calendar
from trunkline.agent.ledger import Ledger
from trunkline.agent.messages import Messages
from trunkline.errors import InputError, RecordError
from trunkline.types import ToolCall

BOOKING = {"start": "2026-11-24T09:30", "name": "Sarah Miller", "reason": "cleaning"}


def appointments(folder: Path) -> list[tuple[str, str, bool]]:
    """Start, name and whether cancelled of all in the book."""
    book = Calendar(folder / "appointments.ics", riverside(), Clock())
    return [(f"{a.start:%Y-%m-%dT%H:%M}", a.name, a.cancelled) for a in book.appointments()]


async def test_model_is_told_of_six_tools_and_which_are_safe(tmp_path: Path) -> None:
    """Only looking may run speculatively."""
    specs = {spec.name: spec for spec in tools_in(tmp_path).specs}
    assert {name for name, spec in specs.items() if spec.safe} == {"find_slots", "find_appointment"}
    assert set(specs) - {"find_slots", "find_appointment"} == {
        "book_appointment",
        "cancel_appointment",
        "take_message",
        "end_call",
    }
    booking = specs["book_appointment"].parameters
    assert booking["required"] == ["start", "name", "reason"]
    assert '"enum": ["cleaning", "check-up"' in json.dumps(booking)
    assert all(spec.description for spec in specs.values())


async def test_slots_are_found_by_weekday_and_part_of_day(tmp_path: Path) -> None:
    """Tuesday, said on a Sunday, is the day after tomorrow."""
    found = await answer(
        tools_in(tmp_path), "find_slots", reason="cleaning", day="tuesday", part_of_day="morning"
    )
    assert starts(found["slots"]) == [
        f"2026-11-24T{time}" for time in ("09:00", "09:30", "10:00", "10:30", "11:00", "11:30")
    ]


@pytest.mark.parametrize(
    ("day", "first"),
    [
        ("sunday", None),
        ("tomorrow", "2026-11-23T08:00"),
        ("2026-11-25", "2026-11-25T08:00"),
        ("", "2026-11-23T08:00"),
    ],
)
async def test_slots_are_found_by_any_word_for_a_day(
    tmp_path: Path, day: str, first: str | None
) -> None:
    """A closed day answers with the soonest others instead."""
    found = await answer(tools_in(tmp_path), "find_slots", day=day)
    if first is None:
        assert found["slots"] == []
        assert starts(found["others"])[0] == "2026-11-30T08:00"
    else:
        assert starts(found["slots"])[0] == first
        assert len(starts(found["slots"])) == 8


async def test_booking_is_in_the_calendar(tmp_path: Path) -> None:
    """The answer tells the model what it may say."""
    booked = await answer(tools_in(tmp_path), "book_appointment", **BOOKING)
    assert booked["ok"] is True
    assert appointments(tmp_path) == [("2026-11-24T09:30", "Sarah Miller", False)]


async def test_taken_time_is_answered_with_free_ones(tmp_path: Path) -> None:
    """Two callers want the same half hour: the second is offered others."""
    tools = tools_in(tmp_path)
    await answer(tools, "book_appointment", **BOOKING)
    second = await answer(tools, "book_appointment", **{**BOOKING, "name": "John Brown"})
    assert second["ok"] is False
    assert starts(second["slots"])[:2] == ["2026-11-24T09:00", "2026-11-24T10:00"]
    assert len(appointments(tmp_path)) == 1


@pytest.mark.parametrize(
    ("tool", "arguments", "words"),
    [
        ("book_appointment", "{", "Invalid JSON"),
        ("book_appointment", "{}", "start: Field required; name: Field required"),
        ("book_appointment", json.dumps({**BOOKING, "reason": "haircut"}), "not one of cleaning"),
        ("book_appointment", json.dumps({**BOOKING, "name": "1"}), "must have letters"),
        ("book_appointment", json.dumps({**BOOKING, "phone": "12"}), "at least seven digits"),
        ("book_appointment", json.dumps({**BOOKING, "start": "nine"}), "start: "),
        ("book_appointment", json.dumps({**BOOKING, "dentist": "Lee"}), "dentist: Extra inputs"),
        ("find_slots", '{"day": "someday"}', "write a date such as"),
        ("find_slots", '{"part_of_day": "night"}', "part_of_day"),
        ("transfer", "{}", "there is no tool 'transfer'"),
    ],
)
async def test_wrong_arguments_are_answered_with_what_is_wrong(
    tmp_path: Path, tool: str, arguments: str, words: str
) -> None:
    """The model can mend its own call; nothing happened."""
    result = await tools_in(tmp_path).run(ToolCall("call_1", tool, arguments), "key")
    told = json.loads(result.content)
    assert told["ok"] is False
    assert words in told["error"]
    assert result.then == "go_on"
    assert not os.listdir(tmp_path)


async def test_repeat_of_a_key_does_not_book_again(tmp_path: Path) -> None:
    """Within the process and after a restart the stored answer comes back."""
    tools = tools_in(tmp_path)
    first = await ask(tools, "book_appointment", "key", **BOOKING)
    (tmp_path / "appointments.ics").unlink()  # so that a second booking would show
    assert await ask(tools, "book_appointment", "key", **BOOKING) == first
    assert await ask(tools_in(tmp_path), "book_appointment", "key", **BOOKING) == first
    assert not (tmp_path / "appointments.ics").exists()


@pytest.mark.parametrize("reached", ["before", "after"])
async def test_crash_around_the_booking_leaves_exactly_one(tmp_path: Path, reached: str) -> None:
    """Proposed but not done: the calendar tells whether it happened."""
    if reached == "after":
        await ask(tools_in(tmp_path), "book_appointment", "key", **BOOKING)
    (tmp_path / "tools.jsonl").unlink(missing_ok=True)
    ledger = Ledger(tmp_path / "tools.jsonl")
    with ledger.lock():
        ledger.propose("key", "book_appointment")
    again = await answer(tools_in(tmp_path), "book_appointment", "key", **BOOKING)
    assert again["ok"] is True
    assert appointments(tmp_path) == [("2026-11-24T09:30", "Sarah Miller", False)]
    with ledger.lock():
        entry = ledger.find("key")
    assert entry is not None
    assert entry.content is not None


@pytest.mark.parametrize("reached", ["before", "after"])
async def test_crash_around_a_message_leaves_exactly_one(tmp_path: Path, reached: str) -> None:
    """Messages have no slot that would be taken: the id tells."""
    message = {"name": "Sarah Miller", "text": "please call me back"}
    if reached == "after":
        await ask(tools_in(tmp_path), "take_message", "key", **message)
    (tmp_path / "tools.jsonl").unlink(missing_ok=True)
    ledger = Ledger(tmp_path / "tools.jsonl")
    with ledger.lock():
        ledger.propose("key", "take_message")
    assert (await answer(tools_in(tmp_path), "take_message", "key", **message))["ok"] is True
    taken = Messages(tmp_path / "messages.jsonl", Clock()).all()
    assert [(m.name, m.text, m.at) for m in taken] == [
        ("Sarah Miller", "please call me back", "2026-11-22T10:00:00-06:00")
    ]


async def test_failed_disk_is_an_error_and_the_repeat_still_books_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The model must not be told that something is booked which is not on the disk."""
    tools = tools_in(tmp_path)

    def broken(_path: Path, _data: bytes) -> None:
        raise RecordError("the disk is gone")

    with monkeypatch.context() as patch:
        patch.setattr("trunkline.agent.durable.replace", broken)
        with pytest.raises(RecordError, match="the disk is gone"):
            await ask(tools, "book_appointment", "key", **BOOKING)
    assert appointments(tmp_path) == []
    assert (await answer(tools, "book_appointment", "key", **BOOKING))["ok"] is True
    assert len(appointments(tmp_path)) == 1


async def test_appointment_is_found_by_name_and_cancelled(tmp_path: Path) -> None:
    """Nobody else's is shown, and a past one neither."""
    clock = Clock()
    tools = tools_in(tmp_path, clock)
    await ask(tools, "book_appointment", **BOOKING)
    await ask(tools, "book_appointment", **{**BOOKING, "start": "2026-11-24T11:00", "name": "X Y"})
    found = await answer(tools, "find_appointment", name="sarah  miller")
    assert isinstance(found["appointments"], list)
    (mine,) = found["appointments"]
    assert mine["start"] == BOOKING["start"]
    cancelled = await answer(tools, "cancel_appointment", id=mine["id"])
    assert cancelled["ok"] is True
    again = await answer(tools, "find_appointment", "again", name="Sarah Miller")
    assert again["appointments"] == []
    clock.advance(days=7)
    assert (await answer(tools, "find_appointment", name="X Y"))["appointments"] == []
    assert (await answer(tools, "cancel_appointment", id="unknown"))["ok"] is False


@pytest.mark.parametrize("reached", ["before", "after"])
async def test_crash_around_a_cancellation_cancels_once(tmp_path: Path, reached: str) -> None:
    """The appointment's own status tells."""
    tools = tools_in(tmp_path)
    booked = await answer(tools, "book_appointment", **BOOKING)
    assert isinstance(booked["appointment"], dict)
    uid = booked["appointment"]["id"]
    if reached == "after":
        Calendar(tmp_path / "appointments.ics", riverside(), Clock()).cancel(uid)
    ledger = Ledger(tmp_path / "tools.jsonl")
    with ledger.lock():
        ledger.propose("key", "cancel_appointment")
    assert (await answer(tools_in(tmp_path), "cancel_appointment", "key", id=uid))["ok"] is True
    assert appointments(tmp_path) == [("2026-11-24T09:30", "Sarah Miller", True)]


async def test_end_call_hangs_up(tmp_path: Path) -> None:
    """It is the only tool that does."""
    tools = tools_in(tmp_path)
    assert (await ask(tools, "end_call")).then == "hang_up"
    assert (await ask(tools, "find_slots")).then == "go_on"
    assert (await ask(tools, "end_call", reason="x")).then == "go_on"


async def test_ledger_is_shared_and_stays_small(tmp_path: Path) -> None:
    """Two workers see each other's keys, also across a compaction; what is open is never lost."""
    mine, theirs = (Ledger(tmp_path / "tools.jsonl", entries_max=10) for _ in range(2))
    with mine.lock():
        mine.propose("open", "take_message")
        for n in range(30):
            mine.propose(f"key {n}", "take_message")
            mine.done(f"key {n}", "take_message", str(n))
            found = theirs.find(f"key {n}")
            assert found is not None
            assert found.content == str(n)
        kept = theirs.find("open")
        assert kept is not None
        assert kept.content is None
        assert mine.find("key 0") is None
    assert len((tmp_path / "tools.jsonl").read_bytes().splitlines()) <= 2 * 10


async def test_broken_ledger_and_messages_are_named(tmp_path: Path) -> None:
    """The operator learns which file and line."""
    (tmp_path / "tools.jsonl").write_text("[]\n")
    with pytest.raises(RecordError, match=r"tools\.jsonl"):
        await ask(tools_in(tmp_path), "take_message", name="A B", text="hello")
    (tmp_path / "messages.jsonl").write_text("\n")
    with pytest.raises(RecordError, match=r"messages\.jsonl:1"):
        Messages(tmp_path / "messages.jsonl", Clock()).all()


async def test_file_in_place_of_the_folder_is_refused(tmp_path: Path) -> None:
    """Before the first call, not during it."""
    file = tmp_path / "data"
    file.write_text("")
    with pytest.raises(InputError, match="not a folder"):
        tools_in(file)
