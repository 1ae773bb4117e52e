"""Every order of synthesis, pacing, marks and interruptions over one playout and its carrier."""

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from trunkline.core.playout import Cue, Playout, PlayoutPolicy
from trunkline.types import FRAME_S, FRAME_SAMPLES, Mono, SpokenWord

POLICY = PlayoutPolicy(lead_s=0.12, synthesis_s=0.1, marks_grace_s=2.0)
TEXTS = st.sampled_from(["Yes.", "Good morning there.", " Two  spaces. ", "你好。", "a b c d e f"])


class AnyVoice(RuleBasedStateMachine):
    """The machine under attack, the shell that feeds it and the carrier that plays."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout(POLICY)
        self.now = 0.0
        self.play_end = 0.0
        self.texts: dict[int, str] = {}  # of this reply, as far as they can still be heard
        self.waiting: deque[int] = deque()  # phrases whose audio is not complete
        self.words: list[SpokenWord] = []  # of the first of those, so far
        self.samples = 0  # of the first of those, so far
        self.outbox: deque[str | None] = deque()  # frames (None) and marks, to be sent
        self.out: deque[tuple[float, str]] = deque()  # marks at the carrier and when they are due
        self.old: list[str] = []  # marks of older epochs

    # -- the synthesiser -----------------------------------------------------------------------

    @rule(text=TEXTS)
    def expect(self, text: str) -> None:
        """A phrase is given to the synthesiser."""
        number = self.playout.expect(text)
        assert not self.playout.stale(number)
        self.texts[number] = text
        self.waiting.append(number)

    @precondition(lambda self: self.waiting)
    @rule(frames=st.integers(0, 12), words=st.integers(0, 4), complete=st.booleans())
    def synthesise(self, frames: int, words: int, complete: bool) -> None:
        """Audio of the first phrase that waits for it, with some of its words."""
        phrase = self.waiting[0]
        text = self.texts[phrase]
        new: list[SpokenWord] = []
        for _ in range(words):
            start = (self.words + new)[-1].end if self.words + new else 0
            word = text[start:].split()[:1]
            if word:
                start = text.index(word[0], start)
                at = self.samples + len(new) * frames * FRAME_SAMPLES // 5
                new.append(SpokenWord(start, start + len(word[0]), at))
        cues = self.playout.queue(phrase, frames * FRAME_SAMPLES, new, complete=complete)
        self.put(frames, cues)
        self.words += new
        if complete:
            self.next_phrase()

    def put(self, frames: int, cues: object) -> None:
        """Frames and marks in the order in which they are to be sent, as the shell does it."""
        assert isinstance(cues, list)
        rest: deque[Cue] = deque(cues)
        for _ in range(frames):
            while rest and rest[0].after <= self.samples:
                self.outbox.append(rest.popleft().name)
            self.outbox.append(None)
            self.samples += FRAME_SAMPLES
        assert all(cue.after <= self.samples for cue in rest), "a mark behind the end of the audio"
        self.outbox += [cue.name for cue in rest]

    @precondition(lambda self: self.waiting)
    @rule()
    def drop(self) -> None:
        """The synthesiser gives a phrase up."""
        phrase = self.waiting[0]
        self.playout.drop(phrase)
        said = self.words[:-1]
        self.texts[phrase] = self.texts[phrase][: said[-1].end] if said else ""
        self.next_phrase()

    def next_phrase(self) -> None:
        """The first phrase that waits for audio waits no longer."""
        self.waiting.popleft()
        self.words, self.samples = [], 0

    # -- the pacer and the carrier -------------------------------------------------------------

    @rule(pause_s=st.floats(0, 0.5))
    def time_passes(self, pause_s: float) -> None:
        """The drain time stands still while audio covers the time, and never goes back in it."""
        before = self.playout.drain_at(Mono(self.now))
        self.now += pause_s
        after = self.playout.drain_at(Mono(self.now))
        if self.play_end > self.now:
            assert abs(after - before) < 1e-9
        assert after >= before - POLICY.synthesis_s - 1e-9

    @rule()
    def tick(self) -> None:
        """The pacer sends what is due."""
        frames = self.outbox.count(None)
        due = self.playout.due(Mono(self.now))
        assert 0 <= due <= frames
        for _ in range(due):
            self.send_marks()
            assert self.outbox.popleft() is None
            start = self.playout.sent(Mono(self.now))
            assert start >= self.play_end or abs(start - self.play_end) < 1e-9
            assert start >= self.now
            self.play_end = start + FRAME_S
        self.send_marks()
        assert self.play_end <= self.now + POLICY.lead_s + FRAME_S
        assert due == frames or self.play_end >= self.now + POLICY.lead_s - 1e-6

    def send_marks(self) -> None:
        """The marks at the head of the queue go to the carrier."""
        while self.outbox and (name := self.outbox[0]) is not None:
            self.out.append((self.play_end, name))
            self.outbox.popleft()

    @precondition(lambda self: self.out)
    @rule(lost=st.booleans())
    def carrier_returns(self, lost: bool) -> None:
        """The carrier has played up to a mark; it may forget to say so."""
        due, name = self.out.popleft()
        self.now = max(self.now, due)
        if not lost:
            heard = self.playout.heard()
            assert self.playout.mark(name)
            assert self.playout.heard().startswith(heard)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def old_mark(self, data: st.DataObject) -> None:
        """A mark of a time before a `clear` proves nothing."""
        heard = self.playout.heard()
        assert not self.playout.mark(data.draw(st.sampled_from(self.old)))
        assert self.playout.heard() == heard

    # -- the ends of a reply -------------------------------------------------------------------

    @rule()
    def clear(self) -> None:
        """The caller interrupts: the carrier returns all marks at once."""
        heard = self.playout.heard()
        assert self.playout.clear(Mono(self.now)) == heard
        self.old += [name for _, name in self.out] + [name for name in self.outbox if name]
        self.out.clear()
        self.outbox.clear()
        self.waiting.clear()
        self.words, self.samples, self.play_end = [], 0, self.now
        self.begin_anew()
        assert self.playout.drain_at(Mono(self.now)) == self.now

    @precondition(lambda self: self.playout.drained(Mono(self.now)))
    @rule()
    def close(self) -> None:
        """All was heard: the next reply begins."""
        assert not self.waiting
        assert None not in self.outbox
        heard = self.playout.heard()
        assert self.playout.close() == heard
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing of the reply before counts."""
        assert all(self.playout.stale(number) for number in self.texts)
        self.texts.clear()
        assert self.playout.heard() == ""
        assert self.playout.drained(Mono(self.now))

    # -- what must hold ------------------------------------------------------------------------

    @invariant()
    def heard_is_a_prefix_of_what_was_expected(self) -> None:
        """By whole words."""
        parts = [text.strip() for text in self.texts.values()]
        expected = " ".join(part for part in parts if part)
        heard = self.playout.heard()
        assert expected.startswith(heard)
        assert not heard or expected[len(heard) : len(heard) + 1] in ("", " ")

    @invariant()
    def silence_is_heard_when_all_is_played(self) -> None:
        """Never before the audio that is here ends."""
        queued_s = self.outbox.count(None) * FRAME_S
        drain = self.playout.drain_at(Mono(self.now))
        assert drain >= max(self.play_end, self.now) + queued_s - 1e-9

    @override
    def teardown(self) -> None:
        """Once all is synthesised and sent, the reply ends: by its marks, or by the clock."""
        while self.waiting:
            self.synthesise(1, 0, complete=True)
        while None in self.outbox:
            self.now += FRAME_S
            self.tick()
        self.tick()
        assert self.playout.drained(Mono(max(self.now, self.play_end) + POLICY.marks_grace_s))
        if self.out:
            self.playout.mark(self.out[-1][1])
            assert self.playout.drained(Mono(self.now))
            self.heard_is_a_prefix_of_what_was_expected()


TestAnyVoice = AnyVoice.TestCase
