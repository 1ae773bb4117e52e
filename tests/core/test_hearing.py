"""The rules of an utterance over several recognisers, one by one."""

import pytest

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
LIVE = Candidate(interims=True)
MUTE = Candidate()
KNOWN = Candidate(interims=True)


def told(act: Act) -> str:
    """*act* as a line."""
    line = ""
    match act:
        case Launch(lane, candidate, kind):
            line = f"{lane}: {kind} {candidate}"
        case Tell(text):
            line = f"so far {text}"
        case Suspect(lane, fault, silent_s):
            line = f"{lane}: {fault} {silent_s:.2f}"
        case Doubt(lane):
            line = f"{lane}: doubt"
        case Cancel(lane, _):
            line = f"{lane}: cancel"
        case Settle(lane, text):
            line = f"{lane}: {text!r} it is"
    return line


class Refuses:
    """An empty purse."""

    def primary(self) -> None:
        """Earns nothing here."""

    def failover(self) -> None:
        """Is free."""

    def rescue(self) -> bool:
        """Nothing is left."""
        return False


class Utterance:
    """One, whose caller speaks from second 0 on without a pause."""

    def __init__(
        self, *candidates: Candidate, purse: Refuses | None = None, certain: bool = False
    ) -> None:
        self.machine = Hearing(POLICY, candidates, purse)
        self.now, self.over, self.certain = 0.0, False, certain
        assert [told(act) for act in self.machine.begin(Mono(0.0))] == ["0: primary 0"]

    def feed(self, fact: Fact, at: float | None = None) -> list[str]:
        """Feed *fact*, now or later."""
        self.now = self.now if at is None else at
        if not self.over:
            certain_s = self.now if self.certain else 0.0
            self.machine.feed(Voiced(self.now, certain_s), Mono(self.now))
        self.over |= isinstance(fact, SpeechOver)
        return [told(act) for act in self.machine.feed(fact, Mono(self.now))]

    def tick(self) -> list[str]:
        """At the deadline."""
        due = self.machine.deadline()
        assert due is not None
        return self.feed(Tick(), max(self.now, due))


def test_a_final_in_time_is_all_that_is_needed() -> None:
    """Its interims are told."""
    it = Utterance(LIVE, LIVE)
    assert it.feed(Interim(0, "good"), 0.5) == ["so far good"]
    assert it.feed(SpeechOver(), 1.0) == []
    assert it.feed(SpeechOver()) == []
    assert it.feed(Final(0, "good day"), 1.2) == ["0: 'good day' it is"]
    assert it.machine.deadline() is None
    assert it.feed(Tick()) == []


def test_speech_without_an_interim_tells_of_a_dead_recogniser() -> None:
    """If it is known to give them; the first final with words wins."""
    it = Utterance(LIVE, LIVE)
    assert it.tick() == ["0: silent 0.90", "1: rescue 1"]
    assert it.now == pytest.approx(0.9)
    assert it.feed(Interim(1, "i"), 1.2) == ["so far i"]
    assert it.feed(Interim(0, "i would"), 1.3) == ["so far i would"]
    assert it.feed(Interim(1, "i would"), 1.4) == []  # one voice at a time
    it.feed(SpeechOver(), 1.5)
    assert it.feed(Final(1, "i would"), 1.6) == ["0: cancel", "1: 'i would' it is"]


def test_an_interim_without_words_is_no_sign_of_hearing() -> None:
    """The socket is alive, the recogniser is not."""
    it = Utterance(LIVE, LIVE)
    assert it.feed(Interim(0, " "), 0.5) == []
    assert it.tick()[0] == "0: silent 0.90"


def test_a_pause_of_the_caller_is_no_silence_of_the_recogniser() -> None:
    """Only speech counts."""
    it = Utterance(LIVE, LIVE)
    it.machine.feed(Voiced(0.3), Mono(1.0))
    assert it.machine.deadline() == pytest.approx(1.6)
    it.machine.feed(Voiced(0.89), Mono(1.6))
    assert it.machine.deadline() == pytest.approx(1.62)
    assert list(it.machine.feed(Tick(), Mono(1.6))) == []


def test_a_recogniser_that_gives_interims_shows_it_by_the_first() -> None:
    """From then on it is late without them."""
    it = Utterance(MUTE, MUTE)
    assert it.machine.deadline() is None
    it.feed(Interim(0, "i"), 0.4)
    assert it.tick() == ["0: stalled 0.90", "1: rescue 1"]


