"""A small picture of the density runs, as SVG, by hand: one picture needs no plotting library."""

import math
from collections.abc import Callable, Mapping, Sequence
from html import escape

from benchmarks.density.compare import Row
from benchmarks.density.run import BEHIND_S
from benchmarks.failover import judge
from benchmarks.gateway.compare import Row as Gateway

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 260, 52, 56, 64
_COLOURS = {
    "trunkline": "#1f5fa8",
    "livekit": "#b3471d",
    "livekit-retry": "#e0a080",
    "pipecat": "#5a7d2b",
    "litellm": "#8a5aa8",
    "tensorzero": "#5a7d2b",
    "portkey": "#b3471d",
}
_OTHER = "#888"
_PANELS: tuple[tuple[str, Callable[[Row], float], float], ...] = (
    ("CPU-seconds per call-second", lambda row: row.cpu_s_per_call_s, 1e-4),
    ("frame lag p99, ms", lambda row: row.lag_ms_p99, 0.1),
)
"""Title, value, and the least value that the logarithm is taken of."""


def density(rows: Sequence[Row], caption: str) -> str:
    """CPU time and lag over the number of calls, one panel each, all axes logarithmic.

    A hollow point fell behind.
    """
    names = sorted({row.subject for row in rows})
    width = (_WIDTH - 2 * _LEFT - _GAP) / 2
    body = [
        f'<text x="{_LEFT}" y="18" font-weight="bold">Calls on one core</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT + 24}" fill="#666">{escape(caption)}; '
        f"hollow: fell behind</text>",
    ]
    for number, name in enumerate(names):
        x = _LEFT + 140 + number * 120
        body.append(f'<text x="{x}" y="18" fill="{_colour(name)}">{escape(name)}</text>')
    for number, (title, value, least) in enumerate(_PANELS):
        left = _LEFT + number * (width + _GAP)
        lines = {
            name: [
                (row.calls, max(value(row), least), row.behind)
                for row in rows
                if row.subject == name
            ]
            for name in names
        }
        body += _panel(title, lines, left, width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + 34}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" '
        f'fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(
    title: str, lines: dict[str, list[tuple[int, float, bool]]], left: float, width: float
) -> list[str]:
    bottom = _HEIGHT - 20
    points = [point for line in lines.values() for point in line]
    x_of = _scale([float(calls) for calls, _, _ in points], left, left + width)
    y_of = _scale([value for _, value, _ in points], bottom, _TOP)
    drawn = [
        f'<text x="{left}" y="{_TOP - 10}">{title}</text>',
        f'<path d="M{left} {_TOP}V{bottom}H{left + width}" fill="none" stroke="#999"/>',
    ]
    values = [value for _, value, _ in points]
    marks = {min(values), max(values)}
    if title.endswith("ms") and min(values) < BEHIND_S * 1000 < max(values):
        marks.add(BEHIND_S * 1000)
        y = y_of(BEHIND_S * 1000)
        drawn.append(f'<path d="M{left} {y:.1f}h{width}" stroke="#ccc" stroke-dasharray="4 3"/>')
    drawn += [
        f'<text x="{left - 4}" y="{y_of(mark) + 4:.1f}" text-anchor="end">{_short(mark)}</text>'
        for mark in sorted(marks)
    ]
    drawn += [
        f'<text x="{x_of(calls):.1f}" y="{bottom + 13}" text-anchor="middle">{calls}</text>'
        for calls in _apart({calls for calls, _, _ in points})
    ]
    for name, line in lines.items():
        path = " ".join(f"{x_of(calls):.1f},{y_of(value):.1f}" for calls, value, _ in line)
        colour = _colour(name)
        drawn.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>')
        drawn += [
            f'<circle cx="{x_of(calls):.1f}" cy="{y_of(value):.1f}" r="3.5" stroke="{colour}" '
            f'fill="{"#fff" if behind else colour}"/>'
            for calls, value, behind in line
        ]
    return drawn


_SILENCE_S = (0.01, 40.0)
_LINE, _NAMES, _NEVER = 24, 170, 60
_STAGES = {
    "llm": "model: longest silence a caller hears, s",
    "tts": "synthesiser: longest silence, s",
    "stt": "recogniser: words late after the caller's last, s",
}


