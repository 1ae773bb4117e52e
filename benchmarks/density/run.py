"""One run: a subject on one core, its callers on another, and what both of them saw, joined."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from typing_extensions import override

from benchmarks.density import cores
from benchmarks.density.subject import CYCLE_S, FRAME_S

BEHIND_S = FRAME_S
"""A frame that is later than one frame, in one of a hundred: the subject falls behind."""
SETTLE_S = 2.0
"""After the last call was dialled."""
_ROOT = Path(__file__).parents[2]

Lines = Mapping[str, Mapping[str, Sequence[float] | Sequence[Sequence[float]]]]
Arrivals = Mapping[str, tuple[list[int], list[float]]]


@dataclass(frozen=True, slots=True)
class Subject:
    """*command* is given a folder; *path*: where it finds its modules, before the benchmark's."""

    name: str
    command: tuple[str, ...]
    path: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Density:
    """One run, as the callers saw it; times in milliseconds.

    *lag*: from a frame's writing to the subject's ear. *late*: an agent's packet, after the phone
    had played all that came before (below zero: what was in hand). *reply*: from the end of the
    caller's speech to the agent's first audio. *frames_lost*: later ones came, these did not.
    The cores: what others took of the subject's, and of the callers'.
    """

    subject: str
    calls: int
    calls_lost: int
    cpu_s_per_call_s: float
    lag_ms_p50: float
    lag_ms_p99: float
    late_ms_p50: float
    late_ms_p99: float
    reply_ms_p50: float
    rss_mb: float
    rss_mb_per_call: float
    agent_share: float
    replies_share: float
    disk_kb_per_call_s: float
    frames_lost: int
    core: cores.Use
    callers_core: cores.Use

    @property
    def behind(self) -> bool:
        """Whether the subject cannot carry so many."""
        lost = self.frames_lost + self.calls_lost > 0
        return lost or self.lag_ms_p99 > BEHIND_S * 1000 or self.late_ms_p99 > 0

    @property
    def disturbed(self) -> bool:
        """Whether other load had so much of a core that the lags may be its own."""
        return self.core.disturbed or self.callers_core.disturbed


def run(subject: Subject, calls: int, seconds: float) -> Density:
    """*calls* at once for *seconds*, after one cycle of dialling, and `SETTLE_S`."""
    on, off = cores.two()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with _process([*subject.command, name], on, subject.path) as tested:
            ready = _answer(tested, "ready")
            load = [sys.executable, "-m", "benchmarks.density.load"]
            load += [str(ready["port"]), str(ready["path"]), str(calls), name]
            with _process(load, off) as callers:
                time.sleep(CYCLE_S + SETTLE_S)
                disk, watch = _disk_bytes(folder), cores.Watch(on, off)
                _say("begin", tested, callers)
                time.sleep(seconds)
                ticks, disk = watch.stop(), _disk_bytes(folder) - disk
                _say("end", tested, callers)
                cost, told = _answer(tested, "cost"), _answer(callers, "load")
        lines = json.loads((folder / "lines.json").read_text())
        arrivals = json.loads((folder / "arrivals.json").read_text())
    if not arrivals:
        raise SystemExit(f"density: no frame of {calls} calls reached {subject.name}")
    return _joined(subject.name, calls, cost, told, ticks, disk, lines, arrivals)


