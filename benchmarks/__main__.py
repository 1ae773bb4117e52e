"""`python -m benchmarks`: what the steps of the media path cost, and how many calls a core carries.

Medians and ratios of one run; nothing here fails because a machine is slow.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import costs, density, machine, plot

RESULTS = Path(__file__).parent / "results"
CALLS = (10, 20, 50, 100, 200)


def main() -> None:
    """Measure, print, and save if asked to."""
    given = _arguments()
    told: dict[str, object] = {"machine": machine.describe()}
    print("\n".join(f"{name}: {value}" for name, value in machine.describe().items()))
    if "costs" in given.what:
        steps = costs.measure()
        told["costs"] = [asdict(step) for step in steps]
        _print_costs(steps)
    if "density" in given.what:
        told["density"] = _density(given.calls, given.seconds, given.against)
    if given.json is not None:
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    if given.save:
        _save(told)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what", nargs="*", default=["costs", "density"], help="costs, density, or both"
    )
    parser.add_argument("--calls", type=int, nargs="+", default=CALLS, help="calls at once")
    parser.add_argument(
        "--seconds", type=float, default=12.0, help="measured per run; whole cycles of 6 s"
    )
    parser.add_argument(
        "--against", type=Path, metavar="SRC", help="the src folder of another version, run in turn"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--save", action="store_true", help=f"write to {RESULTS.name}/")
    given = parser.parse_args()
    unknown = set(given.what) - {"costs", "density"}
    if unknown or min(given.calls) < 1 or given.seconds <= 0:
        parser.error(f"costs and density are what there is, not {unknown or 'numbers below 1'}")
    if given.against is not None and not (given.against / "trunkline").is_dir():
        parser.error(f"--against {given.against}: there is no trunkline/ in it")
    return given


def _print_costs(steps: list[costs.Cost]) -> None:
    print(f"\n{'one step':<44}{'us':>9}{'hops':>8}")
    for step in steps:
        print(f"{step.name:<44}{step.us:9.2f}{step.hops:8.2f}")


def _density(calls: list[int], seconds: float, against: Path | None) -> list[dict[str, object]]:
    head = ("calls", "CPU-s/call-s", "lag ms p50", "p99", "late ms p50", "p99", "RSS MB")
    print("\n" + "".join(f"{word:>13}" for word in (*head, "agent", "starved")))
    runs: list[dict[str, object]] = []
    for number in calls:
        run = density.run(number, seconds)
        _print_density(run)
        runs.append({**asdict(run), "behind": run.behind, "version": "this"})
        if against is None:
            continue
        other = density.run(number, seconds, against)
        _print_density(other)
        ratio = run.cpu_s_per_call_s / other.cpu_s_per_call_s
        print(f"{'':13}{ratio:13.2f} of the CPU time of {against}")
        runs.append({**asdict(other), "behind": other.behind, "version": "other"})
    return runs


def _print_density(run: density.Density) -> None:
    lags = (run.lag_ms_p50, run.lag_ms_p99, run.late_ms_p50, run.late_ms_p99)
    print(
        f"{run.calls:13d}{run.cpu_s_per_call_s:13.4f}"
        + "".join(f"{lag:13.1f}" for lag in lags)
        + f"{run.rss_mb:13.0f}{run.agent_share:13.0%}{run.starved_share:13.0%}"
        + ("  frames fall behind" if run.behind else "")
    )
    sys.stdout.flush()


def _save(told: dict[str, object]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "media_path.json").write_text(json.dumps(told, indent=1) + "\n")
    runs = told.get("density")
    if isinstance(runs, list):
        mine = sorted(
            (run for run in runs if run["version"] == "this"), key=lambda run: int(run["calls"])
        )
        (RESULTS / "density.svg").write_text(plot.density(mine, machine.describe()))


if __name__ == "__main__":
    main()
