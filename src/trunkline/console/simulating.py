"""`trunkline simulate`: policies compared on one world, as a table or as JSON."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from trunkline.testing.fault_plan import load_plan
from trunkline.testing.simulation.configured import Setting, load_setting
from trunkline.testing.simulation.figures import DEAD_S, PERCENTILES, Figures, figures
from trunkline.testing.simulation.policies import POLICIES, check_policies
from trunkline.testing.simulation.run import Campaign, run

Column = tuple[str, Callable[[Figures], str]]


@dataclass(frozen=True, slots=True)
class SimulateOrder:
    """What the command line asked for; *policy*: names with commas, or all."""

    config: str
    calls: int
    turns: int
    seed: int
    load: float
    policy: str
    faults: Path | None
    processes: int | None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it. *whole*: it was not interrupted."""

    setting: Setting
    campaign: Campaign
    figures: tuple[Figures, ...]
    whole: bool

    @property
    def held(self) -> bool:
        """Whether every invariant held in every simulated turn."""
        return not any(it.violations for it in self.figures)

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        campaign = self.campaign
        return {
            "about": campaign.world.about,
            "notes": list(self.setting.notes),
            "calls": campaign.calls,
            "turns": campaign.turns,
            "seed": campaign.seed,
            "workers": campaign.workers,
            "turns_per_s_and_worker": round(campaign.real_load, 3),
            "interrupted": not self.whole,
            "policies": [it.as_json() for it in self.figures],
        }


def simulate(order: SimulateOrder, console: Console) -> Outcome:
    """Run it; *console* shows the progress if it is a terminal."""
    names = POLICIES if order.policy == "all" else tuple(order.policy.split(","))
    setting = load_setting(order.config)
    campaign = Campaign(
        setting.world,
        check_policies(names),
        order.calls,
        order.turns,
        order.seed,
        order.load,
        None if order.faults is None else load_plan(order.faults),
        setting.policy,
    )
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("simulating", total=None)

        def told(done: int, of: int) -> None:
            progress.update(task, completed=done, total=of)

        tallies = run(campaign, order.processes, told)
    found = [figures(name, campaign.world, them) for name, them in tallies.items() if them]
    whole = all(len(them) == campaign.workers for them in tallies.values())
    return Outcome(setting, campaign, tuple(found), whole)


def show(outcome: Outcome, console: Console) -> None:
    """The table; plain columns where there is no terminal."""
    campaign = outcome.campaign
    about = (
        f"{campaign.calls} calls of {campaign.turns} turns on {campaign.workers} workers "
        f"({campaign.real_load:.1f} turns/s each), seed {campaign.seed}: {campaign.world.about}"
    )
    console.print(Text(about), soft_wrap=True)
    for note in outcome.setting.notes:
        console.print(Text(note, "yellow"), soft_wrap=True)
    if not outcome.whole:
        console.print(Text("interrupted: this is what there was", "yellow"))
    columns = _columns(outcome.figures)
    if console.is_terminal:
        table = Table(*(name for name, _ in columns), box=None, pad_edge=False)
        for it in outcome.figures:
            table.add_row(*(cell(it) for _, cell in columns))
        console.print(table)
    else:
        rows = [[name for name, _ in columns]]
        rows += [[cell(it) for _, cell in columns] for it in outcome.figures]
        for line in aligned(rows):
            console.print(Text(line), soft_wrap=True)
    for it in outcome.figures:
        if it.violations:
            told = f"{it.policy}: {it.violations} invariants were broken; the first: {it.wrong[0]}"
            console.print(Text(told, "red"), soft_wrap=True)


def aligned(rows: Sequence[Sequence[str]]) -> list[str]:
    """*rows* as lines whose columns begin below each other."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    ]


def _columns(found: Sequence[Figures]) -> list[Column]:
    columns: list[Column] = [("policy", lambda it: it.policy)]
    columns += [_v2v(name) for name in PERCENTILES]
    columns += [_dead(s) for s in DEAD_S]
    columns += [
        ("broken", lambda it: _percent(it.broken)),
        ("extra", lambda it: _percent(it.extra_share)),
        ("of it", lambda it: _kinds(it.extra)),
        ("probes", lambda it: _percent(it.probes)),
    ]
    if any(it.speech_extra for it in found):
        columns.append(("extra speech", lambda it: _percent(it.speech_extra)))
    if any(it.left for it in found):
        columns.append(("left after s", lambda it: ", ".join(_left(x.after_s) for x in it.left)))
    return columns


def _v2v(name: str) -> Column:
    return f"V2V {name} s", lambda it: _seconds(it.v2v_s[name])


def _dead(s: float) -> Column:
    return f"calls >{s:g} s", lambda it: _percent(it.dead[s])


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" if math.isfinite(value) else "never"


def _percent(share: float) -> str:
    return f"{100 * share:.2f} %"


def _kinds(extra: Mapping[str, float]) -> str:
    return ", ".join(f"{kind} {100 * share:.2f}" for kind, share in extra.items()) or "none"


def _left(after_s: float | None) -> str:
    return "-" if after_s is None else f"{after_s:.1f}"