def _joined(
    name: str,
    calls: int,
    cost: Mapping[str, float],
    told: Mapping[str, float],
    ticks: tuple[cores.Ticks, cores.Ticks],
    disk_bytes: int,
    lines: Lines,
    arrivals: Arrivals,
) -> Density:
    begin, end = cost["begin"], cost["end"]
    wall_s = end - begin
    lags, lost = _lags(lines, arrivals, begin, end)
    packets = _within([p for line in lines.values() for p in line["packets"]], begin, end, 3)
    replies = _within([r for line in lines.values() for r in line["replies"]], begin, end, 2)
    late = packets[:, 2][~np.isnan(packets[:, 2])]
    return Density(
        name,
        calls,
        calls_lost=calls - len(arrivals) + int(told["lost"]),
        cpu_s_per_call_s=cost["cpu_s"] / wall_s / calls,
        lag_ms_p50=_quantile_ms(lags, 0.5),
        lag_ms_p99=_quantile_ms(lags, 0.99),
        late_ms_p50=_quantile_ms(late, 0.5),
        late_ms_p99=_quantile_ms(late, 0.99),
        reply_ms_p50=_quantile_ms(replies[:, 1], 0.5),
        rss_mb=cost["rss_mb"],
        rss_mb_per_call=(cost["rss_mb"] - cost["rss_idle_mb"]) / calls,
        agent_share=float(packets[:, 1].sum()) / wall_s / calls,
        replies_share=len(replies) / (calls * wall_s / CYCLE_S),
        disk_kb_per_call_s=disk_bytes / 1000 / wall_s / calls,
        frames_lost=lost,
        core=ticks[0].use(wall_s, cost["cpu_s"]),
        callers_core=ticks[1].use(wall_s, told["cpu_s"]),
    )


def _lags(
    lines: Lines, arrivals: Arrivals, begin: float, end: float
) -> tuple[NDArray[np.float64], int]:
    """Of every frame that was sent in the window, and how many of those were lost.

    A frame that is still on its way is as late as it is old by now: at least that.
    """
    lags, lost = [], 0
    for stream, line in lines.items():
        sent = np.array(line["sent"])
        numbers, times = arrivals.get(stream, ([], []))
        came = np.full(len(sent), np.inf)
        known = np.array(numbers, int)
        came[known[known < len(sent)]] = np.array(times)[known < len(sent)]
        window = (sent >= begin) & (sent < end)
        gone = np.isinf(came) & (np.arange(len(sent)) < (known.max() if known.size else 0))
        lost += int((gone & window).sum())
        lags.append((np.minimum(came, end) - sent)[window & ~gone])
    return np.concatenate(lags), lost


def _within(rows: list[object], begin: float, end: float, columns: int) -> NDArray[np.float64]:
    table = np.array(rows, float).reshape(-1, columns)
    return table[(table[:, 0] >= begin) & (table[:, 0] < end)]


def _quantile_ms(values: NDArray[np.float64], share: float) -> float:
    """A value that occurred, not a mean of two; 0 where nothing was to be seen."""
    if not values.size:
        return 0.0
    return float(np.quantile(values, share, method="higher")) * 1000


def _disk_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _process(
    command: Sequence[str], core: int | None, path: Sequence[str] = ()
) -> "subprocess.Popen[str]":
    inherited = [it for it in [os.environ.get("PYTHONPATH", "")] if it]
    environment = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join([*path, str(_ROOT), *inherited]),
        "OMP_NUM_THREADS": "1",  # there is one core for all threads of a subject
        "LOGURU_LEVEL": "ERROR",  # Pipecat greets when it is imported
    }
    pin = None if core is None else partial(os.sched_setaffinity, 0, [core])
    return _Child(
        command,
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
        with suppress(BrokenPipeError):  # what it was never told is still buffered
            super().__exit__(None, None, None)


def _say(word: str, *processes: "subprocess.Popen[str]") -> None:
    for process in processes:
        assert process.stdin is not None
        with suppress(BrokenPipeError):  # of one that is gone there will be no answer
            process.stdin.write(word + "\n")
            process.stdin.flush()


def _answer(process: "subprocess.Popen[str]", what: str) -> dict[str, float]:
    """The fields of the line `{what: fields}`; ends the benchmark if another thing comes."""
    assert process.stdout is not None
    line = process.stdout.readline()
    fields = json.loads(line).get(what) if line.startswith("{") else None
    if not isinstance(fields, dict):
        raise SystemExit(f"density: {process.args!r} did not tell of {what!r}, but: {line!r}")
    return fields
