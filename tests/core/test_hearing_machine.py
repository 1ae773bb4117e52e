"""Every order of words, faults and deadlines over the recognisers of one utterance."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from trunkline.core.hearing import Hearing
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
    Settle,
    SpeechOver,
    Suspect,
    Tell,
    Tick,
    Voiced,
)
from trunkline.errors import Fault
from trunkline.types import Mono

POLICY = HearingPolicy()
CANDIDATES = st.builds(Candidate, interims=st.booleans(), doubtful=st.booleans())


@dataclass
class Lane:
    """A recogniser at work."""

    candidate: int
    running: bool = True
    final: str | None = None


class Purse:
    """Grants as many rescues as it has."""

    def __init__(self, rescues: int) -> None:
        self.left = rescues

    def primary(self) -> None:
        """Earns nothing here."""

    def failover(self) -> None:
        """Is free."""

    def rescue(self) -> bool:
        """One less."""
        self.left -= 1
        return self.left >= 0


class AnyHearing(RuleBasedStateMachine):
    """The machine under attack, and the recognisers that it asks."""

    @initialize(candidates=st.lists(CANDIDATES, min_size=1, max_size=3), rescues=st.integers(0, 3))
    def begin(self, candidates: list[Candidate], rescues: int) -> None:
        """The caller begins to speak."""
        self.candidates = candidates
        self.purse = Purse(rescues)
        self.machine = Hearing(POLICY, candidates, self.purse if rescues < 3 else None)
        self.now, self.voiced, self.certain = 0.0, 0.0, 0.0
        self.over_at: float | None = None
        self.lanes: list[Lane] = []
        self.settled: Settle | None = None
        self.settled_at, self.refused = 0.0, set[int]()
        self.take(self.machine.begin(Mono(0.0)))

    def feed(self, fact: Fact) -> None:
        """Feed *fact*, and do what the machine wants."""
        self.take(self.machine.feed(fact, Mono(self.now)))

    def take(self, acts: Sequence[Act]) -> None:
        """What the shell would do."""
        assert not (acts and self.settled), "nothing comes after the end"
        for act in acts:
            match act:
                case Launch(number, candidate, _):
                    assert number == len(self.lanes)
                    self.lanes.append(Lane(candidate))
                    assert len(self.lanes) <= POLICY.attempts_max
                    assert sum(lane.running for lane in self.lanes) <= POLICY.at_once_max
                    tries = [lane.candidate for lane in self.lanes].count(candidate)
                    assert tries <= POLICY.tries_max
                case Tell(text):
                    assert text
                case Suspect(number, _, silent_s):
                    assert self.lanes[number].running
                    assert silent_s >= 0
                case Doubt(number):
                    assert self.is_poor(self.lanes[number].final)
                    spoke = self.certain >= POLICY.certain_s or self.voiced >= POLICY.noise_s
                    assert spoke, "coughs cost nothing"
                case Cancel(number):
                    assert self.lanes[number].running
                    self.lanes[number].running = False
                case Settle(lane, text):
                    assert not any(it.running for it in self.lanes)
                    assert lane is None or self.lanes[lane].final == text
                    assert lane is not None or not any(it.final for it in self.lanes)
                    self.settled, self.settled_at = act, self.now

    def is_poor(self, final: str | None) -> bool:
        """Whether *final* is one that holds too little for what was surely said."""
        lasts = self.certain >= POLICY.long_s
        return final == "" or (
            final is not None and lasts and len(final) < POLICY.letters_per_s * self.certain
        )

    # -- the caller ----------------------------------------------------------------------------

    @rule(seconds=st.floats(0.001, 1.5), speaks=st.booleans(), surely=st.booleans())
    def time_passes(self, seconds: float, speaks: bool, surely: bool) -> None:
        """Up to the next deadline at most; the caller speaks, or pauses."""
        due = self.machine.deadline()
        later = self.now + seconds
        until = later if due is None else min(later, max(due, self.now))
        if speaks and self.over_at is None:
            self.voiced += until - self.now
            self.certain += until - self.now if surely else 0.0
        self.now = until
        self.feed(Voiced(self.voiced, self.certain))
        self.feed(Tick())

    @rule()
    def finish(self) -> None:
        """The caller has finished."""
        self.over_at = self.now if self.over_at is None else self.over_at
        self.feed(SpeechOver())

    # -- the recognisers -----------------------------------------------------------------------

    def running(self) -> list[int]:
        """Who is at work."""
        return [i for i, lane in enumerate(self.lanes) if lane.running]

    @precondition(lambda self: self.running())
    @rule(data=st.data(), text=st.sampled_from(["", "i", "i would"]))
    def interim(self, data: st.DataObject, text: str) -> None:
        """Words so far."""
        self.feed(Interim(data.draw(st.sampled_from(self.running())), text))

    @precondition(lambda self: self.running() and self.over_at is not None)
    @rule(data=st.data(), text=st.sampled_from(["", "no", "iwouldlike" * 10]))
    def final(self, data: st.DataObject, text: str) -> None:
        """All of the words: the first ones that are given count."""
        number = data.draw(st.sampled_from(self.running()))
        self.lanes[number].running, self.lanes[number].final = False, text
        self.feed(Final(number, text))
        if not self.is_poor(text):
            assert self.settled == Settle(number, text)
        elif self.settled and self.certain >= POLICY.certain_s:
            had = {lane.candidate for lane in self.lanes}
            bounded = len(self.lanes) == POLICY.attempts_max
            assert bounded or had | self.refused == set(range(len(self.candidates)))

    @precondition(lambda self: self.running())
    @rule(data=st.data(), fault=st.sampled_from([Fault.CUT, Fault.REFUSED]))
    def fail(self, data: st.DataObject, fault: Fault) -> None:
        """A recogniser fails: somebody else is at it, or all had their turn."""
        number = data.draw(st.sampled_from(self.running()))
        self.lanes[number].running = False
        if fault is Fault.REFUSED:
            self.refused.add(self.lanes[number].candidate)
        before = len(self.lanes)
        self.feed(Failed(number, fault))
        if not self.running() and not self.settled:
            assert self.over_at is None
            assert len(self.lanes) == before

    @precondition(lambda self: any(not lane.running for lane in self.lanes))
    @rule(data=st.data())
    def late_report(self, data: st.DataObject) -> None:
        """A lane that was stopped still reports: nobody listens."""
        stopped = [i for i, lane in enumerate(self.lanes) if not lane.running]
        assert not self.machine.feed(
            Final(data.draw(st.sampled_from(stopped)), "x"), Mono(self.now)
        )

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def who_settles_waits_for_nothing(self) -> None:
        """And nobody settles while the caller speaks, unless by words."""
        if self.settled is not None:
            assert self.machine.deadline() is None
            assert self.settled.text or self.over_at is not None or self.settled.lane is not None

    @override
    def teardown(self) -> None:
        """Silence from all: it ends within a bounded time."""
        self.finish()
        for _ in range(20):
            due = self.machine.deadline()
            if due is None:
                break
            self.now = max(self.now, due)
            self.feed(Tick())
        assert self.settled is not None
        if not any(self.is_poor(lane.final) for lane in self.lanes):
            assert self.settled.text or self.settled.lane is None


TestAnyHearing = AnyHearing.TestCase
