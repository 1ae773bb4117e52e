"""The shape of a configuration: frozen, strict, unknown keys refused.

A field's `description` is read by three: the JSON Schema, an editor, and the error that a wrong
value gets ("It is <description>"), so it is a noun phrase that tells what to write.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, PrivateAttr

from trunkline.config.endpoints import EndpointConfig
from trunkline.config.gateway import GatewayConfig
from trunkline.config.records import RecordsConfig
from trunkline.config.residency import ResidencyConfig, TransferTool
from trunkline.config.shapes import (
    EnvName,
    FilePath,
    Model,
    Name,
    PhoneNumber,
    Probability,
    Seconds,
    Text,
    Url,
)
from trunkline.config.tree import Loc, Source, dotted
from trunkline.errors import ConfigError
from trunkline.types import DataClass, StageName


class ZoneConfig(Model):
    """Where processing happens and under whose contract. No defaults: these are facts of law."""

    kind: Literal["managed", "self_hosted", "customer_vpc"] = Field(
        description="managed, self_hosted or customer_vpc"
    )
    region: Text = Field(description="the region as its operator names it, such as eu-central-1")
    jurisdiction: Text = Field(description="whose law applies, such as EU or US, or 'none'")
    processor: Text = Field(description="the company that processes, or 'you'")
    retention: Text = Field(description="how long the processor keeps it, such as 30d, or 'none'")
    baa: bool = Field(description="true if a HIPAA business associate agreement is signed")
    dpa: bool = Field(description="true if a GDPR data processing agreement is signed")
    accepts: tuple[DataClass, ...] = Field(
        description="a list of the data classes that may go there: " + ", ".join(DataClass)
    )
    trains: bool | None = Field(
        default=None,
        description="true if the processor learns from it, or false; null: as its provider does, "
        "and if that is not known, a managed zone does",
    )
    transfer_tool: TransferTool | None = Field(
        default=None,
        description="on what a transfer there rests: adequacy, scc, dpf or bcr; null: on nothing",
    )
    evidence: Text | None = Field(
        default=None,
        description="the contract that grants more than the provider does by default, or null",
    )


class SpeakingConfig(Model):
    """When another synthesiser is asked (`core.synthesis`); what is left out is learnt."""

    hedge_after_s: Seconds | None = Field(
        default=None, description="seconds without audio before a second synthesiser is asked too"
    )
    gap_floor_s: Seconds | None = Field(
        default=None, description="seconds: a shorter pause between pieces of audio is no stall"
    )
    recovery_q95_s: Seconds | None = Field(
        default=None, description="seconds that the backup needs to its first whole word"
    )


class HearingConfig(Model):
    """When another recogniser is asked (`core.hearing`); what is left out is learnt."""

    interim_after_s: Seconds | None = Field(
        default=None, description="seconds of speech without an interim transcript"
    )
    final_after_s: Seconds | None = Field(
        default=None, description="seconds from the end of speech without a final transcript"
    )


class PolicyConfig(Model):
    """When to hedge, when to rescue (`core.attempts`); what is left out keeps its default.

    `hedge_after_s`, the gap floors and `recovery_q95_s` are learnt from the endpoints unless they
    stand here.
    """

    hedge_after_s: Seconds | None = Field(
        default=None,
        description="seconds without a useful token before a second endpoint is asked too",
    )
    gap_floor_s: Seconds | None = Field(
        default=None, description="seconds: a shorter silence between tokens is no stall"
    )
    look_ahead_s: Seconds | None = Field(
        default=None,
        description="seconds that a backup may repeat what was said before another is asked",
    )
    gap_floor_empty_s: Seconds | None = Field(
        default=None, description="seconds: the same while nothing is being played"
    )
    recovery_q95_s: Seconds | None = Field(
        default=None, description="seconds that the backup needs to its first sentence in audio"
    )
    flush_s: Seconds | None = Field(
        default=None, description="seconds of silence after a full stop that end a sentence"
    )
    retry_pause_s: Seconds | None = Field(
        default=None, description="seconds before an endpoint that failed is tried again"
    )
    filler_after_s: Seconds | None = Field(
        default=None,
        description='seconds: with a longer wait for a first sentence ahead, "one moment" is said',
    )
    give_up_s: Seconds | None = Field(
        default=None, description="seconds without anything to play before the call apologises"
    )
    attempts_max: Annotated[int, Field(ge=1, le=16)] | None = Field(
        default=None, description="a whole number from 1 to 16: attempts for one step, in all"
    )
    at_once_max: Annotated[int, Field(ge=1, le=4)] | None = Field(
        default=None, description="a whole number from 1 to 4: attempts that run side by side"
    )
    sentences_max: Annotated[int, Field(ge=1, le=1000)] | None = Field(
        default=None, description="a whole number from 1 to 1000: sentences of one reply"
    )
    tool_chars_max: Annotated[int, Field(ge=100, le=1_000_000)] | None = Field(
        default=None, description="a whole number from 100 to 1000000: characters of a tool call"
    )
    tts: SpeakingConfig = Field(
        default_factory=SpeakingConfig, description="a mapping: the same of synthesisers"
    )
    stt: HearingConfig = Field(
        default_factory=HearingConfig, description="a mapping: the same of recognisers"
    )


class TurnConfig(Model):
    """When the caller's turn begins and ends; what is left out keeps its default."""

    onset_probability: Probability | None = Field(
        default=None, description="a number between 0 and 1: speech probability that opens a turn"
    )
    stay_probability: Probability | None = Field(
        default=None,
        description="a number between 0 and 1, not above onset_probability: keeps it open",
    )
    onset_windows: Annotated[int, Field(ge=1, le=50)] | None = Field(
        default=None, description="a whole number from 1 to 50: windows of speech that start a turn"
    )
    hangover_s: Annotated[float, Field(ge=0.1, le=5)] | None = Field(
        default=None, description="seconds of silence, 0.1 to 5, that end a turn"
    )
    hangover_unsure_s: Annotated[float, Field(ge=0.1, le=5)] | None = Field(
        default=None,
        description="seconds of silence, from hangover_s to 5, that end a turn that may go on",
    )
    hangover_open_s: Annotated[float, Field(ge=0.1, le=5)] | None = Field(
        default=None,
        description="seconds of silence, hangover_unsure_s to 5, that end a turn in mid-sentence",
    )
    utterance_max_s: Annotated[float, Field(ge=1, le=30)] | None = Field(
        default=None, description="seconds, 1 to 30, after which an utterance is taken as complete"
    )
    backchannel_max_s: Annotated[float, Field(ge=0.3, le=5)] | None = Field(
        default=None,
        description='seconds, 0.3 to 5: longer speech over the agent is no cough and no "mm-hm"',
    )
    speculate: bool | None = Field(
        default=None,
        description="true to ask the model before the turn has surely ended, or false",
    )
    settle_s: Annotated[float, Field(ge=0.03, le=5)] | None = Field(
        default=None, description="seconds of silence, 0.03 to 5, before a turn is likely over"
    )
    stable_s: Annotated[float, Field(ge=0.03, le=5)] | None = Field(
        default=None, description="seconds, 0.03 to 5, that its words must have stayed the same"
    )


