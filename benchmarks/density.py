"""How many calls one core carries: runs a worker and its load, and joins what both saw."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from benchmarks.density_load import CYCLE_S
from trunkline.types import FRAME_S, FRAME_SAMPLES

BEHIND_S = FRAME_S
"""A frame that is later than one frame, in one of a hundred: the worker falls behind."""
_ANSWER_S = 30.0  # for a process to say what it has to


@dataclass(frozen=True, slots=True)
class Density:
    """One run. Lags in milliseconds; *frames_lost*: sent in the window, never in the ear.

    *starved_share*: of the time, the worker could have run but another process had its core
    (Linux; else 0). Above a few percent the lags are those of a shared machine.
    """

    calls: int
    calls_up: int
    cpu_s_per_call_s: float
    lag_ms_p50: float
    lag_ms_p99: float
    late_ms_p50: float
    late_ms_p99: float
    rss_mb: float
    agent_share: float
    turns: int
    journal_kb_per_call_s: float
    frames_lost: int
    load_cpu_share: float
    starved_share: float

    @property
    def behind(self) -> bool:
        """Whether the worker cannot carry so many."""
        lost = self.frames_lost > 0 or self.calls_up < self.calls
        return lost or self.lag_ms_p99 > BEHIND_S * 1000


def run(calls: int, seconds: float, source: Path | None = None) -> Density:
    """*calls* at once for *seconds* (whole cycles), after two cycles to dial and to warm up.

    *source*: the `src` folder of another version of Trunkline, to compare with.
    """
    cores: Sequence[int] = sorted(os.sched_getaffinity(0)) if _CAN_PIN else ()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _process("density_worker", [str(folder)], cores[:1], source) as worker:
            port = _answer(worker, "ready")["port"]
            arguments = [str(port), str(calls), str(folder)]
            with _process("density_load", arguments, cores[1:2], None) as load:
                time.sleep(2 * CYCLE_S)
                _say("begin", worker, load)
                time.sleep(seconds)
                _say("end", worker, load)
                cost, heard = _answer(worker, "cost"), _answer(load, "load")
        sent = json.loads((folder / "sent.json").read_text())
        arrivals = json.loads((folder / "arrivals.json").read_text())
    if not cost["calls"]:
        raise SystemExit(f"density: none of {calls} calls came up; the load said {heard}")
    return _joined(calls, cost, heard, sent, arrivals)


def _joined(
    calls: int,
    cost: dict[str, float],
    heard: dict[str, float],
    sent: dict[str, list[float]],
    arrivals: dict[str, tuple[list[int], list[float]]],
) -> Density:
    wall = cost["end"] - cost["begin"]
    lags, lost = [], 0
    for stream, times in sent.items():
        left, seen = np.array(times), arrivals.get(stream, ([], []))
        at, when = np.array(seen[0], int), np.array(seen[1])
        came = np.full(len(left), np.inf)
        came[at // FRAME_SAMPLES] = when
        # The last half second may still be on its way when the worker is asked.
        window = (left >= cost["begin"]) & (left < cost["end"] - 0.5)
        lag = (came - left)[window]
        lost += int(np.isinf(lag).sum())
        lags.append(lag)
    lag_ms, late_ms = np.concatenate(lags) * 1000, np.array(cost["late_s"]) * 1000
    return Density(
        calls,
        calls_up=int(cost["calls"] - heard["lost"]),
        cpu_s_per_call_s=cost["cpu_s"] / wall / calls,
        lag_ms_p50=_quantile(lag_ms, 0.5),
        lag_ms_p99=_quantile(lag_ms, 0.99),
        late_ms_p50=_quantile(late_ms, 0.5),
        late_ms_p99=_quantile(late_ms, 0.99),
        rss_mb=cost["rss_mb"],
        agent_share=heard["frames_heard"] * FRAME_S / wall / calls,
        turns=int(cost["turns"]),
        journal_kb_per_call_s=cost["journal_bytes"] / 1000 / wall / calls,
        frames_lost=lost,
        load_cpu_share=heard["cpu_s"] / wall,
        starved_share=cost["starved_s"] / wall,
    )


def _quantile(values: NDArray[np.float64], share: float) -> float:
    """A value that occurred: a frame that never came is late for ever, not half of that."""
    return float(np.quantile(values, share, method="higher"))


_CAN_PIN = hasattr(os, "sched_setaffinity")


def _process(
    module: str, arguments: list[str], cores: Sequence[int], source: Path | None
) -> "subprocess.Popen[str]":
    environment = dict(os.environ)
    if source is not None:
        environment["PYTHONPATH"] = str(source)
    pin: Callable[[], None] | None = (lambda: os.sched_setaffinity(0, cores)) if cores else None
    return _Child(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=environment,
        preexec_fn=pin,  # safe: this process has no threads that could hold a lock
    )


class _Child(subprocess.Popen[str]):
    """A process that does not outlive the block that it was made for."""

    @override
    def __exit__(self, *args: object) -> None:
        self.kill()
        super().__exit__(None, None, None)


def _say(word: str, *processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin is not None
        process.stdin.write(word + "\n")
        process.stdin.flush()


def _answer(process: "subprocess.Popen[str]", what: str) -> dict[str, float]:
    """The fields of the line `{what: fields}`; ends the benchmark if another thing comes."""
    assert process.stdout is not None
    line = process.stdout.readline()
    fields = json.loads(line).get(what) if line else None
    if not isinstance(fields, dict):
        raise SystemExit(f"density: {process.args!r} did not tell of {what!r}, but: {line!r}")
    return fields
