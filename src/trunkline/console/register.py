"""The register of processing that a configuration makes, and what really left, by the journals.

In the form of GDPR article 30(1): who gets what for which purpose, where, for how long, and on what
a transfer rests. What the law wants beyond that (names of the controller, security measures) no
configuration knows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from trunkline.config.borders import contradictions, routed, sends
from trunkline.config.models import Config
from trunkline.config.places import endpoint, zone
from trunkline.config.providers import hosts, provider_at
from trunkline.core.residency import decide, retention_words
from trunkline.errors import RecordError
from trunkline.records.events import get, get_or
from trunkline.records.store import StoredCall
from trunkline.types import LLM, STT, TTS, DataClass, StageName, Zone

PURPOSES: Final[Mapping[StageName, str]] = {
    STT: "recognising what callers say",
    LLM: "writing what the agent says",
    TTS: "speaking what the agent says",
}
CARRIER: Final = "carrying the call"


@dataclass(frozen=True, slots=True)
class Recipient:
    """A row of the register: what one processor gets in one zone, as it counts.

    *evidence*: the contract that the zone names, else where its provider was read and when, else
    only that the file says so. *contradictions*: where the file claims more than is known.
    """

    processor: str
    zone: str
    kind: str
    region: str
    jurisdiction: str
    purposes: tuple[str, ...]
    categories: tuple[DataClass, ...]
    endpoints: tuple[str, ...]
    hosts: tuple[str, ...]
    retention: str
    trains: bool
    dpa: bool
    baa: bool
    transfer_tool: str
    evidence: str
    refused: tuple[str, ...] = ()
    contradictions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Flow:
    """What the journals say of one way out: *times* it was decided, in so many *calls*.

    *known*: the configuration still has this endpoint, in this zone.
    """

    endpoint: str
    zone: str
    destination: str
    data_class: str
    allowed: bool
    rule: str
    times: int
    calls: int
    known: bool


@dataclass(frozen=True, slots=True)
class Register:
    """All rows; *flows* None: no records were read. *unread*: calls that cannot be any more."""

    path: str
    policy: bool
    recipients: Sequence[Recipient]
    flows: Sequence[Flow] | None = None
    calls: int = 0
    unread: int = 0

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return asdict(self)


def register(config: Config) -> Register:
    """What *config* says will go where."""
    rows: dict[tuple[str, str], list[tuple[StageName, str]]] = {}
    for _, stage, name in routed(config):
        it = endpoint(config, name).zone
        known = rows.setdefault((it.name, _processor(config, name)), [])
        if (stage, name) not in known:
            known.append((stage, name))
    found = [_recipient(config, processor, used) for (_, processor), used in rows.items()]
    residency = config.residency
    if residency is not None and residency.carrier is not None:
        line = zone(config, residency.carrier)
        found.insert(0, _row(config, line, (CARRIER,), (DataClass.AUDIO,)))
    return Register(config.path, residency is not None, found)


def _processor(config: Config, name: str) -> str:
    """Who it is by the address, else by the zone."""
    known = [provider_at(host) for host in hosts(config.endpoints[name])]
    return next((it[1].processor for it in known if it), endpoint(config, name).zone.processor)


def _recipient(config: Config, processor: str, used: list[tuple[StageName, str]]) -> Recipient:
    names = tuple(dict.fromkeys(name for _, name in used))
    counted = [endpoint(config, name) for name in names]
    classes = {name: sends(stage, config.endpoints[name], config) for stage, name in used}
    verdicts = [decide(it.policy, classes[it.name], it.zone) for it in counted]
    said = contradictions(config)
    row = _row(
        config,
        max((it.zone for it in counted), key=lambda it: (it.retention_s, it.trains)),
        tuple(dict.fromkeys(PURPOSES[stage] for stage, _ in used)),
        tuple(dict.fromkeys(classes.values())),
        names,
    )
    return replace(
        row,
        processor=processor,
        region=", ".join(dict.fromkeys(it.zone.region for it in counted)),
        jurisdiction=", ".join(dict.fromkeys(it.zone.jurisdiction for it in counted)),
        refused=tuple(it.rule for it in verdicts if not it.allowed),
        contradictions=tuple(dict.fromkeys(it for name in names for it in said.get(name, ()))),
    )


def _row(
    config: Config,
    it: Zone,
    purposes: tuple[str, ...],
    categories: tuple[DataClass, ...],
    names: tuple[str, ...] = (),
) -> Recipient:
    """The zone *it*, as it counts, for *names*, the endpoints there."""
    addresses = dict.fromkeys(host for name in names for host in hosts(config.endpoints[name]))
    return Recipient(
        processor=it.processor,
        zone=it.name,
        kind=it.kind,
        region=it.region,
        jurisdiction=it.jurisdiction,
        purposes=purposes,
        categories=categories,
        endpoints=names,
        hosts=tuple(addresses),
        retention=retention_words(it.retention_s),
        trains=it.trains,
        dpa=it.dpa,
        baa=it.baa,
        transfer_tool=it.transfer_tool or "none",
        evidence=_evidence(config, it.name, addresses),
    )


def _evidence(config: Config, name: str, addresses: Iterable[str]) -> str:
    if told := config.zones[name].evidence:
        return told
    known = [provider_at(host) for host in addresses]
    read = [f"{it.url} ({it.read})" for found in known if found for it in found[1].sources]
    return "; ".join(dict.fromkeys(read)) or f"declared in zones.{name}"


def with_flows(declared: Register, config: Config, calls: Iterable[StoredCall]) -> Register:
    """*declared* and what the journals of *calls* say of what left, or was refused."""
    times: Counter[tuple[str, str, str, str, bool, str]] = Counter()
    in_calls: Counter[tuple[str, str, str, str, bool, str]] = Counter()
    read = unread = 0
    for call in calls:
        try:
            events = [event for event in call.events if event.type == "egress"]
        except RecordError:  # erased, or sealed under another key: said in the register
            unread += 1
            continue
        read += 1
        ways = [
            (
                get(event, "endpoint", str),
                event.zone,
                get(event, "destination", str),
                get(event, "data_class", str),
                get(event, "allowed", bool),
                get_or(event, "rule", str, ""),
            )
            for event in events
        ]
        times.update(ways)
        in_calls.update(set(ways))
    flows = [Flow(*way, times[way], in_calls[way], _known(config, *way[:3])) for way in times]
    flows.sort(key=lambda it: (it.allowed, it.zone, it.endpoint, it.data_class))
    return Register(declared.path, declared.policy, declared.recipients, flows, read, unread)


def _known(config: Config, name: str, zone_name: str, destination: str) -> bool:
    """Whether *config* has the endpoint at this address, in this zone."""
    settings = config.endpoints.get(name)
    if settings is None or settings.zone != zone_name:
        return False
    found = hosts(settings)
    host = destination.partition(" ")[0].rpartition(":")[0].strip("[]")
    return host in found