class ConsentConfig(Model):
    """What the caller is asked before anything is recorded."""

    ask: bool = Field(
        default=True, description="true to ask for consent before recording, or false"
    )


class LastResortConfig(Model):
    """What happens to a caller whom no model can answer, nobody hears, or no voice can reach."""

    transfer_to: PhoneNumber | None = Field(
        default=None,
        description='a number such as "+12025550100" that the carrier puts the caller through to; '
        "null: that of server.transfer_to, if there is one",
    )
    message: bool = Field(
        default=True,
        description="true to take a message where nobody can be put through, or false: apologise",
    )
    after_failures: Annotated[int, Field(ge=1, le=10)] = Field(
        default=2,
        description="a whole number from 1 to 10: failures in a row, of the model, the recognisers "
        "or the voices, that are the last",
    )


class AgentConfig(Model):
    """One agent: who it is, which endpoints may serve it, and under which policy."""

    practice: FilePath | None = Field(
        default=None, description="the path of the practice file; null: the one that ships"
    )
    routes: Mapping[StageName, Annotated[tuple[Name, ...], Field(min_length=1, max_length=8)]] = (
        Field(description="for each stage a list of endpoint names, the preferred one first")
    )
    policy: PolicyConfig = Field(
        default_factory=PolicyConfig, description="a mapping: when to hedge and to rescue"
    )
    turn: TurnConfig = Field(
        default_factory=TurnConfig, description="a mapping: when a turn begins and ends"
    )
    consent: ConsentConfig = Field(
        default_factory=ConsentConfig, description="a mapping: {ask: true}"
    )
    last_resort: LastResortConfig = Field(
        default_factory=LastResortConfig,
        description="a mapping: what becomes of callers who cannot be served any more",
    )
    folder: FilePath = Field(
        default=Path("reception"),
        validate_default=True,  # a default path is beside the file, too
        description="the path of a directory for appointments.ics, messages.jsonl, tools.jsonl",
    )


