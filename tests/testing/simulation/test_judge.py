"""The invariants: each is broken here once, and seen."""

import pytest

from trunkline.core.attempt_words import Kind, Settle
from trunkline.testing.simulation.answers import answer_of
from trunkline.testing.simulation.judge import Judge
from trunkline.testing.simulation.lanes import Lane
from trunkline.types import ToolCall

ANSWER = answer_of([3, 4, 5], 7)
ONE, TWO, THREE = ANSWER.sentences
TOOL = ToolCall("1", "book", ANSWER.tool.arguments)


def judge(steps: int = 1) -> Judge:
    """Watches a turn that should say the answer."""
    return Judge(ANSWER, steps)


def test_a_turn_as_it_should_be() -> None:
    """Nothing is wrong with it."""
    it = judge()
    assert [it.say(sentence) for sentence in ANSWER.sentences] == [0, 1, 2]
    it.settle(Settle(0, "stop"), [])
    it.bounded(1.0, 2.0)
    assert it.wrong == []


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ([ONE, ONE], "repeated"),
        ([ONE, THREE], "left out before"),
        ([ONE, "Something else."], "not a sentence"),
        ([ONE, TWO[:-3]], "not a sentence"),
    ],
)
def test_content_twice_or_lost(said: list[str], wrong: str) -> None:
    """A sentence that is repeated, jumped over, made up or halved is seen."""
    it = judge()
    for sentence in said:
        it.say(sentence)
    assert len(it.wrong) == 1
    assert wrong in it.wrong[0]


def test_an_end_that_is_too_early() -> None:
    """Two sentences are missing, and the step says that it is complete."""
    it = judge()
    it.say(ONE)
    it.settle(Settle(0, "stop"), [])
    assert it.wrong == ["settled as complete with 2 sentences unsaid"]


def test_two_replies() -> None:
    """A step settles once."""
    it = judge()
    for sentence in ANSWER.sentences:
        it.say(sentence)
    it.settle(Settle(0, "stop"), [])
    it.settle(Settle(0, "stop"), [])
    assert it.wrong == ["a second reply in one turn"]


def test_an_attempt_that_is_left_behind() -> None:
    """Whoever is neither over nor cancelled when the step settles still costs money."""
    it = judge(2)
    it.settle(Settle(0, "tool_calls"), [Lane(0, 0, Kind.PRIMARY, ANSWER, 0, tool=False)])
    assert it.wrong == ["attempts [0] are left behind"]


def test_tools_twice_halved_or_none() -> None:
    """One whole call, once."""
    it = judge(2)
    it.execute([TOOL])
    assert it.wrong == []
    it.execute([TOOL])
    it.execute([])
    it.execute([ToolCall("2", "book", '{"slot"')])
    assert [what.split(":")[0] for what in it.wrong] == [
        "tool book would run twice",
        "0 tool calls instead of one",
        "half a tool call",
    ]


def test_dead_air_without_end() -> None:
    """What is longer than any policy may wait is seen."""
    it = judge()
    it.bounded(3.1, 3.0)
    assert it.wrong == ["dead air of 3.1 s, more than 3.0 s"]


def test_a_seam_inside_a_sentence() -> None:
    """An attempt may be asked to go on after whole sentences only."""
    it = judge()
    assert it.committed(f"{ONE} {TWO}") == 2
    assert it.committed(ONE[:-1]) == 0
    assert "inside a sentence" in it.wrong[0]
