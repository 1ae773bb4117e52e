"""The parts of a worker that its configuration decides, put together, and exchanged while it runs.

What may change live: zones, residency, endpoints, routes, and an agent's policy, turn and consent.
`refuse` names what may not. New calls and new turns get what is new; a turn that has begun keeps
its endpoints, which are closed when no turn has them any more (`calls.settings`). An endpoint that
stays as it is keeps its connections, its breaker and all that was learnt of it.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from random import Random

from trunkline.agent.practice import RIVERSIDE_DENTAL, load_practice
from trunkline.agent.receptionist import persona
from trunkline.agent.tools import open_tools
from trunkline.calls.capability import Capabilities, bare
from trunkline.calls.filler import Fillers
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.probes import Probes
from trunkline.calls.warming import Warming
from trunkline.calls.worker import Agent, ClosableJournal, Worker
from trunkline.config.load import ConfigErrors
from trunkline.config.models import AgentConfig, Config
from trunkline.config.policies import (
    attempt_policy,
    call_policy,
    hearing_policy,
    known_endpoints,
    last_resort_policy,
    synthesis_policy,
    turn_policy,
)
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.splice import GO_ON, can_go_on
from trunkline.errors import ConfigError, InputError
from trunkline.media.vad import VadPool
from trunkline.providers.opening import OpenStages, changed, route
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import Apis
from trunkline.types import LLM, TTS, CallId

log = logging.getLogger(__name__)

RETIRE_S = 5.0
"""Between two looks for endpoints that no turn has any more."""
SETTINGS_MAX = 8
"""Configurations that turns of running calls may have at a time; a turn lasts a minute or two."""
LIVE = {"version", "zones", "endpoints", "agents", "residency"}
"""The parts of a file that may change while a worker runs; the rest is the process itself."""
LIVE_OF_AGENT = {"routes", "policy", "turn", "consent"}
_RESTART = "Change it back, or start the worker anew (with --workers, SIGHUP does)"


class Assembly:
    """The parts of one worker for agent *name*; *tell* gets events that are of no call."""

    def __init__(
        self,
        config: Config,
        name: str,
        resources: Resources,
        tell: Callable[[dict[str, object]], None] | None = None,
        apis: Apis | None = None,
    ) -> None:
        self.config, self._name = config, name
        settings = config.agents[name]
        self._practice = load_practice(settings.practice or RIVERSIDE_DENTAL)
        check_language(config, name, self._practice.language)
        self._tools = open_tools(self._practice, settings.folder, now)
        self._open = OpenStages(resources, apis)
        self.stages: Mapping[str, AnyStage] = {}
        """Of all endpoints that a route of the newest configuration names."""
        self._capabilities = Capabilities(tell, by_turns=can_go_on(self._practice.language))
        self._fillers = Fillers(persona(self._practice, now()).filler)
        self._changing = asyncio.Lock()
        self.live: dict[CallId, ClosableJournal] = {}
        """The journals of the calls that are up."""

    async def open(self, journal: Callable[[CallId], ClosableJournal]) -> Worker:
        """The worker, its endpoints started and tried.

        Raises `ConfigError`, `InputError` or `EndpointError` if something is missing.
        """
        agent, self.stages = await self._made(self.config, ())
        router = Router(RoutingPolicy(), known_endpoints(self.config))
        self.worker = Worker(agent, Pacer(VadPool()), router, journal, self.live)
        self.warming = Warming(self.stages.values(), Random())  # noqa: S311  # jitter
        self.probes = Probes(router, _all(agent), asyncio.get_running_loop().time)
        await self.worker.prepare()
        return self.worker

    async def change(self, config: Config) -> None:
        """Go by *config* from the next turn on. What raises has changed nothing (see `open`)."""
        async with self._changing:
            refuse(self.config, config, self._name)
            if len(self.worker.settings.in_use) > SETTINGS_MAX:
                what = f"turns of running calls still have {SETTINGS_MAX} earlier configurations"
                raise InputError(f"{config.path}: {what}. Save the file again in a minute")
            check_language(config, self._name, self._practice.language)
            others = changed(self.config, config)
            known = self.worker.agent.routes[TTS]
            agent, stages = await self._made(config, known)
            # Nothing below fails or waits: the exchange is one step for every call.
            gone = self.config.endpoints.keys() - config.endpoints.keys()
            self.worker.router.renew(known_endpoints(config), others)
            self.worker.voices.forget(gone)
            self.worker.renew(agent)
            self.probes.renew(_all(agent))
            self.warming.renew(stages.values())
            self.config, self.stages = config, stages

    async def run(self) -> None:
        """Look after the endpoints until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._capabilities.run())
            group.create_task(self.warming.run())
            group.create_task(self._retire())

    async def close(self) -> None:
        """Close all endpoints."""
        await self._open.close()

    async def _made(
        self, config: Config, known: Sequence[AnyStage]
    ) -> tuple[Agent, Mapping[str, AnyStage]]:
        """The agent by *config*, its stages started, tried, and heard but for those *known*."""
        stages = await self._open.prepare(config)
        wrapped = self._capabilities.wrapped(stages)
        await self._capabilities.prove(wrapped)
        self._capabilities.keep(wrapped)
        routes = route(config, self._name, wrapped)
        fresh = [stage for stage in routes[TTS] if stage not in known]
        await self._fillers.render(fresh)
        if known:
            voices = self.worker.voices
            voices.forget(stage.endpoint.name for stage in fresh)
            await voices.prepare(fresh, persona(self._practice, now()).apology)
        settings = config.agents[self._name]
        return Agent(
            lambda: persona(self._practice, now(), asks_consent=settings.consent.ask),
            self._tools,
            routes,
            policies(settings, config.server.transfer_to),
            self._fillers,
        ), wrapped

    async def _retire(self) -> None:
        while True:
            await asyncio.sleep(RETIRE_S)
            if not self._changing.locked():  # what is being opened is in no turn's hands yet
                used = [it.routes.values() for it in self.worker.settings.in_use]
                kept = [bare(stage) for routes in used for stages in routes for stage in stages]
                await self._open.keep([*kept, *map(bare, self.stages.values())])


