"""One step of a reply in words: who hears what from whom, and when; the acts come back as text."""

from trunkline.core.attempt_words import (
    Act,
    AttemptPolicy,
    Begin,
    Cancel,
    Drain,
    Elect,
    Ended,
    Fact,
    Failed,
    Fill,
    Launch,
    Measured,
    Plan,
    Say,
    Settle,
    Suspect,
    Text,
    Tick,
    ToolPart,
)
from trunkline.core.attempts import Attempts
from trunkline.core.budget import Budget, BudgetPolicy, Purse
from trunkline.errors import Fault
from trunkline.types import Mono, ToolCallDelta

POLICY = AttemptPolicy(
    flush_s=0.08,
    look_ahead_s=1.0,
    retry_pause_s=0.4,
    give_up_s=8.0,
    attempts_max=5,
    at_once_max=3,
    sentences_max=60,
    tool_chars_max=64,
)
PLAN = Plan(
    candidates=("a", "b"),
    hedge_after_s=0.6,
    escalate_after_s=0.6,
    late_s=2.2,
    recovery_q95_s=0.6,
    gap_floor_s=0.35,
    gap_floor_empty_s=0.5,
)
RICH = BudgetPolicy(burst=1000.0)
POOR = BudgetPolicy(burst=0.0)
TICKS_MAX = 50
"""More wake-ups than this for one deadline or one stretch of silence are a busy loop."""


def told(act: Act) -> str:  # noqa: PLR0911  # one return an act
    """*act* as one line."""
    match act:
        case Launch(lane, candidate, kind, committed):
            after = f" after {committed!r}" if committed else ""
            return f"launch {lane} on {candidate}: {kind.value}{after}"
        case Cancel(lane, _):
            return f"cancel {lane}"
        case Say(lane, sentence):
            return f"say {lane}: {sentence}"
        case Suspect(lane, fault, silent_s, None):
            return f"suspect {lane}: {fault.value} {silent_s:.2f}"
        case Suspect(lane, fault, _, chars_per_s):
            return f"suspect {lane}: {fault.value} at {chars_per_s:.0f} chars/s"
        case Measured() | Fill():
            return noted(act)
        case Elect(lane, None):
            return f"elect {lane}"
        case Elect(lane, instead_of):
            return f"elect {lane} over {instead_of}"
        case Settle(lane, reason, tool_calls):
            calls = "".join(f" {call.name}({call.arguments})" for call in tool_calls)
            return f"settle {lane}: {reason}{calls}"


def noted(act: Measured | Fill) -> str:
    """What is told to others than endpoints, as one line."""
    if isinstance(act, Fill):
        return f"fill after {act.waited_s:.2f}"
    return f"measured {act.lane}: {act.times} x {act.what.value} {act.seconds:.2f}"


class Step:
    """One step on *candidates* endpoints, begun at second 0.

    What the machine measures, and when it would fill a silence, is kept apart, in `measured` and
    `fills`: the acts are what happens between endpoints.
    """

    def __init__(
        self,
        candidates: int | str = 2,
        *,
        heard: str = "",
        language: str = "en",
        policy: AttemptPolicy = POLICY,
        plan: Plan = PLAN,
        budget: BudgetPolicy = RICH,
    ) -> None:
        names = "abcdef"[:candidates] if isinstance(candidates, int) else candidates
        self.budget = Budget(budget)
        purse = Purse(self.budget)
        self.machine = Attempts(policy, plan._replace(candidates=tuple(names)), purse)
        self.now = 0.0
        self.measured: list[str] = []
        self.fills: list[str] = []
        self.begun = self.feed(Begin(heard, language))

    def feed(self, fact: Fact, *, at: float | None = None) -> list[str]:
        """Feed *fact* now, or at second *at*."""
        self.now = self.now if at is None else at
        acts = self.machine.feed(fact, Mono(self.now))
        self.measured += [told(act) for act in acts if isinstance(act, Measured)]
        self.fills += [told(act) for act in acts if isinstance(act, Fill)]
        return [told(act) for act in acts if not isinstance(act, Measured | Fill)]

    def hear(self, lane: int, text: str, *, at: float | None = None) -> list[str]:
        """Attempt *lane* says *text*."""
        return self.feed(Text(lane, text), at=at)

    def propose(
        self, lane: int, name: str, arguments: str, *, index: int = 0, at: float | None = None
    ) -> list[str]:
        """Attempt *lane* says a part of a tool call."""
        name_once = f"id_{name}" if name else ""
        return self.feed(ToolPart(lane, ToolCallDelta(index, name_once, name, arguments)), at=at)

    def end(self, lane: int, reason: str = "stop", *, at: float | None = None) -> list[str]:
        """Attempt *lane* says that it is done."""
        return self.feed(Ended(lane, reason), at=at)

    def fail(self, lane: int, fault: Fault = Fault.CUT, *, at: float | None = None) -> list[str]:
        """Attempt *lane* fails."""
        return self.feed(Failed(lane, fault, "as told"), at=at)

    def queued_until(self, at: float) -> None:
        """The caller has something to hear until second *at*."""
        assert self.feed(Drain(Mono(at))) == []

    def wait(self, until: float) -> list[str]:
        """Let time pass to second *until*, waking the machine whenever it asks; `time: act`."""
        acts: list[str] = []
        for _ in range(TICKS_MAX):
            due = self.machine.deadline()
            if due is None or due > until + 1e-9:
                self.now = until
                return acts
            self.now = max(self.now, due)
            acts += [f"{self.now:.2f} {act}" for act in self.feed(Tick())]
        raise AssertionError(f"still busy at {self.now} s after {TICKS_MAX} wake-ups")


def speaking(*, candidates: int = 2) -> Step:
    """A step whose first attempt leads with `One.` at second 1; nothing is queued."""
    step = Step(candidates)
    step.hear(0, "One. ", at=0.5)
    step.now = 1.0
    step.hear(0, "And", at=1.0)
    return step
