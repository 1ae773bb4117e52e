"""The voice of one reply over simulated synthesisers.

`core.synthesis` decides, as in a live call: the words that it releases are what the caller hears.
Where the first synthesiser is drawn to be in good health and to begin every sentence before anybody
would be asked beside it, the outcome is known and needs no machine (`plain_voice`); a test holds
that it is the machine's.

A synthesiser makes a sentence faster than it is spoken: all of it is there with its first audio, up
to where something befalls it.
"""

import heapq
import math
from dataclasses import dataclass, field
from typing import Protocol

from trunkline.core import synthesis_words as words
from trunkline.core.attempt_words import Kind
from trunkline.core.playout import WORDS_PER_S, PlayoutPolicy
from trunkline.core.synthesis import Synthesis
from trunkline.core.tempo import Tempo
from trunkline.errors import Fault
from trunkline.testing.simulation.answers import Answer
from trunkline.testing.simulation.judge import Judge
from trunkline.testing.simulation.speech import Speech, Try
from trunkline.types import SAMPLE_RATE, TTS, Mono, SpokenWord

WORD_SAMPLES = round(SAMPLE_RATE / WORDS_PER_S)


class Speaks(Protocol):
    """What a mouth needs of the worker."""

    @property
    def speech(self) -> Speech:
        """Who decides."""

    @property
    def tempos(self) -> dict[int, Tempo]:
        """What is known of the pace of each voice."""

    def attempt(self, lot: int, endpoint: int, kind: Kind, now: float) -> Try:
        """An attempt on *endpoint*, in the turn that has number *lot*."""

    def begins_s(self, it: Try, lot: int, sentence: int) -> float:
        """Seconds to the first audio of its sentence number *sentence* (from 0)."""


@dataclass(slots=True)
class _Lane:
    it: Try
    phrase: int  # the first phrase that it was asked for, and the first character of it
    start: int
    words: int = 0  # that it was asked for
    free_at: float = 0.0  # when it has made all that it was asked for
    asked: set[int] = field(default_factory=set)
    sounded_at: float = -1.0


