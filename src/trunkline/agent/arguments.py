"""The arguments of the receptionist's tools: what a model is told of them and what is accepted."""

from datetime import datetime
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from trunkline.agent.practice import WEEKDAYS, Practice


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _name(text: str) -> str:
    name = _one_line(text)
    if not any(character.isalpha() for character in name):
        raise ValueError("ask for the caller's name: it must have letters")
    return name


def _phone(text: str) -> str:
    if text and sum(character.isdigit() for character in text) < 7:
        raise ValueError("a telephone number has at least seven digits; leave it out if unknown")
    return _one_line(text)


def _day(text: str) -> str:
    day = text.strip().lower()
    if day in ("", "today", "tomorrow", *WEEKDAYS):
        return day
    try:
        return datetime.strptime(day, "%Y-%m-%d").date().isoformat()  # noqa: DTZ007  # a date
    except ValueError:
        raise ValueError("write a date such as 2026-11-24, a weekday, today or tomorrow") from None


Name = Annotated[
    str, AfterValidator(_name), Field(max_length=80, description="First and last name")
]
Phone = Annotated[
    str, AfterValidator(_phone), Field(max_length=30, description="Telephone number to call back")
]
Reason = Annotated[str, Field(max_length=40, description="Reason for the appointment")]


class _Arguments(BaseModel):
    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)


class FindSlots(_Arguments):
    """Free appointment times, soonest first. Offer two or three of them."""

    reason: Reason = ""
    day: Annotated[
        str,
        AfterValidator(_day),
        Field(description="Date as YYYY-MM-DD, a weekday (the next one), today or tomorrow"),
    ] = ""
    part_of_day: Annotated[
        str, Field(pattern="^(morning|afternoon|evening)?$", description="Leave out for any")
    ] = ""


class BookAppointment(_Arguments):
    """Book an appointment at a start that find_slots gave."""

    start: Annotated[datetime, Field(description="Local start as find_slots gave it")]
    name: Name
    reason: Reason
    phone: Phone = ""


class FindAppointment(_Arguments):
    """The caller's coming appointments, by the name they were booked under."""

    name: Name


class CancelAppointment(_Arguments):
    """Cancel an appointment. To move one, book the new time first, then cancel the old one."""

    id: Annotated[
        str, Field(min_length=1, max_length=100, description="The id that find_appointment gave")
    ]


class TakeMessage(_Arguments):
    """Write down a message for the practice; someone calls back."""

    name: Name
    text: Annotated[str, Field(min_length=1, max_length=2000, description="The message")]
    phone: Phone = ""


class EndCall(_Arguments):
    """Hang up, after you have said goodbye."""


Arguments = (
    FindSlots | BookAppointment | FindAppointment | CancelAppointment | TakeMessage | EndCall
)

TOOLS: Final[dict[str, type[Arguments]]] = {
    "find_slots": FindSlots,
    "book_appointment": BookAppointment,
    "find_appointment": FindAppointment,
    "cancel_appointment": CancelAppointment,
    "take_message": TakeMessage,
    "end_call": EndCall,
}
SAFE: Final = frozenset({"find_slots", "find_appointment"})
"""The tools without side effects."""


def read(tool: str, text: str, practice: Practice) -> Arguments | str:
    """The arguments of *tool* in the JSON *text*, or what is wrong with them, for the model."""
    if tool not in TOOLS:
        return f"there is no tool {tool!r}; the tools are {', '.join(TOOLS)}"
    try:
        arguments = TOOLS[tool].model_validate_json(text or "{}")
    except ValidationError as error:
        problems = error.errors(include_url=False, include_input=False, include_context=False)
        return "; ".join(
            f"{'.'.join(str(part) for part in problem['loc']) or 'arguments'}: {problem['msg']}"
            for problem in problems
        )
    reason = getattr(arguments, "reason", "")
    if reason and reason not in practice.reasons:
        return f"reason: {reason!r} is not one of {', '.join(practice.reasons)}"
    return arguments


def schema(tool: str, practice: Practice) -> dict[str, object]:
    """The JSON Schema of the arguments of *tool*."""
    found = TOOLS[tool].model_json_schema()
    found.pop("title", None)
    found.pop("description", None)
    for name, prop in found["properties"].items():
        prop.pop("title", None)
        if name == "reason":
            prop["enum"] = list(practice.reasons)
            prop.pop("default", None)  # "" is not one of them: it means that it was left out
    return found
