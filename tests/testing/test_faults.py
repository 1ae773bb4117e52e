"""Fault scripts: what they accept, whom they strike, and the course that a response takes."""

import math
from itertools import chain, islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.testing.faults import Act, FaultKind, FaultScript, Step, course
from trunkline.testing.laws import law_named

TIMING = law_named("self_hosted_8b").timing(1, 1)
WAITS = list(islice(chain((TIMING.ttft_s,), TIMING.gaps()), 100))
TOKENS = 8
OPENING = [Step(Act.HEADERS), Step(Act.ROLE)]
FINISH = Step(Act.FINISH)
STRIKE = Step(Act.STRIKE)


def said(start: int, stop: int, late_s: float = 0.0) -> list[Step]:
    """Tokens *start* to *stop* at their times, the first of them *late_s* later."""
    steps = [Step(Act.TOKEN, wait_s) for wait_s in WAITS[start:stop]]
    if steps:
        steps[0] = Step(Act.TOKEN, WAITS[start] + late_s)
    return steps


def steps_of(**script: object) -> list[Step]:
    """The course under a fault, up to a wait without end."""
    found = []
    for step in islice(course(FaultScript.parse(script), TIMING, TOKENS), 50):
        found.append(step)
        if step.after_s == math.inf:
            break
    return found


def test_without_a_fault() -> None:
    """Headers, a role, every token at its time, the end."""
    assert list(course(None, TIMING, TOKENS)) == [*OPENING, *said(0, TOKENS), FINISH]
    assert list(course(FaultScript(FaultKind.REFUSE), TIMING, 0)) == [*OPENING, FINISH]


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        ({"kind": "status"}, [STRIKE, Step(Act.ANSWER_STATUS)]),
        ({"kind": "hang"}, [STRIKE, Step(Act.HEADERS, math.inf)]),
        (
            {"kind": "hang", "hold_s": 2},
            [STRIKE, Step(Act.HEADERS, 2), Step(Act.ROLE), *said(0, TOKENS), FINISH],
        ),
        ({"kind": "headers_only"}, [OPENING[0], STRIKE, Step(Act.ROLE, math.inf)]),
        (
            {"kind": "headers_only", "hold_s": 2},
            [OPENING[0], STRIKE, Step(Act.ROLE, 2), *said(0, TOKENS), FINISH],
        ),
        (
            {"kind": "keepalives", "gap_s": 0.5, "hold_s": 1.25},
            [*OPENING, STRIKE, *[Step(Act.COMMENT, 0.5)] * 2, *said(0, TOKENS, 0.25), FINISH],
        ),
        (
            {"kind": "stall", "after_tokens": 3},
            [*OPENING, *said(0, 3), STRIKE, Step(Act.TOKEN, math.inf)],
        ),
        (
            {"kind": "stall", "after_tokens": 3, "hold_s": 2},
            [*OPENING, *said(0, 3), STRIKE, *said(3, TOKENS, 2), FINISH],
        ),
        (
            {"kind": "stall", "after_tokens": 99},
            [*OPENING, *said(0, TOKENS), STRIKE, Step(Act.FINISH, math.inf)],
        ),
        (
            {"kind": "freeze", "after_tokens": 3},
            [*OPENING, *said(0, 3), STRIKE, Step(Act.STOP_PROCESS), *said(3, TOKENS), FINISH],
        ),
        (
            {"kind": "drip", "after_tokens": 6, "gap_s": 0.3},
            [*OPENING, *said(0, 6), STRIKE, *[Step(Act.TOKEN, 0.3)] * 2, FINISH],
        ),
        ({"kind": "cut", "after_tokens": 3}, [*OPENING, *said(0, 3), STRIKE, Step(Act.RESET)]),
        ({"kind": "truncate"}, [*OPENING, STRIKE, Step(Act.CLOSE)]),
        (
            {"kind": "malformed", "after_tokens": 1},
            [*OPENING, *said(0, 1), STRIKE, Step(Act.GARBAGE)],
        ),
        ({"kind": "empty"}, [*OPENING, STRIKE, FINISH]),
    ],
)
def test_courses(script: dict[str, object], expected: list[Step]) -> None:
    """Each fault is these steps and no others."""
    found = steps_of(**script)
    assert [step.act for step in found] == [step.act for step in expected]
    assert [step.after_s for step in found] == pytest.approx([step.after_s for step in expected])


