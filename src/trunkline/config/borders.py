"""The routes of a configuration against its policy: what may never go is refused at the start.

Every endpoint of every route is decided as the gate will decide it, so a backup on the wrong side
of a border is an error of the file and no surprise of the night in which the primary fails.
"""

from collections.abc import Iterator

from trunkline.config.endpoints import STAGES, EndpointConfig
from trunkline.config.models import Config
from trunkline.config.places import claims, endpoint, zone
from trunkline.config.residency import policy
from trunkline.config.tree import Loc
from trunkline.core.residency import decide
from trunkline.errors import ConfigError
from trunkline.types import LLM, DataClass, StageName

_MEND = "Route it elsewhere, or change residency or the zone if law and contract allow"


def sends(stage: StageName, endpoint: EndpointConfig, config: Config) -> DataClass:
    """The data class that *stage* sends to *endpoint*: a model may be sent pseudonyms only."""
    accepts = config.zones[endpoint.zone].accepts
    if stage == LLM and DataClass.PSEUDONYMISED in accepts and DataClass.PROMPT not in accepts:
        return DataClass.PSEUDONYMISED
    return STAGES[stage]


def routed(config: Config) -> Iterator[tuple[Loc, StageName, str]]:
    """Where each endpoint stands in a route, the stage of that, and its name."""
    for agent, settings in config.agents.items():
        for stage, names in settings.routes.items():
            for at, name in enumerate(names):
                yield ("agents", agent, "routes", stage, at), stage, name
    for model, it in ({} if config.gateway is None else config.gateway.models).items():
        stage, served_by = it.route
        for at, name in enumerate(served_by):
            yield ("gateway", "models", model, stage, at), stage, name


def refusals(config: Config) -> list[ConfigError]:
    """An error for each endpoint of a route, and the carrier, to which data may not go.

    None where there is no policy: then the zones alone decide, which `checks` has looked at.
    """
    if config.residency is None:
        return []
    errors: list[ConfigError] = []
    for loc, stage, name in routed(config):
        verdict = decide(
            policy(config.residency),
            sends(stage, config.endpoints[name], config),
            endpoint(config, name).zone,
        )
        if not verdict.allowed:
            known = "".join(f"; {it}" for it in claims(config, name).contradictions)
            what = f"{name!r} may not be used: {verdict.rule}{known}"
            errors.append(config.error(loc, what, _MEND))
    return errors + list(_carrier(config))


def _carrier(config: Config) -> Iterator[ConfigError]:
    loc: Loc = ("residency", "carrier")
    name = None if config.residency is None else config.residency.carrier
    if name is None:
        return
    if name not in config.zones:
        yield config.error(loc, f"there is no zone {name!r}", "Name one of this file's zones")
        return
    verdict = decide(policy(config.residency), DataClass.AUDIO, zone(config, name))
    if not verdict.allowed:
        yield config.error(loc, f"{name!r} may not have the audio: {verdict.rule}", _MEND)


def contradictions(config: Config) -> dict[str, tuple[str, ...]]:
    """By endpoint of a route: where its zone claims more than is known of its provider."""
    names = dict.fromkeys(name for _, _, name in routed(config))
    found = {name: claims(config, name).contradictions for name in names}
    return {name: told for name, told in found.items() if told}