def failover(stages: Mapping[str, Sequence[judge.Row]], captions: Mapping[str, str]) -> str:
    """Silence by fault and subject, logarithmic, with its range; at the right what never came.

    A hollow point: words were said twice.
    """
    subjects = list(dict.fromkeys(row.subject for rows in stages.values() for row in rows))
    body = [
        f'<text x="{_NAMES + number * 110}" y="18" fill="{_colour(name)}">{escape(name)}</text>'
        for number, name in enumerate(subjects)
    ]
    top = 30.0
    for stage, rows in stages.items():
        here = [name for name in subjects if any(row.subject == name for row in rows)]
        drawn, top = _faults(_STAGES[stage], rows, here, top)
        told = f"{captions[stage]}; hollow: words twice"
        body += [*drawn, f'<text x="10" y="{top}" fill="#666">{escape(told)}</text>']
        top += 16
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {top:.0f}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" '
        f'fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _faults(
    title: str, rows: Sequence[judge.Row], subjects: Sequence[str], top: float
) -> tuple[list[str], float]:
    """One panel that begins at *top*, and where it ends."""
    never = _WIDTH - _NEVER / 2
    x_of = _scale(_SILENCE_S, _NAMES, _WIDTH - _NEVER)
    drawn = [f'<text x="10" y="{top + 14}" font-weight="bold">{escape(title)}</text>']
    drawn.append(f'<text x="{never}" y="{top + 14}" text-anchor="middle">rest lost</text>')
    drawn += [
        f'<text x="{x_of(value):.1f}" y="{top + 26}" text-anchor="middle" fill="#666">'
        f"{value:g}</text>"
        for value in (0.01, 0.1, 0.3, 1, 3, 10, 35)
    ]
    top += 32
    faults = list(dict.fromkeys(row.fault for row in rows))
    for number, fault in enumerate(faults):
        y = top + number * _LINE
        shade = "#f4f4f4" if number % 2 == 0 else "#fff"
        drawn.append(f'<rect x="0" y="{y}" width="{_WIDTH}" height="{_LINE}" fill="{shade}"/>')
        drawn.append(f'<text x="10" y="{y + _LINE / 2 + 4}">{escape(fault)}</text>')
        for row in (it for it in rows if it.fault == fault):
            step = _LINE / (len(subjects) + 1)
            at = y + (subjects.index(row.subject) + 1) * step
            drawn += _silence(row, at, x_of, never)
    return drawn, top + len(faults) * _LINE + 12


def _silence(row: judge.Row, y: float, x_of: Callable[[float], float], never: float) -> list[str]:
    low, high = _SILENCE_S
    places = [
        never if value == math.inf else x_of(min(max(value, low), high)) for value in row.silence_s
    ]
    median, least, most = places
    colour = _colour(row.subject)
    fill = "#fff" if row.again[0] else colour
    return [
        f'<path d="M{least:.1f} {y:.1f}H{most:.1f}" stroke="{colour}" stroke-opacity="0.5"/>',
        f'<circle cx="{median:.1f}" cy="{y:.1f}" r="2.6" stroke="{colour}" fill="{fill}"/>',
    ]


_BARS: tuple[tuple[str, Callable[[Gateway], float | None]], ...] = (
    ("answers a second of one core", lambda row: row.core),
    ("first piece, ms (p50)", lambda row: row.common[0]),
    ("on the way of a paced piece, ms (p99)", lambda row: row.piece[1]),
)


def gateway(rows: Sequence[Gateway], caption: str) -> str:
    """A bar a subject in three panels; what is not known has none."""
    left, width, height = 90.0, 190.0, 18
    bottom = 34 + len(rows) * height
    body = [
        f'<text x="10" y="{bottom + 22}" fill="#666">{escape(caption)}; '
        "bars are logarithmic</text>",
        *(
            f'<text x="10" y="{46 + number * height}" fill="{_colour(row.subject)}">'
            f"{escape(row.subject)}</text>"
            for number, row in enumerate(rows)
        ),
    ]
    for place, (title, value) in enumerate(_BARS):
        start = left + place * (width + 20)
        body.append(f'<text x="{start}" y="24" font-weight="bold">{title}</text>')
        known = [(number, row, it) for number, row in enumerate(rows) if (it := value(row))]
        if not known:
            continue
        length = _scale([it for _, _, it in known], 8, width - 48)
        for number, row, it in known:
            y = 34 + number * height
            body.append(
                f'<rect x="{start}" y="{y}" width="{length(it):.1f}" height="{height - 5}" '
                f'fill="{_colour(row.subject)}"/>'
                f'<text x="{start + length(it) + 4:.1f}" y="{y + 11}">{_short(it)}</text>'
            )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {bottom + 32}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" '
        f'fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _scale(values: Sequence[float], start: float, end: float) -> Callable[[float], float]:
    """Where a value lies between *start* and *end*, by its logarithm."""
    low, high = math.log(min(values)), math.log(max(values))
    span = high - low or 1.0
    return lambda value: start + (end - start) * (math.log(value) - low) / span


def _apart(calls: set[int]) -> list[int]:
    """Those that are far enough apart to be written below an axis."""
    kept: list[int] = []
    for number in sorted(calls):
        if not kept or number >= 1.4 * kept[-1]:
            kept.append(number)
    return kept


def _short(value: float) -> str:
    """Two digits that count, without an exponent."""
    return f"{float(f'{value:.2g}'):g}"


def _colour(name: str) -> str:
    return _COLOURS.get(name, _OTHER)
