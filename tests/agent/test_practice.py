"""The practice file and the persona made of it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.agent.support import riverside
from trunkline.agent.practice import RIVERSIDE_DENTAL
from trunkline.agent.receptionist import load_practice, persona
from trunkline.errors import ConfigError

NOW = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)


def test_prompt_tells_date_and_time_of_the_practice_not_of_the_server() -> None:
    """At half past three in UTC it is still Monday evening in Chicago."""
    prompt = persona(riverside(), NOW).system_prompt
    assert "Monday, 23 November 2026, 21:30" in prompt


def test_prompt_holds_every_fact_of_the_file() -> None:
    """What is not in the prompt cannot be said."""
    practice = riverside()
    prompt = persona(practice, NOW).system_prompt
    for topic, sentences in practice.facts.items():
        for key, sentence in sentences.items():
            assert f"- {topic}.{key}: {sentence}" in prompt
    for text in (practice.address, practice.phone, *practice.staff, *practice.reasons):
        assert text in prompt
    assert "- tuesday: 09:00-12:00, 13:00-18:00" in prompt
    assert "- sunday: closed" in prompt


def test_greeting_says_ai_and_asks_for_consent_only_if_wanted() -> None:
    """The law of many places wants both; a call that is not recorded asks for neither."""
    asking = persona(riverside(), NOW)
    assert "AI assistant" in asking.greeting
    assert "record this call" in asking.greeting
    assert asking.greeting.endswith("?")
    silent = persona(riverside(), NOW, asks_consent=False)
    assert "AI assistant" in silent.greeting
    assert "record" not in silent.greeting
    assert silent.asks_consent is False


@pytest.mark.parametrize(
    ("before", "after", "line", "words"),
    [
        ("timezone: America/Chicago", "timezone: Mars/Olympus", 6, "not a time zone"),
        ('friday: ["08:00-13:00"]', 'friday: ["8-13"]', 16, "write it as '08:00-12:00'"),
        ('friday: ["08:00-13:00"]', 'friday: ["13:00-08:00"]', 16, "open before it closes"),
        ('friday: ["08:00-13:00"]', "friday: 8", 16, "write a list"),
        ("  friday:", "  freitag:", 16, "is not a day"),
        ("slot_minutes: 30", "slot_minutes: 0", 19, "greater than or equal to 5"),
        ("slot_minutes: 30", "slot_minute: 30", 19, "Extra inputs"),
        ("name: Riverside Dental", "name: [", None, "is not YAML"),
    ],
)
def test_wrong_practice_is_refused_with_its_line(
    tmp_path: Path, before: str, after: str, line: int | None, words: str
) -> None:
    """The message says where and what, so that a person can mend the file."""
    text = RIVERSIDE_DENTAL.read_text()
    assert before in text
    file = tmp_path / "practice.yaml"
    file.write_text(text.replace(before, after, 1))
    with pytest.raises(ConfigError, match=words) as caught:
        load_practice(file)
    if line is not None:
        assert caught.value.line == line


def test_missing_practice_is_refused_by_name(tmp_path: Path) -> None:
    """A wrong path is the operator's most common mistake."""
    with pytest.raises(ConfigError, match=r"nowhere\.yaml: cannot be read"):
        load_practice(tmp_path / "nowhere.yaml")


def test_huge_practice_is_refused(tmp_path: Path) -> None:
    """A file that would fill every prompt is a mistake."""
    file = tmp_path / "practice.yaml"
    file.write_bytes(b"#" * 300_000)
    with pytest.raises(ConfigError, match="larger than"):
        load_practice(file)
