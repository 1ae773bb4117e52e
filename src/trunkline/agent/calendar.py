"""The appointment book: an iCalendar file (RFC 5545) that the practice's own programs can read.

Rules:

* The file is the only truth. Every answer reads it, every change rewrites it under a lock, so two
  workers, or a receptionist with another program, never give one slot away twice.
* What others wrote stays as they wrote it; their events only make time busy. A recurring event is
  refused loudly, because an appointment on top of it would be worse than no appointment.
* Times are written in UTC: exact across daylight saving, and no VTIMEZONE to get wrong.
* A cancelled appointment stays, as `STATUS:CANCELLED`: the book also tells what was.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from trunkline.agent import durable, ics
from trunkline.agent.practice import WEEKDAYS, Practice
from trunkline.errors import InputError

HORIZON_DAYS: Final = 90
"""How far ahead appointments are given."""

_PRODID = "-//Trunkline//Receptionist//EN"
_REASON, _NAME, _PHONE = "X-TRUNKLINE-REASON", "X-TRUNKLINE-NAME", "X-TRUNKLINE-PHONE"


@dataclass(frozen=True, slots=True)
class Appointment:
    """One appointment; *start* and *end* are aware, in the zone of the practice."""

    uid: str
    start: datetime
    end: datetime
    name: str
    reason: str
    phone: str = ""
    cancelled: bool = False


class Taken(Exception):
    """The time is not free: outside opening hours, too soon, or somebody else's."""


@dataclass(frozen=True, slots=True)
class _Event:
    """One component of the file: its raw lines, and what of it concerns us."""

    lines: tuple[str, ...]
    busy: tuple[datetime, datetime] | None = None
    appointment: Appointment | None = None


