"""Simulated recognisers and synthesisers: what needs no decision is what the machine decides."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import pytest

from trunkline.core.attempt_words import AttemptPolicy, Kind
from trunkline.core.routing import CallState, Known, Router, RoutingPolicy
from trunkline.core.speech_plan import RECOGNISER, SYNTHESISER
from trunkline.core.tempo import Tempo
from trunkline.errors import Fault
from trunkline.testing.fault_plan import FaultPlan, parse_plan
from trunkline.testing.faults import FaultKind, FaultScript
from trunkline.testing.simulation.answers import answer_of
from trunkline.testing.simulation.ears import Ear
from trunkline.testing.simulation.figures import Figures, figures
from trunkline.testing.simulation.judge import Judge
from trunkline.testing.simulation.mouths import Mouth
from trunkline.testing.simulation.policies import POLICIES
from trunkline.testing.simulation.shard import Order, Shard, Tally
from trunkline.testing.simulation.speech import Course, Learning, Speech, Try
from trunkline.testing.simulation.worlds import parse_world
from trunkline.types import STT, TTS, StageName

ANSWER = answer_of([6, 9], 3)
WELL = Course(0.25)
LATE = Course(1.9)
GONE = Course(math.inf, plain=False)
BOTH = {STT: [0, 1], TTS: [0, 1]}
SMALL = parse_world(
    """\
version: 1
horizon_s: 60
endpoints:
  a: {law: managed, troubles: everyday, failure_domain: x}
  b: {law: managed_twin, troubles: everyday, failure_domain: y}
  ear: {stage: stt, law: managed_recogniser, troubles: everyday_speech, failure_domain: x}
  ear_b: {stage: stt, law: managed_recogniser_twin, failure_domain: y}
  voice: {stage: tts, law: managed_voice, troubles: stalling_speech, failure_domain: x}
  voice_b: {stage: tts, law: managed_voice_twin, failure_domain: y}
