"""Where data may go is decided by the first rule that refuses, and deny is the default."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.residency import DAY_S, decide, retention_words
from trunkline.types import ClassPolicy, DataClass, ResidencyPolicy, Zone

EVERYTHING = frozenset(DataClass)
EU = Zone(
    "eu",
    "managed",
    "eu-central-1",
    "EU",
    "Example GmbH",
    "30d",
    baa=True,
    dpa=True,
    accepts=EVERYTHING,
    retention_s=30 * DAY_S,
    trains=False,
)
RULES = ClassPolicy(
    jurisdictions=frozenset({"EU", "US", "none"}),
    kinds=frozenset({"managed", "self_hosted"}),
    retention_max_s=30 * DAY_S,
    regions=frozenset({"eu-central-1", "local"}),
    baa=True,
    transfer_tools=frozenset({"scc"}),
)
POLICY = ResidencyPolicy(frozenset({"EU"}), {DataClass.PROMPT: RULES})


def test_without_a_policy_the_zone_decides() -> None:
    """By the classes that it accepts."""
    closed = replace(EU, accepts=frozenset({DataClass.AUDIO}))
    assert decide(None, DataClass.PROMPT, EU).allowed
    refused = decide(None, DataClass.PROMPT, closed)
    assert (refused.allowed, refused.rule) == (False, "zones.eu.accepts lacks prompt")


def test_a_policy_opens_no_zone() -> None:
    """What a zone does not accept stays out, whatever the policy allows."""
    assert decide(POLICY, DataClass.PROMPT, replace(EU, accepts=frozenset())).rule == (
        "zones.eu.accepts lacks prompt"
    )


def test_what_a_policy_allows_says_by_which_rule() -> None:
    """And a class that it does not name goes nowhere."""
    allowed = decide(POLICY, DataClass.PROMPT, EU)
    assert (allowed.allowed, allowed.rule) == (True, "residency.classes.prompt allows zones.eu")
    refused = decide(POLICY, DataClass.AUDIO, EU)
    assert (refused.allowed, refused.rule) == (False, "residency.classes lacks audio")


@pytest.mark.parametrize(
    ("zone", "rule"),
    [
        (replace(EU, kind="customer_vpc"), "kinds lacks customer_vpc"),
        (replace(EU, jurisdiction="CN"), "jurisdictions lacks CN"),
        (replace(EU, region="eu-west-9"), "regions lacks eu-west-9"),
        (replace(EU, retention_s=31 * DAY_S), "retention_max is 30d, and zones.eu keeps it 31d"),
        (replace(EU, retention_s=math.inf), "zones.eu keeps it for an unknown time"),
        (replace(EU, trains=True), "training is false"),
        (replace(EU, dpa=False), "dpa is needed"),
        (replace(EU, baa=False), "baa is needed"),
        (replace(EU, jurisdiction="US"), "transfer_tools lacks nothing, on which"),
        (replace(EU, jurisdiction="US", transfer_tool="bcr"), "transfer_tools lacks bcr"),
    ],
)
def test_each_rule_refuses_and_is_named(zone: Zone, rule: str) -> None:
    """An operator reads which one it was."""
    verdict = decide(POLICY, DataClass.PROMPT, zone)
    assert not verdict.allowed
    assert verdict.rule.startswith("residency.classes.prompt.")
    assert rule in verdict.rule


def test_a_border_is_crossed_only_with_a_tool() -> None:
    """The one that the policy names; at home, and on the premises, none is needed."""
    abroad = replace(EU, jurisdiction="US", transfer_tool="scc")
    assert decide(POLICY, DataClass.PROMPT, abroad).allowed
    own = replace(EU, kind="self_hosted", jurisdiction="none", region="local")
    assert decide(POLICY, DataClass.PROMPT, replace(own, dpa=False, baa=False)).allowed


def test_what_is_not_known_of_a_zone_is_the_worst() -> None:
    """A zone of which nothing but the names was said is refused."""
    unknown = Zone("z", "managed", "eu-central-1", "EU", "p", "?", True, True, EVERYTHING)
    assert not decide(POLICY, DataClass.PROMPT, unknown).allowed
    lenient = replace(RULES, retention_max_s=math.inf, training=True, regions=None, dpa=False)
    policy = replace(POLICY, classes={DataClass.PROMPT: lenient})
    assert decide(policy, DataClass.PROMPT, unknown).allowed


@given(
    st.sets(st.sampled_from(["EU", "US", "CN"])),
    st.sampled_from(["EU", "US", "CN"]),
    st.sampled_from(["", "scc", "bcr"]),
    st.sets(st.sampled_from(["scc", "bcr"])),
)
def test_nothing_crosses_a_border_that_is_not_open(
    jurisdictions: set[str], there: str, tool: str, tools: set[str]
) -> None:
    """For any policy: what is allowed is in a jurisdiction that is named, with a tool if abroad."""
    rules = replace(
        RULES, jurisdictions=frozenset(jurisdictions), transfer_tools=frozenset(tools), regions=None
    )
    policy = ResidencyPolicy(frozenset({"EU"}), {DataClass.PROMPT: rules})
    zone = replace(EU, jurisdiction=there, transfer_tool=tool)
    assert decide(policy, DataClass.PROMPT, zone).allowed == (
        there in jurisdictions and (there == "EU" or tool in tools)
    )


def test_lengths_in_words() -> None:
    """For people."""
    assert [retention_words(it) for it in (0, DAY_S / 2, math.inf)] == [
        "none",
        "0.5d",
        "for an unknown time",
    ]
