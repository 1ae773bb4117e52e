"""The vault and the way back: what a model that must not know gets, and what the caller hears."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.privacy.names import RARE_NAMES
from trunkline.privacy.rehydrate import Rehydrator, rehydrated, residual
from trunkline.privacy.spans import Kind, Span
from trunkline.privacy.surrogates import HANDLE, SURROGATES_MAX, Vault

SAID = "my name is Sarah Miller and my number is 555 0123, say it to Miller's wife"


def found(text: str, *pieces: tuple[str, Kind]) -> list[Span]:
    """Spans of *text* where *pieces* are, as a detector would give them."""
    spans = [
        Span(match.start(), match.end(), kind, re.sub(r"\s", "", piece).casefold(), "test")
        for piece, kind in pieces
        for match in re.finditer(re.escape(piece), text)
    ]
    return sorted(spans, key=lambda it: it.start)


def protected(vault: Vault) -> str:
    """`SAID` without Sarah, Miller and the number."""
    spans = found(SAID, ("Sarah Miller", Kind.NAME), ("555 0123", Kind.PHONE))
    last = SAID.rindex("Miller")
    return vault.protect(SAID, [*spans, Span(last, last + 6, Kind.NAME, "miller", "test")])


def test_nothing_personal_is_left_and_all_of_it_comes_back() -> None:
    """The text reads as before, with one surrogate for each, and turns back into itself."""
    vault = Vault(1)
    text = protected(vault)
    assert not re.search("sarah|miller|555|0123", text, re.IGNORECASE)
    first, last = re.findall("my name is (\\w+) (\\w+)", text)[0]
    assert {first, last} <= set(RARE_NAMES)
    assert f"say it to {last}'s wife" in text
    assert re.search(r"my number is PHONE-\w{5},", text)
    assert rehydrated(vault, text) == SAID


def test_surrogates_are_the_same_throughout_a_call_and_others_in_the_next() -> None:
    """Turns, retries and another endpoint see the same; two calls share nothing."""
    vault = Vault(1)
    once = protected(vault)
    assert protected(vault) == once
    assert protected(Vault(1)) == once
    assert protected(Vault(2)) != once


def test_a_caller_who_says_a_surrogate_gets_it_back_as_said() -> None:
    """Neither a real Quillon nor somebody who tries handles reads what was minted for others."""
    vault = Vault(1)
    name = re.findall("my name is (\\w+)", protected(vault))[0]
    handle = next(one.surrogate for one in vault.secrets() if one.kind is Kind.PHONE)
    tries = f"I am {name}, or {name.upper()}; tell me {handle} and phone-22222"
    sent = vault.protect(tries, [])
    assert name not in sent
    assert handle not in sent
    assert rehydrated(vault, sent).casefold() == tries.casefold()
    assert "555" not in rehydrated(vault, sent)


def test_models_may_write_surrogates_in_their_own_way() -> None:
    """In capitals, in the genitive, at the end of a sentence: it is still turned back; a longer
    word is another word."""
    vault = Vault(1)
    name = re.findall("my name is (\\w+)", protected(vault))[0]
    answer = f"{name.upper()}, is it {name}'s? Not {name}son. ({name.lower()})"
    assert rehydrated(vault, answer) == f"Sarah, is it Sarah's? Not {name}son. (Sarah)"


def test_what_was_never_minted_is_residual() -> None:
    """A handle that a model made up is found, and a whole answer has none left."""
    vault = Vault(1)
    assert residual(rehydrated(vault, protected(vault))) is None
    assert residual(rehydrated(vault, "call PHONE-22222 now")) == "PHONE-22222"
    assert residual("call phone-2222 now, or phones-22222") is None


def test_no_name_is_the_beginning_of_another() -> None:
    """Nor is one a handle, or there twice."""
    folded = [name.casefold() for name in RARE_NAMES]
    assert len(set(folded)) == len(folded) > 100
    assert [b for a in folded for b in folded if a != b and b.startswith(a)] == []
    assert not any(HANDLE.search(name) for name in RARE_NAMES)


def test_when_the_names_are_used_up_handles_follow() -> None:
    """And a call with more than it can hold is refused, not served with what is not protected."""
    vault = Vault(3)
    names = [f"name{'abcdefghij'[n % 10]}{'x' * (n // 10)}" for n in range(SURROGATES_MAX)]
    text = " ".join(names)
    sent = vault.protect(text, found_words(text))
    assert len(set(sent.split())) == SURROGATES_MAX
    assert rehydrated(vault, sent) == text
    with pytest.raises(InputError, match="more than 4096 different personal items"):
        vault.protect("another", [Span(0, 7, Kind.NAME, "another", "test")])


def found_words(text: str) -> list[Span]:
    """Every word of *text* as a name."""
    return [
        Span(it.start(), it.end(), Kind.NAME, it[0].casefold(), "test")
        for it in re.finditer(r"\S+", text)
    ]


@pytest.mark.parametrize("spans", [[(0, 3), (2, 5)], [(4, 2)], [(0, 99)], [(3, 5), (0, 2)]])
def test_spans_that_are_none_are_refused(spans: list[tuple[int, int]]) -> None:
    """Overlapping, empty, outside, out of order: nothing is sent."""
    with pytest.raises(InputError, match="overlaps another one or lies outside"):
        Vault(1).protect("a text", [Span(a, b, Kind.NAME, "x", "test") for a, b in spans])


@given(st.data())
def test_however_a_stream_is_cut_the_same_comes_back(data: st.DataObject) -> None:
    """Any pieces, empty ones too, and never more is held back than the longest surrogate."""
    vault = Vault(data.draw(st.integers(0, 99)))
    names = data.draw(
        st.lists(st.sampled_from(["Ann", "Anna", "Bo", "Élodie", "O'Hara"]), max_size=6)
    )
    words = data.draw(
        st.lists(
            st.sampled_from([*names, "and", "Quill", "a-b", "x1", "ﬁn", "İ", "é", "-", "7"]),
            max_size=20,
        )
    )
    text = data.draw(st.sampled_from([" ", ", ", "-", ""])).join(words)
    sent = vault.protect(
        text,
        [
            Span(it.start(), it.end(), Kind.NAME, it[0].casefold(), "test")
            for it in re.finditer(r"\b(?:Anna|Ann|Bo|Élodie|O'Hara)\b", text)
        ],
    )
    whole = rehydrated(vault, sent)
    stream, told, at = Rehydrator(vault), "", 0
    while at < len(sent):
        size = data.draw(st.integers(0, 7))
        told += stream.feed(sent[at : at + size])
        at += size
        assert stream.held <= vault.longest
    assert told + stream.end() == whole
