"""The rules of one step: who runs, who leads, when another is asked (rules 1 to 5)."""

from dataclasses import replace

import pytest

from tests.core.steps import PLAN, POLICY, RICH, Step, noted, speaking
from trunkline.core.attempt_words import Begin, Drain, Fact, Fill, Measured, Text, Tick
from trunkline.core.attempts import Attempts
from trunkline.core.budget import Budget, Purse
from trunkline.errors import Fault
from trunkline.types import Mono


def test_a_machine_that_has_not_begun_waits_for_nothing() -> None:
    """No deadline before `Begin`; the drain time may already be told."""
    machine = Attempts(POLICY, PLAN, Purse(Budget(RICH)))
    assert machine.deadline() is None
    assert machine.feed(Drain(Mono(3.0)), Mono(0.0)) == ()
    assert machine.deadline() is None


def test_a_healthy_answer_is_said_sentence_by_sentence() -> None:
    """The first sentence elects; the end takes what is left and settles, once."""
    step = Step()
    assert step.begun == ["launch 0 on 0: primary"]
    assert step.hear(0, "Good mor", at=0.2) == []
    assert step.hear(0, "ning. How can", at=0.3) == ["elect 0", "say 0: Good morning."]
    assert step.hear(0, " I help you", at=0.4) == []
    assert step.end(0, at=0.5) == ["say 0: How can I help you", "settle 0: stop"]
    assert step.machine.committed == "Good morning. How can I help you"
    assert step.machine.deadline() is None
    assert step.hear(0, "More. ") == step.feed(Tick()) == []


# -- rule 1: only useful tokens count --------------------------------------------------------------


@pytest.mark.parametrize("useless", ["", " ", "\n"])
def test_what_is_no_useful_token_resets_no_deadline(useless: str) -> None:
    """White space for ever is silence."""
    step = Step()
    assert step.hear(0, useless, at=0.5) == []
    assert step.wait(0.6) == ["0.60 suspect 0: silent 0.60", "0.60 launch 1 on 1: hedge"]


def test_a_tool_call_that_does_not_grow_is_no_useful_token() -> None:
    """A part that adds nothing to the call is a keep-alive."""
    step = Step()
    step.propose(0, "book", "{", at=0.1)
    step.propose(0, "", "", at=0.3)
    step.propose(0, "book", "", at=0.5)
    assert step.wait(0.6) == ["0.60 suspect 0: stalled 0.50", "0.60 launch 1 on 1: hedge"]


# -- rule 2: equals until a sentence is committed --------------------------------------------------


def test_a_late_attempt_is_hedged_and_the_first_sentence_wins() -> None:
    """The hedge delay passes, both run, who completes a sentence leads alone."""
    step = Step()
    assert step.wait(0.59) == []
    assert step.wait(0.6) == ["0.60 suspect 0: silent 0.60", "0.60 launch 1 on 1: hedge"]
    assert step.hear(1, "Here I am. ", at=0.9) == ["cancel 0", "elect 1", "say 1: Here I am."]
    assert step.hear(0, "Late. ", at=1.0) == step.fail(0) == step.end(0) == []


def test_a_late_attempt_may_still_be_the_first() -> None:
    """The hedge costs something and nothing more: the primary leads without a seam."""
    step = Step()
    step.wait(0.6)
    assert step.hear(0, "Sorry. ", at=0.8) == ["cancel 1", "elect 0", "say 0: Sorry."]


def test_an_answer_that_ends_before_its_first_full_stop_wins_too() -> None:
    """To finish is to complete a sentence."""
    step = Step()
    step.wait(0.6)
    step.hear(1, "Yes", at=0.7)
    assert step.end(1) == ["cancel 0", "elect 1", "say 1: Yes", "settle 1: stop"]


def test_tokens_that_stop_before_the_first_sentence_are_hedged_after_the_shorter_gap() -> None:
    """Nothing committed, no audio to wait for: the gap alone decides."""
    step = Step()
    step.hear(0, "Well", at=0.2)
    step.queued_until(9.0)  # the line before this step: no reason to wait
    assert step.wait(0.7) == ["0.70 suspect 0: stalled 0.50", "0.70 launch 1 on 1: hedge"]


