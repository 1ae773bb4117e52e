"""`trunkline serve --workers N` with the models of this rig, N phone lines, and what they taped."""

import asyncio
import json
import os
import re
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from trials.archives import records
from trials.light import coded
from trunkline.types import FRAME_S, Event

PACKAGE = """\
[trunkline.providers]
stt.light = trials.light.models:Ears
llm.light = trials.light.models:Brain
tts.light = trials.light.models:Mouth
"""


def configured(folder: Path, drain_s: float, calls_max: int) -> Path:
    """A configuration in *folder*, and a package with its providers on the path of children."""
    info = folder / "light-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: light\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(PACKAGE)
    zone = "zone: here, failure_domain: here"
    config = folder / "trunkline.yaml"
    config.write_text(
        f"""\
version: 1
zones:
  here:
    {{kind: self_hosted, region: local, jurisdiction: none, processor: you, retention: none,
     baa: false, dpa: false,
     accepts: [audio, transcript, prompt, speech_text, tool, recording, telemetry]}}
endpoints:
  brain: {{stage: llm, api: light, model: light, {zone}, continuation: prefix}}
  ears: {{stage: stt, api: light, model: light, {zone}}}
  mouth: {{stage: tts, api: light, model: light, {zone}}}
agents:
  receptionist:
    routes: {{stt: [ears], llm: [brain], tts: [mouth]}}
    consent: {{ask: true}}
    folder: reception
server: {{host: 127.0.0.1, port: 0, calls_max: {calls_max}, drain_s: {drain_s:g}}}
records: {{directory: records}}
"""
    )
    return config


@dataclass
class Exchange:
    """The parent with its workers, and where their files are."""

    process: Process
    folder: Path
    url: str
    said: list[str] = field(default_factory=list)
    """What the parent and its workers logged."""

    def workers(self) -> list[int]:
        """The processes that are workers now, oldest first (Linux, proc(5))."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return sorted(int(pid) for pid in children.read_text().split())

    def journals(self) -> dict[str, list[Event]]:
        """The sealed journals by the carrier's call, in the order in which they began."""
        found: dict[str, list[Event]] = {}
        with records(self.folder) as store:
            for one in sorted(store.list_calls(), key=lambda it: it.call):
                call = next(it for it in one.events if it.type == "call.started")
                found.setdefault(str(call.data["carrier_call"]), []).extend(one.events)
        return found


@asynccontextmanager
async def exchange(
    folder: Path, workers: int, *, drain_s: float = 60.0, calls_max: int = 100
) -> AsyncIterator[Exchange]:
    """`trunkline serve` with *workers* workers that are up."""
    config = configured(folder, drain_s, calls_max)
    path = os.pathsep.join([str(folder), str(Path.cwd()), os.environ.get("PYTHONPATH", "")])
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trunkline", "serve", str(config), "--workers", str(workers)),
        stdout=PIPE,
        stderr=PIPE,
        env={**os.environ, "PYTHONPATH": path, "COLUMNS": "200"},
    )
    assert process.stdout is not None
    assert process.stderr is not None
    made = Exchange(process, folder, "")
    reading = asyncio.ensure_future(_read(process.stderr, made.said))
    try:
        async with asyncio.timeout(60):
            ready = (await process.stdout.readline()).decode()
        found = re.search(r"webhook (\S+)", ready)
        assert found, (ready, made.said)
        made.url = found.group(1)
        yield made
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                async with asyncio.timeout(20):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
        await reading
        print("\n".join(made.said))


async def _read(stream: asyncio.StreamReader, lines: list[str]) -> None:
    async for line in stream:
        lines += [line.decode().rstrip()]  # at once: who looks may not wait for the end


@dataclass(frozen=True)
class Run:
    """One sentence, or a part of it: its frames *first* to *last*, none left out."""

    sentence: int
    first: int
    last: int
    at: int
    """The 20 ms of the tape in which it began."""
    until: int
    """The first 20 ms after it."""

    @property
    def whole(self) -> bool:
        frames = coded.frames(coded.item(1))
        return self.sentence <= coded.ITEMS and (self.first, self.last) == (0, frames - 1)


