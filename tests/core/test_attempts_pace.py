"""Pace, price and measures of one step: slow drips, repetitions, the purse, what is learnt."""

from dataclasses import replace

import pytest

from tests.core.steps import PLAN, POLICY, POOR, Step
from trunkline.core.budget import BudgetPolicy
from trunkline.errors import Fault

# -- slow drips (rule 4) ---------------------------------------------------------------------------


def drips(step: Step, lane: int, since: float, until: float, every_s: float = 0.3) -> list[str]:
    """Attempt *lane* says three characters every *every_s*; what happens."""
    acts, at = [], since
    while at <= until:
        acts += step.wait(at)
        acts += step.hear(lane, "ab ", at=at)
        at += every_s
    return acts


def test_a_slow_drip_before_the_first_audio_is_hedged_half_a_second_in() -> None:
    """Tokens come and the gap floor never passes, but a backup would be faster."""
    step = Step()
    acts = drips(step, 0, 0.2, 1.0)
    assert acts == ["0.70 suspect 0: stalled at 12 chars/s", "0.70 launch 1 on 1: hedge"]


def test_tokens_of_a_drip_do_not_clear_its_suspicion() -> None:
    """One backup is asked, not one a token; who completes a sentence goes on."""
    step = Step(3)
    assert len(drips(step, 0, 0.2, 1.2)) == 2
    assert step.hear(1, "Here. ", at=1.25) == ["cancel 0", "elect 1", "say 1: Here."]


def test_a_drip_that_completes_its_sentence_is_well_again() -> None:
    """It leads; the backup is cancelled."""
    step = Step()
    drips(step, 0, 0.2, 0.8)
    assert step.hear(0, "cd. ", at=0.9) == ["cancel 1", "elect 0", "say 0: ab ab ab cd."]
    assert step.hear(0, "More words at a good pace are here", at=1.0) == []
    assert step.wait(1.3) == []


def test_a_drip_in_mid_answer_is_rescued_when_its_sentence_would_end_too_late() -> None:
    """While enough is queued to wait for it, nobody is asked."""
    step = Step()
    step.hear(0, "One. ", at=0.5)
    step.queued_until(3.0)
    acts = drips(step, 0, 1.0, 3.0)
    assert acts == [
        "2.40 suspect 0: stalled at 11 chars/s",
        "2.40 launch 1 on 1: rescue after 'One.'",
    ]
    rich = Step()
    rich.hear(0, "One. ", at=0.5)
    rich.queued_until(20.0)
    assert drips(rich, 0, 1.0, 6.0) == []


def test_a_sentence_that_will_be_there_in_time_is_waited_for() -> None:
    """At 19 characters a second its end is half a second away, and 0.6 s are left."""
    step = Step()
    step.hear(0, "One. ", at=0.5)
    step.queued_until(5.0)
    step.hear(0, "a", at=1.0)
    step.hear(0, "b" * 65, at=4.3)
    assert step.wait(4.45) == []


def test_a_pause_between_sentences_is_no_drip() -> None:
    """The rate counts from the first token of a sentence; a pause is the gap floor's."""
    step = Step()
    step.hear(0, "One. ", at=0.5)
    step.hear(0, "Tw", at=0.8)
    assert step.hear(0, "o sheep. ", at=1.0) == ["say 0: Two sheep."]


def test_one_that_is_back_from_a_stall_is_judged_by_its_pace_from_there() -> None:
    """Its silence was counted already."""
    step = Step()
    step.hear(0, "One. And", at=0.1)
    step.wait(0.45)
    step.fail(1, at=0.5)
    step.hear(0, " so", at=0.7)
    assert step.wait(1.04) == []
    assert step.wait(1.05)[0] == "1.05 suspect 0: stalled 0.35"


@pytest.mark.parametrize(("language", "suspected"), [("en", True), ("zh-TW", False), ("ko", False)])
def test_scripts_that_say_more_with_a_sign_drip_at_fewer_of_them(
    language: str, suspected: bool
) -> None:
    """Twelve signs a second are a crawl in English and fast in Chinese."""
    step = Step(language=language)
    assert bool(drips(step, 0, 0.2, 1.0)) == suspected


