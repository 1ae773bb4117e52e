"""The appointment book."""

from datetime import date, datetime, timedelta
from pathlib import Path

import pytest

from tests.agent.support import SUNDAY, Clock, riverside
from trunkline.agent import durable, ics
from trunkline.agent.calendar import Appointment, Calendar, Taken
from trunkline.errors import InputError, RecordError

TUESDAY = date(2026, 11, 24)
FOREIGN = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Example//Front desk//EN
X-WR-CALNAME:Front desk
BEGIN:VEVENT
UID:staff-meeting
DTSTAMP:20261101T000000Z
DTSTART:20261124T100000
DURATION:PT1H
SUMMARY:Staff meeting
BEGIN:VALARM
ACTION:DISPLAY
TRIGGER:-PT15M
DURATION:PT99H
END:VALARM
END:VEVENT
{more}END:VCALENDAR
"""


def book_of(folder: Path, clock: Clock | None = None) -> Calendar:
    """The book of Riverside Dental in *folder*."""
    return Calendar(folder / "appointments.ics", riverside(), clock or Clock())


def at(hour: int, minute: int = 0, day: date = TUESDAY) -> datetime:
    """A moment at the practice."""
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=riverside().zone)


def visit(start: datetime, uid: str = "one", name: str = "Sarah Miller") -> Appointment:
    """A cleaning of half an hour."""
    return Appointment(uid, start, start + timedelta(minutes=30), name, "cleaning", "555 0100")


def times(found: list[datetime]) -> list[str]:
    """The clock times of *found*."""
    return [f"{start:%H:%M}" for start in found]


def test_free_times_follow_opening_hours_and_lunch(tmp_path: Path) -> None:
    """A visit of an hour does not run into lunch or past closing."""
    free = book_of(tmp_path).free(60, [TUESDAY], 50)
    assert times(free)[:6] == ["09:00", "09:30", "10:00", "10:30", "11:00", "13:00"]
    assert times(free)[-1] == "17:00"


def test_booked_time_is_no_longer_free(tmp_path: Path) -> None:
    """Neither for the same length nor for one that would overlap it."""
    book = book_of(tmp_path)
    book.book(visit(at(9, 30)))
    assert times(book.free(30, [TUESDAY], 3)) == ["09:00", "10:00", "10:30"]
    assert times(book.free(60, [TUESDAY], 2)) == ["10:00", "10:30"]
    with pytest.raises(Taken, match="taken"):
        book.book(visit(at(9, 30), "two", "John Brown"))


@pytest.mark.parametrize(
    "start", [at(8), at(12), at(9, 10), at(9, day=date(2026, 11, 29)), at(9, day=date(2027, 6, 1))]
)
def test_time_that_the_practice_does_not_offer_is_refused(tmp_path: Path, start: datetime) -> None:
    """Closed, at lunch, off the grid, on Sunday, or beyond the horizon."""
    with pytest.raises(Taken, match="does not give"):
        book_of(tmp_path).book(visit(start))
    assert not (tmp_path / "appointments.ics").exists()


def test_today_needs_notice(tmp_path: Path) -> None:
    """At ten past nine, with an hour's notice, the first time is half past ten."""
    clock = Clock(at(9, 10))
    assert times(book_of(tmp_path, clock).free(30, [TUESDAY], 1)) == ["10:30"]


def test_appointment_reads_back_from_the_file(tmp_path: Path) -> None:
    """Another worker sees what this one wrote, names with commas included."""
    wanted = visit(at(9, 30), name="Miller, Sarah; née \\ Ångström " + "ö" * 60)
    book_of(tmp_path).book(wanted)
    assert book_of(tmp_path).appointments() == [wanted]


def test_file_is_what_rfc_5545_wants(tmp_path: Path) -> None:
    """CRLF, no line over 75 octets, and what an event must have, once."""
    book_of(tmp_path).book(visit(at(9, 30), name="S" * 80))
    raw = (tmp_path / "appointments.ics").read_bytes()
    assert raw.endswith(b"END:VCALENDAR\r\n")
    assert raw.count(b"\n") == raw.count(b"\r\n")
    assert all(len(row) <= 75 for row in raw.split(b"\r\n"))
    lines = ics.unfold(raw.decode())
    for needed in ("VERSION:2.0", "DTSTART:20261124T153000Z", "DTEND:20261124T160000Z", "UID:one"):
        assert lines.count(needed) == 1
    assert f"DTSTAMP:{ics.utc(SUNDAY)}" in lines
    assert sum(line.startswith("PRODID:") for line in lines) == 1


def test_summer_and_winter_time_are_told_apart(tmp_path: Path) -> None:
    """Nine in the morning is 15:00 UTC in November and 14:00 UTC in March."""
    spring = date(2027, 3, 16)
    clock = Clock(at(8, day=date(2027, 3, 1)))
    book_of(tmp_path, clock).book(visit(at(9, day=spring)))
    assert b"DTSTART:20270316T140000Z" in (tmp_path / "appointments.ics").read_bytes()


