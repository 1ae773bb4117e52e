"""Measured load curves: what a server did at each concurrency, in place of a prior."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from trunkline.config.load import parse_as
from trunkline.config.shapes import Model, Text
from trunkline.decide.figures import Figure
from trunkline.decide.needs import Needs, Stage
from trunkline.errors import InputError


class Point(Model):
    """One step of a sweep."""

    concurrency: Annotated[float, Field(gt=0, le=1e6)] = Field(
        description="streams or requests at once, above 0"
    )
    p99_s: Annotated[float, Field(gt=0, le=1e4)] = Field(
        description="seconds to the first useful output at the 99th percentile"
    )


class RunFile(Model):
    """One run of a benchmark against one server."""

    version: Literal[1] = Field(description="1, the version of this format")
    stage: Stage = Field(description="stt, llm or tts")
    model: Text = Field(description="the model that was served")
    server: Text = Field(description="the server and its version, such as vllm 0.33.0")
    gpu: Text = Field(description="the GPU, such as H100")
    gpus: Annotated[int, Field(ge=1, le=10_000)] = Field(default=1, description="how many of them")
    measured_on: Annotated[date, Field(strict=False)] = Field(description="the day, 2026-11-20")
    points: tuple[Point, ...] = Field(description="a list of {concurrency, p99_s}")


@dataclass(frozen=True, slots=True)
class Measured:
    """What the runs say of one stage. *p99_s*: the best p99 that was seen at any concurrency."""

    stage: str
    capacity: Figure
    p99_s: float
    served: str


def parse_run(text: str, path: Path | str) -> RunFile:
    """Check *text*, read from *path*; `InputError` if it holds nothing."""
    run, source = parse_as(RunFile, text, path, "docs/decide.md shows one")
    if not run.points:
        raise source.error(
            ("points",), "the run is empty: it has no points", "Run the sweep again, or leave it"
        )
    return run


def measured(runs: Sequence[tuple[str, RunFile]], needs: Needs) -> Mapping[str, Measured]:
    """Capacity per GPU and stage at `slo.stage_p99_s`; runs are (where from, run).

    The spread runs from the last concurrency that kept the SLO to the first that broke it.
    `InputError` if runs of one stage were made with different versions.
    """
    found: dict[str, Measured] = {}
    for stage in dict.fromkeys(run.stage for _, run in runs):
        of_stage = [(where, run) for where, run in runs if run.stage == stage]
        _of_one_version(stage, of_stage)
        first = of_stage[0][1]
        points = sorted(
            (it.concurrency / run.gpus, it.p99_s) for _, run in of_stage for it in run.points
        )
        found[stage] = Measured(
            stage,
            _capacity(stage, points, needs.slo.stage_p99_s[stage], of_stage),
            min(p99_s for _, p99_s in points),
            f"{first.model} on {first.server}, {first.gpu}",
        )
    return found


def _of_one_version(stage: str, runs: Sequence[tuple[str, RunFile]]) -> None:
    made = {(run.model, run.server, run.gpu): where for where, run in reversed(runs)}
    if len(made) > 1:
        (a, where_a), (b, where_b) = list(made.items())[:2]
        raise InputError(
            f"runs of {stage} are of different versions: {', '.join(a)} in {where_a}, "
            f"{', '.join(b)} in {where_b}. Give the runs of one of them"
        )


def _capacity(
    stage: str,
    points: Sequence[tuple[float, float]],
    slo_s: float,
    runs: Sequence[tuple[str, RunFile]],
) -> Figure:
    """The concurrency per GPU at which p99 crosses *slo_s*, on a line between its neighbours."""
    day = min(run.measured_on for _, run in runs)
    source = "measured: " + ", ".join(where for where, _ in runs)
    broken = next((at for at, (_, p99_s) in enumerate(points) if p99_s > slo_s), None)
    unit = f"at once per {runs[0][1].gpu}, p99 <= {slo_s:g} s"
    if broken == 0:
        raise InputError(
            f"{source}: p99 is {points[0][1]:g} s at {points[0][0]:g} at once per GPU, above "
            f"slo.stage_p99_s.{stage} {slo_s:g}. Measure fewer at once, or allow it more"
        )
    kept = points[-1 if broken is None else broken - 1]
    if broken is None:
        return Figure(f"capacity.{stage}", kept[0], kept[0], kept[0], unit, source, day)
    over = points[broken]
    crossing = kept[0] + (over[0] - kept[0]) * (slo_s - kept[1]) / (over[1] - kept[1])
    return Figure(f"capacity.{stage}", crossing, kept[0], over[0], unit, source, day)
