"""`trunkline incidents`: public incidents of other systems, and what becomes of them here."""

import asyncio
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table
from rich.text import Text

from trunkline.console.simulating import aligned
from trunkline.testing.incidents.files import Incident, folder, load_all
from trunkline.testing.incidents.judge import Verdict
from trunkline.testing.incidents.replay import replay
from trunkline.testing.incidents.wires import replay_real, wired

COLUMNS = ("incident", "heard there", "dead air added", "lost", "again", "answered by", "verdict")


@dataclass(frozen=True, slots=True)
class IncidentsOrder:
    """What the command line asked for; no *names*: all in *folder* (None: those that ship)."""

    names: tuple[str, ...] = ()
    folder: Path | None = None
    real_time: bool = False
    seed: int = 1


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: *unwired* calls were left out, *unread* incidents have none."""

    incidents: tuple[Incident, ...]
    verdicts: tuple[Verdict, ...]
    unwired: tuple[str, ...] = ()

    @property
    def passed(self) -> bool:
        """Whether every call passed."""
        return all(it.passed for it in self.verdicts)

    @property
    def unread(self) -> tuple[str, ...]:
        """Incidents whose thread could not be found."""
        return tuple(it.name for it in self.incidents if not it.read)

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        told = {it.name: it for it in self.incidents}
        calls = [{**_about(told[v.incident]), **v.as_json()} for v in self.verdicts]
        return {
            "passed": self.passed,
            "calls": calls,
            "unwired": list(self.unwired),
            "unread": list(self.unread),
        }


def run(order: IncidentsOrder, console: Console) -> Outcome:
    """Replay them; *console* shows the progress if it is a terminal. `InputError`: bad files."""
    incidents = load_all(order.folder or folder(), order.names)
    if order.real_time:
        unwired = [
            f"{it.name} {call.name}" for it in incidents for call in it.calls if not wired(call)
        ]
        verdicts = asyncio.run(replay_real(incidents, order.seed))
        return Outcome(tuple(incidents), tuple(verdicts), tuple(unwired))
    verdicts = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        for it in progress.track(incidents, description="replaying"):
            verdicts += replay(it, order.seed)
    return Outcome(tuple(incidents), tuple(verdicts))


def show(outcome: Outcome, console: Console) -> None:
    """The table: what was heard there, and what here."""
    told = {it.name: it for it in outcome.incidents}
    rows = [_row(told[it.incident], it) for it in outcome.verdicts]
    if console.is_terminal:
        table = Table(*COLUMNS, box=None, pad_edge=False)
        for row in rows:
            table.add_row(
                *map(Text, row[:-1]), Text(row[-1], "green" if row[-1] == "ok" else "red")
            )
        console.print(table)
    else:
        for line in aligned([COLUMNS, *rows]):
            console.print(Text(line), soft_wrap=True)
    for it in outcome.verdicts:
        for problem in it.problems:
            line = f"{it.incident} {it.call}, seed {it.seed}: {problem}"
            console.print(Text(line, "red"), soft_wrap=True)
    if outcome.unwired:
        console.print(Text(f"without a wire: {', '.join(outcome.unwired)}"), soft_wrap=True)
    if outcome.unread:
        console.print(Text(f"not found, not replayed: {', '.join(outcome.unread)}"), soft_wrap=True)
    failed = sum(not it.passed for it in outcome.verdicts)
    console.print(Text(f"{len(outcome.verdicts)} calls, {failed} failed"))


def _row(incident: Incident, it: Verdict) -> Sequence[str]:
    name = it.incident if len(incident.calls) == 1 else f"{it.incident} {it.call}"
    return (
        name,
        incident.heard_there,
        seconds(it.dead_air_added_s),
        str(it.words_lost),
        str(it.words_repeated),
        ", ".join(it.answered_by) or "-",
        "ok" if it.passed else "FAILED",
    )


def seconds(value: float) -> str:
    """Seconds as a person reads them."""
    return f"{value:.2f} s" if math.isfinite(value) else "no answer"


def _about(incident: Incident) -> Mapping[str, object]:
    fields = ("title", "project", "link", "date", "stage", "signature", "heard_there")
    return {name: getattr(incident, name) for name in fields}