class Mouth:
    """Says *answer*, sentence by sentence as they are given, by voices in *order*.

    `drain` is when the caller has heard all audio that there is, *begins_at* when the first of it
    was heard, *gap_s* the longest silence after that. It is over once `due` is infinity: *lost*
    says whether something could not be said.
    """

    def __init__(
        self, worker: Speaks, call: int, lot: int, answer: Answer, judge: Judge, now: float
    ) -> None:
        self._worker, self._call, self._lot, self._answer = worker, call, lot, answer
        self._judge = judge
        speech = worker.speech
        self._order = speech.order(TTS, call, lot, Mono(now))
        self._policy = speech.speaks(self._order, Mono(now))
        self._machine: Synthesis | None = None
        self._first = worker.attempt(lot, self._order[0], Kind.PRIMARY, now)
        self._lanes: list[_Lane] = []
        self._leader: int | None = None
        self._given: list[int] = []  # sentences of the answer, by phrase
        self._events: list[tuple[float, int, words.Audio | words.Failed | words.Closed]] = []
        self._count = 0
        self._ended = False  # no more sentences will come
        self._heard = (0, 0)  # the phrase, and the character in it, that are to be heard next
        self.settled = self.lost = False
        self.drain = self.begins_at = -math.inf
        self.gap_s = 0.0

    def plain(self) -> list[float] | None:
        """Seconds to the first audio of each sentence, if nothing calls for a decision."""
        course, it = self._first.course, self._first
        if not course.plain:
            return None
        count = len(self._answer.sentences)
        times = [self._worker.begins_s(it, self._lot, number) for number in range(count)]
        if max(times) >= self._policy.hedge_after_s:
            return None
        if (purse := self._worker.speech.purse(TTS, self._call)) is not None:
            purse.primary()
        return times

    def spoke_plainly(self, now: float) -> None:
        """All was said as `plain` foresaw."""
        speech, it = self._worker.speech, self._first
        speech.answered(it, it.course.first_s, Mono(now))
        speech.served(TTS, self._call, it, Mono(now))

    # -- what comes in ---------------------------------------------------------------------------

    def begin(self) -> None:
        """There is something to decide."""
        speech, tempos = self._worker.speech, self._worker.tempos
        paces = [tempos.setdefault(number, Tempo()) for number in self._order]
        self._machine = Synthesis(self._policy, paces, speech.purse(TTS, self._call))

    def say(self, place: int, now: float) -> None:
        """Sentence number *place* of the answer is given to it."""
        self._given.append(place)
        self._feed(words.Given(self._answer.sentences[place]), now)
        if self._leader is not None:
            self._ask(self._leader, now)

    def finish(self, now: float) -> None:
        """No more sentences will come."""
        self._ended = True
        self._feed(words.NoMore(), now)

    def due(self) -> float:
        """When something happens next; infinity: nothing will."""
        if self.settled or self._machine is None:
            return math.inf
        at = self._machine.deadline()
        events_at = self._events[0][0] if self._events else math.inf
        return min(events_at, math.inf if at is None else at)

    def advance(self, now: float) -> None:
        """Something is due."""
        if not self._events or self._events[0][0] > now:
            self._feed(words.Tick(), now)
            return
        fact = heapq.heappop(self._events)[2]
        lane = self._lanes[fact.lane]
        if not lane.it.over:
            self._note(lane, fact, Mono(now))
            self._feed(fact, now)

    def drain_at(self, now: float) -> float:
        """E, as `core.playout` foresees it: what has no audio yet counts by its words."""
        place, _ = self._heard
        silent = [self._answer.sounds_s[it] for it in self._given[place:]]
        if place < len(self._given) and self._heard[1]:
            silent = silent[1:]
        expected_s = sum(silent)
        if expected_s and self.drain <= now:
            expected_s = max(expected_s - PlayoutPolicy().synthesis_s, 0.0)
        return max(self.drain, now) + expected_s

    def _note(
        self, lane: _Lane, fact: words.Audio | words.Failed | words.Closed, now: Mono
    ) -> None:
        """Book what an attempt did."""
        speech, it = self._worker.speech, lane.it
        match fact:
            case words.Audio():
                speech.answered(it, now - it.asked, now)
                if lane.sounded_at >= 0.0 and fact.phrase == lane.phrase:
                    speech.gaps(it, now - lane.sounded_at, 1, now)
                lane.sounded_at = now if fact.phrase == lane.phrase else -1.0
            case words.Failed(_, fault):
                it.fault, it.over = fault, True
                speech.failed(TTS, self._call, it, now)
            case words.Closed():
                pass

    # -- acts ------------------------------------------------------------------------------------

    def _feed(self, fact: words.Fact, now: float) -> None:
        machine = self._machine
        assert machine is not None  # noqa: S101  # it has begun
        machine.feed(words.Drain(Mono(max(self.drain, now))), Mono(now))
        for act in machine.feed(fact, Mono(now)):
            self._perform(act, Mono(now))

    def _perform(self, act: words.Act, now: Mono) -> None:
        match act:
            case words.Launch(number, candidate, kind, phrase, start):
                self._launch(self._order[candidate], kind, phrase, start, now)
                self._play(number, phrase, now)
            case words.Release():
                self._release(act, now)
            case words.Elect(number):
                self._leader = number
                self._ask(number, now)
            case words.Suspect(number, fault):
                self._lanes[number].it.fault = fault
            case words.Reject(number, fault):
                self._lanes[number].it.fault = fault
                self._stop(self._lanes[number].it, now)
            case words.Cancel(number):
                self._stop(self._lanes[number].it, now)
            case words.Lost():
                self.lost = True
            case words.Settle(number, failed):
                self._settle(None if failed else number, now)

    def _launch(self, endpoint: int, kind: Kind, phrase: int, start: int, now: Mono) -> None:
        it = self._first
        if self._lanes:
            it = self._worker.attempt(self._lot, endpoint, kind, now)
            it.late = None if kind is Kind.PRIMARY else self._lanes[-1].it.endpoint
        self._lanes.append(_Lane(it, phrase, start, free_at=now))

    def _ask(self, number: int, now: float) -> None:
        """Who leads is asked for the phrases after its first one."""
        lane = self._lanes[number]
        for phrase in range(lane.phrase + 1, len(self._given)):
            if phrase not in lane.asked:
                self._play(number, phrase, now)

    def _play(self, number: int, phrase: int, now: float) -> None:
        """What lane *number* will make of *phrase*, and when."""
        lane = self._lanes[number]
        it, course = lane.it, lane.it.course
        lane.asked.add(phrase)
        place = self._given[phrase]
        start = lane.start if phrase == lane.phrase else 0
        marks = _marks(self._answer.sentences[place][start:])
        bend = course.bend(_words_left(self._answer, self._given[lane.phrase])) - lane.words
        begins_s = self._worker.begins_s(it, self._lot, len(lane.asked) - 1)
        ready = max(now, lane.free_at) + begins_s
        lane.words += len(marks)
        if course.words == 0 and course.fails is not None and bend <= 0:
            self._push(now + course.first_s, words.Failed(number, course.fails))
            lane.free_at = math.inf
            return
        if course.empty:
            self._push(ready, words.Closed(number))
            return
        cut = max(0, min(bend, len(marks))) if not course.plain else len(marks)
        self._pieces(number, phrase, marks, cut, ready)

    def _pieces(
        self, number: int, phrase: int, marks: list[SpokenWord], cut: int, ready: float
    ) -> None:
        """The words up to number *cut* are ready at once; then its course has its way."""
        lane = self._lanes[number]
        course, last = lane.it.course, cut == len(marks)

        def piece(at: float, begin: int, end: int) -> None:
            samples = (end - begin) * WORD_SAMPLES
            some = tuple(marks[begin:end])
            whole = end == len(marks)
            self._push(at, words.Audio(number, phrase, samples, some, last=whole))

        if cut:
            piece(ready, 0, cut)
        lane.free_at = ready
        if last:
            return
        if course.fails is not None:
            self._push(ready + 0.001, words.Failed(number, course.fails))
            lane.free_at = math.inf
        elif course.drip_s:
            for word in range(cut, len(marks)):
                lane.free_at += course.drip_s
                piece(lane.free_at, word, word + 1)
        elif course.pause_s:
            lane.free_at = ready + course.pause_s
            piece(lane.free_at, cut, len(marks))
            course.plain = True  # it happens once
        else:
            piece(ready, cut, len(marks))

    def _push(self, at: float, fact: words.Audio | words.Failed | words.Closed) -> None:
        if at < math.inf:
            self._count += 1
            heapq.heappush(self._events, (at, self._count, fact))

    def _release(self, act: words.Release, now: Mono) -> None:
        lane = self._lanes[act.lane]
        self._worker.speech.whole(lane.it, now)
        starts = max(now, self.drain)
        if self.begins_at < 0:
            self.begins_at = starts
        else:
            self.gap_s = max(self.gap_s, starts - self.drain)
        self.drain = starts + (act.end - act.start) / SAMPLE_RATE
        text = self._answer.sentences[self._given[act.phrase]]
        self._heard = self._judge.hear(self._heard, act, text)

    def _stop(self, it: Try, now: Mono) -> None:
        """It is not needed any more; one that was late, or lied, has failed."""
        if it.over:
            return
        it.over = True
        if it.fault is Fault.SILENT:
            self._worker.speech.overtaken(TTS, self._call, it, now)
        elif it.fault is not None:
            self._worker.speech.failed(TTS, self._call, it, now)

    def _settle(self, number: int | None, now: Mono) -> None:
        self.settled = True
        for at, lane in enumerate(self._lanes):
            if at == number and not lane.it.over:
                lane.it.over = True
                self._worker.speech.served(TTS, self._call, lane.it, now)
            self._stop(lane.it, now)


def _marks(text: str) -> list[SpokenWord]:
    marks, at = list[SpokenWord](), 0
    for word in text.split(" "):
        if word:
            marks.append(SpokenWord(at, at + len(word), len(marks) * WORD_SAMPLES))
        at += len(word) + 1
    return marks


def _words_left(answer: Answer, place: int) -> int:
    return answer.starts[-1] - answer.starts[place]
