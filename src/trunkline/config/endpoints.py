"""The shape of an endpoint in a configuration: where it is, how it is reached, what it is like."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from trunkline.config.shapes import EnvName, FilePath, Model, Name, Seconds, Text, Url
from trunkline.types import LLM, STT, TTS, DataClass, StageName

STAGES: Mapping[StageName, DataClass] = {
    STT: DataClass.AUDIO,
    LLM: DataClass.PROMPT,
    TTS: DataClass.SPEECH_TEXT,
}
"""The stages that a route can be of, and what each sends to its endpoint. The only such list."""

Share = Annotated[float, Field(ge=0, le=0.5)]


class ExpectedConfig(Model):
    """What a worker expects of an endpoint until it has measured it (`core.health.Expected`).

    The first output is a model's first token, a synthesiser's first audio, and a recogniser's final
    transcript after the end of speech.
    """

    ttft_p50_s: Seconds | None = Field(
        default=None, description="seconds to the first useful output, median"
    )
    ttft_p95_s: Seconds | None = Field(
        default=None, description="seconds to the first useful output, p95, above ttft_p50_s"
    )
    slow_share: Share | None = Field(
        default=None, description="a number from 0 to 0.5: share of requests slower than 1.2 s"
    )
    sentence_s: Seconds | None = Field(
        default=None, description="seconds from the first token to a complete sentence"
    )
    gap_p999_s: Seconds | None = Field(
        default=None, description="seconds between two tokens, p99.9"
    )
    fault_share: Share | None = Field(
        default=None, description="a number from 0 to 0.5: share of requests that fail"
    )


class ConnectConfig(Model):
    """How an endpoint over a network is connected to."""

    deadline_s: Annotated[float, Field(gt=0, le=10)] | None = Field(
        default=None,
        description="seconds, up to 10, for DNS, TCP and TLS; null: 0.5 (1.5 for a WebSocket)",
    )
    proxy: Url | None = Field(
        default=None, description="the http(s) URL of a proxy, without user and password, or null"
    )
    proxy_env: EnvName | None = Field(
        default=None,
        description="the NAME of the environment variable with the URL of a proxy, or null",
    )
    warm: bool = Field(
        default=True, description="true to keep a connection open while nobody needs it, or false"
    )


class TlsConfig(Model):
    """Whom an endpoint's address is to prove to be, and as whom the worker shows itself."""

    ca_file: FilePath | None = Field(
        default=None,
        description="the path of a PEM file of authorities, the only ones trusted then; or null",
    )
    cert_file: FilePath | None = Field(
        default=None, description="the path of a PEM file with the worker's certificate, or null"
    )
    key_file: FilePath | None = Field(
        default=None, description="the path of a PEM file with its key; null: in cert_file"
    )


class EndpointConfig(Model):
    """One provider + model + zone that runs one stage."""

    stage: StageName = Field(description=" or ".join(STAGES))
    api: Name = Field(description="the protocol it speaks, such as openai, pocketsphinx, espeak")
    model: Text = Field(description="the model's name as the provider writes it")
    zone: Name = Field(description="the name of one of the zones in this file")
    failure_domain: Text = Field(
        description="what fails together with it: a cloud region, a rack; a backup needs another"
    )
    base_url: Url | None = Field(
        default=None,
        description="an http(s) URL without user, query or fragment; null if it needs none",
    )
    replicas: tuple[Url, ...] = Field(
        default=(),
        max_length=16,
        description="instead of base_url a list of 2 to 16 such URLs, of one model with many "
        "servers in one zone",
    )
    connect: ConnectConfig | None = Field(
        default=None, description="a mapping: deadline_s, proxy, proxy_env, warm"
    )
    tls: TlsConfig | None = Field(
        default=None, description="a mapping: ca_file, cert_file, key_file"
    )
    continuation: Literal["token_exact", "prefix", "turn"] = Field(
        default="turn",
        description="token_exact, prefix or turn: how it goes on with a half-spoken answer",
    )
    voice: Name | None = Field(
        default=None,
        description="tts: a name for its voice, the same on all endpoints that have this voice",
    )
    twin_of: Name | None = Field(
        default=None, description="tts: the endpoint that its voice was chosen to resemble"
    )
    key_env: EnvName | None = Field(
        default=None,
        description="the NAME of the environment variable that holds the key; null: no key",
    )
    expected: ExpectedConfig = Field(
        default_factory=ExpectedConfig,
        description="a mapping: its latency as measured before; left out: a slow one's",
    )
    options: Mapping[str, JsonValue] = Field(
        default_factory=dict, description="a mapping of options that this api knows"
    )
