"""The rules of one call: keys, and a caller who stays silent (rules 9 and 10)."""

import pytest

from tests.core.calls import (
    FAREWELL,
    GREETING,
    REPROMPT,
    Conversation,
    consented,
    persona,
    tool,
)
from trunkline.core.call_words import ConsentIs
from trunkline.types import Mono

PATIENT = persona(reprompt=REPROMPT, farewell=FAREWELL)


def asked() -> Conversation:
    """A call in which the agent asked something, all of it heard at second 0."""
    call = consented(PATIENT)
    call.settle(1, "When?")
    call.heard()
    return call


# -- rule 10: silence ------------------------------------------------------------------------------


def test_a_silent_caller_is_asked_twice_and_then_hung_up_on_with_a_goodbye() -> None:
    """Each time from when the last words were heard."""
    call = asked()
    assert call.machine.deadline() == Mono(7.0)
    assert call.tick(6.9) == []
    assert call.tick(7.0) == [f"2: say {REPROMPT}"]
    call.now = 9.0
    assert call.heard() == []
    assert call.tick(16.0) == [f"3: say {REPROMPT}"]
    call.heard()
    assert call.tick(23.0) == [f"4: say {FAREWELL}"]
    assert call.heard() == ["hang up: the caller is silent"]
    assert call.history()[-1] == f"assistant: When? {REPROMPT} {REPROMPT} {FAREWELL}"


def test_a_caller_who_answers_is_asked_anew_when_silent_again() -> None:
    """Words count; a cough does not."""
    call = asked()
    call.tick(7.0)
    call.heard()
    assert call.caller("") == []
    call.tick(14.0)
    call.heard()
    call.caller("monday")
    call.settle(4, "Fine.")
    call.heard()
    assert call.tick(21.0) == [f"5: say {REPROMPT}"]


def test_a_reprompt_that_is_answered_is_cut_like_any_reply() -> None:
    """One message of the agent, to what was heard."""
    call = asked()
    call.tick(7.0)
    assert call.caller("yes on monday", heard="Are you")[1:] == [
        "2: stop at 'Are you'",
        "3.0: think",
    ]
    assert call.prompt()[-2:] == ["assistant: When? Are you", "user: yes on monday"]


def test_a_long_noise_over_a_reprompt_is_owed_no_answer() -> None:
    """Nobody asked for it; the caller is silent still."""
    call = asked()
    call.tick(7.0)
    assert call.noise("Are you") == ["2: stop at 'Are you'"]
    assert call.tick(14.0) == [f"3: say {REPROMPT}"]


def test_who_has_no_farewell_hangs_up_without_a_word() -> None:
    """There is nothing to say."""
    call = Conversation(persona(reprompt=REPROMPT))
    call.heard()
    for at in (7.0, 14.0):
        assert call.tick(at)[0].endswith(REPROMPT)
        call.heard()
    assert call.tick(21.0) == ["hang up: the caller is silent"]


# -- rule 9: keys ----------------------------------------------------------------------------------


def test_keys_are_one_message_once_no_more_come() -> None:
    """Each key gives time for the next."""
    call = asked()
    assert call.presses("4") == []
    call.now = 1.9
    assert call.presses("11") == []
    assert call.machine.deadline() == Mono(1.9 + 2.0)
    assert call.tick(3.8) == []
    assert call.tick(3.9) == ["2.0: think"]
    assert call.prompt()[-1] == "user: [keys pressed: 4 1 1]"
    assert call.machine.deadline() == Mono(600.0)


@pytest.mark.parametrize(("keys", "told"), [("42#", "4 2"), ("#", "#"), ("*1#", "* 1")])
def test_the_hash_key_ends_them_at_once(keys: str, told: str) -> None:
    """It is no part of them, unless it is all."""
    call = asked()
    assert call.presses(keys) == ["2.0: think"]
    assert call.prompt()[-1] == f"user: [keys pressed: {told}]"


def test_nobody_keys_in_for_ever() -> None:
    """At the bound they are taken."""
    call = asked()
    assert call.presses("1" * 31) == []
    assert call.presses("1") == ["2.0: think"]


def test_the_first_key_stops_the_reply() -> None:
    """Held or not; it is no noise."""
    call = consented(PATIENT)
    call.settle(1, "Press one for yes, two for no.", tool())
    assert call.presses("1", heard="Press one") == ["1: stop at 'Press one'"]
    assert call.presses("#") == ["2.0: think"]
    call.settle(2, "Thank you very much.")
    call.onset("Thank you")
    assert call.presses("2", heard="Thank you") == ["2: stop at 'Thank you'"]
    assert call.said("two") == []
    assert call.presses("#") == ["3.0: think"]
    assert call.prompt()[-1] == "user: two [keys pressed: 2]"


def test_keys_are_no_consent_and_do_not_get_into_its_record() -> None:
    """What was asked for was a word."""
    call = Conversation(PATIENT)
    call.heard()
    assert call.presses("1#") == ["consent refused", "1.0: think"]
    assert call.acts[0] == ConsentIs("refused", "[keys pressed]")
    assert call.prompt() == [f"assistant: {GREETING}", "user: [keys pressed: 1]"]
