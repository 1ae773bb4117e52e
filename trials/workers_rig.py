"""Several workers behind one port, scripted models, and callers; all but the callers processes."""

import asyncio
import json
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from trunkline.console.demo import CLIPS, TOPIC, configuration
from trunkline.console.spoken import embedded_voice
from trunkline.media import tape as tapes
from trunkline.media.match import heard
from trunkline.providers.embedded.scripted import content_items
from trunkline.telephony.caller import CallResult
from trunkline.telephony.script import CallScript, parse_script

CALLS = 3
"""Calls at a time: what two cores carry of engines."""
ITEMS = content_items(TOPIC)
Told = dict[str, object]


@dataclass
class House:
    """`trunkline serve --workers N`, and what it told."""

    process: Process
    folder: Path
    told: list[Told] = field(default_factory=list)
    watchers: list[Callable[[Told], None]] = field(default_factory=list)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/twilio/voice"

    async def read(self) -> None:
        assert self.process.stdout is not None
        async for line in self.process.stdout:
            told: Told = json.loads(line)
            self.told.append(told)
            for watcher in list(self.watchers):
                watcher(told)

    def of(self, *types: str) -> list[Told]:
        return [told for told in self.told if told["type"] in types]

    async def until(self, holds: Callable[[Told], bool], within_s: float = 60.0) -> Told:
        """The next thing told of which *holds*."""
        found: asyncio.Future[Told] = asyncio.get_running_loop().create_future()

        def watch(told: Told) -> None:
            if not found.done() and holds(told):
                found.set_result(told)

        self.watchers.append(watch)
        try:
            async with asyncio.timeout(within_s):
                return await found
        finally:
            self.watchers.remove(watch)

    def pid(self, worker: object) -> int:
        """The process that is *worker* now."""
        pid = [it for it in self.of("worker.up") if it["worker"] == worker][-1]["pid"]
        assert isinstance(pid, int)
        return pid

    def worker_of(self, call: object) -> object:
        return next(it["worker"] for it in self.of("call.started") if it["call"] == call)


@asynccontextmanager
async def model_server(style: str) -> AsyncIterator[int]:
    module, model = "trunkline.testing.openai_server", "trunkline.providers.embedded.scripted"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, "--model", f"{model}:{style}", "--law", "self_hosted_8b"),
        *("--seed", "1"),
        stdin=PIPE,
        stdout=PIPE,
    )
    assert process.stdout is not None
    try:
        ready = json.loads(await process.stdout.readline())["ready"]
        yield int(ready["port"])
    finally:
        process.kill()
        await process.wait()


@asynccontextmanager
async def house(folder: Path, workers: int, drain_s: float = 60.0) -> AsyncIterator[House]:
    """*workers* workers that are up, with two models behind them."""
    async with AsyncExitStack() as stack:
        ports = [await stack.enter_async_context(model_server(it)) for it in ("primary", "backup")]
        text = configuration(ports).replace("drain_s: 30", f"drain_s: {drain_s:g}")
        config = folder / "trunkline.yaml"
        config.write_text(text, "utf-8")
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "trunkline", "serve", str(config)),
            *("--events", "--workers", str(workers)),
            stdout=PIPE,
            limit=1 << 20,
        )
        made = House(process, folder)
        reading = asyncio.ensure_future(made.read())
        try:
            made.port = int(str((await made.until(lambda it: it["type"] == "ready"))["port"]))
            yield made
        finally:
            if process.returncode is None:
                process.terminate()
                try:
                    async with asyncio.timeout(15):
                        await process.wait()
                except TimeoutError:
                    process.kill()
                    await process.wait()
            await reading


async def script(*clips: str, quiet_s: float = 2.5) -> CallScript:
    """A caller who says *clips*, each when the agent has been quiet for *quiet_s*."""
    steps = [{"say": f"{clip}.wav", "after_agent": True} for clip in clips]
    return await parse_script({"quiet_s": quiet_s, "steps": steps}, folder=CLIPS)


async def items_heard(result: CallResult) -> dict[str, int]:
    """How often each item of the long answer was heard, in either wording."""
    async with embedded_voice({}) as voice:
        counts = {}
        for item in ITEMS:
            texts = sorted({item.primary_text, item.backup_text})
            clips = [np.frombuffer(await voice(text), np.int16) for text in texts]
            counts[item.key] = sum(heard(clip, result.tape[:, 1]).count for clip in clips)
        return counts


def resumed_after(result: CallResult, at_s: float) -> float:
    """Seconds from *at_s* of the tape to the agent's first sound on the second stream.

    What was queued for the first one is dropped when it ends, so what is heard behind the start
    of the second is its own.
    """
    again_s = result.times("stream")[1]
    voiced = tapes.activity(result.tape[:, 1], close_gap_s=0.02)
    return min(max(it.start_s, again_s) for it in voiced if it.end_s > again_s + 0.02) - at_s
