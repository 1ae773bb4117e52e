"""How text of another writer is joined on to what a reader has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.seam import OPENER_CHARS, STARTS_MAX, Again, Hold, Onward, Passing, sentences


def joined(sent: str, text: str, pieces: int = 1) -> str | None:
    """What the reader has in the end if *text* comes, so many signs at a time; None: lost."""
    again, new = Again(sent, "en"), ""
    for at in range(0, len(text), pieces):
        new += again.feed(text[at : at + pieces])
    new += again.end()
    return None if again.lost else sent + new


# -- a prefix that is continued --------------------------------------------------------------------


def test_who_continues_a_prefix_is_believed() -> None:
    """Even in the middle of a word."""
    onward = Onward("The appoin")
    assert onward.feed("tment is") + onward.feed(" on Monday") == "tment is on Monday"
    assert (onward.end(), onward.lost, onward.waits) == ("", False, False)


def test_white_space_at_the_seam_stands_once() -> None:
    """A codec strips it from the prefix, and the model begins with it, perhaps twice."""
    onward = Onward("We are ")
    assert [onward.feed(it) for it in (" ", " op", "en  to")] == ["", "op", "en  to"]


# -- a sentence that is written again --------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 3, 1000])
@pytest.mark.parametrize(
    ("sent", "text", "whole"),
    [
        ("We are op", "We are open from nine.", "We are open from nine."),
        ("Yes. We are op", "We are open from nine.", "Yes. We are open from nine."),
        ("Yes. We are op", "Yes! We are open.", "Yes. We are open."),  # from the start
        ("One. Two. Thr", "Two. Three. Four.", "One. Two. Three. Four."),
        ("We are open, ", "we are open, and", "We are open, and"),
        ("We are open, ", "We are open and", "We are open, and"),
        ("We are open", "We are open.", "We are open."),
        ("The price is 3", "Sorry about that. The price is 3.50.", "The price is 3.50."),
        ("Straße 1", "STRASSE 12", "Straße 12"),
        ("We open. We", "We open. We close.", "We open. We close."),  # two starts fit
        ("We open. We", "We close.", "We open. We close."),
        ("**", "**Bold** words", "**Bold** words"),
    ],
)
def test_words_that_were_sent_are_dropped(sent: str, text: str, whole: str, pieces: int) -> None:
    """However the text is cut, the reader has the whole answer once."""
    assert joined(sent, text, pieces) == whole


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize(
    "text",
    [
        "Our hours are from nine to six on every weekday, and from ten to two on Saturdays.",
        "Our hours.",
        "We ar",  # it ends before anything new
    ],
)
def test_what_fits_nowhere_is_lost(text: str, pieces: int) -> None:
    """It is never passed on."""
    assert joined("Yes. We are op", text, pieces) is None


def test_nothing_is_passed_on_before_it_is_known_to_fit() -> None:
    """Text that may be an apology is waited for, but not for ever."""
    again = Again("We are op", "en")
    assert again.feed("x" * OPENER_CHARS) == ""
    assert not again.lost
    assert again.feed("x") == ""
    assert again.lost
    assert again.end() == ""


def test_a_language_without_openers_is_aligned_all_the_same() -> None:
    """Only the apology is not known there."""
    again = Again("Olemme au", "fi")
    assert again.feed("Olemme auki ") == "ki "


def test_of_a_long_text_the_last_sentences_are_compared() -> None:
    """What is compared is bounded."""
    sent = "One. " + "Two. " * STARTS_MAX + "Thr"
    assert joined(sent, "Three.") == sent + "ee."


# -- behind whole sentences ------------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [1, 1000])
@pytest.mark.parametrize(
    ("sent", "text", "whole"),
    [
        ("One.", "Two. Three.", "One. Two. Three."),
        ("One.\n", "Two. Three.", "One.\nTwo. Three."),
        ("One.", "Sure, two. Three.", "One. Two. Three."),
        ("One. Two.", "Two. Three. Four", "One. Two. Three. Four"),
        ("One.", "One.", "One."),
        ("One.", "", "One."),
    ],
)
def test_greetings_and_sentences_that_were_sent_are_dropped(
    sent: str, text: str, whole: str, pieces: int
) -> None:
    """Until one is new; what follows it is passed on as it is."""
    assert joined(sent, text, pieces) == whole


# -- what may be passed on -------------------------------------------------------------------------


def passed(hold: Hold, *texts: str) -> list[str]:
    """The pieces in which *texts* are passed on."""
    passing = Passing(Onward(""), hold)
    pieces = [piece for text in texts for piece in passing.feed(text)]
    return [*pieces, *filter(None, [passing.end()])]


def test_text_is_passed_on_as_it_comes() -> None:
    """But not before the first word."""
    assert passed("none", "\n", " ", "We ", "", "are open. ") == ["\n We ", "are open. "]


def test_whole_sentences_keep_the_space_between_them() -> None:
    """They are parts of a text, not lines to be said."""
    texts = ("One.\n\nTwo. Th", "ree", ". ")
    assert passed("sentence", *texts) == ["One.\n\nTwo.", " Three."]


def test_all_is_kept_to_the_end() -> None:
    """For who wants one body."""
    assert passed("all", "One. ", "Two. ") == ["One. Two. "]


def test_nothing_is_nothing() -> None:
    """An answer of white space is none."""
    assert passed("none", " \n") == []


def test_what_was_kept_back_comes_with_what_follows() -> None:
    """In order."""
    passing = Passing(Onward(""), "none")
    (piece,) = passing.feed("One ")
    passing.keep(piece)
    assert passing.feed("two") == ["One two"]
    assert not passing.lost


def test_a_held_sentence_with_its_full_stop_is_there_for_the_taking() -> None:
    """As in speech, when nothing follows it; where nothing is held, nothing is to be taken."""
    held, open_ = Passing(Onward(""), "sentence"), Passing(Onward(""), "none")
    for passing in (held, open_):
        assert passing.complete_rest() is None
        passing.feed("One.")
    assert (held.rest, open_.rest) == ("One.", "")
    assert (held.complete_rest(), open_.complete_rest()) == ("One.", None)
    open_.feed(" And")
    assert open_.rest == "And"


def test_the_end_of_what_was_aligned_is_passed_on() -> None:
    """A last sentence that nothing follows."""
    passing = Passing(Again("One.", "en"), "none")
    assert passing.feed("Two") == []
    assert passing.end() == " Two"


def test_sentences_and_a_fragment() -> None:
    """Where a text broke off."""
    assert sentences("One. Two. Thr") == (["One.", "Two."], "Thr")
    assert sentences("One. Two.") == (["One.", "Two."], "")


ANSWER = "Yes, sure. We are open from 9 to 6, on weekdays.\nOn Saturdays: 10-12! Is that fine?"


@given(cut=st.integers(1, len(ANSWER) - 1), pieces=st.integers(1, 9))
def test_who_writes_the_same_answer_again_completes_it(cut: int, pieces: int) -> None:
    """Wherever it broke off, and however it comes: no letter is lost or said twice."""
    whole = joined(ANSWER[:cut], ANSWER, pieces)
    assert whole is not None
    assert [it for it in whole if it.isalnum()] == [it for it in ANSWER if it.isalnum()]


@given(cut=st.integers(1, len(ANSWER) - 1), pieces=st.integers(1, 9))
def test_who_continues_completes_it_exactly(cut: int, pieces: int) -> None:
    """A prefix-capable endpoint: not a sign differs, but for white space at the seam."""
    onward, rest = Onward(ANSWER[:cut]), ANSWER[:cut].rstrip()
    text = ANSWER[len(rest) :]
    new = "".join(onward.feed(text[at : at + pieces]) for at in range(0, len(text), pieces))
    assert ANSWER[:cut] + new == ANSWER
