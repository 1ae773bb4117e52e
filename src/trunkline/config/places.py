"""Zones and endpoints of a configuration as the rest of Trunkline knows them."""

from trunkline.config.models import Config
from trunkline.config.providers import Claimed, Said, claimed
from trunkline.config.residency import length_s, policy
from trunkline.types import DataClass, Endpoint, Zone


def zone(config: Config, name: str) -> Zone:
    """The zone *name* as the file has it; `KeyError` if there is none."""
    found = config.zones[name]
    return Zone(
        name=name,
        kind=found.kind,
        region=found.region,
        jurisdiction=found.jurisdiction,
        processor=found.processor,
        retention=found.retention,
        baa=found.baa,
        dpa=found.dpa,
        accepts=frozenset[DataClass](found.accepts),
        retention_s=length_s(found.retention),
        trains=found.kind == "managed" if found.trains is None else found.trains,
        transfer_tool=found.transfer_tool or "",
    )


def claims(config: Config, name: str) -> Claimed:
    """The zone of endpoint *name* as it counts, against what is known of its provider."""
    found = config.endpoints[name]
    told = config.zones[found.zone]
    return claimed(zone(config, found.zone), found, Said(told.trains, told.evidence))


def endpoint(config: Config, name: str) -> Endpoint:
    """The endpoint *name* as the rest of Trunkline knows it; `KeyError` if there is none."""
    found = config.endpoints[name]
    return Endpoint(
        name=name,
        stage=found.stage,
        api=found.api,
        model=found.model,
        zone=claims(config, name).zone,
        failure_domain=found.failure_domain,
        continuation=found.continuation,
        voice=found.voice or "",
        twin_of=found.twin_of or "",
        policy=policy(config.residency),
    )
