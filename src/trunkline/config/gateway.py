"""The shape of `gateway:`, what other programs may ask of the same endpoints over HTTP."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field, model_validator

from trunkline.config.shapes import EnvName, Model, Name, Seconds, Text
from trunkline.types import LLM, STT, TTS, StageName

Names = Annotated[tuple[Name, ...], Field(min_length=1, max_length=8)]


class GatewayModelConfig(Model):
    """One name that clients give as `model`: which endpoints serve it, the preferred one first."""

    llm: Names | None = Field(
        default=None, description="a list of llm endpoints, the preferred one first: it answers"
    )
    stt: Names | None = Field(
        default=None, description="a list of stt endpoints instead: it writes recordings down"
    )
    tts: Names | None = Field(
        default=None, description="a list of tts endpoints instead: it speaks texts"
    )
    hold: Literal["none", "sentence"] = Field(
        default="none",
        description="none: text is passed on as it is written; sentence: by whole sentences",
    )
    language: Text = Field(
        default="en", description="the language of answers: how fast they are read, how resumed"
    )
    give_up_s: Seconds = Field(
        default=8.0, description="seconds without anything new before a request fails"
    )
    hedge_after_s: Seconds | None = Field(
        default=None,
        description="seconds without a useful token before a second endpoint is asked too",
    )
    attempts_max: Annotated[int, Field(ge=1, le=16)] = Field(
        default=5, description="a whole number from 1 to 16: attempts for one request, in all"
    )

    @property
    def route(self) -> tuple[StageName, tuple[str, ...]]:
        """What it does, and who does it."""
        routes = {LLM: self.llm, STT: self.stt, TTS: self.tts}
        return next((stage, names) for stage, names in routes.items() if names)

    @model_validator(mode="after")
    def _does_one_thing(self) -> "GatewayModelConfig":
        if sum(names is not None for names in (self.llm, self.stt, self.tts)) != 1:
            raise ValueError("give exactly one of llm, stt and tts")
        return self


class GatewayKeyConfig(Model):
    """One client: its key, by the name of a variable, and what it may do."""

    key_env: EnvName = Field(
        description="the NAME of the environment variable that holds the key clients send"
    )
    models: Names | None = Field(
        default=None, description="a list of the models that it may use; null: all"
    )
    requests_per_min: Annotated[int, Field(ge=1, le=10_000_000)] = Field(
        default=600, description="a whole number from 1: requests a minute, a sixth of them at once"
    )
    at_once_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=50, description="a whole number from 1 to 10000: requests that run at once"
    )


class GatewayConfig(Model):
    """The OpenAI-compatible HTTP side of a worker, on the port of its calls."""

    models: Annotated[Mapping[Name, GatewayModelConfig], Field(min_length=1)] = Field(
        description="a mapping of model names to the endpoints that serve them"
    )
    keys: Mapping[Name, GatewayKeyConfig] = Field(
        default_factory=dict,
        description="a mapping of clients; without any, only this machine may ask",
    )
    at_once_max: Annotated[int, Field(ge=1, le=10_000)] = Field(
        default=256, description="a whole number from 1 to 10000: requests that a worker runs"
    )
    connections_per_s: Annotated[int, Field(ge=1, le=100_000)] = Field(
        default=200, description="a whole number from 1: new connections a second, for clients"
    )
    body_bytes_max: Annotated[int, Field(ge=1024, le=64 << 20)] = Field(
        default=1 << 20, description="a whole number of bytes, 1024 to 67108864: of a JSON body"
    )
    audio_bytes_max: Annotated[int, Field(ge=1024, le=64 << 20)] = Field(
        default=25 << 20, description="a whole number of bytes, 1024 to 67108864: of a recording"
    )
