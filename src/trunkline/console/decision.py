"""The offline page of a decision: the answer, cost over volume, tornado, dimensions, evidence."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from jinja2 import Environment, PackageLoader, StrictUndefined

from trunkline.decide.dimensions import ANCHORS, DIMENSIONS
from trunkline.decide.figures import Array
from trunkline.decide.plain import figures
from trunkline.decide.study import Study
from trunkline.decide.words import Answer, minutes, money

WIDTH, HEIGHT, LEFT, BOTTOM = 900.0, 360.0, 64.0, 34.0
USD_MIN, USD_MAX = 0.005, 10.0
"""The axis of dollars a minute, logarithmic: dearer is drawn at its edge."""
BARS = 10


@dataclass(frozen=True, slots=True)
class _Line:
    """One topology: its median as points, its band from p10 to p90 as a polygon."""

    name: str
    colour: int
    median: str
    band: str


@dataclass(frozen=True, slots=True)
class _Tick:
    """A line of the grid."""

    at: float
    text: str


@dataclass(frozen=True, slots=True)
class _Bar:
    """One bar of the tornado, in percent of the widest."""

    figure: str
    left: float
    width: float
    low: str
    high: str


def render(study: Study, told: Answer, today: date) -> str:
    """One self-contained page; everything from files is escaped."""
    return _ENVIRONMENT.get_template("decide.html.j2").render(
        study=study,
        told=told,
        today=today.isoformat(),
        lines=_lines(study),
        across=_volumes(study),
        up=[_Tick(_y(usd), money(usd)) for usd in (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)],
        here=_x(study, study.needs.traffic.minutes_per_month) if study.curves else None,
        bars=_bars(study),
        dimensions=[(name, ANCHORS[name]) for name in DIMENSIONS],
        rows=sorted(study.judged, key=lambda it: float(np.mean(it.cost.total_usd))),
        median=np.median,
        figures=figures(study, today),
        platforms=_platforms(study),
        minutes=minutes,
        money=money,
        px={"width": WIDTH, "height": HEIGHT, "left": LEFT, "bottom": HEIGHT - BOTTOM},
    )


def _platforms(study: Study) -> Sequence[object]:
    """What voice platforms ask all in, for comparison: they are no option of a stage."""
    if study.setting is None:
        return []
    known = study.setting.catalogue.figures
    return [known[name] for name in sorted(known) if name.startswith("platform.")]


def _lines(study: Study) -> Sequence[_Line]:
    found = []
    for number, curve in enumerate(study.curves):
        xs = [_x(study, float(it)) for it in curve.minutes]
        low, mid, high = (_points(xs, row) for row in curve.bands)
        found.append(
            _Line(curve.topology.name, number % 6, " ".join(mid), " ".join(low + high[::-1]))
        )
    return found


def _points(xs: Sequence[float], usd: Array) -> list[str]:
    return [f"{x:.1f},{_y(float(it)):.1f}" for x, it in zip(xs, usd, strict=True)]


def _x(study: Study, volume: float) -> float:
    axis = study.curves[0].minutes
    share = math.log(volume / axis[0]) / math.log(axis[-1] / axis[0])
    return LEFT + share * (WIDTH - LEFT - 24)  # room for the last tick


def _y(usd: float) -> float:
    held = min(max(usd, USD_MIN), USD_MAX)
    share = math.log(held / USD_MIN) / math.log(USD_MAX / USD_MIN)
    return (HEIGHT - BOTTOM) * (1 - share)


def _volumes(study: Study) -> Sequence[_Tick]:
    if not study.curves:
        return []
    axis = study.curves[0].minutes
    tens = [10.0**n for n in range(3, 9) if axis[0] <= 10**n <= axis[-1]]
    return [_Tick(_x(study, it), minutes(it)) for it in tens]


def _bars(study: Study) -> Sequence[_Bar]:
    shown = study.tornado[:BARS]
    if not shown:
        return []
    ends = [end for it in shown for end in (it.low_usd, it.high_usd)]
    least, span = min(ends), (max(ends) - min(ends)) or 1.0
    return [
        _Bar(
            it.figure,
            100 * (min(it.low_usd, it.high_usd) - least) / span,
            100 * it.width / span,
            f"{it.low_usd:+.4f}",
            f"{it.high_usd:+.4f}",
        )
        for it in shown
    ]


_ENVIRONMENT = Environment(
    loader=PackageLoader("trunkline.console"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
