"""The policy, the facts and the acts of one reply's speech: the words of `core.synthesis`."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from trunkline.core.attempt_words import Kind
from trunkline.core.takes import Run
from trunkline.errors import Fault
from trunkline.types import Mono, SpokenWord


@dataclass(frozen=True, slots=True)
class SynthesisPolicy:
    """Seconds, and bounds of a reply.

    *hedge_after_s*: no audio for a phrase by then, with nothing being played, calls for a second
    synthesiser; *gap_floor_s*: a shorter pause between pieces of audio is no evidence;
    *recovery_q95_s*: the backup's time to its first whole word; *drip_window_s*: over so long a
    synthesiser must not be slower than speech; *denied_s*: before what the budget denied is asked
    for again; *retry_pause_s*: before one that failed is tried again; *give_up_s*: with nothing to
    play, nobody waits longer. The first three are learnt (`core.speech_plan`), except those that
    *fixed* names.
    """

    hedge_after_s: float = 0.5
    gap_floor_s: float = 0.25
    recovery_q95_s: float = 0.4
    drip_window_s: float = 0.5
    denied_s: float = 0.7
    retry_pause_s: float = 0.3
    give_up_s: float = 4.0
    attempts_max: int = 6
    at_once_max: int = 2
    fixed: frozenset[str] = frozenset()


class Extras(Protocol):
    """What may be spent on lanes that run beside another one; `core.budget.Purse`."""

    def primary(self) -> None:
        """A reply begins to be spoken."""
        ...

    def failover(self) -> None:
        """Another lane takes the place of one that failed."""
        ...

    def hedge(self) -> bool:
        """Whether a hedge is granted; it is then paid for."""
        ...

    def rescue(self) -> bool:
        """Whether a rescue is."""
        ...


# -- facts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Given:
    """The next phrase of the reply is to be said; phrases are numbered from 0 in their order."""

    text: str


@dataclass(frozen=True, slots=True)
class NoMore:
    """All phrases of the reply were given."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A lane produced *samples* of *phrase*.

    *words* count characters from the start of the text that the lane was asked for, and samples,
    like the stretches of silence in *quiet*, from the start of its audio of the phrase.
    """

    lane: int
    phrase: int
    samples: int
    words: Sequence[SpokenWord] = ()
    quiet: Sequence[Run] = ()
    last: bool = False


@dataclass(frozen=True, slots=True)
class Closed:
    """A lane's stream ended cleanly."""

    lane: int


@dataclass(frozen=True, slots=True)
class Failed:
    """A lane failed."""

    lane: int
    fault: Fault


@dataclass(frozen=True, slots=True)
class Drain:
    """The caller will hear silence at *at* if no more audio is released."""

    at: Mono


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Fact = Given | NoMore | Audio | Closed | Failed | Drain | Tick

# -- acts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Launch:
    """Ask *candidate* for *phrase* from character *start* on, and for all phrases after it."""

    lane: int
    candidate: int
    kind: Kind
    phrase: int
    start: int


@dataclass(frozen=True, slots=True)
class Release:
    """Give the caller the lane's audio of *phrase* from sample *start* to *end*: whole words.

    *words* are marks within it: characters of the phrase, samples of the lane's audio. *complete*:
    the phrase ends with it.
    """

    lane: int
    phrase: int
    start: int
    end: int
    words: tuple[SpokenWord, ...]
    complete: bool


@dataclass(frozen=True, slots=True)
class Elect:
    """*lane* goes on instead of *instead_of* (None: nobody was heard before).

    The seam is in *phrase*, before its character *at*; *marked*: the marks already say so.
    """

    lane: int
    instead_of: int | None
    phrase: int
    at: int
    marked: bool


@dataclass(frozen=True, slots=True)
class Suspect:
    """A lane is judged late (*silent_s* since its last audio); another was launched beside it."""

    lane: int
    fault: Fault
    silent_s: float


@dataclass(frozen=True, slots=True)
class Reject:
    """A lane's audio is not what was asked for: stop it; that is a failure of its endpoint."""

    lane: int
    fault: Fault
    why: str


@dataclass(frozen=True, slots=True)
class Cancel:
    """Stop a lane that is not needed any more."""

    lane: int
    why: str


@dataclass(frozen=True, slots=True)
class Lost:
    """Nobody could say *phrase* from character *at* on."""

    phrase: int
    at: int


@dataclass(frozen=True, slots=True)
class Settle:
    """The reply's speech is over. *lane*: who spoke last; *failed*: something was lost."""

    lane: int | None
    failed: bool


Act = Launch | Release | Elect | Suspect | Reject | Cancel | Lost | Settle
