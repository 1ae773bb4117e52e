"""What a configuration says, as the policies of the core: its defaults, replaced."""

from collections.abc import Mapping
from dataclasses import replace

from trunkline.config.models import (
    Config,
    ExpectedConfig,
    HearingConfig,
    LastResortConfig,
    PolicyConfig,
    SpeakingConfig,
    TurnConfig,
)
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.call_words import CallPolicy
from trunkline.core.health import Expected
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.last_resort import LastResortPolicy
from trunkline.core.routing import Known
from trunkline.core.speech_plan import PRIORS
from trunkline.core.synthesis_words import SynthesisPolicy
from trunkline.core.turns import TurnPolicy
from trunkline.types import LLM, StageName


def attempt_policy(config: PolicyConfig) -> AttemptPolicy:
    """The core's policy: its defaults, replaced by what the file says."""
    return AttemptPolicy(**config.model_dump(exclude_none=True, exclude={"tts", "stt"}))


def synthesis_policy(config: SpeakingConfig) -> SynthesisPolicy:
    """The core's policy; what the file says is not learnt."""
    said = config.model_dump(exclude_none=True)
    return SynthesisPolicy(**said, fixed=frozenset(said))


def hearing_policy(config: HearingConfig) -> HearingPolicy:
    """The core's policy; what the file says is not learnt."""
    said = config.model_dump(exclude_none=True)
    return HearingPolicy(**said, fixed=frozenset(said))


def turn_policy(config: TurnConfig) -> TurnPolicy:
    """The core's policy: its defaults, replaced by what the file says."""
    return TurnPolicy(**config.model_dump(exclude_none=True))


def expected(config: ExpectedConfig, stage: StageName = LLM) -> Expected:
    """What the core expects of a stage, replaced by what the file says."""
    return replace(PRIORS.get(stage, Expected()), **config.model_dump(exclude_none=True))


def known_endpoints(config: Config) -> Mapping[str, Known]:
    """What routing knows of each endpoint before it is asked for the first time."""
    return {
        name: Known(endpoint.failure_domain, expected(endpoint.expected, endpoint.stage))
        for name, endpoint in config.endpoints.items()
    }


def call_policy(config: LastResortConfig) -> CallPolicy:
    """The core's policy: how often in a row something may fail."""
    return CallPolicy(failures_max=config.after_failures)


def last_resort_policy(config: LastResortConfig, transfer_to: str | None) -> LastResortPolicy:
    """The core's policy; *transfer_to*: the server's number, for agents that name none."""
    return LastResortPolicy(config.transfer_to or transfer_to or "", config.message)
