"""A small picture of the density runs, as SVG, by hand: one picture needs no plotting library."""

import math
from collections.abc import Callable, Sequence
from html import escape

from benchmarks.density.compare import Row
from benchmarks.density.run import BEHIND_S

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 720, 260, 52, 56, 64
_COLOURS = {"trunkline": "#1f5fa8", "livekit": "#b3471d", "pipecat": "#5a7d2b"}
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
