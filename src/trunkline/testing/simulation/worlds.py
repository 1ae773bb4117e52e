"""What is simulated: endpoints with their latency, the weather over them, how people talk.

A world is a file. Seven ship with the package (`WORLDS`); a user's own may give measured times to
first token instead of a law. Laws and troubles by name are in `testing/laws.yaml`.
"""

import math
import random
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from trunkline.config.load import parse_as
from trunkline.config.models import ExpectedConfig
from trunkline.config.shapes import FilePath, Model, Name, Text
from trunkline.config.tree import Source
from trunkline.errors import ConfigError, InputError
from trunkline.testing.laws import LAWS, TROUBLES

WORLDS = ("healthy", "stalls1", "heavy", "brownout", "down", "corr", "tools")
"""The worlds that ship: good days, 1 % stalls, heavy tails, one sick, one down, two sick; tools."""

ENDPOINTS_MAX = 8
EXAMPLE = "`trunkline simulate healthy` runs one that ships"

Share = Annotated[float, Field(ge=0, le=1)]
Moment = Annotated[float, Field(ge=0, le=86_400)]
Positive = Annotated[float, Field(gt=0, le=86_400)]
Percentile = Annotated[str, StringConstraints(pattern=r"^p[0-9]{1,2}(\.[0-9]+)?$")]


class MeasuredConfig(Model):
    """Times to first useful token that somebody measured."""

    quantiles_s: Mapping[Percentile, Positive] = Field(
        default_factory=dict,
        description="a mapping of percentiles to seconds, such as {p50: 0.5, p95: 0.9, p99: 2.4}",
    )
    file: FilePath | None = Field(
        default=None, description="the path of a file with one time a line, or null"
    )
    unit: Literal["s", "ms"] = Field(default="s", description="s or ms: the unit in that file")
    tokens_per_s: Positive = Field(default=75.0, description="tokens per second of its answers")


class EndpointWorld(Model):
    """One endpoint as it is on a good day."""

    stage: Literal["llm"] = Field(default="llm", description="llm: the stage that is simulated")
    law: Name | None = Field(
        default=None, description="a latency law of testing/laws.yaml, such as managed"
    )
    measured: MeasuredConfig | None = Field(
        default=None, description="a mapping with quantiles_s or file, instead of a law"
    )
    troubles: Name = Field(
        default="none", description="troubles of testing/laws.yaml, such as everyday or none"
    )
    failure_domain: Text = Field(description="what fails together with it, such as a cloud region")
    expected: ExpectedConfig = Field(
        default_factory=ExpectedConfig,
        description="a mapping: what the policy is told before it has measured",
    )
    stretch: Positive = Field(
        default=1.0, description="a number: every time is so many times as long"
    )


class WeatherConfig(Model):
    """A time in which endpoints are otherwise: a brown-out, an outage."""

    endpoint: Name | None = Field(default=None, description="the name of an endpoint, or null")
    failure_domain: Text | None = Field(
        default=None, description="a failure domain, instead of one endpoint, or null"
    )
    from_s: Moment = Field(description="seconds of simulated time at which it begins")
    to_s: Moment = Field(description="seconds of simulated time at which it ends")
    law: Name | None = Field(default=None, description="a latency law, or null: as before")
    troubles: Name | None = Field(default=None, description="troubles, or null: as before")


class TalkConfig(Model):
    """How people and agents talk."""

    ear: Name = Field(
        default="phone_ear", description="the law of end-of-turn detection and recognition"
    )
    voice: Name = Field(default="managed_voice", description="the law of the first audio")
    transport_s: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.08, description="seconds that the network adds to what the caller hears"
    )
    sentences_shares: Annotated[tuple[Share, ...], Field(min_length=1, max_length=12)] = Field(
        default=(0.25, 0.35, 0.25, 0.15),
        description="a list: the shares of answers with 1, 2, 3 ... sentences",
    )
    words_median: Annotated[float, Field(ge=2, le=40)] = Field(
        default=9.0, description="the median of words in a sentence"
    )
    words_sigma: Annotated[float, Field(ge=0, le=2)] = Field(
        default=0.45, description="their log-normal spread"
    )
    tool_share: Share = Field(
        default=0.1, description="the share of turns in which the model calls a tool first"
    )
    repeat_share: Share = Field(
        default=0.1,
        description="the share of rescuers that begin with the last sentence they were told",
    )
    caller_s: Positive = Field(
        default=5.0, description="the median of seconds from the end of a reply to the next one's"
    )


