"""What the caller heard, measured from the audio alone: the truth that no log can argue with.

A tape is `[n, 2]` int16 at 8 kHz: left the caller, right the agent.

Theory of operation
- *Activity.* The level of each 10 ms hop is compared with two thresholds (hysteresis): speech is a
  run of hops above the lower one that rises above the upper one somewhere, so that it neither
  flickers nor loses its soft edges. The thresholds stand 12 and 6 dB above the channel's own noise
  floor (its 10th percentile), never below -46 and -52 dBFS. Then each edge is moved to the sample
  where a 2 ms window first passes the lower threshold.
- *Utterances.* The caller's spans are one utterance while the agent does not begin in the gap
  between them and the gap is short; what follows a longer one is a new wish to be answered.
- *Runs.* The agent's spans are one run of speech while the gaps are natural pauses in which no
  caller stopped. A run that covers the caller's onset was barged into; the first run that begins
  after the onset and outlasts the utterance is its reply, and so are the runs that follow it until
  the next onset.
- *Dead air* is silence where speech was due: what a response gap, or a silence inside a reply,
  lasts beyond its limit. A reply that never came is late by infinity; it is not left out.

Where the limits come from. Campione and Veronis (Speech Prosody 2002; ca. 6,000 pauses, five
languages) find brief (< 0.2 s), medium (0.2 to 1 s) and long pauses (> 1 s), the last in
spontaneous speech only, when a speaker hesitates. espeak-ng 1.51 at 140 and 175 words a minute
makes 0.08 to 0.54 s at commas and between sentences (November 2026, 58 pauses in 4 texts). So
0.25 s is where a silence becomes worth reporting, and 0.7 s is longer than any pause that the
speech itself asked for.

Admitted warts. Energy is not speech: music or an echo of the agent in the caller's channel counts
as someone talking. A soft ending that sinks to within 6 dB of the line noise is not heard: in a
flite clip that costs nothing with noise at -60 dBFS and 0.12 s with -50. An agent that talks
straight on through an utterance counts as not having owed a reply: that is right for "mhm" and
wrong for a question; `barge_in_s` shows which it was. A question put again to a caller who stays
silent makes that silence one inside the reply.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import ceil, inf
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.media.match import Heard, Match, find, heard
from trunkline.types import SAMPLE_RATE

__all__ = [
    "Heard",
    "HeardTurn",
    "Limits",
    "Match",
    "Silence",
    "Span",
    "TapeReport",
    "activity",
    "find",
    "heard",
    "summary",
    "turns",
]

_HOP: Final = SAMPLE_RATE // 100
_FINE: Final = SAMPLE_RATE // 500  # 2 ms: long enough to tell a sound from a noisy sample
_ON_MIN_DBFS: Final = -46.0
_ON_ABOVE_FLOOR_DB, _HYSTERESIS_DB = 12.0, 6.0
_FLOOR_MAX_DBFS: Final = -42.0
"""A channel without silence has no floor to find: do not take soft speech for one."""


@dataclass(frozen=True, slots=True)
class Span:
    """Something heard from *start_s* to *end_s* of the tape."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing heard for *length_s* from *start_s* of the tape on."""

    start_s: float
    length_s: float


@dataclass(frozen=True, slots=True)
class Limits:
    """When a silence counts, in seconds.

    *response_s*: a reply is due after this. *pause_s*: the longest natural pause inside speech.
    *silence_s*: inner silences above this are reported. *utterance_s*: the longest pause of a
    caller who has not finished.
    """

    response_s: float = 1.5
    pause_s: float = 0.7
    silence_s: float = 0.25
    utterance_s: float = 1.0


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """One utterance of the caller and what came of it.

    *caller*: the utterance; None for the opening, before the caller has said anything.
    *reply*: first to last agent audio that answers; None if there was none.
    *v2v_s*: end of the utterance to the first audio of the reply (negative: the agent cut in);
    infinite if a reply was due and never came; None if none was due, and for the opening.
    *gap_s*: the silence that the caller heard before the reply, or until the wait ended.
    *silences*: those inside the reply. *dead_air*: the excess of each silence over its limit.
    *barge_in_s*: how long the agent's audio went on after the caller spoke into it; None if the
    caller did not.
    """

    caller: Span | None
    reply: Span | None
    v2v_s: float | None
    gap_s: float
    silences: tuple[Silence, ...]
    dead_air: tuple[Silence, ...]
    barge_in_s: float | None


