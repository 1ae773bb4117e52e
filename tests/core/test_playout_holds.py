"""What a hold leaves of the voice, phrase by phrase and word by word."""

import pytest

from tests.core.test_playout import FRAMES, POLICY, playing, send, send_all, sent_with_marks
from trunkline.core.playout import Frame, Playout
from trunkline.types import FRAME_S, Mono, SpokenWord


def test_what_was_shortened_to_what_was_heard_is_not_said_again() -> None:
    """The synthesiser failed behind a word that was heard: after a hold there is nothing left."""
    playout = playing(complete=False)
    send(playout, 0.0)
    assert playout.mark("0.0.4")
    playout.drop(0, 4)
    playout.hold(Mono(0.2))
    playout.release(Mono(0.3))
    assert playout.unsent == 0
    assert playout.heard() == "Good"


def test_words_without_a_space_between_them_are_held_one_by_one() -> None:
    """The next one begins where the last one ends."""
    playout = Playout(POLICY)
    playout.expect("好的。")
    marks = [SpokenWord(i, i + 1, 320 * i) for i in range(3)]
    playout.queue(0, 960, marks, complete=True)
    send_all(playout, 0.0)
    assert playout.mark("0.0.1")
    playout.hold(Mono(0.1))
    playout.release(Mono(0.1))
    assert playout.send(Mono(0.1)).at == 320


def test_one_character_that_is_all_that_will_be_said_has_its_mark() -> None:
    """Its mark is due as soon as its audio was sent."""
    playout = Playout(POLICY)
    playout.expect("A b")
    playout.queue(0, 160, [], complete=False)
    playout.drop(0, 1)
    assert sent_with_marks(playout, 0.0)[-1] == "0.0.1"


def test_after_a_hold_the_voice_is_heard_from_the_release_on() -> None:
    """Not behind what the carrier had before: that was taken back; nor while it was held."""
    playout = playing()
    send(playout, 0.0)
    playout.hold(Mono(0.05))
    assert playout.silent_at(Mono(0.05)) == pytest.approx(0.05 + FRAMES * FRAME_S)
    playout.release(Mono(0.9))
    assert playout.send(Mono(0.9)) == Frame(0, 0, Mono(0.9))
    assert playout.silent_at(Mono(0.9)) == pytest.approx(0.9 + FRAMES * FRAME_S)


def test_a_hold_goes_back_to_the_first_phrase_that_was_not_heard() -> None:
    """Whatever was sent of those after it."""
    playout = playing(frames=2)
    playout.expect("And again.")
    playout.queue(1, 320, [], complete=True)
    send_all(playout, 0.0)
    assert playout.unsent == 0
    playout.hold(Mono(0.1))
    playout.release(Mono(0.1))
    assert [playout.send(Mono(0.1)).phrase for _ in range(4)] == [0, 0, 1, 1]
