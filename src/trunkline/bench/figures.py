"""The figures of a run: percentiles with intervals, shares of failures, and whether to believe it.

Turns that our own side may have spoiled are counted and left out; with 1 % or more of them, or with
requests that left late, the run is not valid, whatever its figures look like.
"""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from trunkline.bench.manifest import read
from trunkline.bench.sentinel import SEND_LAG_S
from trunkline.bench.turns import LATE_SEND, Turn, read_turns
from trunkline.measure.intervals import Estimate, Observed, estimate

SPOILED_MAX = 0.01
TAILS = {"ttft_s": (0.5, 0.95, 0.99), "gap_s": (0.5, 0.99, 0.999), "tokens_per_s": (0.5, 0.05)}
"""Which percentiles of which metric are told; of a speed the slow end matters."""


@dataclass(frozen=True, slots=True)
class Figures:
    """One subject's. *counted*: turns that nothing of ours spoiled; the estimates are of those.

    *estimates*: by metric; *kinds*: time to first token by kind of turn.
    """

    subject: str
    turns: int
    counted: int
    spoiled: Mapping[str, int]
    spoiled_share: float
    faults: Mapping[str, int]
    send_lag_p99_s: float
    estimates: Mapping[str, Sequence[Estimate]]
    kinds: Mapping[str, Sequence[Estimate]]

    @property
    def invalid(self) -> Sequence[str]:
        """Why not to believe it; empty if it may be believed."""
        why = []
        if self.spoiled_share >= SPOILED_MAX:
            told = ", ".join(f"{name} {count}" for name, count in self.spoiled.items())
            why.append(f"{self.spoiled_share:.1%} of the turns were spoiled on our side ({told})")
        if self.send_lag_p99_s > SEND_LAG_S:
            why.append(f"requests left late: p99 {1000 * self.send_lag_p99_s:.1f} ms")
        return why


@dataclass(frozen=True, slots=True)
class Run:
    """A run that was read: its manifest, its subjects' turns, and their figures."""

    folder: Path
    manifest: Mapping[str, object]
    turns: Mapping[str, Sequence[Turn]]
    figures: Sequence[Figures]


def load(folder: Path) -> Run:
    """Read the run in *folder*; `InputError` if there is none, or none of its turns."""
    manifest = read(folder)
    by_subject: dict[str, list[Turn]] = {}
    for turn in read_turns(folder):
        by_subject.setdefault(turn.subject, []).append(turn)
    return Run(folder, manifest, by_subject, [figures(k, v) for k, v in by_subject.items()])


def figures(subject: str, turns: Sequence[Turn]) -> Figures:
    """The figures of a subject's *turns*."""
    clean = fair(turns)
    lags = [lag for turn in turns if (lag := turn.send_lag_s) is not None]
    return Figures(
        subject,
        len(turns),
        len(clean),
        Counter(name for turn in turns for name in turn.own),
        1 - len(clean) / len(turns) if turns else 0.0,
        Counter(turn.fault for turn in clean if turn.fault),
        float(np.quantile(lags, 0.99)) if lags else 0.0,
        {
            metric: [estimate(observed(clean, metric), p) for p in tails]
            for metric, tails in TAILS.items()
        },
        {
            kind: [estimate(observed(of, "ttft_s"), p) for p in TAILS["ttft_s"]]
            for kind, of in _kinds(clean).items()
        },
    )


def fair(turns: Iterable[Turn]) -> list[Turn]:
    """Those that nothing on our side has spoiled.

    A request that only left late stays: its caller waited from the intended time on, and to leave
    out the busiest moments would flatter the subject. It shows in the run's validity.
    """
    return [turn for turn in turns if not set(turn.own) - {LATE_SEND}]


def observed(turns: Sequence[Turn], metric: str) -> Observed:
    """A *metric* of `TAILS` with the blocks it was seen in."""
    if metric == "gap_s":
        pairs = [(gap, turn.block) for turn in turns for gap in _gaps(turn)]
    elif metric == "tokens_per_s":
        pairs = [(turn.tokens_per_s, turn.block) for turn in turns]
    else:
        pairs = [(turn.ttft_s, turn.block) for turn in turns]
    return Observed.of([value for value, _ in pairs], [block for _, block in pairs])


def _gaps(turn: Turn) -> Sequence[float]:
    """Between tokens; one that ended in a fault has a gap without end."""
    broke = turn.fault and turn.first_s is not None
    return (*turn.gaps_s, math.inf) if broke else turn.gaps_s


def _kinds(turns: Sequence[Turn]) -> Mapping[str, Sequence[Turn]]:
    return {
        "first turn of a call": [turn for turn in turns if turn.turn == 0],
        "later turns": [turn for turn in turns if turn.turn > 0],
        "first call of a block": [turn for turn in turns if turn.cold],
    }
