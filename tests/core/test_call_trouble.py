"""The rules of one call: consent, failures, noises and bounds (rules 6, 7 and 11)."""

from dataclasses import replace

import pytest

from tests.core.calls import (
    APOLOGY,
    GREETING,
    NOTHING,
    NOTICE,
    POLICY,
    Conversation,
    consented,
    persona,
    tool,
)
from trunkline.core.call_words import (
    AllHeard,
    Answer,
    Begin,
    CallerMaySay,
    CallerSaid,
    CallerUnheard,
    StepSettled,
    VoiceLost,
)
from trunkline.core.last_resort import LastResortPolicy
from trunkline.types import Mono

ASSISTANT = f"assistant: {GREETING}"
TRANSFER = LastResortPolicy(transfer_to="+12025550100")
GIVES_UP = "give up for want of model: apology"
DEAF = "give up for want of ears: apology"


# -- rule 6: consent -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("answer", "state"), [("yes", "granted"), ("no", "refused"), ("unclear", "refused")]
)
def test_the_first_answer_decides(answer: Answer, state: str) -> None:
    """A yes is a yes; a later one to another question is not asked for."""
    call = Conversation()
    call.heard()
    assert call.caller("words", answer) == [f"consent {state}", "1.0: think"]
    assert call.caller("yes", "yes") == ["1: hold", "1: stop at ''", "2.0: think"]


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
    unheard = GREETING.removeprefix(heard).strip()
    assert call.caller("yes go on", "yes", heard=heard, unheard=unheard)[2] == f"consent {state}"


@pytest.mark.parametrize("heard", ["Hello,", NOTICE])
def test_a_yes_that_goes_with_the_notice_leaves_the_question_open(heard: str) -> None:
    """It is a backchannel: the greeting goes on, and its question is answered later."""
    call = Conversation()
    unheard = GREETING.removeprefix(heard).strip()
    assert call.caller("yes", "yes", heard=heard, unheard=unheard) == ["0: hold", "0: resume"]
    call.heard()
    assert call.caller("yes", "yes")[0] == "consent granted"


def test_a_yes_over_the_last_words_of_the_question_is_the_answer() -> None:
    """People answer before it is quite put."""
    call = Conversation()
    acts = call.caller("yes", "yes", heard=f"{NOTICE} Is", unheard="that all right?")
    assert acts[2] == "consent granted"


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
    assert call.settle(2, reason="failed") == [GIVES_UP, f"3: say {APOLOGY}"]
    assert call.heard() == ["hang up: the agent said goodbye"]


def test_a_step_that_fails_where_nobody_is_left_to_ask_is_the_last() -> None:
    """The next one would fail too; without something better to offer it is tried all the same."""
    hopeless = StepSettled(1, "", "failed", hopeless=True)
    assert consented().feed(hopeless) == [f"1: say {APOLOGY}"]
    call = Conversation(asks_consent=False, last=TRANSFER)
    call.heard()
    call.caller("hello")
    assert call.feed(hopeless)[0] == "give up for want of model: transfer"


def test_a_persona_may_ask_to_try_again_where_trouble_may_pass() -> None:
    """Its apology sends people away: that is for the end."""
    call = consented(replace(persona(), trouble="Once more, please."))
    assert call.settle(1, reason="failed") == ["1: say Once more, please."]
    call.heard()
    call.caller("hello?")
    assert call.settle(2, reason="failed") == [GIVES_UP, f"3: say {APOLOGY}"]


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


# -- rule 11: a long noise without words -----------------------------------------------------------


def test_after_a_long_noise_the_agent_goes_on_where_it_was_heard_last() -> None:
    """What was heard is no message but the beginning of the answer; in the end it is one."""
    call = consented()
    call.settle(1, "We open at nine. We close at five.")
    assert call.noise("We open at nine.")[-1] == "2.0: think after 'We open at nine.'"
    assert call.prompt() == [ASSISTANT, "user: yes"]
    call.settle(2, "We close at five.")
    call.heard()
    assert call.history()[-1] == "assistant: We open at nine. We close at five."


def test_a_noise_after_a_noise_goes_on_after_both() -> None:
    """Regression: the second time only the part since the first noise counted as heard."""
    call = consented()
    call.noise("We open at nine.")
    assert call.noise("We close")[-1] == "3.0: think after 'We open at nine. We close'"
    assert call.prompt() == [ASSISTANT, "user: yes"]
    assert call.caller("stop")[-1] == "4.0: think"
    assert call.prompt()[2:] == ["assistant: We open at nine. We close", "user: stop"]


def test_a_noise_when_all_was_heard_is_no_failure() -> None:
    """Regression: the model had nothing to add, and the caller heard an apology for it."""
    call = consented()
    call.settle(1, "We open at nine.")
    call.noise("We open at nine.")
    assert call.settle(2) == []
    assert call.heard() == []
    assert call.history()[-1] == "assistant: We open at nine."


def test_a_noise_does_not_excuse_a_later_step() -> None:
    """After a tool the model has to say something."""
    call = consented()
    call.noise("One moment.")
    call.settle(2, "", tool())
    call.answer(2, tool())
    assert call.settle(2) == [f"2: say {APOLOGY}"]


