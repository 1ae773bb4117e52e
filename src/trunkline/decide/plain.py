"""A study as plain data, for `--json`."""

import math
from collections.abc import Sequence
from dataclasses import asdict
from datetime import date

import numpy as np

from trunkline.decide.costs import VOLUME
from trunkline.decide.dimensions import ANCHORS
from trunkline.decide.figures import Array
from trunkline.decide.study import Judged, Study
from trunkline.decide.words import Answer


def as_data(study: Study, told: Answer, today: date) -> dict[str, object]:
    """Everything that the page and the report say; infinities are null."""
    picked = study.picked
    return {
        "version": 1,
        "name": study.needs.name,
        "seed": study.seed,
        "recommendation": None if picked is None else picked.name,
        "default": None if study.baseline is None else study.baseline.name,
        "forced": study.forced,
        "answer": asdict(told),
        "lines_p05_p50_p95": study.lines,
        "topologies": [_topology(it) for it in study.judged],
        "eliminated": [asdict(it) for it in study.choice.eliminated],
        "too_dear": [{"topology": n, "at_least_usd_per_minute": p} for n, p in study.too_dear],
        "break_even": [
            {
                "topology": it.topology.name,
                "minutes_p10_p50_p90": [_finite(v) for v in it.minutes],
                "never": it.never,
            }
            for it in study.break_even
        ],
        "tornado": [asdict(it) for it in study.tornado],
        "worth_of_knowing_all_usd": study.know_all_usd,
        "worth_of_knowing": [asdict(it) for it in study.know],
        "figures": figures(study, today),
        "anchors": {name: asdict(it) for name, it in ANCHORS.items()},
    }


def figures(study: Study, today: date) -> Sequence[dict[str, object]]:
    """Every figure that was used, with its evidence and age."""
    if study.draws is None:
        return []
    found = []
    for name in study.used:
        it = study.draws.figure(name)
        found.append(
            {
                "id": name,
                "value": it.value,
                "low": it.low,
                "high": it.high,
                "unit": it.unit,
                "source": it.source,
                "date": None if it.date is None else it.date.isoformat(),
                "age_days": it.age_days(today),
                "stale": name != VOLUME and it.stale(today),
                "assumed": it.assumed,
            }
        )
    return found


def _topology(it: Judged) -> dict[str, object]:
    cost = it.cost
    return {
        "name": it.name,
        "options": {stage: option.name for stage, option in cost.topology.options.items()},
        "usd_per_minute": _three(cost.per_minute_usd),
        "total_usd": _three(cost.total_usd),
        "month_usd": {part: _three(usd) for part, usd in cost.month_usd.items()},
        "upfront_usd": _three(cost.upfront_usd),
        "gpus": _three(cost.gpus),
        "hours_month": _three(cost.hours),
        "hired": _three(cost.hired),
        "pages_month": _three(cost.pages),
        "weeks": _three(cost.weeks),
        "turn_p99_s": _three(it.values["latency"]),
        "cheaper_than_default": it.cheaper,
        "within_slo": it.within_slo,
        "scores": dict(it.scores),
        "value": it.value,
        "best_in_share_of_weightings": it.first,
    }


def _three(values: Array) -> list[float]:
    """p05, p50, p95."""
    return [round(float(v), 6) for v in np.quantile(values, (0.05, 0.5, 0.95))]


def _finite(value: float) -> float | None:
    return round(value) if math.isfinite(value) else None