def refuse(old: Config, new: Config, agent: str) -> None:
    """`ConfigError` with everything in *new* that a worker of *old* cannot take while it runs."""
    errors: list[ConfigError] = []
    for part in type(new).model_fields:
        if part not in LIVE and getattr(old, part) != getattr(new, part):
            errors += _differences(old, new, (part,))
    if agent not in new.agents:
        errors.append(new.error(("agents",), f"{agent!r}, who is served, is gone", _RESTART))
    else:
        for key in type(new.agents[agent]).model_fields:
            if key not in LIVE_OF_AGENT:
                errors += _differences(old, new, ("agents", agent, key))
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _differences(old: Config, new: Config, loc: tuple[str, ...]) -> list[ConfigError]:
    """An error for each value that differs at *loc*."""
    was, now_ = (_at(config, loc) for config in (old, new))
    if was == now_:
        return []
    if isinstance(was, dict) and isinstance(now_, dict):
        keys = dict.fromkeys([*was, *now_])
        return [error for key in keys for error in _differences(old, new, (*loc, key))]
    return [new.error(loc, "it cannot change while the worker runs", _RESTART)]


def _at(config: Config, loc: tuple[str, ...]) -> object:
    found: object = config.model_dump(mode="json")
    for key in loc:
        found = found.get(key) if isinstance(found, dict) else None
    return found


def check_language(config: Config, agent: str, language: str) -> None:
    """`ConfigError` unless each model of *agent* can be asked in *language* to go on.

    Also those that are declared to continue a prefix: whether they do is not known yet.
    """
    for at, name in enumerate(config.agents[agent].routes[LLM]):
        if config.endpoints[name].continuation == "turn" and not can_go_on(language):
            raise config.error(
                ("agents", agent, "routes", LLM, at),
                f"{name!r} cannot be asked in {language!r} to go on with a broken answer",
                f"Known are {', '.join(sorted(GO_ON))}. Use an endpoint with continuation: prefix, "
                "or add the text to trunkline.core.splice.GO_ON",
            )


def policies(settings: AgentConfig, transfer_to: str | None) -> Policies:
    """How an agent behaves in time; *transfer_to*: the server's number."""
    last = settings.last_resort
    return Policies(
        attempt_policy(settings.policy),
        turn_policy(settings.turn),
        call=call_policy(last),
        last_resort=last_resort_policy(last, transfer_to),
        synthesis=synthesis_policy(settings.policy.tts),
        hearing=hearing_policy(settings.policy.stt),
    )


def now() -> datetime:
    """Wall-clock time."""
    return datetime.now(UTC)


def _all(agent: Agent) -> list[AnyStage]:
    return [stage for stages in agent.routes.values() for stage in stages]
