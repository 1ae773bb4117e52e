"""What the caller said in one utterance, over several recognisers: whose words count.

Rules
 1. Our own voice activity is the witness. A recogniser that is known to give interims and gives
    none for `interim_after_s` of speech is late, and so is one without a final `final_after_s`
    after the end of speech.
 2. Another recogniser then gets the whole utterance from its start, faster than it was spoken,
    and goes on with what is still said. Both stay alive: the first final with words wins.
 3. One that fails is replaced at once, whatever the caller is doing.
 4. An empty final is believed; the second in a row from the same recogniser against
    `noise_s` of speech is not, while another one can be asked about the same audio.
 5. The last attempt is kept for the end of speech, when all of the utterance is there.
 6. A late one that the budget lets nobody join is replaced `final_after_s` later, which is free:
    no caller goes unheard to save a request.
 7. Exactly one `Settle` an utterance, and a bounded number of attempts. When nobody heard it, it
    says so: the caller must be told.

    Launch -> Interim ... (speech ends) ... Final -> Settle
        \\-- Failed / late / empty -> Launch --/
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol, assert_never

from trunkline.core.attempt_words import Kind
from trunkline.errors import Fault
from trunkline.types import Mono

NEVER = Mono(math.inf)
_LOOK_AGAIN_S = 0.02
"""Speech is judged in windows of 32 ms: to look more often than this shows nothing new."""


@dataclass(frozen=True, slots=True)
class HearingPolicy:
    """Seconds, and bounds of an utterance.

    *replay_speed*: a recogniser works through what was said before it was asked at least so many
    times faster than it was said; *give_up_s*: after the end of speech, or the last launch. The
    first two are learnt (`core.speech_plan`), except those that *fixed* names.
    """

    interim_after_s: float = 0.9
    final_after_s: float = 0.7
    replay_speed: float = 4.0
    noise_s: float = 0.5
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
    """The caller has spoken for so many seconds of this utterance, pauses left out."""

    seconds: float


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
    """A lane's final is empty against speech, again: a second opinion is asked for."""

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


@dataclass(slots=True)
class _Lane:
    candidate: int
    launched: Mono
    last: Mono  # its launch or last interim
    voiced_s: float  # what the caller had said by then
    behind_s: float  # what it has to catch up with
    running: bool = True
    late: bool = False
    heard: bool = False
    denied: bool = False  # another one beside it


