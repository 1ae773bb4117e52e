"""From configuration to running stages: `api:` names a factory, everything else is data.

A package outside Trunkline adds an api by an entry point of the group `trunkline.providers`, named
`<stage>.<api>`, that is a `Factory`:

    [project.entry-points."trunkline.providers"]
    "llm.acme" = "acme_trunkline:chat"

A factory starts nothing and raises `InputError` if it cannot work as configured; `build` adds the
file and line. A stage that needs more than construction (a process, a model in memory) is
`Startable`.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, runtime_checkable

from trunkline.config.checks import did_you_mean
from trunkline.config.load import ConfigErrors
from trunkline.config.load import endpoint as endpoint_of
from trunkline.config.models import Config, EndpointConfig
from trunkline.errors import ConfigError, EndpointError, Fault, InputError
from trunkline.providers.factories import BUILT_IN, AnyStage, Apis, Factory, Resources, key_of
from trunkline.types import Endpoint, StageName

__all__ = [
    "BUILT_IN",
    "AnyStage",
    "Apis",
    "Factory",
    "Resources",
    "Startable",
    "build",
    "installed",
    "key_of",
    "open_route_stages",
    "route",
    "with_plugins",
]

GROUP = "trunkline.providers"
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


def installed() -> Apis:
    """All apis that ship and that other packages register."""
    return with_plugins(entry_points(group=GROUP))


def with_plugins(entries: Iterable[EntryPoint]) -> Apis:
    """The built-in apis and those of *entries*, which are imported when they are first used.

    `InputError` if two packages claim one name: which one serves calls must not be chance.
    """
    apis = dict(BUILT_IN)
    for entry in entries:
        stage, dot, api = entry.name.partition(".")
        if not dot or not stage or not api:
            raise InputError(
                f"entry point {entry.name!r} ({entry.value}) in {GROUP} is not named "
                f"<stage>.<api>. Rename it in the package that brings it, or uninstall that"
            )
        if (StageName(stage), api) in apis:
            raise InputError(
                f"api {entry.name!r} is there already; {entry.value} claims it too. "
                f"Uninstall one of the packages, or rename its entry point"
            )
        apis[StageName(stage), api] = _plugin(entry)
    return apis


def _plugin(entry: EntryPoint) -> Factory:
    def factory(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
        try:
            build_stage: Factory = entry.load()
        except (ImportError, AttributeError) as error:
            raise InputError(
                f"the package that brings api {entry.name!r} ({entry.value}) does not load: "
                f"{error}. Install it again, or use another api"
            ) from error
        return build_stage(config, endpoint, resources)

    return factory


def build(config: Config, name: str, resources: Resources, apis: Apis | None = None) -> AnyStage:
    """The stage of endpoint *name*, not started; `ConfigError` with its line if it cannot be."""
    endpoint, settings = endpoint_of(config, name), config.endpoints[name]
    apis = installed() if apis is None else apis
    factory = apis.get((endpoint.stage, endpoint.api))
    if factory is None:
        known = [api for stage, api in apis if stage == endpoint.stage]
        what = f"there is no api {endpoint.api!r} for {endpoint.stage}"
        mend = did_you_mean(endpoint.api, known)
        if not mend.startswith("Known"):
            mend += f" Known for {endpoint.stage}: {', '.join(sorted(known))}"
        raise config.error(("endpoints", name, "api"), what, mend)
    try:
        return factory(settings, endpoint, resources)
    except InputError as error:
        raise _placed(config, name, error) from error


def _placed(config: Config, name: str, error: InputError) -> ConfigError:
    """What a stage says is wrong with its settings, with the line of its endpoint."""
    what, _, mend = str(error).removeprefix(f"{name}: ").partition(". ")
    return config.error(("endpoints", name), what, mend)


@asynccontextmanager
async def open_route_stages(
    config: Config, resources: Resources, apis: Apis | None = None
) -> AsyncIterator[Mapping[str, AnyStage]]:
    """Every endpoint that some route names, by its name, built and started, each once.

    All are built before one starts, so that all errors of a file come together (`ConfigError`).
    `EndpointError` if one does not start or end in time; the others are closed all the same.
    """
    apis = installed() if apis is None else apis
    stages: dict[str, AnyStage] = {}
    errors: list[ConfigError] = []
    for name in _routed(config):
        try:
            stages[name] = build(config, name, resources, apis)
        except ConfigError as error:
            errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigErrors(errors)
    async with AsyncExitStack() as stack:
        for name, stage in stages.items():
            if isinstance(stage, Startable):
                # Registered first: what a failed start leaves behind is closed, too.
                stack.push_async_callback(_within, name, stage.close, CLOSE_S, "end")
                try:
                    await _within(name, stage.start, START_S, "start")
                except InputError as error:  # such as a voice that the engine does not have
                    raise _placed(config, name, error) from error
        yield stages


def route(
    config: Config, agent: str, stages: Mapping[str, AnyStage]
) -> Mapping[StageName, tuple[AnyStage, ...]]:
    """The opened *stages* that serve *agent*, per stage name, the preferred one first."""
    routes = config.agents[agent].routes
    return {stage: tuple(stages[name] for name in names) for stage, names in routes.items()}


def _routed(config: Config) -> Iterable[str]:
    """Names of the endpoints in use, in the order of the file."""
    used = {n for a in config.agents.values() for names in a.routes.values() for n in names}
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