def test_keepalives_for_ever() -> None:
    """Without an end, comments go on and no token comes."""
    steps = steps_of(kind="keepalives")
    assert len(steps) == 50
    assert {step.act for step in steps[3:]} == {Act.COMMENT}


@given(
    st.sampled_from([k for k in FaultKind if k is not FaultKind.REFUSE]),
    st.integers(0, 12),
    st.integers(0, 12),
)
def test_a_fault_strikes_once_and_never_adds_tokens(kind: FaultKind, tokens: int, n: int) -> None:
    """Every course that ends has one strike, at most its tokens, and one end."""
    allowed = {"stall", "freeze", "drip", "cut", "truncate", "malformed"}
    script = FaultScript(kind, after_tokens=n if kind in allowed else 0)
    steps = list(islice(course(script, TIMING, tokens), 60))
    acts = [step.act for step in steps]
    before = acts[: acts.index(Act.STRIKE)]
    assert acts.count(Act.STRIKE) == 1
    assert before.count(Act.TOKEN) == (min(n, tokens) if kind in allowed else 0)
    assert acts.count(Act.TOKEN) <= tokens
    assert acts.count(Act.FINISH) <= 1


@pytest.mark.parametrize(
    ("script", "struck"),
    [
        ({"kind": "cut"}, {(1, "Monday?"), (2, "monday?"), (2, "Friday?")}),
        ({"kind": "cut", "on_request": 2}, {(2, "monday?"), (2, "Friday?")}),
        ({"kind": "cut", "match": "MONDAY"}, {(1, "Monday?"), (2, "monday?")}),
        ({"kind": "cut", "on_request": 2, "match": "monday"}, {(2, "monday?")}),
    ],
)
def test_whom_it_strikes(script: dict[str, object], struck: set[tuple[int, str]]) -> None:
    """By number, by the caller's words, by both, or everyone."""
    asked = [(1, "Monday?"), (2, "monday?"), (2, "Friday?")]
    fault = FaultScript.parse(script)
    assert {(n, words) for n, words in asked if fault.strikes(n, words)} == struck


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (None, "mapping"),
        ("stall", "mapping"),
        ({}, "kind"),
        ({"kind": "stahl"}, "'stahl'.*stall"),
        ({"kind": ["stall"]}, "there is no fault"),
        ({"kind": "stall", "after": 3}, "'after'.*after_tokens"),
        ({"kind": "stall", 3: 4}, "'3'"),
        ({"kind": "stall", "gap_s": 3}, "'gap_s'"),
        ({"kind": "freeze", "hold_s": 3}, "'hold_s'"),
        ({"kind": "refuse", "match": "hello"}, "'match'"),
        ({"kind": "stall", "after_tokens": "3"}, "whole number"),
        ({"kind": "stall", "after_tokens": 1.5}, "whole number"),
        ({"kind": "stall", "after_tokens": True}, "whole number"),
        ({"kind": "stall", "after_tokens": -1}, "0 or more"),
        ({"kind": "stall", "hold_s": "long"}, "a number"),
        ({"kind": "stall", "hold_s": math.nan}, "0 or more"),
        ({"kind": "stall", "hold_s": math.inf}, "0 or more"),
        ({"kind": "stall", "match": 7}, "text"),
        ({"kind": "stall", "on_request": 0}, "counts from 1"),
        ({"kind": "status", "status": 200}, "400 to 599"),
        ({"kind": "drip", "gap_s": 0}, "gap_s is 0"),
    ],
)
def test_wrong_scripts(raw: object, says: str) -> None:
    """The error says where, what is wrong and what there is instead."""
    with pytest.raises(InputError, match=says) as caught:
        FaultScript.parse(raw, where="demo.yaml: faults[0]")
    assert str(caught.value).startswith("demo.yaml: faults[0]")


def test_an_option_is_never_ignored() -> None:
    """Also not when a script is built in code."""
    with pytest.raises(InputError, match="hold_s"):
        FaultScript(FaultKind.CUT, hold_s=1.0)
