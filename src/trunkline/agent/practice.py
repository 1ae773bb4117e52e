"""The practice that the receptionist works for: data that a user edits, not code."""

import re
from datetime import time
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Final, NamedTuple
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import yaml
from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from trunkline.errors import ConfigError

WEEKDAYS: Final = (
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
)
"""In the order of `date.weekday()`."""

RIVERSIDE_DENTAL: Final = Path(__file__).parent / "data" / "riverside_dental.yaml"
"""The practice of the demo, and the file to copy for one's own."""

_MAX_BYTES = 256 * 1024  # it all goes into every prompt: a larger file is a mistake, not a practice
_STRETCH = re.compile(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)")


class Stretch(NamedTuple):
    """A stretch of a day in local time, *closes* excluded."""

    opens: time
    closes: time


def _stretches(value: object) -> object:
    if not isinstance(value, list):
        raise ValueError("write a list such as ['08:00-12:00', '13:00-17:00']")  # noqa: TRY004  # pydantic reports ValueError
    found = []
    for text in value:
        match = _STRETCH.fullmatch(str(text))
        if match is None:
            raise ValueError(f"{text!r} is not a stretch of time: write it as '08:00-12:00'")
        opens = time(int(match[1]), int(match[2]))
        found.append(Stretch(opens, time(int(match[3]), int(match[4]))))
    if any(stretch.opens >= stretch.closes for stretch in found):
        raise ValueError("a stretch must open before it closes")
    if any(early.closes > late.opens for early, late in pairwise(found)):
        raise ValueError("the stretches of a day must be in order and not overlap")
    return found


def _known_day(day: str) -> str:
    if day not in WEEKDAYS:
        raise ValueError(f"{day!r} is not a day: write one of {', '.join(WEEKDAYS)}")
    return day


def _known_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        raise ValueError(
            f"{name!r} is not a time zone of this machine: write an IANA name such as "
            "'America/Chicago', and install the tzdata package if there are none"
        ) from None
    return name


Line = Annotated[str, Field(min_length=1, max_length=300, pattern=r"^[^\n]*$")]
Key = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]{0,39}$")]
Minutes = Annotated[int, Field(ge=5, le=480)]


class Practice(BaseModel):
    """What the receptionist knows. Durations are minutes, times are local to `timezone`.

    *facts* are sentences by topic and key; the model may say nothing of the practice beyond them.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: Line
    assistant: Line
    language: Annotated[str, Field(pattern=r"^[a-z]{2,3}(-[A-Za-z0-9]{2,8})*$")]
    timezone: Annotated[str, AfterValidator(_known_zone)]
    address: Line
    phone: Line
    opening_hours: dict[
        Annotated[str, AfterValidator(_known_day)],
        Annotated[tuple[Stretch, ...], BeforeValidator(_stretches)],
    ] = Field(min_length=1)
    slot_minutes: Minutes = 30
    notice_minutes: Annotated[int, Field(ge=0, le=10_080)] = 60
    reasons: dict[Annotated[str, Field(pattern=r"^[a-z][a-z -]{0,39}$")], Minutes] = Field(
        min_length=1
    )
    staff: tuple[Line, ...] = ()
    facts: dict[Key, dict[Key, Line]] = {}

    @property
    def zone(self) -> ZoneInfo:
        """The time zone of the practice."""
        return ZoneInfo(self.timezone)

    def minutes_for(self, reason: str | None) -> int:
        """Minutes that *reason* takes; the grid of slots for an unknown or no reason."""
        return self.reasons.get(reason or "", self.slot_minutes)


def load_practice(path: Path) -> Practice:
    """Read a practice from the YAML file at *path*; `ConfigError` says what to mend, and where."""
    tree: yaml.Node | None = None
    mend = f"Compare it with {RIVERSIDE_DENTAL.name}, which is a complete practice"
    try:
        with path.open("rb") as file:
            raw = file.read(_MAX_BYTES + 1)
        if len(raw) > _MAX_BYTES:
            raise ConfigError(path, None, f"is larger than {_MAX_BYTES} bytes", "Shorten it")
        tree = yaml.compose(raw, Loader=yaml.SafeLoader)
        return Practice.model_validate(yaml.safe_load(raw))
    except OSError as error:
        raise ConfigError(
            path, None, f"cannot be read: {error.strerror}", "Name a readable file"
        ) from error
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = None if mark is None else mark.line + 1
        raise ConfigError(path, line, "is not YAML", "Mend the syntax there") from error
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"])
        what = f"{where or 'the file'}: {first['msg']}"
        raise ConfigError(path, _line_of(tree, first["loc"]), what, mend) from error


def _line_of(node: yaml.Node | None, location: tuple[int | str, ...]) -> int | None:
    """The 1-based line of the innermost node on *location* that the file has."""
    line = None if node is None else node.start_mark.line + 1
    for part in location:
        if not isinstance(node, yaml.MappingNode):
            break
        entry = next(((k, v) for k, v in node.value if k.value == str(part)), None)
        if entry is None:
            break
        line, node = entry[0].start_mark.line + 1, entry[1]
    return line
