"""What the caller heard: spans, turns, silences and dead air, on tapes whose truth is known."""

from math import inf
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.voices import channel, line, phrase, silence, tape
from trunkline.errors import InputError
from trunkline.media.tape import Limits, Silence, Span, activity, summary, turns

NEAR_S = 0.005  # an edge may be wrong by 5 ms
BETWEEN_S = 2 * NEAR_S


def about(value_s: float, error_s: float = BETWEEN_S) -> float:
    """Equal to anything within *error_s*, also inside a span."""
    return cast("float", pytest.approx(value_s, abs=error_s))


def near(start_s: float, end_s: float) -> Span:
    """A span whose edges are right to 5 ms."""
    return Span(about(start_s, NEAR_S), about(end_s, NEAR_S))


def quiet(start_s: float, length_s: float) -> Silence:
    """A silence between two edges."""
    return Silence(about(start_s, NEAR_S), about(length_s))


@settings(deadline=None, max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    start_s=st.floats(0.5, 1.5),
    length_s=st.floats(0.3, 2.0),
    noise_db=st.sampled_from([None, 70, 50]),
)
def test_edges_are_right_to_5_ms(
    seed: int, start_s: float, length_s: float, noise_db: float | None
) -> None:
    """Speech anywhere, on a clean or a noisy line, is one span with its true edges."""
    pcm = line(channel(4.0, [(start_s, start_s + length_s)], seed), noise_db, seed)
    assert activity(pcm) == [near(start_s, start_s + length_s)]


@pytest.mark.parametrize("noise_db", [None, 75, 60, 45])
def test_silence_and_line_noise_are_not_speech(noise_db: float | None) -> None:
    """Nothing is heard where nobody speaks, up to noise at -45 dBFS."""
    assert activity(line(silence(10), noise_db)) == []


def test_an_offset_is_not_speech() -> None:
    """A line card that adds a constant does not talk."""
    offset = np.full(16_000, 3_000, np.int16)
    assert activity(offset) == []


def test_a_soft_ending_belongs_to_its_word_but_is_none_alone() -> None:
    """-49 dBFS after speech is its tail, as hysteresis has it; by itself it is background."""
    tail = np.rint(164 * np.sin(np.arange(2_400) * 0.7)).astype(np.int16)
    word = np.concatenate((silence(1), phrase(1, 0.5), tail, silence(1)))
    assert activity(word) == [near(1.0, 1.8)]
    assert activity(np.concatenate((silence(1), tail, silence(1)))) == []


def test_a_click_is_not_speech() -> None:
    """A burst of 10 ms is dropped, one of 100 ms is not."""
    assert activity(channel(2.0, [(1.0, 1.01)])) == []
    assert activity(channel(2.0, [(1.0, 1.1)])) == [near(1.0, 1.1)]


def test_short_gaps_are_closed_and_longer_ones_kept() -> None:
    """60 ms of silence are a plosive, 150 ms are a pause, unless one says otherwise."""
    pcm = channel(4.0, [(0.5, 1.0), (1.06, 1.5), (1.65, 2.0)])
    assert activity(pcm) == [near(0.5, 1.5), near(1.65, 2.0)]
    assert activity(pcm, close_gap_s=0.2) == [near(0.5, 2.0)]
    assert len(activity(pcm, close_gap_s=0.03)) == 3


def test_speech_at_the_very_edges_of_the_tape_is_heard() -> None:
    """A tape that starts and stops inside speech has spans to its edges."""
    assert activity(phrase(3, 1.0)) == [near(0.0, 1.0)]
    assert activity(silence(0)) == []


def test_a_turn_is_measured_from_the_audio() -> None:
    """Greeting, question, reply after 0.6 s with a pause of 0.4 s: exactly that is reported."""
    told = turns(tape(10, [(2.5, 4.0)], [(0.3, 2.0), (4.6, 6.0), (6.4, 8.0)], noise_db=60))
    opening, turn = told
    assert opening.caller is None
    assert opening.v2v_s is None
    assert opening.reply == near(0.3, 2.0)
    assert opening.gap_s == about(0.3, NEAR_S)
    assert turn.caller == near(2.5, 4.0)
    assert turn.reply == near(4.6, 8.0)
    assert turn.v2v_s == about(0.6)
    assert turn.gap_s == turn.v2v_s
    assert turn.silences == (quiet(6.0, 0.4),)
    assert turn.dead_air == ()
    assert turn.barge_in_s is None


