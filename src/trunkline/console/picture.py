"""What the picture of one call shows: the nouns, all times in seconds from the call's first sample.

`layout` places them, `report` draws them.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.types import SAMPLE_RATE

DURATION_S_MAX = 4 * 3600.0
Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Said:
    """A word or a sentence; *endpoint* is the one that produced the words ("" for the caller)."""

    text: str
    start_s: float
    end_s: float
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class Attempted:
    """One attempt of a model from request to end; *silent_s*: since when it owed a token."""

    endpoint: str
    start_s: float
    end_s: float
    silent_s: float | None = None


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened to an endpoint: it froze, or it took over.

    *measured*: the time from a freeze to the takeover counts from here on; not so if the endpoint
    had nothing to do then.
    """

    kind: Literal["freeze", "failover"]
    at_s: float
    label: str
    endpoint: str
    measured: bool = True


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """One turn: delays in seconds after *end_of_speech_s*; None where it did not come to that.

    *audio_s* is the turn's V2V: end of the caller's speech to the agent's first audio.
    """

    end_of_speech_s: float
    transcript_s: float | None
    token_s: float | None
    audio_s: float | None
    dead_air_s: float
    endpoints: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The numbers by which the call is judged; *items_*: of what the agent had to say."""

    failovers: int
    dead_air_max_s: float
    items_lost: int
    items_repeated: int
    v2v_p50_s: float | None


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that belongs to the call; *path* is relative to the report."""

    path: str
    about: str


@dataclass(frozen=True, slots=True, eq=False)
class CallPicture:
    """One call to be drawn. *caller* and *agent*: 8 kHz int16, both from the call's first sample.

    *queue*: (time, seconds of audio that were queued), in the order of time. `InputError` if the
    parts do not fit together.
    """

    title: str
    duration_s: float
    caller: Samples
    agent: Samples
    caller_said: tuple[Said, ...]
    agent_said: tuple[Said, ...]
    verdict: Verdict
    moments: tuple[Moment, ...] = ()
    attempts: tuple[Attempted, ...] = ()
    queue: tuple[tuple[float, float], ...] = ()
    turns: tuple[TurnFigures, ...] = ()
    files: tuple[NamedFile, ...] = ()
    subtitle: str = ""

    def __post_init__(self) -> None:
        if not 0 < self.duration_s <= DURATION_S_MAX:  # also refuses NaN
            raise InputError(
                f"duration_s is {self.duration_s}. Give seconds between 0 and {DURATION_S_MAX:.0f}"
            )
        for name, samples in (("caller", self.caller), ("agent", self.agent)):
            if samples.dtype != np.int16 or samples.ndim != 1:
                raise InputError(
                    f"{name} is {samples.dtype} of shape {samples.shape}. "
                    f"Give one axis of int16 at {SAMPLE_RATE} Hz"
                )
        self._in_order("caller_said", [said.start_s for said in self.caller_said])
        self._in_order("agent_said", [said.start_s for said in self.agent_said])
        self._in_order("queue", [at_s for at_s, _ in self.queue])
        self._in_order("turns", [turn.end_of_speech_s for turn in self.turns])
        self._in_order("moments", [moment.at_s for moment in self.moments])
        stretches: tuple[Said | Attempted, ...] = (
            *self.caller_said,
            *self.agent_said,
            *self.attempts,
        )
        for thing in stretches:
            if not thing.start_s <= thing.end_s <= DURATION_S_MAX:
                raise InputError(f"{thing!r} ends before it starts, or never. Mend its times")

    def _in_order(self, name: str, times: Sequence[float]) -> None:
        if not all(math.isfinite(at) and at >= 0 for at in times):
            raise InputError(f"{name} has a time before the call or none. Give seconds >= 0")
        if any(later < sooner for sooner, later in pairwise(times)):
            raise InputError(f"{name} is not in the order of time. Sort it")

    @property
    def endpoints(self) -> tuple[str, ...]:
        """Endpoints that the picture tells apart, in the order of their first appearance."""
        seen = [(said.start_s, said.endpoint) for said in self.agent_said]
        seen += [(attempt.start_s, attempt.endpoint) for attempt in self.attempts]
        return tuple(dict.fromkeys(name for _, name in sorted(seen) if name))


def waveform(samples: Samples, columns: int, column_s: float) -> tuple[NDArray[np.float64], ...]:
    """Lowest and highest sample of each column, -1..1, scaled so that loud speech fills the track.

    The 0.7th power lifts soft speech to where it can be seen; silence stays silence.
    """
    width = max(1, round(column_s * SAMPLE_RATE))
    padded = np.zeros(columns * width)
    kept = samples[: padded.size]
    padded[: kept.size] = kept
    loud = max(float(np.percentile(np.abs(kept), 99.8)) if kept.size else 0.0, 800.0)
    table = np.clip(padded.reshape(columns, width) / loud, -1, 1)
    ends = (table.min(axis=1), table.max(axis=1))
    return tuple(np.sign(end) * np.abs(end) ** 0.7 for end in ends)