class ServerConfig(Model):
    """Where the worker listens and how carriers reach it."""

    host: Text = Field(default="127.0.0.1", description="the address to listen on")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(
        default=8100, description="a port, 1 to 65535, or 0 for any free one"
    )
    public_url: Url | None = Field(
        default=None, description="the http(s) URL by which carriers reach this worker, or null"
    )
    twilio_auth_token_env: EnvName | None = Field(
        default=None,
        description="the NAME of the environment variable with Twilio's auth token, or null",
    )
    calls_max: Annotated[int, Field(ge=1, le=1000)] = Field(
        default=50,
        description="a whole number from 1 to 1000: calls that each worker takes at once",
    )
    transfer_to: PhoneNumber | None = Field(
        default=None,
        description='a number such as "+12025550100" that callers are put through to, behind a '
        "sentence, when no worker has room, and as an agent's last resort, or null",
    )
    drain_s: Annotated[float, Field(ge=0, le=3600)] = Field(
        default=300.0,
        description="seconds, 0 to 3600, that running calls have to end when a worker is stopped",
    )


class Config(Model):
    """A whole configuration, checked. It remembers its file's lines for errors found later."""

    version: Literal[1] = Field(description="1, the version of this format")
    zones: Mapping[Name, ZoneConfig] = Field(description="a mapping of names to zones")
    endpoints: Mapping[Name, EndpointConfig] = Field(description="a mapping of names to endpoints")
    agents: Annotated[Mapping[Name, AgentConfig], Field(min_length=1)] = Field(
        description="a mapping of names to agents, at least one"
    )
    server: ServerConfig = Field(default_factory=ServerConfig, description="a mapping")
    records: RecordsConfig = Field(default_factory=RecordsConfig, description="a mapping")
    residency: ResidencyConfig | None = Field(
        default=None, description="a mapping: where each data class may go; null: zones decide"
    )
    gateway: GatewayConfig | None = Field(
        default=None, description="a mapping: models that other programs may use, or null"
    )
    _source: Source = PrivateAttr(default_factory=lambda: Source("configuration", {}))

    @property
    def path(self) -> str:
        """The file that this configuration was read from."""
        return self._source.path

    def error(self, loc: Loc, what: str, mend: str) -> ConfigError:
        """A `ConfigError` that points at *loc* in the file this configuration was read from."""
        return self._source.error(loc, f"{dotted(loc)}: {what}", mend)
