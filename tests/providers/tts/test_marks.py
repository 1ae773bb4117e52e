"""Characters with times become words with places."""

from hypothesis import given
from hypothesis import strategies as st

from trunkline.providers.tts.marks import WordMarks
from trunkline.types import SpokenWord

TEXTS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60).filter(
    str.strip
)


def places(text: str) -> list[tuple[int, int]]:
    """The words of *text*."""
    words, at = [], 0
    for word in text.split():
        at = text.index(word, at)
        words.append((at, at + len(word)))
        at += len(word)
    return words


@given(TEXTS, st.lists(st.integers(1, 5), max_size=30))
def test_every_word_is_marked_once_however_it_is_cut(text: str, cuts: list[int]) -> None:
    """An exact echo marks every word where it begins, whatever its script, in any pieces."""
    marks = WordMarks(text)
    echo = [(letter, 10 * number) for number, letter in enumerate(text)]
    found: list[SpokenWord] = []
    for cut in [*cuts, len(echo)]:
        found += marks.place(echo[:cut])
        echo = echo[cut:]
    assert [(mark.start, mark.end) for mark in found] == places(text)
    assert [mark.at for mark in found] == [10 * start for start, _ in places(text)]
    assert not marks.cut_short


@given(TEXTS, st.text(max_size=40), st.lists(st.integers(-5, 900), min_size=40, max_size=40))
def test_no_echo_breaks_it(text: str, echo: str, times: list[int]) -> None:
    """Marks are words of the text, in order, and their times never run backwards."""
    found = WordMarks(text).place(zip(echo, times, strict=False))
    spans = places(text)
    assert all((mark.start, mark.end) in spans for mark in found)
    assert [mark.start for mark in found] == sorted({mark.start for mark in found})
    assert [mark.at for mark in found] == sorted(mark.at for mark in found)


def test_an_echo_that_swallows_signs() -> None:
    """A dash that is not echoed costs nothing; words after it keep their places."""
    marks = WordMarks("Well - yes, ten past.")
    found = marks.place((letter, at) for at, letter in enumerate(" Well yes ten past"))
    assert [mark.start for mark in found] == [0, 7, 12, 16]
    assert not marks.cut_short


def test_a_group_of_letters_in_one_piece() -> None:
    """Some synthesisers tell several characters at a time."""
    found = WordMarks("naïve café").place([("naï", 0), ("ve ca", 80), ("fé", 160)])
    assert [(mark.start, mark.at) for mark in found] == [(0, 0), (6, 80)]


def test_a_voice_that_broke_off() -> None:
    """Two words without a place at the end are missing; one may be a sign that is not spoken."""
    text = "We open at nine o'clock."
    short, nearly = WordMarks(text), WordMarks(text)
    short.place((letter, 0) for letter in "We open at")
    nearly.place((letter, 0) for letter in "We open at nine")
    assert short.cut_short
    assert not nearly.cut_short
    assert not WordMarks(text).cut_short, "nothing is known without any character"
    assert not WordMarks("?!").speakable