def test_a_noise_after_a_tool_lets_the_model_go_on_with_the_result() -> None:
    """Nothing of the next step was heard: it is simply asked again."""
    call = consented()
    call.settle(1, "One moment.", tool())
    call.answer(1, tool(), "ok")
    assert call.noise("One moment.")[-1] == "2.0: think"
    assert call.prompt()[-1] == "tool call_1: ok"


@pytest.mark.parametrize("heard", ["", "Hello, this"])
def test_a_noise_into_the_greeting_lets_it_be_said_again(heard: str) -> None:
    """Regression for `heard=""`: the greeting, with its notice and its question, never came."""
    call = Conversation()
    assert call.noise(heard)[-1] == f"1: say {GREETING}"
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


# -- rule 7: nobody hears the caller, nobody can speak ---------------------------------------------

PARDON = "Could you say it again?"


def hard_of_hearing(say_again: str = PARDON, last: LastResortPolicy = NOTHING) -> Conversation:
    """A call that was greeted and asks for no consent."""
    call = Conversation(replace(persona(asks_consent=False), say_again=say_again), last=last)
    call.heard()
    return call


def unheard(call: Conversation, heard: str = "") -> list[str]:
    """The caller says something that no recogniser can tell."""
    call.onset(heard)
    return call.feed(CallerUnheard())


def test_a_caller_whom_nobody_heard_is_asked_to_say_it_again() -> None:
    """The second time in a row is the end, with the apology."""
    call = hard_of_hearing()
    assert unheard(call) == [f"1: say {PARDON}"]
    call.heard()
    assert unheard(call) == [DEAF, f"2: say {APOLOGY}"]
    assert call.heard() == ["hang up: no recogniser hears the caller"]


def test_who_is_heard_by_nobody_at_all_is_not_asked_again() -> None:
    """No recogniser gets callers any more."""
    call = hard_of_hearing(last=TRANSFER)
    call.onset()
    assert call.feed(CallerUnheard(hopeless=True))[0] == "give up for want of ears: transfer"


def test_who_was_heard_in_between_is_asked_again() -> None:
    """Only failures in a row count."""
    call = hard_of_hearing()
    unheard(call)
    call.heard()
    call.caller("hello")
    call.settle(2, "Hello.")
    call.heard()
    assert unheard(call) == [f"3: say {PARDON}"]


def test_who_cannot_ask_for_pardon_ends_the_call() -> None:
    """A persona without words for it."""
    call = hard_of_hearing("")
    assert unheard(call) == [DEAF, f"1: say {APOLOGY}"]


def test_a_sound_over_the_reply_that_nobody_could_tell_resumes_it() -> None:
    """It may have been a cough."""
    call = hard_of_hearing()
    call.caller("hello")
    assert unheard(call, "Hel") == ["1: resume"]


def test_a_guess_is_dropped_if_nobody_heard_what_came_after_all() -> None:
    """The caller is asked again."""
    call = hard_of_hearing()
    call.onset()
    call.feed(CallerMaySay("hello"))
    assert call.feed(CallerUnheard()) == ["1: drop", f"2: say {PARDON}"]


def test_a_caller_who_goes_on_is_not_interrupted_by_the_question() -> None:
    """The utterance after it may be heard."""
    call = hard_of_hearing()
    call.onset()
    call.onset()
    assert call.feed(CallerUnheard()) == []
    assert call.feed(CallerSaid("hello", "unclear")) == ["1.0: think"]


def test_a_reply_that_no_voice_could_finish_is_known_as_it_was_heard() -> None:
    """With the line that came instead; the second in a row ends the call."""
    call = hard_of_hearing()
    for turn in (1, 2):
        call.caller("hello")
        call.settle(turn, "Hello. How are you?")
        assert call.feed(VoiceLost(turn, APOLOGY)) == []
        ended = call.feed(AllHeard(f"Hello. {APOLOGY}"))
        assert call.machine.history[-1].content == f"Hello. {APOLOGY}"
        gave_up = "give up for want of voice: apology"
        assert ended == ([] if turn == 1 else [gave_up, "hang up: no voice is left"])


def test_a_voice_that_nobody_is_left_to_give_is_not_waited_for() -> None:
    """What was rendered beforehand was heard instead."""
    call = hard_of_hearing(last=TRANSFER)
    call.caller("hello")
    call.settle(1, "Hello.")
    call.feed(VoiceLost(1, APOLOGY, hopeless=True))
    assert call.heard()[0] == "give up for want of voice: transfer"


def test_a_voice_that_is_back_counts_anew() -> None:
    """And what is said of a reply that is over is nothing."""
    call = hard_of_hearing()
    call.caller("hello")
    call.settle(1, "Hello.")
    call.feed(VoiceLost(1, ""))
    call.feed(AllHeard(""))
    assert call.feed(VoiceLost(1, "")) == []
    call.caller("hello")
    call.settle(2, "Hello.")
    assert call.heard() == []
    call.caller("hello")
    call.settle(3, "Hello.")
    call.feed(VoiceLost(3, ""))
    assert call.feed(AllHeard("")) == []
