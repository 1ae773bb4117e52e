"""What the ear knows of an utterance that no recogniser has told."""

import pytest

from trunkline.calls.ear import CERTAIN, Ear
from trunkline.core.turns import Window
from trunkline.types import Sample


def test_only_what_no_cough_sounds_like_is_certain() -> None:
    """The rest counts as speech, but proves nobody deaf."""
    ear = Ear(lambda _, __: None, lambda _: None)
    heard = Window(0.5, Sample(0), Sample(256))
    ear.voiced(heard)  # between two utterances
    utterance = ear.open(Sample(0))
    for probability in (0.4, CERTAIN, 0.99):
        ear.voiced(Window(probability, Sample(0), Sample(256)))
    assert utterance.voiced_s == pytest.approx(3 * 0.032)
    assert utterance.certain_s == pytest.approx(2 * 0.032)
