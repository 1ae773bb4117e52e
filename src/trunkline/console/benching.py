"""`trunkline bench run`: what was ordered, run into its folder."""

import asyncio
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from trunkline.bench import manifest as manifests
from trunkline.bench.model import Talk
from trunkline.bench.run import Order, run
from trunkline.bench.sentinel import Sentinel
from trunkline.bench.subjects import Server, Wanted, opened
from trunkline.bench.turns import Turn, TurnFile
from trunkline.errors import InputError
from trunkline.measure.arrivals import steps

__all__ = ["BenchOrder", "Order", "Talk", "Wanted", "bench", "servers", "steps"]


@dataclass(frozen=True, slots=True)
class BenchOrder:
    """What the command line asked for."""

    wanted: Wanted
    order: Order
    talk: Talk
    out: Path


def bench(order: BenchOrder, console: Console) -> bool:
    """Run it into its folder; whether it was not interrupted."""
    manifest = manifests.begun(order.order, order.talk, order.wanted.about())
    how = "failed"
    sentinel = Sentinel()
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with TurnFile(order.out) as file:
        manifests.write(order.out, manifest)
        try:
            with (
                Progress(*columns, console=console, disable=not console.is_terminal) as progress,
                # Not uvloop: its clock stands still within a round, and counts whole milliseconds.
                asyncio.Runner() as runner,
            ):
                runner.run(_run(order, sentinel, file, progress))
            how = "whole"
        except KeyboardInterrupt:
            how = "interrupted"
        finally:
            manifests.ended(manifest, how, file.count, sentinel.worst_s)
            manifests.write(order.out, manifest)
    if not file.count:
        raise InputError("it ended before the first turn did: there is nothing to report")
    return how == "whole"


async def _run(order: BenchOrder, sentinel: Sentinel, file: TurnFile, progress: Progress) -> None:
    slices = order.order.blocks * len(order.wanted.about())
    task = progress.add_task("starting", total=slices)
    failed = 0

    def begins(block: int, subject: str) -> None:
        what = f"block {block + 1}/{order.order.blocks} {subject}, {file.count} turns"
        progress.update(task, description=what + (f", {failed} failed" if failed else ""))
        progress.advance(task)

    def done(turn: Turn) -> None:
        nonlocal failed
        failed += bool(turn.fault)
        file.add(turn)

    async with opened(order.wanted, os.environ, order.talk, sentinel) as subjects:
        await run(order.order, subjects, sentinel, done, begins)


def servers(urls: Sequence[str], models: Sequence[str], keys: Sequence[str]) -> list[Server]:
    """Each URL with its model and the variable of its key."""
    if len(urls) != len(models):
        raise InputError(f"{len(urls)} --url, {len(models)} --model: give each URL its model")
    if keys and len(keys) != len(urls):
        raise InputError(f"{len(urls)} --url, {len(keys)} --key-env: one each, '-' for no key")
    named = keys or ["-"] * len(urls)
    return [
        Server(url, model, None if key == "-" else key)
        for url, model, key in zip(urls, models, named, strict=True)
    ]
