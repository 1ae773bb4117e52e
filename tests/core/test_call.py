"""The rules of one call: who has the word, what is asked, what is history (rules 1 to 5)."""

import pytest

from tests.core.calls import (
    GREETING,
    POLICY,
    Conversation,
    consented,
    persona,
    tool,
)
from trunkline.core.call import Call
from trunkline.core.call_words import RunTool
from trunkline.core.history import PENDING
from trunkline.types import CallId

ASSISTANT = f"assistant: {GREETING}"


def test_a_call_that_has_not_begun_waits_for_nothing() -> None:
    """No leg, no deadline."""
    assert Call(CallId("c"), persona(), POLICY).deadline() is None


def test_a_conversation_from_the_greeting_to_the_goodbye() -> None:
    """Greeting, consent, an answer, a goodbye with a tool, the end; all of it is history."""
    call = Conversation()
    assert call.begun == [f"0: say {GREETING}", "consent asked"]
    assert call.heard() == []
    assert call.caller("yes sure", "yes") == ["consent granted", "1.0: think"]
    assert call.prompt() == [ASSISTANT, "user: yes sure"]
    assert call.settle(1, "How can I help?") == []
    assert call.heard() == []
    assert call.caller("bye") == ["2.0: think"]
    end = tool("end_call")
    assert call.settle(2, "Goodbye.", end) == ["2.0: run end_call({})"]
    assert call.answer(2, end, ends=True) == []
    assert call.heard() == ["hang up: the agent said goodbye"]
    assert call.history() == [
        ASSISTANT,
        "user: yes sure",
        "assistant: How can I help?",
        "user: bye",
        "assistant: Goodbye. [end_call call_1]",
        "tool call_1: done",
    ]
    assert call.machine.deadline() is None
    assert call.onset() == call.tick(9999.0) == []


# -- rule 1: the history holds what was heard ------------------------------------------------------


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("", []),
        ("We open", ["assistant: We open"]),
        ("We open at nine. We", ["assistant: We open at nine. We"]),
    ],
)
@pytest.mark.parametrize("settled", [True, False])
def test_an_interrupted_reply_is_cut_to_what_was_heard(
    heard: str, kept: list[str], settled: bool
) -> None:
    """Regression for `settled=False`: what was heard of a step still under way was forgotten."""
    call = consented()
    if settled:
        call.settle(1, "We open at nine. We close at five.")
    assert call.onset(heard) == ["1: hold"]
    assert call.said("wait") == [f"1: stop at {heard!r}", "2.0: think"]
    assert call.prompt()[2:] == ([*kept, "user: wait"] if kept else [])
    assert call.prompt()[1] == ("user: yes" if kept else "user: yes wait")


def test_a_cut_goes_through_the_steps_of_a_reply() -> None:
    """What was heard is counted off over text, tool and text."""
    call = consented()
    call.settle(1, "One moment.", tool())
    call.answer(1, tool())
    assert call.prompt()[2:] == ["assistant: One moment. [book call_1]", "tool call_1: done"]
    call.settle(1, "It is booked. Anything else?")
    call.caller("no", heard="One moment. It is")
    assert call.prompt()[2:] == [
        "assistant: One moment. [book call_1]",
        "tool call_1: done",
        "assistant: It is",
        "user: no",
    ]


def test_a_tool_that_ran_stays_in_the_history_though_nothing_was_heard() -> None:
    """What was done was done."""
    call = consented()
    call.settle(1, "One moment.", tool())
    call.answer(1, tool())
    call.caller("hello")
    assert call.prompt()[2:] == ["assistant:  [book call_1]", "tool call_1: done", "user: hello"]


# -- rule 2 and 3: the caller may always interrupt -------------------------------------------------


def test_what_was_said_in_pieces_is_answered_together() -> None:
    """While the caller speaks again nobody thinks."""
    call = consented()
    call.settle(1, "How can I help?")
    call.heard()
    assert call.onset() == []
    assert call.onset() == []
    assert call.said("I have") == []
    assert call.said("a question") == ["2.0: think"]
    assert call.prompt()[-1] == "user: I have a question"


def test_an_interrupted_thought_is_thought_anew_with_all_that_was_said() -> None:
    """The settlement of the interrupted step is too late."""
    call = consented()
    call.onset()
    assert call.settle(1, "Too late.", tool()) == []
    assert call.said("and this") == ["1: stop at ''", "2.0: think"]
    assert call.prompt() == [ASSISTANT, "user: yes and this"]
    assert call.settle(1, "Too late.") == []
    assert not call.machine.awaits_playout


def test_silence_is_no_word() -> None:
    """An utterance without words, with nothing interrupted, is not answered."""
    call = consented()
    call.settle(1, "Thanks.")
    call.heard()
    assert call.caller("") == []


def test_a_cough_and_a_sentence_are_answered_once() -> None:
    """The reply is held until the last utterance is over."""
    call = consented()
    call.settle(1, "Thanks a lot.")
    call.onset("Thanks")
    assert call.onset() == []
    assert call.said("") == []
    assert call.said("go on") == ["1: stop at 'Thanks'", "2.0: think"]


