"""The sentences of the rules that play a language model."""

from datetime import UTC, datetime

import pytest

from tests.providers.embedded.receptionist_turns import STYLES
from trunkline.providers.embedded.scripted import Style, content_items
from trunkline.providers.embedded.scripted_facts import KNOWN_FACTS
from trunkline.providers.embedded.scripted_lines import (
    LINES,
    OPENERS,
    Item,
    line,
    spoken_day,
    spoken_time,
    spoken_times,
)

SHORT = {"sorry", "pause", "consented"}


def all_items() -> list[Item]:
    """Every sentence that the engine can say, changing parts filled in."""
    topics = dict.fromkeys(key.partition(".")[0] for key in KNOWN_FACTS)
    items = [item for topic in topics for item in content_items(topic)]
    for at in (
        datetime(2026, 11, 24, 9, 30, tzinfo=UTC),
        datetime(2027, 1, 30, 13, tzinfo=UTC),
        datetime(2027, 2, 3, 16, 15, tzinfo=UTC),
    ):
        three = [at, at.replace(hour=10, minute=45), at.replace(hour=11, minute=0)]
        values: dict[str, str | tuple[str, str]] = {
            "weekday": "Tuesday",
            "reason": "check up",
            "day": spoken_day(at),
        }
        values |= {"time": spoken_time(at), "times": spoken_times(three)}
        items += [line(key, **values) for key in LINES]
    return items


def grams(text: str) -> set[tuple[str, ...]]:
    """The five-word runs of *text*; a shorter text is one run."""
    words = text.lower().replace(",", "").rstrip(".?").split()
    return {tuple(words[i : i + 5]) for i in range(max(1, len(words) - 4))}


def test_two_styles_share_no_run_of_five_words() -> None:
    """Whoever hears a sentence can tell which model said it."""
    mine = {gram for item in all_items() for gram in grams(item.primary_text)}
    mine |= {gram for opener in OPENERS for gram in grams(opener[0])}
    theirs = {gram for item in all_items() for gram in grams(item.backup_text)}
    theirs |= {gram for opener in OPENERS for gram in grams(opener[1])}
    assert mine & theirs == set()


@pytest.mark.parametrize("style", STYLES)
def test_sentences_are_as_long_as_speech_wants(style: Style) -> None:
    """Openers and manners 2 to 4 words, everything else one sentence of 5 to 16."""
    for item in all_items():
        words = item.text(style).split()
        assert (2 <= len(words) <= 4) if item.key in SHORT else (5 <= len(words) <= 16), words
        assert item.text(style)[-1] in ".?"
        assert item.text(style)[:-1].count(".") == 0
    for opener in OPENERS:
        assert all(2 <= len(text.split()) <= 4 for text in opener)


def test_answer_on_bringing_and_parking_has_six_items() -> None:
    """The demo proves on the tape that each is heard exactly once."""
    assert [item.key for item in content_items("visit")] == [
        "bring.insurance_card",
        "bring.photo_id",
        "bring.medicines",
        "parking.behind_building",
        "arrival.early",
        "arrival.late",
    ]
    assert content_items("weather") == ()
