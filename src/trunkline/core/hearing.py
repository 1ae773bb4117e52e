"""What the caller said in one utterance, over several recognisers: whose words count.

Rules
 1. Our own voice activity is the witness. A recogniser that is known to give interims and gives
    none for `interim_after_s` of speech is late, and so is one without a final `final_after_s`
    after the end of speech; at that end already, if it owes an interim by then (`OWED`).
 2. Another recogniser then gets the whole utterance from its start, faster than it was spoken,
    and goes on with what is still said. Both stay alive: the first final with words wins.
 3. One that fails is replaced at once, whatever the caller is doing.
 4. An empty final is believed of a cough. Against `certain_s` of what surely is speech it is not,
    nor is one with fewer letters than anybody says in that time: the utterance goes to one
    recogniser after the other that has not had it. The first final with words enough counts, else
    the longest; if all are empty, it was no speech. With less of it, the second empty final in a
    row from the same recogniser against `noise_s` of speech gets one other opinion.
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
from typing import assert_never

from trunkline.core.attempt_words import Kind
from trunkline.core.hearing_words import (
    Act,
    Cancel,
    Candidate,
    Doubt,
    Fact,
    Failed,
    Final,
    HearingPolicy,
    Interim,
    Launch,
    Rescues,
    Settle,
    SpeechOver,
    Suspect,
    Tell,
    Tick,
    Voiced,
)
from trunkline.errors import Fault
from trunkline.types import Mono

NEVER = Mono(math.inf)
OWED = 2 / 3
"""Of `interim_after_s`, which is one and a half of the longest gaps: the hangover that tells of the
end of speech has passed as well, so no interim that is on its way is missed."""
_LOOK_AGAIN_S = 0.02
"""Speech is judged in windows of 32 ms: to look more often than this shows nothing new."""


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
        self._voiced_s, self._certain_s, self._voiced_at = 0.0, 0.0, Mono(0.0)
        self._over_at: Mono | None = None
        self._poor: tuple[str, int] | None = None  # the final that stands if none better comes
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
            case Voiced(seconds, certain_s):
                self._voiced_s, self._certain_s, self._voiced_at = seconds, certain_s, now
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
                if self._is_poor(text):
                    return self._said_too_little(number, text, now)
                return self._settle(number, text)
            case Failed(_, fault):
                lane.running = False
                if fault is Fault.REFUSED:
                    self._refused.add(lane.candidate)
                return [] if self._hopes else self._next_lane(Kind.FAILOVER, now)
            case _:
                assert_never(fact)

    def _is_poor(self, text: str) -> bool:
        policy, letters = self._policy, sum(map(str.isalnum, text))
        lasts = self._certain_s >= policy.long_s
        return not text.strip() or (lasts and letters < policy.letters_per_s * self._certain_s)

    def _said_too_little(self, number: int, text: str, now: Mono) -> list[Act]:
        lane, second = self._lanes[number], self._poor is not None
        if self._poor is None or len(text.strip()) >= len(self._poor[0]):
            self._poor = text.strip(), number
        if self._hopes:
            return []
        doubtful = self._candidates[lane.candidate].doubtful and not second
        spoke = doubtful and self._voiced_s >= self._policy.noise_s
        asked = {it.candidate for it in self._lanes} | self._refused
        others = [c for c in range(len(self._candidates)) if c not in asked]
        if others and (spoke or self._certain) and self._may_launch():
            if self._purse is not None:
                self._purse.failover()
            return [Doubt(number), self._launch(others[0], Kind.RESCUE, now)]
        return self._settle_poorly()

    @property
    def _certain(self) -> bool:
        return self._certain_s >= self._policy.certain_s

    # -- time ----------------------------------------------------------------------------------

    def _tick(self, now: Mono) -> list[Act]:
        if now >= self._give_up_at():
            return self._settle_poorly()
        return self._suspect(now) if now >= self._late_at() else []

    def _suspect(self, now: Mono) -> list[Act]:
        number = self._running[-1]
        lane = self._lanes[number]
        if self._poor is not None and not self._certain:
            return self._settle_poorly()  # the second opinion has none
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
        if lane.late or not (helped or (self._poor is not None and not self._certain)):
            return NEVER
        policy = self._policy
        # A second connection to the same recogniser rarely helps, and loads it twice.
        patience = 2 if candidate in {self._lanes[i].candidate for i in running} else 1
        catch_up_s = lane.behind_s / policy.replay_speed
        gives_interims = lane.heard or self._candidates[lane.candidate].interims
        unheard_s = self._voiced_s - lane.voiced_s
        if self._over_at is not None:
            since = max(self._over_at, lane.launched + catch_up_s)
            owes = gives_interims and unheard_s >= OWED * policy.interim_after_s
            wait_s = 0.0 if owes and patience == 1 else patience * policy.final_after_s
            return Mono(max(since + wait_s, self._denied_until))
        if not gives_interims:
            return NEVER
        left_s = patience * policy.interim_after_s - unheard_s
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
        return self._settle_poorly() if self._over_at is not None else []

    def _launch(self, candidate: int, kind: Kind, now: Mono) -> Launch:
        self._tries[candidate] += 1
        self._lanes.append(_Lane(candidate, now, now, self._voiced_s, self._voiced_s))
        return Launch(len(self._lanes) - 1, candidate, kind)

    def _settle_poorly(self) -> list[Act]:
        text, number = self._poor or ("", None)
        return self._settle(number, text)

    def _settle(self, number: int | None, text: str) -> list[Act]:
        self._settled = True
        why = "another recogniser was first" if number is not None else "gave up"
        cancelled = [Cancel(i, why) for i in self._running if i != number]
        return [*cancelled, Settle(number, text)]