def test_a_stall_inside_a_reply_is_dead_air_beyond_a_natural_pause() -> None:
    """2.0 s of silence where speech was due: 0.7 s could be a pause, 1.3 s are dead."""
    (turn,) = turns(tape(12, [(0.5, 2.0)], [(2.5, 4.0), (6.0, 9.0)]))
    assert turn.reply == near(2.5, 9.0)
    assert turn.silences == (quiet(4.0, 2.0),)
    assert turn.dead_air == (quiet(4.7, 1.3),)


def test_a_late_reply_is_dead_air_beyond_the_limit() -> None:
    """3.5 s to the first audio: 2.0 s too late, or 3.0 s for whoever expects 0.5 s."""
    slow = tape(10, [(0.5, 2.0)], [(5.5, 8.0)])
    (turn,) = turns(slow)
    assert turn.v2v_s == about(3.5)
    assert turn.dead_air == (quiet(3.5, 2.0),)
    (turn,) = turns(slow, Limits(response_s=0.5))
    assert turn.dead_air == (quiet(2.5, 3.0),)


def test_a_reply_that_never_comes_is_late_by_infinity() -> None:
    """A black hole counts: infinite V2V, dead air to the end of the tape, no percentile below."""
    hole = tape(12, [(1.0, 2.0), (5.0, 6.0)], [(2.5, 4.5)])
    report = summary(hole)
    assert report.v2v_s == (about(0.5), inf)
    assert report.unanswered == 1
    assert report.v2v_p50_s == about(0.5)
    assert report.v2v_p95_s == inf
    assert report.dead_air_total_s == about(4.5, NEAR_S)
    assert report.turns[-1].reply is None


def test_a_goodbye_at_the_end_owes_no_reply() -> None:
    """The call ends 0.8 s after the caller's last word: nothing was due yet."""
    (turn,) = turns(tape(2.8, [(1.0, 2.0)], []))
    assert turn.v2v_s is None
    assert turn.gap_s == about(0.8, NEAR_S)
    assert turn.dead_air == ()


def test_a_caller_who_asks_again_was_not_answered() -> None:
    """ "Hello?" ... 3 s ... "Hello?": the first one is unanswered, the second one is not."""
    first, second = turns(tape(9, [(1.0, 1.6), (4.6, 5.2)], [(5.8, 8.0)]))
    assert first.v2v_s == inf
    assert first.dead_air == (quiet(3.1, 1.5),)
    assert second.v2v_s == about(0.6)


def test_a_greeting_that_never_comes_is_dead_air() -> None:
    """The caller says hello into 4 s of silence; only then the agent answers."""
    opening, turn = turns(tape(9, [(4.0, 5.0)], [(5.5, 8.0)]))
    assert opening.caller is None
    assert opening.reply is None
    assert opening.dead_air == (quiet(1.5, 2.5),)
    assert turn.v2v_s == about(0.5)


def test_pauses_of_the_caller_are_one_utterance() -> None:
    """0.7 s to think do not end a turn; the reply is measured from the last word."""
    (turn,) = turns(tape(8, [(0.5, 1.5), (2.2, 3.0)], [(3.6, 6.0)]))
    assert turn.caller == near(0.5, 3.0)
    assert turn.v2v_s == about(0.6)


def test_an_answer_into_a_pause_makes_two_turns() -> None:
    """An agent that begins in the caller's pause answered the first half."""
    first, second = turns(tape(9, [(0.5, 1.5), (2.4, 3.5)], [(2.0, 2.6), (4.0, 6.0)]))
    assert first.v2v_s == about(0.5)
    assert second.barge_in_s == about(0.2)
    assert second.v2v_s == about(0.5)


def test_barge_in_is_how_long_the_agent_went_on() -> None:
    """The caller speaks at 4.0, the agent stops at 4.35 and answers 0.5 s after the caller."""
    opening, turn = turns(tape(10, [(4.0, 4.6)], [(1.0, 4.35), (5.1, 7.0)]))
    assert opening.reply == near(1.0, 4.35)
    assert turn.barge_in_s == about(0.35)
    assert turn.reply == near(5.1, 7.0)
    assert turn.v2v_s == about(0.5)
    report = summary(tape(10, [(4.0, 4.6)], [(1.0, 4.35), (5.1, 7.0)]))
    assert report.talk_over_s == about(0.35)
    assert report.barge_in_s == (turn.barge_in_s,)


