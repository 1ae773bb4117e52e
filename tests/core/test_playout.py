"""What the caller has of the agent's voice: counts, marks, the drain time and the heard text."""

import pytest

from trunkline.core.playout import PACKET_FRAMES, WORDS_PER_S, Frame, Playout, PlayoutPolicy
from trunkline.types import FRAME_S, FRAME_SAMPLES, Mono, SpokenWord

POLICY = PlayoutPolicy(lead_s=0.1, synthesis_s=0.1, marks_grace_s=2.0)
LEAD_FRAMES = 6  # in whole packets
TEXT = "Good morning there."
WORDS = (SpokenWord(0, 4, 0), SpokenWord(5, 12, 320), SpokenWord(13, 19, 640))
FRAMES = 10


def playing(*, frames: int = FRAMES, complete: bool = True) -> Playout:
    """One phrase with its audio, nothing sent."""
    playout = Playout(POLICY)
    playout.expect(TEXT)
    playout.queue(0, frames * FRAME_SAMPLES, WORDS, complete=complete)
    return playout


def send(playout: Playout, at: float) -> int:
    """Send what is due at second *at*; how many frames it was."""
    due = playout.due(Mono(at))
    for _ in range(due):
        playout.send(Mono(at))
    return due


def sent_with_marks(playout: Playout, at: float) -> list[str]:
    """Send all that there is at second *at*: frames as phrase:sample, and the marks by name."""
    sent = playout.reached()
    while playout.due(Mono(at + 100.0)):
        frame = playout.send(Mono(at))
        sent += [f"{frame.phrase}:{frame.at}", *playout.reached()]
    return sent


def send_all(playout: Playout, at: float) -> float:
    """Send frame by frame from second *at* on; when the last one was sent."""
    while playout.due(Mono(at + 100.0)):
        send(playout, at)
        at += FRAME_S
    return at


def test_a_word_is_heard_once_the_next_one_begins() -> None:
    """The marks go along with the audio, the last one behind its end."""
    playout = Playout(POLICY)
    assert playout.expect(TEXT) == 0
    playout.queue(0, 480, WORDS[:2], complete=False)
    assert sent_with_marks(playout, 0.0) == ["0:0", "0:160", "0.0.4", "0:320"]
    playout.queue(0, 480, WORDS[2:], complete=True)
    assert sent_with_marks(playout, 0.0) == ["0:480", "0.0.12", "0:640", "0:800", "0.0.19"]
    assert sent_with_marks(playout, 0.0) == []


def test_a_word_that_is_said_to_begin_behind_the_audio_is_heard_at_its_end() -> None:
    """Regression: its mark, and with it that of the end, was never sent."""
    playout = Playout(POLICY)
    playout.expect("Yes sir.")
    late = (SpokenWord(0, 3, 0), SpokenWord(4, 8, 999))
    playout.queue(0, 160, late, complete=True)
    assert sent_with_marks(playout, 0.0) == ["0:0", "0.0.3", "0.0.8"]


def test_the_carrier_is_kept_ahead_by_the_lead_and_no_more() -> None:
    """At once the lead, then a packet once any of it was played, to the last frame."""
    playout = playing()
    assert send(playout, 0.0) == LEAD_FRAMES
    assert send(playout, 0.0) == 0
    assert send(playout, 0.02) == 0
    assert send(playout, 0.03) == PACKET_FRAMES  # half a frame is missing: never less than the lead
    assert send(playout, 0.06) == 0
    assert send(playout, 9.0) == FRAMES - LEAD_FRAMES - PACKET_FRAMES
    assert send(playout, 9.9) == 0


def test_a_frame_is_heard_behind_those_that_were_sent_before() -> None:
    """After a pause it is heard at once."""
    playout = playing()
    starts = [playout.send(Mono(1.0)).when for _ in range(3)]
    assert starts == pytest.approx([1.0, 1.02, 1.04])
    assert playout.send(Mono(1.01)).when == pytest.approx(1.06)
    assert playout.send(Mono(5.0)) == Frame(0, 640, Mono(5.0))


