"""From configuration to running stages: `api:` names a factory, everything else is data.

A package outside Trunkline adds an api by an entry point of the group `trunkline.providers`, named
`<stage>.<api>`, that is a `Factory`:

    [project.entry-points."trunkline.providers"]
    "llm.acme" = "acme_trunkline:chat"

A factory starts nothing and raises `InputError` if it cannot work as configured; `build` adds the
file and line. A stage that needs more than construction (a process, a model in memory) is
`Startable`: see `opening`.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from typing import TypeAlias

from trunkline.config.checks import did_you_mean
from trunkline.config.endpoints import EndpointConfig
from trunkline.config.load import endpoint as endpoint_of
from trunkline.config.models import Config
from trunkline.errors import ConfigError, InputError
from trunkline.providers.options import Options
from trunkline.providers.reaching import AnyStage, Resources, duplex, sse
from trunkline.types import LLM, STT, TTS, Endpoint, StageName

GROUP = "trunkline.providers"


Factory: TypeAlias = Callable[[EndpointConfig, Endpoint, Resources], AnyStage]
Apis: TypeAlias = Mapping[tuple[StageName, str], Factory]


def _openai(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import openai  # noqa: PLC0415  # only what is used

    if config.base_url is None and not config.replicas:
        raise InputError('base_url is missing. Add base_url: "https://.../v1"')
    given = config.options
    options = Options(endpoint.name, given)
    codec = openai.OpenAIChat(
        endpoint,
        limit_field=options.choice("limit_field", openai.LIMIT_FIELDS),
        extra=options.mapping("extra"),
        key_header=options.choice("key_header", openai.KEY_HEADERS),
        api_version=options.text("api_version", "") if "api_version" in given else None,
    )
    options.done()
    return sse(config, endpoint, resources, codec, config.base_url or "")


def _anthropic(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import anthropic  # noqa: PLC0415  # only what is used

    extra = _extra(config, endpoint)
    codec = anthropic.AnthropicMessages(endpoint, extra=extra)
    home = "https://api.anthropic.com/v1"
    return sse(config, endpoint, resources, codec, home)


def _gemini(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import gemini  # noqa: PLC0415  # only what is used

    extra = _extra(config, endpoint)
    codec = gemini.GeminiContent(endpoint, extra=extra)
    home = "https://generativelanguage.googleapis.com/v1beta"
    return sse(config, endpoint, resources, codec, home)


def _openai_responses(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.llm import openai_responses  # noqa: PLC0415  # only what is used

    extra = _extra(config, endpoint)
    codec = openai_responses.OpenAIResponses(endpoint, extra=extra)
    return sse(config, endpoint, resources, codec, "https://api.openai.com/v1")


def _extra(config: EndpointConfig, endpoint: Endpoint) -> Mapping[str, object]:
    """The option that all language models share."""
    options = Options(endpoint.name, config.options)
    extra = options.mapping("extra")
    options.done()
    return extra


def _deepgram(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt.deepgram import Deepgram  # noqa: PLC0415  # only what is used

    return duplex(config, endpoint, resources, Deepgram, "https://api.deepgram.com/v1")


def _cartesia(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.cartesia import Cartesia  # noqa: PLC0415  # only what is used

    return duplex(config, endpoint, resources, Cartesia, "https://api.cartesia.ai")


def _elevenlabs(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.elevenlabs import ElevenLabs  # noqa: PLC0415  # only what is used

    return duplex(config, endpoint, resources, ElevenLabs, "https://api.elevenlabs.io/v1")


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
    for key in ("base_url", "replicas", "key_env", "connect", "tls"):
        if getattr(config, key):
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
        raise placed(config, name, error) from error


def placed(config: Config, name: str, error: InputError) -> ConfigError:
    """What a stage says is wrong with its settings, with the line of its endpoint."""
    what, _, mend = str(error).removeprefix(f"{name}: ").partition(". ")
    return config.error(("endpoints", name), what, mend)