@dataclass(frozen=True, slots=True)
class TapeReport:
    """A tape in figures, all in seconds. *v2v_s* holds one value per reply that was due, infinity
    for one that never came; its percentiles are nearest ranks, None without any value.
    """

    length_s: float
    turns: tuple[HeardTurn, ...]
    v2v_s: tuple[float, ...]
    v2v_p50_s: float | None
    v2v_p95_s: float | None
    unanswered: int
    dead_air_total_s: float
    dead_air_max_s: float
    talk_over_s: float
    barge_in_s: tuple[float, ...]


def activity(
    channel: NDArray[np.int16], *, close_gap_s: float = 0.1, speech_min_s: float = 0.03
) -> list[Span]:
    """Where somebody speaks in *channel* `[n]`, to within 2 ms for a sound that starts abruptly.

    Gaps shorter than *close_gap_s* are closed; what is then shorter than *speech_min_s* is a click.
    """
    if channel.ndim != 1:
        raise InputError(f"activity needs one channel of shape [n], not {channel.shape}")
    if not len(channel):
        return []
    hops = -(-len(channel) // _HOP)
    # A hop of silence on both sides, so that every edge has something before and after it.
    padded = np.zeros((hops + 2) * _HOP)
    padded[_HOP : _HOP + len(channel)] = channel - float(np.median(channel))
    level = 10 * np.log10(np.mean(padded.reshape(-1, _HOP) ** 2, axis=1) / 32_768**2 + 1e-12)
    floor = min(float(np.percentile(level[1:-1], 10)), _FLOOR_MAX_DBFS)
    on_dbfs = max(_ON_MIN_DBFS, floor + _ON_ABOVE_FLOOR_DB)
    off_dbfs = on_dbfs - _HYSTERESIS_DB
    edges = np.flatnonzero(np.diff(level >= off_dbfs))
    spans: list[Span] = []
    for first, last in zip(edges[::2] + 1, edges[1::2] + 1, strict=True):
        if level[first:last].max() < on_dbfs:
            continue
        start, end = _refine(padded, int(first), int(last), 32_768 * 10 ** (off_dbfs / 20))
        span = Span((start - _HOP) / SAMPLE_RATE, (end - _HOP) / SAMPLE_RATE)
        if spans and span.start_s - spans[-1].end_s < close_gap_s:
            span = Span(spans.pop().start_s, span.end_s)
        spans.append(span)
    return [span for span in spans if span.end_s - span.start_s >= speech_min_s]


def _refine(
    signal: NDArray[np.float64], first: int, last: int, threshold: float
) -> tuple[int, int]:
    """The sample where the run of hops `first:last` really begins, and the one where it ends."""
    head = signal[(first - 1) * _HOP : (first + 1) * _HOP]
    tail = signal[(last - 1) * _HOP : (last + 1) * _HOP]
    return (
        (first - 1) * _HOP + _onset(head, threshold),
        (last + 1) * _HOP - _onset(tail[::-1], threshold),
    )


def _onset(signal: NDArray[np.float64], threshold: float) -> int:
    """The first sample at or above *threshold* in the first 2 ms that are so on average.

    The window is needed to pass over a noisy sample, the sample because a window looks ahead.
    """
    power = np.mean(sliding_window_view(signal, _FINE) ** 2, axis=1)
    window = int(np.argmax(power >= threshold**2))
    loud = np.abs(signal[window : window + _FINE]) >= threshold
    return window + int(np.argmax(loud))


def turns(tape: NDArray[np.int16], limits: Limits | None = None) -> list[HeardTurn]:
    """What the caller heard, turn by turn; the opening first unless the caller spoke at once.

    Raises `InputError` if *tape* is not `[n, 2]`.
    """
    limits = limits or Limits()
    return _turns(*_speech(tape), len(tape) / SAMPLE_RATE, limits)


def summary(tape: NDArray[np.int16], limits: Limits | None = None) -> TapeReport:
    """*tape* `[n, 2]` in figures; `InputError` if it has another shape."""
    limits, length_s = limits or Limits(), len(tape) / SAMPLE_RATE
    caller, agent = _speech(tape)
    told = _turns(caller, agent, length_s, limits)
    v2v_s = tuple(turn.v2v_s for turn in told if turn.v2v_s is not None)
    dead_s = [silence.length_s for turn in told for silence in turn.dead_air]
    both_s = [
        max(0.0, min(c.end_s, a.end_s) - max(c.start_s, a.start_s)) for c in caller for a in agent
    ]
    return TapeReport(
        length_s=length_s,
        turns=tuple(told),
        v2v_s=v2v_s,
        v2v_p50_s=_percentile(v2v_s, 0.50),
        v2v_p95_s=_percentile(v2v_s, 0.95),
        unanswered=v2v_s.count(inf),
        dead_air_total_s=sum(dead_s),
        dead_air_max_s=max(dead_s, default=0.0),
        talk_over_s=sum(both_s),
        barge_in_s=tuple(turn.barge_in_s for turn in told if turn.barge_in_s is not None),
    )


def _percentile(values: Sequence[float], share: float) -> float | None:
    """The nearest rank: interpolation would invent a value between a figure and infinity."""
    return sorted(values)[ceil(share * len(values)) - 1] if values else None


def _speech(tape: NDArray[np.int16]) -> tuple[list[Span], list[Span]]:
    if tape.ndim != 2 or tape.shape[1] != 2:
        raise InputError(
            f"a tape is stereo, of shape [n, 2], caller left and agent right, not {tape.shape}"
        )
    return activity(tape[:, 0]), activity(tape[:, 1])


def _turns(
    caller: Sequence[Span], agent: Sequence[Span], length_s: float, limits: Limits
) -> list[HeardTurn]:
    utterances = _utterances(caller, agent, limits)
    runs = _runs(agent, utterances, limits)
    onsets_s = [u.start_s for u in utterances] + [length_s]
    told = [
        _turn(utterance, next_s, agent, runs, limits)
        for utterance, next_s in zip(utterances, onsets_s[1:], strict=True)
    ]
    opening = _turn(None, onsets_s[0], agent, runs, limits)
    return [opening, *told] if opening.reply or opening.dead_air else told


def _utterances(caller: Sequence[Span], agent: Sequence[Span], limits: Limits) -> list[Span]:
    utterances: list[Span] = []
    for span in caller:
        if utterances:
            last = utterances[-1]
            answered = any(last.end_s <= a.start_s < span.start_s for a in agent)
            if not answered and span.start_s - last.end_s <= limits.utterance_s:
                span = Span(utterances.pop().start_s, span.end_s)  # noqa: PLW2901  # grows
        utterances.append(span)
    return utterances


def _runs(agent: Sequence[Span], utterances: Sequence[Span], limits: Limits) -> list[Span]:
    runs: list[Span] = []
    for span in agent:
        if runs:
            last = runs[-1]
            asked = any(last.end_s <= u.end_s <= span.start_s for u in utterances)
            if not asked and span.start_s - last.end_s <= limits.pause_s:
                span = Span(runs.pop().start_s, span.end_s)  # noqa: PLW2901  # grows
        runs.append(span)
    return runs


def _turn(
    caller: Span | None,
    next_s: float,
    agent: Sequence[Span],
    runs: Sequence[Span],
    limits: Limits,
) -> HeardTurn:
    """The turn from *caller* to the next onset (or the end of the tape) at *next_s*."""
    start_s, end_s = (caller.start_s, caller.end_s) if caller else (-inf, 0.0)
    barged = next((r for r in runs if r.start_s < start_s < r.end_s), None)
    replies = [r for r in runs if start_s <= r.start_s < next_s and r.end_s > end_s]
    reply = Span(replies[0].start_s, replies[-1].end_s) if replies else None
    quiet_s = max(end_s, barged.end_s) if barged else end_s  # from here on nobody speaks
    gap = _silence(quiet_s, reply.start_s if reply else next_s)
    talked_on = barged is not None and barged.end_s > end_s
    due = reply is not None or (not talked_on and gap.length_s >= limits.response_s)
    v2v_s = None
    if caller and due:
        v2v_s = reply.start_s - end_s if reply else inf
    inner = [
        _silence(max(a.end_s, end_s), min(b.start_s, next_s))
        for a, b in pairwise(agent)
        if reply and reply.start_s <= a.start_s and b.end_s <= reply.end_s
    ]
    late = [_excess(gap, limits.response_s)] if due else []
    return HeardTurn(
        caller=caller,
        reply=reply,
        v2v_s=v2v_s,
        gap_s=gap.length_s,
        silences=tuple(s for s in inner if s.length_s > limits.silence_s),
        dead_air=tuple(
            s for s in late + [_excess(s, limits.pause_s) for s in inner] if s.length_s > 0
        ),
        barge_in_s=barged.end_s - start_s if barged else None,
    )


def _silence(from_s: float, to_s: float) -> Silence:
    return Silence(from_s, max(0.0, to_s - from_s))


def _excess(silence: Silence, limit_s: float) -> Silence:
    """What of *silence* comes after *limit_s* of it."""
    return Silence(silence.start_s + limit_s, max(0.0, silence.length_s - limit_s))
