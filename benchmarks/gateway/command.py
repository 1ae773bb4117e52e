"""`python -m benchmarks gateway`: all gateways in turn, their table and their picture."""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine, plot
from benchmarks.gateway import compare, subjects
from benchmarks.gateway.run import Bench, Measured, Plan


def main(arguments: Sequence[str], results: Path) -> None:
    """Measure, print, and save to the folder *results* if asked to."""
    given = _arguments(arguments)
    if not Path("/proc/self/schedstat").is_file():
        raise SystemExit("gateway: needs Linux, whose /proc tells the CPU time of all subjects")
    described = machine.describe()
    print("\n".join(f"{name}: {value}" for name, value in described.items()))
    plan = Plan(given.connections, given.closed_s, given.open_s, given.rate, given.paced_s)
    measured: list[Measured] = []
    print(
        f"\n{'subject':<12}{'kind':>8}{'level':>8}{'answers':>9}{'failed':>8}{'/s':>8}{'CPU us':>9}"
        f"{'first ms p50':>14}{'p99':>8}{'piece ms p50':>14}{'p99':>8}{'RSS':>6}{'idle':>9}"
        f"{'others':>9}"
    )
    with Bench(_print) as bench:
        for number in range(1, given.rounds + 1):
            # There and back: what changes slowly on the machine falls on all alike.
            names = given.subjects if number % 2 else given.subjects[::-1]
            for name in names:
                measured += bench.round(number, name, plan)
    table = ordered(measured)
    caption = (
        f"{given.rounds} rounds; {given.rate:g} requests a second for all; "
        f"{described['processor']}, {described['cores']} cores, load {described['load']}, "
        f"{described['date']}"
    )
    page = compare.markdown(table, caption)
    print("\n" + page)
    if given.save:
        results.mkdir(exist_ok=True)
        told = {"machine": described, "measured": [asdict(it) for it in measured]}
        (results / "gateway.json").write_text(json.dumps(told, indent=1) + "\n")
        (results / "gateway.md").write_text(page)
        (results / "gateway.svg").write_text(plot.gateway(table, caption))


def ordered(measured: Sequence[Measured]) -> list[compare.Row]:
    """The rows as they are shown."""
    return sorted(compare.rows(measured), key=lambda row: subjects.NAMES.index(row.subject))


def _arguments(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks gateway", description=__doc__)
    parser.add_argument(
        "--subjects", nargs="+", choices=subjects.NAMES, default=list(subjects.NAMES)
    )
    parser.add_argument("--rounds", type=int, default=3, help="how often; medians count")
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[8, 32, 64], help="of the closed loop"
    )
    parser.add_argument("--rate", type=float, default=12.0, help="requests a second that all get")
    parser.add_argument("--closed-s", type=float, default=2.5, help="measured in a closed loop")
    parser.add_argument("--open-s", type=float, default=10.0, help="measured in an open loop")
    parser.add_argument("--paced-s", type=float, default=5.0, help="measured with paced answers")
    parser.add_argument("--save", action="store_true", help="write the results")
    given = parser.parse_args(arguments)
    least = [given.rounds, given.rate, given.closed_s, given.open_s, given.paced_s]
    if min(*least, *given.connections) <= 0:
        parser.error("all numbers have to be above zero")
    return given


def _print(it: Measured) -> None:
    first, piece = (
        [f"{value:.2f}" if value is not None else "-" for value in pair]
        for pair in (it.first_ms, it.piece_ms)
    )
    print(
        f"{it.subject:<12}{it.kind:>8}{it.level:8.0f}{it.finished:9d}{it.failed:8d}{it.rate:8.1f}"
        f"{it.cpu_us or 0:9.0f}{first[0]:>14}{first[1]:>8}{piece[0]:>14}{piece[1]:>8}"
        f"{it.rss_mb:6.0f}{f'{it.idle:.0%}/{it.own_idle:.0%}':>9}"
        f"{f'{it.taken:.0%}/{it.own_taken:.0%}':>9}" + (f"  {it.errors[:1]}" if it.failed else "")
    )
    sys.stdout.flush()
