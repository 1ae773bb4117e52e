"""Machine data in words."""

import json
import math

import pytest

from trunkline.console import plain


@pytest.mark.parametrize(
    ("arguments", "answer", "told"),
    [
        (
            {"day": "tuesday", "part_of_day": "morning"},
            {
                "ok": True,
                "minutes": 30,
                "slots": [
                    {"start": f"2026-11-24T{hour:02d}:00", "weekday": "tuesday"} for hour in (9, 10)
                ],
            },
            "find slots (tuesday, morning): Tue 24 Nov 09:00, 10:00",
        ),
        (
            {},
            {"ok": True, "slots": [{"start": f"2026-11-2{n}T09:00"} for n in range(4, 9)]},
            "find slots: Tue 24 Nov 09:00, Wed 25 Nov 09:00, Thu 26 Nov 09:00 and 2 more",
        ),
        ({}, {"ok": True, "slots": []}, "find slots: none"),
        ({}, {"ok": True}, "find slots: done"),
        ({}, {"ok": False, "error": "the day is over"}, "find slots: refused, the day is over"),
        ({"n": 2, "yes": True}, {"id": "x", "name": "Ann"}, "find slots (2, True): Ann"),
    ],
)
def test_a_tool_is_told_in_one_line(
    arguments: dict[str, object], answer: dict[str, object], told: str
) -> None:
    """What was asked and what came back, without identifiers and repetitions."""
    assert plain.tool("find_slots", json.dumps(arguments), json.dumps(answer)) == told


def test_what_is_no_json_is_shown_as_it_is() -> None:
    """A tool of somebody else's may answer with anything."""
    assert plain.tool("look", "now!", "<html>") == "look (now!): <html>"
    assert plain.tool("look", "", "") == "look: done"


@pytest.mark.parametrize(
    ("kind", "token", "told"),
    [
        ("freeze", 15, "frozen (SIGSTOP) at token 15"),
        ("refuse", 0, "refuses connections"),
        ("hang", None, "hangs"),
        ("other", None, "other"),
    ],
)
def test_a_fault_is_told_with_its_token_if_there_is_one(
    kind: str, token: int | None, told: str
) -> None:
    """A server that answers nothing has no token to die at."""
    assert plain.fault(kind, token) == told


@pytest.mark.parametrize(
    ("value", "told"), [(None, "-"), (0.0, "0.00"), (1.005, "1.00"), (math.inf, "never")]
)
def test_seconds(value: float | None, told: str) -> None:
    """What was not measured is no number, and what never came is no dash."""
    assert plain.seconds(value) == told


def test_a_date_without_a_time_stays_as_it_is() -> None:
    """Only moments are rewritten."""
    assert plain.moment("2026-11-24") == "2026-11-24"
    assert plain.moment("2026-11-24T09:30:00-06:00") == "Tue 24 Nov 09:30"
    assert plain.moment("tuesday") == "tuesday"


def test_json_gets_null_for_infinity() -> None:
    """However deep it is."""
    told = plain.finite({"a": (math.inf, 1.0), "b": [{"c": math.nan}], "d": "inf"})
    assert json.dumps(told, allow_nan=False) == '{"a": [null, 1.0], "b": [{"c": null}], "d": "inf"}'
