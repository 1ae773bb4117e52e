"""A small picture of the density runs, as SVG, by hand: one picture needs no plotting library."""

from collections.abc import Mapping, Sequence
from html import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _GAP = 640, 220, 56, 44, 60
_PANELS = (
    ("CPU-seconds per call-second", "cpu_s_per_call_s", "#1f5fa8"),
    ("frame lag p99, ms", "lag_ms_p99", "#b3471d"),
)


def density(runs: Sequence[Mapping[str, object]], machine: Mapping[str, str]) -> str:
    """CPU time and lag over the number of calls, one panel each, both from zero."""
    caption = f"{machine['processor']}, {machine['cores']} cores, {machine['date']}"
    panel_width = (_WIDTH - 2 * _LEFT - _GAP) / 2
    body = [
        f'<text x="{_LEFT}" y="18" font-weight="bold">Calls on one core</text>',
        f'<text x="{_LEFT}" y="{_HEIGHT + 24}" fill="#666">{escape(caption)}</text>',
    ]
    for number, (title, field, colour) in enumerate(_PANELS):
        left = _LEFT + number * (panel_width + _GAP)
        points = [(_number(run["calls"]), _number(run[field])) for run in runs]
        body += _panel(title, points, colour, left, panel_width)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT + 34}" '
        f'font-family="sans-serif" font-size="11">\n<rect width="100%" height="100%" '
        f'fill="#fff"/>\n' + "\n".join(body) + "\n</svg>\n"
    )


def _panel(
    title: str, points: Sequence[tuple[float, float]], colour: str, left: float, width: float
) -> list[str]:
    bottom = _HEIGHT - 20
    right_most, top_most = max(x for x, _ in points), max(y for _, y in points) or 1.0

    def place(x: float, y: float) -> tuple[float, float]:
        return left + width * x / right_most, bottom - (bottom - _TOP) * y / top_most

    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in (place(*point) for point in points))
    drawn = [
        f'<text x="{left}" y="{_TOP - 10}">{title}</text>',
        f'<path d="M{left} {_TOP}V{bottom}H{left + width}" fill="none" stroke="#999"/>',
        f'<polyline points="{line}" fill="none" stroke="{colour}" stroke-width="2"/>',
        f'<text x="{left - 4}" y="{_TOP + 4}" text-anchor="end">{top_most:.3g}</text>',
        f'<text x="{left - 4}" y="{bottom}" text-anchor="end">0</text>',
    ]
    for calls, value in points:
        x, y = place(calls, value)
        drawn.append(f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>')
        if calls >= right_most / 5:
            drawn.append(
                f'<text x="{x:.1f}" y="{bottom + 13}" text-anchor="middle">{calls:g}</text>'
            )
    return drawn


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
