"""Which words of a phrase are certainly said, and whether its audio lies."""

import pytest

from trunkline.core.takes import Run, Take
from trunkline.core.tempo import Tempo
from trunkline.types import SpokenWord

TEXT = "Good morning, dear caller."
WORDS = (
    SpokenWord(0, 4, 0),
    SpokenWord(5, 13, 4000),
    SpokenWord(14, 18, 9000),
    SpokenWord(19, 26, 13_000),
)
WHOLE_S = 2.2


def take(samples: int, words: int = 4, quiet: tuple[Run, ...] = (), *, last: bool = False) -> Take:
    """So much of the greeting."""
    made = Take(TEXT)
    made.add(samples, WORDS[:words], quiet, last=last)
    return made


# -- whole words -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "words", "quiet", "ready"),
    [
        (3000, 1, (), 0),  # the first word is not over
        (4000, 2, (), 4000),
        (6000, 2, (), 4000),
        (6000, 4, (), 4000),  # marks may come before their audio
        (14_000, 4, (), 13_000),
        (9400, 3, ((8000, 9400),), 4000),  # silence waits for the sound that ends it
        (9400, 3, ((8000, 9200),), 9000),
        (6000, 0, (), 6000),  # no marks: as it comes, but for silence at its end
        (6000, 0, ((1000, 1200),), 6000),
        (6000, 0, ((5500, 6000),), 5500),
    ],
)
def test_a_word_is_ready_once_the_next_one_sounds(
    samples: int, words: int, quiet: tuple[Run, ...], ready: int
) -> None:
    """Or once the phrase is whole."""
    made = take(samples, words, quiet)
    assert made.ready == ready
    made.whole = True
    assert made.ready == samples


def test_what_comes_in_pieces_is_one_take() -> None:
    """Silence that goes on from one piece to the next is one stretch; marks are of the phrase."""
    made = Take(TEXT, 14)
    made.add(1000, (SpokenWord(0, 4, 0),), ((600, 1000),), last=False)
    made.add(4000, (SpokenWord(5, 12, 4000),), ((1000, 1200), (3000, 3100)), last=False)
    assert made.quiet == [(600, 1200), (3000, 3100)]
    assert made.words == [SpokenWord(14, 18, 0), SpokenWord(19, 26, 4000)]
    assert made.rest == "dear caller."
    assert made.voiced


@pytest.mark.parametrize(
    ("quiet", "words", "onset"),
    [((), 0, 0), (((0, 1000),), 0, 840), (((0, 1000),), 4, 0), (((400, 900),), 0, 0)],
)
def test_a_seam_leaves_out_the_silence_before_the_first_word(
    quiet: tuple[Run, ...], words: int, onset: int
) -> None:
    """But for 20 ms of it."""
    assert take(4000, words, quiet).onset == onset


# -- what was said ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "words", "said"),
    [
        (0, 4, 0),
        (4000, 4, 5),
        (9000, 4, 14),
        (5000, 2, 14),  # a word without an end counts as said: it is not repeated
        (5000, 1, 5),
        (0, 0, 0),
        (100, 0, 5),  # no marks: the word that is being said counts as said
        (9000, 0, 14),
        (12_000, 0, 19),
        (16_000, 0, 26),
    ],
)
def test_the_next_word_is_the_first_that_was_not_given(given: int, words: int, said: int) -> None:
    """By marks, else by time."""
    made = take(16_000, words)
    made.given = given
    assert made.said(WHOLE_S) == said


def test_a_whole_phrase_is_said() -> None:
    """Whatever its marks are."""
    made = take(16_000, 2)
    made.whole = True
    assert made.said(WHOLE_S) == len(TEXT)


