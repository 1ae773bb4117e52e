"""The apis that ship: one factory each, from an endpoint's configuration to its stage.

A factory imports what it builds, so that only what is used is loaded. It starts nothing, and raises
`InputError` if it cannot work as configured.
"""

from collections.abc import Callable, Mapping
from typing import TypeAlias

from trunkline.config.endpoints import EndpointConfig
from trunkline.errors import InputError
from trunkline.providers.options import Options
from trunkline.providers.reaching import (
    WEBSOCKET_S,
    AnyStage,
    Resources,
    access,
    body,
    duplex,
    key_of,
    sse,
)
from trunkline.types import LLM, STT, TTS, Endpoint, StageName

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


def _deepgram_aura(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts import deepgram_aura  # noqa: PLC0415  # only what is used

    codec, home = deepgram_aura.DeepgramAura, "https://api.deepgram.com/v1"
    return duplex(config, endpoint, resources, codec, home)


def _openai_realtime(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt import openai_realtime  # noqa: PLC0415  # only what is used

    codec, home = openai_realtime.OpenAIRealtime, "https://api.openai.com/v1"
    return duplex(config, endpoint, resources, codec, home)


def _soniox(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt.soniox import Soniox  # noqa: PLC0415  # only what is used

    return duplex(config, endpoint, resources, Soniox, "https://stt-rt.soniox.com")


def _openai_speech(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.openai import OpenAISpeech  # noqa: PLC0415  # only what is used

    return body(config, endpoint, resources, OpenAISpeech)


def _openai_transcription(
    config: EndpointConfig, endpoint: Endpoint, resources: Resources
) -> AnyStage:
    from trunkline.providers.stt import openai  # noqa: PLC0415  # only what is used

    return body(config, endpoint, resources, openai.OpenAITranscription)


def _pocketsphinx(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.embedded import pocketsphinx  # noqa: PLC0415  # only what is used

    _stays_here(config, resources)
    return pocketsphinx.PocketsphinxStt(endpoint, config.options)


def _sherpa(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.embedded.sherpa import SherpaStt  # noqa: PLC0415  # an optional extra

    _stays_here(config, resources)
    return SherpaStt(endpoint, config.options)


def _espeak(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.embedded.espeak import EspeakTts  # noqa: PLC0415  # an optional extra

    _stays_here(config, resources)
    return EspeakTts(endpoint, config.options)


def _livekit_stt(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.livekit.stt import LiveKitStt  # noqa: PLC0415  # an optional extra

    return _livekit(config, endpoint, resources, LiveKitStt)


def _livekit_tts(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.livekit.tts import LiveKitTts  # noqa: PLC0415  # an optional extra

    return _livekit(config, endpoint, resources, LiveKitTts)


def _livekit(
    config: EndpointConfig, endpoint: Endpoint, resources: Resources, stage: Callable[..., AnyStage]
) -> AnyStage:
    """A stage of a plugin, which finds its way by itself."""
    if config.base_url is not None:
        raise InputError(
            "livekit has no base_url: the plugin opens its own connections. Delete it, and give "
            "the address among options.arguments, as the plugin calls it"
        )
    if config.replicas or config.tls is not None:
        raise InputError("livekit has no replicas and no tls: the plugin opens its own connections")
    reached, key = access(config, resources, WEBSOCKET_S), key_of(config, resources)
    if reached.proxy is not None:
        raise InputError("livekit has no connect.proxy: the plugin opens its own connections")
    return stage(
        endpoint, config.options, key=key, gate=resources.gate, timeout_s=reached.connect_s
    )


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
    (STT, "livekit"): _livekit_stt,
    (STT, "openai"): _openai_transcription,
    (STT, "openai_realtime"): _openai_realtime,
    (STT, "pocketsphinx"): _pocketsphinx,
    (STT, "sherpa"): _sherpa,
    (STT, "soniox"): _soniox,
    (TTS, "cartesia"): _cartesia,
    (TTS, "deepgram_aura"): _deepgram_aura,
    (TTS, "elevenlabs"): _elevenlabs,
    (TTS, "espeak"): _espeak,
    (TTS, "livekit"): _livekit_tts,
    (TTS, "openai"): _openai_speech,
}
