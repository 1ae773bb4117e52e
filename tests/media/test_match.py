"""Was the phrase heard: once, in full and in order?"""

from pathlib import Path

import numpy as np
import pytest

from tests.media.voices import RATE, Pcm, line, phrase, silence
from trunkline.errors import InputError
from trunkline.media import wav
from trunkline.media.match import find, heard
from trunkline.media.resample import StreamResampler

SAID = phrase(1)
OTHER = phrase(2)


def on_the_line(*parts: Pcm) -> Pcm:
    """A second of silence, the parts, a second of silence, through mu-law."""
    return line(np.concatenate((silence(1), *parts, silence(1))))


def test_a_phrase_is_found_at_its_sample() -> None:
    """One match, at the very sample, all but perfect through mu-law."""
    (match,) = find(SAID, on_the_line(SAID))
    assert match.start_s == 1.0
    assert match.score > 0.999


def test_each_rendition_is_found_once_and_in_time_order() -> None:
    """Three renditions among other speech are three matches."""
    matches = find(SAID, on_the_line(SAID, OTHER, SAID, silence(0.3), SAID))
    assert [match.start_s for match in matches] == [1.0, 9.0, 13.3]


@pytest.mark.parametrize("other", range(2, 10))
def test_another_phrase_of_the_same_voice_is_not_found(other: int) -> None:
    """Nothing of the phrase is heard in other speech."""
    channel = on_the_line(phrase(other, 8.0))
    assert find(SAID, channel) == []
    was = heard(SAID, channel)
    assert set(was.parts) == {0}
    assert (was.count, was.once, was.start_s, was.end_s) == (0, False, None, None)