# -- lies ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "words", "quiet", "lie"),
    [
        (16_000, 4, (), None),
        (16_000, 4, ((1000, 2500),), None),  # 0.19 s
        (16_000, 4, ((1000, 2600),), 0),
        (16_000, 4, ((7000, 9000),), None),  # the comma
        (16_000, 4, ((7000, 10_700),), 9000),  # the comma does not excuse the next word
        (16_000, 4, ((3600, 5700),), 4000),  # 50 ms before a mark are the word's end
        (16_000, 4, ((0, 1600),), 0),
        (12_000, 3, ((9500, 12_000),), None),  # the word in progress is left to the clock
        (9000, 3, ((4000, 9000),), 4000),  # not a sound of the word
        (16_000, 0, ((0, 4000),), None),  # a late start
        (16_000, 0, ((4000, 8000),), None),  # the text has a comma
        (16_000, 0, ((4000, 10_400),), 4000),
    ],
)
def test_silence_is_a_lie_where_speech_is_due(
    samples: int, words: int, quiet: tuple[Run, ...], lie: int | None
) -> None:
    """From 0.2 s on, unless a pause is due."""
    made = take(samples, words, quiet)
    assert made.lies_at() == lie
    made.limit = lie
    if words and lie is not None:
        assert made.ready == lie  # the words before it stand


@pytest.mark.parametrize(
    ("text", "lie"),
    [
        ("call 555-1234 now please", None),  # read out in parts
        ("well \N{EN DASH} now please", None),
        ("well now then please", 0),
    ],
)
def test_some_words_have_pauses_in_them(text: str, lie: int | None) -> None:
    """And a dash is one."""
    words, start = [], 0
    for place, word in enumerate(text.split()):
        words.append(SpokenWord(start, start + len(word), place * 8000))
        start += len(word) + 1
    made = Take(text)
    made.add(32_000, words, ((8500 if lie is None else 2000, 13_000),), last=True)
    assert made.lies_at() == (lie if lie is None else 0)


def test_a_dash_on_its_own_may_be_silent() -> None:
    """It has no sound."""
    made = Take("well \N{EN DASH} now")
    words = (SpokenWord(0, 4, 0), SpokenWord(5, 6, 4000), SpokenWord(7, 10, 8000))
    made.add(16_000, words, ((4000, 8000),), last=True)
    assert made.lies_at() is None


def test_the_last_word_must_sound_but_may_be_followed_by_silence() -> None:
    """Engines end with it."""
    assert take(20_000, 4, ((15_000, 20_000),), last=True).lies_at() is None
    assert take(16_000, 4, ((13_000, 16_000),), last=True).lies_at() == 13_000
    assert take(16_000, 0, ((4000, 16_000),), last=True).lies_at() is None
    assert take(16_000, 0, ((4000, 14_000),), last=True).lies_at() == 4000


def test_a_text_without_words_cannot_lie() -> None:
    """Its audio may be silent, or missing."""
    made = Take("...")
    made.add(8000, (), ((0, 8000),), last=True)
    assert made.lies_at() is None
    assert made.short(Tempo()) == ""


def test_a_plain_text_without_marks_has_no_pauses() -> None:
    """0.2 s of silence inside it are a lie."""
    made = Take("please bring your card with you.")
    made.add(16_000, (), ((4000, 5600),), last=False)
    assert made.lies_at() == 4000


# -- too short -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("samples", "words", "quiet", "why"),
    [
        (16_000, 4, (), ""),
        (16_000, 3, (), "no word marks for the last 7 characters"),
        (12_000, 4, (), "no word marks for the last 7 characters"),
        (16_000, 0, (), ""),
        (7000, 0, (), "0.88 s of audio where 1.83 s were expected"),
        (9500, 0, (), ""),
        (0, 4, (), "no word marks for the last 26 characters"),
        (16_000, 0, ((0, 16_000),), "nothing but silence"),
    ],
)
def test_a_clean_end_is_believed_if_marks_and_time_agree(
    samples: int, words: int, quiet: tuple[Run, ...], why: str
) -> None:
    """A polite end after half a sentence is none."""
    assert take(samples, words, quiet, last=True).short(Tempo()) == why


def test_marks_outweigh_the_duration_until_the_pace_is_known() -> None:
    """A voice may be fast."""
    fast = Take(TEXT)
    fast.add(7000, [SpokenWord(w.start, w.end, w.at // 2) for w in WORDS], (), last=True)
    tempo = Tempo()
    assert fast.short(tempo) == ""
    for _ in range(60):
        tempo.learn(len(TEXT), 2.0)
    assert fast.short(tempo) == "0.88 s of audio where 1.99 s were expected"
