"""Callers that behave as callers do, for as long as one likes, and models that keep failing.

N phone lines in one process. Each speaks at moments of its own, so it interrupts, talks over the
agent and mumbles; it hangs up when it likes, in one of the ways in which real legs end; another one
calls at once in its place. Everything is drawn from one seed.
"""

import asyncio
import json
import math
import random
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import aiohttp
from benchmarks.density.load import Line, frame
from typing_extensions import override

from trials.archives import records
from trials.light.lines import clip
from trunkline.telephony.server import MEDIA_PATH
from trunkline.testing.chat import opening_hours
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer
from trunkline.types import FRAME_S, FRAME_SAMPLES

CLIPS: Final = ("consent_yes", "consent_no", "hours", "walk", "wait", "long")
LIFE_MEAN_S: Final = 15.0
LIFE_MIN_S: Final = 0.05
ENDINGS: Final = ("stop", "abort", "half_close", "silence")
_GROUPS: Final = 10
_SILENCE: Final = b"\xff" * FRAME_SAMPLES
_FAULT_S: Final = 3.0
_READY_S: Final = 60.0
_KEEP_CALLS: Final = 200
"""Sealed calls that stay: a retention policy, lest the disk be what fills up."""
FAULTS: Final[Sequence[dict[str, object] | None]] = (
    None,
    None,
    {"kind": "status", "status": 500},
    {"kind": "status", "status": 429, "retry_after_s": 1},
    {"kind": "hang"},
    {"kind": "hang", "hold_s": 1.0},
    {"kind": "headers_only"},
    {"kind": "keepalives", "gap_s": 0.05},
    {"kind": "stall", "after_tokens": 7},
    {"kind": "drip", "after_tokens": 4, "gap_s": 0.6},
    {"kind": "cut", "after_tokens": 9},
    {"kind": "truncate", "after_tokens": 9},
    {"kind": "malformed", "after_tokens": 5},
    {"kind": "empty"},
    {"kind": "refuse", "hold_s": 1.5},
)


class Caller(Line):
    """A phone line that ends its call, its own way, after *life_s*."""

    def __init__(
        self, number: int, frames: list[bytes], life_s: float, ending: str, engines: str
    ) -> None:
        super().__init__(number, MEDIA_PATH, frames)
        self._life_s, self._ending = life_s, ending
        self.parameters = {"engines": engines}
        self._muted = False

    @override
    def tick(self) -> None:
        if self._muted:
            return
        super().tick()
        if len(self.sent) * FRAME_S >= self._life_s:
            self._muted = True
            self._end()

    def drop(self) -> None:
        """The line is gone."""
        self._transport.abort()

    def _end(self) -> None:
        match self._ending:
            case "stop":
                self._transport.write(frame(self._side.stop()))
                self._transport.close()
            case "abort":
                self.drop()
            case "half_close":
                self._transport.write_eof()
            case _:
                pass  # silence: the worker has to notice


def draw_caller(number: int, rng: random.Random, said: dict[str, list[bytes]]) -> Caller:
    """Caller *number*: what it says and when, how long it stays and how it goes."""
    frames = [_SILENCE] * rng.randrange(20, 150)
    frames += said["consent_yes" if rng.random() < 0.8 else "consent_no"]
    for _ in range(8):
        frames += [_SILENCE] * rng.randrange(5, 200)
        frames += said[rng.choice(CLIPS)]
    life_s = LIFE_MIN_S + rng.expovariate(1 / LIFE_MEAN_S)
    ending = rng.choices(ENDINGS, (6, 3, 2, 1))[0]
    engines = "embedded" if number % 20 == 7 else "light"
    return Caller(number, frames, min(life_s, 4 * LIFE_MEAN_S), ending, engines)


