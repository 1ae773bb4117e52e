"""The policy, the facts and the acts of one call: the words of `core.call`."""

from dataclasses import dataclass
from typing import Literal

from trunkline.core.resumption import Consent
from trunkline.types import Message, Sample, ToolCall, ToolResult

Answer = Literal["yes", "no", "unclear"]


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Bounds of a call, in seconds and counts."""

    call_max_s: float = 1800.0
    caller_silent_max_s: float = 60.0
    steps_max: int = 6
    failures_max: int = 2


# -- facts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The leg is up."""


@dataclass(frozen=True, slots=True)
class CallerOnset:
    """The caller began to speak at *at*; *heard* is what the caller heard of the reply so far."""

    at: Sample
    heard: str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """An utterance is over. *text* is empty if it held no words; *answer*: as a yes or a no."""

    text: str
    answer: Answer


@dataclass(frozen=True, slots=True)
class StepSettled:
    """A model step of *turn* is over: *text* was given to the synthesiser."""

    turn: int
    text: str
    reason: str
    tool_calls: tuple[ToolCall, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool that was run in *turn* answered."""

    turn: int
    call: ToolCall
    result: ToolResult


@dataclass(frozen=True, slots=True)
class AllHeard:
    """Everything that was given to the synthesiser has been heard."""


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Fact = Begin | CallerOnset | CallerSaid | StepSettled | ToolAnswered | AllHeard | Tick

# -- acts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SayLine:
    """Say *text* without a model, after what is already being said."""

    turn: int
    text: str


@dataclass(frozen=True, slots=True)
class Think:
    """Ask a model; *heard*: the part of this very answer that was heard before."""

    turn: int
    step: int
    messages: tuple[Message, ...]
    heard: str = ""


@dataclass(frozen=True, slots=True)
class StopReply:
    """The caller took the word: stop the model and the voice of *turn* at once."""

    turn: int
    heard: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run *call* at most once under *key*."""

    turn: int
    step: int
    call: ToolCall
    key: str


@dataclass(frozen=True, slots=True)
class ConsentIs:
    """Consent to the recording changed to *state* because of *text*."""

    state: Consent
    text: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    reason: str


Act = SayLine | Think | StopReply | RunTool | ConsentIs | HangUp
