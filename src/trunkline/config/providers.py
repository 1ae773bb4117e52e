"""What is known of vendors: where their addresses are, what they keep, what has to be asked for.

The catalogue (`data/providers.yaml`) is what they said of themselves on a date, if nothing else was
agreed. A zone says what was agreed. Where the zone claims more than the vendor gives by default,
`claimed` takes the vendor's word unless the zone names its contract (`evidence`), and in any case
unless the option is set that the vendor wants to see: a claim alone moves no byte.
"""

import functools
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.resources import files
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, StringConstraints, TypeAdapter

from trunkline.config.endpoints import EndpointConfig
from trunkline.config.residency import length_s
from trunkline.config.shapes import Model, Text
from trunkline.config.tree import read
from trunkline.core.residency import OWN, retention_words
from trunkline.types import Zone

GLOBAL: Final = "global"
Known = bool | Literal["unknown"]
Signed = Literal["offered", "unknown", "none"]


def _known_length(text: str) -> str:
    if text != "unknown" and math.isinf(length_s(text)):
        raise ValueError("neither a length of time nor unknown")
    return text


class Host(Model):
    """One address: whose law applies there, and its own default of training, if it differs."""

    region: Text
    jurisdiction: Text
    trains: Known | None = None


class RequestOption(Model):
    """What each request must say to be kept for no time and not be learnt from.

    *keeps_region*: without it, a regional address is none. *contract*: it is honoured only for
    those whose contract has it.
    """

    name: str
    value: bool
    keeps_region: bool = False
    contract: bool = False


class Source(Model):
    """Where it was read, and when."""

    url: str
    read: Annotated[str, StringConstraints(pattern=r"^20[0-9]{2}-[01][0-9]-[0-3][0-9]$")]


class Provider(Model):
    """A vendor. *apis*: the host that each of our apis speaks with if no address is configured."""

    processor: Text
    hosts: Annotated[Mapping[str, Host], Field(min_length=1)]
    apis: Mapping[str, str] = Field(default_factory=dict)
    retention: Annotated[str, AfterValidator(_known_length)]
    trains: Known
    baa: Signed
    dpa: Signed
    zero_retention: Text
    option: RequestOption | None = None
    note: str = ""
    sources: Annotated[tuple[Source, ...], Field(min_length=1)]


@dataclass(frozen=True, slots=True)
class Said:
    """What a zone says of its contract: see `ZoneConfig`."""

    trains: bool | None
    evidence: str | None


@dataclass(frozen=True, slots=True)
class Claimed:
    """A zone as it counts for one endpoint, and where that is not what the file says."""

    zone: Zone
    contradictions: tuple[str, ...] = ()


@functools.cache
def catalogue() -> Mapping[str, Provider]:
    """All providers by name."""
    text = (files("trunkline.config") / "data" / "providers.yaml").read_text("utf-8")
    tree, _, errors = read(text, "providers.yaml")
    if errors:
        raise AssertionError(errors)  # it is ours, and a test reads it
    return TypeAdapter(dict[str, Provider]).validate_python(_tuples(tree))


def _tuples(tree: Any) -> Any:
    """*tree* with tuples for lists, as the strict shapes want them."""
    if isinstance(tree, dict):
        return {key: _tuples(value) for key, value in tree.items()}
    return tuple(map(_tuples, tree)) if isinstance(tree, list) else tree


def hosts(endpoint: EndpointConfig) -> list[str]:
    """The hosts that *endpoint* speaks with, as configured or by default; none for an engine."""
    destination = endpoint.options.get("destination")
    if endpoint.api == "livekit" and isinstance(destination, str):
        return [destination.rpartition(":")[0] or destination]
    urls = endpoint.replicas or (endpoint.base_url or "",)
    named = [urlsplit(url).hostname or "" for url in urls if url]
    homes = [it.apis[endpoint.api] for it in catalogue().values() if endpoint.api in it.apis]
    return named or homes


def provider_at(host: str) -> tuple[str, Provider, Host] | None:
    """Whose address *host* is, by name; None if nobody's that we know."""
    for name, provider in catalogue().items():
        for pattern, it in provider.hosts.items():
            if host == pattern or (pattern[0] == "*" and host.endswith(pattern[1:])):
                return name, provider, it
    return None


def claimed(zone: Zone, endpoint: EndpointConfig, said: Said) -> Claimed:
    """*zone* as it counts for *endpoint*: the worse of what is claimed and what is known."""
    contradictions: list[str] = []
    known = [(host, it) for host in hosts(endpoint) if (it := provider_at(host)) is not None]
    if known and said.trains is None:
        zone = replace(zone, trains=False)  # it claims nothing: what is known decides alone
    for host, (_, provider, at) in known:
        zone, told = _worse(zone, provider, host, at, endpoint, said)
        contradictions += told
    return Claimed(zone, tuple(dict.fromkeys(contradictions)))


def _worse(
    zone: Zone,
    provider: Provider,
    host: str,
    at: Host,
    endpoint: EndpointConfig,
    said: Said,
) -> tuple[Zone, list[str]]:
    """*zone* with the worse of each of its claims, and what is wrong with those."""
    option, agreed = provider.option, said.evidence is not None
    asked = option is None or _asks(endpoint, option)
    by_option = option is not None and asked and not option.contract
    how, told = _how(zone.name, option, asked=asked), list[str]()
    place = at.jurisdiction
    if option is not None and option.keeps_region and not asked:
        place = GLOBAL
    if zone.kind == OWN:
        told.append(f"zones.{zone.name}.kind is {zone.kind}, but {host} is {provider.processor}'s")
        zone = replace(zone, kind="managed")
    if place != zone.jurisdiction and not (place == GLOBAL and agreed and asked):
        mend = f": {how}" if place == GLOBAL else ""
        told.append(
            f"zones.{zone.name}.jurisdiction is {zone.jurisdiction}, but {host} is {place}{mend}"
        )
        zone = replace(zone, jurisdiction=place, region=GLOBAL if place == GLOBAL else at.region)
    grants, kept_s = by_option or (agreed and asked), length_s(provider.retention)
    if zone.retention_s < kept_s and not grants:
        told.append(
            f"zones.{zone.name}.retention is {zone.retention}, but {provider.processor} keeps it "
            f"{retention_words(kept_s)}: {how}"
        )
        zone = replace(zone, retention_s=kept_s)
    trains = (provider.trains if at.trains is None else at.trains) is not False
    if trains and said.trains is None:
        zone = replace(zone, trains=zone.trains or not by_option)
    elif trains and not zone.trains and not grants:
        told.append(
            f"zones.{zone.name}.trains is false, but {provider.processor} learns from it, "
            f"or that is not known: {how}"
        )
        zone = replace(zone, trains=True)
    return zone, told


def _how(zone: str, option: RequestOption | None, *, asked: bool) -> str:
    """What would make the claim count."""
    contract = f"name the contract in zones.{zone}.evidence"
    if option is None or asked:
        return contract
    flag = f"set options.{option.name}: {str(option.value).lower()}"
    return f"{flag} and {contract}" if option.contract else flag


def _asks(endpoint: EndpointConfig, option: RequestOption) -> bool:
    arguments = endpoint.options.get("arguments")  # of a plugin
    given = {**(arguments if isinstance(arguments, dict) else {}), **endpoint.options}
    return given.get(option.name) is option.value


def problems(name: str, provider: Provider) -> Iterator[str]:
    """What the shape of an entry of the catalogue does not show."""
    for api, host in provider.apis.items():
        if host not in provider.hosts:
            yield f"{name}.apis.{api}: {host} is not among its hosts"
