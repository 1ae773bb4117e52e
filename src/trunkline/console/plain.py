"""Machine data in words for people: tools and what they answered, faults, times, and numbers."""

import json
import math
from collections.abc import Iterator, Mapping
from datetime import datetime
from itertools import islice

SHOWN_MAX = 3
"""Of a list: more is counted, not shown."""
_CHARS_MAX = 100
_SKIPPED = {"ok", "id", "minutes", "weekday"}  # said by something else in the same answer
_FAULTS = {
    "freeze": "frozen (SIGSTOP)",
    "cut": "connection cut",
    "refuse": "refuses connections",
    "hang": "hangs",
}


def fault(kind: str, token: object = None) -> str:
    """What happened to a model server; *token*: of its answer, counted from 1."""
    said = _FAULTS.get(kind, kind)
    return said if not isinstance(token, int) or token < 1 else f"{said} at token {token}"


def tool(name: str, arguments: str, content: str) -> str:
    """A tool call and its answer, both JSON texts, in one line; what is no JSON is shown as is."""
    asked = ", ".join(_words(_json(arguments)))
    return f"{name.replace('_', ' ')}{f' ({asked})' if asked else ''}: {_answer(content)}"


def moment(text: str) -> str:
    """An ISO date with time as `Tue 24 Nov 09:30`; anything else unchanged."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    return f"{at:%a %d %b %H:%M}" if "T" in text else text


def seconds(value: float | None) -> str:
    """Two decimals; `-` for what was not measured, `never` for what did not come."""
    if value is None:
        return "-"
    return f"{value:.2f}" if math.isfinite(value) else "never"


def finite(value: object) -> object:
    """*value* as JSON can hold it, which knows no infinity: a reply that never came is null."""
    if isinstance(value, Mapping):
        return {key: finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [finite(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _answer(content: str) -> str:
    answer = _json(content)
    if isinstance(answer, dict) and answer.get("ok") is False:
        return f"refused, {answer.get('error', 'no reason given')}"
    return ", ".join(_words(answer)) or "done"


def _json(text: str) -> object:
    try:
        return json.loads(text) if text else {}
    except ValueError:
        return text


def _words(value: object) -> Iterator[str]:
    match value:
        case dict():
            for key, item in value.items():
                if key not in _SKIPPED:
                    yield from _words(item)
        case list():
            yield (
                ", ".join(_days_once(", ".join(_words(item)) for item in value[:SHOWN_MAX]))
                + (f" and {len(value) - SHOWN_MAX} more" if len(value) > SHOWN_MAX else "")
                if value
                else "none"
            )
        case str():
            yield moment(value)[:_CHARS_MAX]
        case _:
            yield str(value)


def _days_once(moments: Iterator[str]) -> Iterator[str]:
    """Times of one day after each other: the day is said once."""
    last = ""
    for text in islice(moments, SHOWN_MAX):
        day, _, clock = text.rpartition(" ")
        yield clock if day and day == last else text
        last = day
