"""What is taken out of a text and of the audio in which it was said."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.privacy.detect import SpeechDetector
from trunkline.privacy.redact import (
    MARGIN_SAMPLES,
    Stretch,
    redacted_recording,
    redacted_text,
    when_said,
)
from trunkline.privacy.spans import Kind, Span
from trunkline.types import Sample, Word

SAID = "my name is sarah miller"
NAME = Span(11, 23, Kind.NAME, "sarah miller", "test/1")
WHOLE = Stretch(Sample(7000), Sample(50_000))


def words(text: str = SAID) -> list[Word]:
    """A word every second, for half a second, from second 1 on."""
    return [
        Word(word, Sample(8000 * n), Sample(8000 * n + 4000))
        for n, word in enumerate(text.split(), 1)
    ]


def test_the_text_says_what_kind_was_there() -> None:
    """Two words of one name are one; a span outside of the text is refused."""
    first, last = Span(11, 16, Kind.NAME, "", "t"), Span(17, 23, Kind.NAME, "", "t")
    assert redacted_text(SAID, [first, last]) == "my name is [name]"
    with pytest.raises(InputError, match="outside"):
        redacted_text("short", [NAME])


def test_only_the_words_of_a_span_are_silenced() -> None:
    """With a margin for a recogniser's borders."""
    assert when_said(SAID, NAME, words(), WHOLE) == Stretch(
        Sample(32_000 - MARGIN_SAMPLES), Sample(44_000 + MARGIN_SAMPLES)
    )


@pytest.mark.parametrize(
    "told",
    [[], words()[:-1], words(SAID.replace("sarah", "zara")), words(f"{SAID} jones")],
    ids=["none", "one missing", "another one", "one too many"],
)
def test_without_sure_times_all_of_the_utterance_is_silenced(told: list[Word]) -> None:
    """Words that are not just those of the text tell nothing about when it was said."""
    assert when_said(SAID, NAME, told, WHOLE) == WHOLE


def test_a_stretch_is_silent_on_both_channels_and_the_rest_is_as_it_was() -> None:
    """The original is not touched; 5 ms on both sides are faded."""
    pcm = np.full((8000, 2), 1000, np.int16)
    made = redacted_recording(pcm, [Stretch(Sample(2000), Sample(3000))])
    assert not made[2000:3000].any()
    assert (made[:1960] == 1000).all()
    assert (made[3040:] == 1000).all()
    assert (np.diff(made[1960:2001, 0]) <= 0).all()
    assert (pcm == 1000).all()


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(1, 200)), max_size=5))
def test_stretches_anywhere_are_silent(places: list[tuple[int, int]]) -> None:
    """Also such as overlap, touch, or lie beyond the end of the recording."""
    stretches = [Stretch(Sample(start), Sample(start + n)) for start, n in places]
    made = redacted_recording(np.full(400, 9, np.int16), stretches)
    assert made.shape == (400,)
    assert not any(made[it.start : it.end].any() for it in stretches)


def test_redacting_what_was_redacted_changes_nothing() -> None:
    """The marks themselves are nothing personal."""
    detector = SpeechDetector()
    text = "I am Sarah Miller, born March 3rd 1982, call 415-555-0123 or s.miller@example.com"
    once = redacted_text(text, detector.spans(text))
    assert redacted_text(once, detector.spans(once)) == once
    assert once == "I am [name], born [date_of_birth], call [phone] or [email]"
