"""The `trunkline.yaml` of a recommended topology: zones, endpoints and routes, with backups."""

from typing import Any

import yaml

from trunkline.decide.needs import STAGES
from trunkline.decide.offers import Host, Offer, Offers, place_of
from trunkline.decide.study import Study
from trunkline.types import LLM, STT, TTS, DataClass, StageName

_SENDS = {STT: DataClass.AUDIO, LLM: DataClass.PROMPT, TTS: DataClass.SPEECH_TEXT}
_HEAD = """\
# {name}: {topology}
# Made by `trunkline decide`. Every address that ends in .example, every key and every contract
# (baa, dpa, retention) is yours to fill in; then `trunkline check` dials it.
"""


def configuration(study: Study, offers: Offers) -> str:
    """The text of the file; `ValueError` if nothing was recommended."""
    if study.picked is None:
        raise ValueError("nothing was recommended")
    topology = study.picked.cost.topology
    zones: dict[str, Any] = {}
    endpoints: dict[str, Any] = {}
    routes: dict[str, list[str]] = {stage: [] for stage in STAGES}
    for stage, option in topology.options.items():
        if isinstance(option, Host):
            _hosted(study, offers, stage, option, zones, endpoints, routes[stage])
        # A stage has a backup of another operator where the constraints leave one.
        managed = [it for it in study.choice.left[stage, "managed"] if isinstance(it, Offer)]
        managed.sort(key=lambda it: it.name != option.name)
        for offer in managed[: 1 if isinstance(option, Host) else 2]:
            _managed(study, offer, zones, endpoints, routes[stage])
    tree = {
        "version": 1,
        "zones": zones,
        "endpoints": endpoints,
        "agents": {"receptionist": {"routes": routes}},
    }
    head = _HEAD.format(name=study.needs.name, topology=topology.name)
    return head + yaml.safe_dump(tree, sort_keys=False, width=100)


def _hosted(
    study: Study,
    offers: Offers,
    stage: str,
    host: Host,
    zones: dict[str, Any],
    endpoints: dict[str, Any],
    route: list[str],
) -> None:
    server, place = offers.servers[stage], place_of(study.needs, host)
    zones[host.name] = {
        "kind": host.kind,
        "region": f"{place.lower()}-1 and {place.lower()}-2 of {host.operator}",
        "jurisdiction": place,
        "processor": "you" if host.kind == "self_hosted" else "the customer",
        "retention": "none",
        "baa": study.needs.law.baa,
        "dpa": host.dpa,
        "accepts": [it.value for it in _SENDS.values()],
    }
    for region in ("1", "2"):
        name = f"{stage}-{host.name}-{region}"
        endpoints[name] = {
            "stage": stage,
            "api": server.api,
            "model": server.model,
            "base_url": f"https://{stage}-{region}.your-servers.example:{server.port}/v1",
            "zone": host.name,
            "failure_domain": f"{host.name}-{place.lower()}-{region}",
            "key_env": f"{stage.upper()}_KEY",
            "continuation": server.continuation,
            "options": dict(server.options),
        }
        if stage == TTS:
            endpoints[name]["voice"] = "ours"
        route.append(name)


def _managed(
    study: Study, offer: Offer, zones: dict[str, Any], endpoints: dict[str, Any], route: list[str]
) -> None:
    place = place_of(study.needs, offer)
    zone = f"{offer.operator.lower()}-{place.lower()}"
    accepts = zones.get(zone, {}).get("accepts", [])
    zones[zone] = {
        "kind": "managed",
        "region": place.lower(),
        "jurisdiction": place,
        "processor": offer.operator,
        "retention": offer.retention,
        "baa": study.needs.law.baa,
        "dpa": offer.dpa,
        "accepts": [*accepts, _SENDS[StageName(offer.stage)].value],
    }
    name = offer.name.replace(".", "-")
    endpoints[name] = {
        "stage": offer.stage,
        "api": offer.api,
        "model": offer.model,
        "base_url": offer.serves[place],
        "zone": zone,
        "failure_domain": zone,
        "key_env": offer.key_env,
        "options": dict(offer.options),
    }
    route.append(name)
