"""All rounds to one row a subject: medians, and ratios between subjects of the same run."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby

from benchmarks.gateway.run import Measured
from benchmarks.gateway.subjects import DIRECT, PARTS, RAW, US
from benchmarks.gateway.wire import PIECES

IDLE = 0.1
"""Of the subject's core: with more at its most, not the subject was the bottleneck."""
DISTURBED = 0.05
CARRIES = 0.8
"""Of its saturation: at more than that a subject's times are those of its queue."""

Value = Callable[[Measured], float | None]


@dataclass(frozen=True, slots=True)
class Row:
    """The medians of a subject over the rounds; times in milliseconds, None where it had nothing.

    *most*: answers a second, at its best number of connections; *idle*: of its core meanwhile.
    *cpu_us*: of an answer then, *core*: so many answers a second a core is good for, by that.
    *own*, *common*: median and 99th percentile of the time to the first piece, at a tenth of its
    most and at the rate that all get. *piece*: of the way of a paced piece, *piece_cpu_us*: its CPU
    time. *failed*: answers that were not whole, in all rounds. *disturbed*: there was
    no quiet measurement of some kind.
    """

    subject: str
    rounds: int
    most: float
    connections: float
    idle: float
    cpu_us: float | None
    own_rate: float
    own: tuple[float | None, float | None]
    common_rate: float
    common: tuple[float | None, float | None]
    piece: tuple[float | None, float | None]
    piece_cpu_us: float | None
    rss_mb: float
    failed: int
    disturbed: bool

    @property
    def core(self) -> float | None:
        """Answers a second of one core, by its CPU time."""
        return 1e6 / self.cpu_us if self.cpu_us else None

    @property
    def carries(self) -> bool:
        """Whether the common rate is one that it carries."""
        return self.common_rate <= CARRIES * self.most


def rows(measured: Sequence[Measured]) -> list[Row]:
    """One row a subject, in the order in which they were first measured.

    A measurement that other load disturbed counts only where there is no other of its kind: by
    what others took of the cores, not by what came out. So does one of a subject that had ended, or
    did not answer at all. Answers that were not whole always count.
    """
    names = dict.fromkeys(it.subject for it in measured)
    return [_row([it for it in measured if it.subject == name]) for name in names]


def disturbed(it: Measured) -> bool:
    """Whether others had so much of a core that times and rates may be their doing."""
    return max(it.taken, it.own_taken) > DISTURBED


def _quiet(its: Sequence[Measured]) -> list[Measured]:
    answered = [it for it in its if it.finished] or list(its)
    return [it for it in answered if not disturbed(it)] or answered


def _row(mine: Sequence[Measured]) -> Row:
    closed = _quiet([it for it in mine if it.kind == "closed"])
    rounds = {number: list(its) for number, its in groupby(closed, key=lambda it: it.round)}
    best = [max(its, key=lambda it: it.rate) for its in rounds.values()]
    own, common, paced = (
        _quiet([it for it in mine if it.kind == kind]) for kind in ("own", "common", "paced")
    )
    piece_us = _median(paced, lambda it: it.cpu_us)
    return Row(
        mine[0].subject,
        len(rounds),
        most=statistics.median(it.rate for it in best),
        connections=statistics.median(it.level for it in best),
        idle=statistics.median(it.idle for it in best),
        cpu_us=_median(best, lambda it: it.cpu_us),
        own_rate=statistics.median(it.level for it in own) if own else 0.0,
        own=_both(own, lambda it: it.first_ms),
        common_rate=statistics.median(it.level for it in common),
        common=_both(common, lambda it: it.first_ms),
        piece=_both(paced, lambda it: it.piece_ms),
        piece_cpu_us=None if piece_us is None else piece_us / PIECES,
        rss_mb=max(it.rss_mb for it in mine),
        failed=sum(it.failed for it in mine),
        disturbed=any(map(disturbed, [*closed, *own, *common, *paced])),
    )


def _median(its: Sequence[Measured], value: Value) -> float | None:
    """Of the rounds that have it; zero is what the upstream itself has, which has no subject."""
    known = [it for it in map(value, its) if it]
    return statistics.median(known) if known else None


