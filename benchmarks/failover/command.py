"""`python -m benchmarks failover`: the whole comparison, its table and its picture."""

import argparse
import asyncio
import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks import machine, plot
from benchmarks.failover import run, speech, table
from benchmarks.failover.judge import Outcome, Row, rows

STAGES = ("llm", "tts", "stt")
FAULTS: Mapping[str, Sequence[str]] = {
    "llm": list(run.FAULTS),
    "tts": list(speech.FAULTS),
    "stt": list(speech.FAULTS),
}


def main(arguments: Sequence[str], results: Path) -> None:
    """Measure, print, and save to the folder *results* if asked to."""
    given = _arguments(arguments)
    described = machine.describe()
    print("\n".join(f"{name}: {value}" for name, value in described.items()))
    recovery = asyncio.run(run.recovery(given.seed))
    print(f"first sentence of a healthy model: p50 {recovery[0]:.2f} s, p95 {recovery[1]:.2f} s")
    measured: dict[str, Any] = {}
    for stage in given.stages:
        outcomes, loads = list[Outcome](), dict[str, float]()
        for name in [it for it in _subjects(stage) if it in given.subjects]:
            outcomes += _measure(stage, name, given.trials, given.seed)
            loads[name] = round(os.getloadavg()[0], 1)
        measured[stage] = {
            "machine": described,
            "load_after": loads,
            "seed": given.seed,
            "trials": given.trials,
            "first_sentence_s": {"p50": recovery[0], "p95": recovery[1]},
            "outcomes": [_finite(asdict(it)) for it in outcomes],
        }
    saved = results / "failover.json"
    if given.save and saved.is_file():  # what was not measured this time keeps its figures
        measured = merged(json.loads(saved.read_text()), measured)
    made, captions = shown(measured)
    page = table.markdown(made, captions)
    print("\n" + page)
    if given.save:
        results.mkdir(exist_ok=True)
        saved.write_text(json.dumps(measured, indent=1) + "\n")
        (results / "failover.md").write_text(page)
        (results / "failover.svg").write_text(plot.failover(made, captions))


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """*new* over *old*: by stage, and by subject where the trials were the same."""
    both = dict(old) | dict(new)
    for stage, now in new.items():
        before = old.get(stage)
        if before and all(before[it] == now[it] for it in ("seed", "trials")):
            kept = [it for it in before["outcomes"] if it["subject"] not in now["load_after"]]
            outcomes = [*kept, *now["outcomes"]]
            outcomes.sort(key=lambda it: run.NAMES.index(it["subject"]))
            loads = before["load_after"] | now["load_after"]
            both[stage] = {**now, "outcomes": outcomes, "load_after": loads}
    return both


def shown(measured: Mapping[str, Any]) -> tuple[dict[str, list[Row]], dict[str, str]]:
    """Rows and caption of each stage of what was saved."""
    made, captions = dict[str, list[Row]](), dict[str, str]()
    for stage in [it for it in STAGES if it in measured]:
        told = measured[stage]
        machine_told, loads = told["machine"], told["load_after"].values()
        outcomes = [Outcome(**_infinite(it)) for it in told["outcomes"]]
        made[stage] = table.ordered(rows(outcomes), FAULTS[stage])
        captions[stage] = (
            f"{told['trials']} trials of each fault; {machine_told['processor']}, "
            f"{machine_told['cores']} cores, load {min(loads)} to {max(loads)}, "
            f"{machine_told['date']}"
        )
    return made, captions


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks failover", description=__doc__)
    parser.add_argument("--trials", type=int, default=5, help="of each fault, for each subject")
    parser.add_argument("--seed", type=int, default=1, help="of the moments of the faults")
    parser.add_argument("--stages", nargs="+", choices=STAGES, default=STAGES)
    parser.add_argument(
        "--subjects", nargs="+", choices=run.NAMES, default=run.NAMES, help="who is run"
    )
    parser.add_argument("--save", action="store_true", help="write the results")
    given = parser.parse_args(arguments)
    if given.trials < 1:
        parser.error("--trials has to be above zero")
    return given


def _subjects(stage: str) -> Sequence[str]:
    return run.NAMES if stage == "llm" else speech.NAMES


def _measure(stage: str, name: str, times: int, seed: int) -> list[Outcome]:
    print(f"{stage}: {name}")
    sys.stdout.flush()
    if stage == "llm":
        return asyncio.run(run.compare(name, run.trials(times, seed), seed))
    return asyncio.run(speech.compare(name, stage, speech.trials(stage, times, seed)))


def _infinite(fields: Mapping[str, Any]) -> dict[str, Any]:
    return {name: math.inf if value is None else value for name, value in fields.items()}


def _finite(fields: Mapping[str, object]) -> dict[str, object]:
    """JSON has no infinity: null, for what never came."""
    return {
        name: None if value == math.inf else round(value, 4) if isinstance(value, float) else value
        for name, value in fields.items()
    }
