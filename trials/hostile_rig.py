"""A worker with bystanders and enemies: what the enemies were told, what the bystanders noticed.

Quiet and hostile windows take turns in one run, so that whatever else the machine does meets both.
The worker has a core that neither its bystanders nor its enemies use: they must not slow it down by
their own work.
"""

import asyncio
import json
import os
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final

import numpy as np
from benchmarks.density import cores
from numpy.typing import NDArray
from typing_extensions import override

from trials.archives import records
from trials.hostile import Attack, draw
from trials.hostile_play import Fate, play
from trunkline.errors import TrunklineError
from trunkline.telephony.server import MEDIA_PATH
from trunkline.types import FRAME_S

BYSTANDERS: Final = 20
AT_ONCE: Final = 30
ATTACKS_PER_S: Final = 30.0
"""Connections: what the door lets in. More of them are refused unread, which a test of its own
shows, and would hide what the attacks themselves can do."""
SETTLE_S: Final = 13.0
"""Longer than any deadline of the server: what is still there then was left behind."""
_EDGE_S: Final = 0.5
_READY_S: Final = 60.0
_DIALLED_S: Final = 8.0
_SAMPLE_S: Final = 2.5


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of monotonic time, quiet or not."""

    begin: float
    end: float
    hostile: bool


@dataclass
class Siege:
    """One run; *seed* and the number of an attack play it again."""

    folder: Path
    port: int
    seed: int
    worker: asyncio.subprocess.Process
    load: asyncio.subprocess.Process
    fates: dict[int, Fate] = field(default_factory=dict)
    spans: list[Span] = field(default_factory=list)
    settled: float = 0.0
    """When the enemies had been gone for `SETTLE_S`, and the bystanders were still there."""

    async def attack(self, attacks: int, family: str = "", first: int = 0) -> None:
        """Play *attacks*, `AT_ONCE` at a time."""
        slots = asyncio.Semaphore(AT_ONCE)

        async def one(number: int) -> None:
            async with slots:
                self.fates[number] = await play(self.port, draw(self.seed, number, family))

        async with asyncio.TaskGroup() as group:
            for number in range(first, first + attacks):
                group.create_task(one(number))
                await asyncio.sleep(1 / ATTACKS_PER_S)

    async def windows(self, pairs: int, seconds: float) -> None:
        """*pairs* of a quiet and a hostile window."""
        for _ in range(pairs):
            began = time.monotonic()
            await asyncio.sleep(seconds)
            self.spans.append(Span(began, time.monotonic(), hostile=False))
            began = time.monotonic()
            await self._until(began + seconds)
            self.spans.append(Span(began, time.monotonic(), hostile=True))
            await asyncio.sleep(SETTLE_S / 4)  # what was begun ends before the next quiet window

    async def _until(self, end: float) -> None:
        """Attack without a pause until *end*; what is under way then is dropped as it stands."""

        async def enemy(number: int) -> None:
            attack = draw(self.seed, number)
            self.fates[number] = Fate(attack, 0, 0, "under way", forgotten=False)
            self.fates[number] = await play(self.port, attack)

        tasks = list[asyncio.Task[None]]()
        async with asyncio.TaskGroup() as group:
            while time.monotonic() < end:
                tasks.append(group.create_task(enemy(len(self.fates))))
                await asyncio.sleep(1 / ATTACKS_PER_S)
            for task in tasks:
                task.cancel()

    async def finish(self) -> None:
        """Have both processes write down what they saw."""
        self.settled = time.monotonic()
        await self.say(self.worker, b"arrivals\n")
        for _ in range(200):
            if (self.folder / "arrivals.json").exists():
                break
            await asyncio.sleep(0.1)
        await self.say(self.load, b"end\n")
        await self.load.wait()

    async def say(self, process: asyncio.subprocess.Process, line: bytes) -> None:
        assert process.stdin is not None
        process.stdin.write(line)
        await process.stdin.drain()

    def samples(self) -> list[dict[str, float]]:
        """What the worker held, second by second."""
        lines = (self.folder / "samples.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def log(self) -> str:
        """What the worker had to say."""
        return (self.folder / "worker.log").read_text()

    def lags_ms(self) -> list[tuple[Span, NDArray[np.float64]]]:
        """By window, how long each bystander's frame took to the ear; inf: it never came."""
        lines = json.loads((self.folder / "lines.json").read_text())
        seen = json.loads((self.folder / "arrivals.json").read_text())
        left, came = [], []
        for stream, line in lines.items():
            numbers, when = seen.get(stream, ([], []))
            arrived = np.full(len(line["sent"]), np.inf)
            arrived[np.array(numbers, int)] = when
            left.append(np.array(line["sent"]))
            came.append(arrived)
        sent_at, lag = np.concatenate(left), np.concatenate(came) - np.concatenate(left)
        return [
            (span, 1_000 * lag[(sent_at >= span.begin) & (sent_at < span.end - _EDGE_S)])
            for span in self.spans
        ]

    def own_late_ms(self) -> list[tuple[Span, NDArray[np.float64]]]:
        """By window, how late the worker's ticks were by its own work, at most.

        A tick is late by no more work than was done since the tick before. What had piled up there
        while others had the core, at the pace of its window, is theirs.
        """
        when, late_s, cpu_s = np.array(json.loads((self.folder / "ticks.json").read_text()))
        waited_s = np.clip(np.diff(when, prepend=when[0]) - FRAME_S - cpu_s, 0.0, None)
        found = []
        for span in self.spans:
            inside = (when >= span.begin) & (when < span.end)
            busy = cpu_s[inside].sum() / (span.end - span.begin)
            own_s = np.clip(cpu_s[inside] - busy * waited_s[inside], 0.0, late_s[inside])
            found.append((span, 1_000 * own_s))
        return found

    def starved_share(self) -> float:
        """How much of the time the worker could have run while others had its core."""
        window = [s for s in self.samples() if s["mono"] >= self.spans[0].begin]
        took_s = window[-1]["mono"] - window[0]["mono"]
        return (window[-1]["starved_s"] - window[0]["starved_s"]) / took_s

    def outcomes(self) -> str:
        """How the attacks ended, for a person."""
        counted = Counter(
            (fate.attack.family, fate.status, fate.code) for fate in self.fates.values()
        )
        rows = [f"  {count:5} x {family:9} HTTP {status or '-'} close {code or '-'}"
                for (family, status, code), count in sorted(counted.items())]  # fmt: skip
        return "\n".join(rows)


