"""Every order of words, keys, lines, answers and silence after a call gave up."""

from collections.abc import Sequence
from dataclasses import dataclass

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from typing_extensions import override

from tests.core.calls import persona
from trunkline.core.call_words import (
    Act,
    AllHeard,
    CallerOnset,
    CallerPressed,
    CallerSaid,
    CallerUnheard,
    Consent,
    Fact,
    GiveUp,
    HangUp,
    Lost,
    PutThrough,
    RunTool,
    SayPrepared,
    Tick,
    ToolAnswered,
    VoiceLost,
)
from trunkline.core.last_resort import LINE_S_MAX, LastResort, LastResortPolicy
from trunkline.types import CallId, Mono, Sample, ToolResult

NUMBER = "+12025550100"
CONSENTS: Sequence[Consent] = ("not_asked", "asked", "granted", "refused")
LOSSES: Sequence[Lost] = ("model", "ears", "voice")
SHORTEST_S = 1.0


@dataclass
class Left:
    """What the caller left."""

    words: int = 0
    keys: int = 0
    unheard: int = 0


class AnyLastResort(RuleBasedStateMachine):
    """The machine, and a caller who does whatever callers do."""

    @initialize(
        lost=st.sampled_from(LOSSES),
        consent=st.sampled_from(CONSENTS),
        transfer=st.booleans(),
        message=st.booleans(),
    )
    def begin(self, lost: Lost, consent: Consent, transfer: bool, message: bool) -> None:
        """The call gives up."""
        self.policy = LastResortPolicy(NUMBER if transfer else "", message)
        self.machine = LastResort(
            CallId("c1"), persona(), self.policy, GiveUp(1, lost, consent), ""
        )
        self.now, self.open, self.consent = 0.0, 0, consent
        self.said: list[SayPrepared] = []
        self.saying: SayPrepared | None = None
        self.tool: RunTool | None = None
        self.kept = self.gone = self.unsaid = False
        self.end: HangUp | PutThrough | None = None
        self.left = Left()
        self.take(self.machine.begin(Mono(0.0)))

    def feed(self, fact: Fact) -> None:
        """Feed *fact*, and do what the machine wants."""
        self.take(self.machine.feed(fact, Mono(self.now)))

    def take(self, acts: Sequence[Act]) -> None:
        """What the shell would do."""
        assert not (acts and self.end), "nothing comes after the end"
        for act in acts:
            assert self.end is None
            match act:
                case SayPrepared():
                    assert self.saying is None, "one line at a time"
                    assert not self.gone, "nothing is said to nobody"
                    assert act.line != "taken" or self.kept, "only what was kept is confirmed"
                    self.said.append(act)
                    self.saying = act
                case RunTool():
                    assert self.policy.message
                    assert self.tool is None, "one message a call"
                    recorded = self.left.unheard and self.consent == "granted"
                    assert self.left.words or self.left.keys or recorded
                    assert ("[recording" in act.call.arguments) <= (self.consent == "granted")
                    self.tool = act
                case PutThrough(to, said):
                    assert to == "" or self.policy.transfer_to == to
                    assert said or self.unsaid
                    assert to or not said, "who is hung up on by the carrier hears why from it"
                    self.end = act
                case HangUp():
                    heard_last = self.said[-1].line if self.said else None
                    assert self.gone or heard_last in ("taken", "apology", None)
                    self.end = act
                case _:
                    raise AssertionError(f"{act} is not of the last resort")

    # -- time and lines ------------------------------------------------------------------------

    @rule(seconds=st.floats(0.01, 12.0))
    def time_passes(self, seconds: float) -> None:
        """Up to the next deadline at most."""
        due = self.machine.deadline()
        later = self.now + seconds
        self.now = later if due is None else min(later, max(due, self.now))
        if self.saying is not None and due is not None and self.now >= due:
            self.unsaid, self.saying = True, None
        self.feed(Tick())

    @precondition(lambda self: self.saying)
    @rule(lost=st.booleans())
    def line_ends(self, lost: bool) -> None:
        """It was heard, or no voice could say it."""
        if lost:
            self.unsaid = True
            self.feed(VoiceLost(2, ""))
        assert self.machine.awaits_playout
        self.saying = None
        self.feed(AllHeard(""))

    # -- the caller ----------------------------------------------------------------------------

    @precondition(lambda self: self.open < 2 and not self.gone)
    @rule()
    def onset(self) -> None:
        """The caller begins to speak."""
        self.open += 1
        self.feed(CallerOnset(Sample(int(self.now * 8_000)), ""))

    @precondition(lambda self: self.open)
    @rule(text=st.sampled_from(["", "this is ann"]))
    def said_it(self, text: str) -> None:
        """And ends."""
        self.open -= 1
        self.left.words += bool(text)
        self.feed(CallerSaid(text, "unclear"))

    @precondition(lambda self: self.open)
    @rule()
    def unheard(self) -> None:
        """Nobody understands it."""
        self.open -= 1
        self.left.unheard += 1
        self.feed(CallerUnheard())

    @precondition(lambda self: not self.gone)
    @rule(key=st.sampled_from("0123456789*#"))
    def press(self, key: str) -> None:
        """A key."""
        self.left.keys += key != "#"
        self.feed(CallerPressed(key))

    @precondition(lambda self: not self.gone)
    @rule()
    def leave(self) -> None:
        """The caller hangs up."""
        self.gone, self.saying = True, None
        self.take(self.machine.left(Mono(self.now)))

    @precondition(lambda self: self.tool is not None and not self.kept)
    @rule(ok=st.booleans())
    def tool_answers(self, ok: bool) -> None:
        """The message is kept, or not."""
        assert self.tool is not None
        self.kept = ok
        content = '{"ok": true}' if ok else '{"error": "disk"}'
        self.feed(ToolAnswered(self.tool.turn, self.tool.call, ToolResult(content)))

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def it_is_over_or_waits_for_a_time(self) -> None:
        """No state without an end."""
        assert (self.machine.deadline() is None) == (self.end is not None)

    @override
    def teardown(self) -> None:
        """Silence: it ends within a bound, and not without a word unless nobody is there."""
        for _ in range(12):
            due = self.machine.deadline()
            if due is None:
                break
            assert due - self.now <= max(LINE_S_MAX, self.policy.message_max_s)
            self.time_passes(1_000.0)
            if self.saying is not None:
                self.line_ends(lost=False)
        assert self.end is not None
        spoken = self.said or self.unsaid or isinstance(self.end, PutThrough)
        assert spoken or self.gone or self.machine.way == "apology"


TestAnyLastResort = AnyLastResort.TestCase