def test_a_final_that_does_not_come_is_asked_of_somebody_else() -> None:
    """0.7 s after the end of speech; who replays it has a quarter of its length more."""
    it = Utterance(MUTE, MUTE, MUTE)
    it.feed(SpeechOver(), 2.0)
    assert it.tick() == ["0: silent 2.70", "1: rescue 1"]
    assert it.tick() == ["1: silent 1.20", "2: rescue 2"]
    assert it.tick() == ["0: cancel", "1: cancel", "2: cancel", "None: '' it is"]
    assert it.now == pytest.approx(3.9 + 0.5 + 3.0)


def test_a_second_connection_to_the_same_recogniser_waits_longer() -> None:
    """It loads it twice."""
    it = Utterance(MUTE)
    it.feed(SpeechOver(), 2.0)
    assert it.tick() == ["0: silent 3.40", "1: rescue 0"]
    assert it.tick() == ["0: cancel", "1: cancel", "None: '' it is"]


def test_an_error_moves_on_at_once() -> None:
    """One attempt is kept for the end of speech."""
    it = Utterance(MUTE, MUTE)
    assert it.feed(Failed(0, Fault.CUT), 0.2) == ["1: failover 1"]
    assert it.feed(Failed(1, Fault.CUT), 0.3) == ["2: failover 0"]
    assert it.feed(Failed(2, Fault.CUT), 0.4) == []
    assert it.machine.deadline() is None
    assert it.feed(SpeechOver(), 2.0) == ["3: failover 1"]
    assert it.feed(Failed(3, Fault.CUT)) == ["None: '' it is"]


def test_who_refuses_is_not_asked_again() -> None:
    """The caller is told once they have finished."""
    it = Utterance(MUTE, MUTE)
    assert it.feed(Failed(0, Fault.REFUSED)) == ["1: failover 1"]
    assert it.feed(Failed(1, Fault.REFUSED)) == []
    assert it.feed(SpeechOver(), 1.0) == ["None: '' it is"]


def test_a_failure_beside_one_that_is_well_changes_nothing() -> None:
    """It is at work already."""
    it = Utterance(LIVE, LIVE)
    it.tick()
    assert it.feed(Failed(0, Fault.CUT)) == []


def test_an_empty_final_is_believed() -> None:
    """Once; and always if hardly anything was said."""
    it = Utterance(MUTE, MUTE)
    it.feed(SpeechOver(), 2.0)
    assert it.feed(Final(0, "")) == ["0: '' it is"]
    it = Utterance(Candidate(doubtful=True), MUTE)
    it.feed(SpeechOver(), 0.4)
    assert it.feed(Final(0, " ")) == ["0: '' it is"]
    it = Utterance(Candidate(doubtful=True))
    it.feed(SpeechOver(), 2.0)
    assert it.feed(Final(0, "")) == ["0: '' it is"]  # nobody else can be asked


@pytest.mark.parametrize("second", ["words", "", None, "late"])
def test_the_second_empty_final_gets_a_second_opinion(second: str | None) -> None:
    """Which is believed, if there is one."""
    it = Utterance(Candidate(doubtful=True), MUTE)
    it.feed(SpeechOver(), 2.0)
    assert it.feed(Final(0, "")) == ["0: doubt", "1: rescue 1"]
    match second:
        case "words":
            assert it.feed(Final(1, "words")) == ["1: 'words' it is"]
        case "":
            assert it.feed(Final(1, "")) == ["1: '' it is"]
        case "late":
            assert it.tick() == ["1: cancel", "0: '' it is"]
        case _:
            assert it.feed(Failed(1, Fault.REFUSED)) == ["2: failover 0"]
            assert it.feed(Failed(2, Fault.CUT)) == ["0: '' it is"]


def test_an_empty_final_does_not_end_the_wait_for_one_that_is_well() -> None:
    """The first one is late, the second heard nothing: the third may."""
    it = Utterance(MUTE, MUTE, MUTE)
    it.feed(SpeechOver(), 2.0)
    it.tick()
    it.tick()
    assert it.feed(Final(0, "")) == []
    assert it.feed(Final(2, "words")) == ["1: cancel", "2: 'words' it is"]


def test_a_late_recogniser_that_nobody_may_join_is_replaced() -> None:
    """The budget is asked once more before."""
    it = Utterance(MUTE, MUTE, purse=Refuses())
    it.feed(SpeechOver(), 2.0)
    assert it.tick() == []
    assert it.tick() == ["0: silent 3.40", "0: cancel", "1: failover 1"]
    assert it.feed(Final(1, "words")) == ["1: 'words' it is"]


