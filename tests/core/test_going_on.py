"""What the answer to a half-said answer shows of a model."""

import pytest

from trunkline.core.going_on import WORDS_MIN, Goes, first_half, judged

WEEK = "The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday. Shops open."
HALF = "The days are Monday, Tuesday, Wednesday,"


def test_the_half_ends_inside_a_sentence() -> None:
    """Where the seam would be the end of a sentence it is a word earlier; it is a true prefix."""
    half = first_half(WEEK)
    assert half == HALF
    assert WEEK.startswith(half)
    assert first_half("We open at nine. We close at six.") == "We open at"
    assert first_half("  spaced   words " * 4).split() == ["spaced", "words", "spaced", "words"]


def test_an_answer_of_few_words_has_no_half() -> None:
    """Half of it would tell nothing."""
    assert first_half("word " * (WORDS_MIN - 1)) == ""
    assert first_half("word " * WORDS_MIN) != ""


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (" Thursday, Friday, Saturday and Sunday.", Goes.ON),
        ("thursday", Goes.ON),
        ("The days are Monday and so on.", Goes.AGAIN),
        ("Sure! Thursday, Friday", Goes.AGAIN),
        ("", Goes.UNCLEAR),
        ("Wednesday comes next.", Goes.UNCLEAR),
        ("Thursday is not what you asked for.", Goes.UNCLEAR),
    ],
)
def test_who_says_the_rest_goes_on(said: str, shown: Goes) -> None:
    """Who begins again, or answers, does not; all else shows nothing."""
    assert judged(WEEK, HALF, said) is shown


def test_who_begins_the_half_said_sentence_again_begins_again() -> None:
    """A chat template that closes the message makes models do this."""
    answer = "Of course. We are open on Monday. On Tuesday we open late and close early."
    half = "Of course. We are open on Monday. On Tuesday we open"
    assert judged(answer, half, "On Tuesday we open late.") is Goes.AGAIN
    assert judged(answer, half, "late and close early.") is Goes.ON


def test_an_answer_that_repeats_itself_shows_nothing() -> None:
    """Its rest begins as it began itself."""
    assert judged("one two three. one two three.", "one two three.", "one two") is Goes.UNCLEAR


def test_openers_of_an_unknown_language_are_not_known() -> None:
    """Then only what is said again tells."""
    assert judged(WEEK, HALF, "Sure! Thursday", language="tlh") is Goes.UNCLEAR
