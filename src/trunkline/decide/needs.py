"""`needs.yaml`: what is to be run, under which law, with whom, and for how long."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from trunkline.config.load import parse_as
from trunkline.config.shapes import FilePath, Model, Text
from trunkline.config.tree import Loc, dotted
from trunkline.decide.figures import FigureConfig
from trunkline.errors import ConfigError

Kind = Literal["managed", "self_hosted", "customer_vpc"]
KINDS: tuple[Kind, ...] = ("managed", "self_hosted", "customer_vpc")
"""Where a stage may run; the zones of a configuration have the same three."""
STAGES = ("stt", "llm", "tts")
"""The stages that are decided one by one, in the order of a turn."""
JURISDICTIONS = ("EU", "UK", "US", "CH", "CA", "AU", "IN", "JP", "SG", "BR", "AE")
Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[float, Field(gt=0, le=1e10)]
Stage = Literal["stt", "llm", "tts"]
Dimension = Literal["cost", "latency", "operations", "control", "speed"]
Ask = Callable[[str, str], str]
"""(question, default) -> the answer: a terminal's, or a test's."""


class Traffic(Model):
    """How much is talked, and when."""

    minutes_per_month: Positive = Field(
        description="a number above 0: connected minutes a month, such as 20000"
    )
    minutes_spread: Annotated[float, Field(ge=0, lt=1)] = Field(
        default=0.3, description="a share from 0 to 1: how far off that forecast may be"
    )
    growth_per_year: Annotated[float, Field(ge=-0.9, le=10)] = Field(
        default=0.0, description="a share, -0.9 to 10: 0.5 is half as much again each year"
    )
    business_days_per_month: Annotated[float, Field(ge=1, le=31)] = Field(
        default=22, description="days a month, 1 to 31, on which calls come"
    )
    busy_hour_share: Annotated[float, Field(ge=1 / 24, le=1)] = Field(
        default=0.12, description="a share from 0.042 to 1: minutes of a day in its busiest hour"
    )


class CallShape(Model):
    """What a call is like."""

    minutes: Annotated[float, Field(gt=0, le=240)] = Field(
        default=4.0, description="minutes, 0 to 240: the mean length of a call"
    )
    agent_talk_share: Share = Field(
        default=0.45, description="a share from 0 to 1: of the time that the agent talks"
    )
    turns_per_minute: Annotated[float, Field(gt=0, le=30)] = Field(
        default=4.0, description="a number, 0 to 30: requests to the language model a minute"
    )
    context_tokens: Annotated[float, Field(gt=0, le=2_000_000)] = Field(
        default=3000, description="tokens of a request, on average"
    )
    output_tokens: Annotated[float, Field(gt=0, le=100_000)] = Field(
        default=40, description="tokens of an answer, on average"
    )
    cache_hit: Share = Field(
        default=0.75, description="a share from 0 to 1: of the request's tokens found in a cache"
    )


class Slo(Model):
    """What a caller may wait, at the 99th percentile, and what a minute may cost."""

    turn_p99_s: Annotated[float, Field(gt=0, le=30)] = Field(
        default=3.0, description="seconds from the end of speech to the answer's first audio"
    )
    stage_p99_s: Mapping[Stage, Annotated[float, Field(gt=0, le=30)]] = Field(
        default={"stt": 0.5, "llm": 1.0, "tts": 0.5},
        description="seconds for each of stt, llm, tts: at which load a measured server is full",
    )
    cost_per_minute_max_usd: Positive | None = Field(
        default=None, description="dollars a connected minute, with people; or null"
    )


class Law(Model):
    """What may be done with the data, and by whom."""

    jurisdictions: Annotated[tuple[Text, ...], Field(min_length=1)] = Field(
        description="a list of where data may be processed: " + ", ".join(JURISDICTIONS)
    )
    operators: tuple[Text, ...] | None = Field(
        default=None,
        description="a list of whose companies may process it, by their seat; null: anybody's",
    )
    baa: bool = Field(
        default=False, description="true if a HIPAA business associate agreement is needed"
    )
    dpa: bool = Field(default=True, description="true if a data processing agreement is needed")
    no_training: bool = Field(
        default=True, description="true if nobody may train on the data, or false"
    )
    forbidden: tuple[Kind, ...] = Field(
        default=(), description="a list of what is ruled out: " + ", ".join(KINDS)
    )


class People(Model):
    """Who is there, and what they cost."""

    mlops: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0, description="people, 0 to 1000, who can run GPU servers"
    )
    on_call: Annotated[float, Field(ge=0, le=1000)] = Field(
        default=0, description="further engineers, 0 to 1000, who are on call for other things"
    )
    cost_per_year_usd: Positive = Field(
        default=300_000, description="dollars a year: an engineer's loaded cost"
    )


class Needs(Model):
    """All of it."""

    version: Literal[1] = Field(description="1, the version of this format")
    name: Text = Field(description="what this is, in a word")
    traffic: Traffic = Field(description="a mapping: minutes_per_month and when they come")
    call: CallShape = Field(default_factory=CallShape, description="a mapping: what a call is like")
    slo: Slo = Field(default_factory=Slo, description="a mapping: what a caller may wait")
    law: Law = Field(description="a mapping: jurisdictions and what else is ruled out")
    people: People = Field(default_factory=People, description="a mapping: who is there")
    horizon_months: Annotated[int, Field(ge=1, le=120)] = Field(
        default=24, description="months, 1 to 120, over which the costs are compared"
    )
    weights: Mapping[Dimension, Annotated[float, Field(ge=0, le=100)]] = Field(
        default={"cost": 35, "latency": 25, "operations": 20, "control": 10, "speed": 10},
        description="swing weights of cost, latency, operations, control, speed",
    )
    figures: Mapping[str, FigureConfig] = Field(
        default_factory=dict, description="a mapping of your own figures over the catalogue's"
    )
    runs: tuple[FilePath, ...] = Field(
        default=(), description="a list of files with measured load curves"
    )


def parse_needs(text: str, path: Path | str) -> Needs:
    """Check *text*, read from *path*; `ConfigError` says what is wrong, at which line."""
    needs, source = parse_as(Needs, text, path, "`trunkline decide init needs.yaml` writes one")
    for loc, what, mend in _wrong(needs):
        raise source.error(loc, f"{dotted(loc)}: {what}", mend)
    return needs


def _wrong(needs: Needs) -> Iterator[tuple[Loc, str, str]]:
    for key in ("jurisdictions", "operators"):
        for at, it in enumerate(getattr(needs.law, key) or ()):
            if it not in JURISDICTIONS:
                known = ", ".join(JURISDICTIONS)
                yield ("law", key, at), f"unknown jurisdiction {it!r}", f"Known: {known}"
    if len(set(needs.law.forbidden)) == len(KINDS):
        yield ("law", "forbidden"), "everything is ruled out", "Leave at least one kind"
    if not sum(needs.weights.values()):
        yield ("weights",), "all weights are 0", "Give at least one of them a weight"
    missing = [it for it in STAGES if it not in needs.slo.stage_p99_s]
    if missing:
        yield ("slo", "stage_p99_s"), f"{', '.join(missing)} missing", "Give stt, llm and tts"


def asked(path: Path, ask: Ask) -> str:
    """The text of a needs file made of what *ask* was answered; it is valid, or `ConfigError`."""
    name = ask("What is it? A word", "phones")
    minutes = ask("Connected minutes a month", "20000")
    length = ask("Minutes of a call, on average", "4")
    places = ask(f"Where may data be processed ({', '.join(JURISDICTIONS)}; commas)", "US")
    baa = ask("Is a HIPAA business associate agreement needed (yes or no)", "no")
    forbidden = ask(f"What is ruled out ({', '.join(KINDS)}; commas; or nothing)", "nothing")
    turn = ask("Seconds that a caller may wait for an answer, at p99", "3")
    mlops = ask("People who can run GPU servers", "0")
    on_call = ask("Further engineers who are on call already", "0")
    cost = ask("Dollars a year that one costs, loaded", "300000")
    months = ask("Months over which costs are compared", "24")
    if baa not in ("yes", "no"):
        raise ConfigError(path, None, f"{baa!r} is neither yes nor no", "Answer with one of them")
    signed = "true" if baa == "yes" else "false"
    ruled_out = "" if forbidden == "nothing" else forbidden
    text = f"""\
version: 1
name: {json.dumps(name)}
traffic: {{minutes_per_month: {minutes}}}
call: {{minutes: {length}}}
slo: {{turn_p99_s: {turn}}}
law: {{jurisdictions: [{places}], baa: {signed}, forbidden: [{ruled_out}]}}
people: {{mlops: {mlops}, on_call: {on_call}, cost_per_year_usd: {cost}}}
horizon_months: {months}
"""
    parse_needs(text, path)
    return text
