"""RFC 5545 content lines."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.agent import ics
from trunkline.errors import InputError

TEXT = st.text(st.characters(exclude_categories=("Cc", "Cs")) | st.just("\n"))


@given(TEXT)
def test_text_survives_escaping_and_folding(text: str) -> None:
    """Whatever a caller is named, it reads back."""
    folded = ics.fold(f"SUMMARY:{ics.escape(text)}")
    assert all(len(row.encode()) <= 75 for row in folded.split("\r\n"))
    assert folded.endswith("\r\n")
    (line,) = ics.unfold(folded)
    assert ics.unescape(ics.parse_line(line).value) == text


def test_text_is_escaped_as_section_3_3_11_has_it() -> None:
    """Backslash, semicolon, comma and newline; never the colon."""
    assert ics.escape("a\\b;c,d\ne:f\x07") == "a\\\\b\\;c\\,d\\ne:f"


def test_line_of_exactly_75_octets_is_not_folded() -> None:
    """The limit is included."""
    assert ics.fold("X" * 75) == "X" * 75 + "\r\n"
    assert ics.fold("X" * 76) == "X" * 75 + "\r\n X\r\n"


def test_parameters_may_hold_quoted_separators() -> None:
    """A colon inside quotes does not begin the value."""
    prop = ics.parse_line('attendee;CN="Lee: Alice; DDS";ROLE=CHAIR:mailto:lee@example.com')
    assert prop.name == "ATTENDEE"
    assert prop.param("CN") == "Lee: Alice; DDS"
    assert prop.param("ROLE") == "CHAIR"
    assert prop.value == "mailto:lee@example.com"


@pytest.mark.parametrize("line", ["no value", ":x", "A;B:x", ""])
def test_line_without_name_and_value_is_refused(line: str) -> None:
    """Garbage is not guessed at."""
    with pytest.raises(InputError, match="not an iCalendar content line"):
        ics.parse_line(line)


@pytest.mark.parametrize(
    ("line", "expected", "whole_day"),
    [
        ("DTSTART:20261124T153000Z", datetime(2026, 11, 24, 15, 30, tzinfo=UTC), False),
        ("DTSTART:20261124T093000", datetime(2026, 11, 24, 15, 30, tzinfo=UTC), False),
        (
            "DTSTART;TZID=Europe/Berlin:20261124T163000",
            datetime(2026, 11, 24, 15, 30, tzinfo=UTC),
            False,
        ),
        (
            "DTSTART;TZID=Our Office:20261124T093000",
            datetime(2026, 11, 24, 15, 30, tzinfo=UTC),
            False,
        ),
        ("DTSTART;VALUE=DATE:20261124", datetime(2026, 11, 24, 6, tzinfo=UTC), True),
    ],
)
def test_times_are_read_in_all_their_forms(line: str, expected: datetime, whole_day: bool) -> None:
    """UTC, floating, with a zone, with an invented zone, and whole days."""
    found = ics.moment_of(ics.parse_line(line), ZoneInfo("America/Chicago"))
    assert found == (expected, whole_day)


def test_durations_are_read() -> None:
    """Weeks stand alone, the rest combines."""
    assert ics.duration_of("P1DT2H30M") == timedelta(days=1, hours=2, minutes=30)
    assert ics.duration_of("P2W") == timedelta(weeks=2)
    with pytest.raises(InputError, match="not a duration"):
        ics.duration_of("P")
    with pytest.raises(InputError, match="not a date or time"):
        ics.moment_of(ics.parse_line("DTSTART:soon"), UTC)


@pytest.mark.parametrize(
    "lines",
    [
        ["hello"],
        ["BEGIN:VCALENDAR"],
        ["BEGIN:VCALENDAR", "BEGIN:VEVENT", "END:VCALENDAR"],
        ["BEGIN:VCALENDAR", "END:VEVENT", "END:VCALENDAR"],
    ],
)
def test_half_a_calendar_is_refused(lines: list[str]) -> None:
    """A cut file must not pass for a calendar with fewer appointments."""
    with pytest.raises(InputError):
        list(ics.components(lines))
