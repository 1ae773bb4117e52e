"""The rules of one call: a guess at what the caller has said is answered in silence (rule 11)."""

import pytest

from tests.core.calls import GREETING, Conversation, consented, tool

ASSISTANT = f"assistant: {GREETING}"


def guessed(text: str = "when are you open") -> Conversation:
    """A call in which the caller seems to have said *text*."""
    call = consented()
    call.settle(1, "How can I help?")
    call.heard()
    call.onset()
    assert call.may_say(text) == ["2.0: guess"]
    assert call.prompt()[-1] == f"user: {text}"
    return call


def test_a_guess_that_was_right_is_heard() -> None:
    """It is the reply; case and punctuation make no other words."""
    call = guessed()
    assert call.history()[-1] == "assistant: How can I help?"
    assert not call.machine.awaits_playout
    assert call.said("When are you open?") == ["2: confirm"]
    assert call.settle(2, "At nine.") == []
    call.heard()
    assert call.history()[-2:] == ["user: When are you open?", "assistant: At nine."]


@pytest.mark.parametrize("text", ["when are you open on monday", "when", ""])
def test_a_guess_that_was_wrong_is_thrown_away(text: str) -> None:
    """The model is asked anew, or not at all; nothing is left in the history."""
    call = guessed()
    call.settle(2, "At nine.", tool())
    assert call.said(text) == (["2: drop", "3.0: think"] if text else ["2: drop"])
    assert "At nine" not in str(call.history())


def test_tools_of_a_guess_run_once_it_is_confirmed() -> None:
    """What has effects waits for what was really said."""
    call = guessed("book it")
    assert call.settle(2, "One moment.", tool()) == []
    assert call.said("book it") == ["2: confirm", "2.0: run book({})"]


def test_a_guess_is_dropped_as_soon_as_the_words_go_on() -> None:
    """By what is heard so far, by another sound, by a key; not by the length of the sentence."""
    call = guessed()
    assert call.lasts() == []
    assert call.hears("when are you open") == []
    assert call.hears("when are you open on") == ["2: drop"]
    assert call.said("when are you open on monday") == ["3.0: think"]
    call = guessed()
    assert call.onset() == ["2: drop"]
    call = guessed()
    assert call.presses("1") == ["2: drop"]


def test_nobody_guesses_while_anything_else_is_going_on() -> None:
    """No words, another utterance, keys, or a reply that is held."""
    call = consented()
    call.onset()
    assert call.may_say("yes") == []
    call.said("wait")
    call = Conversation()
    call.heard()
    call.onset()
    assert call.may_say("") == []
    call.onset()
    assert call.may_say("yes") == []
    call = Conversation()
    call.heard()
    call.presses("1")
    assert call.may_say("yes") == []


def test_a_guess_at_the_answer_to_the_consent_question_grants_nothing() -> None:
    """Only what was said does."""
    call = Conversation()
    call.heard()
    call.onset()
    assert call.may_say("yes") == ["1.0: guess"]
    assert call.said("yes", "yes") == ["consent granted", "1: confirm"]
