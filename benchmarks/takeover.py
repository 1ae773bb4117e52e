"""`python -m benchmarks.takeover`: what it costs to take over the calls of a worker that died.

A process writes the journals of calls as they are a minute after they began (the kinds and numbers
of events are those of a call of `trials.light`) and dies. Then one call is asked for, and all of
them at once, as their callers do, by a worker whose loop is watched: with the clerk, as workers
have it, and on a thread of the worker's own interpreter, to compare.

CPU times, so that other processes hardly count; the longest block is the most CPU time that the
loop's thread took, and the longest wall time that it was away, between two turns a millisecond
apart.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import uvloop

from trunkline.records.consent import judge
from trunkline.records.finder import Finder, LaneFinder, ProcessFinder
from trunkline.records.journal import CallJournal
from trunkline.records.lanes import ThreadLane
from trunkline.records.salvage import Salvage
from trunkline.records.store import Store
from trunkline.records.worker import WorkerRecords
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, CallId, DataClass, Sample, Where

Opening = Callable[[Path], AbstractAsyncContextManager[Finder]]
_QUESTION = "Is it all right that this call is recorded?"
_LOAD_S = 1.5
"""For a clerk to load: a worker has had its own for hours."""


@dataclass
class Loop:
    """The event loop, watched: its longest blocks in milliseconds."""

    cpu_ms: float = 0.0
    wall_ms: float = 0.0

    async def watch(self) -> None:
        """Until cancelled."""
        while True:
            wall, cpu = time.monotonic(), time.thread_time()
            await asyncio.sleep(0.001)
            self.cpu_ms = max(self.cpu_ms, 1000 * (time.thread_time() - cpu))
            self.wall_ms = max(self.wall_ms, 1000 * (time.monotonic() - wall) - 1)


def name(number: int) -> CallId:
    """The id of a call."""
    return CallId(f"01890000-0000-7000-8000-{number:012d}")


async def write(folder: Path, calls: int, seconds: int) -> None:
    """Write journals that have reached *seconds*, and die."""
    records = WorkerRecords(folder, "dead")
    await records.__aenter__()
    journals = [records.journal(name(number)) for number in range(calls)]
    for journal in journals:
        _begin(journal)
    for second in range(seconds):
        for journal in journals:
            _go_on(journal, second)
        await journals[0].commit()
    os._exit(0)


def _begin(journal: CallJournal) -> None:
    where = Where(journal.call, 0)
    journal.note("call.started", {"carrier": "MZ1", "carrier_call": "CA1"}, where=where)
    journal.note("consent.asked", {"text": _QUESTION}, where=where, sample=Sample(0))
    for type_, data in judge(_QUESTION, "yes").events:
        journal.note(type_, data, where=where, sample=Sample(1), data_class=DataClass.TRANSCRIPT)
    journal.note("transcript.final", {"text": "yes please"}, where=where)
    journal.note("reply.started", {"turn": 1}, where=Where(journal.call, 1))
    prompt = {"messages": [{"role": "system", "content": "Be brief. " * 600}]}
    journal.note("attempt.request", {"request": prompt}, where=where, data_class=DataClass.PROMPT)


def _go_on(journal: CallJournal, second: int) -> None:
    where = Where(journal.call, 1, 0, 1)
    text = f"Item {second} of the list is here."
    if second % 3 == 0:
        journal.note("phrase.spoken", {"index": second // 3, "text": text}, where=where)
    for word in range(2):
        mark = {"name": f"0.{second // 3}.{len(text) if second % 3 == 2 else 7 * word}"}
        journal.note("playout.mark", mark, where=where)
        journal.note("attempt.delta", {"text": "words "}, where=where, data_class=DataClass.PROMPT)
    for frame in range(0, SAMPLE_RATE, FRAME_SAMPLES):
        at = Sample(2 + second * SAMPLE_RATE + frame)
        journal.audio("caller", at, os.urandom(FRAME_SAMPLES))
        journal.audio("agent", at, os.urandom(FRAME_SAMPLES))


@asynccontextmanager
async def clerk(folder: Path) -> AsyncIterator[Finder]:
    """A finder in a process of its own, loaded."""
    made = await ProcessFinder.start(folder)
    await asyncio.sleep(_LOAD_S)
    yield made
    await made.close()


@asynccontextmanager
async def thread(folder: Path) -> AsyncIterator[Finder]:
    """A finder in our interpreter."""
    made = LaneFinder(Salvage(Store(folder)), ThreadLane("finding"))
    yield made
    await made.close()


async def ask(finder: Finder, calls: range) -> float:
    """Ask for all of *calls* at once; seconds until the last is known."""
    began = time.monotonic()
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(finder.find(name(number))) for number in calls]
    took_s = time.monotonic() - began
    found = [it.result() for it in asking]
    assert [it and it.call for it in found] == [name(number) for number in calls]
    assert all(it and it.resumption.reply and it.resumption.reply.entries for it in found)
    return took_s


def cpu_s(pid: int) -> float:
    """What process *pid* has used (Linux, proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measure(label: str, opening: Opening, folder: Path, calls: int) -> None:
    """One row of the table."""
    loop = Loop()
    async with opening(folder) as finder:
        pid = (finder.pid if isinstance(finder, ProcessFinder) else None) or os.getpid()
        watching = asyncio.ensure_future(loop.watch())
        await asyncio.sleep(0.05)
        before = cpu_s(pid)
        first_s = await ask(finder, range(1))
        all_s = await ask(finder, range(1, calls))
        used_s = cpu_s(pid) - before
        watching.cancel()
    figures = (
        f"{first_s:10.3f} {all_s:10.3f} {used_s:10.3f} {loop.cpu_ms:10.1f} {loop.wall_ms:10.1f}"
    )
    print(f"{label:>10} {figures}")


def main() -> None:
    """Measure, and print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.takeover", description=__doc__)
    parser.add_argument("--calls", type=int, default=50)
    parser.add_argument("--seconds", type=int, default=60, help="of each call, in the log")
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.write is not None:
        uvloop.run(write(given.write, given.calls, given.seconds))
    heads = ("first s", "all s", "cpu s", "cpu ms", "wall ms")
    print(f"{given.calls} calls of {given.seconds} s; the longest blocks of the loop in ms")
    print(f"{'':>10} {' '.join(f'{head:>10}' for head in heads)}")
    for label, opening in (("clerk", clerk), ("thread", thread)):
        with TemporaryDirectory() as folder:
            args = ("--write", folder, "--calls", str(given.calls), "--seconds", str(given.seconds))
            subprocess.run([sys.executable, "-m", "benchmarks.takeover", *args], check=True)
            uvloop.run(measure(label, opening, Path(folder), given.calls))


if __name__ == "__main__":
    main()
