"""Whether a sentence is over, from its words so far."""

import pytest

from trunkline.core.endpointing import Ending, ending, without_fragments


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
        "could you please",
        "i want to come next",
        "half past",
    ],
)
def test_a_sentence_that_wants_another_word_is_open(text: str) -> None:
    """Articles, prepositions, conjunctions, possessives, beginnings of wishes and names."""
    assert ending(text, "en-US") is Ending.OPEN


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yes",
        "yes it is",
        "please",
        "my name is john smith",
        "i would like to book an appointment",
        "on monday at nine",
        "hold on",
        "i need a doctor",
        "are you open",
        "do you accept",
        "do you have an appointment",
        "do you take anything",
    ],
)
def test_a_sentence_that_may_go_on_is_unsure(text: str) -> None:
    """A whole sentence, but days, times and reasons often follow; some ends only look open."""
    assert ending(text, "en") is Ending.UNSURE


@pytest.mark.parametrize(
    "text",
    [
        "thank you",
        "I'd like a cleaning, please.",
        "no that's all",
        "nine o'clock works for me",
        "that is fine",
        "where can i park",
        "hello what are your opening hours",
        "how much does a crown cost",
        "my tooth hurts how do i get there",
        "what do you need",
        "do you take walk ins",
        "hello does the dentist see children",
        "what's next",
    ],
)
def test_courtesies_and_questions_that_are_whole_are_over(text: str) -> None:
    """Whatever the agent asked."""
    assert ending(text, "en") is Ending.OVER


@pytest.mark.parametrize(
    "text",
    [
        "where can",
        "what time do you",
        "how much is",
        "what are your opening",
        "how can i change",
        "why not",
        "what a day",
        "how much",
    ],
)
def test_half_a_question_is_not_over(text: str) -> None:
    """It ends in its verb, in who does it, in a verb that wants its object, or it is none."""
    assert ending(text, "en") is not Ending.OVER


@pytest.mark.parametrize(
    ("asked", "text", "found"),
    [
        ("Shall I book it?", "yes", Ending.OVER),
        ("Shall I book it?", "no", Ending.OVER),
        ("Shall I book it?", "no nothing", Ending.UNSURE),
        ("Shall I book it? One moment.", "yes", Ending.UNSURE),
        ("It is nine. Which day suits you?", "okay", Ending.UNSURE),
        ("What is your name?", "john", Ending.UNSURE),
        ("What is your name?", "my name is john", Ending.UNSURE),
        ("What is your name?", "john smith", Ending.OVER),
        ("May I have your name?", "It's John Smith.", Ending.OVER),
        ("What is your name?", "i do not want to say", Ending.UNSURE),
        ("Which day suits you?", "thursday", Ending.UNSURE),
        ("Which day suits you?", "thursday afternoon", Ending.OVER),
        ("Which day suits you?", "december the third", Ending.OVER),
        ("At what time?", "ten", Ending.UNSURE),
        ("At what time?", "ten thirty", Ending.OVER),
        ("At what time?", "half past ten", Ending.OVER),
        ("How can I help you?", "tomorrow morning", Ending.UNSURE),
        ("What is your phone number?", "five five five", Ending.OPEN),
        ("What is your phone number?", "it is 555 01", Ending.OPEN),
        ("What is your phone number?", "five five five oh one two oh", Ending.UNSURE),
        ("What is your phone number?", "5550120", Ending.UNSURE),
        ("What is your phone number?", "2025550120", Ending.OVER),
        ("How many are you?", "five", Ending.UNSURE),
        ("What is your phone number?", "i do not know", Ending.UNSURE),
        ("Wie ist Ihre Telefonnummer?", "vier eins", Ending.UNSURE),
    ],
)
def test_what_was_asked_for_is_all_that_is_waited_for(asked: str, text: str, found: Ending) -> None:
    """A yes or no, first and last name, a day with its part, a time, enough digits."""
    assert ending(text, "en", asked) is found


@pytest.mark.parametrize(
    ("language", "is_open", "is_unsure", "is_over"),
    [
        (
            "de",
            "ich hätte gern einen Termin am",
            "ich hätte gern einen Termin",
            "wo kann ich parken",
        ),
        ("de-CH", "mein Name ist", "ich rufe morgen an", "am Montag bitte"),
        ("fr", "je m'appelle", "je m'appelle Anne", "lundi s'il vous plaît"),
        ("fr", "je voudrais", "lundi", "où est le parking"),
        ("es", "me gustaría", "me gustaría el lunes", "cuánto cuesta una limpieza"),
    ],
)
def test_the_words_are_those_of_the_calls_language(
    language: str, is_open: str, is_unsure: str, is_over: str
) -> None:
    """By its tag's first part."""
    assert ending(is_open, language) is Ending.OPEN
    assert ending(is_unsure, language) is Ending.UNSURE
    assert ending(is_over, language) is Ending.OVER


def test_days_and_times_are_known_in_english_only() -> None:
    """In other languages they may go on."""
    assert ending("morgen früh", "de", "Wann?") is Ending.UNSURE


def test_in_a_language_without_a_table_every_sentence_may_go_on() -> None:
    """It is not known to be over."""
    assert ending("my name is john smith thank you", "ja") is Ending.UNSURE


def test_of_a_murmur_nothing_is_left() -> None:
    """Words that only lead to another one are what a recogniser makes of a breath."""
    assert without_fragments("um i the", "en") == ""
    assert without_fragments("the okay", "en") == "okay"
    assert without_fragments("the okay", "ja") == "the okay"