class Calendar:
    """The appointments of *practice* in the file at *path*; *now* is the clock (aware).

    All methods block on the disk; the changing ones hold the lock of the file.
    """

    def __init__(self, path: Path, practice: Practice, now: Callable[[], datetime]) -> None:
        self._path, self._practice, self._now = path, practice, now

    @property
    def path(self) -> Path:
        """Where the file is."""
        return self._path

    def now(self) -> datetime:
        """The time at the practice."""
        return self._now().astimezone(self._practice.zone)

    def today(self) -> date:
        """The date at the practice."""
        return self.now().date()

    def appointments(self) -> list[Appointment]:
        """All appointments that Trunkline made, in order of time, cancelled ones included."""
        made = [event.appointment for event in self._read() if event.appointment is not None]
        return sorted(made, key=lambda appointment: appointment.start)

    def get(self, uid: str) -> Appointment | None:
        """The appointment with *uid*."""
        return next((a for a in self.appointments() if a.uid == uid), None)

    def free(
        self,
        minutes: int,
        days: Iterable[date],
        limit: int,
        fits: Callable[[datetime], bool] = lambda _: True,
    ) -> list[datetime]:
        """The first *limit* starts on *days* that *fits* likes and where *minutes* are free."""
        busy = [event.busy for event in self._read() if event.busy is not None]
        found: list[datetime] = []
        for day in days:
            for start in filter(fits, self._grid(day, minutes)):
                end = start + timedelta(minutes=minutes)
                if all(end <= begins or start >= ends for begins, ends in busy):
                    found.append(start)
                    if len(found) >= limit:
                        return found
        return found

    def book(self, wanted: Appointment) -> Appointment:
        """Write *wanted* durably; `Taken` if its time is not free.

        The same uid, or the same person at the same time, is the same appointment: it is returned
        as it is, not written twice.
        """
        with durable.locked(self._path):
            events = self._read()
            for event in events:
                made = event.appointment
                if made is not None and not made.cancelled and _same(made, wanted):
                    return made
            minutes = int((wanted.end - wanted.start).total_seconds()) // 60
            if wanted.start not in self._grid(wanted.start.date(), minutes):
                raise Taken("the practice does not give appointments at that time")
            if any(e.busy and wanted.start < e.busy[1] and wanted.end > e.busy[0] for e in events):
                raise Taken("that time is taken")
            self._write([*events, _Event(tuple(self._lines(wanted, sequence=0)))])
            return wanted

    def cancel(self, uid: str) -> Appointment | None:
        """Cancel the appointment *uid* durably; None if there is none. Idempotent."""
        with durable.locked(self._path):
            events = self._read()
            for index, event in enumerate(events):
                made = event.appointment
                if made is None or made.uid != uid:
                    continue
                cancelled = replace(made, cancelled=True)
                if not made.cancelled:
                    events[index] = _Event(tuple(self._lines(cancelled, sequence=1)))
                    self._write(events)
                return cancelled
        return None

    def _grid(self, day: date, minutes: int) -> list[datetime]:
        """The starts on *day* that the opening hours and the notice allow."""
        earliest = self.now() + timedelta(minutes=self._practice.notice_minutes)
        if not 0 <= (day - self.today()).days <= HORIZON_DAYS:
            return []
        step = timedelta(minutes=self._practice.slot_minutes)
        length = timedelta(minutes=minutes)
        starts = []
        for opens, closes in self._practice.opening_hours.get(WEEKDAYS[day.weekday()], ()):
            # Wall-clock arithmetic inside one stretch: practices do not open across a DST change.
            start = datetime.combine(day, opens, self._practice.zone)
            end = datetime.combine(day, closes, self._practice.zone)
            while start + length <= end:
                if start >= earliest:
                    starts.append(start)
                start += step
        return starts

    def _read(self) -> list[_Event]:
        raw = durable.read(self._path)
        try:
            lines = ics.unfold(raw.decode())
            return [
                self._event(block) if name == "VEVENT" else _Event(tuple(block))
                for name, block in ics.components(lines)
            ]
        except (InputError, UnicodeDecodeError) as error:
            raise InputError(
                f"{self._path}: not a calendar that can be used: {error}. Mend the file or move "
                "it away; a new one is made"
            ) from error

    def _event(self, block: list[str]) -> _Event:
        props: dict[str, ics.Property] = {}
        depth = 0
        for line in block[1:-1]:
            prop = ics.parse_line(line)
            depth += (prop.name == "BEGIN") - (prop.name == "END")
            if depth == 0:  # an alarm's properties are not the event's
                props.setdefault(prop.name, prop)
        uid = props["UID"].value if "UID" in props else ""
        if "RRULE" in props or "RDATE" in props:
            raise InputError(f"event {uid!r} recurs, which is not supported here: expand it")
        if "DTSTART" not in props:
            raise InputError(f"event {uid!r} has no DTSTART")
        zone = self._practice.zone
        start, whole_day = ics.moment_of(props["DTSTART"], zone)
        if "DTEND" in props:
            end, _ = ics.moment_of(props["DTEND"], zone)
        elif "DURATION" in props:
            end = start + ics.duration_of(props["DURATION"].value)
        else:
            end = start + timedelta(days=1) if whole_day else start  # section 3.6.1
        status = props["STATUS"].value.upper() if "STATUS" in props else ""
        transparent = "TRANSP" in props and props["TRANSP"].value.upper() == "TRANSPARENT"
        cancelled = status == "CANCELLED"
        appointment = None
        if _NAME in props:
            text = {k: ics.unescape(props[k].value) for k in (_NAME, _REASON, _PHONE) if k in props}
            appointment = Appointment(
                uid,
                start.astimezone(zone),
                end.astimezone(zone),
                text[_NAME],
                text.get(_REASON, ""),
                text.get(_PHONE, ""),
                cancelled,
            )
        busy = None if cancelled or transparent else (start, end)
        return _Event(tuple(block), busy, appointment)

    def _lines(self, made: Appointment, *, sequence: int) -> Iterator[str]:
        stamp = ics.utc(self._now())
        yield "BEGIN:VEVENT"
        yield f"UID:{made.uid}"
        yield f"DTSTAMP:{stamp}"
        yield f"LAST-MODIFIED:{stamp}"
        yield f"SEQUENCE:{sequence}"
        yield f"DTSTART:{ics.utc(made.start)}"
        yield f"DTEND:{ics.utc(made.end)}"
        yield f"SUMMARY:{ics.escape(f'{made.reason}: {made.name}')}"
        yield f"STATUS:{'CANCELLED' if made.cancelled else 'CONFIRMED'}"
        yield f"{_NAME}:{ics.escape(made.name)}"
        yield f"{_REASON}:{ics.escape(made.reason)}"
        if made.phone:
            yield f"{_PHONE}:{ics.escape(made.phone)}"
        yield "END:VEVENT"

    def _write(self, events: list[_Event]) -> None:
        own = [line for event in events for line in event.lines]
        names = {line.split(":")[0].split(";")[0].upper() for e in events for line in e.lines[:1]}
        head = ["BEGIN:VCALENDAR"]
        head += [] if "VERSION" in names else ["VERSION:2.0"]
        head += [] if "PRODID" in names else [f"PRODID:{_PRODID}"]
        text = "".join(ics.fold(line) for line in [*head, *own, "END:VCALENDAR"])
        durable.replace(self._path, text.encode())


def _same(made: Appointment, wanted: Appointment) -> bool:
    person = made.name.casefold() == wanted.name.casefold() and made.start == wanted.start
    return made.uid == wanted.uid or person
