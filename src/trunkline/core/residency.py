"""Where data may go: one decision, at the start for every route and again before bytes leave.

Deny by default. A zone says which data classes it accepts; a policy, if there is one, says for each
class where it may go, and what it does not name goes nowhere. What is not known of a processor is
taken for the worst (`types.Zone`), so that a gap in a contract refuses rather than passes.

The rules are tried in a fixed order and the first that refuses is named, for an operator and for
the journal: a decision that nobody can explain is of no use to an auditor.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

from trunkline.types import ClassPolicy, DataClass, ResidencyPolicy, Zone

NOWHERE = "none"
"""The jurisdiction of what does not leave the premises: no border is crossed."""
OWN = "self_hosted"
"""The kind of a zone in which nobody else processes: there is nobody to sign with."""
DAY_S = 86_400.0


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether data may go, by which *rule*."""

    allowed: bool
    rule: str


def decide(policy: ResidencyPolicy | None, data_class: DataClass, zone: Zone) -> Verdict:
    """Whether *data_class* may go to *zone*; *policy* None: what the zone accepts decides."""
    if data_class not in zone.accepts:
        return Verdict(False, f"zones.{zone.name}.accepts lacks {data_class.value}")
    if policy is None:
        return Verdict(True, f"zones.{zone.name}.accepts has {data_class.value}")
    rules = policy.classes.get(data_class)
    if rules is None:
        return Verdict(False, f"residency.classes lacks {data_class.value}")
    at = f"residency.classes.{data_class.value}"
    for refusal in _refusals(policy, rules, zone):
        return Verdict(False, f"{at}.{refusal}")
    return Verdict(True, f"{at} allows zones.{zone.name}")


def _refusals(policy: ResidencyPolicy, rules: ClassPolicy, zone: Zone) -> Iterator[str]:
    """What each rule has against *zone*, the weightiest first."""
    if zone.kind not in rules.kinds:
        yield f"kinds lacks {zone.kind}"
    if zone.jurisdiction not in rules.jurisdictions:
        yield f"jurisdictions lacks {zone.jurisdiction}"
    if rules.regions is not None and zone.region not in rules.regions:
        yield f"regions lacks {zone.region}"
    if zone.retention_s > rules.retention_max_s:
        kept, most = retention_words(zone.retention_s), retention_words(rules.retention_max_s)
        yield f"retention_max is {most}, and zones.{zone.name} keeps it {kept}"
    if zone.trains and not rules.training:
        yield f"training is false, and zones.{zone.name} trains on it, or may"
    if rules.dpa and zone.kind != OWN and not zone.dpa:
        yield f"dpa is needed, and zones.{zone.name} has none"
    if rules.baa and zone.kind != OWN and not zone.baa:
        yield f"baa is needed, and zones.{zone.name} has none"
    abroad = zone.jurisdiction not in policy.home | {NOWHERE}
    if abroad and zone.transfer_tool not in rules.transfer_tools:
        tool = zone.transfer_tool or "nothing"
        yield f"transfer_tools lacks {tool}, on which the transfer to {zone.jurisdiction} rests"


def retention_words(seconds: float) -> str:
    """How long that is, for people."""
    if math.isinf(seconds):
        return "for an unknown time"
    if seconds == 0:
        return "none"
    return f"{seconds / DAY_S:g}d"
