"""The stages of a worker: started, kept while the configuration of their endpoint stays, closed."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from trunkline.config.endpoints import EndpointConfig, ExpectedConfig
from trunkline.config.load import ConfigErrors
from trunkline.config.models import Config, ZoneConfig
from trunkline.config.residency import ResidencyConfig
from trunkline.errors import ConfigError, EndpointError, Fault, InputError
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.providers.registry import Apis, build, installed, placed
from trunkline.types import StageName

log = logging.getLogger(__name__)

START_S = 20.0  # an acoustic model loads in 0.1 s; a cold disk and a busy machine take longer
CLOSE_S = 5.0  # a child process that ignores this does not hold up the worker's own end


@runtime_checkable
class Startable(Protocol):
    """A stage with a life. `close` is idempotent and also ends what a failed `start` began."""

    async def start(self) -> None:
        """Get ready to serve; `EndpointError` if it cannot, `InputError` as configured."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


@dataclass(frozen=True, slots=True)
class _Open:
    name: str
    made_of: tuple[EndpointConfig, ZoneConfig, ResidencyConfig | None]
    stage: AnyStage


class OpenStages:
    """Every stage that is open. A configuration that is swapped for another shares what stayed."""

    def __init__(self, resources: Resources, apis: Apis | None = None) -> None:
        self._resources = resources
        self._apis = installed() if apis is None else apis
        self._open: list[_Open] = []

    async def prepare(
        self, config: Config, names: Collection[str] | None = None
    ) -> Mapping[str, AnyStage]:
        """The stages of all endpoints that a route of *config* names, or of *names*, started.

        All are built before one starts, so that all errors of a file come together
        (`ConfigError`). `EndpointError` if one does not start in time; then nothing has changed.
        """
        wanted: list[_Open] = []
        errors: list[ConfigError] = []
        for name in _routed(config) if names is None else names:
            made_of = _made_of(config, name)
            known = (it for it in self._open if (it.name, it.made_of) == (name, made_of))
            try:
                stage = next((it.stage for it in known), None)
                stage = stage or build(config, name, self._resources, self._apis)
            except ConfigError as error:
                errors.append(error)
            else:
                wanted.append(_Open(name, made_of, stage))
        if errors:
            raise errors[0] if len(errors) == 1 else ConfigErrors(errors)
        before = list(self._open)
        try:
            for it in wanted:
                if it not in self._open:
                    self._open.append(it)  # first: what a failed start leaves behind is closed, too
                    await self._start(config, it)
        except BaseException:
            await self._close([it for it in self._open if it not in before])
            raise
        return {it.name: it.stage for it in wanted}

    async def keep(self, stages: Iterable[AnyStage]) -> None:
        """Close all that are not among *stages*; one that does not end in time is logged."""
        kept = {id(stage) for stage in stages}
        try:
            await self._close([it for it in self._open if id(it.stage) not in kept])
        except EndpointError as error:
            log.warning("%s", error)

    async def close(self) -> None:
        """Close all, the last one first. `EndpointError` if one did not end in time."""
        await self._close(self._open)

    async def _start(self, config: Config, it: _Open) -> None:
        if not isinstance(it.stage, Startable):
            return
        try:
            await _within(it.name, it.stage.start, START_S, "start")
        except InputError as error:  # such as a voice that the engine does not have
            raise placed(config, it.name, error) from error

    async def _close(self, those: list[_Open]) -> None:
        late: EndpointError | None = None
        for it in reversed(list(those)):
            self._open.remove(it)
            if isinstance(it.stage, Startable):
                try:
                    await _within(it.name, it.stage.close, CLOSE_S, "end")
                except EndpointError as error:
                    late = late or error
        if late is not None:
            raise late


def _made_of(
    config: Config, name: str
) -> tuple[EndpointConfig, ZoneConfig, ResidencyConfig | None]:
    """What the stage of endpoint *name* depends on; what is expected of it is routing's."""
    endpoint = config.endpoints[name]
    told = endpoint.model_copy(update={"expected": ExpectedConfig()})
    return told, config.zones[endpoint.zone], config.residency


def changed(old: Config, new: Config) -> set[str]:
    """The endpoints of both whose stage is another; what is expected of them does not count."""
    both = old.endpoints.keys() & new.endpoints.keys()
    return {name for name in both if _made_of(old, name) != _made_of(new, name)}


@asynccontextmanager
async def open_route_stages(
    config: Config, resources: Resources, apis: Apis | None = None
) -> AsyncIterator[Mapping[str, AnyStage]]:
    """Every endpoint that some route names, by its name, built and started, each once.

    Raises as `OpenStages.prepare` does; leaving closes them.
    """
    stages = OpenStages(resources, apis)
    try:
        yield await stages.prepare(config)
    finally:
        await stages.close()


def route(
    config: Config, agent: str, stages: Mapping[str, AnyStage]
) -> Mapping[StageName, tuple[AnyStage, ...]]:
    """The opened *stages* that serve *agent*, per stage name, the preferred one first."""
    routes = config.agents[agent].routes
    return {stage: tuple(stages[name] for name in names) for stage, names in routes.items()}


def _routed(config: Config) -> Iterable[str]:
    """Names of the endpoints in use, in the order of the file."""
    used = {n for a in config.agents.values() for names in a.routes.values() for n in names}
    if config.gateway is not None:
        used |= {name for model in config.gateway.models.values() for name in model.route[1]}
    return [name for name in config.endpoints if name in used]


async def _within(name: str, do: Callable[[], Awaitable[None]], limit_s: float, verb: str) -> None:
    scope = asyncio.timeout(limit_s)
    try:
        async with scope:
            await do()
    except TimeoutError as error:
        if not scope.expired():
            raise  # a bug in the stage, not our deadline
        raise EndpointError(
            name, Fault.SILENT, f"did not {verb} in time", deadline_s=limit_s
        ) from error
