"""The seam: how another endpoint is asked to go on, and what of its words is dropped."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.splice import (
    AGAIN,
    GO_ON,
    REJOIN,
    RepeatGate,
    can_go_on,
    continuation,
    in_list,
    rejoining,
    words_of,
)
from trunkline.errors import InputError
from trunkline.types import Message, Prompt, ToolSpec

PROMPT = Prompt(
    (Message("system", "Be brief."), Message("user", "When?")),
    (ToolSpec("book", "Book", {}),),
    max_tokens=7,
    temperature=0.5,
)
CARD = "Please bring your insurance card with you."


def test_without_committed_text_the_prompt_is_the_prompt() -> None:
    """Nothing to go on after."""
    assert continuation(PROMPT, "", "turn", "xx") is PROMPT


@pytest.mark.parametrize("how", ["prefix", "token_exact"])
def test_an_endpoint_that_can_continue_gets_the_answer_as_its_own(how: str) -> None:
    """The last message is the assistant's, to be gone on with; all else is as it was."""
    asked = continuation(PROMPT, "At nine.", how, "xx")  # type: ignore[arg-type]  # a table of strings
    assert asked.messages == (*PROMPT.messages, Message("assistant", "At nine."))
    assert asked.continue_final
    assert (asked.tools, asked.max_tokens, asked.temperature) == (PROMPT.tools, 7, 0.5)


@pytest.mark.parametrize(
    ("language", "note"), [("en", "en"), ("en-GB", "en"), ("DE", "de"), ("pt-BR", "pt")]
)
def test_any_other_endpoint_is_asked_for_the_rest_in_the_language_of_the_call(
    language: str, note: str
) -> None:
    """A further turn; the system prompt is never replaced."""
    asked = continuation(PROMPT, "At nine.", "turn", language)
    assert asked.messages == (
        *PROMPT.messages,
        Message("assistant", "At nine."),
        Message("user", GO_ON[note]),
    )
    assert not asked.continue_final


@pytest.mark.parametrize(
    ("language", "committed", "asks"),
    [
        ("en", "You have two options. First, come on Monday.", "go on with its next item"),
        ("en", "Two things: firstly, your card,", "go on with its next item"),
        ("de-AT", "Es gibt zwei Wege. Erstens, kommen Sie am Montag.", "nächsten Punkt"),
        ("en", "1. Bring your card.", "go on with its next item"),
        ("en", "First, your card. We open at nine.", ""),
        ("en", "The first patient is in.", ""),
        ("tlh", "First, your card.", ""),
    ],
)
def test_a_list_that_broke_off_goes_on_with_its_next_item(
    language: str, committed: str, asks: str
) -> None:
    """Another model would else count from the start."""
    note = in_list(committed, language)
    assert (asks in note) if asks else not note
    if language != "tlh":
        asked = continuation(PROMPT, committed, "turn", language).messages[-1].content
        assert asked.endswith(note)


def test_a_language_without_words_for_it_is_refused_by_name() -> None:
    """The error says what is known and how to mend it."""
    assert can_go_on("de-AT")
    assert not can_go_on("tlh")
    with pytest.raises(InputError, match=r"'tlh'.*known: de, en, es.*continuation: prefix"):
        continuation(PROMPT, "At nine.", "turn", "tlh")


def test_words_are_compared_without_case_and_signs() -> None:
    """What is heard is alike."""
    assert words_of("Don’t WAIT — it's 3.50_x, Ünal!") == [
        *["don’t", "wait", "it's", "3", "50", "x", "ünal"]
    ]


@pytest.mark.parametrize(
    ("sentence", "repeats"),
    [
        (CARD, True),
        ("please bring your insurance card with you", True),
        ("So please bring your insurance card with you.", True),
        ("Bring your insurance card with you.", True),
        ("Of course!", True),
        ("Of course you can.", False),
        ("Please bring a photo of yourself and your insurance number.", False),
        ("Bring your insurance card.", False),  # four words that stand nowhere as a sentence
        ("Of course please bring your", True),  # five that do stand there, over the full stop
        ("You also need a photo identification.", False),
        ("", False),
        ("…", False),
    ],
)
def test_what_the_caller_has_heard_in_substance_is_a_repetition(
    sentence: str, repeats: bool
) -> None:
    """By five words in a row from five words on, below as a whole sentence."""
    assert RepeatGate(["Of course.", CARD]).repeats(sentence) is repeats


def test_a_sentence_of_which_most_is_new_is_no_repetition() -> None:
    """Containment above 0.6, not at it: 3 of 5 is new enough, 4 of 6 is not."""
    gate = RepeatGate(["a b c d e f g"])  # three groups of five
    assert not gate.repeats("a b c d e f g x y")  # 3 of 5
    assert RepeatGate(["a b c d e f g h"]).repeats("a b c d e f g h x y")  # 4 of 6


SENTENCES = st.lists(st.sampled_from(["ab", "cd", "ef", "gh"]), min_size=1, max_size=9).map(
    " ".join
)


@given(said=st.lists(SENTENCES, max_size=5), new=SENTENCES)
def test_the_gate_is_shut_for_all_that_was_said_and_open_for_new_words(
    said: list[str], new: str
) -> None:
    """Each sentence repeats itself; words of which none was said never do."""
    gate = RepeatGate(said)
    assert all(gate.repeats(f"{sentence.upper()}!") for sentence in said)
    assert not gate.repeats(new.replace("a", "z").replace("c", "z").replace("e", "z") + " zz")
    assert not RepeatGate([]).repeats(new)


# -- a reader's text -------------------------------------------------------------------------------


def test_who_is_read_goes_on_in_every_language_that_a_call_can() -> None:
    """One list of languages, whoever waits for the rest."""
    assert GO_ON.keys() == REJOIN.keys() == AGAIN.keys()


@pytest.mark.parametrize("language", sorted(REJOIN))
def test_a_broken_sentence_is_asked_for_again(language: str) -> None:
    """With its words; behind whole sentences nothing is to be written again."""
    broken = rejoining(PROMPT, "One. Two {x} ", "turn", language, "Two {x}").messages[-2:]
    assert broken[0] == Message("assistant", "One. Two {x}")
    assert AGAIN[language] + '"Two {x}". ' in broken[1].content
    whole = rejoining(PROMPT, "One.", "turn", language, "").messages[-1].content
    assert AGAIN[language] not in whole
    assert "{" not in whole


def test_a_reader_s_text_is_continued_as_a_call_s() -> None:
    """Where the endpoint can, where nothing was sent, and where no language is known."""
    assert rejoining(PROMPT, "", "turn", "xx", "") is PROMPT
    assert rejoining(PROMPT, "On", "prefix", "xx", "On").continue_final
    with pytest.raises(InputError, match="'xx'"):
        rejoining(PROMPT, "One.", "turn", "xx", "")
