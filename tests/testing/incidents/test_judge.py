"""The judge finds what is planted: each line of a verdict can fail."""

import functools
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.testing.incidents.test_files import GOOD
from trunkline.telephony.line import CallEvent
from trunkline.testing import virtual
from trunkline.testing.incidents.files import Call, parse
from trunkline.testing.incidents.judge import judge
from trunkline.testing.incidents.staging import Played, play, virtual_set
from trunkline.testing.incidents.tones import AGENT_WORD
from trunkline.testing.simulated import Note
from trunkline.types import SAMPLE_RATE, Message, Prompt

CALL = parse(GOOD, Path("one.yaml")).calls[0]


@functools.cache
def played(*, faulty: bool) -> Played:
    """A call that went well, with a fault or without."""

    async def main() -> Played:
        return await play(CALL, virtual_set(CALL, 1, faulty=faulty))

    return virtual.run(main(), seed=1)


def problems(struck: Played, call: Call = CALL) -> Sequence[str]:
    """What is wrong with it."""
    return judge("one", call, 1, played(faulty=False), struck).problems


def agent(cut: slice, times: int) -> Played:
    """The call with *cut* of the agent's tape removed (0 times) or doubled (2)."""
    good = played(faulty=True)
    tape = good.agent
    parts = [tape[: cut.start], *[tape[cut]] * times, tape[cut.stop :]]
    return replace(good, agent=np.concatenate(parts)[: len(tape)])


def second_sentence() -> int:
    """A sample in the first answer's second sentence, at the beginning of a word."""
    good = played(faulty=True)
    after = next(it.at_s for it in good.events if it == CallEvent(it.at_s, "step_end", "turn 1"))
    quiet = np.abs(good.agent[round(after * SAMPLE_RATE) :].astype(int)) < 20
    sound = int(np.argmin(quiet)) + round(after * SAMPLE_RATE)
    return sound + 10 * AGENT_WORD


def test_a_call_that_went_well() -> None:
    """Nothing is wrong with it, and its verdict says what happened."""
    verdict = judge("one", CALL, 1, played(faulty=False), played(faulty=True))
    assert verdict.passed
    assert verdict.answered_by == ("model-2",)
    assert 0 < verdict.dead_air_added_s < 1
    assert verdict.as_json()["words_lost"] == 0


def test_words_that_are_missing_or_said_again() -> None:
    """Two words cut out of the tape, and the same two said twice."""
    at = second_sentence()
    words = slice(at, at + 2 * AGENT_WORD)
    assert "words lost: 2, at most 0" in problems(agent(words, 0))
    assert "words repeated: 2, at most 0" in problems(agent(words, 2))


def test_silence_inside_an_answer() -> None:
    """A gap of two seconds is dead air; so is an answer that never came."""
    good = played(faulty=True)
    tape = good.agent.copy()
    at = second_sentence()
    tape[at : at + 2 * SAMPLE_RATE] = 0
    assert any(it.startswith("dead air added: 1.") for it in problems(replace(good, agent=tape)))
    silent = replace(good, agent=np.zeros_like(good.agent))
    assert "dead air added: no answer, at most 1 s" in problems(silent)
    assert "turns dropped: 3, at most 0" in problems(silent)


def test_who_answered_and_who_hung_up() -> None:
    """Another endpoint, or an agent that ends the call, is not what was asked for."""
    good = played(faulty=True)

    def renamed(note: Note) -> Note:
        data: Mapping[str, object] = note.data
        if note.type == "phrase.spoken":
            data = {**data, "endpoint": "model-1"}
        return replace(note, data=data)

    other = replace(good, notes=tuple(map(renamed, good.notes)))
    assert "answered by model-1, not model-2" in problems(other)
    ended = replace(good, ended="agent_closed")
    assert "the call ended by agent_closed, not hang_up" in problems(ended)


def test_tools_that_ran_too_often_or_not_at_all() -> None:
    """At most once, and as often as the file says."""
    good = played(faulty=True)
    assert "tools ran too often: book" in problems(replace(good, tools=("book",)))
    must = CALL.must.model_copy(update={"tools": {"book": 1}})
    wanted = CALL.model_copy(update={"must": must})
    assert "book ran 0 times, not 1" in problems(good, wanted)


def test_words_of_the_caller_that_came_to_no_model() -> None:
    """A prompt that lacks a word of the question."""
    good = played(faulty=True)
    prompts = {"model-1": (Prompt((Message("user", "are you open"),)),)}
    lost = problems(replace(good, prompts=prompts))
    assert "caller words lost: 6, at most 0" in lost  # 1 of the first line, 5 of the second


def test_a_history_with_what_nobody_heard() -> None:
    """The next prompt gives the agent words that were never on the tape."""
    good = played(faulty=True)
    said = Message("assistant", "We also sell unicorns.")
    prompt = Prompt((Message("user", "when are you open"), said, Message("user", "what else")))
    told = problems(replace(good, prompts={**good.prompts, "model-1": (prompt,)}))
    assert "the history has what nobody heard: also sell unicorns" in told


def test_a_line_that_must_be_heard() -> None:
    """The apology was not said in a call that went well."""
    must = CALL.must.model_copy(update={"hears": "Sorry, I cannot help right now."})
    told = problems(played(faulty=True), CALL.model_copy(update={"must": must}))
    assert told == ("nobody said 'Sorry, I cannot help right now.'",)


def test_a_comparison_with_a_call_that_failed_itself() -> None:
    """Nothing was lost against a call in which nothing was said: that must not pass."""
    good = played(faulty=False)
    silent = replace(good, agent=np.zeros_like(good.agent))
    told = judge("one", CALL, 1, silent, played(faulty=True)).problems
    assert "the call without faults did not go well: there is nothing to compare with" in told
    broke = CallEvent(3.0, "ended", "agent_closed: the call broke")
    events = (*good.events[:-1], broke)
    assert any("a bug of ours" in it for it in problems(replace(good, events=events)))


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"strikes": ()}, "nothing went wrong: no fault struck"),
        ({"leaks": 2}, "2 streams were left open"),
        ({"late_s": 0.3}, "this machine's clock was 0.30 s late: too busy to judge"),
    ],
)
def test_what_must_hold_in_every_call(change: dict[str, object], told: str) -> None:
    """A fault that never struck proves nothing; streams must be closed."""
    assert told in problems(replace(played(faulty=True), **change))  # type: ignore[arg-type]  # as listed