def test_the_arguments_of_a_tool_may_drip_too() -> None:
    """Nothing is heard until the call is complete."""
    step = Step()
    step.propose(0, "b", "{", at=0.2)
    step.propose(0, "", "}", at=0.5)
    assert step.wait(0.7) == ["0.70 suspect 0: stalled at 8 chars/s", "0.70 launch 1 on 1: hedge"]


# -- who takes over (rule 6) -----------------------------------------------------------------------


def taken_over(language: str = "en") -> Step:
    """A step whose attempt 1 is to go on after one sentence."""
    step = Step(3, language=language)
    step.hear(0, "Please bring your insurance card with you. ", at=0.1)
    step.fail(0, at=0.2)
    return step


@pytest.mark.parametrize(
    ("language", "said", "heard"),
    [
        ("en", "Sure! We open at nine. ", "We open at nine."),
        ("en", "As I was saying, we open at nine. ", "We open at nine."),
        ("en", "Hello! I'm sorry about that - we open at nine. ", "We open at nine."),
        ("en-GB", "I apologise for the interruption. We open at nine. ", "We open at nine."),
        ("de", "Entschuldigung für die Unterbrechung. Wir öffnen um neun. ", None),
        ("de", "Wie gesagt, wir öffnen um neun. ", "Wir öffnen um neun."),
        ("fr", "Bien sûr ! Nous ouvrons à neuf heures. ", "Nous ouvrons à neuf heures."),
        ("es", "Como le decía, abrimos a las nueve. ", "Abrimos a las nueve."),
        ("it", "Certo. Apriamo alle nove. ", "Apriamo alle nove."),
        ("nl", "Zoals ik zei, we gaan om negen open. ", "We gaan om negen open."),
        ("pt", "Peço desculpa pela interrupção. Abrimos às nove. ", "Abrimos às nove."),
        ("tlh", "Sure! We open at nine. ", None),
        ("en", "Sure signs are these. ", "Sure signs are these."),
        ("en", "Yes. ", "Yes."),
        ("en", "okay so we open. ", "okay so we open."),
    ],
)
def test_the_greeting_or_apology_of_who_takes_over_is_not_heard(
    language: str, said: str, heard: str | None
) -> None:
    """In the call's language; a yes or a no is never dropped."""
    acts = [act for act in taken_over(language).hear(1, said, at=0.5) if act.startswith("say")]
    if heard is None:
        assert len(acts) == 2, "not known: everything is heard"
    else:
        assert acts == [f"say 1: {heard}"]


def test_only_the_opening_is_searched_for_openers() -> None:
    """Later in the answer they are meant."""
    step = taken_over()
    step.hear(1, "We open at nine. ", at=0.4)
    assert step.hear(1, "Sure, you may park here. ", at=0.5) == ["say 1: Sure, you may park here."]


def test_who_begins_again_is_skipped_to_the_first_new_sentence() -> None:
    """Greeting and repetition are dropped alike."""
    step = taken_over()
    said = "Of course! Please bring your insurance card with you. And a photo. "
    assert step.hear(1, said, at=0.5)[-1] == "say 1: And a photo."


def test_who_only_repeats_for_a_second_is_as_good_as_silent() -> None:
    """The look-ahead is bounded; a third is asked beside it."""
    step = taken_over()
    acts = []
    for i in range(30):
        at = 0.3 + i * 0.04
        acts += step.wait(at)
        acts += step.hear(1, "Please bring your insurance card with you. ", at=at)
    assert acts[0].startswith("1.30 suspect 1: stalled at")
    assert (
        acts[1] == "1.30 launch 2 on 2: rescue after 'Please bring your insurance card with you.'"
    )
    assert len(acts) == 2


# -- the purse (rule 10) ---------------------------------------------------------------------------


def test_a_hedge_that_cannot_be_paid_is_asked_again_as_a_rescue() -> None:
    """A call may always buy one; the next is denied, and asked again."""
    step = Step(3, budget=POOR)
    assert step.wait(2.19) == []
    assert step.wait(2.2) == ["2.20 suspect 0: silent 2.20", "2.20 launch 1 on 1: hedge"]
    assert not [act for act in step.wait(7.9) if "launch" in act]
    assert step.wait(8.0)[-1] == "8.00 settle None: failed"