@dataclass(frozen=True, slots=True)
class Compared:
    """The 99th percentiles, window by window; *differs*: hostile less quiet, low, median, high."""

    what: str
    quiet_ms: Sequence[float]
    hostile_ms: Sequence[float]
    differs: tuple[float, float, float]

    @override
    def __str__(self) -> str:
        def told(values: Sequence[float]) -> str:
            low, mid, high = np.percentile(values, (2.5, 50, 97.5))
            return f"{mid:.2f} ms (windows {low:.2f} .. {high:.2f})"

        low, mid, high = self.differs
        return (
            f"{self.what} p99: quiet {told(self.quiet_ms)}, hostile {told(self.hostile_ms)}; "
            f"difference {mid:+.2f} ms (95 % {low:+.2f} .. {high:+.2f})"
        )


def compared(what: str, found: Sequence[tuple[Span, NDArray[np.float64]]]) -> Compared:
    """Pairs of neighbouring windows; the interval is a bootstrap over the pairs."""
    p99: dict[bool, list[float]] = {False: [], True: []}
    for span, lag in found:
        p99[span.hostile].append(float(np.percentile(lag[np.isfinite(lag)], 99)))
    gaps = np.array(p99[True]) - np.array(p99[False])
    rng = np.random.default_rng(1)
    drawn = np.median(rng.choice(gaps, (10_000, len(gaps))), axis=1)
    low, high = np.percentile(drawn, (2.5, 97.5))
    middle = float(np.median(gaps))
    return Compared(what, p99[False], p99[True], (float(low), middle, float(high)))


def unread(siege: Siege) -> list[str]:
    """The sealed journals that cannot be read, and why not; the number of all is in the store."""
    found = []
    with records(siege.folder) as store:
        for call in store.list_calls():
            try:
                last = call.events[-1].type
            except TrunklineError as error:
                found.append(f"{call.call}: {error}")
            else:
                found += [] if last == "journal.closed" else [f"{call.call} ends in {last}"]
    return found


def ill_treated(fate: Fate) -> str:
    """What is wrong with how the server took an attack, "" if nothing."""
    what: Attack = fate.attack
    if fate.forgotten:
        return "the connection was forgotten"
    if fate.status >= 500 or fate.code == 1011:
        return f"an error of ours: HTTP {fate.status}, close {fate.code} {fate.reason!r}"
    if what.ends != "wait" or fate.reason == "under way":
        return ""  # it left on its own
    dropped = what.family == "web" and what.what in ("silent", "slow_head")
    starved = fate.status == 101 and not fate.code
    if (
        starved
        and what.what not in ("half_a_frame", "fragments", "marks", "raw")
        and (what.family != "messages")
    ):
        return "no close code"
    if not fate.status and not dropped:
        return "no answer"
    return ""


async def _process(core: int | None, module: str, *arguments: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, *arguments),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        preexec_fn=None if core is None else partial(os.sched_setaffinity, 0, [core]),
    )


@contextmanager
def _on(core: int | None) -> Iterator[None]:
    """This thread, which is the enemies', stays on *core*."""
    before = None if core is None else os.sched_getaffinity(0)
    if core is not None:
        os.sched_setaffinity(0, [core])
    try:
        yield
    finally:
        if before is not None:
            os.sched_setaffinity(0, before)


@asynccontextmanager
async def besieged(folder: Path, seed: int) -> AsyncIterator[Siege]:
    """A worker and its bystanders, in processes of their own; both end with the context."""
    folder.mkdir(parents=True, exist_ok=True)
    on, off = cores.two()
    worker = await _process(on, "trials.light_worker", str(folder), "--timed")
    load: asyncio.subprocess.Process | None = None
    try:
        assert worker.stdout is not None
        assert worker.stdin is not None
        async with asyncio.timeout(_READY_S):
            port = json.loads(await worker.stdout.readline())["ready"]["port"]
        load = await _process(
            off, "benchmarks.density.load", str(port), MEDIA_PATH, str(BYSTANDERS), str(folder)
        )
        siege = Siege(folder, port, seed, worker, load)
        await siege.say(load, b"begin\n")
        await asyncio.sleep(_DIALLED_S + _SAMPLE_S)
        with _on(off):
            yield siege
        worker.stdin.close()
        async with asyncio.timeout(_READY_S):
            assert await worker.wait() == 0, "the worker did not survive"
    finally:
        for process in (worker, load):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
