"""The apis that ship: one factory each, from an endpoint's configuration to its stage.

A factory imports what it builds, so that only what is used is loaded. It starts nothing, and raises
`InputError` if it cannot work as configured.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

from aiohttp import ClientSession

from trunkline.config.models import EndpointConfig
from trunkline.contracts import BodyCodec, Codec, DuplexCodec, Stage
from trunkline.errors import InputError
from trunkline.net.body import BodyStage
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.options import Options
from trunkline.types import LLM, STT, TTS, Delta, Endpoint, Prompt, StageName

_CONNECT_S_MAX = 10.0

AnyStage: TypeAlias = Stage[Any, Any]
"""A stage whose input and output its name (`stt`, `llm`, `tts`) decides, as `Stage` tells."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What stages share: the HTTP session, the egress gate, and where keys are looked up."""

    session: ClientSession
    gate: Gate
    environ: Mapping[str, str]


Factory: TypeAlias = Callable[[EndpointConfig, Endpoint, Resources], AnyStage]
Apis: TypeAlias = Mapping[tuple[StageName, str], Factory]


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


def _deepgram_aura(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts import deepgram_aura  # noqa: PLC0415  # only what is used

    codec, home = deepgram_aura.DeepgramAura, "https://api.deepgram.com/v1"
    return _duplex(config, endpoint, resources, codec, home)


def _openai_realtime(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt import openai_realtime  # noqa: PLC0415  # only what is used

    codec, home = openai_realtime.OpenAIRealtime, "https://api.openai.com/v1"
    return _duplex(config, endpoint, resources, codec, home)


def _soniox(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.stt.soniox import Soniox  # noqa: PLC0415  # only what is used

    return _duplex(config, endpoint, resources, Soniox, "https://stt-rt.soniox.com")


def _openai_speech(config: EndpointConfig, endpoint: Endpoint, resources: Resources) -> AnyStage:
    from trunkline.providers.tts.openai import OpenAISpeech  # noqa: PLC0415  # only what is used

    return _body(config, endpoint, resources, OpenAISpeech)


def _openai_transcription(
    config: EndpointConfig, endpoint: Endpoint, resources: Resources
) -> AnyStage:
    from trunkline.providers.stt import openai  # noqa: PLC0415  # only what is used

    return _body(config, endpoint, resources, openai.OpenAITranscription)


def _body(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Callable[[Endpoint, Mapping[str, object]], BodyCodec[Any, Any]],
) -> AnyStage:
    """A stage over HTTP of a protocol that many servers speak: its address is to be named."""
    if config.base_url is None:
        raise InputError('base_url is missing. Add base_url: "https://.../v1"')
    connect_s, options = _connect_s(config, 0.5)
    return BodyStage(
        endpoint,
        codec(endpoint, options),
        base_url=config.base_url,
        key=key_of(config, resources),
        session=resources.session,
        gate=resources.gate,
        connect_s=connect_s,
    )


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
    connect_s, options = _connect_s(config, 1.5)
    key = key_of(config, resources)
    return stage(endpoint, options, key=key, gate=resources.gate, timeout_s=connect_s)


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
