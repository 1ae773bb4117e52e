"""The rules of one call: who makes a sound has not yet taken the word (rule 8)."""

import pytest

from tests.core.calls import GREETING, POLICY, Conversation, consented, persona, tool
from trunkline.core.backchannels import agreed
from trunkline.core.call import Call
from trunkline.core.call_words import Begin, CallerOnset, CallerSaid, CallerWords, ResumeReply
from trunkline.types import CallId, Mono, Sample

TOLD = "We open at nine. We close at five."


def telling(text: str = TOLD) -> Conversation:
    """A call whose turn 1 tells *text*, all of it at the synthesiser."""
    call = consented()
    call.settle(1, text)
    return call


@pytest.mark.parametrize(
    "said",
    ["", "mm hm", "yeah", "Okay.", "yeah okay", "all right, sure", "i", "um the", "the okay"],
)
def test_a_cough_or_a_backchannel_lets_the_agent_go_on(said: str) -> None:
    """The reply is held and resumed; what was said over it is no message."""
    call = telling()
    assert call.onset("We open", "at nine. We close at five.") == ["1: hold"]
    assert call.said(said) == ["1: resume"]
    assert call.machine.awaits_playout
    call.heard()
    assert call.history()[-1] == f"assistant: {TOLD}"


@pytest.mark.parametrize("said", ["stop", "no", "yeah but when", "okay okay okay okay okay", "ok."])
def test_words_take_the_word(said: str) -> None:
    """Whatever is not known to mean "go on", and what means it so often that it does not."""
    call = telling()
    stopped = said != "ok."
    acts = call.caller(said, heard="We open", unheard="at nine.")
    assert acts[1:] == (["1: stop at 'We open'", "2.0: think"] if stopped else ["1: resume"])


@pytest.mark.parametrize(("said", "stops"), [("diaz", False), ("to the", False), ("wait", True)])
def test_a_doubtful_sound_takes_the_word_only_with_a_word_that_asks_for_it(
    said: str, stops: bool
) -> None:
    """A recogniser has to make words of every murmur; after a question each may be the answer."""
    call = telling()
    call.onset("We open", "at nine.")
    assert call.said(said, doubtful=True)[0] == ("1: stop at 'We open'" if stops else "1: resume")
    call = telling()
    call.onset("Is nine fine?")
    assert call.said(said, doubtful=True)[0] == "1: stop at 'Is nine fine?'"


@pytest.mark.parametrize(
    ("words", "stops"), [("no", False), ("no wait", True), ("ahead of", False), ("i am in", True)]
)
def test_two_words_on_their_way_take_the_word_only_if_they_ask_for_it(
    words: str, stops: bool
) -> None:
    """A third settles it."""
    call = telling()
    call.onset("We open", "at nine.")
    assert call.feed(CallerWords(words)) == (["1: stop at 'We open'"] if stops else [])


@pytest.mark.parametrize(
    ("heard", "unheard", "resumes"),
    [
        ("Is nine fine?", "", False),
        ('She asked "really?"', "", False),
        ("Is", "nine all right?", False),  # three words from the end
        ("Is", "nine o'clock fine for you?", True),
        ("We open.", "Is nine fine?", True),  # not begun
        ("We open", "at nine. Fine?", True),
        ("Is nine fine? We", "open then.", True),
    ],
)
def test_after_a_question_a_backchannel_is_an_answer(
    heard: str, unheard: str, resumes: bool
) -> None:
    """Over its last words too; a cough never is."""
    call = telling()
    assert (call.caller("yeah", heard=heard, unheard=unheard)[1] == "1: resume") is resumes
    call = telling()
    assert call.caller("", heard=heard, unheard=unheard) == ["1: hold", "1: resume"]


def test_a_reply_of_which_nothing_was_heard_is_no_reason_to_say_yeah() -> None:
    """It belongs to what the caller said before; a cough lets the answer come all the same."""
    call = consented()
    assert call.caller("") == ["1: hold", "1: resume"]
    assert call.caller("okay") == ["1: hold", "1: stop at ''", "2.0: think"]
    assert call.prompt()[-1] == "user: yes okay"