@pytest.mark.parametrize("fault", [f for f in Fault if f is not Fault.EMPTY] + [Fault.EMPTY])
def test_an_attempt_that_fails_is_followed_at_once(fault: Fault) -> None:
    """Every fault before the first sentence is a failover, and its fragment is forgotten."""
    step = Step()
    step.hear(0, "Complete, but not said.", at=0.05)
    assert step.fail(0, fault, at=0.1) == ["launch 1 on 1: failover"]


def test_a_failure_while_another_runs_well_needs_no_third() -> None:
    """The hedge is there already."""
    step = Step(3)
    step.wait(0.6)
    assert step.fail(0, at=0.7) == []
    assert step.wait(1.19) == []


def test_a_failure_while_the_others_are_suspects_needs_one_more() -> None:
    """A suspect counts as nobody."""
    step = Step(3, policy=replace(POLICY, at_once_max=2))
    step.wait(0.6)
    assert step.fail(1, at=0.7) == ["launch 2 on 2: failover"]


def test_when_all_endpoints_have_failed_the_first_is_tried_again_after_a_pause() -> None:
    """A pause, then the preferred one; after the bound of attempts the step has failed."""
    step = Step(2, policy=replace(POLICY, attempts_max=3))
    step.fail(0, at=0.1)
    assert step.fail(1, at=0.2) == []
    assert step.wait(0.59) == []
    assert step.wait(0.6) == ["0.60 launch 2 on 0: failover"]
    assert step.fail(2, at=0.7) == ["settle None: failed"]


def test_a_suspect_that_comes_back_makes_the_retry_needless() -> None:
    """Regression: the retry was launched beside an attempt that had recovered."""
    step = Step(2)
    step.wait(0.6)
    step.fail(1, at=0.7)  # a retry is due at 1.1
    step.hear(0, "I am back", at=0.8)
    assert step.wait(1.29) == []
    assert step.wait(1.3) == ["1.30 suspect 0: stalled 0.50", "1.30 launch 2 on 0: hedge"]


def test_a_retry_that_waits_never_makes_one_attempt_too_many() -> None:
    """Regression: a continuation was launched, then the retry went over the bound."""
    step = Step(2, policy=replace(POLICY, attempts_max=3))
    step.hear(0, "One. ", at=0.1)
    step.wait(0.45)  # launches the rescue 1
    step.fail(1, at=0.5)  # a retry is due at 0.9
    assert step.end(0, "length", at=0.6) == ["launch 2 on 0: continue after 'One.'"]
    assert not [act for act in step.wait(30.0) if "launch" in act]


# -- rule 3 and 4: a committed sentence stays; the drain time decides ------------------------------


@pytest.mark.parametrize(
    ("drains_at", "rescued_at"),
    [(0.0, 1.35), (1.5, 1.35), (2.0, 1.4), (3.0, 2.4), (6.0, 5.4)],
)
def test_a_rescue_begins_when_the_queued_audio_makes_it_urgent(
    drains_at: float, rescued_at: float
) -> None:
    """At max(last token + gap floor, E - q95): the table is that formula."""
    step = speaking()
    step.queued_until(drains_at)
    assert step.wait(rescued_at - 0.01) == []
    assert [act.split(" ", 1)[1] for act in step.wait(rescued_at)] == [
        f"suspect 0: stalled {rescued_at - 1.0:.2f}",
        "launch 1 on 1: rescue after 'One.'",
    ]


def test_audio_that_arrives_meanwhile_puts_the_rescue_off() -> None:
    """E moves, and with it the deadline; a silence that has begun does not move it back."""
    step = speaking()
    step.queued_until(2.0)
    assert step.machine.deadline() == pytest.approx(1.4)
    step.queued_until(3.0)
    assert step.machine.deadline() == pytest.approx(2.4)


def test_a_leader_that_fails_is_rescued_at_once() -> None:
    """There is nothing to wait for; its fragment is dropped and its sentences stay."""
    step = speaking()
    step.queued_until(9.0)
    assert step.fail(0) == ["launch 1 on 1: rescue after 'One.'"]
    assert step.hear(1, "Two. ", at=1.5) == ["elect 1 over 0", "say 1: Two."]
    assert step.machine.committed == "One. Two."


# -- rule 5: leader and rescuer are tied -----------------------------------------------------------