@dataclass
class Soak:
    """One worker under load; *folder* has its samples and its log."""

    folder: Path
    port: int
    worker: asyncio.subprocess.Process
    models: list[OpenAIServer]
    rng: random.Random
    said: dict[str, list[bytes]] = field(
        default_factory=lambda: {name: clip(name) for name in CLIPS}
    )
    placed: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    verified: int = 0
    lines: list[Caller] = field(default_factory=list)
    ended: float = math.inf
    """When the load ended: what is sampled later tells of the end, not of growth."""

    async def run(self, calls: int, seconds: float) -> None:
        """*calls* at once for *seconds*."""
        async with asyncio.TaskGroup() as group:
            chores = [group.create_task(self._break_models()), group.create_task(self._retain())]
            await self._call(calls, seconds)
            self.ended = time.monotonic()
            for chore in chores:
                chore.cancel()

    async def _call(self, calls: int, seconds: float) -> None:
        loop = asyncio.get_running_loop()
        zero, number = loop.time(), 0
        while (now := loop.time()) < zero + seconds:
            for group in range(_GROUPS):
                due = zero + number * FRAME_S + group * FRAME_S / _GROUPS
                await asyncio.sleep(max(0.0, due - loop.time()))
                for line in self.lines[group::_GROUPS]:
                    line.tick()
            number += 1
            self.lines = [line for line in self.lines if not line.lost]
            # All at once would be a burst that no line of a carrier brings.
            if len(self.lines) < min(calls, (now - zero) * 20):
                self.lines.append(await self._dial())

    def hang_up(self) -> None:
        """End all calls that are left."""
        for line in self.lines:
            line.drop()

    async def _dial(self) -> Caller:
        caller = draw_caller(self.placed.total(), self.rng, self.said)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: caller, "127.0.0.1", self.port)
        self.placed[caller.parameters["engines"]] += 1
        return caller

    async def _break_models(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                for model in self.models:
                    fault = self.rng.choice(FAULTS)
                    self.faults["none" if fault is None else str(fault["kind"])] += 1
                    url = f"http://127.0.0.1:{model.port}/_control/fault"
                    try:
                        async with session.post(url, data=json.dumps(fault)) as response:
                            assert response.status == 200, await response.text()
                    except aiohttp.ClientConnectionError:
                        pass  # it refuses connections at this moment, as it was told to
                await asyncio.sleep(self.rng.uniform(0.5, 1.5) * _FAULT_S)

    async def _retain(self) -> None:
        """Read every tenth sealed journal as an auditor would, and delete the oldest ones."""
        seen = set[str]()
        while True:
            await asyncio.sleep(5.0)
            with records(self.folder) as store:
                stored = store.list_calls()
                for call in stored:
                    if call.call not in seen:
                        seen.add(call.call)
                        if len(seen) % 10 == 0:
                            assert await asyncio.to_thread(getattr, call, "events")
                            self.verified += 1
            for call in stored[:-_KEEP_CALLS]:
                for path in call.path.iterdir():
                    path.unlink()
                call.path.rmdir()

    def samples(self) -> list[dict[str, float]]:
        """What the worker held, second by second."""
        lines = (self.folder / "samples.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    def log(self) -> str:
        """What the worker had to say."""
        return (self.folder / "worker.log").read_text()


@asynccontextmanager
async def soaking(folder: Path, seed: int, *options: str) -> AsyncIterator[Soak]:
    """A worker with two models that fail; ended, and waited for, when the context is left."""
    folder.mkdir(parents=True, exist_ok=True)
    law = law_named("self_hosted_8b")
    async with (
        OpenAIServer(opening_hours(), law, seed) as one,
        OpenAIServer(opening_hours(), law, seed + 1) as two,
    ):
        llm = [word for model in (one, two) for word in ("--llm", model.base_url)]
        worker = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trials.light_worker", str(folder), *llm, *options),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        assert worker.stdout is not None
        assert worker.stdin is not None
        try:
            async with asyncio.timeout(_READY_S):
                ready = json.loads(await worker.stdout.readline())["ready"]
            rng = random.Random(seed)  # noqa: S311  # a simulation, to be repeated by its seed
            yield Soak(folder, ready["port"], worker, [one, two], rng)
            worker.stdin.close()
            async with asyncio.timeout(_READY_S):
                assert await worker.wait() == 0, "the worker did not end as it should"
        finally:
            if worker.returncode is None:
                worker.kill()
