"""Bad input gets an error that says what is wrong, where, and how to mend it."""

import json
from pathlib import Path
from typing import Any

import pytest

from trunkline.decide import figures, offers
from trunkline.decide.needs import asked, parse_needs
from trunkline.decide.runs import measured, parse_run
from trunkline.decide.study import decide
from trunkline.errors import ConfigError, InputError

NEEDS = """\
version: 1
name: phones
traffic:
  minutes_per_month: 20000
law:
  jurisdictions: [US]
"""
RUN: dict[str, Any] = {
    "version": 1,
    "stage": "llm",
    "model": "qwen3-8b-fp8",
    "server": "vllm 0.33.0",
    "gpu": "H100",
    "measured_on": "2026-11-20",
    "points": [{"concurrency": 16, "p99_s": 0.4}, {"concurrency": 64, "p99_s": 1.6}],
}


@pytest.mark.parametrize(
    ("was", "becomes", "line", "says"),
    [
        ("20000", "-5", 4, "traffic.minutes_per_month"),
        ("20000", "many", 4, "a number above 0"),
        ("[US]", "[US, Atlantis]", 6, "unknown jurisdiction 'Atlantis'. Known: EU, UK"),
        ("[US]", "[]", 6, "law.jurisdictions"),
        ("name: phones", "name: phones\nhorizon: 3", 3, "Did you mean 'horizon_months'"),
        ("[US]", "[US]\n  forbidden: [managed, self_hosted, customer_vpc]", 7, "ruled out"),
        ("name: phones", "name: phones\nweights: {cost: 0}", 3, "all weights are 0"),
    ],
)
def test_wrong_needs_are_told_with_their_line(was: str, becomes: str, line: int, says: str) -> None:
    """Negative minutes, an unknown jurisdiction, a typing error: each where it stands."""
    with pytest.raises(ConfigError) as told:
        parse_needs(NEEDS.replace(was, becomes), "needs.yaml")
    assert str(told.value).startswith(f"needs.yaml:{line}: ")
    assert says in str(told.value)


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"stt.deepgram-nova": {"value": 1, "source": "a quote"}}, "Did you mean 'stt.deepgram-no"),
        ({"gpu.extras": {"value": 1, "low": 2, "source": "a quote"}}, "low <= value <= high"),
    ],
)
def test_figures_that_nobody_knows_are_refused(given: dict[str, Any], says: str) -> None:
    """A typing error in an override would else be an option that is ignored."""
    needs = parse_needs(NEEDS + f"figures: {json.dumps(given)}\n", "needs.yaml")
    with pytest.raises(InputError, match=says):
        decide(needs, figures.shipped(), offers.shipped(), {}, 1)


def test_an_empty_run_is_refused() -> None:
    """It says nothing, and must not look like a measurement."""
    with pytest.raises(ConfigError, match=r"run\.yaml:1: the run is empty"):
        parse_run(json.dumps({**RUN, "points": []}), "run.yaml")


def test_runs_of_different_versions_are_not_mixed() -> None:
    """The files and both versions are named."""
    runs = [
        ("a.yaml", parse_run(json.dumps(RUN), "a.yaml")),
        ("b.yaml", parse_run(json.dumps({**RUN, "server": "vllm 0.34.0"}), "b.yaml")),
    ]
    with pytest.raises(InputError, match=r"different versions.*0\.3[34].*yaml.*0\.3[34].*yaml"):
        measured(runs, parse_needs(NEEDS, "needs.yaml"))


def test_a_run_replaces_the_prior_where_it_crosses_the_slo() -> None:
    """Between 16 at 0.4 s and 64 at 1.6 s, 1.0 s is reached at 40; the spread is what was seen."""
    needs = parse_needs(NEEDS, "needs.yaml")
    found = measured([("a.yaml", parse_run(json.dumps(RUN), "a.yaml"))], needs)["llm"]
    capacity = found.capacity
    assert (capacity.low, capacity.value, capacity.high) == pytest.approx((16, 40, 64))
    study = decide(needs, figures.shipped(), offers.shipped(), {"llm": found}, 1)
    assert study.draws is not None
    assert study.draws.of("capacity.llm").max() <= 64
    assert "measured: a.yaml" in study.draws.figure("capacity.llm").source


def test_a_run_that_never_keeps_the_slo_is_told() -> None:
    """There is no capacity to take from it."""
    slow = parse_run(json.dumps({**RUN, "points": [{"concurrency": 1, "p99_s": 2}]}), "a.yaml")
    with pytest.raises(InputError, match=r"above slo\.stage_p99_s\.llm 1"):
        measured([("a.yaml", slow)], parse_needs(NEEDS, "needs.yaml"))


def test_being_asked_leads_to_a_file_that_is_good() -> None:
    """The defaults are answers, too, and a wrong answer is an error."""
    text = asked_with({"Where may": "EU, UK", "What is ruled": "managed"})
    needs = parse_needs(text, "needs.yaml")
    assert needs.law.jurisdictions == ("EU", "UK")
    assert needs.law.forbidden == ("managed",)
    with pytest.raises(ConfigError, match="minutes_per_month"):
        asked_with({"Connected": "-1"})


def asked_with(answers: dict[str, str]) -> str:
    """What is written when questions that begin so are answered so, others by their default."""

    def ask(question: str, default: str) -> str:
        return next((a for start, a in answers.items() if question.startswith(start)), default)

    return asked(Path("needs.yaml"), ask)