def test_all_is_heard_only_when_there_is_no_more_to_come() -> None:
    """While a model thinks or a tool runs, an empty playout means nothing."""
    call = consented()
    assert call.heard() == []
    assert not call.machine.awaits_playout
    call.settle(1, "One moment.", tool())
    assert call.heard() == []
    assert not call.machine.awaits_playout
    assert call.history() == [ASSISTANT, "user: yes"]


# -- rule 4 and 5: tools ---------------------------------------------------------------------------


def keys(call: Conversation) -> list[str]:
    """The keys of the tools that the last fact ran."""
    return [act.key for act in call.acts if isinstance(act, RunTool)]


def test_the_key_of_a_tool_is_what_is_done_not_what_it_is_called() -> None:
    """Another id or another way to write the arguments is the same deed; all else is another."""
    call = consented()
    calls = [
        tool("book", '{"a": 1, "b": 2}', id_="x"),
        tool("book", '{"b":2,"a":1}', id_="y"),
        tool("book", '{"a": 2, "b": 2}', id_="z"),
        tool("cancel", '{"a": 1, "b": 2}', id_="u"),
        tool("book", '{"a": 1,', id_="v"),
    ]
    call.settle(1, "", *calls)
    first, again, *others = keys(call)
    assert first == again
    assert len({first, *others}) == 4

    for it in calls:
        call.answer(1, it)
    call.settle(1, "", calls[0])
    later_step = keys(call)
    call.answer(1, calls[0])
    call.settle(1, "Done.")
    call.heard()
    call.caller("again")
    call.settle(2, "", calls[0])
    assert len({first, *later_step, *keys(call)}) == 3


def test_arguments_that_no_parser_survives_have_a_key() -> None:
    """Regression: a model that wrote brackets to the bottom of the stack ended the call."""
    call = consented()
    assert len(call.settle(1, "", tool(arguments="[" * 16_000))) == 1
    assert len(keys(call)[0]) == 64


def test_the_model_is_asked_again_when_all_tools_have_answered() -> None:
    """Two tools, one step; a stranger's answer and a repeated one change nothing."""
    call = consented()
    one, two = tool(id_="one"), tool(id_="two")
    call.settle(1, "", one, two)
    assert call.answer(1, two, "2") == []
    assert call.answer(1, two, "2 again") == []
    assert call.answer(1, tool(id_="three"), "3") == []
    assert call.answer(1, one, "1") == ["1.1: think"]
    assert call.prompt()[2:] == [
        "assistant:  [book one] [book two]",
        "tool two: 2",
        "tool one: 1",
    ]


def test_a_result_that_comes_after_an_interruption_enters_the_history_in_its_place() -> None:
    """Until then the model is told that it is pending."""
    call = consented()
    one, two = tool(id_="one"), tool(id_="two")
    call.settle(1, "One moment.", one, two)
    call.answer(1, one, "1")
    call.caller("hurry", heard="One moment.")
    assert call.prompt()[2:] == [
        "assistant: One moment. [book one] [book two]",
        f"tool two: {PENDING}",
        "tool one: 1",
        "user: hurry",
    ]
    assert call.answer(1, two, "2") == []
    assert call.history()[3] == "tool two: 2"
    assert call.answer(1, two, "2 again") == []
    assert call.history()[3] == "tool two: 2"


def test_models_number_their_tool_calls_anew_in_every_turn() -> None:
    """Regression: a late result overwrote the result of an older turn with the same id."""
    call = consented()
    call.settle(1, "", tool())
    call.answer(1, tool(), "first")
    call.settle(1, "Done.")
    call.heard()
    call.caller("another")
    call.settle(2, "", tool())
    call.caller("and another")
    call.settle(3, "", tool())
    call.caller("hurry")
    call.answer(3, tool(), "third")
    call.answer(2, tool(), "second")
    answers = [line for line in call.history() if line.startswith("tool")]
    assert answers == ["tool call_1: first", "tool call_1: second", "tool call_1: third"]


def test_models_number_their_tool_calls_anew_in_every_step() -> None:
    """Regression: a pending call was taken for answered, and the prompt was one answer short."""
    call = consented()
    call.settle(1, "", tool())
    call.answer(1, tool(), "first")
    call.settle(1, "", tool("find"))
    call.caller("hurry")
    assert call.prompt()[2:] == [
        "assistant:  [book call_1]",
        "tool call_1: first",
        "assistant:  [find call_1]",
        f"tool call_1: {PENDING}",
        "user: hurry",
    ]


def test_a_goodbye_that_is_interrupted_does_not_end_the_call() -> None:
    """The caller has something to add."""
    call = consented()
    end = tool("end_call")
    call.settle(1, "Goodbye.", end)
    assert call.caller("wait", heard="Good") != []
    assert call.answer(1, end, ends=True) == []
    call.settle(2, "Yes?")
    assert call.heard() == []
