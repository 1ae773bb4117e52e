"""The rules of one step: the seam, tools, fragments and the bounds (rules 6 to 9)."""

from dataclasses import replace

import pytest

from tests.core.steps import POLICY, Step, speaking
from trunkline.core.attempt_words import Tick
from trunkline.errors import Fault

# -- rule 6: the rescuer goes on -------------------------------------------------------------------


def test_what_a_rescuer_repeats_is_dropped() -> None:
    """A sentence of one word only as a sentence, a longer one in substance."""
    step = Step()
    step.hear(0, "Of course. Please bring your insurance card with you. ", at=0.1)
    step.fail(0, at=0.2)
    assert step.hear(1, "Of course! Please bring your insurance card with you, ok? ") == []
    assert step.hear(1, "And a photo. ") == ["elect 1 over 0", "say 1: And a photo."]


def test_a_rescuer_that_only_repeats_has_nothing_to_add() -> None:
    """The leader's stream hung after its last sentence: that was the answer."""
    step = Step()
    step.hear(0, "One. ", at=0.1)
    step.wait(0.45)
    step.hear(1, "One.", at=0.5)
    assert step.end(1) == ["cancel 0", "settle 0: stop"]
    assert step.machine.committed == "One."


def test_a_rescuer_that_only_repeats_is_not_believed_over_a_fragment() -> None:
    """Regression: the answer was called complete although the leader broke off in a sentence."""
    step = speaking()
    step.fail(0)
    step.hear(1, "One.", at=1.1)
    assert step.end(1) == []
    assert step.wait(1.5) == ["1.50 launch 2 on 0: rescue after 'One.'"]


@pytest.mark.parametrize(
    ("fragment", "acts"),
    [
        ("", ["settle 0: stop"]),
        ("And", []),  # another is asked, after a pause: two endpoints were tried
    ],
)
def test_an_empty_rescue_is_believed_unless_a_fragment_was_left(
    fragment: str, acts: list[str]
) -> None:
    """Asked to go on after a whole answer, a model says nothing."""
    step = Step()
    step.hear(0, f"One. {fragment}", at=0.1)
    step.fail(0, at=0.2)
    assert step.fail(1, Fault.EMPTY, at=0.3) == acts


def test_an_empty_rescue_does_not_stop_a_leader_that_came_back() -> None:
    """Regression: the step settled in the middle of the leader's sentence."""
    step = Step()
    step.hear(0, "One. ", at=0.1)
    step.wait(0.45)
    step.hear(0, "And two", at=0.5)
    assert step.fail(1, Fault.EMPTY, at=0.6) == []
    assert step.end(0, at=0.7) == ["say 0: And two", "settle 0: stop"]


def test_after_an_interruption_the_step_goes_on_after_what_was_heard() -> None:
    """The first attempt is asked to go on; it may have nothing to add."""
    step = Step(heard="Of course. We open at")
    assert step.begun == ["launch 0 on 0: primary after 'Of course. We open at'"]
    assert step.hear(0, "Of course. ", at=0.1) == []  # sentence by sentence it was heard
    assert step.hear(0, "Nine. ", at=0.2) == ["elect 0", "say 0: Nine."]

    done = Step(heard="Of course.")
    assert done.fail(0, Fault.EMPTY, at=0.1) == ["settle None: stop"]


def test_a_resumed_answer_whose_first_attempt_broke_off_is_not_complete() -> None:
    """Regression: a fragment counted only if its attempt had led."""
    step = Step(heard="Of course.")
    step.hear(0, "We open", at=0.1)
    assert step.fail(0, at=0.2) == ["launch 1 on 1: rescue after 'Of course.'"]
    assert step.fail(1, Fault.EMPTY, at=0.3) == []


def test_an_answer_without_a_word_is_no_answer() -> None:
    """Regression: white space and a finish reason were taken for an answer."""
    step = Step()
    step.hear(0, " \n", at=0.1)
    assert step.end(0) == ["launch 1 on 1: failover"]


def test_a_content_filter_is_an_answer() -> None:
    """It is never rescued onto an endpoint with weaker guards."""
    step = Step()
    step.wait(0.6)
    assert step.end(0, "content_filter", at=0.7) == [
        "cancel 1",
        "elect 0",
        "settle 0: content_filter",
    ]


# -- rule 7: tools are proposals -------------------------------------------------------------------


