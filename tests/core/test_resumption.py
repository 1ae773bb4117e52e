"""A call that broke off goes on elsewhere (rule 13)."""

from tests.core.calls import (
    GREETING,
    NOTHING,
    NOTICE,
    POLICY,
    QUESTION,
    Conversation,
    persona,
    told,
    tool,
)
from trunkline.core.call import Call
from trunkline.core.call_words import AllHeard, Begin, RunTool, Think
from trunkline.core.deeds import deed_key
from trunkline.core.last_resort import Conversation as Guarded
from trunkline.core.reply import GOODBYE
from trunkline.core.resumption import BrokenReply, Resumption, with_greeting
from trunkline.types import CallId, Message, Mono, ToolCall

LINE = persona().resume_line
AGAIN = persona().say_again
HELLO = Message("assistant", GREETING)
ASKED = Message("user", "when do you open")
ANSWER = "We open at nine. We close at five."
BOOK = ToolCall("call_1", "book", '{"b": 1, "a": 2}')


class Resumed(Conversation):
    """A conversation that broke off and goes on at second 0."""

    def __init__(
        self,
        reply: BrokenReply | None = None,
        *history: Message,
        turn: int = 1,
        consent: str = "granted",
    ) -> None:
        assert consent in ("asked", "granted")
        broken = Resumption(
            CallId("c0"), turn, history, reply, "asked" if consent == "asked" else "granted"
        )
        call = Call(CallId("c9"), persona(), POLICY, broken)
        self.machine = Guarded(call, persona(), NOTHING, CallId("c9"))
        self.now, self.acts = 0.0, []
        self.begun = self.feed(Begin())


def saying(text: str, **more: object) -> BrokenReply:
    """A reply of one step that had *text* given to the synthesiser."""
    return BrokenReply((Message("assistant", text),), **more)  # type: ignore[arg-type]  # its fields


def test_the_rest_of_the_greeting_is_said_and_its_question_counts() -> None:
    """Consent may still be given, once the question was heard."""
    call = Resumed(saying(GREETING, heard=NOTICE, complete=True), turn=0, consent="asked")
    assert call.begun == [f"0: say {LINE} {QUESTION}"]
    assert call.heard() == []
    assert call.caller("yes", "yes") == ["consent granted", "1.0: think"]
    assert call.history() == [f"assistant: {GREETING}", "user: yes"]


def test_a_model_goes_on_after_all_that_was_given_to_the_synthesiser() -> None:
    """The sentence that was cut is said from its start; the model is not asked for it again."""
    call = Resumed(saying(ANSWER, heard="We open at nine."), HELLO, ASKED)
    assert call.begun == [
        f"1: say {LINE} We close at five.",
        f"1.0: think after {ANSWER!r}",
    ]
    assert call.prompt() == [f"assistant: {GREETING}", "user: when do you open"]
    assert call.settle(1, "On Sunday we rest.") == []
    assert call.heard() == []
    assert call.history()[-1] == f"assistant: {ANSWER} On Sunday we rest."


def test_a_model_that_has_nothing_to_add_had_finished() -> None:
    """No apology for an answer that was complete."""
    call = Resumed(saying(ANSWER), HELLO, ASKED)
    assert call.settle(1) == []
    assert call.heard() == []
    assert call.history()[-1] == f"assistant: {ANSWER}"


def test_an_answer_that_was_complete_is_only_said_to_its_end() -> None:
    """No model is asked."""
    call = Resumed(saying(ANSWER, heard="We open at nine.", complete=True), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE} We close at five."]
    assert call.machine.awaits_playout


def test_an_answer_of_which_nothing_is_known_is_thought_again() -> None:
    """The worker died before the first sentence."""
    call = Resumed(BrokenReply(), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE}", "1.0: think"]
    assert call.prompt()[-1] == "user: when do you open"


def test_what_the_caller_said_last_is_answered() -> None:
    """The worker died between the caller's words and the reply."""
    call = Resumed(None, HELLO, ASKED)
    assert call.begun == [f"2: say {LINE}", "2.0: think"]
    assert call.settle(2, "At nine.") == []
    assert call.heard() == []
    assert call.history()[-1] == "assistant: At nine."


def test_a_caller_whose_turn_it_was_is_asked_to_say_it_again() -> None:
    """What they said while nobody listened is lost."""
    for reply in (None, saying(ANSWER, heard=ANSWER, complete=True)):
        call = Resumed(reply, HELLO, ASKED, HELLO)
        assert call.begun == [f"2: say {LINE} {AGAIN}"]
        assert call.heard() == []
        assert call.caller("at nine")[-1] == "3.0: think"


def test_a_goodbye_that_was_heard_ends_the_call() -> None:
    """There is nothing to go on with."""
    said = saying("Goodbye.", heard="Goodbye.", complete=True, closing=GOODBYE)
    assert Resumed(said, HELLO, ASKED).begun == ["hang up: the agent said goodbye"]