def test_the_level_does_not_matter_but_silence_does() -> None:
    """At a quarter of the level it is heard; 40 dB down nobody would hear it."""
    assert heard(SAID, on_the_line((SAID // 4).astype(np.int16))).once
    faint = on_the_line((SAID // 100).astype(np.int16))
    assert heard(SAID, faint).count == 0
    assert find(SAID, faint) == []


def test_a_phrase_heard_once_is_known_from_start_to_end() -> None:
    """All parts once, in order, with the span."""
    was = heard(SAID, on_the_line(OTHER, SAID, OTHER))
    assert was.once
    assert was.count == 1
    assert len(was.parts) >= 6
    assert (was.start_s, was.end_s) == (5.0, 9.0)


def test_a_planted_repetition_is_seen() -> None:
    """The whole phrase twice counts two; 1.2 s said again shows in their parts only."""
    twice = heard(SAID, on_the_line(SAID, silence(0.4), SAID))
    assert twice.count == 2
    assert not twice.once
    at = 2 * RATE
    again = heard(SAID, on_the_line(SAID[:at], silence(0.4), SAID[at - 9_600 :]))
    assert again.count == 1
    assert max(again.parts) == 2
    assert not again.once


@pytest.mark.parametrize("at_s", np.arange(0.1, 3.5, 0.23))
@pytest.mark.parametrize("silent", [True, False])
@pytest.mark.parametrize("loss_s", [0.2, 0.4])
def test_a_planted_loss_is_seen_wherever_it_is(at_s: float, loss_s: float, silent: bool) -> None:
    """A fifth of a second that is missing, as silence or as a cut, leaves a part unheard."""
    at = round(at_s * RATE)
    hole = silence(loss_s if silent else 0)
    was = heard(SAID, on_the_line(SAID[:at], hole, SAID[at + round(loss_s * RATE) :]))
    assert was.count == 0
    assert set(was.parts) == {0, 1}
    assert was.parts.count(0) <= 3


def test_a_planted_truncation_is_seen() -> None:
    """A phrase that stops after 2.5 s: the first parts are heard, the last ones not."""
    was = heard(SAID, on_the_line(SAID[: RATE * 5 // 2], OTHER))
    heard_parts = sum(was.parts)
    assert was.count == 0
    assert 5 <= heard_parts < len(was.parts)
    assert was.parts == (1,) * heard_parts + (0,) * (len(was.parts) - heard_parts)


def test_a_shuffled_order_is_seen() -> None:
    """Both halves are heard, the second one first."""
    was = heard(SAID, on_the_line(SAID[16_000:], SAID[:16_000]))
    assert not was.in_order
    assert not was.once
    assert max(was.parts) == 1


@pytest.mark.parametrize("at_s", np.arange(0.1, 3.95, 0.23))
@pytest.mark.parametrize("gap_s", [0.1, 0.8, 6.0])
def test_a_gap_inside_is_no_loss(at_s: float, gap_s: float) -> None:
    """A stall anywhere, also within a piece, the first and the last included: heard once."""
    at = round(at_s * RATE)
    was = heard(SAID, on_the_line(SAID[:at], silence(gap_s), SAID[at:]))
    assert was.once
    assert was.start_s == pytest.approx(1.0, abs=0.11)  # a sliver before the gap may be given up
    assert was.end_s == pytest.approx(5.0 + gap_s, abs=gap_s if at_s > 3.85 else 0.01)


@pytest.mark.parametrize("noise_db", [40, 30])
def test_noise_hides_neither_a_phrase_nor_its_loss(noise_db: float) -> None:
    """With line noise down to 10 dB below the speech, the verdict stays the same."""
    whole = np.concatenate((silence(1), SAID, silence(1)))
    lost = np.concatenate((silence(1), SAID[:12_000], silence(0.5), SAID[16_000:], silence(1)))
    assert heard(SAID, line(whole, noise_db)).once
    assert heard(SAID, line(lost, noise_db)).count == 0


@pytest.mark.parametrize("rate", [16_000, 48_000])
def test_a_browser_leg_with_its_fraction_of_a_sample_is_no_loss(rate: int) -> None:
    """Up to the browser's rate and back the audio lies between the samples; the gap is bridged."""
    up, down = StreamResampler(RATE, rate), StreamResampler(rate, RATE)
    said = np.concatenate((silence(1), SAID[:13_000], silence(0.7), SAID[13_000:], silence(1)))
    assert heard(SAID, line(down.feed(up.feed(said)))).once


def test_hiss_between_two_samples_is_found() -> None:
    """Half a sample turns an "s" of 2 to 3.4 kHz by 45 to 77 degrees: it is still the same."""
    spectrum = np.fft.rfft(np.random.default_rng(7).standard_normal(4 * RATE))
    hz = np.fft.rfftfreq(4 * RATE, 1 / (2 * RATE))
    fine = np.fft.irfft(np.where((hz > 2_000) & (hz < 3_400), spectrum, 0))
    fine = np.rint(fine / np.abs(fine).max() * 20_000)
    said, late = fine[1::2].astype(np.int16), fine[0::2].astype(np.int16)
    (match,) = find(said, on_the_line(late))
    assert match.score > 0.95
    assert heard(said, on_the_line(late)).once


def test_a_channel_shorter_than_the_phrase_holds_none() -> None:
    """An early hang-up is no error."""
    assert find(SAID, line(SAID[:8_000])) == []
    assert heard(SAID, line(SAID[:8_000])).count == 0
    assert heard(SAID, silence(0)).count == 0


def test_a_silent_template_is_refused() -> None:
    """Silence would be found everywhere."""
    for template in (silence(1), silence(0)):
        with pytest.raises(InputError, match="silent template"):
            find(template, on_the_line(SAID))
        with pytest.raises(InputError, match="silent template"):
            heard(template, on_the_line(SAID))


def test_a_whole_tape_is_refused() -> None:
    """Matching needs to know which of the two was to be heard."""
    with pytest.raises(InputError, match="one channel"):
        find(SAID, np.zeros((8_000, 2), np.int16))


CLIPS = Path(__file__).parent / "clips"
ESPEAK = [
    # espeak-ng 1.51, voice en-us at 175 words a minute, through mu-law: "The appointment is on
    # Monday at nine. Please bring your insurance card. Is there anything else that I can do for
    # you?" and "Our clinic is closed on Sunday. We can see you on Tuesday afternoon, if that suits
    # you better."
    wav.read(CLIPS / "espeak_appointment.wav"),
    wav.read(CLIPS / "espeak_closed.wav"),
]


def test_a_robot_voice_is_told_from_itself() -> None:
    """Two sentences of one synthetic voice, each heard once among the other."""
    said, other = ESPEAK
    channel = on_the_line(other, silence(0.5), said, silence(0.5), other)
    assert heard(said, channel).once
    assert heard(other, channel).count == 2
    assert set(heard(said, on_the_line(other, other)).parts) == {0}
    assert set(heard(other, on_the_line(said, said)).parts) == {0}


@pytest.mark.parametrize("at_s", np.arange(0.2, 5.4, 0.4))
def test_a_stall_in_a_robot_voice_is_no_loss(at_s: float) -> None:
    """1.5 s of silence at any place of a real synthesiser's audio, and it is still heard once."""
    at = round(at_s * RATE)
    assert heard(ESPEAK[0], on_the_line(ESPEAK[0][:at], silence(1.5), ESPEAK[0][at:])).once
