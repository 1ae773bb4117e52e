"""What the caller has of the agent's voice: queued, sent, heard.

The machine keeps counts, the shell keeps the bytes. A phrase goes

    expected (given to the synthesiser) -> queued (audio is here) -> sent (to the carrier)
    -> heard (the carrier says so, word by word, by marks)

Two clocks come out of it. The *drain time* E is when the caller will hear silence if nothing more
comes: while nothing arrives it stands still, which is why the attempts machine can count down to
it. The *heard text* is what the marks prove; only that enters the conversation's history.

`clear` starts a new epoch: carriers return the pending marks at once when their buffer is
emptied (Twilio Media Streams), so a mark of an older epoch proves nothing.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkline.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Mono, SpokenWord

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
class Cue:
    """Send the mark *name* once *after* samples of the phrase have been sent."""

    after: int
    name: str


@dataclass(slots=True)
class _Phrase:
    text: str
    samples: int = 0
    sent: int = 0
    heard_chars: int = 0
    complete: bool = False
    words: list[SpokenWord] = field(default_factory=list)


class Playout:
    """The agent's voice in one call. Phrases are numbered from 0 and never re-used."""

    __slots__ = ("_epoch", "_first", "_phrases", "_play_end", "_policy", "_sending")

    def __init__(self, policy: PlayoutPolicy) -> None:
        self._policy = policy
        self._phrases: list[_Phrase] = []
        self._first = 0  # the first phrase of this epoch
        self._sending = 0  # the phrase that is being sent
        self._epoch = 0
        self._play_end = Mono(-math.inf)

    # -- what comes in -------------------------------------------------------------------------

    def expect(self, text: str) -> int:
        """A phrase was given to the synthesiser; its number."""
        self._phrases.append(_Phrase(text))
        return len(self._phrases) - 1

    def queue(
        self, phrase: int, samples: int, words: Sequence[SpokenWord], *, complete: bool
    ) -> Sequence[Cue]:
        """*samples* more audio of *phrase* are here; the marks to send along with it.

        A complete phrase is padded to whole frames by the shell and must come in whole frames.
        """
        entry = self._phrases[phrase]
        cues = []
        for word in words:
            if entry.words:  # a word is heard once the next one begins
                cues.append(self._cue(phrase, entry.words[-1].end, word.at))
            entry.words.append(word)
        entry.samples += samples
        if complete:
            entry.complete = True
            cues.append(self._cue(phrase, len(entry.text), entry.samples))
        return cues

    def drop(self, phrase: int) -> None:
        """The synthesiser failed: no more audio of *phrase* will come, nor a mark for its end."""
        entry = self._phrases[phrase]
        entry.text = entry.text[: max((word.end for word in entry.words[:-1]), default=0)]
        entry.complete = True

    def due(self, now: Mono) -> int:
        """How many frames of queued audio to send now, so that the carrier stays ahead."""
        ahead_s = max(self._play_end - now, 0.0)
        room = math.ceil((self._policy.lead_s - ahead_s) / FRAME_S - 1e-9)
        return max(0, min(room, self._unsent() // FRAME_SAMPLES))

    def sent(self, now: Mono) -> Mono:
        """One frame of the phrase at the head was sent; when the caller will hear it."""
        while self._phrases[self._sending].sent >= self._phrases[self._sending].samples:
            self._sending += 1
        self._phrases[self._sending].sent += FRAME_SAMPLES
        starts = Mono(max(self._play_end, now))
        self._play_end = Mono(starts + FRAME_S)
        return starts

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

    def clear(self, now: Mono) -> str:
        """Everything not yet heard is dropped; the text that was heard since the last epoch."""
        heard = self.heard()
        self._epoch += 1
        self._first = self._sending = len(self._phrases)
        self._play_end = now
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
        queued_s = self._unsent() / SAMPLE_RATE
        expected_s = sum(
            len(p.text.split()) / WORDS_PER_S
            for p in self._phrases[self._first :]
            if not p.complete and not p.samples
        )
        if expected_s and self._play_end <= now and not queued_s:
            expected_s = max(expected_s - self._policy.synthesis_s, 0.0)
        return Mono(max(self._play_end, now) + queued_s + expected_s)

    def stale(self, phrase: int) -> bool:
        """Whether *phrase* belongs to what was cleared or heard before."""
        return phrase < self._first

    def drained(self, now: Mono) -> bool:
        """Whether all phrases were heard; after a grace, time counts for marks that got lost."""
        phrases = self._phrases[self._first :]
        if any(not p.complete or p.sent < p.samples for p in phrases):
            return False
        if all(p.heard_chars == len(p.text) for p in phrases if p.samples):
            return True
        return now >= self._play_end + self._policy.marks_grace_s

    def heard(self) -> str:
        """The text that was heard since the last `clear` or `close`: whole words, a prefix."""
        parts = (p.text[: p.heard_chars].strip() for p in self._phrases[self._first :])
        return " ".join(part for part in parts if part)

    # -- inside --------------------------------------------------------------------------------

    def _unsent(self) -> int:
        return sum(p.samples - p.sent for p in self._phrases[self._sending :])

    def _cue(self, phrase: int, chars: int, after: int) -> Cue:
        return Cue(after, f"{self._epoch}.{phrase}.{chars}")
