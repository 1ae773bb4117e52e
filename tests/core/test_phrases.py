"""Sentences out of a growing answer, in whatever pieces it comes."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.phrases import LONG_CHARS, Phrases

SNIPPETS = st.sampled_from(
    [
        *"ab .,!?…\"')\n。！？」”",
        "3.50",
        " Dr. ",
        " e.g. ",
        " at 9 a.m. We",
        "Hello",
        "1. ",
        ". ",
        "word, " * 20,
        "x" * 90,
        " " * 30,
    ]
)
TEXTS = st.lists(SNIPPETS, max_size=25).map("".join)


def sentences(*pieces: str) -> list[str]:
    """All sentences of an answer that came in *pieces*."""
    phrases = Phrases()
    found = [sentence for piece in pieces for sentence in phrases.feed(piece)]
    rest = phrases.end()
    assert phrases.rest == ""
    return found if rest is None else [*found, rest]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n ", []),
        ("Hello", ["Hello"]),
        ("Hello. You", ["Hello.", "You"]),
        ("Really?! Yes… Well.", ["Really?!", "Yes…", "Well."]),
        ('He said "no way." Then left.', ['He said "no way."', "Then left."]),
        ("It costs 3.50 euros. Fine.", ["It costs 3.50 euros.", "Fine."]),
        ("See Dr. Miller, e.g. today. Fine.", ["See Dr. Miller, e.g. today.", "Fine."]),
        ("At 9 a.m. We open.", ["At 9 a.m. We open."]),
        ("1. Bread\n2. Milk\n\nThat is all", ["1. Bread", "2. Milk", "That is all"]),
        ("In 12. Then. Next", ["In 12.", "Then.", "Next"]),
        ("(ask Mr. X. Y. Z) Bye.", ["(ask Mr. X. Y. Z) Bye."]),
        ("你好。「再见！」好", ["你好。", "「再见！」", "好"]),
    ],
)
def test_where_a_sentence_ends(text: str, expected: list[str]) -> None:
    """Terminals before white space, line breaks, full-width terminals; not abbreviations."""
    assert sentences(text) == expected


def test_a_sentence_is_out_as_soon_as_it_is_known_to_be_complete() -> None:
    """With the character after its full stop, not before."""
    phrases = Phrases()
    assert phrases.feed("Hello.") == []
    assert phrases.reads_complete
    assert phrases.feed(" ") == ["Hello."]
    assert not phrases.reads_complete
    assert phrases.feed("你好。") == []
    assert phrases.feed("好") == ["你好。"]
    assert phrases.rest == "好"


@pytest.mark.parametrize(
    ("fragment", "complete"),
    [
        ("Hello", False),
        ("Hello,", False),
        ("Hello. ", True),
        ('"Hello!"', True),
        ("你好。", True),
        ("It costs 3.", True),
        ("3.", False),
        ("Ask Dr.", False),
        ("At 9 a.m.", False),
    ],
)
def test_a_fragment_is_taken_early_only_if_it_reads_as_a_sentence(
    fragment: str, complete: bool
) -> None:
    """Otherwise it stays and goes on growing."""
    phrases = Phrases()
    early = phrases.feed(fragment)
    taken = phrases.complete_rest()
    assert bool(early or taken) == complete
    assert phrases.rest == ("" if complete else fragment)


def test_nobody_waits_for_the_end_of_a_long_sentence() -> None:
    """It is cut at its last clause, else at a word, else anywhere."""
    clauses = "one two three, four five six; " * 10
    cut = sentences(clauses)
    assert len(cut[0]) <= LONG_CHARS
    assert cut[0][-1] in ",;"
    words = sentences("word " * 60)
    assert len(words[0]) <= LONG_CHARS
    assert set(" ".join(words).split()) == {"word"}
    assert sentences("x" * 500) == ["x" * 220, "x" * 220, "x" * 60]


@pytest.mark.parametrize("length", [LONG_CHARS - 1, LONG_CHARS, LONG_CHARS + 1])
def test_the_bound_holds_for_text_that_comes_at_once(length: int) -> None:
    """Regression: a long sentence that came in one piece was not cut."""
    sentence = "word " * 60
    sentence = f"{sentence[: length - 2]}x."
    first = sentences(f"{sentence} Next.")[0]
    assert (first == sentence) == (length <= LONG_CHARS)
    assert len(first) <= LONG_CHARS


@given(text=TEXTS, cuts=st.lists(st.integers(0, 400), max_size=12))
def test_in_what_pieces_the_text_comes_changes_nothing(text: str, cuts: list[int]) -> None:
    """Regression: a closing full-width quote that came late began the next sentence."""
    marks = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[a:b] for a, b in pairwise(marks)]
    whole = sentences(text)
    assert sentences(*pieces) == sentences(*text) == whole


@given(text=TEXTS)
def test_nothing_is_lost_and_nothing_is_long(text: str) -> None:
    """All characters but white space come out in order; no sentence is empty, padded or endless."""
    found = sentences(text)
    assert "".join("".join(found).split()) == "".join(text.split())
    for sentence in found:
        assert 0 < len(sentence) <= LONG_CHARS
        assert sentence == sentence.strip()
        assert "\n" not in sentence