def test_tool_calls_are_put_together_and_returned_once() -> None:
    """Pieces by index, in the order of the index; the end returns them."""
    step = Step()
    step.propose(0, "find", '{"day":', index=1, at=0.1)
    step.propose(0, "book", "{}", index=0, at=0.2)
    step.propose(0, "", "1}", index=1, at=0.3)
    assert step.end(0, "tool_calls") == [
        "elect 0",
        'settle 0: tool_calls book({}) find({"day":1})',
    ]
    assert step.end(0, "tool_calls") == []


def test_a_step_that_broke_off_in_a_tool_call_is_run_again_from_its_start() -> None:
    """What it repeats on the way is dropped; the call is the rescuer's."""
    step = Step()
    step.hear(0, "One moment. ", at=0.1)
    step.propose(0, "book", "{", at=0.2)
    assert step.fail(0, at=0.3) == ["launch 1 on 1: rescue"]
    assert step.hear(1, "One moment. ", at=0.5) == []
    step.propose(1, "book", "{}", at=0.6)
    assert step.end(1, "tool_calls") == ["elect 1 over 0", "settle 1: tool_calls book({})"]


def test_an_empty_rescue_is_not_believed_over_half_a_tool_call() -> None:
    """The answer was not complete."""
    step = Step()
    step.hear(0, "One moment. ", at=0.1)
    step.propose(0, "book", "{", at=0.2)
    step.fail(0, at=0.3)
    assert step.fail(1, Fault.EMPTY, at=0.4) == []


def test_the_proposals_of_a_loser_are_forgotten() -> None:
    """Regression: a cancelled hedge's tool call made the rescue start the answer again."""
    step = Step(3)
    step.wait(0.6)
    step.propose(1, "book", "{", at=0.7)
    step.hear(0, "One. ", at=0.8)
    assert step.fail(0, at=0.9) == ["launch 2 on 2: rescue after 'One.'"]


def test_a_tool_call_without_end_is_malformed() -> None:
    """The arguments of one step are bounded, the number of calls too."""
    step = Step()
    assert step.propose(0, "book", "x" * 63, at=0.1) == []
    assert step.propose(0, "", "x", at=0.2) == ["cancel 0", "launch 1 on 1: failover"]
    for index in range(64):
        assert step.propose(1, "t", "", index=index, at=0.3) == []
    assert step.propose(1, "t", "", index=64) == ["cancel 1"]


# -- rule 8: fragments -----------------------------------------------------------------------------


def test_a_full_stop_is_believed_after_a_moment() -> None:
    """The caller does not wait for the next token to hear a sentence that is there."""
    step = Step()
    step.hear(0, "Good morning.", at=0.1)
    assert step.wait(0.17) == []
    assert step.wait(0.18) == ["0.18 elect 0", "0.18 say 0: Good morning."]


def test_a_full_stop_that_was_flushed_as_a_repetition_is_silent() -> None:
    """The gate holds for flushed sentences too, and the machine goes on to wait."""
    step = Step(heard="Good morning.")
    step.hear(0, "Good morning.", at=0.1)
    assert step.wait(0.3) == []


def test_two_full_stops_at_once_are_flushed_in_the_order_of_their_coming() -> None:
    """The elder wins, the other is cancelled."""
    step = Step()
    step.wait(0.6)
    step.hear(1, "I am first.", at=0.7)
    step.hear(0, "I am second.", at=0.71)
    step.now = 0.9  # woken late
    assert step.feed(Tick()) == ["cancel 0", "elect 1", "say 1: I am first."]


def test_the_last_sentence_of_a_leader_that_fails_is_said_if_it_is_whole() -> None:
    """It has its full stop: nothing is lost."""
    step = Step()
    step.hear(0, "One. Two.", at=0.1)
    assert step.fail(0, at=0.11) == ["say 0: Two.", "launch 1 on 1: rescue after 'One. Two.'"]


# -- rule 9: everything is bounded -----------------------------------------------------------------


def test_when_all_are_silent_the_step_fails_in_time() -> None:
    """With nothing to play nobody waits longer than the bound, whatever is still running."""
    step = Step()
    acts = step.wait(60.0)
    assert [act for act in acts if "launch" in act] == [
        "0.60 launch 1 on 1: hedge",
        "1.20 launch 2 on 0: hedge",
    ]
    assert acts[-4:] == [
        "8.00 cancel 0",
        "8.00 cancel 1",
        "8.00 cancel 2",
        "8.00 settle None: failed",
    ]


