"""The report of runs: one HTML page that needs no network, and the same in Markdown.

Names of subjects and words of faults come from outside: Jinja2 escapes them in the page; in
Markdown, what would break a table is taken out.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trunkline.bench.figures import Figures, Run, fair, observed
from trunkline.measure.intervals import Estimate, estimate

WIDTH, HEIGHT, LEFT, BOTTOM = 720, 300, 44, 26
LEVELS = (*(it / 50 for it in range(1, 50)), 0.99, 0.995, 0.999)
"""Where a curve of the picture has its points."""
COLOURS = ("#0b6bcb", "#c4320a", "#2d7d46", "#8a3ffc", "#b58900", "#555555")
UNITS = {
    "ttft_s": ("time to first token", "s"),
    "gap_s": ("gap", "s"),
    "tokens_per_s": ("speed", "/s"),
}
FILES = ("report.html", "report.md")


@dataclass(frozen=True, slots=True)
class Curve:
    """One subject's share of turns that were answered by then: SVG paths, the band behind it."""

    name: str
    colour: str
    line: str
    band: str


def write(runs: Sequence[Run], folder: Path) -> Sequence[Path]:
    """Write `FILES` into *folder*."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / name for name in FILES]
    for path, text in zip(paths, (page(runs), markdown(runs)), strict=True):
        path.write_text(text, "utf-8")
    return paths


def markdown(runs: Sequence[Run]) -> str:
    """Tables, one row a subject and metric."""
    lines = [f"# {_title(runs)}"]
    for run in runs:
        lines += ["", f"## {_plain(run.folder.name)}", "", *_notes(run), ""]
        lines += [f"| {' | '.join(HEADS)} |", "|" + "---|" * len(HEADS)]
        lines += [f"| {' | '.join(map(_plain, row))} |" for it in run.figures for row in rows(it)]
        if warnings := _warnings(run):
            lines += ["", *(f"**Not valid.** {_plain(it)}" for it in warnings)]
    return "\n".join(lines) + "\n"


def page(runs: Sequence[Run]) -> str:
    """The page."""
    loader = PackageLoader("trunkline.console")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    marks, curves = _picture(runs)
    return made.get_template("bench.html.j2").render(
        title=_title(runs),
        heads=HEADS,
        runs=[
            {
                "name": run.folder.name,
                "notes": _notes(run),
                "warnings": _warnings(run),
                "rows": [row for it in run.figures for row in rows(it)],
            }
            for run in runs
        ],
        curves=curves,
        marks=marks,
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        bottom=BOTTOM,
    )


HEADS = ("subject", "what", "percentile", "value", "95 % interval", "turns", "as good as", "blocks")


def rows(of: Figures) -> Sequence[Sequence[str]]:
    """A subject's rows under `HEADS`."""
    found: list[Sequence[str]] = []
    for metric, estimates in of.estimates.items():
        what, unit = UNITS[metric]
        found += [_row(of.subject, what, unit, it) for it in estimates]
    for kind, estimates in of.kinds.items():
        what, unit = UNITS["ttft_s"]
        found += [_row(of.subject, f"{what}, {kind}", unit, it) for it in estimates if it.value]
    lost = sum(of.faults.values())
    told = ", ".join(f"{name} {count}" for name, count in of.faults.items()) or "none"
    found.append((of.subject, "failed turns", "", str(lost), told, str(of.counted), "", ""))
    ours = ", ".join(f"{name} {count}" for name, count in of.spoiled.items()) or "none"
    left = str(of.turns - of.counted)
    found.append((of.subject, "left out, spoiled by us", "", left, ours, str(of.turns), "", ""))
    return found


def _row(subject: str, what: str, unit: str, it: Estimate) -> Sequence[str]:
    name = f"p{100 * it.p:g}"
    if it.value is None or it.low is None or it.high is None:
        return (subject, what, name, "not estimable", it.why, str(it.n), "", str(it.blocks))
    between = f"{_number(it.low)} to {_number(it.high)}{' (rough)' if it.rough else ''}"
    value = f"{_number(it.value)} {unit}" if math.isfinite(it.value) else "failed"
    return (subject, what, name, value, between, str(it.n), f"{it.n_eff:.0f}", str(it.blocks))


def _number(value: float) -> str:
    return f"{value:.3g}" if math.isfinite(value) else "failed"


def _title(runs: Sequence[Run]) -> str:
    return (
        f"Measured: {', '.join(dict.fromkeys(_plain(f.subject) for r in runs for f in r.figures))}"
    )


def _notes(run: Run) -> Sequence[str]:
    told = run.manifest
    return [
        f"Began {told['began']}, {told['how']}. For each subject {told['blocks']} blocks of "
        f"{told['block_s']:g} s, {told['calls_per_block']:g} calls in each, seed {told['seed']}. "
        "Times are from when the caller wanted the answer; a turn that failed is infinitely late. "
        "'As good as': so many independent turns would tell as much. 'Rough': under 56 blocks."
    ]


def _warnings(run: Run) -> Sequence[str]:
    return [f"{it.subject}: {why}" for it in run.figures for why in it.invalid]


def _plain(text: str) -> str:
    """Text that stays inside its cell of a Markdown table."""
    return " ".join(text.replace("|", "/").replace("<", "(").replace("`", "'").split())


def _picture(runs: Sequence[Run]) -> tuple[Sequence[tuple[float, str]], Sequence[Curve]]:
    """The marks of the axis (x, label), and a curve for each subject of each run."""
    found: list[tuple[str, list[Estimate]]] = []
    for run in runs:
        for subject, turns in run.turns.items():
            seen = observed(fair(turns), "ttft_s")
            of = [it for p in LEVELS if (it := estimate(seen, p)).value]
            name = subject if len(runs) == 1 else f"{run.folder.name}: {subject}"
            found.append((name, of))
    ends = [v for _, of in found for it in of for v in (it.low, it.high) if v and math.isfinite(v)]
    if not ends:
        return [], []
    low, high = math.log10(min(ends)), math.log10(max(ends))
    wide = max(high - low, 0.1)

    def at(value: float | None, p: float) -> str:
        near = min(max(math.log10(value), low), high) if value and value < math.inf else high
        x = LEFT + (near - low) / wide * (WIDTH - LEFT - 8)
        return f"{x:.1f} {(1 - p) * (HEIGHT - BOTTOM):.1f}"

    curves = []
    for number, (name, of) in enumerate(found):
        line = [at(it.value, it.p) for it in of if it.value and math.isfinite(it.value)]
        band = [at(it.low, it.p) for it in of] + [at(it.high, it.p) for it in reversed(of)]
        colour = COLOURS[number % len(COLOURS)]
        curves.append(Curve(name, colour, "M" + "L".join(line), "M" + "L".join(band) + "Z"))
    values = [m * 10.0**e for e in range(-4, 4) for m in (1, 2, 5)]
    inside = [it for it in values if low <= np.log10(it) <= high]
    return [(float(at(it, 0).split()[0]), f"{it:g} s") for it in inside], curves
