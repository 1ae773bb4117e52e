"""The speech of one reply over several synthesisers: who is heard, and where the seam is.

Rules
 1. Words are released to the caller whole, in order, once (`core.takes`); what was released is
    final. So a seam is always at a word boundary, and whoever goes on is asked for the rest of the
    phrase from the first word that was not released, and for all phrases after it.
 2. Only audio that is not silent counts. While something is owed and the newest lane falls
    silent, another one begins at

        max(last audio + floor,  E - q95(recovery of the backup))

    where E is when the caller will hear silence. The floor is `hedge_after_s` for a lane that has
    not begun, `gap_floor_s` for one that has. A lane slower than speech is late at the same time,
    however regular it is.
 3. Lanes are tied: whoever has the next whole word goes on, the others are cancelled. The words of
    a lane that was too slow wait until the faster ones have failed.
 4. A phrase whose audio is too short for its text, lacks the marks of its last words, or is silent
    inside is rejected from the first word that is not said. What a lane did well before stands.
 5. A stream that ends while nothing is owed has not failed: the next phrase opens a new one.
 6. What the budget denies is asked for again; denied twice, the late lane is replaced rather than
    joined, which is free.
 7. Everything is bounded: the lanes between two whole phrases, the lanes at once, and the wait.
    When nobody is left the rest is `Lost`, phrase by phrase.

    Given -> Launch ... Audio -> Release ... NoMore -> Settle
                 \\-- Failed / Closed / silence / short -> Launch --/
"""

import math
from collections.abc import Sequence
from typing import assert_never

from trunkline.core.attempt_words import Kind
from trunkline.core.synthesis_lane import Lane
from trunkline.core.synthesis_words import (
    Act,
    Audio,
    Cancel,
    Closed,
    Drain,
    Elect,
    Extras,
    Fact,
    Failed,
    Given,
    Launch,
    Lost,
    NoMore,
    Reject,
    Release,
    Settle,
    Suspect,
    SynthesisPolicy,
    Tick,
)
from trunkline.core.takes import Take
from trunkline.core.tempo import Tempo
from trunkline.errors import Fault
from trunkline.types import SAMPLE_RATE, Mono

NEVER = Mono(math.inf)
DENIALS_MAX = 1


