"""What the caller has of the agent's voice: queued, sent, heard.

The machine keeps counts, the shell keeps the bytes. A phrase goes

    expected (given to the synthesiser) -> queued (audio is here) -> sent (to the carrier)
    -> heard (the carrier says so, word by word, by marks)

Two clocks come out of it. The *drain time* E is when the caller will hear silence if nothing more
comes: while nothing arrives it stands still, which is why the attempts machine can count down to
it. The *heard text* is what the marks prove; only that enters the conversation's history.

The voice can be *held*: the carrier's buffer is emptied and what was not heard goes back from sent
to queued, from the start of the first word that was not heard to its end. `release` lets it be sent
again. Synthesis goes on meanwhile, nothing is consumed, so E moves along with the time.

`hold` and `clear` start a new epoch: carriers return the pending marks at once when their buffer
is emptied (Twilio Media Streams), so a mark of an older epoch proves nothing. Marks are therefore
named when they are sent, not when their audio comes.

Warts: a phrase whose synthesiser tells no words is heard at its end or not at all, and is said
again from its start. The word is begun anew at a whole frame, up to 20 ms before it.
"""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trunkline.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Mono, SpokenWord

PACKET_FRAMES = 2
"""Frames in a message to the carrier: each message costs both ends more than its audio does."""
WORDS_PER_S = 2.6
"""Speaking rate used to guess a phrase's length before its audio exists."""


@dataclass(frozen=True, slots=True)
class PlayoutPolicy:
    """*lead_s*: how much audio the carrier holds ahead of time (it covers our own jitter, and
    `clear` takes it back); *synthesis_s*: what the first audio of an expected phrase costs;
    *marks_grace_s*: how long after the end marks may stay out before time is believed instead."""

    lead_s: float = 0.12
    synthesis_s: float = 0.1
    marks_grace_s: float = 2.0


@dataclass(frozen=True, slots=True)
class Frame:
    """Send the frame of *phrase* that begins at its sample *at*; it will be heard at *when*."""

    phrase: int
    at: int
    when: Mono


@dataclass(slots=True)
class _Phrase:
    text: str
    samples: int = 0
    sent: int = 0
    heard_chars: int = 0
    complete: bool = False
    words: list[SpokenWord] = field(default_factory=list)
    cues: list[tuple[int, int]] = field(default_factory=list)
    """(samples, characters): once so much was sent, a mark can prove that so much was heard."""
    marked: int = 0  # cues whose mark was sent in this epoch

    @property
    def over(self) -> bool:
        """Whether all audio that will ever come was sent."""
        return self.complete and self.sent >= self.samples

    def rewind(self) -> None:
        """What was not heard is to be sent again, from the start of its first word."""
        if self.complete and self.heard_chars == len(self.text):
            self.sent = self.samples
            return
        begins = (word.at for word in self.words if word.start >= self.heard_chars)
        at = min(next(begins, 0), self.sent) if self.heard_chars else 0
        self.sent = at - at % FRAME_SAMPLES
        self.marked = sum(chars <= self.heard_chars for _, chars in self.cues)


