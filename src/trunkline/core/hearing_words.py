"""The policy, the facts and the acts of one utterance: the words of `core.hearing`."""

from dataclasses import dataclass
from typing import Protocol

from trunkline.core.attempt_words import Kind
from trunkline.errors import Fault


@dataclass(frozen=True, slots=True)
class HearingPolicy:
    """Seconds, and bounds of an utterance.

    *replay_speed*: a recogniser works through what was said before it was asked at least so many
    times faster than it was said; *give_up_s*: after the end of speech, or the last launch. The
    first two are learnt (`core.speech_plan`), except those that *fixed* names. *letters_per_s* of
    certain speech, if it lasts *long_s*: the slowest of 100 synthetic sentences has 12, a slow
    speaker of a language whose letters are syllables 2.
    """

    interim_after_s: float = 0.9
    final_after_s: float = 0.7
    replay_speed: float = 4.0
    noise_s: float = 0.5
    certain_s: float = 0.3
    long_s: float = 2.0
    letters_per_s: float = 1.5
    give_up_s: float = 3.0
    attempts_max: int = 4
    tries_max: int = 2
    at_once_max: int = 3
    fixed: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A recogniser. *interims*: it is known to give them; *doubtful*: its last final was empty
    although somebody spoke."""

    interims: bool = False
    doubtful: bool = False


class Rescues(Protocol):
    """What may be spent on recognisers that run beside another one; `core.budget.Purse`."""

    def primary(self) -> None:
        """An utterance begins."""
        ...

    def failover(self) -> None:
        """Another recogniser takes the place of one that failed."""
        ...

    def rescue(self) -> bool:
        """Whether one more is granted; it is then paid for."""
        ...


# -- facts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Voiced:
    """The caller has spoken for so many seconds of this utterance, pauses left out.

    *certain_s* of them: what no cough and no noise sounds like.
    """

    seconds: float
    certain_s: float = 0.0


@dataclass(frozen=True, slots=True)
class SpeechOver:
    """The caller has finished."""


@dataclass(frozen=True, slots=True)
class Interim:
    """A lane has words so far."""

    lane: int
    text: str


@dataclass(frozen=True, slots=True)
class Final:
    """A lane has its final transcript."""

    lane: int
    text: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A lane failed."""

    lane: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Fact = Voiced | SpeechOver | Interim | Final | Failed | Tick

# -- acts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Replay the utterance to *candidate*, and go on with what is still said."""

    lane: int
    candidate: int
    kind: Kind


@dataclass(frozen=True, slots=True)
class Tell:
    """The words so far, for whoever decides when the turn is over."""

    text: str


@dataclass(frozen=True, slots=True)
class Suspect:
    """A lane is late by the witness of our own ear: *silent_s* since it last was heard of."""

    lane: int
    fault: Fault
    silent_s: float


@dataclass(frozen=True, slots=True)
class Doubt:
    """A lane's final holds too little for so much speech: another opinion is asked for."""

    lane: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a lane that is not needed any more."""

    lane: int
    why: str


@dataclass(frozen=True, slots=True)
class Settle:
    """The utterance is over. *lane*: whose words count; None: nobody heard it."""

    lane: int | None
    text: str


Act = Launch | Tell | Suspect | Doubt | Cancel | Settle
