"""Every interleaving of reports, silence and time that Hypothesis can think of, over one step."""

import math

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from tests.core.steps import PLAN, POLICY, POOR, RICH, TICKS_MAX
from trunkline.core.attempt_words import (
    Act,
    Begin,
    Cancel,
    Drain,
    Elect,
    Ended,
    Fact,
    Failed,
    Fill,
    Kind,
    Launch,
    Measured,
    Say,
    Settle,
    Suspect,
    Text,
    Tick,
    ToolPart,
)
from trunkline.core.attempts import Attempts
from trunkline.core.budget import Budget, BudgetPolicy, Purse
from trunkline.core.health import Measure
from trunkline.core.splice import RepeatGate
from trunkline.errors import Fault
from trunkline.types import Mono, ToolCallDelta

PIECES = st.sampled_from(
    [
        "One. ",
        "One",
        ".",
        " ",
        "",
        "\n",
        "Please bring your insurance card with you. ",
        "Also bring your insurance card with you please. ",
        "There is parking behind the house, and it is free. Two! ",
        "Dr. ",
        "Three?",
        "word " * 60,
    ]
)
TOOL_PARTS = st.builds(
    ToolCallDelta,
    st.integers(0, 1),
    st.sampled_from(["", "call_1"]),
    st.sampled_from(["", "book"]),
    st.sampled_from(["", "{", "}", "x" * 30]),
)
REASONS = st.sampled_from(["stop", "tool_calls", "length", "content_filter"])
LANES = st.integers(0, POLICY.attempts_max - 1)


