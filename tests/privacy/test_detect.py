"""The detector: what is found in speech and in writing, and what is left alone."""

import re
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.privacy.detect import Rules, SpeechDetector
from trunkline.privacy.entities import Entity
from trunkline.privacy.slots import expected_kinds
from trunkline.privacy.spans import Kind
from trunkline.privacy.utterance import RULES_VERSION, UTTERANCE_CHARS_MAX

MARK = re.compile(r"\[([^\]]*)\]\(([a-z_]+)\)")
SET = yaml.safe_load(Path(__file__).with_name("spoken.yaml").read_text("utf-8"))
PLAIN = SpeechDetector()


def found(text: str, *expected: Kind, rules: Rules | None = None) -> list[tuple[str, Kind]]:
    """What is found in *text*, as (words, kind)."""
    detector = PLAIN if rules is None else SpeechDetector(rules)
    return [(text[s.start : s.end], s.kind) for s in detector.spans(text, frozenset(expected))]


def _marked() -> list[tuple[str, str, list[str]]]:
    """Sentence, the agent's question and what is personal in it, of the development set."""
    return [
        (
            MARK.sub(lambda it: it[1], item["say"]),
            item.get("agent", ""),
            [it[1] for it in MARK.finditer(item["say"])],
        )
        for item in SET
    ]


SENTENCES = _marked()
DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(("text", "agent", "pieces"), SENTENCES)
def test_what_is_marked_is_covered(text: str, agent: str, pieces: list[str]) -> None:
    """Nine tenths of the letters and digits of each marked piece of the development set."""
    covered = {i for s in PLAIN.spans(text, expected_kinds(agent)) for i in range(s.start, s.end)}
    at = 0
    for piece in pieces:
        start = text.index(piece, at)
        at = start + len(piece)
        said = [i for i in range(start, at) if text[i].isalnum()]
        assert sum(i in covered for i in said) >= 0.9 * len(said), piece


def test_little_of_the_rest_is_covered() -> None:
    """Of the words of the development set that are nobody's, at most one in thirty."""
    clean = over = 0
    for text, agent, pieces in SENTENCES:
        rest = text
        for piece in pieces:
            rest = rest.replace(piece, "\0" * len(piece), 1)
        spans = PLAIN.spans(text, expected_kinds(agent))
        for word in re.finditer(r"[^\s\0]+", rest):
            if any(char.isalnum() for char in word[0]):
                clean += 1
                over += any(s.start < word.end() and word.start() < s.end for s in spans)
    assert clean > 300
    assert over / clean < 1 / 30


@pytest.mark.parametrize(
    ("text", "kind", "value"),
    [
        ("it's four one five five five five oh one two three", Kind.PHONE, "+14155550123"),
        ("it's (415) 555-0123", Kind.PHONE, "+14155550123"),
        (
            "forty one eleven, four ones, four ones, four ones",
            Kind.CARD,
            "4" + "1" * 15,
        ),
        ("4111-1111-1111-1111", Kind.CARD, "4" + "1" * 15),
    ],
)
def test_the_same_said_and_written_has_the_same_value(text: str, kind: Kind, value: str) -> None:
    """A normal form, so that one surrogate stands for both."""
    (span,) = PLAIN.spans(text)
    assert (span.kind, span.value) == (kind, value)
    assert span.rule.endswith(f"/{RULES_VERSION}")


@pytest.mark.parametrize("times", range(13, 20))
def test_no_card_slips_through_whatever_stands_around_it(times: int) -> None:
    """Thirteen to nineteen digits that pass Luhn's check are a card, even with a unit behind."""
    digits = next(
        d for last in range(10) if luhn_sum(d := "4" + "0" * (times - 2) + str(last)) % 10 == 0
    )
    words = " ".join(DIGITS[int(d)] for d in digits)
    for text in (f"i paid {words} dollars", f"in {digits}", f"{words} minutes"):
        assert any(kind is Kind.CARD for _, kind in found(text)), text


def luhn_sum(digits: str) -> int:
    """The sum of Luhn's algorithm (ISO/IEC 7812-1, annex B)."""
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(d // 10 + d % 10 for d in doubled)


def test_the_answer_to_a_question_is_what_was_asked() -> None:
    """A word that is a name only here; and one that is a refusal."""
    assert found("baker", Kind.NAME) == [("baker", Kind.NAME)]
    assert found("sure it's grace", Kind.NAME) == [("grace", Kind.NAME)]
    assert found("baker") == []
    assert found("why do you need my name", Kind.NAME) == []


def test_what_the_agent_says_itself_is_no_secret() -> None:
    """Names of the practice are the agent's own words."""
    said = "i'd like to see alvarez tomorrow"
    assert found(said) == [("alvarez", Kind.NAME)]
    assert found(said, rules=Rules(agent=("Dr. Alvarez, orthodontist",))) == []


def test_own_identifiers_have_patterns() -> None:
    """However they are grouped and spelled; a pattern that is none is refused."""
    rules = Rules(own={"chart": "PT[0-9]{4}"})
    (span,) = SpeechDetector(rules).spans("that's p t double oh four one")
    assert (span.kind, span.rule) == (Kind.RECORD_ID, f"own.chart/{RULES_VERSION}")
    with pytest.raises(InputError, match="'chart': '\\('"):
        SpeechDetector(Rules(own={"chart": "("}))
    with pytest.raises(InputError, match="ISO 3166"):
        SpeechDetector(Rules("Narnia"))


def test_the_customer_file_is_found_also_misheard() -> None:
    """A name as it sounds, a number in any grouping and by its tail, two words of an address."""
    rules = Rules(
        known={
            Kind.NAME: ["Brian Whitaker"],
            Kind.PHONE: ["+1 415 555 0123"],
            Kind.ADDRESS: ["12 Rose Court"],
        }
    )
    assert found("this is bryan whittaker", rules=rules) == [("bryan whittaker", Kind.NAME)]
    assert found("it ends in oh one two three", rules=rules)[0] == ("oh one two three", Kind.PHONE)
    assert ("rose court", Kind.ADDRESS) in found("the rose court flat", rules=rules)


class Fake:
    """An entity model that knows one word: a fake, and named so."""

    name = "fake-1"

    def entities(self, text: str, /) -> list[Entity]:
        """ "quill" is a name; and something that it is not sure of."""
        at = text.find("quill")
        return [Entity(at, at + 5, Kind.NAME, 0.9), Entity(0, 3, Kind.NAME, 0.1)]


def test_an_entity_model_takes_the_place_of_default_deny() -> None:
    """What it is sure of is found by its name; unknown words are left to it."""
    (span,) = SpeechDetector(Rules(model=Fake())).spans("quill then zorblat")
    assert (span.start, span.end, span.rule) == (0, 5, "model/fake-1")


@given(
    st.lists(
        st.sampled_from([*" ".join(text for text, _, _ in SENTENCES).split(), "\n", "@", "£"]),
        max_size=40,
    )
)
def test_spans_are_in_order_and_do_not_overlap(words: list[str]) -> None:
    """Whatever is said, the spans are such as a vault takes."""
    text = " ".join(words)
    at = 0
    for span in PLAIN.spans(text, frozenset(Kind)):
        assert at <= span.start < span.end <= len(text)
        assert span.value
        at = span.end


def test_a_text_without_end_is_refused() -> None:
    """The time for one utterance is bounded."""
    with pytest.raises(InputError, match="cut it into pieces"):
        PLAIN.spans("a" * (UTTERANCE_CHARS_MAX + 1))
