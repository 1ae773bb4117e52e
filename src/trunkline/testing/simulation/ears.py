"""One utterance of a simulated caller, over simulated recognisers.

`core.hearing` decides, as in a live call. What goes as it should is not worth its machine: where
the first recogniser is drawn to be in good health and its final to come before anybody would be
asked beside it, the outcome is known (`Ear.plain`), and a test holds that it is the machine's.

A recogniser says an interim for every `INTERIM_S` of speech; what was said before it was asked it
works through `REPLAY` times faster.
"""

import heapq
import math
from typing import Protocol

from trunkline.core import hearing_words as words
from trunkline.core.attempt_words import Kind
from trunkline.core.hearing import Hearing
from trunkline.core.playout import WORDS_PER_S
from trunkline.errors import Fault
from trunkline.testing.simulation.speech import Speech, Try
from trunkline.types import STT, Mono

INTERIM_S = 0.3
REPLAY = 10.0


class Hears(Protocol):
    """What an ear needs of the worker."""

    @property
    def speech(self) -> Speech:
        """Who decides."""

    def attempt(self, lot: int, endpoint: int, kind: Kind, now: float) -> Try:
        """An attempt on *endpoint*, in the turn that has number *lot*."""


class Ear:
    """The caller of *call* speaks from *began* to *over*. When it is `done`: *heard_at*, unless it
    is *lost*: nobody could tell what was said. *tries* are the attempts."""

    def __init__(self, worker: Hears, call: int, lot: int, began: float, over: float) -> None:
        self._worker, self._call, self._lot = worker, call, lot
        self._began, self._over = began, over
        self._machine: Hearing | None = None
        self._told_over = False
        self._events: list[tuple[float, int, words.Interim | words.Final | words.Failed]] = []
        self._count = 0
        self._voiced: list[float] = []  # what the caller had said at each attempt's last interim
        self.tries: list[Try] = []
        self.heard_at, self.lost, self.done, self.plain = math.inf, False, False, False

    def begin(self, *, plainly: bool = True) -> float:
        """The caller begins to speak; when the next thing is due. *plainly*: if it can be."""
        speech, now = self._worker.speech, Mono(self._began)
        self._order = speech.order(STT, self._call, self._lot, now)
        policy, purse = speech.hears(self._order, now), speech.purse(STT, self._call)
        first = self._worker.attempt(self._lot, self._order[0], Kind.PRIMARY, now)
        if plainly and first.course.plain and first.course.first_s < policy.final_after_s:
            self.tries, self.plain = [first], True
            if purse is not None:
                purse.primary()
            self.heard_at = self._over + first.course.first_s
            return self.heard_at
        self._first: Try | None = first
        candidates = [words.Candidate(interims=True)] * len(self._order)
        self._machine = Hearing(policy, candidates, purse)
        for act in self._machine.begin(now):
            self._perform(act, now)
        return self._due()

    def advance(self, at: float) -> float:
        """Something is due *at* that second; when the next thing is (infinity: it is done)."""
        now, machine = Mono(at), self._machine
        if machine is None:
            self._plainly(now)
            return math.inf
        voiced_s = min(now, self._over) - self._began
        machine.feed(words.Voiced(voiced_s, voiced_s), now)
        for act in machine.feed(self._fact(now), now):
            self._perform(act, now)
        return math.inf if self.done else self._due()

    def _fact(self, now: Mono) -> words.Fact:
        """What is due."""
        if not self._told_over and now >= self._over:
            self._told_over = True
            return words.SpeechOver()
        if self._events and self._events[0][0] <= now:
            said = heapq.heappop(self._events)[2]
            if not self.tries[said.lane].over:
                self._note(said, now)
                return said
        return words.Tick()

    def _due(self) -> float:
        due = math.inf if self._told_over else self._over
        machine_at = None if self._machine is None else self._machine.deadline()
        events_at = self._events[0][0] if self._events else math.inf
        return min(due, events_at, math.inf if machine_at is None else machine_at)

    def _plainly(self, now: Mono) -> None:
        speech, first = self._worker.speech, self.tries[0]
        if gaps := int((self._over - self._began) / INTERIM_S):
            speech.gaps(first, INTERIM_S, gaps, now)
        speech.answered(first, first.course.first_s, now)
        speech.served(STT, self._call, first, now)
        self.done = first.over = True

    # -- acts ------------------------------------------------------------------------------------

    def _perform(self, act: words.Act, now: Mono) -> None:
        match act:
            case words.Launch(number, candidate, kind):
                self._launch(number, self._order[candidate], kind, now)
            case words.Suspect(number, fault):
                self.tries[number].fault = fault
            case words.Doubt(number):
                self.tries[number].fault = Fault.EMPTY
            case words.Cancel(number):
                self._stop(self.tries[number], now)
            case words.Settle(number):
                self._settle(number, now)
            case words.Tell():
                pass

    def _launch(self, number: int, endpoint: int, kind: Kind, now: Mono) -> None:
        it, self._first = self._first, None
        if it is None:
            it = self._worker.attempt(self._lot, endpoint, kind, now)
            it.late = self.tries[-1].endpoint
        self.tries.append(it)
        self._voiced.append(0.0)
        self._play(number, it, now)

    def _play(self, number: int, it: Try, asked: float) -> None:
        """What it will say, and when."""
        course, spoken_s = it.course, self._over - self._began
        total = max(1, round(spoken_s * WORDS_PER_S))
        bend = course.bend(total)
        bend_s = spoken_s if bend >= total else bend / WORDS_PER_S

        def heard(said_s: float) -> float:
            """When it has worked through so much of the utterance."""
            return max(self._began + said_s, asked + said_s / REPLAY)

        if course.fails is not None:
            at = asked + course.first_s if course.words == 0 else heard(bend_s)
            self._push(at, words.Failed(number, course.fails))
        if course.fails is not None and course.words == 0:
            return
        for interim in range(1, int(min(spoken_s, bend_s) / INTERIM_S) + 1):
            if course.first_s < math.inf and not course.empty:
                self._push(heard(interim * INTERIM_S), words.Interim(number, "words"))
        if course.fails is None:
            drip_s = (total - bend) * course.drip_s
            at = max(heard(spoken_s), heard(bend_s) + drip_s) + course.first_s + course.pause_s
            self._push(at, words.Final(number, "" if course.empty else "words " * total))

    def _push(self, at: float, fact: words.Interim | words.Final | words.Failed) -> None:
        if at < math.inf:
            self._count += 1
            heapq.heappush(self._events, (at, self._count, fact))

    def _note(self, fact: words.Interim | words.Final | words.Failed, now: Mono) -> None:
        """Book what an attempt said."""
        it, speech = self.tries[fact.lane], self._worker.speech
        match fact:
            case words.Interim(number):
                said_s = min(now, self._over) - self._began
                speech.gaps(it, said_s - self._voiced[number], 1, now)
                self._voiced[number] = said_s
            case words.Final():
                caught_up = it.asked + (self._over - self._began) / REPLAY
                speech.answered(it, max(now - max(self._over, caught_up), 0.0), now)
            case words.Failed(_, fault):
                it.fault, it.over = fault, True
                speech.failed(STT, self._call, it, now)

    def _stop(self, it: Try, now: Mono) -> None:
        """It is not needed any more; one that was late has failed."""
        if it.over:
            return
        it.over = True
        if it.fault in {Fault.SILENT, Fault.STALLED}:
            self._worker.speech.overtaken(STT, self._call, it, now)

    def _settle(self, number: int | None, now: Mono) -> None:
        for at, it in enumerate(self.tries):
            if at == number:
                it.over = True
                self._worker.speech.served(STT, self._call, it, now)
            else:
                self._stop(it, now)
        self.done, self.lost, self.heard_at = True, number is None, now
