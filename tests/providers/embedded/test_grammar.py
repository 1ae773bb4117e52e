"""A grammar of phrases gives the sentences that callers say, and says what is wrong with it."""

import re
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import ConfigError
from trunkline.providers.embedded.grammar import (
    SENTENCES_MAX,
    Grammar,
    load_grammar,
    parse_grammar,
)

FILE = Path("phrases.yaml")
SHIPPED = Path(str(files("trunkline").joinpath("agent/data/caller_phrases.yaml")))


def grammar(text: str) -> Grammar:
    """Parse *text*."""
    return parse_grammar(text.encode(), FILE)


def test_slots_choices_and_options_nest() -> None:
    """All forms of a rule come out, each as a caller would say it."""
    made = grammar(
        """
        slots:
          day: [monday, "the {nth}"]
          nth: [first, last]
        rules: [{say: "[on|for] {day} (please|)", times: 100}]
        """
    )
    days = {"monday", "the first", "the last"}
    heads, tails = {"", "on ", "for "}, {"", " please"}
    assert set(made.sentences) == {h + d + t for h in heads for d in days for t in tails}


def test_a_rule_weighs_its_times_however_few_forms_it_has() -> None:
    """A plain yes is not drowned by ten thousand names."""
    made = grammar('{rules: [{say: "yes", times: 7}, {say: "(a|b) (c|d)", times: 4}]}')
    assert Counter(made.sentences) == Counter({"yes": 7, "a c": 1, "a d": 1, "b c": 1, "b d": 1})


@given(st.lists(st.integers(1, 9), min_size=1, max_size=4), st.integers(1, 60))
def test_a_sample_of_a_rule_repeats_nothing_before_all_was_said(
    sizes: list[int], times: int
) -> None:
    """Samples are spread: none twice while another has not been said."""
    choices = ["(" + "|".join(f"{chr(97 + i)}{chr(97 + j)}" for j in range(n)) + ")"
               for i, n in enumerate(sizes)]  # fmt: skip
    made = grammar(f'{{rules: [{{say: "{" ".join(choices)}", times: {times}}}]}}')
    counts = Counter(made.sentences)
    product = 1
    for n in sizes:
        product *= n
    assert len(counts) == min(times, product)
    assert max(counts.values()) - min(counts.values()) <= 1


def test_sides_of_a_choice_are_equally_likely_whatever_they_hold() -> None:
    """ "today" is said as often as all weekdays with all hours together."""
    made = grammar(
        """
        slots: {hour: [one, two, three, four], day: [monday, tuesday, friday]}
        rules: [{say: "(today|{day} at {hour})", times: 240}]
        """
    )
    assert Counter(made.sentences)["today"] == 120


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("rules: [", "is not YAML"),
        ("[]", "the file is not a mapping"),
        ("{rules: []}", "has no rules"),
        ("{rule: [], rules: [{say: a}]}", "unknown keys.*rule"),
        ("{rules: [{say: yes}]}", "says no text"),
        ("{rules: [{say: a, weight: 2}]}", "unknown keys.*weight"),
        ("{rules: [{say: a, times: 0}]}", "times: 0"),
        ("{rules: [{say: a, times: true}]}", "times: True"),
        (f"{{rules: [{{say: a, times: {SENTENCES_MAX}}}, {{say: b}}]}}", "weigh more than"),
        ('{rules: [{say: "{day}"}]}', "there is no slot {day}"),
        ('{slots: {a: x}, rules: [{say: "{a}"}]}', "slot {a} is not a list"),
        ('{slots: {a: [no]}, rules: [{say: "{a}"}]}', "holds False, not a text"),
        ('{slots: {a: ["{b}"], b: ["{a}"]}, rules: [{say: "{a}"}]}', "itself: a > b > a"),
        ('{rules: [{say: "(a|b"}]}', r"does not close a \("),
        ('{rules: [{say: "(a]"}]}', r"does not close a \("),
        ('{rules: [{say: "a)"}]}', "was not opened"),
        ('{rules: [{say: "9:30"}]}', "holds '9'"),
        ('{rules: [{say: "Hello"}]}', "holds 'H'"),
        ('{rules: [{say: "{"}]}', "holds '{'"),
        ("{rules: [{say: " + "a" * 501 + "}]}", "over 500 characters"),
        ("{rules: [{say: " + "(" * 499 + "}]}", "does not close"),
        ("{slots: {a: [b]}, rules: [{say: b}]}", "no rule uses the slots a"),
        ("{pronunciations: {a: T 1}, rules: [{say: a}]}", "pronunciation of 'a'"),
        ("# " + "x" * 300_000, "larger than 256 KiB"),
    ],
)
def test_what_is_wrong_is_said_with_the_file(text: str, says: str) -> None:
    """An operator learns what to mend, and where."""
    with pytest.raises(ConfigError, match=says) as caught:
        grammar(text)
    assert caught.value.path == str(FILE)
    assert caught.value.mend


def test_a_file_that_is_not_there_is_an_error_of_the_operator(tmp_path: Path) -> None:
    """Not a traceback."""
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load_grammar(tmp_path / "none.yaml")


def test_the_shipped_grammar_says_every_word_it_knows() -> None:
    """No name, hour or weekday is lost to sampling: a word that is not in it is never heard."""
    made = load_grammar(SHIPPED)

    text = SHIPPED.read_text()
    tree = yaml.safe_load(text)
    slots = {word for lines in tree["slots"].values() for line in lines for word in _words(line)}
    rules = {word for rule in tree["rules"] for word in _words(rule["say"])}
    assert len(made.sentences) <= SENTENCES_MAX
    assert (rules | slots) - made.words() == set()
    names = {
        name for slot in ("first", "last") for line in tree["slots"][slot] for name in _words(line)
    }
    assert len(names) >= 118  # sixty each; some are both


def _words(line: str) -> list[str]:
    """The words of a line of a grammar, without its slots."""

    return re.findall(r"[a-z'](?:[a-z'])*", re.sub(r"\{\w+\}", " ", line))


def test_the_same_grammar_gives_the_same_sentences() -> None:
    """The cache and the recogniser's answers depend on it."""
    assert load_grammar(SHIPPED) == load_grammar(SHIPPED)


def test_every_clip_says_only_words_of_the_shipped_grammar() -> None:
    """Else the demonstration's caller could not be heard."""
    clips = Path(str(files("trunkline").joinpath("console/clips")))
    texts = yaml.safe_load((clips / "clips.yaml").read_text())
    assert {f"{name}.wav" for name in texts} == {wav.name for wav in clips.glob("*.wav")}
    assert {word for text in texts.values() for word in text.split()} <= load_grammar(
        SHIPPED
    ).words()