class World(Model):
    """A whole world, checked."""

    version: Literal[1] = Field(description="1, the version of this format")
    about: Annotated[str, StringConstraints(max_length=2_000)] = Field(
        default="", description="what this world is, for people"
    )
    horizon_s: Annotated[float, Field(ge=30, le=86_400)] = Field(
        default=1_200.0, description="seconds in which the calls of a worker begin"
    )
    judge_from_s: Moment = Field(
        default=0.0, description="turns that begin earlier are simulated and not counted"
    )
    judge_to_s: Moment = Field(default=86_400.0, description="nor those that begin later")
    endpoints: Annotated[
        Mapping[Name, EndpointWorld], Field(min_length=1, max_length=ENDPOINTS_MAX)
    ] = Field(description="a mapping of names to endpoints, the preferred one first")
    weather: Annotated[tuple[WeatherConfig, ...], Field(max_length=64)] = Field(
        default=(), description="a list of times in which endpoints are otherwise"
    )
    config: FilePath | None = Field(
        default=None, description="the path of a configuration whose policy is tried, or null"
    )
    agent: Name | None = Field(default=None, description="the agent in it; null: the first one")
    talk: TalkConfig = Field(
        default_factory=TalkConfig, description="a mapping: how people and agents talk"
    )


def load_world(name: str) -> World:
    """A world that ships, by its name, or the one in the file at the path *name*."""
    if name in WORLDS:
        shipped = files("trunkline.testing") / "worlds" / f"{name}.yaml"
        return parse_world(shipped.read_text(encoding="utf-8"), f"{name}.yaml")
    try:
        text = Path(name).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"the world {name} cannot be read: {error}. "
            f"Give a file, or one of those that ship: {', '.join(WORLDS)}"
        ) from error
    return parse_world(text, name)


def parse_world(text: str, path: Path | str) -> World:
    """Check *text*; `ConfigError` says what is wrong, at which line, and how to mend it."""
    world, source = parse_as(World, text, path, EXAMPLE)
    for name, endpoint in world.endpoints.items():
        _check_endpoint(name, endpoint, source)
    for at, weather in enumerate(world.weather):
        _check_weather(at, weather, world, source)
    talk = world.talk
    for key, law in (("ear", talk.ear), ("voice", talk.voice)):
        _known(("talk", key), law, LAWS, source)
    if not sum(talk.sentences_shares) > 0:
        what = "talk.sentences_shares: no answer has any sentence"
        raise source.error(("talk", "sentences_shares"), what, "Make one share more than 0")
    if world.judge_from_s >= min(world.judge_to_s, world.horizon_s):
        what = "judge_from_s: no turn would be counted"
        raise source.error(("judge_from_s",), what, "Let it be before judge_to_s and horizon_s")
    return world


def _check_endpoint(name: str, endpoint: EndpointWorld, source: Source) -> None:
    loc, measured = ("endpoints", name), endpoint.measured
    if (endpoint.law is None) == (measured is None):
        what = f"endpoints.{name}: needs a law or measured times, one of them"
        raise source.error(loc, what, "Write `law: managed`, or `measured: {quantiles_s: ...}`")
    if measured is not None and bool(measured.quantiles_s) == (measured.file is not None):
        what = f"endpoints.{name}.measured: needs quantiles_s or a file, one of them"
        raise source.error((*loc, "measured"), what, "Write `quantiles_s: {p50: 0.5, p95: 0.9}`")
    if endpoint.law is not None:
        _known((*loc, "law"), endpoint.law, LAWS, source)
    _known((*loc, "troubles"), endpoint.troubles, TROUBLES, source)


def _check_weather(at: int, weather: WeatherConfig, world: World, source: Source) -> None:
    loc = ("weather", at)
    if (weather.endpoint is None) == (weather.failure_domain is None):
        what = f"weather[{at}]: needs an endpoint or a failure_domain, one of them"
        raise source.error(loc, what, "Write `endpoint: NAME`")
    if weather.endpoint is not None:
        _known((*loc, "endpoint"), weather.endpoint, world.endpoints, source)
    if weather.failure_domain is not None:
        domains = {e.failure_domain: e for e in world.endpoints.values()}
        _known((*loc, "failure_domain"), weather.failure_domain, domains, source)
    if weather.from_s >= weather.to_s:
        what = f"weather[{at}]: ends before it begins"
        raise source.error((*loc, "to_s"), what, "Let to_s be after from_s")
    if weather.law is not None:
        _known((*loc, "law"), weather.law, LAWS, source)
    if weather.troubles is not None:
        _known((*loc, "troubles"), weather.troubles, TROUBLES, source)


def _known(
    loc: tuple[str | int, ...], name: str, known: Mapping[str, object], source: Source
) -> None:
    if name not in known:
        raise _unknown(loc, name, known, source)


def _unknown(
    loc: tuple[str | int, ...], name: str, known: Mapping[str, object], source: Source
) -> ConfigError:
    return source.error(loc, f"there is no {name!r} here", f"Known: {', '.join(known)}")


def perturbed(world: World, seed: int) -> World:
    """*world* with every endpoint, and each weather with it, some 15 % slower or faster.

    To judge a policy by laws that it was not tuned on.
    """
    rng = random.Random(f"laws {seed}")  # noqa: S311  # a simulation, to be repeated by its seed
    endpoints = {
        name: it.model_copy(update={"stretch": it.stretch * math.exp(rng.gauss(0.0, 0.15))})
        for name, it in world.endpoints.items()
    }
    return world.model_copy(update={"endpoints": endpoints})
