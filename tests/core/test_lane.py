"""One attempt as it is followed: its gaps, its pace, its tool calls."""

import pytest

from trunkline.core.attempt_words import Kind
from trunkline.core.decay import LOW_S
from trunkline.core.lane import NEVER, Lane, drip_chars_per_s
from trunkline.core.splice import RepeatGate
from trunkline.types import Mono, ToolCall, ToolCallDelta

FAST = 20.0
"""Characters a second, below which an attempt drips."""


def lane(*, asked: float = 0.0) -> Lane:
    """An attempt that has said nothing yet."""
    return Lane(0, Kind.PRIMARY, RepeatGate([]), Mono(asked), Mono(asked))


def hears(it: Lane, *pieces: tuple[float, int]) -> Lane:
    """It says so many characters at these seconds."""
    for at, chars in pieces:
        it.alive(chars, Mono(at), FAST)
    return it


@pytest.mark.parametrize(
    ("language", "chars_per_s"),
    [("en", 21.0), ("de-AT", 21.0), ("zh-TW", 7.5), ("JA", 10.5), ("ko", 9.0), ("", 21.0)],
)
def test_text_must_come_half_as_fast_again_as_it_is_spoken(
    language: str, chars_per_s: float
) -> None:
    """14 characters a second where words are written with an alphabet."""
    assert drip_chars_per_s(language) == chars_per_s


def test_only_gaps_that_an_estimator_can_tell_are_worth_booking() -> None:
    """The shorter ones are counted; the wait for the first token is no gap."""
    it = lane()
    assert it.alive(5, Mono(3.0), FAST) == 0.0
    assert it.alive(5, Mono(3.0 + LOW_S / 2), FAST) == 0.0
    assert it.small_gaps == 2
    it.last = Mono(0.0)
    assert it.alive(5, Mono(LOW_S), FAST) == LOW_S
    assert it.small_gaps == 2
    assert it.first == 3.0


def test_its_pace_counts_from_its_first_token() -> None:
    """Not from when it was asked."""
    it = hears(lane(), (3.0, 10), (3.3, 10))
    assert it.rate(Mono(4.0)) == 20.0
    assert not it.on_pace


def test_who_was_fast_for_half_a_second_is_judged_anew_from_there() -> None:
    """Exactly fast enough is fast enough, and half a second is enough to tell."""
    it = hears(lane(), (3.0, 10), (3.5, 7))
    assert it.on_pace
    assert (it.since, it.paced, it.chars) == (3.5, 7, 17)


def test_who_was_slow_keeps_its_account() -> None:
    """And so does who is not judged yet."""
    slow = hears(lane(), (3.0, 9), (3.5, 7))
    early = hears(lane(), (3.0, 90), (3.4, 7))
    assert (slow.on_pace, slow.since, slow.paced) == (False, 3.0, 16)
    assert (early.on_pace, early.since, early.paced) == (False, 3.0, 97)


def test_a_stall_counts_once_and_not_as_pace() -> None:
    """Who is back is judged from there; who drips was not silent, and is not back."""
    it = hears(lane(), (3.0, 9))
    it.suspected = True
    hears(it, (5.0, 4))
    assert (it.since, it.paced, it.suspected) == (5.0, 4, False)
    it.suspected = it.dripping = True
    hears(it, (6.0, 4))
    assert (it.since, it.paced, it.suspected) == (5.0, 8, True)


@pytest.mark.parametrize(
    ("recovery_s", "due"),
    [
        (0.6, 4.0),  # when 20 characters took a second: too slow
        (4.0, 5.0),  # 40 characters are missing: after 2 s of theirs a backup is as fast
    ],
)
def test_with_nothing_queued_a_drip_is_found_out_by_what_a_backup_needs(
    recovery_s: float, due: float
) -> None:
    """From where its pace would be too low, and no backup would be later."""
    it = hears(lane(), (3.0, 20))
    assert it.drips_at(None, recovery_s, 0.35, FAST) == pytest.approx(due)


