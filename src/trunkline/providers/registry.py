"""From configuration to running stages: `api:` names a factory, everything else is data.

A package outside Trunkline adds an api by an entry point of the group `trunkline.providers`, named
`<stage>.<api>`, that is a `Factory`:

    [project.entry-points."trunkline.providers"]
    "llm.acme" = "acme_trunkline:chat"

A factory starts nothing and raises `InputError` if it cannot work as configured; `build` adds the
file and line. A stage that needs more than construction (a process, a model in memory) is
`Startable`: see `opening`.
"""

from collections.abc import Iterable
from importlib.metadata import EntryPoint, entry_points

from trunkline.config.checks import did_you_mean
from trunkline.config.endpoints import EndpointConfig
from trunkline.config.models import Config
from trunkline.config.places import endpoint as endpoint_of
from trunkline.errors import ConfigError, InputError
from trunkline.providers.factories import BUILT_IN, Apis, Factory
from trunkline.providers.pseudonyms import PseudonymousLlm
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.types import LLM, DataClass, Endpoint, StageName

__all__ = ["BUILT_IN", "GROUP", "Apis", "Factory", "build", "installed", "with_plugins"]

GROUP = "trunkline.providers"


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
        stage = factory(settings, endpoint, resources)
    except InputError as error:
        raise placed(config, name, error) from error
    accepts = endpoint.zone.accepts
    pseudonyms_only = DataClass.PSEUDONYMISED in accepts and DataClass.PROMPT not in accepts
    if endpoint.stage == LLM and pseudonyms_only:
        return PseudonymousLlm(stage, resources.vaults())
    return stage


def placed(config: Config, name: str, error: InputError) -> ConfigError:
    """What a stage says is wrong with its settings, with the line of its endpoint."""
    what, _, mend = str(error).removeprefix(f"{name}: ").partition(". ")
    return config.error(("endpoints", name), what, mend)