class AnyStep(RuleBasedStateMachine):
    """The machine under attack and a clerk who writes down what it did."""

    def __init__(self) -> None:
        super().__init__()
        self.budget = Budget(RICH)
        self.plan = PLAN
        self.machine = Attempts(POLICY, PLAN, Purse(self.budget))
        self.now = 0.0
        self.launches: list[Launch] = []
        self.running: set[int] = set()
        self.ousted: set[int] = set()
        self.gates: list[RepeatGate] = []
        self.committed: list[str] = []
        self.leader: int | None = None
        self.settled: Settle | None = None
        self.heard = ""
        self.drain = -math.inf
        self.last_useful = 0.0
        self.timed: set[int] = set()
        self.continued = self.fills = 0

    # -- what happens --------------------------------------------------------------------------

    @initialize(
        candidates=st.sampled_from(["a", "ab", "aab", "abcd"]),
        heard=st.sampled_from(["", "One.", "One. Please bring your insurance card with"]),
        hedge_after_s=st.sampled_from([0.0, 0.6, 2.2]),
        budget=st.sampled_from([RICH, POOR, BudgetPolicy(burst=3.0)]),
        language=st.sampled_from(["en", "zh", "tlh"]),
    )
    def begin(
        self,
        candidates: str,
        heard: str,
        hedge_after_s: float,
        budget: BudgetPolicy,
        language: str,
    ) -> None:
        """The step starts, perhaps after an interruption that came to nothing."""
        self.budget = Budget(budget)
        self.plan = PLAN._replace(candidates=tuple(candidates), hedge_after_s=hedge_after_s)
        self.machine = Attempts(POLICY, self.plan, Purse(self.budget))
        self.heard, self.committed = heard, [heard] if heard else []
        self.feed(Begin(heard, language))

    @rule(lane=LANES, text=PIECES)
    def text(self, lane: int, text: str) -> None:
        """An attempt says something, perhaps one that was cancelled long ago."""
        self.report(Text(lane, text))

    @rule(lane=LANES, part=TOOL_PARTS)
    def tool_part(self, lane: int, part: ToolCallDelta) -> None:
        """An attempt proposes a tool call, piece by piece."""
        self.report(ToolPart(lane, part))

    @rule(lane=LANES, reason=REASONS)
    def ended(self, lane: int, reason: str) -> None:
        """An attempt says that it is done."""
        self.report(Ended(lane, reason))

    @rule(lane=LANES, fault=st.sampled_from(Fault))
    def failed(self, lane: int, fault: Fault) -> None:
        """An attempt fails, in any way there is."""
        self.report(Failed(lane, fault, "drawn"))

    @rule(ahead_s=st.floats(0, 6))
    def drain_time(self, ahead_s: float) -> None:
        """The playout says when silence will be heard."""
        self.drain = self.now + ahead_s
        self.feed(Drain(Mono(self.drain)))

    @rule(pause_s=st.floats(0, 1))
    def time_passes(self, pause_s: float) -> None:
        """Time goes on without anybody waking the machine."""
        self.now += pause_s

    @precondition(lambda self: self.machine.deadline() is not None)
    @rule(late_s=st.sampled_from([0.0, 1e-6, 0.05, 0.5]))
    def wakes(self, late_s: float) -> None:
        """The machine is woken when it asked for it, or a little later."""
        self.now = max(self.now, self.due()) + late_s
        for _ in range(TICKS_MAX):
            self.feed(Tick())
            if self.settled or self.due() > self.now:
                return
        raise AssertionError("a busy loop: the deadline stays in the past")

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def the_committed_text_is_what_was_said(self) -> None:
        """In order, after what was heard before."""
        assert self.machine.committed == " ".join(self.committed)

    @invariant()
    def the_bounds_hold(self) -> None:
        """Attempts in all, attempts at once, sentences."""
        assert len(self.launches) <= POLICY.attempts_max
        assert len(self.running) <= POLICY.at_once_max
        assert len(self.committed) <= POLICY.sentences_max + 1

    @invariant()
    def what_runs_beside_another_was_bought(self) -> None:
        """Hedges and rescues; what takes the place of another is counted."""
        extra = max(0, len(self.launches) - 1)
        bought = self.budget.hedges + self.budget.rescues
        assert bought + self.budget.failovers + self.continued == extra
        assert self.budget.primaries == bool(self.launches)
        assert self.budget.level >= 0

    @invariant()
    def somebody_is_on_it(self) -> None:
        """Until it settles, an attempt runs or the machine wants to be woken; then neither."""
        if self.settled is not None:
            assert not self.running
            assert self.machine.deadline() is None
        elif self.launches:
            assert math.isfinite(self.due())

    @override
    def teardown(self) -> None:
        """Whatever happened, if all are silent from now on the step fails within the bound."""
        if self.settled or not self.launches:
            return
        gives_up = max(self.now, max(self.last_useful, self.drain) + POLICY.give_up_s)
        for _ in range(TICKS_MAX):
            self.now = max(self.now, self.due())
            self.feed(Drain(Mono(max(self.now, self.drain))))  # as an empty playout says it
            self.feed(Tick())
            if self.settled:
                assert self.settled.reason == "failed"
                assert self.now <= gives_up + 1e-9
                return
        raise AssertionError("nobody gives up")

    # -- the clerk -----------------------------------------------------------------------------

    def due(self) -> float:
        """The deadline, which there is."""
        due = self.machine.deadline()
        assert due is not None
        return due

    def report(self, fact: Text | ToolPart | Ended | Failed) -> None:
        """An attempt reports, if it was ever launched."""
        if fact.lane < len(self.launches):
            self.last_useful = self.now
            if isinstance(fact, Ended | Failed):
                self.running.discard(fact.lane)
            self.feed(fact)

    def feed(self, fact: Fact) -> None:
        """Feed *fact* and write down what comes of it."""
        silenced = self.settled is not None
        acts = self.machine.feed(fact, Mono(self.now))
        assert not (silenced and acts), "something came after the settlement"
        for act in acts:
            assert self.settled is None, "something came after the settlement"
            self.note(act, fact)

    def note_aside(self, act: Fill | Measured) -> None:
        """Judge what is told to others than endpoints."""
        if isinstance(act, Fill):
            assert act.waited_s > 0
            assert not self.committed, "somebody spoke already"
            self.fills += 1
            assert self.fills == 1
            return
        assert act.seconds >= 0
        assert act.times >= 1
        if act.what not in {Measure.GAP, Measure.SENTENCE}:
            assert act.lane not in self.timed, "an attempt's first token was booked twice"
            self.timed.add(act.lane)

    def note(self, act: Act, fact: Fact) -> None:
        """Judge one act."""
        match act:
            case Launch(lane, candidate, kind, committed):
                assert lane == len(self.launches)
                assert (kind is Kind.PRIMARY) == (lane == 0)
                assert 0 <= candidate < len(self.plan.candidates)
                self.continued += kind is Kind.CONTINUE
                assert committed in ("", self.machine.committed)
                self.launches.append(act)
                self.running.add(lane)
                said = [text for text in (self.heard, *self.committed) if text]
                self.gates.append(RepeatGate(said if lane else []))
            case Cancel(lane, _):
                assert lane in self.running, "what does not run was cancelled"
                self.running.remove(lane)
            case Elect(lane, instead_of):
                assert instead_of == self.leader != lane
                assert lane not in self.ousted
                self.ousted |= {i for i in range(len(self.launches)) if i != lane}
                self.leader = lane
            case Say(lane, sentence):
                assert lane == self.leader, "somebody spoke who does not lead"
                assert lane not in self.ousted
                assert not self.gates[lane].repeats(sentence), "the caller heard this before"
                self.committed.append(sentence)
            case Suspect(lane, fault, silent_s, chars_per_s):
                assert lane in self.running
                assert fault in (Fault.SILENT, Fault.STALLED)
                assert chars_per_s is not None or silent_s >= PLAN.gap_floor_s - 1e-9
            case Fill() | Measured():
                self.note_aside(act)
            case Settle(lane, reason, tool_calls):
                assert lane == self.leader
                assert not self.running, "an attempt was left running"
                if tool_calls:
                    assert isinstance(fact, Ended)
                    assert fact.lane == lane
                    assert reason == fact.reason
                self.settled = act


TestAnyStep = AnyStep.TestCase
