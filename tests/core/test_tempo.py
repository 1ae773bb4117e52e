"""How long a voice takes for a text."""

import pytest

from trunkline.core.tempo import Tempo


def test_an_unknown_voice_speaks_fifteen_characters_a_second() -> None:
    """After a tenth of a second; never less than that."""
    tempo = Tempo()
    assert tempo.expected_s(45) == pytest.approx(3.1)
    assert tempo.expected_s(0) == pytest.approx(0.1)


def test_a_voice_is_known_after_a_few_phrases() -> None:
    """A slow one: both its pause and its pace."""
    tempo = Tempo()
    for chars in (10, 40, 80, 25, 60, 90, 15, 50) * 4:
        tempo.learn(chars, 0.3 + chars / 8)
    assert tempo.expected_s(40) == pytest.approx(5.3, rel=0.1)


def test_one_odd_phrase_changes_little() -> None:
    """The prior stands for several."""
    tempo = Tempo()
    tempo.learn(50, 20.0)
    assert tempo.expected_s(50) < 8.0


def test_what_a_fit_makes_negative_is_bounded() -> None:
    """A voice whose long texts are all short ones."""
    tempo = Tempo()
    for _ in range(200):
        tempo.learn(20, 4.0)
        tempo.learn(100, 0.5)
    assert tempo.expected_s(300) == pytest.approx(0.1)