def _both(
    its: Sequence[Measured], pair: Callable[[Measured], Sequence[float | None]]
) -> tuple[float | None, float | None]:
    return _median(its, lambda it: pair(it)[0]), _median(its, lambda it: pair(it)[1])


def verdicts(table: Sequence[Row]) -> list[str]:
    """What the rows come to."""
    by_name = {row.subject: row for row in table}
    ours, told = by_name.get(US), list[str]()
    for row in table:
        if ours is not None and ours.cpu_us and row.cpu_us and row.subject not in {US, DIRECT}:
            told.append(
                f"{US} takes {ours.cpu_us / row.cpu_us:.2f} of {row.subject}'s CPU time for an "
                f"answer, and serves {ours.most / row.most:.2f} times as many a second"
            )
    raw, direct, parts = (by_name.get(name) for name in (RAW, DIRECT, PARTS))
    if ours and raw and parts and ours.cpu_us and raw.cpu_us and parts.cpu_us:
        told.append(
            f"of {US}'s {ours.cpu_us:,.0f} us for an answer of {PIECES} pieces, {raw.cpu_us:,.0f} "
            f"are what a bare relay takes, {parts.cpu_us - raw.cpu_us:,.0f} more its server, its "
            f"client and its codec, {ours.cpu_us - parts.cpu_us:,.0f} more what makes it a "
            "gateway: routing, the machine that goes on elsewhere, limits, counters"
        )
    if raw is not None and direct is not None and raw.idle > IDLE:
        told.append(
            f"the clients and the upstream carry {direct.most:,.0f} answers a second by "
            f"themselves: {RAW} left {raw.idle:.0%} of its core idle, so its CPU time is what "
            f"counts, not its rate"
        )
    told += [
        f"{row.subject} does not carry {row.common_rate:g} requests a second: its times at that "
        f"rate are those of its queue"
        for row in table
        if not row.carries
    ]
    told += [f"{row.subject}: {row.failed} answers were not whole" for row in table if row.failed]
    if any(row.disturbed for row in table):
        told.append(
            "some measurements were disturbed by other load on their cores: believe ratios of CPU "
            "time, not rates and times"
        )
    return told


def markdown(table: Sequence[Row], caption: str) -> str:
    """The rows as a table for a page."""
    direct = next((row for row in table if row.subject == DIRECT), None)
    head = (
        "| subject | answers/s | core idle | CPU us per answer | answers/s per core | first piece "
        "ms at 10 %, p50 / p99 | first piece ms, p50 / p99 | added | paced piece ms, p50 / p99 | "
        "added p99 | CPU us per paced piece | RSS MB |\n" + "|---" * 12 + "|\n"
    )
    lines = (_line(row, direct) for row in table)
    verdict = "".join(f"- {line}\n" for line in verdicts(table))
    return f"{head}{''.join(lines)}\n{verdict}\n{caption}\n"


def _line(row: Row, direct: Row | None) -> str:
    base = direct if direct is not None and direct is not row else None
    added = [_less(it, base.common[i] if base else None) for i, it in enumerate(row.common)]
    cells = (
        row.subject,
        f"{row.most:,.0f}",
        f"{row.idle:.0%}" if row.cpu_us else "",
        _number(row.cpu_us, "{:,.0f}"),
        _number(row.core, "{:,.0f}"),
        f"{_pair(row.own)} ({row.own_rate:,.0f}/s)",
        _pair(row.common),
        " / ".join(_number(it, "{:.2f}") for it in added) if base else "",
        _pair(row.piece),
        _number(_less(row.piece[1], base.piece[1]) if base else None, "{:.2f}"),
        _number(row.piece_cpu_us, "{:.0f}"),
        f"{row.rss_mb:.0f}" if row.cpu_us else "",
    )
    return f"| {' | '.join(cells)} |\n"


def _less(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _pair(pair: tuple[float | None, float | None]) -> str:
    return f"{_number(pair[0], '{:.2f}')} / {_number(pair[1], '{:.2f}')}"


def _number(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)