def test_a_goodbye_that_was_not_heard_is_said_before_the_end() -> None:
    """Nobody is hung up on without a word."""
    call = Resumed(saying("Goodbye.", complete=True, closing=GOODBYE), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE} Goodbye."]
    assert call.feed(AllHeard()) == ["hang up: the agent said goodbye"]


def test_a_tool_without_an_answer_runs_again_under_the_key_of_the_first_call() -> None:
    """So that it takes effect once, whatever the dead worker had come to."""
    said = Message("assistant", "One moment.", (BOOK,))
    call = Resumed(BrokenReply((said,), "One moment.", 0, (BOOK,)), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE}", f"1.0: run book({BOOK.arguments})"]
    (run,) = (act for act in call.acts if isinstance(act, RunTool))
    assert run.key == deed_key(CallId("c0"), 1, 0, BOOK)
    assert call.answer(1, BOOK, "booked") == ["1.1: think"]
    assert call.prompt()[-2:] == ["assistant: One moment. [book call_1]", "tool call_1: booked"]


def test_a_tool_that_has_answered_does_not_run_again() -> None:
    """Its answer is in the journal; the model goes on behind it, in the same step."""
    entries = (
        Message("assistant", "One moment.", (BOOK,)),
        Message("tool", "booked", tool_call_id="call_1"),
    )
    call = Resumed(BrokenReply(entries, step=1), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE} One moment.", "1.1: think"]
    later = (*entries, Message("assistant", "It is booked."))
    call = Resumed(BrokenReply(later, "One moment.", step=1), HELLO, ASKED)
    assert call.begun == [f"1: say {LINE} It is booked.", "1.1: think after 'It is booked.'"]
    (think,) = (act for act in call.acts if isinstance(act, Think))
    assert think.messages[-1].content == "booked"
    assert call.settle(1) == []


def test_an_interruption_keeps_what_was_heard_before_and_after_the_break() -> None:
    """The history is what the caller heard, without the line that resumed the call."""
    call = Resumed(saying(ANSWER, heard="We open at nine."), HELLO, ASKED)
    heard = f"{LINE} We close"
    assert call.onset(heard, "at five.") == ["1: hold"]
    assert call.said("thanks a lot") == [f"1: stop at {heard!r}", "2.0: think"]
    assert call.prompt()[-2:] == ["assistant: We open at nine. We close", "user: thanks a lot"]


def test_a_cough_lets_the_rest_go_on() -> None:
    """And what the model adds meanwhile waits for it."""
    call = Resumed(saying(ANSWER, heard="We open at nine."), HELLO, ASKED)
    assert call.onset(LINE, "We close at five.") == ["1: hold"]
    assert call.settle(1) == []
    assert call.said("") == ["1: resume"]
    assert call.heard() == []
    assert call.history()[-1] == f"assistant: {ANSWER}"


def test_a_yes_to_the_line_that_resumes_the_call_is_no_consent() -> None:
    """However long the line is: the question was not heard."""
    call = Resumed(saying(GREETING, complete=True), turn=0, consent="asked")
    call.onset(f"{LINE} Hello,")
    assert "consent refused" in call.said("yes please do that", "yes")


def test_a_greeting_that_was_lost_is_said_and_asks_for_consent() -> None:
    """The worker died before anything of it was on disk."""
    broken = with_greeting(Resumption(CallId("c0")), GREETING)
    call = Call(CallId("c9"), persona(), POLICY, broken)
    assert [told(act) for act in call.feed(Begin(), Mono(0))] == [
        f"0: say {LINE} {GREETING}",
        "consent asked",
    ]


def test_of_a_greeting_that_another_persona_began_all_is_said() -> None:
    """A worker that was renewed meanwhile may greet in other words."""
    begun = Resumption(CallId("c0"), reply=saying(GREETING, heard=NOTICE))
    resumed = with_greeting(begun, "Good  morning.").reply
    assert resumed is not None
    assert resumed.rest == "Good morning."
    said = Resumption(CallId("c0"), 1, (HELLO,))
    assert with_greeting(said, "Good morning.") is said
    kept = with_greeting(begun, GREETING).reply
    assert kept is not None
    assert kept.rest == QUESTION


def test_a_conversation_without_words_goes_on_with_the_callers() -> None:
    """Nothing is known of it, not even the greeting."""
    call = Resumed(None, turn=1)
    assert call.begun == [f"2: say {LINE} {AGAIN}"]


def test_a_new_answer_may_call_the_same_tool() -> None:
    """Turns are counted on, so that keys never meet."""
    call = Resumed(saying(ANSWER, heard=ANSWER, complete=True), HELLO, ASKED)
    call.heard()
    call.caller("book it")
    assert call.settle(3, "", tool()) == ["3.0: run book({})"]
