"""When the caller speaks and when the caller has finished: VAD windows in, onsets and ends out.

It counts in the call's own samples, not in wall time, so a late or bursty carrier changes nothing.

    silent --(onset_windows of speech in a row)--> speaking --(a pause without speech)----> silent
                                                            --(utterance_max_s)-----------> silent

The pause is `hangover_s`, unless a `Hint` says that the sentence need not be over
(`hangover_unsure_s`) or cannot be (`hangover_open_s`). A recogniser without interim transcripts
gives no hints: `hangover_s` holds then, because each turn would pay for the longer ones.

The speech probability that keeps an utterance open is lower than the one that opens it: voices
fade before they end.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.core.endpointing import Ending
from trunkline.types import SAMPLE_RATE, Mono, Sample


@dataclass(frozen=True, slots=True)
class TurnPolicy:
    """Seconds and probabilities of turn-taking.

    *onset_windows* windows of 32 ms make an onset (a barge-in must be heard within 250 ms, a click
    must not count); *hangover_s* is the pause that ends a turn, *hangover_unsure_s* the one after
    what may go on (a pause of 0.6 s and the resumed speech fit in), *hangover_open_s* the one after
    half a sentence; what is longer than *backchannel_max_s* is neither a cough nor a "mm-hm".
    *speculate*: tell when a turn is likely over, which is when the words have stayed for *stable_s*
    and the caller has been silent for *settle_s*.
    """

    onset_probability: float = 0.5
    stay_probability: float = 0.35
    onset_windows: int = 3
    hangover_s: float = 0.3
    hangover_unsure_s: float = 0.7
    hangover_open_s: float = 1.0
    utterance_max_s: float = 28.0
    backchannel_max_s: float = 1.2
    speculate: bool = True
    settle_s: float = 0.12
    stable_s: float = 0.2


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of caller audio up to sample *end* and the probability that it holds speech."""

    probability: float
    start: Sample
    end: Sample


@dataclass(frozen=True, slots=True)
class Hint:
    """The words of the utterance so far, and how likely they are all."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class Onset:
    """The caller began to speak at sample *at*."""

    at: Sample


@dataclass(frozen=True, slots=True)
class EndOfSpeech:
    """The caller's speech ended at sample *at*; it was sure at *known_at*."""

    at: Sample
    known_at: Sample


@dataclass(frozen=True, slots=True)
class Lasts:
    """The caller has spoken for longer than `backchannel_max_s`, up to sample *at*."""

    at: Sample


@dataclass(frozen=True, slots=True)
class LikelyOver:
    """The caller seems to have finished at sample *at*; told `LIKELY_MAX` times at most, and once
    a pause."""

    at: Sample


LIKELY_MAX = 2
"""A caller who paused twice is given no third answer in advance: each may cost a model's step."""

Told = Onset | Lasts | LikelyOver | EndOfSpeech


class Turns:
    """The machine of one caller; it has no deadline: its time is the audio itself."""

    __slots__ = (
        "_ended",
        "_ending",
        "_hinted",
        "_lasting",
        "_likely",
        "_likely_at",
        "_now",
        "_policy",
        "_run",
        "_speaking",
        "_started",
    )

    def __init__(self, policy: TurnPolicy) -> None:
        self._policy = policy
        self._speaking = self._lasting = False
        self._likely, self._likely_at = 0, Sample(-1)  # times told, and the end it was told of
        self._ending = Ending.OVER
        self._now, self._hinted = Sample(0), Sample(-1)  # -1: no words of this utterance yet
        self._run: list[Window] = []
        self._started, self._ended = Sample(0), Sample(0)

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._speaking

    def would_begin(self, window: Window) -> bool:
        """Whether *window* completes an onset: who doubts it, or those of `run`, has to look now.

        Not before: of sounds that are no speech, two windows of three need no look.
        """
        speaks = not self._speaking and window.probability >= self._policy.onset_probability
        return speaks and len(self._run) + 1 >= self._policy.onset_windows

    @property
    def run(self) -> Sequence[Window]:
        """The windows in a row, up to the last one, that speak for an onset."""
        return self._run

    def forget(self, windows: int) -> None:
        """The first *windows* of `run` were no speech."""
        del self._run[:windows]

    def deadline(self) -> Mono | None:
        """Never: silence arrives as windows."""
        return None

    def feed(self, fact: Window | Hint, now: Mono) -> Sequence[Told]:
        """Take the next window, of which at most one fact comes, or a hint, of which none does."""
        del now  # this machine's clock is the audio
        if isinstance(fact, Hint):
            self._ending, self._hinted = fact.ending, self._now
            return ()
        self._now = fact.end
        return self._while_speaking(fact) if self._speaking else self._while_silent(fact)

    def _while_silent(self, window: Window) -> Sequence[Onset]:
        if window.probability < self._policy.onset_probability:
            self._run.clear()
            return ()
        self._run.append(window)
        if len(self._run) < self._policy.onset_windows:
            return ()
        self._speaking, self._hinted = True, Sample(-1)
        self._lasting, self._likely, self._ending = False, 0, Ending.OVER
        self._started, self._ended = self._run[0].start, window.end
        self._run.clear()
        return (Onset(self._started),)

    def _while_speaking(self, window: Window) -> Sequence[Told]:
        if window.probability >= self._policy.stay_probability:
            self._ended = window.end
        silence_s = (window.end - self._ended) / SAMPLE_RATE
        length_s = (window.end - self._started) / SAMPLE_RATE
        policy = self._policy
        if silence_s >= self._hangover_s or length_s >= policy.utterance_max_s:
            self._speaking = False
            return (EndOfSpeech(self._ended, window.end),)
        spoken_s = (self._ended - self._started) / SAMPLE_RATE
        if not self._lasting and spoken_s > policy.backchannel_max_s:
            self._lasting = True
            return (Lasts(self._ended),)
        if silence_s >= policy.settle_s and self._settled(window):
            self._likely, self._likely_at = self._likely + 1, self._ended
            return (LikelyOver(self._ended),)
        return ()

    @property
    def _hangover_s(self) -> float:
        policy = self._policy
        if self._ending is Ending.OPEN:
            return policy.hangover_open_s
        return policy.hangover_s if self._ending is Ending.OVER else policy.hangover_unsure_s

    def _settled(self, window: Window) -> bool:
        """Whether the words have not changed for a while, and can be all."""
        if self._likely >= LIKELY_MAX or self._likely_at == self._ended:
            return False
        if self._ending is Ending.OPEN or self._hinted < 0 or not self._policy.speculate:
            return False
        return (window.end - self._hinted) / SAMPLE_RATE >= self._policy.stable_s
