"""Every order of synthesis, pacing, marks and interruptions over one playout and its carrier."""

from collections import deque

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from trunkline.core.playout import PACKET_FRAMES, Playout, PlayoutPolicy
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
        self.audio: dict[int, int] = {}  # samples of each phrase of this reply
        self.position: dict[int, int] = {}  # where each of them is sent from next
        self.spoken: dict[int, list[SpokenWord]] = {}  # the words of each
        self.proved: dict[int, int] = {}  # characters of each that were heard
        self.held = False
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
        self.playout.queue(phrase, frames * FRAME_SAMPLES, new, complete=complete)
        self.samples += frames * FRAME_SAMPLES
        self.audio[phrase] = self.samples
        self.words += new
        self.spoken[phrase] = self.words.copy()
        if complete:
            self.next_phrase()

    @precondition(lambda self: self.waiting)
    @rule()
    def drop(self) -> None:
        """The synthesiser gives a phrase up."""
        phrase = self.waiting[0]
        chars = self.words[-1].end if self.words else 0
        self.playout.drop(phrase, chars)
        self.texts[phrase] = self.texts[phrase][:chars]
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

    def unsent(self) -> int:
        """Frames that are here and were not sent."""
        samples = sum(n - self.position.get(phrase, 0) for phrase, n in self.audio.items())
        return samples // FRAME_SAMPLES

    @rule()
    def tick(self) -> None:
        """The pacer sends what is due: the frames of each phrase in order, none twice."""
        frames = self.unsent()
        due = self.playout.due(Mono(self.now))
        assert 0 <= due <= frames
        assert not due or not self.held
        for _ in range(due):
            self.send_marks()
            frame = self.playout.send(Mono(self.now))
            assert frame.at == self.position.get(frame.phrase, 0)
            assert all(self.position.get(n, 0) == self.audio.get(n, 0) for n in range(frame.phrase))
            self.position[frame.phrase] = frame.at + FRAME_SAMPLES
            assert frame.when >= self.play_end or abs(frame.when - self.play_end) < 1e-9
            assert frame.when >= self.now
            self.play_end = frame.when + FRAME_S
        self.send_marks()
        assert self.play_end <= self.now + POLICY.lead_s + PACKET_FRAMES * FRAME_S
        full = self.play_end >= self.now + POLICY.lead_s - 1e-6
        assert self.held or due == frames or full

    def send_marks(self) -> None:
        """The marks behind what was sent go to the carrier."""
        self.out += [(self.play_end, name) for name in self.playout.reached()]

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
            _, phrase, chars = map(int, name.split("."))
            self.proved |= {n: len(self.texts[n]) for n in self.texts if n < phrase}
            chars = min(chars, len(self.texts[phrase]))
            self.proved[phrase] = max(self.proved.get(phrase, 0), chars)

    @precondition(lambda self: self.old)
    @rule(data=st.data())
    def old_mark(self, data: st.DataObject) -> None:
        """A mark of a time before a `hold` or `clear`, or of an older reply, proves nothing."""
        heard = self.playout.heard()
        assert not self.playout.mark(data.draw(st.sampled_from(self.old)))
        assert self.playout.heard() == heard

    # -- the ends of a reply -------------------------------------------------------------------

    @rule()
    def hold(self) -> None:
        """The caller makes a sound: what is at the carrier comes back, by whole words."""
        heard, held = self.playout.heard(), self.held
        self.playout.hold(Mono(self.now))
        assert self.playout.heard() == heard
        self.held = True
        if held:
            return
        self.empty_carrier()
        for phrase, samples in self.audio.items():
            proved = self.proved.get(phrase, 0)
            if phrase not in self.waiting and proved == len(self.texts[phrase]):
                self.position[phrase] = samples
            elif phrase in self.position:
                words = [word.at for word in self.spoken[phrase] if word.start >= proved]
                at = min(words[0], self.position[phrase]) if proved else 0
                self.position[phrase] = at - at % FRAME_SAMPLES

    def empty_carrier(self) -> None:
        """The carrier returns its pending marks at once."""
        self.old += [name for _, name in self.out]
        self.out.clear()
        self.play_end = self.now

    @rule()
    def release(self) -> None:
        """It was nothing."""
        self.playout.release(Mono(self.now))
        self.held = False

    @rule()
    def clear(self) -> None:
        """The caller interrupts: the carrier returns all marks at once."""
        heard = self.playout.heard()
        assert self.playout.clear(Mono(self.now)) == heard
        self.empty_carrier()
        self.waiting.clear()
        self.words, self.samples, self.held = [], 0, False
        self.audio.clear()
        self.begin_anew()
        assert self.playout.drain_at(Mono(self.now)) == self.now

    @precondition(lambda self: self.playout.drained(Mono(self.now)))
    @rule()
    def close(self) -> None:
        """All was heard: the next reply begins."""
        assert not self.waiting
        assert not self.unsent()
        assert not self.held
        heard = self.playout.heard()
        assert self.playout.close() == heard
        self.old += [name for _, name in self.out]  # of a phrase without audio, or much too late
        self.out.clear()
        self.begin_anew()

    def begin_anew(self) -> None:
        """Nothing of the reply before counts."""
        assert all(self.playout.stale(number) for number in self.texts)
        self.texts.clear()
        self.audio.clear()
        self.position.clear()
        self.proved.clear()
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
        queued_s = self.unsent() * FRAME_S
        drain = self.playout.drain_at(Mono(self.now))
        assert drain >= max(self.play_end, self.now) + queued_s - 1e-9

    @override
    def teardown(self) -> None:
        """Once all is synthesised and sent, the reply ends: by its marks, or by the clock."""
        self.release()
        while self.waiting:
            self.synthesise(1, 0, complete=True)
        while self.unsent():
            self.now += FRAME_S
            self.tick()
        self.tick()
        assert self.playout.drained(Mono(max(self.now, self.play_end) + POLICY.marks_grace_s))
        if self.out:
            self.playout.mark(self.out[-1][1])
            assert self.playout.drained(Mono(self.now))
            self.heard_is_a_prefix_of_what_was_expected()


TestAnyVoice = AnyVoice.TestCase