def test_same_person_at_the_same_time_is_one_appointment(tmp_path: Path) -> None:
    """A model that books twice does not fill two lines."""
    book = book_of(tmp_path)
    first = book.book(visit(at(9, 30)))
    assert book.book(visit(at(9, 30), "two", "sarah miller")) == first
    assert len(book.appointments()) == 1


def test_cancelling_frees_the_time_and_keeps_the_record(tmp_path: Path) -> None:
    """The book also tells what was."""
    book = book_of(tmp_path)
    book.book(visit(at(9)))
    cancelled = book.cancel("one")
    assert cancelled is not None
    assert cancelled.cancelled
    assert book.cancel("one") == cancelled
    assert book.get("one") == cancelled
    assert times(book.free(30, [TUESDAY], 1)) == ["09:00"]
    assert b"STATUS:CANCELLED" in (tmp_path / "appointments.ics").read_bytes()
    assert book.cancel("nobody") is None


def test_events_of_other_programs_block_time_and_stay(tmp_path: Path) -> None:
    """The front desk's own calendar can be the file."""
    file = tmp_path / "appointments.ics"
    file.write_text(FOREIGN.format(more=""))
    before = ics.unfold(file.read_text())
    book = book_of(tmp_path)
    assert times(book.free(30, [TUESDAY], 3)) == ["09:00", "09:30", "11:00"]
    book.book(visit(at(9)))
    after = ics.unfold(file.read_bytes().decode())
    assert after[: len(before) - 1] == before[:-1]
    assert len(book.appointments()) == 1


def test_whole_day_event_closes_the_day_and_a_transparent_one_does_not(tmp_path: Path) -> None:
    """A holiday is an event of the whole day; a reminder takes no time."""
    holiday = "BEGIN:VEVENT\nUID:h\nDTSTART;VALUE=DATE:20261124\n{more}END:VEVENT\n"
    file = tmp_path / "appointments.ics"
    file.write_text(FOREIGN.format(more=holiday.format(more="")))
    assert book_of(tmp_path).free(30, [TUESDAY], 3) == []
    file.write_text(FOREIGN.format(more=holiday.format(more="TRANSP:TRANSPARENT\n")))
    assert times(book_of(tmp_path).free(30, [TUESDAY], 1)) == ["09:00"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (FOREIGN.format(more="")[:-20], "VCALENDAR"),
        ("BEGIN:VCALENDAR\nBEGIN:VEVENT\nUID:x\nEND:VEVENT\nEND:VCALENDAR\n", "no DTSTART"),
        (FOREIGN.format(more="").replace("DURATION:PT1H", "RRULE:FREQ=DAILY"), "recurs"),
        ("\xff", "VCALENDAR"),
    ],
)
def test_calendar_that_cannot_be_trusted_is_refused_and_kept(
    tmp_path: Path, text: str, words: str
) -> None:
    """Booking over what was not understood would be worse than not booking."""
    file = tmp_path / "appointments.ics"
    file.write_text(text)
    with pytest.raises(InputError, match=words) as caught:
        book_of(tmp_path).book(visit(at(9)))
    assert str(file) in str(caught.value)
    assert file.read_text() == text


def test_crash_before_the_rename_leaves_the_old_book(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that fills up in the middle loses nothing and leaves nothing behind."""
    book = book_of(tmp_path)
    book.book(visit(at(9)))
    before = (tmp_path / "appointments.ics").read_bytes()

    def full(_handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(RecordError, match="No space left"):
        book.book(visit(at(10), "two", "John Brown"))
    assert (tmp_path / "appointments.ics").read_bytes() == before
    assert not list(tmp_path.glob("*.new"))


def test_second_worker_waits_for_the_lock_but_not_for_ever(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever holds it too long is named to the operator."""
    monkeypatch.setattr(durable, "LOCK_WAIT_S", 0.0)
    book = book_of(tmp_path)
    with (
        durable.locked(book.path),
        pytest.raises(RecordError, match=r"appointments\.ics\.lock is held"),
    ):
        book.book(visit(at(9)))
    book.book(visit(at(9)))
    assert len(book.appointments()) == 1


def test_torn_last_line_is_not_read_and_is_cut_by_the_next_append(tmp_path: Path) -> None:
    """A crash in the middle of an append loses only what was not yet promised."""
    file = tmp_path / "lines.jsonl"
    durable.append(file, b"one")
    with file.open("ab") as torn:
        torn.write(b"tw")
    assert durable.read_lines(file) == b"one\n"
    durable.append(file, b"three")
    assert durable.read_lines(file) == b"one\nthree\n"