class Synthesis:
    """The machine of one reply. Lanes are attempts, numbered in the order of their launch."""

    def __init__(
        self, policy: SynthesisPolicy, tempos: Sequence[Tempo], purse: Extras | None = None
    ) -> None:
        """*tempos*: one for each candidate, the best first; they learn from what is said.

        *purse*: None if hedges and rescues cost nothing.
        """
        self._policy, self._tempos, self._purse = policy, tempos, purse
        self._phrases: list[str] = []
        self._complete = False  # no more phrases will come
        self._at = (0, 0)  # the phrase and the character of it that are to be released next
        self._lanes: list[Lane] = []
        self._leader: int | None = None
        self._tries = [0] * len(tempos)
        self._refused: set[int] = set()
        self._spent = 0  # lanes since the last whole phrase
        self._drain = Mono(-math.inf)
        self._waiting_since = Mono(0.0)  # for the next release
        self._retry_at = NEVER
        self._denials = 0  # since a lane was begun
        self._denied_until = Mono(0.0)
        self._settled = False

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; after `Settle` nothing more comes."""
        if self._settled:
            return ()
        match fact:
            case Given(text):
                return self._given(text, now)
            case NoMore():
                self._complete = True
                return self._settle_if_done()
            case Drain(at):
                # a silence that has begun stays where it began, or nobody would ever give up
                self._drain = at if at > now else min(self._drain, now)
                return ()
            case Tick():
                return self._tick(now)
            case Audio(lane) | Closed(lane) | Failed(lane):
                # a lane that was cancelled may still report
                return self._report(fact, now) if self._lanes[lane].running else ()
            case _:
                assert_never(fact)

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due; None while nothing is owed."""
        if self._settled or not self._owes:
            return None
        return Mono(min(self._give_up_at(), self._retry_at, self._launch_at()))

    # -- facts ---------------------------------------------------------------------------------

    def _given(self, text: str, now: Mono) -> list[Act]:
        owed = self._owes
        self._phrases.append(text)
        if owed:
            return []
        self._waiting_since = now
        for lane in self._lanes:
            lane.idles(now)
        if any(lane.running for lane in self._lanes):
            return []
        again = None if self._leader is None else self._lanes[self._leader]
        if again is not None and not again.late:
            return [self._launch(again.candidate, Kind.PRIMARY, now)]
        return self._next_lane(now)

    def _report(self, fact: Audio | Closed | Failed, now: Mono) -> list[Act]:
        match fact:
            case Audio():
                return self._audio(fact, now)
            case Closed(number):
                self._lanes[number].slow = False  # it will not become any slower
                acts = self._advance(number, now)
                lane = self._lanes[number]
                if not lane.running or not self._owes:
                    lane.running = False
                    return acts
                return [*acts, *self._reject(number, Fault.CUT, "ended with words unspoken", now)]
            case Failed(number, fault):
                lane = self._lanes[number]
                if fault is Fault.REFUSED:
                    self._refused.add(lane.candidate)
                return self._fails(number, now)
            case _:
                assert_never(fact)

    def _audio(self, fact: Audio, now: Mono) -> list[Act]:
        lane = self._lanes[fact.lane]
        if not self._at[0] <= fact.phrase < len(self._phrases):
            return []  # the end of a phrase that counts as said
        start = lane.start if fact.phrase == lane.phrase else 0
        take = lane.takes.setdefault(fact.phrase, Take(self._phrases[fact.phrase], start))
        quiet = sum(end - begin for begin, end in fact.quiet)
        take.add(fact.samples, fact.words, fact.quiet, last=fact.last)
        if fact.samples > quiet:
            lane.hears(fact.samples, self._policy.drip_window_s, now)
        return self._advance(fact.lane, now)

    # -- words ---------------------------------------------------------------------------------

    def _advance(self, number: int, now: Mono) -> list[Act]:
        """Release what lane *number* has of the next words."""
        lane, acts = self._lanes[number], list[Act]()
        while lane.running and not lane.slow and self._at[0] in lane.takes:
            phrase = self._at[0]
            take = lane.takes[phrase]
            tempo = self._tempos[lane.candidate]
            expected_s = tempo.expected_s(len(take.rest))
            take.limit = take.lies_at()
            why = "" if take.limit is None else "silence inside a sentence"
            fault = Fault.STALLED
            if take.last and not why:
                why, fault = take.short(tempo), Fault.CUT
                take.whole = not why
            acts += self._release(number, phrase, take, expected_s, now)
            if why:
                return [*acts, *self._reject(number, fault, why, now)]
            if not take.whole:
                break
            tempo.learn(len(take.rest), take.samples / SAMPLE_RATE)
            acts += self._next_phrase()
        return acts

    def _release(
        self, number: int, phrase: int, take: Take, expected_s: float, now: Mono
    ) -> list[Act]:
        start = take.given or (take.onset if take.start else 0)
        ready = max(take.ready, start)
        if ready == start and not take.whole:
            return []
        acts = self._elect(number)
        words = tuple(word for word in take.words[take.told :] if word.at < ready or take.whole)
        acts.append(Release(number, phrase, start, ready, words, take.whole))
        take.given, take.told = ready, take.told + len(words)
        self._at = phrase, take.said(expected_s)
        self._waiting_since = now
        return acts

    def _next_phrase(self) -> list[Act]:
        for lane in self._lanes:
            lane.takes.pop(self._at[0], None)
        self._at = self._at[0] + 1, 0
        self._spent = 0
        return self._settle_if_done()

    def _elect(self, number: int) -> list[Act]:
        acts = self._cancel_others(number, "another voice was first")
        self._lanes[number].late = False
        if self._leader != number:
            acts.append(Elect(number, self._leader, *self._at, self._marked))
            self._leader = number
        return acts

    @property
    def _marked(self) -> bool:
        """Whether the marks of what was released of this phrase were released with it."""
        if self._leader is None:
            return True
        take = self._lanes[self._leader].takes.get(self._at[0])
        return take is None or not take.given or bool(take.words)

    # -- failures ------------------------------------------------------------------------------

    def _reject(self, number: int, fault: Fault, why: str, now: Mono) -> list[Act]:
        return [Reject(number, fault, why), *self._fails(number, now)]

    def _fails(self, number: int, now: Mono) -> list[Act]:
        lane = self._lanes[number]
        lane.running, lane.late = False, True
        others = [i for i, other in enumerate(self._lanes) if other.running]
        if not self._owes or any(not self._lanes[i].late for i in others):
            return []
        acts = self._next_lane(now)
        if self._settled or any(isinstance(act, Launch) for act in acts):
            return acts
        for i in others:  # better slow than silent
            self._lanes[i].slow = False
            acts += self._advance(i, now)
        return acts

    def _next_lane(self, now: Mono) -> list[Act]:
        """Launch the next candidate, now or after a pause; give up if there is none."""
        acts = self._pass_over_what_was_said()
        candidate = self._candidate()
        if self._settled or not self._owes:
            return acts
        if candidate is None or not self._may_launch():
            running = any(lane.running for lane in self._lanes)
            return acts if running else [*acts, *self._lose()]
        if self._spent >= len(self._tries) and now < self._retry_at:  # all had their turn
            if self._retry_at == NEVER:
                self._retry_at = Mono(now + self._policy.retry_pause_s)
            return acts
        kind = Kind.FAILOVER if self._leader is None else Kind.RESCUE
        if self._lanes and self._purse is not None:
            self._purse.failover()
        return [*acts, self._launch(candidate, kind if self._lanes else Kind.PRIMARY, now)]

    def _pass_over_what_was_said(self) -> list[Act]:
        """Without marks the rest of a phrase may have been a guess of nothing."""
        phrase, at = self._at
        if self._leader is None or not at or self._phrases[phrase][at:].strip():
            return []
        given = self._lanes[self._leader].takes[phrase].given
        end = Release(self._leader, phrase, given, given, (), complete=True)
        return [end, *self._next_phrase()]

    def _lose(self) -> list[Act]:
        first, at = self._at
        acts: list[Act] = [
            Lost(phrase, at if phrase == first else 0)
            for phrase in range(first, len(self._phrases))
        ]
        return [*acts, *self._settle(failed=True)]

    # -- time ----------------------------------------------------------------------------------

    def _tick(self, now: Mono) -> list[Act]:
        if not self._owes:
            return []
        if now >= self._give_up_at():
            return self._lose()
        if now >= self._retry_at:
            return self._next_lane(now)
        return self._suspect(now) if now >= self._launch_at() else []

    def _suspect(self, now: Mono) -> list[Act]:
        """The newest lane is late: begin another beside it."""
        number = self._newest()
        lane = self._lanes[number]
        silent_s = now - lane.last
        fault = Fault.STALLED if lane.useful else Fault.SILENT
        acts = self._pass_over_what_was_said()
        candidate = self._candidate()
        if candidate is None or self._settled or not self._owes:
            return acts
        granted = self._buys()
        if not granted and self._denials < DENIALS_MAX:
            self._denials += 1
            self._denied_until = Mono(now + self._policy.denied_s)
            return acts
        lane.late = True
        acts.append(Suspect(number, fault, silent_s))
        if not granted:
            lane.running = False
            return [*acts, Cancel(number, "late, and replaced"), *self._next_lane(now)]
        lane.slow = lane.flows_since is not None and silent_s < self._policy.gap_floor_s
        kind = Kind.HEDGE if self._leader is None else Kind.RESCUE
        return [*acts, self._launch(candidate, kind, now)]

    def _buys(self) -> bool:
        """Whether another lane may run beside this one; a denied hedge is asked for as a rescue."""
        if self._purse is None:
            return True
        hedges = self._leader is None and not self._denials
        return self._purse.hedge() if hedges else self._purse.rescue()

    def _launch_at(self) -> Mono:
        """When the newest lane is late. While one that failed is to be tried again: never."""
        running = [lane for lane in self._lanes if lane.running]
        if not running or self._retry_at < NEVER or not self._may_launch():
            return NEVER
        lane = self._lanes[self._newest()]
        if lane.late or self._candidate() is None:
            return NEVER
        policy = self._policy
        if lane.flows_since is None:
            late_at = lane.last + policy.hedge_after_s
        else:
            drips_at = lane.flows_since + max(policy.drip_window_s, lane.made_s)
            late_at = min(lane.last + policy.gap_floor_s, drips_at)
        return Mono(max(late_at, self._drain - policy.recovery_q95_s, self._denied_until))

    def _give_up_at(self) -> Mono:
        return Mono(max(self._waiting_since, self._drain) + self._policy.give_up_s)

    # -- inside --------------------------------------------------------------------------------

    @property
    def _owes(self) -> bool:
        return self._at[0] < len(self._phrases)

    def _newest(self) -> int:
        return max(i for i, lane in enumerate(self._lanes) if lane.running)

    def _may_launch(self) -> bool:
        running = sum(lane.running for lane in self._lanes)
        return self._spent < self._policy.attempts_max and running < self._policy.at_once_max

    def _candidate(self) -> int | None:
        """Whom to ask next: one that is not busy, the one that was tried least, the best."""
        busy = {lane.candidate for lane in self._lanes if lane.running}
        free = [c for c in range(len(self._tries)) if c not in self._refused]
        return min(free, key=lambda c: (c in busy, self._tries[c], c), default=None)

    def _launch(self, candidate: int, kind: Kind, now: Mono) -> Launch:
        phrase, at = self._at
        text = self._phrases[phrase]
        at += len(text[at:]) - len(text[at:].lstrip()) if at else 0
        self._tries[candidate] += 1
        self._spent += 1
        self._denials, self._retry_at = 0, NEVER
        if kind is Kind.PRIMARY and self._purse is not None:
            self._purse.primary()
        self._lanes.append(Lane(candidate, kind, phrase, at, last=now))
        return Launch(len(self._lanes) - 1, candidate, kind, phrase, at)

    def _cancel_others(self, number: int | None, why: str) -> list[Act]:
        acts: list[Act] = []
        for i, lane in enumerate(self._lanes):
            if lane.running and i != number:
                lane.running = False
                acts.append(Cancel(i, why))
        self._retry_at = NEVER
        return acts

    def _settle_if_done(self) -> list[Act]:
        return self._settle(failed=False) if self._complete and not self._owes else []

    def _settle(self, *, failed: bool) -> list[Act]:
        self._settled = True
        served = None if failed else self._leader
        return [*self._cancel_others(served, "the reply is over"), Settle(self._leader, failed)]