talk: {tool_share: 0.2}
""",
    "small.yaml",
)


@dataclass
class Worker:
    """Attempts go as *courses* says, by endpoint; later sentences begin after 0.2 s."""

    courses: Sequence[Course]
    speech: Speech = field(default_factory=lambda: learning(STT))
    tempos: dict[int, Tempo] = field(default_factory=dict)
    tries: list[Try] = field(default_factory=list)

    def attempt(self, lot: int, endpoint: int, kind: Kind, now: float) -> Try:
        """The next one."""
        self.tries.append(Try(endpoint, kind, now, replace(self.courses[endpoint])))
        return self.tries[-1]

    def begins_s(self, it: Try, lot: int, sentence: int) -> float:
        """As the course has it, then 0.2 s."""
        return 0.2 if sentence else it.course.first_s


def learning(stage: StageName = STT) -> Speech:
    """Our own policy, before it has measured anything."""
    known = Known("", RECOGNISER if stage is STT else SYNTHESISER)
    router = Router(RoutingPolicy(), {"one": known, "other": known})
    calls: dict[int, CallState] = {}
    return Learning(BOTH, router, ["one", "other"], lambda c: calls.setdefault(c, router.call(0.5)))


def listened(worker: Worker, *, plainly: bool) -> Ear:
    """The caller speaks from second 10 to 12."""
    ear = Ear(worker, 0, 0, 10.0, 12.0)
    due = ear.begin(plainly=plainly)
    while due < math.inf:
        due = ear.advance(due)
    return ear


def spoken(worker: Worker, *, said_at: Sequence[float] = (5.0, 5.3)) -> Mouth:
    """Both sentences of the answer, given at these seconds."""
    judge = Judge(ANSWER, 1)
    mouth = Mouth(worker, 0, 0, ANSWER, judge, said_at[0])
    mouth.begin()
    given = list(enumerate(said_at))
    while given or mouth.due() < math.inf:
        if given and given[0][1] <= mouth.due():
            place, at = given.pop(0)
            mouth.say(place, at)
            if not given:
                mouth.finish(at)
        else:
            mouth.advance(mouth.due())
    assert judge.wrong == []
    return mouth


@pytest.mark.parametrize("policy", ["ours", "theirs"])
def test_an_utterance_that_goes_well_is_heard_when_the_machine_hears_it(policy: str) -> None:
    """The same second, by the same recogniser, and nothing else is asked."""
    ours = policy == "ours"
    plain, whole = (
        Worker([WELL, LATE], learning() if ours else Speech(BOTH, 60.0)) for _ in range(2)
    )
    short, full = listened(plain, plainly=True), listened(whole, plainly=False)
    assert short.plain
    assert not full.plain
    assert short.heard_at == pytest.approx(full.heard_at)
    assert short.heard_at == pytest.approx(12.25)
    assert [it.endpoint for it in plain.tries] == [it.endpoint for it in whole.tries] == [0]


def test_a_late_final_is_overtaken_by_another_recogniser() -> None:
    """It gets the whole utterance again; the caller waits a second less."""
    worker = Worker([LATE, WELL])
    ear = listened(worker, plainly=True)
    assert not ear.lost
    assert 12.5 < ear.heard_at < 13.5
    assert [it.endpoint for it in worker.tries] == [0, 1]
    assert worker.tries[0].fault is Fault.STALLED


def test_a_recogniser_that_dies_while_the_caller_speaks_is_replaced_then() -> None:
    """At the end of speech the other one has caught up."""
    dies = Course(0.25, plain=False, place=0.4, fails=Fault.CUT)
    worker = Worker([dies, WELL])
    ear = listened(worker, plainly=True)
    assert worker.tries[1].asked < 12.0
    assert ear.heard_at == pytest.approx(12.25)


def test_a_dead_recogniser_is_found_out_by_its_missing_interims() -> None:
    """Before the caller has finished; others wait until their deadline, and lose the caller."""
    ours, theirs = Worker([GONE, WELL]), Worker([GONE, GONE], Speech(BOTH, 60.0))
    assert listened(ours, plainly=True).heard_at == pytest.approx(12.25)
    lost = listened(theirs, plainly=True)
    assert lost.lost
    assert lost.heard_at > 60


def test_a_reply_that_goes_well_is_heard_when_the_machine_says_it() -> None:
    """The first word when the voice begins, the second sentence behind the first."""
    foreseen = Mouth(Worker([WELL, LATE], learning(TTS)), 0, 0, ANSWER, Judge(ANSWER, 1), 5.0)
    times = foreseen.plain()
    assert times == [0.25, 0.2]
    mouth = spoken(Worker([WELL, LATE], learning(TTS)))
    assert mouth.begins_at == pytest.approx(5.0 + times[0])
    assert mouth.drain == pytest.approx(mouth.begins_at + sum(ANSWER.sounds_s), abs=0.01)
    assert mouth.gap_s == pytest.approx(0.0)
    assert not mouth.lost


@pytest.mark.parametrize(
    "sick",
    [
        GONE,
        LATE,
        Course(0.25, plain=False, words=0, fails=Fault.UNAVAILABLE),
        Course(0.25, plain=False, place=0.5, fails=Fault.CUT),
        Course(0.25, plain=False, place=0.5, pause_s=math.inf),
        Course(0.25, plain=False, place=0.2, pause_s=9.0),
        Course(0.25, plain=False, place=0.5, drip_s=1.0),
        Course(0.25, plain=False, empty=True),
    ],
)
def test_a_sick_voice_is_replaced_between_two_words(sick: Course) -> None:
    """Every word is heard, once, in order; silence is shorter than a second and a half."""
    worker = Worker([sick, WELL], learning(TTS))
    mouth = spoken(worker)
    assert not mouth.lost
    assert worker.tries[-1].endpoint == 1
    assert mouth.begins_at - 5.0 < 1.5
    assert mouth.gap_s < 1.5


def test_what_nobody_can_say_is_lost_and_said_to_be() -> None:
    """The reply is over then."""
    mouth = spoken(Worker([GONE, GONE], learning(TTS)))
    assert mouth.lost
    assert mouth.begins_at == -math.inf


@pytest.mark.parametrize(
    ("script", "course"),
    [
        (FaultScript(FaultKind.CUT, after_tokens=3), Course(0.2, False, words=3, fails=Fault.CUT)),
        (FaultScript(FaultKind.STALL, after_s=2.0), Course(0.2, False, words=5, pause_s=math.inf)),
        (FaultScript(FaultKind.HANG, hold_s=2.0), Course(2.2, False, words=0)),
        (FaultScript(FaultKind.REFUSE), Course(0.0, False, words=0, fails=Fault.UNREACHABLE)),
        (
            FaultScript(FaultKind.STATUS, status=429),
            Course(0.2, False, words=0, fails=Fault.THROTTLED),
        ),
        (FaultScript(FaultKind.DRIP, gap_s=0.7), Course(0.2, False, words=0, drip_s=0.7)),
        (FaultScript(FaultKind.EMPTY), Course(0.2, False, words=0, empty=True)),
    ],
)
def test_a_fault_script_strikes_speech_too(script: FaultScript, course: Course) -> None:
    """A message of the stream is a word."""
    struck = Course(0.2, drip_s=9.0, place=0.9)
    struck.suffer(script)
    struck.place = 0.0
    assert struck == course


# -- whole workers ---------------------------------------------------------------------------------


def simulated(policy: str = "adaptive", faults: FaultPlan | None = None) -> tuple[Tally, Figures]:
    """One worker with 30 calls of 4 turns."""
    tally = Shard(Order(SMALL, faults, policy, AttemptPolicy(), 1, 0, 30, 4)).run()
    return tally, figures(policy, SMALL, [tally])


@pytest.mark.parametrize("policy", POLICIES)
def test_every_turn_of_every_policy_is_sound_with_speech(policy: str) -> None:
    """120 turns, of which a voice in five stalls."""
    tally, found = simulated(policy)
    assert tally.turns == 120
    assert tally.wrong == []
    assert tally.requests["speech"] >= 240 - 4 * found.broken * 120
    assert found.speech_extra > 0 or policy == "clairvoyant"


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.FREEZE])
@pytest.mark.parametrize("stage", ["ear", "voice"])
def test_any_fault_of_the_first_speech_endpoint_is_survived(stage: str, kind: FaultKind) -> None:
    """With a healthy backup everything that is said is heard, in time."""
    faults = parse_plan(f"version: 1\nfaults: [{{on: {{endpoint: {stage}}}, what: {kind.value}}}]")
    tally, found = simulated(faults=faults)
    assert tally.wrong == []
    assert found.broken == 0
    assert max(tally.dead_s) < 4.0
    assert found.speech_extra > 0


def test_a_caller_whom_no_recogniser_hears_is_told_so() -> None:
    """Every turn is broken, and ends."""
    faults = parse_plan("version: 1\nfaults: [{on: {stage: stt}, what: hang}]")
    tally, found = simulated(faults=faults)
    assert tally.wrong == []
    assert found.broken == 1
