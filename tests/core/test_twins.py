"""Who goes on speaking for a voice that fails."""

from dataclasses import replace

import pytest

from trunkline.core.twins import by_voice
from trunkline.testing.simulated import endpoint
from trunkline.types import TTS, Endpoint


def voice(name: str, voice: str = "", twin_of: str = "") -> Endpoint:
    """A synthesiser."""
    return replace(endpoint(name, TTS), voice=voice, twin_of=twin_of)


@pytest.mark.parametrize(
    ("first", "order"),
    [
        (voice("a", "anna"), ["a", "elsewhere", "twin", "stranger"]),
        (voice("a"), ["a", "twin", "stranger", "elsewhere"]),
        (voice("a", "anna", "stranger"), ["a", "elsewhere", "stranger", "twin"]),
        (voice("b"), ["b", "stranger", "twin", "elsewhere"]),
    ],
)
def test_the_same_voice_is_asked_first_and_then_its_twin(first: Endpoint, order: list[str]) -> None:
    """Either may be declared the twin of the other; the order of the route stays else."""
    others = [voice("stranger"), voice("twin", "tilda", "a"), voice("elsewhere", "anna")]
    assert [it.name for it in by_voice([first, *others], 4)] == order


def test_a_voice_that_is_not_well_stays_behind() -> None:
    """A strange voice is better than none."""
    route = [voice("a", "anna"), voice("stranger"), voice("twin", "", "a"), voice("same", "anna")]
    assert [it.name for it in by_voice(route, 3)] == ["a", "twin", "stranger", "same"]
    assert by_voice(route, 0) == route


def test_twins_of_the_same_voice_elsewhere_are_twins() -> None:
    """The voice counts, not the endpoint."""
    route = [voice("a", "anna"), voice("stranger"), voice("twin", "", "b"), voice("b", "anna")]
    assert [it.name for it in by_voice(route, 4)] == ["a", "b", "twin", "stranger"]
