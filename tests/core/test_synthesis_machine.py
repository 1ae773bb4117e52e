"""Every order of audio, faults and deadlines over the synthesisers of one reply."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

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

POLICY = SynthesisPolicy(attempts_max=4, at_once_max=2)
TEXTS = ["One two three.", "Yes.", "A longer phrase of six words.", "No, never. Why?"]
WORD = 3000
CANDIDATES = 3


@dataclass
class Lane:
    """A synthesiser at work: it says the words of a phrase one after the other, `WORD` each."""

    candidate: int
    phrase: int
    start: int
    running: bool = True
    samples: dict[int, int] = field(default_factory=dict)
    marked: dict[int, int] = field(default_factory=dict)  # words of the phrase that have a mark
    mute: dict[int, list[int]] = field(default_factory=dict)  # words without a sound
    done: set[int] = field(default_factory=set)


def words_from(text: str, start: int) -> list[tuple[int, int]]:
    """The words of *text* from *start* on, as characters of the text."""
    found, at = [], start
    for word in text[start:].split():
        at = text.index(word, at)
        found.append((at, at + len(word)))
        at += len(word)
    return found


class AnySynthesis(RuleBasedStateMachine):
    """The machine under attack, and what the caller gets of it."""

    def __init__(self) -> None:
        super().__init__()
        self.machine = Synthesis(POLICY, [Tempo() for _ in range(CANDIDATES)])
        self.now = 0.0
        self.drain = 0.0
        self.texts: list[str] = []
        self.no_more = False
        self.lanes: list[Lane] = []
        self.said: list[tuple[int, int, int]] = []  # (phrase, character, end) of each word heard
        self.completed: list[int] = []
        self.lost: list[Lost] = []
        self.launched = 0  # since the last whole phrase
        self.leader: int | None = None
        self.settled: Settle | None = None

    def feed(self, fact: Fact) -> None:
        """Feed *fact*, and do what the machine wants."""
        acts: Sequence[Act] = self.machine.feed(fact, Mono(self.now))
        assert not (acts and self.settled), "nothing comes after the end"
        for act in acts:
            self.do(act)

    def do(self, act: Act) -> None:
        """What the shell would do."""
        match act:
            case Launch(number, candidate, _, phrase, start):
                assert number == len(self.lanes)
                assert start == 0 or self.texts[phrase][start - 1] == " "
                self.lanes.append(Lane(candidate, phrase, start))
                self.launched += 1
                assert self.launched <= POLICY.attempts_max
                assert sum(lane.running for lane in self.lanes) <= POLICY.at_once_max
            case Release():
                self.hear(act)
            case Elect(number, instead_of, _, _, marked):
                assert marked
                assert instead_of == self.leader
                self.leader = number
            case Reject(number) | Cancel(number):
                assert self.lanes[number].running
                self.lanes[number].running = False
            case Suspect(number, _, silent_s):
                assert self.lanes[number].running
                assert silent_s >= 0
            case Lost():
                self.lost.append(act)
            case Settle(lane, _):
                assert lane == self.leader
                self.settled = act

    def hear(self, act: Release) -> None:
        """Only whole words, of the lane that leads, none of them mute."""
        lane = self.lanes[act.lane]
        assert lane.running
        assert act.lane == self.leader
        start = lane.start if act.phrase == lane.phrase else 0
        words = words_from(self.texts[act.phrase], start)
        first, rest = divmod(act.start, WORD)
        assert rest == 0 or act.complete
        last = len(words) if act.complete else act.end // WORD
        assert act.complete or act.end % WORD == 0
        for place in range(first, last):
            assert place not in lane.mute.get(act.phrase, []), "silence instead of a word"
            self.said.append((act.phrase, *words[place]))
        if act.complete:
            self.completed.append(act.phrase)
            self.launched = 0
        self.drain = max(self.drain, self.now) + (act.end - act.start) / 8000
        marks = [mark.start for mark in act.words]
        assert marks == sorted(marks)

    # -- the reply -----------------------------------------------------------------------------

    @precondition(lambda self: not self.no_more and len(self.texts) < 6)
    @rule(text=st.sampled_from(TEXTS))
    def give(self, text: str) -> None:
        """The model has written another phrase."""
        self.texts.append(text)
        self.feed(Given(text))

    @rule()
    def no_more_comes(self) -> None:
        """The reply is complete."""
        self.no_more = True
        self.feed(NoMore())

    # -- the synthesisers ----------------------------------------------------------------------

    def busy(self) -> list[int]:
        """The lanes that have something to say."""
        return [i for i, lane in enumerate(self.lanes) if lane.running and self.phrase_of(lane)[1]]

    def phrase_of(self, lane: Lane) -> tuple[int, str]:
        """What *lane* says next, "" if nothing; further phrases are for the leader alone."""
        phrase = lane.phrase
        while phrase in lane.done:
            phrase += 1
        leads = self.leader is not None and self.lanes[self.leader] is lane
        known = phrase < len(self.texts) and (phrase == lane.phrase or leads)
        return phrase, self.texts[phrase] if known else ""

    @precondition(lambda self: self.busy())
    @rule(data=st.data(), count=st.integers(0, 4), extra=st.booleans(), mute=st.booleans())
    def speak(self, data: st.DataObject, count: int, extra: bool, mute: bool) -> None:
        """Some more whole words, and with *extra* the beginning of the next."""
        number = data.draw(st.sampled_from(self.busy()))
        lane = self.lanes[number]
        phrase, text = self.phrase_of(lane)
        start = lane.start if phrase == lane.phrase else 0
        words = words_from(text, start)
        before = lane.samples.get(phrase, 0)
        whole = min(before // WORD + count, len(words))
        samples = min(whole * WORD + WORD // 2 * extra, len(words) * WORD)
        self.emit(number, max(samples, before), mute=mute, last=samples == len(words) * WORD)

    @precondition(lambda self: self.busy())
    @rule(data=st.data())
    def end_too_early(self, data: st.DataObject) -> None:
        """It says that the phrase is complete, within a word that is not the last."""
        number = data.draw(st.sampled_from(self.busy()))
        lane = self.lanes[number]
        phrase, text = self.phrase_of(lane)
        words = words_from(text, lane.start if phrase == lane.phrase else 0)
        before = lane.samples.get(phrase, 0)
        if before // WORD + 1 < len(words):
            self.emit(number, before // WORD * WORD + WORD - 1000, mute=False, last=True)

    def emit(self, number: int, upto: int, *, mute: bool, last: bool) -> None:
        """The lane's audio of its phrase goes on up to sample *upto*."""
        lane = self.lanes[number]
        phrase, text = self.phrase_of(lane)
        start = lane.start if phrase == lane.phrase else 0
        words = words_from(text, start)
        before = lane.samples.get(phrase, 0)
        upto = max(upto, before)
        begun = -(-upto // WORD)
        marks = [
            SpokenWord(a - start, b - start, place * WORD)
            for place, (a, b) in enumerate(words[:begun])
            if place >= lane.marked.get(phrase, 0)
        ]
        quiet = []
        if mute and before % WORD == 0 and upto >= before + WORD:
            lane.mute.setdefault(phrase, []).append(before // WORD)
            quiet = [(before, before + WORD)]
        lane.samples[phrase], lane.marked[phrase] = upto, begun
        if last:
            lane.done.add(phrase)
        self.feed(Audio(number, phrase, upto - before, marks, quiet, last=last))

    @precondition(lambda self: any(lane.running for lane in self.lanes))
    @rule(data=st.data(), fault=st.sampled_from([Fault.CUT, Fault.REFUSED, None]))
    def end(self, data: st.DataObject, fault: Fault | None) -> None:
        """A stream ends: by a fault, or cleanly, which is none if nothing was owed."""
        number = data.draw(st.sampled_from([i for i, it in enumerate(self.lanes) if it.running]))
        if fault is None:
            self.feed(Closed(number))
        else:
            self.lanes[number].running = False
            self.feed(Failed(number, fault))
        self.lanes[number].running = False

    @precondition(lambda self: any(not lane.running for lane in self.lanes))
    @rule(data=st.data())
    def late_report(self, data: st.DataObject) -> None:
        """A lane that was stopped still reports: it is not heard."""
        stopped = [i for i, lane in enumerate(self.lanes) if not lane.running]
        number = data.draw(st.sampled_from(stopped))
        before = len(self.said)
        self.feed(Audio(number, self.lanes[number].phrase, 8000, (), (), last=True))
        assert len(self.said) == before

    # -- time ----------------------------------------------------------------------------------

    @rule(seconds=st.floats(0.001, 1.0))
    def time_passes(self, seconds: float) -> None:
        """Up to the next deadline at most."""
        self.feed(Drain(Mono(max(self.drain, self.now))))
        due = self.machine.deadline()
        later = self.now + seconds
        self.now = later if due is None else min(later, max(due, self.now))
        self.feed(Drain(Mono(max(self.drain, self.now))))
        self.feed(Tick())

    @rule(held_s=st.floats(0.0, 2.0))
    def held(self, held_s: float) -> None:
        """The caller made a sound: the audio that is here lasts longer."""
        self.drain = max(self.drain, self.now) + held_s

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def each_word_is_said_once_and_in_order(self) -> None:
        """None is lost between two that are said."""
        wanted = [(n, *word) for n, text in enumerate(self.texts) for word in words_from(text, 0)]
        assert self.said == wanted[: len(self.said)]
        assert self.completed == list(range(len(self.completed)))

    @invariant()
    def what_is_lost_is_told(self) -> None:
        """From the first word on that was not said, and only at the end."""
        if self.settled is None:
            assert not self.lost
            return
        assert self.machine.deadline() is None
        assert not any(lane.running for i, lane in enumerate(self.lanes) if i != self.leader)
        if not self.settled.failed:
            assert self.completed == list(range(len(self.texts)))
            return
        first = self.lost[0]
        count = len(self.lost)
        assert [it.phrase for it in self.lost] == [first.phrase + i for i in range(count)]
        rest = words_from(self.texts[first.phrase], first.at)
        here = [word[1:] for word in self.said if word[0] == first.phrase]
        assert here + rest == words_from(self.texts[first.phrase], 0)

    @override
    def teardown(self) -> None:
        """Silence from all: the reply ends within a bounded time."""
        self.no_more_comes()
        for _ in range(60):
            due = self.machine.deadline()
            if due is None:
                break
            self.now = max(self.now, due)
            self.feed(Drain(Mono(max(self.drain, self.now))))
            self.feed(Tick())
        assert self.settled is not None
        self.what_is_lost_is_told()
        self.each_word_is_said_once_and_in_order()


TestAnySynthesis = AnySynthesis.TestCase