class Hearing:
    """The machine of one utterance. Lanes are attempts, numbered in the order of their launch."""

    def __init__(
        self, policy: HearingPolicy, candidates: Sequence[Candidate], purse: Rescues | None = None
    ) -> None:
        """*candidates*: the best first. *purse*: None if rescues cost nothing."""
        self._policy, self._candidates, self._purse = policy, candidates, purse
        self._lanes: list[_Lane] = []
        self._tries = [0] * len(candidates)
        self._refused: set[int] = set()
        self._voiced_s, self._voiced_at = 0.0, Mono(0.0)
        self._over_at: Mono | None = None
        self._empty: int | None = None  # the lane whose empty final stands if no words come
        self._denied_until = Mono(0.0)
        self._settled = False

    def begin(self, now: Mono) -> Sequence[Act]:
        """The caller began to speak."""
        if self._purse is not None:
            self._purse.primary()
        return [self._launch(0, Kind.PRIMARY, now)]

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; after `Settle` nothing more comes."""
        if self._settled:
            return ()
        match fact:
            case Voiced(seconds):
                self._voiced_s, self._voiced_at = seconds, now
                return ()
            case SpeechOver():
                self._over_at = now if self._over_at is None else self._over_at
                return [] if self._running else self._next_lane(Kind.FAILOVER, now)
            case Tick():
                return self._tick(now)
            case Interim(lane) | Final(lane) | Failed(lane):
                # a lane that was cancelled may still report
                return self._report(fact, now) if self._lanes[lane].running else ()
            case _:
                assert_never(fact)

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due, or None: nothing can be late."""
        at = min(self._give_up_at(), self._late_at())
        return None if self._settled or at == NEVER else at

    # -- facts ---------------------------------------------------------------------------------

    def _report(self, fact: Interim | Final | Failed, now: Mono) -> list[Act]:
        lane = self._lanes[fact.lane]
        match fact:
            case Interim(number, text):
                if not text.strip():
                    return []  # it is alive, but hears nothing
                lane.last, lane.voiced_s = now, self._voiced_s
                lane.late, lane.heard = False, True
                first = next(i for i in self._running if not self._lanes[i].late)
                return [Tell(text)] if number == first else []
            case Final(number, text):
                lane.running = False
                if text.strip():
                    return self._settle(number, text)
                return self._said_nothing(number, now)
            case Failed(_, fault):
                lane.running = False
                if fault is Fault.REFUSED:
                    self._refused.add(lane.candidate)
                return [] if self._hopes else self._next_lane(Kind.FAILOVER, now)
            case _:
                assert_never(fact)

    def _said_nothing(self, number: int, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        spoke = self._voiced_s >= self._policy.noise_s
        doubted = spoke and self._candidates[lane.candidate].doubtful and self._empty is None
        self._empty = number
        if self._hopes:
            return []
        others = set(range(len(self._candidates))) - {it.candidate for it in self._lanes}
        if doubted and others - self._refused and self._may_launch():
            return [Doubt(number), self._launch(min(others - self._refused), Kind.RESCUE, now)]
        return self._settle(number, "")

    # -- time ----------------------------------------------------------------------------------

    def _tick(self, now: Mono) -> list[Act]:
        if now >= self._give_up_at():
            return self._settle(self._empty, "")
        return self._suspect(now) if now >= self._late_at() else []

    def _suspect(self, now: Mono) -> list[Act]:
        number = self._running[-1]
        lane = self._lanes[number]
        if self._empty is not None:
            return self._settle(self._empty, "")  # the second opinion has none
        granted = self._purse is None or self._purse.rescue()
        if not granted and not lane.denied:
            lane.denied = True
            self._denied_until = Mono(now + self._policy.final_after_s)
            return []
        lane.late = True
        fault = Fault.STALLED if lane.heard else Fault.SILENT
        suspect = Suspect(number, fault, now - lane.last)
        if granted:
            return [suspect, *self._next_lane(Kind.RESCUE, now)]
        lane.running = False
        gone = Cancel(number, "late, and replaced")
        return [suspect, gone, *self._next_lane(Kind.FAILOVER, now)]

    def _late_at(self) -> Mono:
        """When the newest lane is late, if somebody else can be asked then."""
        running = self._running
        if not running:
            return NEVER
        lane, candidate = self._lanes[running[-1]], self._candidate()
        helped = candidate is not None and self._may_launch()
        if lane.late or (self._empty is None and not helped):
            return NEVER
        policy = self._policy
        # A second connection to the same recogniser rarely helps, and loads it twice.
        patience = 2 if candidate in {self._lanes[i].candidate for i in running} else 1
        catch_up_s = lane.behind_s / policy.replay_speed
        if self._over_at is not None:
            since = max(self._over_at, lane.launched + catch_up_s)
            return Mono(max(since + patience * policy.final_after_s, self._denied_until))
        gives_interims = lane.heard or self._candidates[lane.candidate].interims
        if not gives_interims:
            return NEVER
        left_s = patience * policy.interim_after_s - (self._voiced_s - lane.voiced_s)
        if left_s <= 0:
            caught_up = lane.launched + catch_up_s
            return Mono(max(self._voiced_at, caught_up, self._denied_until))
        return Mono(self._voiced_at + max(left_s, _LOOK_AGAIN_S))

    def _give_up_at(self) -> Mono:
        if self._over_at is None:
            return NEVER
        lane = self._lanes[-1]
        caught_up = lane.launched + lane.behind_s / self._policy.replay_speed
        return Mono(max(self._over_at, caught_up) + self._policy.give_up_s)

    # -- inside --------------------------------------------------------------------------------

    @property
    def _running(self) -> list[int]:
        return [i for i, lane in enumerate(self._lanes) if lane.running]

    @property
    def _hopes(self) -> bool:
        """Whether somebody who is not late is at it."""
        return any(lane.running and not lane.late for lane in self._lanes)

    def _may_launch(self) -> bool:
        kept = self._over_at is None  # for the end of speech
        room = len(self._lanes) + kept < self._policy.attempts_max
        return room and len(self._running) < self._policy.at_once_max

    def _candidate(self) -> int | None:
        """Whom to ask next: one that is not busy, the one that was tried least, the best."""
        busy = {self._lanes[i].candidate for i in self._running}
        free = [
            c
            for c, tries in enumerate(self._tries)
            if tries < self._policy.tries_max and c not in self._refused
        ]
        return min(free, key=lambda c: (c in busy, self._tries[c], c), default=None)

    def _next_lane(self, kind: Kind, now: Mono) -> list[Act]:
        """Launch the next candidate. If there is none: wait for who runs, or give up."""
        candidate = self._candidate()
        if candidate is not None and self._may_launch():
            if kind is Kind.FAILOVER and self._purse is not None:
                self._purse.failover()
            return [self._launch(candidate, kind, now)]
        if self._running or (self._over_at is None and candidate is not None):
            return []
        return self._settle(self._empty, "") if self._over_at is not None else []

    def _launch(self, candidate: int, kind: Kind, now: Mono) -> Launch:
        self._tries[candidate] += 1
        self._lanes.append(_Lane(candidate, now, now, self._voiced_s, self._voiced_s))
        return Launch(len(self._lanes) - 1, candidate, kind)

    def _settle(self, number: int | None, text: str) -> list[Act]:
        self._settled = True
        why = "another recogniser was first" if number is not None else "gave up"
        cancelled = [Cancel(i, why) for i in self._running if i != number]
        return [*cancelled, Settle(number, text)]
