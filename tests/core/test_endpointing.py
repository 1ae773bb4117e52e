"""Whether a sentence can be over, from its last words."""

import pytest

from trunkline.core.endpointing import is_open


@pytest.mark.parametrize(
    "text",
    [
        "my name is",
        "I would like to",
        "i'd like",
        "i would like an appointment on",
        "on monday at",
        "yes and",
        "it is for my",
        "um",
        "i want to come next",
        "half past",
    ],
)
def test_a_sentence_that_wants_another_word_is_open(text: str) -> None:
    """Articles, prepositions, conjunctions, possessives, beginnings of wishes and names."""
    assert is_open(text, "en-US")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "yes it is",
        "my name is john smith",
        "i would like to book an appointment",
        "on monday at nine",
        "hold on",
        "what's next",
        "i need a doctor",
        "thank you",
    ],
)
def test_a_sentence_that_can_be_over_is_closed(text: str) -> None:
    """Some ends only look open."""
    assert not is_open(text, "en")


@pytest.mark.parametrize(
    ("language", "is_open_text", "is_closed_text"),
    [
        ("de", "ich hätte gern einen Termin am", "ich hätte gern einen Termin am Montag"),
        ("de-CH", "mein Name ist", "ich rufe morgen an"),
        ("fr", "je m'appelle", "je m'appelle Anne"),
        ("es", "me gustaría", "me gustaría el lunes"),
    ],
)
def test_the_words_are_those_of_the_calls_language(
    language: str, is_open_text: str, is_closed_text: str
) -> None:
    """By its tag's first part."""
    assert is_open(is_open_text, language)
    assert not is_open(is_closed_text, language)


def test_in_a_language_without_a_table_every_sentence_can_be_over() -> None:
    """Nobody waits longer for a guess."""
    assert not is_open("my name is", "ja")


@pytest.mark.parametrize(
    ("text", "asked", "still_open"),
    [
        ("five five five", "What is your phone number?", True),
        ("it is 555 01", "What is your phone number?", True),
        ("five five five oh one two oh", "What is your phone number?", False),
        ("5550120", "What is your phone number?", False),
        ("five", "How many are you?", False),
        ("i do not know", "What is your phone number?", False),
        ("vier eins", "Wie ist Ihre Telefonnummer?", False),  # asked in another language
    ],
)
def test_digits_that_were_asked_for_are_waited_for(text: str, asked: str, still_open: bool) -> None:
    """Until there are enough for a telephone number."""
    assert is_open(text, "en", asked) is still_open