class Playout:
    """The agent's voice in one call. Phrases are numbered from 0 and never re-used."""

    __slots__ = ("_epoch", "_first", "_held", "_phrases", "_play_end", "_policy", "_sending")

    def __init__(self, policy: PlayoutPolicy) -> None:
        self._policy = policy
        self._phrases: list[_Phrase] = []
        self._first = 0  # the first phrase of this reply
        self._sending = 0  # the phrase that is being sent
        self._epoch = 0
        self._held = False
        self._play_end = Mono(-math.inf)

    # -- what comes in -------------------------------------------------------------------------

    def expect(self, text: str) -> int:
        """A phrase was given to the synthesiser; its number."""
        self._phrases.append(_Phrase(text))
        return len(self._phrases) - 1

    def queue(
        self, phrase: int, samples: int, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        """*samples* more audio of *phrase* are here, and the marks of its *words*.

        A complete phrase is padded to whole frames by the shell and must come in whole frames.
        """
        entry = self._phrases[phrase]
        for word in words:
            if entry.words:  # a word is heard once the next one begins
                entry.cues.append((word.at, entry.words[-1].end))
            entry.words.append(word)
        entry.samples += samples
        if complete:
            entry.complete = True
            entry.cues.append((entry.samples, len(entry.text)))

    def drop(self, phrase: int, chars: int) -> None:
        """The synthesisers failed: of *phrase* only the first *chars* characters will be heard."""
        entry = self._phrases[phrase]
        entry.text = entry.text[:chars].rstrip()
        entry.complete = True
        if len(entry.text) > max((chars for _, chars in entry.cues), default=0):
            entry.cues.append((entry.samples, len(entry.text)))

    def due(self, now: Mono) -> int:
        """How many frames of queued audio to send now, so that the carrier stays ahead: whole
        packets, or all there is."""
        if self._held:
            return 0
        ahead_s = max(self._play_end - now, 0.0)
        packets = math.ceil((self._policy.lead_s - ahead_s) / (PACKET_FRAMES * FRAME_S) - 1e-9)
        return max(0, min(packets * PACKET_FRAMES, self.unsent // FRAME_SAMPLES))

    def send(self, now: Mono) -> Frame:
        """Take the next frame, which must be due; the marks before it come from `reached`."""
        while self._phrases[self._sending].sent >= self._phrases[self._sending].samples:
            self._sending += 1
        entry = self._phrases[self._sending]
        frame = Frame(self._sending, entry.sent, Mono(max(self._play_end, now)))
        entry.sent += FRAME_SAMPLES
        self._play_end = Mono(frame.when + FRAME_S)
        return frame

    def reached(self) -> list[str]:
        """The marks to send now, behind the frames that were sent so far; each comes once."""
        names: list[str] = []
        while not self._held and self._sending < len(self._phrases):
            entry = self._phrases[self._sending]
            for after, chars in entry.cues[entry.marked :]:
                if after > entry.sent and not entry.over:
                    break
                names.append(f"{self._epoch}.{self._sending}.{chars}")
                entry.marked += 1
            if not entry.over or self._sending + 1 == len(self._phrases):
                break
            self._sending += 1
        return names

    def mark(self, name: str) -> bool:
        """The carrier returned *name*; whether it proves that something was heard."""
        try:
            epoch, phrase, chars = (int(part) for part in name.split("."))
        except ValueError:
            return False
        if epoch != self._epoch or not self._first <= phrase < len(self._phrases):
            return False
        for before in self._phrases[self._first : phrase]:  # their marks may have got lost
            before.heard_chars = len(before.text)
        entry = self._phrases[phrase]
        entry.heard_chars = max(entry.heard_chars, min(chars, len(entry.text)))
        return True

    def hold(self, now: Mono) -> None:
        """The carrier's buffer was emptied; nothing is due until `release`. Idempotent."""
        if self._held:
            return
        self._held = True
        self._epoch += 1
        for entry in self._phrases[self._first :]:
            entry.rewind()
        self._sending = min(self._sending, self._first)
        self._play_end = now

    def release(self, now: Mono) -> None:
        """What was held may be sent again; idempotent."""
        self._held = False
        self._play_end = Mono(max(self._play_end, now))

    def clear(self, now: Mono) -> str:
        """Everything not yet heard is dropped; the text that was heard of this reply."""
        heard = self.heard()
        self._epoch += 1
        self._first = self._sending = len(self._phrases)
        self._held, self._play_end = False, now
        return heard

    def close(self) -> str:
        """The reply was heard to its end: begin the next one; the text that was heard."""
        heard = self.heard()
        self._first = len(self._phrases)
        return heard

    # -- what can be asked ---------------------------------------------------------------------

    def drain_at(self, now: Mono) -> Mono:
        """E: when the caller hears silence if nothing more arrives from the model.

        Audio that still has to be synthesised counts by its words, less the synthesiser's delay
        when nothing else would cover it.
        """
        queued_s = self.unsent / SAMPLE_RATE
        expected_s = sum(
            len(p.text.split()) / WORDS_PER_S
            for p in self._phrases[self._first :]
            if not p.complete and not p.samples
        )
        if expected_s and self._play_end <= now and not queued_s:
            expected_s = max(expected_s - self._policy.synthesis_s, 0.0)
        return Mono(max(self._play_end, now) + queued_s + expected_s)

    def silent_at(self, now: Mono) -> Mono:
        """When the caller hears silence if no more audio arrives from the synthesiser."""
        return Mono(max(self._play_end, now) + self.unsent / SAMPLE_RATE)

    def stale(self, phrase: int) -> bool:
        """Whether *phrase* belongs to what was cleared or heard before."""
        return phrase < self._first

    def drained(self, now: Mono) -> bool:
        """Whether all phrases were heard; after a grace, time counts for marks that got lost."""
        phrases = self._phrases[self._first :]
        # The last first: while a reply plays, this is asked every 20 ms and the answer is there.
        if self._held or not all(p.over for p in reversed(phrases)):
            return False
        if all(p.heard_chars == len(p.text) for p in phrases if p.samples):
            return True
        return now >= self._play_end + self._policy.marks_grace_s

    def heard(self) -> str:
        """The text that was heard since the last `clear` or `close`: whole words, a prefix."""
        return _joined(p.text[: p.heard_chars] for p in self._phrases[self._first :])

    def unheard(self) -> str:
        """The rest of what was given to be spoken."""
        return _joined(p.text[p.heard_chars :] for p in self._phrases[self._first :])

    @property
    def held(self) -> bool:
        """Whether nothing is sent until `release`."""
        return self._held

    @property
    def unsent(self) -> int:
        """Samples that are here and were not sent."""
        return sum(p.samples - p.sent for p in self._phrases[self._sending :])


def _joined(parts: Iterable[str]) -> str:
    return " ".join(part for part in map(str.strip, parts) if part)