def test_who_speaks_for_long_has_the_word() -> None:
    """Once; what the words were is told later."""
    call = telling()
    assert call.lasts() == []
    call.onset("We open")
    assert call.lasts() == ["1: stop at 'We open'"]
    assert call.lasts() == []
    assert call.said("yeah") == ["2.0: think"]


@pytest.mark.parametrize(
    ("words", "stops"),
    [("", False), ("stop", False), ("mm hm", False), ("yeah yeah", False), ("no wait", True)],
)
def test_two_words_on_the_way_stop_the_model_early(words: str, stops: bool) -> None:
    """One may still become anything."""
    call = telling()
    assert call.hears(words) == []
    call.onset("We open")
    assert call.hears(words) == (["1: stop at 'We open'"] if stops else [])


@pytest.mark.parametrize(
    ("before", "now", "both"),
    [("", "no", ""), ("no", "no wait", "no"), ("No wait", "no, wait a", "no wait"), ("a", "b", "")],
)
def test_words_stay_if_two_transcripts_agree_on_them(before: str, now: str, both: str) -> None:
    """The first ones, up to where they differ."""
    assert agreed(before, now) == both


def test_while_it_is_held_nothing_is_decided_of_a_reply() -> None:
    """The step may end, but its tool runs only once the caller is known not to object."""
    call = consented()
    call.onset("One")
    assert call.settle(1, "One moment.", tool()) == []
    assert not call.machine.awaits_playout
    assert call.said("") == ["1: resume", "1.0: run book({})"]
    call.onset("One moment.")
    assert call.answer(1, tool()) == []
    assert call.said("mm hm") == ["1: resume", "1.1: think"]
    call.onset("One moment.")
    assert call.settle(1, "Done.", tool("end_call")) == []
    assert call.said("no wait")[-1] == "2.0: think"
    assert call.prompt()[-2:] == ["tool call_1: done", "user: no wait"]


def test_a_goodbye_goes_on_after_a_cough_and_ends_the_call() -> None:
    """Also if its tool answered meanwhile."""
    call = consented()
    end = tool("end_call")
    call.settle(1, "Goodbye.", end)
    call.onset("")
    assert call.answer(1, end, ends=True) == []
    assert call.said("") == ["1: resume"]
    assert call.heard() == ["hang up: the agent said goodbye"]


def test_an_end_that_was_on_its_way_is_not_the_end_of_a_held_reply() -> None:
    """The shell tells it again after the resumption."""
    call = telling()
    call.onset(TOLD)
    assert call.heard() == []
    assert call.said("") == ["1: resume"]
    call.heard()
    assert call.history()[-1] == f"assistant: {TOLD}"


def test_a_backchannel_before_words_is_said_along_with_them() -> None:
    """Two utterances; the first is not lost when the second stops the reply."""
    call = telling()
    call.onset("We open", "at nine.")
    call.onset()
    assert call.said("yeah") == []
    assert call.said("but when") == ["1: stop at 'We open'", "2.0: think"]
    assert call.prompt()[-2:] == ["assistant: We open", "user: yeah but when"]


def test_the_greeting_is_held_like_any_reply() -> None:
    """A cough into it repeats nothing."""
    call = Conversation()
    assert call.caller("", heard="Hello,", unheard=GREETING) == ["0: hold", "0: resume"]


@pytest.mark.parametrize(
    ("language", "said", "resumes"),
    [
        ("de", "ja genau", True),
        ("de-AT", "mhm", True),
        ("fr", "d'accord", True),
        ("es", "sí, claro", True),
        ("de", "nein", False),
        ("ja", "hai", False),  # no table: only what holds no words is nothing
        ("ja", "", True),
    ],
)
def test_backchannels_are_those_of_the_calls_language(
    language: str, said: str, resumes: bool
) -> None:
    """By its tag's first part."""
    call = Call(CallId("c"), persona(language=language), POLICY)
    call.feed(Begin(), Mono(0.0))
    call.feed(CallerOnset(Sample(0), "Hello,", "this is Ada, an AI."), Mono(1.0))
    acts = call.feed(CallerSaid(said, "unclear"), Mono(2.0))
    assert (acts[0] == ResumeReply(0)) is resumes
