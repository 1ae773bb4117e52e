"""One lane's audio of one phrase: which words of it are certainly said, and whether it lies.

The rule of the seam: a word is given to the caller whole or not at all. With word marks a word is
whole once the next one's mark lies inside the audio, or once the phrase is complete. So whoever
goes on begins with the first word that was not given, and no word is cut, repeated or lost.

An engine without marks gives its audio as it comes. Where it breaks off, the words said are guessed
from the share of the expected duration, rounded up to a word boundary: the word in progress counts
as said. That may lose the end of one word; it never repeats one.

A lie is audio without speech where speech is due: `SILENCE_S` of silence inside a word's stretch,
unless a pause is due after it (punctuation, the last word) or it is read out in parts (a digit).
Without marks a text with punctuation inside may pause for `PAUSE_S`.

Warts: a clean end, or silence, within the last word of a phrase is not seen. Marks are believed: an
engine that marks words which it does not say loses them.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from trunkline.core.tempo import Tempo
from trunkline.types import SAMPLE_RATE, SpokenWord

SILENCE_S = 0.2
PAUSE_S = 0.8
WHOLE_SHARE = 0.6
"""A phrase shorter than this share of its expected duration was cut, however cleanly."""
SLACK_S = 0.15
"""By so much the durations of single words scatter."""
_ENDING = SAMPLE_RATE // 10
"""Silence that begins so shortly before the next mark belongs to what follows the word."""

Run = tuple[int, int]
"""A stretch of samples, the first one and the one after the last."""

_SPEAKABLE = re.compile(r"\w")
_PAUSES_AFTER = re.compile(r"[^\w\s]\s*$")
_PAUSES_INSIDE = re.compile(r"[^\w\s'’-].*\w|\d", re.DOTALL)
_WORD_START = re.compile(r"(?<!\S)\S")


@dataclass(slots=True)
class Take:
    """Audio of *text* from character *start* on. Marks and runs count in samples of this take."""

    text: str
    start: int = 0
    samples: int = 0
    given: int = 0
    """Samples that were given to the voice."""
    told: int = 0
    """Words whose marks were."""
    words: list[SpokenWord] = field(default_factory=list)
    quiet: list[Run] = field(default_factory=list)
    last: bool = False
    whole: bool = False
    """It is complete, and was found to be so."""
    limit: int | None = None
    """Where it began to lie."""

    def add(
        self, samples: int, words: Sequence[SpokenWord], quiet: Sequence[Run], *, last: bool
    ) -> None:
        """More audio; the characters of *words* count from `start`, *quiet* from the take's."""
        self.samples += samples
        shift = self.start
        self.words += [SpokenWord(w.start + shift, w.end + shift, w.at) for w in words]
        for run in quiet:
            if self.quiet and self.quiet[-1][1] >= run[0]:
                self.quiet[-1] = self.quiet[-1][0], run[1]
            else:
                self.quiet.append(run)
        self.last |= last

    @property
    def rest(self) -> str:
        """The text that was asked for."""
        return self.text[self.start :]

    @property
    def ready(self) -> int:
        """Samples up to which all words are whole; silence waits for the sound that ends it."""
        end = self.samples if self.limit is None else self.limit
        if self.whole:
            return end
        trails = self.quiet[-1][0] if self.quiet and self._ends(self.quiet[-1]) else self.samples
        if not self.words:
            return min(end, trails)
        # A word whose end is silent is whole if the next one sounds; it may be a lie's beginning.
        known = trails if self.limit is None else end
        return max((word.at for word in self.words[1:] if word.at <= known), default=0)

    @property
    def voiced(self) -> bool:
        """Whether any of it is more than silence."""
        return self.samples > sum(end - start for start, end in self.quiet)

    @property
    def onset(self) -> int:
        """Where its leading silence ends, 20 ms before the first sound."""
        lead = self.quiet[0][1] if self.quiet and self.quiet[0][0] == 0 else 0
        first = self.words[0].at if self.words else lead
        return max(min(lead, first) - SAMPLE_RATE // 50, 0)

    def said(self, expected_s: float) -> int:
        """Characters of the text that are said by what was given."""
        if self.whole:
            return len(self.text)
        if not self.given:
            return self.start
        if self.words:
            starts = [word.start for word in self.words if word.at >= self.given]
            guess: float = starts[0] if starts else self.words[-1].end
        else:
            share = self.given / SAMPLE_RATE / expected_s
            guess = self.start + share * len(self.rest)
        begins = (match.start() for match in _WORD_START.finditer(self.text))
        return next((at for at in begins if at >= guess), len(self.text))

    def lies_at(self) -> int | None:
        """The sample from which on it is silent where speech is due, if there is one."""
        if not _SPEAKABLE.search(self.rest):
            return None
        if self.words:
            found = (self._lie_of(run) for run in self.quiet)
            return next((at for at in found if at is not None), None)
        pause_s = PAUSE_S if _PAUSES_INSIDE.search(self.rest) else SILENCE_S
        # Engines begin and end with silence: what precedes the first sound is a late start.
        inside = [run for run in self.quiet if run[0] and not (self.last and self._ends(run))]
        return next((run[0] for run in inside if _seconds(run) >= pause_s), None)

    def short(self, tempo: Tempo) -> str:
        """Why a complete phrase is not whole, "" if it is.

        Marks for all words outweigh the duration while little is known of the voice's pace.
        """
        if not _SPEAKABLE.search(self.rest):
            return ""
        if self.words:
            begun = [word.end for word in self.words if word.at < self.samples]
            missing = self.text[begun[-1] if begun else self.start :]
            if _SPEAKABLE.search(missing):
                return f"no word marks for the last {len(missing.strip())} characters"
        took_s, expected_s = self.samples / SAMPLE_RATE, tempo.expected_s(len(self.rest))
        believed = bool(self.words) and not tempo.known
        if not believed and took_s < WHOLE_SHARE * expected_s - SLACK_S:
            return f"{took_s:.2f} s of audio where {expected_s:.2f} s were expected"
        return "" if self.voiced else "nothing but silence"

    def _ends(self, run: Run) -> bool:
        return run[1] >= self.samples

    def _lie_of(self, run: Run) -> int | None:
        """Where the first word begins that the silence *run* swallows."""
        ends = [word.at for word in self.words[1:]] + [self.samples] * self.last
        # The word in progress has no end yet. It is left to the clock, for which silence is none.
        for place, end in enumerate(ends):
            word = self.words[place]
            start = max(run[0], word.at)
            ended = start > word.at and (self._may_pause(place) or end - start <= _ENDING)
            if start >= end or ended or not self._speaks(place):
                continue
            return word.at if _seconds((start, run[1])) >= SILENCE_S else None
        return None

    def _speaks(self, place: int) -> bool:
        word = self.words[place]
        return bool(_SPEAKABLE.search(self.text[word.start : word.end]))

    def _may_pause(self, place: int) -> bool:
        """Whether silence is due within the word's stretch, after it or between its parts."""
        word = self.words[place]
        text, following = self.text[word.start : word.end], self.text[word.end :].split()
        alone = not following or not following[0][0].isalnum()
        return bool(_PAUSES_AFTER.search(text)) or alone or any(c.isdigit() for c in text)


def _seconds(run: Run) -> float:
    return (run[1] - run[0]) / SAMPLE_RATE
