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
from dataclasses import dataclass, field
from importlib.metadata import EntryPoint, entry_points
from typing import Any, Protocol, TypeAlias, runtime_checkable

from aiohttp import ClientSession

from trunkline.config.checks import did_you_mean
from trunkline.config.load import ConfigErrors
from trunkline.config.load import endpoint as endpoint_of
from trunkline.config.models import Config, EndpointConfig
from trunkline.contracts import Codec, DuplexCodec, Stage
from trunkline.errors import ConfigError, EndpointError, Fault, InputError
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage
from trunkline.net.raw import Pool
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.options import Options
from trunkline.types import LLM, STT, TTS, Delta, Endpoint, Prompt, StageName

GROUP = "trunkline.providers"
START_S = 20.0  # an acoustic model loads in 0.1 s; a cold disk and a busy machine take longer
CLOSE_S = 5.0  # a child process that ignores this does not hold up the worker's own end
_CONNECT_S_MAX = 10.0

AnyStage: TypeAlias = Stage[Any, Any]
"""A stage whose input and output its name (`stt`, `llm`, `tts`) decides, as `Stage` tells."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What stages share: the HTTP session, the egress gate, and where keys are looked up."""

    session: ClientSession
    gate: Gate
    environ: Mapping[str, str]
    pool: Pool = field(default_factory=Pool)


Factory: TypeAlias = Callable[[EndpointConfig, Endpoint, Resources], AnyStage]
Apis: TypeAlias = Mapping[tuple[StageName, str], Factory]


@runtime_checkable
class Startable(Protocol):
    """A stage with a life. `close` is idempotent and also ends what a failed `start` began."""

    async def start(self) -> None:
        """Get ready to serve; `EndpointError` if it cannot, `InputError` as configured."""
        ...

    async def close(self) -> None:
        """Free everything."""
        ...


def key_of(config: EndpointConfig, resources: Resources) -> str | None:
    """The key of an endpoint, None if it needs none; `InputError` if its variable is not set."""
    if config.key_env is None:
        return None
    if key := resources.environ.get(config.key_env):
        return key
    raise InputError(
        f"the environment variable {config.key_env} (key_env) is not set. "
        f"Export it for the worker, or write key_env: null if the endpoint needs no key"
    )


def _openai(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import openai  # noqa: PLC0415  # only what is used

    if config.base_url is None:
        raise InputError('base_url is missing. Add base_url: "https://.../v1"')
    connect_s, given = _connect_s(config, 0.5)
    options = Options(endpoint.name, given, taken=("connect_s",))
    codec = openai.OpenAIChat(
        endpoint,
        limit_field=options.choice("limit_field", openai.LIMIT_FIELDS),
        extra=options.mapping("extra"),
        key_header=options.choice("key_header", openai.KEY_HEADERS),
        api_version=options.text("api_version", "") if "api_version" in given else None,
    )
    options.done()
    return _sse(config, endpoint, resources, codec, config.base_url, connect_s)


def _anthropic(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import anthropic  # noqa: PLC0415  # only what is used

    extra, connect_s = _extra(config, endpoint)
    codec = anthropic.AnthropicMessages(endpoint, extra=extra)
    home = "https://api.anthropic.com/v1"
    return _sse(config, endpoint, resources, codec, home, connect_s)


def _gemini(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import gemini  # noqa: PLC0415  # only what is used

    extra, connect_s = _extra(config, endpoint)
    codec = gemini.GeminiContent(endpoint, extra=extra)
    home = "https://generativelanguage.googleapis.com/v1beta"
    return _sse(config, endpoint, resources, codec, home, connect_s)


def _openai_responses(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import openai_responses  # noqa: PLC0415  # only what is used

    extra, connect_s = _extra(config, endpoint)
    codec = openai_responses.OpenAIResponses(endpoint, extra=extra)
    return _sse(config, endpoint, resources, codec, "https://api.openai.com/v1", connect_s)


def _extra(config: EndpointConfig, endpoint: Endpoint) -> tuple[Mapping[str, object], float]:
    """The option that all language models share, and the deadline for connecting."""
    connect_s, given = _connect_s(config, 0.5)
    options = Options(endpoint.name, given, taken=("connect_s",))
    extra = options.mapping("extra")
    options.done()
    return extra, connect_s


def _sse(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Codec[Prompt, Delta],
    home: str,
    connect_s: float,
) -> AnyStage:
    """A stage over server-sent events, at *home* if the configuration names no other address."""
    return SseStage(
        endpoint,
        codec,
        base_url=config.base_url or home,
        key=key_of(config, resources),
        session=resources.session,
        gate=resources.gate,
        connect_s=connect_s,
        pool=resources.pool,
    )


def _deepgram(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt.deepgram import Deepgram  # noqa: PLC0415  # only what is used

    return _duplex(config, endpoint, resources, Deepgram, "https://api.deepgram.com/v1")


def _cartesia(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.cartesia import Cartesia  # noqa: PLC0415  # only what is used

    return _duplex(config, endpoint, resources, Cartesia, "https://api.cartesia.ai")


def _elevenlabs(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.elevenlabs import ElevenLabs  # noqa: PLC0415  # only what is used

    return _duplex(config, endpoint, resources, ElevenLabs, "https://api.elevenlabs.io/v1")


def _duplex(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Callable[[Endpoint, Mapping[str, object]], DuplexCodec[Any, Any]],
    home: str,
) -> AnyStage:
    """A stage over a WebSocket, at *home* if the configuration names no other address."""
    connect_s, options = _connect_s(config, 1.5)
    return WebSocketStage(
        endpoint,
        codec(endpoint, options),
        base_url=config.base_url or home,
        key=key_of(config, resources),
        session=resources.session,
        gate=resources.gate,
        connect_s=connect_s,
    )


def _connect_s(config: EndpointConfig, default: float) -> tuple[float, Mapping[str, object]]:
    """The option that all endpoints over a network share, and the other options."""
    options = dict(config.options)
    connect_s = options.pop("connect_s", default)
    if not isinstance(connect_s, int | float) or not 0 < connect_s <= _CONNECT_S_MAX:
        raise InputError(f"options.connect_s is not a number of seconds up to {_CONNECT_S_MAX:g}")
    return float(connect_s), options


def _pocketsphinx(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.embedded import pocketsphinx  # noqa: PLC0415  # only what is used

    _stays_here(config, resources)
    return pocketsphinx.PocketsphinxStt(endpoint, config.options)


def _espeak(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.embedded.espeak import EspeakTts  # noqa: PLC0415  # an optional extra

    _stays_here(config, resources)
    return EspeakTts(endpoint, config.options)


def _stays_here(config: EndpointConfig, resources: Resources) -> None:
    """Refuse an address or a key that an embedded engine would silently ignore."""
    del resources  # nothing is sent, so neither session nor gate is asked
    for key in ("base_url", "key_env"):
        if getattr(config, key) is not None:
            raise InputError(f"{config.api} runs on this machine and has no {key}. Delete it")


BUILT_IN: Apis = {
    (LLM, "anthropic"): _anthropic,
    (LLM, "gemini"): _gemini,
    (LLM, "openai"): _openai,
    (LLM, "openai_responses"): _openai_responses,
    (STT, "deepgram"): _deepgram,
    (STT, "pocketsphinx"): _pocketsphinx,
    (TTS, "cartesia"): _cartesia,
    (TTS, "elevenlabs"): _elevenlabs,
    (TTS, "espeak"): _espeak,
}


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
    if config.gateway is not None:
        used |= {name for model in config.gateway.models.values() for name in model.llm}
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
