"""What each stage may run on, and which of it the law rules out, with the reason and evidence."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from functools import cache
from importlib.resources import files
from typing import Annotated, Literal, TypeAlias

from pydantic import Field, JsonValue

from trunkline.config.load import parse_as
from trunkline.config.shapes import EnvName, Model, Name, Text, Url
from trunkline.decide.needs import KINDS, STAGES, Kind, Needs, Stage

Day: TypeAlias = Annotated[date, Field(strict=False)]


class Offer(Model):
    """A managed service that runs one stage."""

    name: Text = Field(description="its name here")
    stage: Stage = Field(description="stt, llm or tts")
    kind: Literal["managed"] = Field(description="managed")
    operator: Text = Field(description="the company that processes")
    seat: Text = Field(description="the jurisdiction of that company")
    api: Name = Field(description="the api of a configuration")
    model: Text = Field(description="the model as the provider writes it")
    key_env: EnvName = Field(description="the variable with the key")
    price: Text = Field(description="the id of its figure; of three figures for an llm")
    uplift: Text = Field(default="uplift.none", description="the id of a surcharge")
    baa: Text = Field(description='how a BAA is had, or "unknown"')
    dpa: bool = Field(description="whether there is a data processing agreement")
    training: Text = Field(description="how training on the data is kept off")
    retention: Text = Field(description="how long it keeps what it gets")
    serves: Mapping[str, Url] = Field(description="jurisdictions and addresses")
    options: Mapping[str, JsonValue] = Field(default_factory=dict, description="of the endpoint")
    source: Text = Field(description="the evidence")
    date: Day = Field(description="when it was read")

    @property
    def places(self) -> tuple[str, ...]:
        """The jurisdictions in which it processes."""
        return tuple(self.serves)


class Host(Model):
    """Where servers of one's own stand."""

    name: Text = Field(description="its name here")
    kind: Literal["self_hosted", "customer_vpc"] = Field(description="whose account it is")
    operator: Text = Field(description="the company that owns the machines")
    seat: Text = Field(description="the jurisdiction of that company")
    price: Text = Field(description="the id of its figure, of an H100 hour")
    baa: Text = Field(description='how a BAA is had, or "unknown"')
    dpa: bool = Field(description="whether there is a data processing agreement")
    places: tuple[Text, ...] = Field(description="jurisdictions")
    source: Text = Field(description="the evidence")
    date: Day = Field(description="when it was read")


class Server(Model):
    """What runs a stage on a host."""

    model: Text = Field(description="the model")
    api: Name = Field(description="the api of a configuration")
    port: int = Field(description="where it listens")
    continuation: Literal["prefix", "turn"] = Field(description="how it goes on")
    options: Mapping[str, JsonValue] = Field(default_factory=dict, description="of the endpoint")


class Offers(Model):
    """Everything on offer."""

    version: Literal[1] = Field(description="1, the version of this format")
    offers: tuple[Offer, ...] = Field(description="a list of managed services")
    hosts: tuple[Host, ...] = Field(description="a list of hosts")
    servers: Mapping[str, Server] = Field(description="what runs on hosts")


Option: TypeAlias = Offer | Host


@dataclass(frozen=True, slots=True)
class Eliminated:
    """An option that the needs rule out: why, by what evidence, and what would let it in again."""

    option: str
    stages: tuple[str, ...]
    kind: Kind
    reason: str
    evidence: str
    relax: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What is left for each stage and kind, and what was ruled out."""

    left: Mapping[tuple[str, Kind], Sequence[Option]]
    eliminated: Sequence[Eliminated]

    def kinds(self, stage: str) -> tuple[Kind, ...]:
        """The kinds that are left for *stage*."""
        return tuple(kind for kind in KINDS if self.left[stage, kind])

    @property
    def closed(self) -> tuple[str, ...]:
        """The stages for which nothing is left."""
        return tuple(stage for stage in STAGES if not self.kinds(stage))


@cache
def shipped() -> Offers:
    """The offers that ship."""
    text = files("trunkline.decide").joinpath("data", "offers.yaml").read_text(encoding="utf-8")
    return parse_as(Offers, text, "offers.yaml", "offers.yaml of trunkline.decide")[0]


def judge(needs: Needs, offers: Offers) -> Choice:
    """Hard constraints first: no weight and no price trades off a legal no."""
    out: list[Eliminated] = []
    left: dict[tuple[str, Kind], list[Option]] = {(s, k): [] for s in STAGES for k in KINDS}
    options: list[Option] = [*offers.offers, *offers.hosts]
    for it in options:
        stages = (it.stage,) if isinstance(it, Offer) else STAGES
        wrong = list(_against(needs, it))
        if not wrong:
            for stage in stages:
                left[stage, it.kind].append(it)
        else:
            evidence = f"{it.source} ({it.date})"
            reason, relax = ("; ".join(part) for part in zip(*wrong, strict=True))
            out.append(Eliminated(it.name, stages, it.kind, reason, evidence, relax))
    return Choice(left, out)


def _against(needs: Needs, it: Option) -> Iterator[tuple[str, str]]:
    """(why it is ruled out, which line of the needs says so), the gravest first."""
    law = needs.law
    if it.kind in law.forbidden:
        yield f"{it.kind} is forbidden by the needs", f"law.forbidden: without {it.kind}"
    elsewhere = [place for place in law.jurisdictions if place in it.places]
    if not elsewhere:
        wanted, has = " or ".join(law.jurisdictions), ", ".join(it.places)
        yield (
            f"no processing in {wanted} that we have evidence for (it has {has})",
            f"law.jurisdictions: with one of {has}",
        )
    if law.operators is not None and it.seat not in law.operators:
        wanted = " or ".join(law.operators)
        yield (
            f"{it.operator} has its seat in {it.seat}, not in {wanted}",
            f"law.operators: with {it.seat}",
        )
    if law.baa and it.baa == "unknown":
        yield f"no evidence of a BAA by {it.operator}", "law.baa: false, or find out"
    if law.dpa and not it.dpa:
        yield f"no data processing agreement by {it.operator}", "law.dpa: false"
    if law.no_training and isinstance(it, Offer) and it.training == "unknown":
        yield "no evidence that training can be kept off", "law.no_training: false"


def place_of(needs: Needs, it: Option) -> str:
    """Where *it* would process: the first jurisdiction of the needs that it has."""
    return next(place for place in needs.law.jurisdictions if place in it.places)