def test_while_the_caller_speaks_a_late_recogniser_is_replaced_too() -> None:
    """Whatever the caller goes on to say reaches the other one."""
    it = Utterance(KNOWN, KNOWN, purse=Refuses())
    assert it.tick() == []
    assert it.tick() == ["0: silent 1.60", "0: cancel", "1: failover 1"]


# -- certain speech --------------------------------------------------------------------------------


def test_an_empty_final_against_certain_speech_is_not_believed() -> None:
    """One after the other is asked; what the first one with words says counts."""
    it = Utterance(MUTE, MUTE, MUTE, certain=True)
    it.feed(SpeechOver(), 0.3)
    assert it.feed(Final(0, "")) == ["0: doubt", "1: rescue 1"]
    assert it.feed(Final(1, " ")) == ["1: doubt", "2: rescue 2"]
    assert it.feed(Final(2, "yes")) == ["2: 'yes' it is"]


def test_what_all_recognisers_call_nothing_was_no_speech() -> None:
    """Also if nobody else can be asked, and free of the budget either way."""
    it = Utterance(MUTE, MUTE, certain=True, purse=Refuses())
    it.feed(SpeechOver(), 1.0)
    assert it.feed(Final(0, "")) == ["0: doubt", "1: rescue 1"]
    assert it.feed(Final(1, "")) == ["1: '' it is"]
    it = Utterance(MUTE, certain=True)
    it.feed(SpeechOver(), 1.0)
    assert it.feed(Final(0, "")) == ["0: '' it is"]


def test_a_cough_costs_no_second_request() -> None:
    """Less certain speech than the shortest sentence has."""
    it = Utterance(MUTE, MUTE, certain=True)
    it.feed(SpeechOver(), 0.29)
    assert it.feed(Final(0, "")) == ["0: '' it is"]


@pytest.mark.parametrize(
    ("others", "end"),
    [("i would like to come", "1: 'i would like to come' it is"), ("", "0: 'the' it is")],
)
def test_fewer_letters_than_anybody_says_are_not_believed(others: str, end: str) -> None:
    """The longest of such finals stands if nobody has more."""
    it = Utterance(MUTE, MUTE, certain=True)
    it.feed(SpeechOver(), 3.0)
    assert it.feed(Final(0, "the")) == ["0: doubt", "1: rescue 1"]
    assert it.feed(Final(1, others)) == [end]


def test_a_short_word_is_no_wonder_in_a_short_utterance() -> None:
    """A "no" that is drawn out too."""
    it = Utterance(MUTE, MUTE, certain=True)
    it.feed(SpeechOver(), 1.9)
    assert it.feed(Final(0, "no")) == ["0: 'no' it is"]


def test_who_is_asked_about_certain_speech_is_waited_for() -> None:
    """As long as for anybody: the words may be there; then another one is asked, or the first."""
    it = Utterance(MUTE, MUTE, MUTE, certain=True)
    it.feed(SpeechOver(), 1.0)
    it.feed(Final(0, ""))
    assert it.tick() == ["1: silent 0.95", "2: rescue 2"]
    assert it.feed(Failed(2, Fault.REFUSED)) == ["3: failover 0"]
    assert it.tick() == ["1: cancel", "3: cancel", "0: '' it is"]
    assert it.now == pytest.approx(1.95 + 0.25 + POLICY.give_up_s)


# -- interims that were promised -------------------------------------------------------------------


def test_who_owes_an_interim_is_late_as_soon_as_the_caller_has_finished() -> None:
    """It would have given one by now, its first or its next."""
    it = Utterance(LIVE, LIVE)
    assert it.feed(SpeechOver(), 0.61) == []
    assert it.tick() == ["0: silent 0.61", "1: rescue 1"]
    assert it.now == pytest.approx(0.61)
    it = Utterance(LIVE, LIVE)
    it.feed(Interim(0, "i"), 0.3)
    assert it.feed(SpeechOver(), 1.0) == []
    assert it.tick() == ["0: stalled 0.70", "1: rescue 1"]


@pytest.mark.parametrize("why", ["too short", "heard before", "nobody else"])
def test_who_need_not_have_said_a_word_has_time_for_the_final(why: str) -> None:
    """As one that gives no interims."""
    it = Utterance(LIVE, LIVE) if why != "nobody else" else Utterance(LIVE)
    if why == "heard before":
        it.feed(Interim(0, "i"), 0.3)
    it.feed(SpeechOver(), 0.4 if why == "too short" else 0.8)
    due = it.machine.deadline()
    assert due is not None
    patience = 2 if why == "nobody else" else 1
    assert due - it.now == pytest.approx(patience * POLICY.final_after_s)
