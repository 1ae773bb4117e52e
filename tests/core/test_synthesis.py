"""The rules of a reply's speech over several synthesisers, one by one."""

import pytest

from trunkline.core.synthesis import Synthesis
from trunkline.core.synthesis_words import (
    Act,
    Audio,
    Cancel,
    Closed,
    Drain,
    Elect,
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
from trunkline.core.tempo import Tempo
from trunkline.errors import Fault
from trunkline.types import Mono, SpokenWord

POLICY = SynthesisPolicy()
TEXT = "Please bring your card."
MARKS = (
    SpokenWord(0, 6, 0),
    SpokenWord(7, 12, 4000),
    SpokenWord(13, 17, 8000),
    SpokenWord(18, 23, 10_000),
)


def told(act: Act) -> str:  # noqa: PLR0911  # an act each
    """*act* as a line."""
    match act:
        case Launch(lane, candidate, kind, phrase, start):
            return f"{lane}: {kind} {candidate} from {phrase}.{start}"
        case Release(lane, phrase, start, end, words, complete):
            return f"{lane}: say {phrase} {start}-{end} ({len(words)}){'.' * complete}"
        case Elect(lane, instead_of, phrase, at, marked):
            return f"{lane}: elect for {instead_of} at {phrase}.{at}{'' if marked else '?'}"
        case Suspect(lane, fault, silent_s):
            return f"{lane}: {fault} {silent_s:.2f}"
        case Reject(lane, fault, _):
            return f"{lane}: reject {fault}"
        case Cancel(lane, _):
            return f"{lane}: cancel"
        case Lost(phrase, at):
            return f"lost {phrase}.{at}"
        case Settle(lane, failed):
            return f"{'failed' if failed else 'done'} {lane}"


class Purse:
    """Grants what it holds."""

    def __init__(self, hedges: int, rescues: int) -> None:
        self.hedges, self.rescues = hedges, rescues

    def primary(self) -> None:
        """Earns nothing here."""

    def failover(self) -> None:
        """Is free."""

    def hedge(self) -> bool:
        """One less."""
        self.hedges -= 1
        return self.hedges >= 0

    def rescue(self) -> bool:
        """One less."""
        self.rescues -= 1
        return self.rescues >= 0


class Speech:
    """One reply over *candidates* synthesisers."""

    def __init__(
        self, candidates: int = 2, policy: SynthesisPolicy = POLICY, purse: Purse | None = None
    ) -> None:
        self.machine = Synthesis(policy, [Tempo() for _ in range(candidates)], purse)
        self.now = 0.0

    def feed(self, fact: Fact, at: float | None = None) -> list[str]:
        """Feed *fact*, now or later."""
        self.now = self.now if at is None else at
        return [told(act) for act in self.machine.feed(fact, Mono(self.now))]

    def says(
        self, lane: int, upto: int, *, before: int = 0, marks: bool = True, last: bool = False
    ) -> list[str]:
        """Lane *lane* makes the first phrase's audio from *before* up to sample *upto*."""
        words = [word for word in MARKS if before <= word.at < upto] if marks else []
        return self.feed(Audio(lane, 0, upto - before, words, (), last=last))

    def tick(self) -> list[str]:
        """At the deadline."""
        due = self.machine.deadline()
        assert due is not None
        return self.feed(Tick(), max(self.now, due))


def speech(candidates: int = 2) -> Speech:
    """A reply whose first phrase was given."""
    reply = Speech(candidates)
    assert reply.feed(Given(TEXT)) == ["0: primary 0 from 0.0"]
    return reply


def test_nothing_is_asked_of_anybody_while_nothing_is_to_be_said() -> None:
    """An empty reply is done."""
    reply = Speech()
    assert reply.machine.deadline() is None
    assert reply.feed(Tick()) == []
    assert reply.feed(NoMore()) == ["done None"]
    assert reply.feed(Given(TEXT)) == []


def test_words_are_released_as_they_become_whole() -> None:
    """The end of the phrase comes with its last piece."""
    reply = speech()
    assert reply.says(0, 4000) == []
    assert reply.says(0, 9000, before=4000) == [
        "0: elect for None at 0.0",
        "0: say 0 0-8000 (2)",
    ]
    assert reply.says(0, 14_000, before=9000, last=True) == ["0: say 0 8000-14000 (2)."]
    assert reply.machine.deadline() is None
    assert reply.feed(NoMore()) == ["done 0"]


@pytest.mark.parametrize(("drain", "launched_at"), [(0.0, 1.25), (1.5, 1.25), (4.0, 3.6)])
def test_a_stall_is_waited_for_while_audio_is_queued(drain: float, launched_at: float) -> None:
    """But for the backup's recovery; never less than the gap floor."""
    reply = speech()
    reply.now = 1.0
    reply.says(0, 9000)
    reply.feed(Drain(Mono(drain)))
    assert reply.tick() == [f"0: stalled {launched_at - 1:.2f}", "1: rescue 1 from 0.13"]
    assert reply.now == pytest.approx(launched_at)
    assert reply.tick() == ["lost 0.13", "0: cancel", "1: cancel", "failed 0"]


def test_who_comes_back_first_goes_on() -> None:
    """The rescuer is cancelled: there is no seam."""
    reply = speech()
    reply.says(0, 9000)
    reply.tick()
    assert reply.says(0, 11_000, before=9000) == ["1: cancel", "0: say 0 8000-10000 (1)"]


def test_a_drip_does_not_come_back() -> None:
    """Its words wait, until the other one has failed."""
    reply = speech()
    reply.says(0, 1000)
    for step in range(1, 5):
        reply.now = step * 0.2
        reply.says(0, 1000 + step * 600, before=400 + step * 600)
        if (due := reply.machine.deadline()) is not None and due <= reply.now:
            break
    assert reply.tick() == ["0: stalled 0.00", "1: hedge 1 from 0.0"]
    assert reply.says(0, 9000, before=3000) == []
    assert reply.feed(Failed(1, Fault.CUT)) == [
        "0: elect for None at 0.0",
        "0: say 0 0-8000 (2)",
    ]


def test_without_marks_the_word_in_progress_counts_as_said() -> None:
    """The seam tells where it is; the marks do not."""
    reply = speech()
    assert reply.says(0, 5000, marks=False) == [
        "0: elect for None at 0.0",
        "0: say 0 0-5000 (0)",
    ]
    assert reply.feed(Failed(0, Fault.CUT)) == ["1: rescue 1 from 0.13"]
    words = [SpokenWord(0, 4, 0), SpokenWord(5, 10, 3000)]
    assert reply.feed(Audio(1, 0, 6000, words, (), last=True)) == [
        "1: elect for 0 at 0.13?",
        "1: say 0 0-6000 (2).",
    ]


@pytest.mark.parametrize("no_more", [True, False])
def test_without_marks_all_may_have_been_said(no_more: bool) -> None:
    """The phrase is over then; what its synthesiser still says of it is too late."""
    reply = speech()
    reply.says(0, 13_500, marks=False)
    if no_more:
        reply.feed(NoMore())
    ended = ["0: cancel", "done 0"][1:] if no_more else []
    assert reply.tick() == ["0: say 0 13500-13500 (0).", *ended]
    assert reply.says(0, 15_000, before=13_500, marks=False, last=True) == []
    assert reply.machine.deadline() is None


def test_a_failure_after_all_was_said_is_none_for_the_caller() -> None:
    """The next phrase is given to somebody else."""
    reply = speech()
    reply.says(0, 13_500, marks=False)
    assert reply.feed(Failed(0, Fault.CUT)) == ["0: say 0 13500-13500 (0)."]
    assert reply.feed(Given("Bye.")) == ["1: rescue 1 from 1.0"]


def test_a_stream_that_ends_between_phrases_is_opened_anew() -> None:
    """With the same synthesiser; its end was no failure."""
    reply = speech()
    reply.says(0, 14_000, last=True)
    assert reply.feed(Closed(0)) == []
    assert reply.feed(Given("Bye.")) == ["1: primary 0 from 1.0"]
    assert reply.feed(Given("Bye.")) == []
    assert reply.feed(Closed(1)) == ["1: reject cut", "2: rescue 1 from 1.0"]


def test_a_synthesiser_that_waits_is_not_late() -> None:
    """Its clock begins with the next phrase."""
    reply = speech()
    reply.says(0, 14_000, last=True)
    reply.feed(Given("Bye."), 60.0)
    assert reply.machine.deadline() == 60.5


def test_who_refuses_is_not_asked_again() -> None:
    """When all have, the reply is lost."""
    reply = speech()
    assert reply.feed(Failed(0, Fault.REFUSED)) == ["1: failover 1 from 0.0"]
    assert reply.feed(Failed(1, Fault.REFUSED)) == ["lost 0.0", "failed None"]


def test_a_hedge_onto_oneself_that_is_refused_leaves_the_first_at_work() -> None:
    """Nobody else can be asked; it is waited for."""
    reply = speech(candidates=1)
    assert reply.tick() == ["0: silent 0.50", "1: hedge 0 from 0.0"]
    assert reply.feed(Failed(1, Fault.REFUSED)) == []
    reply.says(0, 9000)
    assert reply.machine.deadline() == 4.5


def test_attempts_are_bounded() -> None:
    """Each after a pause, once all had their turn."""
    reply = speech(candidates=1)
    for lane in range(POLICY.attempts_max - 1):
        assert reply.feed(Failed(lane, Fault.CUT)) == []
        assert reply.tick() == [f"{lane + 1}: failover 0 from 0.0"]
    assert reply.feed(Failed(POLICY.attempts_max - 1, Fault.CUT)) == ["lost 0.0", "failed None"]


def test_a_pause_is_not_begun_anew_by_the_next_failure() -> None:
    """Two that fail one after the other are one outage."""
    reply = speech()
    reply.tick()
    assert reply.feed(Failed(1, Fault.CUT)) == []
    assert reply.feed(Failed(0, Fault.CUT), 0.6) == []
    assert reply.tick() == ["2: failover 0 from 0.0"]
    assert reply.now == pytest.approx(0.8)


def test_a_failure_beside_one_that_is_well_changes_nothing() -> None:
    """The rescuer is at work already."""
    reply = speech()
    reply.tick()
    assert reply.feed(Failed(0, Fault.CUT)) == []
    assert reply.says(1, 9000)[0] == "1: elect for None at 0.0"


@pytest.mark.parametrize("phrase", [-1, 7])
def test_audio_of_a_phrase_that_was_not_asked_for_is_dropped(phrase: int) -> None:
    """A synthesiser that counts wrongly."""
    assert speech().feed(Audio(0, phrase, 8000, (), (), last=True)) == []


def test_what_the_budget_denies_is_asked_for_again_as_a_rescue() -> None:
    """Denied again, the late voice gives way to another, which is free."""
    purse = Purse(0, 1)
    reply = Speech(purse=purse)
    reply.feed(Given(TEXT))
    assert reply.tick() == []
    assert reply.tick() == ["0: silent 1.20", "1: hedge 1 from 0.0"]
    assert (purse.hedges, purse.rescues) == (-1, 0)
    reply = Speech(purse=Purse(0, 0))
    reply.feed(Given(TEXT))
    assert reply.tick() == []
    assert reply.tick() == ["0: silent 1.20", "0: cancel", "1: failover 1 from 0.0"]