@pytest.mark.parametrize(
    ("drain", "recovery_s", "due"),
    [
        (9.0, 0.6, 8.4),  # a backup must be asked then
        (9.0, 8.0, 5.0),  # (9 + 2 x 3) / 3: from there its sentence ends too late
        (3.2, 8.0, 4.0),  # its pace is not judged sooner
    ],
)
def test_with_audio_queued_it_is_found_out_by_the_drain_time(
    drain: float, recovery_s: float, due: float
) -> None:
    """The sentence is taken to have sixty characters."""
    it = hears(lane(), (3.0, 20))
    assert it.drips_at(Mono(drain), recovery_s, 0.35, FAST) == pytest.approx(due)


def test_a_long_sentence_may_have_ten_characters_more() -> None:
    """Nobody knows how long it becomes."""
    it = hears(lane(), (3.0, 100))
    assert it.drips_at(None, 1.0, 0.35, FAST) == pytest.approx(13.0)


def test_who_was_found_fast_enough_may_pause_for_the_gap_floor() -> None:
    """Who was not yet judged is after half a second."""
    new, known = hears(lane(), (3.0, 2)), hears(lane(), (2.4, 30), (3.0, 2))
    assert new.drips_at(None, 0.1, 0.9, FAST) == pytest.approx(3.5)
    assert known.on_pace
    assert known.drips_at(None, 0.1, 0.9, FAST) == pytest.approx(3.9)
    assert known.drips_at(None, 0.1, 0.2, FAST) == pytest.approx(3.5)


def test_silence_is_no_drip_and_a_drip_is_found_out_once() -> None:
    """Before the first token there is no pace."""
    assert lane().drips_at(None, 0.6, 0.35, FAST) == NEVER
    it = hears(lane(), (3.0, 20))
    it.dripping = True
    assert it.drips_at(None, 0.6, 0.35, FAST) == NEVER


@pytest.mark.parametrize("new", [True, False])
def test_a_sentence_that_is_over_begins_the_next_account(new: bool) -> None:
    """A new one clears every suspicion; a repetition is counted as one."""
    it = hears(lane(), (3.0, 20))
    it.suspected = it.dripping = True
    list(it.phrases.feed("One. And"))
    it.sentence_over(Mono(4.0), new=new)
    assert (it.since, it.chars, it.paced) == (4.0, 3, 3)
    assert (it.sentences, it.repeats) == ((1, 0) if new else (0, 1))
    assert (it.suspected, it.dripping) == (not new, not new)


def test_it_is_booked_as_slow_while_it_is_silent_and_once() -> None:
    """1.2 s after it was asked."""
    it = lane(asked=10.0)
    assert it.slow_at == pytest.approx(11.2)
    it.slow = True
    assert it.slow_at == NEVER
    assert hears(lane(), (3.0, 1)).slow_at == NEVER
    gone = lane()
    gone.running = False
    assert gone.slow_at == NEVER


def test_the_first_word_on_who_is_called_counts_and_arguments_add_up() -> None:
    """Endpoints repeat the name, or send it late; a piece that adds nothing is no progress."""
    it = lane()
    assert it.add_tool_part(ToolCallDelta(1, "", "", ""))
    assert it.tools[1] == ToolCallDelta(1, "", "", "")
    assert it.add_tool_part(ToolCallDelta(1, "id", "book", "{", "sign"))
    assert not it.add_tool_part(ToolCallDelta(1, "other", "other", "", "other"))
    assert it.add_tool_part(ToolCallDelta(1, "", "", "}"))
    assert it.add_tool_part(ToolCallDelta(0, "first", "look", "{}"))
    assert it.tool_calls == (
        ToolCall("first", "look", "{}"),
        ToolCall("id", "book", "{}", "sign"),
    )
    assert it.tool_chars == 6