def test_the_phrases_are_sent_one_after_the_other() -> None:
    """What has no audio, because its synthesis failed, is passed over."""
    playout = playing(frames=1)
    playout.expect("Lost.")
    playout.drop(1, 0)
    playout.expect(TEXT)
    playout.queue(2, FRAME_SAMPLES, (), complete=True)
    assert send(playout, 0.0) == 2
    assert not playout.drained(Mono(0.0))
    playout.mark("0.2.19")
    assert playout.drained(Mono(0.0))


@pytest.mark.parametrize(
    ("marks", "heard"),
    [
        ([], ""),
        (["0.0.4"], "Good"),
        (["0.0.12"], "Good morning"),
        (["0.0.12", "0.0.4"], "Good morning"),  # a mark takes nothing back
        (["0.0.19"], TEXT),
        (["0.0.5"], "Good"),  # white space is no word
        (["0.0.99"], TEXT),
        (["0.1.3"], f"{TEXT} And"),  # its own marks got lost: it was sent before
    ],
)
def test_the_heard_text_is_what_the_marks_prove(marks: list[str], heard: str) -> None:
    """Whole words, a prefix."""
    playout = playing()
    playout.expect("And good bye.")
    assert all(playout.mark(name) for name in marks)
    assert playout.heard() == heard
    assert f"{heard} {playout.unheard()}".strip() == f"{TEXT} And good bye."


@pytest.mark.parametrize("name", ["", "0.0", "0.0.1.1", "a.b.c", "1.0.4", "0.1.4", "0.-1.4", "end"])
def test_a_strange_mark_proves_nothing(name: str) -> None:
    """Not ours, or of no phrase that there is."""
    playout = playing()
    assert not playout.mark(name)
    assert playout.heard() == ""


def test_a_clear_takes_back_what_was_not_heard() -> None:
    """The carrier returns the pending marks at once: those of the old epoch prove nothing."""
    playout = playing()
    send(playout, 1.0)
    playout.mark("0.0.4")
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.2)
    assert playout.clear(Mono(1.03)) == "Good"
    assert not playout.mark("0.0.19")
    assert playout.heard() == ""
    assert playout.drain_at(Mono(1.03)) == Mono(1.03)
    assert playout.due(Mono(1.03)) == 0
    assert playout.drained(Mono(1.03))
    assert playout.stale(0)
    assert playout.expect("New.") == 1
    assert not playout.stale(1)
    playout.queue(1, 160, (), complete=True)
    assert sent_with_marks(playout, 1.03) == ["1:0", "1.1.4"]


def test_a_phrase_without_audio_is_forgotten_by_a_clear() -> None:
    """It counts neither as queued nor as heard, and is waited for no longer."""
    playout = Playout(POLICY)
    playout.expect(TEXT)
    assert not playout.drained(Mono(99.0))
    assert playout.clear(Mono(1.0)) == ""
    assert playout.drained(Mono(1.0))
    assert playout.drain_at(Mono(1.0)) == 1.0


def test_a_reply_that_was_heard_is_closed() -> None:
    """The next one begins with nothing heard, in the same epoch: no mark is pending."""
    playout = playing()
    sent_with_marks(playout, 0.0)
    playout.mark("0.0.19")
    assert playout.close() == TEXT
    assert playout.heard() == ""
    assert playout.stale(0)
    assert not playout.mark("0.0.19")
    assert playout.expect("And?") == 1
    playout.queue(1, 160, (), complete=True)
    assert sent_with_marks(playout, 2.0) == ["1:0", "0.1.4"]


def test_audio_that_is_still_to_be_sent_is_not_taken_back_by_closing() -> None:
    """`close` forgets the text, not the voice: the shell has the bytes in its queue."""
    playout = playing(frames=2)
    playout.close()
    assert send(playout, 0.0) == 2