def rescued(*, candidates: int = 2) -> Step:
    """The step of `speaking`, in which attempt 0 fell silent and 1 is to go on."""
    step = speaking(candidates=candidates)
    assert len(step.wait(1.35)) == 2
    return step


def test_a_leader_that_comes_back_first_leaves_no_seam() -> None:
    """The rescuer is cancelled and nobody is elected anew."""
    step = rescued()
    assert step.hear(0, " two. ", at=1.5) == ["cancel 1", "say 0: And two."]


def test_a_rescuer_that_is_first_goes_on_alone() -> None:
    """After the election nothing more comes from the former leader."""
    step = rescued()
    assert step.hear(1, "Two. ", at=1.5) == ["cancel 0", "elect 1 over 0", "say 1: Two."]
    assert step.hear(0, " two. Three. ", at=1.6) == step.end(0) == []


def test_a_leader_that_came_back_is_flushed_although_the_rescuer_runs() -> None:
    """Regression: only the newest attempt's full stop was believed after a silence."""
    step = rescued()
    step.hear(0, " that is all.", at=1.5)
    assert step.wait(1.58) == ["1.58 cancel 1", "1.58 say 0: And that is all."]


def test_a_rescuer_that_is_silent_too_is_followed_by_a_third() -> None:
    """As long as the bounds allow."""
    step = rescued(candidates=3)
    assert step.wait(1.95) == [
        "1.95 suspect 1: silent 0.60",
        "1.95 launch 2 on 2: rescue after 'One.'",
    ]
    assert step.wait(5.0) == []  # three at once, no more


def test_a_leader_that_came_back_and_stalls_again_is_rescued_again() -> None:
    """Regression: only the newest attempt was watched, although it was given up already."""
    step = rescued(candidates=3)
    step.wait(1.95)
    step.fail(2, at=2.0)  # 0 and 1 run, both suspects; a retry is due at 2.4
    step.hear(0, " so", at=2.2)
    assert step.wait(2.55) == [
        "2.55 suspect 0: stalled 0.35",
        "2.55 launch 3 on 0: rescue after 'One.'",
    ]


def test_a_failing_leader_does_not_disturb_a_rescue_that_runs_well() -> None:
    """Regression: its last sentence cancelled the rescuer, at the bound for nobody."""
    step = Step(2, policy=replace(POLICY, attempts_max=2))
    step.hear(0, "One. ", at=0.1)
    step.wait(0.45)
    step.hear(0, "Two.", at=0.5)
    assert step.fail(0, at=0.51) == []
    assert step.hear(1, "Two. ", at=0.6) == ["elect 1 over 0", "say 1: Two."]


# -- what is measured, and what is stopped ---------------------------------------------------------


def measured_from(began: float, *facts: tuple[float, Fact]) -> list[str]:
    """What is measured, and told for a filler, in a step begun at second *began*."""
    machine = Attempts(POLICY, PLAN._replace(hedge_after_s=5.0), Purse(Budget(RICH)))
    acts, todo = list(machine.feed(Begin(), Mono(began))), list(facts)
    while todo:
        due = machine.deadline()
        if due is not None and due < todo[0][0]:
            acts += machine.feed(Tick(), due)
        else:
            at, fact = todo.pop(0)
            acts += machine.feed(fact, Mono(at))
    return [noted(act) for act in acts if isinstance(act, Measured | Fill)]


def test_times_are_measured_from_the_launch_of_an_attempt() -> None:
    """However long the worker has been running."""
    assert measured_from(100.0, (102.9, Text(0, "One. "))) == [
        "measured 0: 1 x slow 1.20",
        "fill after 2.20",
        "measured 0: 1 x sentence 2.90",
    ]


def test_a_leader_that_ends_after_all_has_nothing_to_be_rescued() -> None:
    """The rescuer is cancelled."""
    step = Step()
    step.hear(0, "One. ", at=0.1)
    assert step.wait(0.5)[-1].endswith("launch 1 on 1: rescue after 'One.'")
    assert step.end(0, at=0.6) == ["cancel 1", "settle 0: stop"]


def test_a_plan_of_one_is_never_raced() -> None:
    """There is nobody to race with; a plan of two that is to be raced is."""
    plan = PLAN._replace(hedge_after_s=0.0)
    assert Step(1, plan=plan).begun == ["launch 0 on 0: primary"]
    assert len(Step(2, plan=plan).begun) == 2