def test_silence_that_is_told_again_and_again_is_still_given_up() -> None:
    """Regression: an empty playout drains `now`, every time it is asked: nobody ever gave up."""
    step = Step()
    acts = []
    for tick in range(1, 161):
        step.now = tick / 20
        step.queued_until(step.now)
        acts += step.feed(Tick())
    assert acts[-1] == "settle None: failed"


def test_the_wait_begins_when_the_caller_has_nothing_more_to_hear() -> None:
    """Queued audio is time to wait; audio that proved shorter than thought is not."""
    step = speaking()
    step.queued_until(20.0)
    acts = step.wait(27.99)
    assert "settle" not in " ".join(acts)
    assert step.wait(28.0)[-1] == "28.00 settle 0: failed"

    short = speaking()
    short.queued_until(20.0)
    short.now = 2.0
    short.queued_until(2.0)
    assert short.wait(10.0)[-1] == "10.00 settle 0: failed"


def test_attempts_are_bounded() -> None:
    """Five attempts in all, whatever happens."""
    step = Step(9)
    acts = [act for lane in range(5) for act in step.fail(lane, at=lane / 10)]
    assert acts == [
        "launch 1 on 1: failover",
        "launch 2 on 2: failover",
        "launch 3 on 3: failover",
        "launch 4 on 4: failover",
        "settle None: failed",
    ]


def test_a_suspect_is_waited_for_when_no_attempt_is_left() -> None:
    """The bound of attempts is reached, one still runs: until it is given up it may answer."""
    step = Step(2, policy=replace(POLICY, attempts_max=2))
    step.wait(0.6)
    assert step.fail(1, at=0.7) == []
    assert step.hear(0, "Here. ", at=5.0) == ["elect 0", "say 0: Here."]


def test_an_endpoint_that_talks_for_ever_is_stopped() -> None:
    """At the bound of sentences, to the sentence."""
    step = Step(policy=replace(POLICY, sentences_max=3))
    assert step.hear(0, "One. Two. ", at=0.1)[-1] == "say 0: Two."
    assert step.hear(0, "Three. Four. ") == ["say 0: Three.", "cancel 0", "settle 0: length"]


def test_an_endpoint_that_repeats_itself_for_ever_is_stopped() -> None:
    """Regression: only committed sentences counted, and a rescuer that repeats commits none."""
    step = Step(policy=replace(POLICY, sentences_max=4))
    step.hear(0, "One. ", at=0.1)
    step.fail(0, at=0.2)
    assert step.hear(1, "One. One. One. One. ", at=0.3) == ["cancel 1", "settle 0: length"]


# -- the endpoint's own length limit ---------------------------------------------------------------


def test_an_answer_cut_at_its_length_is_continued_by_the_same_endpoint() -> None:
    """A whole last sentence is said, a fragment dropped; the cache is warm there."""
    step = speaking()
    assert step.end(0, "length") == ["launch 1 on 0: continue after 'One.'"]
    assert step.hear(1, "Two. ", at=1.2) == ["elect 1 over 0", "say 1: Two."]

    whole = speaking()
    assert whole.hear(0, " two.") == []
    assert whole.end(0, "length") == [
        "say 0: And two.",
        "launch 1 on 0: continue after 'One. And two.'",
    ]


def test_a_continuation_that_fails_is_rescued_by_the_endpoint_that_was_not_tried() -> None:
    """Regression: the continuation used up the backup's turn, and a pause came before it."""
    step = speaking()
    step.end(0, "length")
    assert step.fail(1, at=1.1) == ["launch 2 on 1: rescue after 'One.'"]


def test_a_continuation_after_a_fragment_that_is_empty_is_not_believed() -> None:
    """Regression: the fragment of an answer cut at its length did not count."""
    step = speaking()
    step.end(0, "length")
    assert step.fail(1, Fault.EMPTY, at=1.1) == ["launch 2 on 1: rescue after 'One.'"]


def test_an_answer_cut_at_its_length_ends_there_when_no_attempt_is_left() -> None:
    """And one that said nothing but tools ends with its tools."""
    step = Step(policy=replace(POLICY, attempts_max=1))
    step.hear(0, "One. And", at=0.1)
    assert step.end(0, "length") == ["settle 0: length"]

    tools = Step()
    tools.propose(0, "book", "{}", at=0.1)
    assert tools.end(0, "length") == ["elect 0", "settle 0: length book({})"]
