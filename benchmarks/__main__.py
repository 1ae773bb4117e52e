"""`python -m benchmarks`: what the steps of the media path cost, and how many calls a core carries.

`python -m benchmarks failover`: what callers hear when a model fails. `python -m benchmarks
gateway`: what a gateway adds between a client and a model. They have options of their own.

Medians and ratios of one run; nothing here fails because a machine is slow.
"""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from benchmarks import costs, machine, plot
from benchmarks.density import compare, subjects
from benchmarks.density.run import Density
from benchmarks.failover import command as failover
from benchmarks.gateway import command as gateway

RESULTS = Path(__file__).parent / "results"
CALLS = (10, 20)


def main() -> None:
    """Measure, print, and save if asked to."""
    if sys.argv[1:2] == ["failover"]:
        failover.main(sys.argv[2:], RESULTS)
        return
    if sys.argv[1:2] == ["gateway"]:
        gateway.main(sys.argv[2:], RESULTS)
        return
    given = _arguments()
    described = machine.describe()
    told: dict[str, object] = {"machine": described}
    print("\n".join(f"{name}: {value}" for name, value in described.items()))
    if "costs" in given.what:
        steps = costs.measure()
        told["costs"] = [asdict(step) for step in steps]
        _print_costs(steps)
    runs = _density(given) if "density" in given.what else []
    rows = compare.rows(runs)
    told["density"] = [
        {**asdict(run), "behind": run.behind, "disturbed": run.disturbed} for run in runs
    ]
    print("\n" + "\n".join(compare.verdicts(rows)))
    if given.json is not None:
        given.json.write_text(json.dumps(told, indent=1) + "\n")
    if given.save:
        _save(told, rows, described)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "what", nargs="*", default=["costs", "density"], help="costs, density, or both"
    )
    parser.add_argument(
        "--subjects", nargs="+", choices=subjects.NAMES, default=subjects.NAMES, help="who is run"
    )
    parser.add_argument(
        "--calls", type=int, nargs="+", default=CALLS, help="calls at once, all subjects in turn"
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians count")
    parser.add_argument("--seconds", type=float, default=8.0, help="measured in each run")
    parser.add_argument(
        "--no-limits", action="store_true", help="do not look for where each falls behind"
    )
    parser.add_argument(
        "--against", type=Path, metavar="SRC", help="the src folder of another version, run in turn"
    )
    parser.add_argument("--json", type=Path, help="write the figures to this file")
    parser.add_argument("--save", action="store_true", help=f"write to {RESULTS.name}/")
    given = parser.parse_args()
    if unknown := ", ".join(sorted(set(given.what) - {"costs", "density"})):
        parser.error(f"costs, density, or failover or gateway alone: there is no {unknown}")
    if min(given.calls) < 1 or given.rounds < 1 or given.seconds <= 0:
        parser.error("--calls, --rounds and --seconds have to be above zero")
    if given.against is not None and not (given.against / "trunkline").is_dir():
        parser.error(f"--against {given.against}: there is no trunkline/ in it")
    return given


def _print_costs(steps: list[costs.Cost]) -> None:
    print(f"\n{'one step':<44}{'us':>9}{'hops':>8}")
    for step in steps:
        print(f"{step.name:<44}{step.us:9.2f}{step.hops:8.2f}")


def _density(given: argparse.Namespace) -> list[Density]:
    tested = [subjects.subject(name) for name in given.subjects]
    if given.against is not None:
        tested.append(subjects.other_version(given.against.resolve()))
    print(
        f"\n{'subject':<16}{'calls':>6}{'CPU-s/call-s':>14}{'lag ms p50':>12}{'p99':>8}"
        f"{'late p50':>10}{'p99':>8}{'reply':>7}{'RSS MB':>8}{'/call':>7}{'agent':>7}"
        f"{'idle':>7}{'others':>8}"
    )
    runs = compare.rounds(tested, given.calls, given.rounds, given.seconds, _print_run)
    for subject in [] if given.no_limits else tested:
        runs += compare.limit(subject, runs, given.seconds, _print_run)
    return runs


def _print_run(run: Density) -> None:
    print(
        f"{run.subject[-15:]:<16}{run.calls:6d}{run.cpu_s_per_call_s:14.4f}"
        f"{run.lag_ms_p50:12.1f}{run.lag_ms_p99:8.1f}{run.late_ms_p50:10.0f}{run.late_ms_p99:8.0f}"
        f"{run.reply_ms_p50:7.0f}{run.rss_mb:8.0f}{run.rss_mb_per_call:7.2f}{run.agent_share:7.0%}"
        f"{f'{run.core.idle:.0%}/{run.callers_core.idle:.0%}':>9}"
        f"{f'{run.core.taken:.0%}/{run.callers_core.taken:.0%}':>9}"
        + ("  falls behind" if run.behind else "")
        + ("  disturbed" if run.disturbed else "")
    )
    sys.stdout.flush()


def _save(told: dict[str, object], rows: list[compare.Row], described: dict[str, str]) -> None:
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / "media_path.json").write_text(json.dumps(told, indent=1) + "\n")
    if rows:
        caption = f"{described['processor']}, {described['cores']} cores, {described['date']}"
        (RESULTS / "density.svg").write_text(plot.density(rows, caption))
        (RESULTS / "density.md").write_text(compare.markdown(rows, caption))


if __name__ == "__main__":
    main()
