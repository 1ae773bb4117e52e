"""The rules of one call: who has the word, what is asked, what enters the history."""

from dataclasses import replace

import pytest

from tests.core.calls import (
    APOLOGY,
    GREETING,
    NOTICE,
    POLICY,
    Conversation,
    consented,
    persona,
    tool,
)
from trunkline.core.call import Answer, Begin, Call, RunTool
from trunkline.core.history import PENDING
from trunkline.types import CallId, Mono

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
    assert call.onset(heard) == [f"1: stop at {heard!r}"]
    call.said("wait")
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
    assert call.said("and this") == ["2.0: think"]
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
    """The reply that the cough interrupted is owed until the last utterance is over."""
    call = consented()
    call.settle(1, "Thanks a lot.")
    call.onset("Thanks")
    call.onset()
    assert call.said("") == []
    assert call.said("go on") == ["2.0: think"]


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


# -- rule 6: consent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state"), [("yes", "granted"), ("no", "refused"), ("unclear", "refused")]
)
def test_the_first_answer_decides(answer: Answer, state: str) -> None:
    """A yes is a yes; a later one to another question is not asked for."""
    call = Conversation()
    call.heard()
    assert call.caller("words", answer) == [f"consent {state}", "1.0: think"]
    assert call.caller("yes", "yes") == ["1: stop at ''", "2.0: think"]


def test_a_cough_is_no_answer() -> None:
    """The question is still open."""
    call = Conversation()
    call.heard()
    assert call.caller("", "unclear") == []
    assert call.caller("yes", "yes")[0] == "consent granted"


@pytest.mark.parametrize(
    ("heard", "state"),
    [("", "refused"), ("Hello,", "refused"), (NOTICE, "refused"), (f"{NOTICE} Is", "granted")],
)
def test_a_yes_before_the_question_is_no_consent(heard: str, state: str) -> None:
    """Regression: "Yes?" over the first word of the greeting opened the recording."""
    call = Conversation()
    assert call.caller("yes", "yes", heard=heard)[1] == f"consent {state}"


def test_who_does_not_ask_gets_no_consent() -> None:
    """No question, no state."""
    call = Conversation(asks_consent=False)
    assert call.begun == [f"0: say {GREETING}"]
    call.heard()
    assert call.caller("yes", "yes") == ["1.0: think"]


# -- rule 7: steps that fail -----------------------------------------------------------------------


@pytest.mark.parametrize(("text", "reason"), [("", "failed"), ("Well.", "failed"), ("", "stop")])
def test_a_step_that_fails_is_answered_by_the_apology(text: str, reason: str) -> None:
    """One message, no empty one; the second in a row ends the call once it was heard."""
    call = consented()
    assert call.settle(1, text, reason=reason) == [f"1: say {APOLOGY}"]
    assert call.heard() == []
    assert call.history()[-1] == f"assistant: {f'{text} {APOLOGY}'.strip()}"
    call.caller("hello?")
    assert call.settle(2, reason="failed") == [f"2: say {APOLOGY}"]
    assert call.heard() == ["hang up: the agent said goodbye"]


def test_a_step_that_succeeds_forgives_the_failure_before() -> None:
    """In a row means in a row."""
    call = consented()
    call.settle(1, reason="failed")
    call.caller("hello?")
    call.settle(2, "Here I am.")
    call.caller("fine")
    call.settle(3, reason="failed")
    assert call.heard() == []


def test_a_reply_of_too_many_steps_is_ended_with_the_apology() -> None:
    """A model that only calls tools is stopped."""
    call = consented()
    for step in range(POLICY.steps_max):
        assert call.settle(1, "", tool()) == [f"1.{step}: run book({{}})"]
        acts = call.answer(1, tool())
        last = step == POLICY.steps_max - 1
        assert acts == ([f"1: say {APOLOGY}"] if last else [f"1.{step + 1}: think"])


# -- rule 8: an interruption without words ---------------------------------------------------------


def test_after_a_cough_the_agent_goes_on_where_it_was_heard_last() -> None:
    """What was heard is no message but the beginning of the answer; in the end it is one."""
    call = consented()
    call.settle(1, "We open at nine. We close at five.")
    assert call.caller("", heard="We open at nine.")[-1] == "2.0: think after 'We open at nine.'"
    assert call.prompt() == [ASSISTANT, "user: yes"]
    call.settle(2, "We close at five.")
    call.heard()
    assert call.history()[-1] == "assistant: We open at nine. We close at five."


def test_a_cough_after_a_cough_goes_on_after_both() -> None:
    """Regression: the second time only the part since the first cough counted as heard."""
    call = consented()
    call.caller("", heard="We open at nine.")
    assert call.caller("", heard="We close")[-1] == "3.0: think after 'We open at nine. We close'"
    assert call.prompt() == [ASSISTANT, "user: yes"]
    assert call.caller("stop")[-1] == "4.0: think"
    assert call.prompt()[2:] == ["assistant: We open at nine. We close", "user: stop"]


def test_a_cough_when_all_was_heard_is_no_failure() -> None:
    """Regression: the model had nothing to add, and the caller heard an apology for it."""
    call = consented()
    call.settle(1, "We open at nine.")
    call.caller("", heard="We open at nine.")
    assert call.settle(2) == []
    assert call.heard() == []
    assert call.history()[-1] == "assistant: We open at nine."


def test_a_cough_does_not_excuse_a_later_step() -> None:
    """After a tool the model has to say something."""
    call = consented()
    call.caller("", heard="One moment.")
    call.settle(2, "", tool())
    call.answer(2, tool())
    assert call.settle(2) == [f"2: say {APOLOGY}"]


def test_a_cough_after_a_tool_lets_the_model_go_on_with_the_result() -> None:
    """Nothing of the next step was heard: it is simply asked again."""
    call = consented()
    call.settle(1, "One moment.", tool())
    call.answer(1, tool(), "ok")
    assert call.caller("", heard="One moment.")[-1] == "2.0: think"
    assert call.prompt()[-1] == "tool call_1: ok"


@pytest.mark.parametrize("heard", ["", "Hello, this"])
def test_a_cough_into_the_greeting_lets_it_be_said_again(heard: str) -> None:
    """Regression for `heard=""`: the greeting, with its notice and its question, never came."""
    call = Conversation()
    assert call.caller("", heard=heard)[-1] == f"1: say {GREETING}"
    assert call.machine.awaits_playout
    call.heard()
    assert call.history() == [ASSISTANT]
    assert call.caller("yes", "yes")[0] == "consent granted"


# -- bounds ----------------------------------------------------------------------------------------


def test_a_caller_who_says_nothing_is_hung_up_on() -> None:
    """From the last thing that was heard or said; not while anybody speaks."""
    call = Conversation()
    assert call.machine.deadline() == Mono(600.0)
    call.now = 10.0
    call.heard()
    assert call.machine.deadline() == Mono(70.0)
    assert call.tick(69.9) == []
    call.onset()
    assert call.machine.deadline() == Mono(600.0)
    call.said("")
    assert call.machine.deadline() == Mono(69.9 + 60.0)
    assert call.tick(69.9 + 60.0) == ["hang up: the caller is silent"]


@pytest.mark.parametrize("busy", [True, False])
def test_a_call_is_not_endless(busy: bool) -> None:
    """At its limit it ends, in the middle of a reply too."""
    call = Conversation(policy=replace(POLICY, call_max_s=30.0))
    if not busy:
        call.heard()
    assert call.tick(29.9) == []
    assert call.tick(30.0) == ["hang up: the call reached its limit"]
    assert call.feed(Begin()) == []
