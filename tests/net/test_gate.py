"""The gate decides by data class and zone, and says so before anything is sent."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.contracts import Context
from trunkline.errors import EgressRefused
from trunkline.net.gate import EgressDecision, Gate
from trunkline.types import LLM, CallId, DataClass, Endpoint, Where, Zone

PROMPTS_ONLY = Zone(
    "eu-1",
    "managed",
    "eu-west-1",
    "eu",
    "Example GmbH",
    "zero",
    baa=False,
    dpa=True,
    accepts=frozenset({DataClass.PROMPT}),
)
ENDPOINT = Endpoint("fast", LLM, "openai", "m", PROMPTS_ONLY, "cloud-a")
WHERE = Where(CallId("c"), 1, 2, 3)


def test_an_accepted_class_may_pass() -> None:
    """The decision names endpoint, zone, class, destination, attempt and rule."""
    noted: list[EgressDecision] = []
    Gate(noted.append).admit(ENDPOINT, Context(WHERE, DataClass.PROMPT), "api.example.com:443")
    assert noted == [
        EgressDecision(
            "fast",
            "eu-1",
            DataClass.PROMPT,
            "api.example.com:443",
            WHERE,
            allowed=True,
            rule="zones.eu-1.accepts has prompt",
        )
    ]


def test_any_other_class_is_refused_and_noted() -> None:
    """A refusal is an error for the caller and a line in the journal."""
    noted: list[EgressDecision] = []
    with pytest.raises(EgressRefused, match=r"zones\.eu-1\.accepts"):
        Gate(noted.append).admit(ENDPOINT, Context(WHERE, DataClass.AUDIO), "api.example.com:443")
    assert [(d.allowed, d.rule) for d in noted] == [(False, "zones.eu-1.accepts lacks audio")]


@given(st.sets(st.sampled_from(DataClass)), st.sampled_from(DataClass))
def test_only_what_the_zone_accepts_passes(accepts: set[DataClass], asked: DataClass) -> None:
    """For every policy and class: one note, and passage exactly if the zone accepts it."""
    noted: list[EgressDecision] = []
    endpoint = replace(ENDPOINT, zone=replace(PROMPTS_ONLY, accepts=frozenset(accepts)))
    try:
        Gate(noted.append).admit(endpoint, Context(WHERE, asked), "h:1")
        passed = True
    except EgressRefused:
        passed = False
    assert passed == (asked in accepts)
    assert [d.allowed for d in noted] == [passed]


def test_no_note_no_passage() -> None:
    """If the decision cannot be noted, the caller gets the error and not the permission."""

    def full(_: EgressDecision) -> None:
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        Gate(full).admit(ENDPOINT, Context(WHERE, DataClass.PROMPT), "h:1")
