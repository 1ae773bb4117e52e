"""The whole comparison: all subjects in turn at the same numbers of calls, then each to its limit.

In turn and several times, so that what else the machine does falls on all alike; medians count.
"""

import statistics
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks.density.run import Density, Subject, run
from benchmarks.density.subjects import BRIDGE, US

LIMITS = {
    US: tuple(range(50, 401, 50)),
    "livekit": (10, 20, 30, 40, 50, 60, 80, 100),
    "pipecat": (5, 10, 15, 20, 25, 30, 40, 50),
}
"""Where a subject's limit is looked for, upwards."""

Told = Callable[[Density], None]


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of one subject at one number of calls. *behind*: in most of its *runs*."""

    subject: str
    calls: int
    runs: int
    behind: bool
    disturbed: bool
    cpu_s_per_call_s: float
    lag_ms_p50: float
    lag_ms_p99: float
    late_ms_p50: float
    late_ms_p99: float
    reply_ms_p50: float
    rss_mb: float
    rss_mb_per_call: float
    agent_share: float


def rounds(
    subjects: Sequence[Subject], calls: Sequence[int], times: int, seconds: float, told: Told
) -> list[Density]:
    """Every subject at every number, so many *times*; LiveKit's bridge, a footnote, once."""
    runs: list[Density] = []
    for turn in range(times):
        for number in calls:
            for subject in subjects:
                if turn == 0 or subject.name != BRIDGE:
                    runs.append(done := run(subject, number, seconds))
                    told(done)
    return runs


def limit(subject: Subject, known: Sequence[Density], seconds: float, told: Told) -> list[Density]:
    """Runs of *subject* at more and more calls, up to the first number that it cannot carry.

    Numbers that are *known* are not run again; a run that fell behind while others had its core
    gets a second chance, or the machine's limit would be taken for the subject's.
    """
    runs: list[Density] = []
    for number in LIMITS.get(subject.name, ()):
        here = [it for it in known if (it.subject, it.calls) == (subject.name, number)]
        while not here or (len(here) == 1 and here[0].behind and here[0].disturbed):
            here.append(done := run(subject, number, seconds))
            runs.append(done)
            told(done)
        if _behind(here):
            break
    return runs


def rows(runs: Iterable[Density]) -> list[Row]:
    """The medians, by subject and number of calls."""
    groups: dict[tuple[str, int], list[Density]] = {}
    for it in runs:
        groups.setdefault((it.subject, it.calls), []).append(it)
    return [_row(groups[key]) for key in sorted(groups)]


def verdicts(table: Sequence[Row]) -> list[str]:
    """What the rows come to: our share of each peer's CPU time, and each subject's limit."""
    by_key = {(row.subject, row.calls): row for row in table}
    told = []
    for row in table:
        ours = by_key.get((US, row.calls))
        if ours is not None and row.subject != US:
            share = ours.cpu_s_per_call_s / row.cpu_s_per_call_s
            # A peer that fell behind did less than it was asked to.
            least = "at most " if row.behind and not ours.behind else ""
            told.append(
                f"{row.calls} calls: {US} takes {least}{share:.2f} of {row.subject}'s CPU time"
            )
    told += [
        f"{name}: {_limit([row for row in table if row.subject == name])}"
        for name in sorted({row.subject for row in table} - {BRIDGE})
    ]
    if any(row.disturbed for row in table):
        told.append(
            "Some runs were disturbed by other load on their cores: believe their ratios of CPU "
            "time, not their lags and limits."
        )
    return told


def _limit(mine: Sequence[Row]) -> str:
    """The most calls that were carried and the least that were not, as far as was tried."""
    fell = min((row for row in mine if row.behind), key=lambda row: row.calls, default=None)
    carried = [row.calls for row in mine if fell is None or row.calls < fell.calls]
    parts = [f"carries {max(carried)} calls"] if carried else []
    if fell is None:
        parts.append("more were not tried")
    else:
        doubt = " in a disturbed run" if fell.disturbed else ""
        parts.append(f"falls behind at {fell.calls}{doubt}")
    return ", ".join(parts)


def markdown(table: Sequence[Row], caption: str) -> str:
    """The rows as a table for a page."""
    head = (
        "| subject | calls | CPU-s per call-s | lag ms p50 / p99 | late ms p50 / p99 | reply ms |"
        " RSS MB | MB per call | |\n|---|---|---|---|---|---|---|---|---|\n"
    )
    lines = (
        f"| {row.subject} | {row.calls} | {row.cpu_s_per_call_s:.4f} "
        f"| {row.lag_ms_p50:.1f} / {row.lag_ms_p99:.1f} "
        f"| {row.late_ms_p50:.0f} / {row.late_ms_p99:.0f} | {row.reply_ms_p50:.0f} "
        f"| {row.rss_mb:.0f} | {row.rss_mb_per_call:.1f} | {_remarks(row)} |\n"
        for row in table
    )
    verdict = "".join(f"- {line}\n" for line in verdicts(table))
    return f"{head}{''.join(lines)}\n{verdict}\n{caption}\n"


def _remarks(row: Row) -> str:
    remarks = ("falls behind" if row.behind else "", "disturbed" if row.disturbed else "")
    return ", ".join(remark for remark in remarks if remark)


def _behind(runs: Sequence[Density]) -> bool:
    """In more than half of the runs: one hiccup of a machine is not a limit."""
    return 2 * sum(it.behind for it in runs) > len(runs)


def _row(runs: Sequence[Density]) -> Row:
    def median(value: Callable[[Density], float]) -> float:
        return statistics.median(value(it) for it in runs)

    return Row(
        runs[0].subject,
        runs[0].calls,
        len(runs),
        _behind(runs),
        any(it.disturbed for it in runs),
        median(lambda it: it.cpu_s_per_call_s),
        median(lambda it: it.lag_ms_p50),
        median(lambda it: it.lag_ms_p99),
        median(lambda it: it.late_ms_p50),
        median(lambda it: it.late_ms_p99),
        median(lambda it: it.reply_ms_p50),
        median(lambda it: it.rss_mb),
        median(lambda it: it.rss_mb_per_call),
        median(lambda it: it.agent_share),
    )