def test_the_drain_time_stands_still_while_the_queue_is_played() -> None:
    """It is what the attempts machine counts down to."""
    playout = playing()
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.2)
    send(playout, 1.0)
    for at in (1.0, 1.04, 1.099):
        assert playout.drain_at(Mono(at)) == pytest.approx(1.2)
        send(playout, at)
    assert playout.drain_at(Mono(3.0)) == 3.0


def test_words_that_have_no_audio_yet_count_by_the_speaking_rate() -> None:
    """Less the synthesiser's delay, unless audio covers that."""
    playout = Playout(POLICY)
    playout.expect(TEXT)
    words_s = 3 / WORDS_PER_S
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.0 + words_s - 0.1)
    playout.expect("Hm.")
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.0 + 4 / WORDS_PER_S - 0.1)
    playout.drop(1, 0)
    playout.queue(0, 1600, (), complete=False)
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.2)  # some audio: no more guesses
    playout.expect(TEXT)
    assert playout.drain_at(Mono(1.0)) == pytest.approx(1.2 + words_s)
    send(playout, 1.0)
    send(playout, 1.1)
    assert playout.drain_at(Mono(1.15)) == pytest.approx(1.2 + words_s)
    assert playout.drain_at(Mono(1.21)) == pytest.approx(1.21 + words_s - 0.1)


def test_a_guess_is_never_negative() -> None:
    """A synthesiser that is slower than the words are long."""
    playout = Playout(PlayoutPolicy(synthesis_s=9.0))
    playout.expect(TEXT)
    assert playout.drain_at(Mono(1.0)) == 1.0


def test_all_is_heard_when_the_last_mark_is_back() -> None:
    """Not before the phrase is complete and sent."""
    playout = playing(complete=False)
    send_all(playout, 0.0)
    playout.mark("0.0.19")
    assert not playout.drained(Mono(50.0))
    playout.queue(0, 160, (), complete=True)
    assert not playout.drained(Mono(50.0))
    send_all(playout, 0.5)
    assert playout.drained(Mono(0.5))


def test_marks_that_got_lost_are_waited_for_only_so_long() -> None:
    """From the end of the audio, to the grace."""
    playout = playing()
    send_all(playout, 0.0)
    assert not playout.drained(Mono(2.19))
    assert playout.drained(Mono(2.2 + 1e-9))


@pytest.mark.parametrize(
    ("words", "chars", "marks", "heard"),
    [
        ((), 0, [], ""),
        (WORDS[:1], 4, ["0.0.4"], "Good"),
        (WORDS[:2], 13, ["0.0.4", "0.0.12"], "Good morning"),
        (WORDS, 12, ["0.0.4", "0.0.12"], "Good morning"),
    ],
)
def test_a_phrase_that_breaks_off_ends_with_its_last_whole_word(
    words: tuple[SpokenWord, ...], chars: int, marks: list[str], heard: str
) -> None:
    """Regression: the end of the reply waited for a mark that was never sent."""
    playout = Playout(POLICY)
    playout.expect(TEXT)
    playout.queue(0, 800, words, complete=False)
    playout.drop(0, chars)
    assert [name for name in sent_with_marks(playout, 0.0) if "." in name] == marks
    assert playout.drained(Mono(0.2)) == (not marks)
    for name in marks:
        playout.mark(name)
    assert playout.drained(Mono(0.2))
    assert playout.heard() == heard


def test_the_caller_hears_silence_once_the_audio_that_is_here_is_played() -> None:
    """Words without audio are none."""
    playout = playing(frames=10)
    playout.expect("No audio yet.")
    assert playout.silent_at(Mono(1.0)) == pytest.approx(1.2)
    send(playout, 1.0)
    assert playout.silent_at(Mono(1.1)) == pytest.approx(1.2)


