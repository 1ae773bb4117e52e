"""The course of a simulated attempt: the closed form is the course that servers play in steps."""

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.attempt_words import Ended, Failed, Kind, Text, ToolPart
from trunkline.errors import Fault
from trunkline.testing.faults import Act, FaultKind, FaultScript, Step, course
from trunkline.testing.laws import TokenTiming
from trunkline.testing.simulation.answers import answer_of
from trunkline.testing.simulation.draws import TOKENS_PER_WORD, Drawn, Trouble
from trunkline.testing.simulation.lanes import TOOL_WORDS, Lane

ANSWER = answer_of([5, 7, 3], 1)
WORDS = 15
FIRST_S, GAP_S = 0.5, 0.02


def drawn(trouble: Trouble = Trouble.NONE, amount_s: float = 0.0, place: float = 0.0) -> Drawn:
    """One request of an endpoint."""
    return Drawn([FIRST_S], [GAP_S], [trouble], [amount_s], [place], 0.2)


def lane(sentence: int = 0, *, tool: bool = False, of: Drawn | None = None) -> Lane:
    """An attempt that is launched at second 0."""
    it = Lane(0, 0, Kind.PRIMARY, ANSWER, sentence, tool)
    it.draw(of or drawn(), 0, 0.0)
    return it


def played(script: FaultScript | None) -> tuple[list[float], float]:
    """When the tokens of the answer come, and when it ends, by the steps of the servers."""
    steps = list(_bounded(script))
    times = list(accumulate(step.after_s for step in steps))
    tokens = [at for at, step in zip(times, steps, strict=True) if step.act is Act.TOKEN]
    return tokens, times[-1]


def _bounded(script: FaultScript | None) -> list[Step]:
    steps = []
    for step in course(script, TokenTiming(FIRST_S, GAP_S, 0.0, 1), WORDS):
        steps.append(step)
        if step.after_s == math.inf or len(steps) > 200:
            break
    return steps


SCRIPTS = [
    FaultScript(FaultKind.HANG),
    FaultScript(FaultKind.HANG, hold_s=2.0),
    FaultScript(FaultKind.HEADERS_ONLY, hold_s=1.0),
    FaultScript(FaultKind.STALL, after_tokens=8, hold_s=3.0),
    FaultScript(FaultKind.STALL, after_tokens=8),
    FaultScript(FaultKind.STALL, hold_s=1.0),
    FaultScript(FaultKind.DRIP, after_tokens=8, gap_s=0.5),
    FaultScript(FaultKind.DRIP, gap_s=0.5),
    FaultScript(FaultKind.CUT, after_tokens=8),
    FaultScript(FaultKind.TRUNCATE, after_tokens=8),
    FaultScript(FaultKind.MALFORMED, after_tokens=8),
    FaultScript(FaultKind.ERROR_INSIDE, after_tokens=8),
    FaultScript(FaultKind.CONTENT_FILTER, after_tokens=8),
    FaultScript(FaultKind.EMPTY),
    FaultScript(FaultKind.CUT, after_s=0.1),
    FaultScript(FaultKind.STALL, after_s=0.07, hold_s=1.0),
]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda it: f"{it.kind}-{it.hold_s}-{it.after_s}")
def test_the_closed_form_is_the_course(
    script: FaultScript, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every word comes when the server of the same script would send its token."""
    monkeypatch.setattr("trunkline.testing.simulation.lanes.TOKENS_PER_WORD", 1.0)
    it = lane()
    it.suffer(script)
    tokens, _ = played(script)
    assert [it.at(word) for word in range(it.until) if it.at(word) < math.inf] == pytest.approx(
        [at for at in tokens if at < math.inf]
    )


def test_a_lane_without_trouble_says_the_answer() -> None:
    """Its pieces together are the text, the first word and every sentence's next one are events."""
    it, said = lane(), ""
    marks = []
    while it.mark() < it.until:
        marks.append(it.mark())
        fact = it.take(it.mark() + 1)
        assert isinstance(fact, Text)
        said += fact.text
    rest = it.take(it.due(it.at(it.until)))
    assert isinstance(rest, Text)
    assert said + rest.text == ANSWER.text
    assert marks == [0, 5, 12]
    assert it.end() == Ended(0, "stop")
    assert not it.running


@given(st.floats(0, 1.2))
def test_what_is_due_has_come(now: float) -> None:
    """Of all words, those are due that came by now."""
    it = lane()
    assert it.due(now) == sum(it.at(word) <= now for word in range(WORDS))


def test_a_rescuer_goes_on_after_what_was_committed() -> None:
    """From the third sentence on it says the third sentence."""
    it = lane(2)
    fact = it.take(3)
    assert isinstance(fact, Text)
    assert fact.text == ANSWER.sentences[2]


def test_a_tool_call_comes_in_pieces() -> None:
    """Name first, then the arguments, whole once all pieces are there."""
    it = lane(tool=True)
    parts = [it.take(1), it.take(TOOL_WORDS)]
    told = [part.delta for part in parts if isinstance(part, ToolPart)]
    assert "".join(delta.arguments for delta in told) == ANSWER.tool.arguments
    assert [delta.name for delta in told] == ["book", ""]
    assert it.end() == Ended(0, "tool_calls")


@pytest.mark.parametrize(
    ("trouble", "word", "at_s"),
    [
        (Trouble.HANG, 0, math.inf),
        (Trouble.HICCUP, 8, FIRST_S + 8 * GAP_S + 1.5),
        (Trouble.STALL, 7, FIRST_S + 7 * GAP_S),
        (Trouble.DRIP, 9, FIRST_S + 7 * GAP_S + 2 * 1.5),
    ],
)
def test_troubles_strike_at_their_place(trouble: Trouble, word: int, at_s: float) -> None:
    """What is drawn for the middle of the answer strikes there."""
    it = lane(of=drawn(trouble, 1.5, 0.5))
    assert it.at(word) == pytest.approx(at_s)


@pytest.mark.parametrize(
    ("trouble", "fault"), [(Trouble.ERROR, Fault.UNAVAILABLE), (Trouble.CUT, Fault.CUT)]
)
def test_failures_end_it(trouble: Trouble, fault: Fault) -> None:
    """An error comes at once, a cut after some words."""
    it = lane(of=drawn(trouble, place=0.5))
    assert it.end() == Failed(0, fault, "simulated")
    assert it.until == (0 if trouble is Trouble.ERROR else 8)


@pytest.mark.parametrize(
    ("status", "fault"),
    [(429, Fault.THROTTLED), (401, Fault.REFUSED), (500, Fault.UNAVAILABLE)],
)
def test_a_status_is_its_fault(status: int, fault: Fault) -> None:
    """Pushback, a refusal and an outage are told apart, and come without a word."""
    it = lane()
    it.suffer(FaultScript(FaultKind.STATUS, status=status))
    assert it.until == 0
    assert it.end() == Failed(0, fault, "simulated")


def test_a_refused_connection_fails_at_once() -> None:
    """Nobody listens, and that is known immediately."""
    it = lane()
    it.suffer(FaultScript(FaultKind.REFUSE))
    assert it.at(it.mark()) == 0.0
    assert it.end() == Failed(0, Fault.UNREACHABLE, "simulated")


def test_tokens_of_a_script_are_more_than_words() -> None:
    """27 tokens are 20 words."""
    it = Lane(0, 0, Kind.PRIMARY, answer_of([30], 1), 0, tool=False)
    it.draw(drawn(), 0, 0.0)
    it.suffer(FaultScript(FaultKind.CUT, after_tokens=27))
    assert it.until == math.ceil(27 / TOKENS_PER_WORD)