def test_a_rescue_that_cannot_be_paid_waits_for_its_turn() -> None:
    """The bucket fills meanwhile, or the endpoint comes back."""
    step = Step(3, budget=BudgetPolicy(burst=0.0))
    step.hear(0, "One. ", at=0.1)
    assert len(step.wait(0.45)) == 2  # the one that a call is owed
    step.hear(0, "Two. ", at=0.5)
    step.hear(0, "And", at=0.6)
    assert step.wait(7.0) == []
    assert step.hear(0, " three. ", at=7.1) == ["say 0: And three."]


def test_a_failover_is_free() -> None:
    """What failed does not run any more: no request is extra."""
    step = Step(3, budget=POOR)
    assert step.fail(0, at=0.1) == ["launch 1 on 1: failover"]
    assert step.fail(1, at=0.2) == ["launch 2 on 2: failover"]
    assert step.budget.rescues == step.budget.hedges == 0
    assert step.budget.failovers == 2


def test_in_a_panic_the_first_two_are_raced() -> None:
    """If there are two, and they can be paid; the third waits for its time."""
    panic = PLAN._replace(hedge_after_s=0.0)
    step = Step(3, plan=panic)
    assert step.begun == ["launch 0 on 0: primary", "launch 1 on 1: hedge"]
    assert step.wait(0.6) == ["0.60 suspect 1: silent 0.60", "0.60 launch 2 on 2: hedge"]
    assert len(Step(1, plan=panic).begun) == 1
    assert len(Step(3, plan=panic, budget=POOR).begun) == 1
    assert len(Step(3, plan=panic, policy=replace(POLICY, at_once_max=1)).begun) == 1


# -- whose turn it is ------------------------------------------------------------------------------


def test_who_would_refuse_again_is_not_asked_again() -> None:
    """It stands twice in the plan, being the only one that is well, and pushes back."""
    step = Step("aab")
    assert step.fail(0, Fault.THROTTLED, at=0.1) == ["launch 1 on 2: failover"]
    other = Step("aab")
    assert other.fail(0, Fault.CUT, at=0.1) == ["launch 1 on 1: failover"]


# -- what is measured ------------------------------------------------------------------------------


def test_an_attempt_that_serves_is_measured() -> None:
    """First token, gaps worth telling one by one, the sentence, all short gaps at the end."""
    step = Step()
    for at, text in [(0.3, "One"), (0.31, " is"), (0.51, " here"), (0.52, ". "), (0.53, "Two")]:
        step.hear(0, text, at=at)
    step.end(0, at=0.6)
    assert step.measured == [
        "measured 0: 1 x first 0.30",
        "measured 0: 1 x gap 0.20",
        "measured 0: 1 x sentence 0.52",
        "measured 0: 4 x gap 0.00",
    ]


def test_a_silent_attempt_is_booked_while_it_is_silent() -> None:
    """At 1.2 s, once; what comes later is no first token any more."""
    step = Step(plan=PLAN._replace(hedge_after_s=2.2))
    step.wait(2.0)
    step.hear(0, "Late. ", at=2.1)
    assert step.measured == ["measured 0: 1 x slow 1.20", "measured 0: 1 x sentence 2.10"]


def test_a_loser_that_was_silent_is_booked_as_cut_off() -> None:
    """It does not make its endpoint look fast, nor slower than is known."""
    step = Step()
    step.wait(0.6)
    step.hear(1, "Here. ", at=0.9)
    assert "measured 0: 1 x cancelled 0.90" in step.measured
    assert "measured 1: 1 x first 0.30" in step.measured


# -- a long wait -----------------------------------------------------------------------------------


def test_a_long_wait_is_told_once_and_before_it_is_too_long() -> None:
    """The limit, less half of what a backup needs: 2.5 - 0.3 s."""
    step = Step()
    step.wait(2.19)
    assert step.fills == []
    step.wait(7.0)
    assert step.fills == ["fill after 2.20"]


def test_who_has_begun_is_not_talked_over() -> None:
    """The first sentence is near; nor is anything filled once there was one."""
    step = Step()
    for i in range(50):
        step.wait(0.1 * i)
        step.hear(0, "words and ", at=0.1 * i)
    assert step.fills == []
    done = Step()
    done.hear(0, "One. ", at=0.1)
    done.wait(7.0)
    assert done.fills == []
