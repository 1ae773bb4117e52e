"""One step of a reply in words: who hears what from whom, and when; the acts come back as text."""

from collections.abc import Sequence

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
    Launch,
    Say,
    Settle,
    Suspect,
    Text,
    Tick,
    ToolPart,
)
from trunkline.core.attempts import Attempts
from trunkline.errors import Fault
from trunkline.types import Mono, ToolCallDelta

POLICY = AttemptPolicy(
    hedge_after_s=0.6,
    gap_floor_s=0.35,
    gap_floor_empty_s=0.5,
    recovery_q95_s=0.6,
    flush_s=0.08,
    retry_pause_s=0.4,
    give_up_s=8.0,
    attempts_max=5,
    at_once_max=3,
    sentences_max=60,
    tool_chars_max=64,
)
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
        case Suspect(lane, fault, silent_s):
            return f"suspect {lane}: {fault.value} {silent_s:.2f}"
        case Elect(lane, None):
            return f"elect {lane}"
        case Elect(lane, instead_of):
            return f"elect {lane} over {instead_of}"
        case Settle(lane, reason, tool_calls):
            calls = "".join(f" {call.name}({call.arguments})" for call in tool_calls)
            return f"settle {lane}: {reason}{calls}"


class Step:
    """One step on *candidates* endpoints, begun at second 0."""

    def __init__(
        self, candidates: int = 2, *, heard: str = "", policy: AttemptPolicy = POLICY
    ) -> None:
        self.machine = Attempts(policy)
        self.now = 0.0
        self.begun = self.feed(Begin(candidates, heard))

    def feed(self, fact: Fact, *, at: float | None = None) -> list[str]:
        """Feed *fact* now, or at second *at*."""
        self.now = self.now if at is None else at
        return _lines(self.machine.feed(fact, Mono(self.now)))

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


def _lines(acts: Sequence[Act]) -> list[str]:
    return [told(act) for act in acts]
