"""The worked cases: needs, and the answer that an experienced engineer would defend."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from trunkline.decide import figures, offers
from trunkline.decide.needs import parse_needs
from trunkline.decide.runs import measured, parse_run
from trunkline.decide.study import Study, decide

FOLDER = Path(__file__).parent / "cases"
CASES = sorted(path.stem for path in FOLDER.glob("*.yaml"))


@dataclass(frozen=True)
class Expected:
    """What must come out: the topology, whether a constraint forced it, words of the reasons."""

    picked: str | None
    forced: bool
    because: list[str]
    options: dict[str, str]
    out: list[str]


def expected(name: str) -> Expected:
    """What the case *name* says must come out."""
    told: dict[str, Any] = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))["expect"]
    return Expected(
        told["picked"],
        told["forced"],
        told["because"],
        told.get("options", {}),
        told.get("out", []),
    )


def study(name: str, seed: int = 1) -> Study:
    """The decision for the needs of the case *name*."""
    told = yaml.safe_load((FOLDER / f"{name}.yaml").read_text("utf-8"))
    needs = parse_needs(json.dumps(told["needs"]), name)
    runs = [(f"{name}.yaml", parse_run(json.dumps(it), name)) for it in told.get("runs", [])]
    catalogue, known = figures.shipped(), offers.shipped()
    return decide(needs, catalogue, known, measured(runs, needs), seed)
