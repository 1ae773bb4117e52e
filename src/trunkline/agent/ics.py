"""iCalendar content lines (RFC 5545 sections 3.1 and 3.3), as pure functions.

Only the line layer: what the lines mean is the calendar's business. A file that another program
wrote keeps every line it had, because a component is carried as its raw content lines.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from trunkline.errors import InputError

FOLD_OCTETS: Final = 75
"""Longest line in octets of UTF-8, without the line break (section 3.1)."""

_ESCAPES = {"\\": "\\\\", ";": "\\;", ",": "\\,", "\n": "\\n"}
_UNESCAPED = {"n": "\n", "N": "\n"}
# CONTROL of section 3.1: all controls but HTAB; a LF is written as an escape before this applies.
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_DURATION = re.compile(
    r"\+?P(?:(?P<weeks>\d+)W|(?:(?P<days>\d+)D)?"
    r"(?:T(?:(?P<hours>\d+)H)?(?:(?P<minutes>\d+)M)?(?:(?P<seconds>\d+)S)?)?)"
)
_PARAMETER = re.compile(r';([A-Za-z0-9-]+)=((?:"[^"]*"|[^";:,])*(?:,(?:"[^"]*"|[^";:,])*)*)')


@dataclass(frozen=True, slots=True)
class Property:
    """One unfolded content line; *name* and the keys of *params* in upper case, *value* raw."""

    name: str
    value: str
    params: tuple[tuple[str, str], ...] = ()

    def param(self, key: str) -> str | None:
        """The value of parameter *key*, without quotes."""
        return next((value.strip('"') for name, value in self.params if name == key), None)


def escape(text: str) -> str:
    """*text* as a TEXT value (section 3.3.11); controls, which the format forbids, are dropped."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", "".join(_ESCAPES.get(character, character) for character in lines))


def unescape(value: str) -> str:
    """The text of a TEXT value; an unknown escape stands for its character."""
    return re.sub(r"\\(.)", lambda match: _UNESCAPED.get(match[1], match[1]), value)


def fold(line: str) -> str:
    """*line* folded at 75 octets, never inside a character, with its CRLF (section 3.1)."""
    rows, row, octets = [], "", 0
    for character in line:
        size = len(character.encode())
        if octets + size > FOLD_OCTETS:
            rows.append(row)
            row, octets = " ", 1  # the space that marks a continuation counts
        row += character
        octets += size
    return "\r\n".join([*rows, row]) + "\r\n"


def unfold(text: str) -> list[str]:
    """The content lines of *text*. Bare LF is read too: editors and git make it of CRLF."""
    # Not splitlines(): it also splits at U+2028 and the like, which a TEXT value may hold.
    return [line for line in re.split(r"\r?\n", re.sub(r"\r?\n[ \t]", "", text)) if line]


def parse_line(line: str) -> Property:
    """Read one unfolded content line; `InputError` if it has no value."""
    head = re.match(r"[A-Za-z0-9-]+", line)
    at = head.end() if head else 0
    params = []
    while (match := _PARAMETER.match(line, at)) is not None:
        params.append((match[1].upper(), match[2]))
        at = match.end()
    if head is None or line[at : at + 1] != ":":
        raise InputError(f"{line[:60]!r} is not an iCalendar content line (NAME;PARAM=X:VALUE)")
    return Property(head[0].upper(), line[at + 1 :], tuple(params))


def components(lines: Sequence[str]) -> Iterator[tuple[str, list[str]]]:
    """The components directly inside VCALENDAR, as `(name, raw lines)`, BEGIN and END included.

    Properties of the calendar itself come with the name "". `InputError` if the file is not one
    whole VCALENDAR, which a half-copied file is not.
    """
    if not lines:
        return
    if [line.strip().upper() for line in (lines[0], lines[-1])] != [
        "BEGIN:VCALENDAR",
        "END:VCALENDAR",
    ]:
        raise InputError("the file does not begin and end with one VCALENDAR")
    stack: list[str] = []
    block: list[str] = []
    for line in lines[1:-1]:
        mark, _, name = line.strip().upper().partition(":")
        block.append(line)
        if mark == "BEGIN":
            stack.append(name)
        elif mark == "END" and (not stack or stack.pop() != name):
            raise InputError(f"{line!r} ends a component that did not begin")
        if not stack:
            yield (name if mark == "END" else ""), block
            block = []
    if stack:
        raise InputError(f"component {stack[-1]} does not end")


def utc(moment: datetime) -> str:
    """An aware *moment* as a DATE-TIME in UTC (section 3.3.5, form 2)."""
    return moment.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def moment_of(prop: Property, zone: tzinfo) -> tuple[datetime, bool]:
    """The aware moment of a DATE or DATE-TIME property, and whether it is a whole day.

    A floating time and a TZID that this machine does not know are read in *zone*: an invented
    name there nearly always means the place of the calendar itself.
    """
    text = prop.value.strip()
    try:
        if prop.param("VALUE") == "DATE" or "T" not in text:
            day = date(int(text[:4]), int(text[4:6]), int(text[6:8]))
            return datetime.combine(day, time(), zone), True
        naive = datetime.strptime(text.rstrip("Z"), "%Y%m%dT%H%M%S")  # noqa: DTZ007  # its zone follows
    except ValueError:
        raise InputError(f"{prop.name}: {text!r} is not a date or time of iCalendar") from None
    if text.endswith("Z"):
        return naive.replace(tzinfo=UTC), False
    try:
        named = ZoneInfo(prop.param("TZID") or "")
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return naive.replace(tzinfo=zone), False
    return naive.replace(tzinfo=named), False


def duration_of(value: str) -> timedelta:
    """A DURATION value (section 3.3.6); `InputError` if it is none or negative."""
    match = _DURATION.fullmatch(value.strip())
    if match is None or not any(match.groupdict().values()):
        raise InputError(f"DURATION: {value!r} is not a duration such as PT30M")
    return timedelta(**{unit: int(count) for unit, count in match.groupdict().items() if count})