@dataclass(frozen=True)
class Taped:
    """One call as its caller has it. Places are in 20 ms from its start at *began* (monotonic)."""

    call: str
    began: float
    tape: list[int]
    streams: list[int]
    said: list[list[object]]
    notes: list[str]
    ended: str

    def runs(self) -> list[Run]:
        """What was heard, in order."""
        made: list[Run] = []
        for at, code in enumerate(self.tape):
            if code == coded.SILENT:
                continue
            sentence, n = divmod(code, 1000)
            before = made[-1] if made else Run(0, 0, 0, 0, 0)
            if (before.sentence, before.last + 1) == (sentence, n):
                made[-1] = Run(sentence, before.first, n, before.at, at + 1)
            else:
                made.append(Run(sentence, n, n, at, at + 1))
        return made

    def frames(self) -> list[int]:
        """The items' frames, in order: silence and all else left out."""
        return [code for code in self.tape if 0 <= code < (coded.ITEMS + 1) * 1000]

    def heard(self, sentence: int) -> int:
        """How often the caller heard *sentence* begin."""
        return self.tape.count(sentence * 1000)

    def silences(self) -> list[tuple[int, int]]:
        """(where, how long): the silences between the first and the last frame of the answer."""
        items = [at for at, code in enumerate(self.tape) if 0 <= code < (coded.ITEMS + 1) * 1000]
        return [(a, b - a - 1) for a, b in pairwise(items) if b > a + 1]


ONCE = [
    number * 1000 + n
    for number in range(1, coded.ITEMS + 1)
    for n in range(coded.frames(coded.item(number)))
]
"""The frames of the answer, as they are heard when nothing happens."""


@dataclass
class Lines:
    """Phone lines under way; the last *state* that they told."""

    process: Process
    out: Path
    state: dict[str, int] = field(default_factory=dict)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def until(self, holds: Callable[[dict[str, int]], bool], within_s: float = 90.0) -> float:
        """Wait until *holds* of the state; the monotonic time."""
        try:
            async with asyncio.timeout(within_s):
                while not (self.state and holds(self.state)):
                    self.changed.clear()
                    await self.changed.wait()
        except TimeoutError:
            raise AssertionError(f"the calls stay at {self.state}") from None
        return asyncio.get_running_loop().time()

    async def taped(self) -> list[Taped]:
        """All calls, once they are over."""
        async with asyncio.timeout(150):
            assert await self.process.wait() == 0
        told = json.loads(self.out.read_text())
        print(f"callers' clock late by (ms; p50, p99, max): {told['late_ms']}")
        return [Taped(**it) for it in told["lines"]]


@asynccontextmanager
async def lines(
    url: str, calls: int, folder: Path, spread_s: float, manner: str = "patient"
) -> AsyncIterator[Lines]:
    """*calls* phone lines that call *url*, one after the other over *spread_s*.

    *manner* `patient`: a caller who hears that all lines are busy calls again; `once`: does not.
    """
    out = folder / f"tapes{len(list(folder.glob('tapes*')))}.json"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "trials.light.lines", url, str(calls), str(spread_s)),
        *(str(out), manner),
        stdout=PIPE,
    )
    assert process.stdout is not None
    made = Lines(process, out)

    async def read(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            made.state = json.loads(line)
            made.changed.set()

    reading = asyncio.ensure_future(read(process.stdout))
    try:
        yield made
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await reading


def seconds(frames: int) -> float:
    """*frames* of a tape in seconds."""
    return frames * FRAME_S


def strike(pid: int, how: signal.Signals = signal.SIGKILL) -> float:
    """Send *how* to process *pid*; the monotonic time."""
    at = asyncio.get_running_loop().time()
    os.kill(pid, how)
    return at
