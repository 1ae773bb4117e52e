"""The policy, the facts and the acts of one step of a reply: the words of `core.attempts`."""

from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from trunkline.core.health import Measure
from trunkline.errors import Fault
from trunkline.types import Mono, ToolCall, ToolCallDelta


class Kind(StrEnum):
    """Why an attempt was launched."""

    PRIMARY = "primary"
    HEDGE = "hedge"  # the one before is late, nothing is said yet
    FAILOVER = "failover"  # the one before failed, nothing is said yet
    RESCUE = "rescue"  # a reply that is being played needs somebody to go on
    CONTINUE = "continue"  # the endpoint stopped at its length limit


@dataclass(frozen=True, slots=True)
class AttemptPolicy:
    """Seconds, and bounds of a step (an endpoint that talks for ever is stopped).

    The first four are learnt (`core.routing`, whose `Plan` says what they are) unless they are set
    here. *flush_s*: a sentence with its full stop is believed complete after this silence;
    *look_ahead_s*: a rescuer may repeat what was said for so long before another is asked;
    *retry_pause_s*: before an endpoint that failed is tried again in the same step;
    *filler_after_s*: with a longer wait to be expected for the first sentence, something may be
    said meanwhile; *give_up_s*: with nothing to play, nobody waits longer.
    """

    hedge_after_s: float | None = None
    gap_floor_s: float | None = None
    gap_floor_empty_s: float | None = None
    recovery_q95_s: float | None = None
    flush_s: float = 0.08
    look_ahead_s: float = 1.0
    retry_pause_s: float = 0.4
    filler_after_s: float = 2.5
    give_up_s: float = 8.0
    attempts_max: int = 5
    at_once_max: int = 3
    sentences_max: int = 60
    tool_chars_max: int = 16_384


class Plan(NamedTuple):
    """How to run one step, as `core.routing` decides it.

    *candidates*: names of endpoints in the order to try them; a name may stand twice.
    *hedge_after_s*: a first attempt without a useful token for so long is hedged; 0: the first two
    are raced. *escalate_after_s*: the same for the attempts after it. *late_s*: what the budget
    denied is asked again after so long, as a rescue. *recovery_q95_s*: the best backup's time to
    its first sentence in audio. *gap_floor_s*: a shorter silence between useful tokens is no
    evidence (the p99.9 of healthy gaps); *gap_floor_empty_s*: the same while nothing is committed.
    """

    candidates: tuple[str, ...]
    hedge_after_s: float
    escalate_after_s: float
    late_s: float
    recovery_q95_s: float
    gap_floor_s: float
    gap_floor_empty_s: float


# -- facts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """Run the step in *language*.

    *heard*: the part of this answer that the caller heard before an interruption that came to
    nothing; the step goes on after it.
    """

    heard: str = ""
    language: str = "en"


@dataclass(frozen=True, slots=True)
class Text:
    """An attempt produced text."""

    lane: int
    text: str


@dataclass(frozen=True, slots=True)
class ToolPart:
    """An attempt produced a part of a tool call."""

    lane: int
    delta: ToolCallDelta


@dataclass(frozen=True, slots=True)
class Ended:
    """An attempt said that it is done: `stop`, `tool_calls`, `length`, `content_filter`."""

    lane: int
    reason: str


@dataclass(frozen=True, slots=True)
class Failed:
    """An attempt failed."""

    lane: int
    fault: Fault
    detail: str


@dataclass(frozen=True, slots=True)
class Drain:
    """The caller will hear silence at *at* if nothing more comes."""

    at: Mono


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Fact = Begin | Text | ToolPart | Ended | Failed | Drain | Tick

# -- acts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Start an attempt on *candidate* (counted from 0), to go on after *committed* ("": afresh)."""

    lane: int
    candidate: int
    kind: Kind
    committed: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop an attempt; the provider is told. *fault*: what it wrote was of no use."""

    lane: int
    why: str
    fault: Fault | None = None


@dataclass(frozen=True, slots=True)
class Say:
    """Give *sentence* to the synthesiser: it is committed."""

    lane: int
    sentence: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """An attempt is judged silent: *silent_s* since its last useful token (or its launch).

    *chars_per_s*: it is not silent, but slower than it is spoken, or it only repeats.
    """

    lane: int
    fault: Fault
    silent_s: float
    chars_per_s: float | None = None


@dataclass(frozen=True, slots=True)
class Elect:
    """*lane* leads from here on, instead of *instead_of* (None: it is the first)."""

    lane: int
    instead_of: int | None


class Measured(NamedTuple):
    """What the estimators are to learn of an attempt: so many *times*, *seconds*."""

    lane: int
    what: Measure
    seconds: float
    times: int = 1


@dataclass(frozen=True, slots=True)
class Fill:
    """After *waited_s* the first sentence is still some time away: say something, if silent."""

    waited_s: float


@dataclass(frozen=True, slots=True)
class Settle:
    """The step is over. *lane*: who led at the end (None: nobody answered).

    *reason*: `stop`, `tool_calls`, `length`, `content_filter`, or `failed`: the answer is
    incomplete, or there is none.
    """

    lane: int | None
    reason: str
    tool_calls: tuple[ToolCall, ...] = ()


Act = Launch | Cancel | Say | Suspect | Elect | Measured | Fill | Settle