def test_a_quick_answer_after_a_barge_in_is_not_the_old_speech() -> None:
    """0.45 s between stopping and answering could be a pause, but the caller ended within it."""
    _, turn = turns(tape(8, [(4.0, 4.5)], [(1.0, 4.35), (4.8, 6.0)]))
    assert turn.barge_in_s == about(0.35)
    assert turn.v2v_s == about(0.3)


def test_an_answer_after_talking_on_waited_only_in_silence() -> None:
    """The agent finishes its sentence over the caller: V2V is 3.1 s, the silence heard 1.4 s."""
    _, turn = turns(tape(10, [(4.0, 4.3)], [(1.0, 6.0), (7.4, 9.0)]))
    assert turn.v2v_s == about(3.1)
    assert turn.gap_s == about(1.4)
    assert turn.dead_air == ()


def test_an_onset_in_the_agents_pause_is_a_barge_in() -> None:
    """The agent pauses, the caller begins, the agent goes on for 0.4 s before it notices."""
    first, second = turns(tape(9, [(1.0, 2.0), (4.3, 6.0)], [(2.5, 4.0), (4.6, 5.0), (6.5, 8.0)]))
    assert first.silences == (quiet(4.0, 0.3),)
    assert second.barge_in_s == about(0.7)
    assert second.v2v_s == about(0.5)


def test_agent_audio_inside_an_utterance_is_not_its_reply() -> None:
    """An "mhm" of the agent answers nothing; the reply comes after the caller's last word."""
    (turn,) = turns(tape(8, [(1.0, 4.0)], [(2.0, 2.3), (4.6, 6.0)]))
    assert turn.reply == near(4.6, 6.0)
    assert turn.v2v_s == about(0.6)


def test_a_pause_that_the_caller_filled_is_no_silence() -> None:
    """The agent cuts in and pauses while the caller still talks: the caller heard no gap."""
    (turn,) = turns(tape(8, [(1.0, 3.0)], [(2.0, 2.3), (2.8, 4.5)]))
    assert turn.reply == near(2.0, 4.5)
    assert turn.silences == ()


def test_a_backchannel_owes_no_reply() -> None:
    """ "Mhm" into a long answer: the agent talks on, and its end is no unanswered question."""
    _, turn = turns(tape(12, [(4.0, 4.3)], [(1.0, 7.0)]))
    assert turn.barge_in_s == about(3.0)
    assert turn.reply is None
    assert turn.v2v_s is None
    assert turn.dead_air == ()


def test_an_agent_that_cuts_in_has_a_negative_v2v() -> None:
    """It begins 0.3 s before the caller has finished."""
    (turn,) = turns(tape(8, [(1.0, 3.0)], [(2.7, 5.0)]))
    assert turn.v2v_s == about(-0.3)
    assert turn.gap_s == 0


def test_silence_after_the_next_onset_is_not_due() -> None:
    """The agent falls silent, 2.5 s later the caller speaks: the reply was simply over."""
    first, second = turns(tape(12, [(1.0, 2.0), (6.5, 7.0)], [(2.5, 4.0), (7.5, 9.0)]))
    assert first.dead_air == second.dead_air == ()
    assert first.reply == near(2.5, 4.0)


def test_the_summary_adds_up() -> None:
    """Two turns, one stalled and one late: total, worst and percentiles."""
    stalled = tape(
        20, [(1.0, 2.0), (10.0, 11.0)], [(2.4, 4.0), (6.0, 7.0), (13.5, 15.0), (15.5, 16.0)]
    )
    report = summary(stalled)
    assert report.length_s == 20
    assert len(report.turns) == 2
    assert report.v2v_p50_s == about(0.4)
    assert report.v2v_p95_s == about(2.5)
    assert report.dead_air_max_s == about(1.3)
    assert report.dead_air_total_s == about(1.3 + 1.0, 2 * BETWEEN_S)
    assert (report.unanswered, report.talk_over_s, report.barge_in_s) == (0, 0, ())


def test_an_empty_tape_is_dead_and_has_no_percentile() -> None:
    """A call on which nobody spoke: all of it was waiting for a greeting."""
    report = summary(tape(5, [], []))
    assert report.v2v_s == ()
    assert report.v2v_p50_s is None
    assert report.v2v_p95_s is None
    assert report.dead_air_total_s == 3.5


def test_the_wrong_shape_is_refused() -> None:
    """A mono file is not a tape, a tape is not a channel."""
    with pytest.raises(InputError, match="caller left and agent right"):
        turns(silence(1))
    with pytest.raises(InputError, match="one channel"):
        activity(np.zeros((800, 2), np.int16))