# -- hold and release ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("marks", "again_from", "marks_again"),
    [
        ([], 0, ["1.0.4", "1.0.12", "1.0.19"]),
        (["0.0.4"], 320, ["1.0.12", "1.0.19"]),
        (["0.0.12"], 640, ["1.0.19"]),
    ],
)
def test_a_voice_that_was_held_goes_on_with_the_first_word_not_heard(
    marks: list[str], again_from: int, marks_again: list[str]
) -> None:
    """Nothing is due meanwhile; what was sent and not heard is sent again, with marks anew."""
    playout = playing()
    assert send(playout, 0.0) == LEAD_FRAMES
    playout.reached()
    for name in marks:
        playout.mark(name)
    heard = playout.heard()
    playout.hold(Mono(0.05))
    playout.hold(Mono(0.06))  # a second sound changes nothing
    assert playout.held
    assert playout.due(Mono(9.0)) == 0
    assert playout.reached() == []
    assert not playout.mark("0.0.19"), "the carrier returns what it dropped"
    assert not playout.drained(Mono(99.0))
    assert playout.heard() == heard
    queued_s = FRAMES * FRAME_S - again_from / 8000
    assert playout.drain_at(Mono(7.0)) == pytest.approx(7.0 + queued_s)
    playout.release(Mono(9.0))
    assert not playout.held
    again = sent_with_marks(playout, 9.0)
    assert again[0] == f"0:{again_from}"
    assert [name for name in again if "." in name] == marks_again
    playout.mark("1.0.19")
    assert playout.heard() == TEXT
    assert playout.drained(Mono(9.0))


def test_audio_that_comes_while_the_voice_is_held_waits() -> None:
    """The synthesiser goes on working."""
    playout = playing(frames=5, complete=False)
    send(playout, 0.0)
    playout.hold(Mono(0.0))
    playout.queue(0, 160, (), complete=True)
    playout.expect("And?")
    playout.queue(1, 160, (), complete=True)
    assert playout.due(Mono(1.0)) == 0
    playout.release(Mono(1.0))
    assert [it for it in sent_with_marks(playout, 1.0) if it[1] == ":"] == [
        *(f"0:{n * 160}" for n in range(6)),
        "1:0",
    ]


def test_a_word_begins_anew_at_a_whole_frame() -> None:
    """Up to 20 ms before it; never after."""
    playout = Playout(POLICY)
    playout.expect("Yes sir.")
    playout.queue(0, 640, (SpokenWord(0, 3, 0), SpokenWord(4, 8, 300)), complete=True)
    send(playout, 0.0)
    playout.mark("0.0.3")
    playout.hold(Mono(0.0))
    playout.release(Mono(0.0))
    assert sent_with_marks(playout, 0.0)[0] == "0:160"


def test_a_phrase_without_words_is_said_again_from_its_start() -> None:
    """Nobody knows how much of it was heard."""
    playout = Playout(POLICY)
    playout.expect(TEXT)
    playout.queue(0, 640, (), complete=True)
    send(playout, 0.0)
    playout.hold(Mono(0.04))
    playout.release(Mono(0.5))
    assert sent_with_marks(playout, 0.5)[0] == "0:0"


def test_what_was_heard_to_its_end_is_not_said_again() -> None:
    """Neither a whole phrase nor the rest of a word that broke off."""
    playout = playing(frames=2)
    playout.expect("Lost words.")
    playout.queue(1, 480, (SpokenWord(0, 4, 0),), complete=False)
    playout.drop(1, 0)
    playout.expect("And?")
    playout.queue(2, 160, (), complete=True)
    send(playout, 0.0)
    playout.mark("0.0.19")
    playout.hold(Mono(0.1))
    playout.release(Mono(0.1))
    assert sent_with_marks(playout, 0.1)[-2:] == ["2:0", "1.2.4"]
    assert playout.due(Mono(9.0)) == 0


def test_a_voice_that_is_held_can_be_cleared() -> None:
    """The caller took the word: the next reply is not held."""
    playout = playing()
    send(playout, 0.0)
    playout.mark("0.0.4")
    playout.hold(Mono(0.1))
    assert playout.clear(Mono(0.5)) == "Good"
    assert not playout.held
    playout.expect("And?")
    playout.queue(1, 160, (), complete=True)
    assert sent_with_marks(playout, 0.5) == ["1:0", "2.1.4"]
