"""A grammar becomes files that the recogniser loads, once."""

import re
from pathlib import Path

import pytest

from trunkline.errors import InputError
from trunkline.providers.embedded.grammar import Grammar
from trunkline.providers.embedded.language_model import language_model


def test_the_dictionary_holds_exactly_the_grammars_words(tmp_path: Path) -> None:
    """Other words cannot be heard by mistake; a word's own pronunciation replaces the bundled."""
    made = language_model(Grammar(("read the toothache",), {"toothache": "T UW TH EY K"}), tmp_path)
    assert made.dictionary.read_text().splitlines() == [
        "read R EH D",
        "read(2) R IY D",
        "the DH AH",
        "the(2) DH IY",
        "toothache T UW TH EY K",
    ]


def test_trigrams_weigh_what_the_grammar_says(tmp_path: Path) -> None:
    """A sentence said three times in four has three quarters of the undiscounted mass."""
    made = language_model(Grammar(("yes", "yes", "yes", "no"), {}), tmp_path)
    text = made.arpa.read_text()
    bigrams = {
        (first, second): 10 ** float(log)
        for log, first, second in re.findall(r"^(-[\d.]+) (\S+) (\S+) -?[\d.]+$", text, re.M)
    }
    assert bigrams["<s>", "yes"] == pytest.approx(3 * bigrams["<s>", "no"], rel=1e-3)
    assert text.count("\\end\\") == 1


def test_a_model_is_made_once_and_anew_when_the_grammar_changes(tmp_path: Path) -> None:
    """The files are found by the hash of what they were made from."""
    first = language_model(Grammar(("yes",), {}), tmp_path)
    first.arpa.write_text("kept")
    assert language_model(Grammar(("yes",), {}), tmp_path) == first
    assert first.arpa.read_text() == "kept"
    for other in (Grammar(("no",), {}), Grammar(("yes",), {"yes": "Y EH S"})):
        assert language_model(other, tmp_path) != first
    assert not list(tmp_path.glob("*.part"))


def test_a_word_that_cannot_be_pronounced_is_named(tmp_path: Path) -> None:
    """Left out in silence, it would never be heard."""
    with pytest.raises(InputError, match=r"no pronunciation for qvzx, zzyx\."):
        language_model(Grammar(("hello zzyx", "qvzx"), {}), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    """Containers run with read-only homes."""
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="option cache_dir"):
        language_model(Grammar(("yes",), {}), tmp_path / "file" / "cache")
