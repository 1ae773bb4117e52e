"""What is dictated: numbers and letters as written characters that know where they came from."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.privacy.numerals import atoms, runs


@pytest.mark.parametrize(
    ("said", "written"),
    [
        ("four one one", "411"),
        ("oh one two", "012"),
        ("zero nought nine", "009"),
        ("double five triple oh", "55000"),
        ("four zeros and then seven", "00007"),
        ("four twenty two", "422"),
        ("nineteen eighty two", "1982"),
        ("twenty-two fifty", "2250"),
        ("one hundred and five", "105"),
        ("twelve hundred", "1200"),
        ("two thousand and five", "2005"),
        ("seven million two hundred thousand four", "7200004"),
        ("555-0123", "5550123"),
        ("five five uh five", "555"),
        ("b as in boy, two", "b2"),
        ("m i double l e r", "miller"),
        ("o c o n n o r", "oconnor"),
        ("double u a oh one", "wa01"),
        ("november mike seven", "nm7"),
        ("capital k four", "k4"),
        ("x-ray nine", "x9"),
        ("٤١١", "411"),
    ],
)
def test_what_is_dictated_becomes_one_run(said: str, written: str) -> None:
    """Groups, repetitions, letters and their explanations, in words or figures."""
    assert "".join(run.text for run in runs(atoms(said))) == written


@pytest.mark.parametrize("said", ["oh i see", "it is what it is", "", "?!"])
def test_what_is_no_number_makes_no_digits(said: str) -> None:
    """An "oh" that stands alone is a sound."""
    assert not any(run.digits for run in runs(atoms(said)))


def test_every_atom_knows_its_place() -> None:
    """The words of a folded number are covered from the first to the last."""
    text = "my number is double five, oh nine please"
    (run,) = runs(atoms(text))
    assert text[run.start : run.end] == "double five, oh nine"


@given(st.text(max_size=80))
def test_atoms_are_in_order_and_cover_every_letter_and_digit(text: str) -> None:
    """No text confuses the reader, and nothing that can be read is lost."""
    found = atoms(text)
    assert all(a.end <= b.start for a, b in pairwise(found))
    covered = {i for atom in found for i in range(atom.start, atom.end)}
    assert all(i in covered for i, char in enumerate(text) if char.isascii() and char.isalnum())
