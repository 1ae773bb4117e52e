"""The trials: two servers, one subject, several turns at once, each with its own fault."""

import asyncio
import json
import math
import os
import random
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from benchmarks import environments
from benchmarks.failover import subject
from benchmarks.failover.judge import Outcome, Trial, outcome
from benchmarks.failover.server import ANSWER
from benchmarks.failover.subject import WAIT_S
from trunkline.core.phrases import Phrases
from trunkline.testing.chat import tokens

US = "trunkline"
_HERE = Path(__file__).parent
_INSTEAD = f'make bench ARGS="failover --subjects {US}"'
_PEERS: Mapping[str, tuple[str, tuple[str, ...]]] = {
    "livekit": ("livekit-plugins", ("livekit_subject",)),
    "livekit-retry": ("livekit-plugins", ("livekit_subject", "--retry-on-chunk-sent")),
    "pipecat": ("pipecat-openai", ("pipecat_subject",)),
    "litellm": ("litellm", ("litellm_subject",)),
}
NAMES = (US, *_PEERS)
AT_ONCE = 16
"""Trials that one subject has under way: they mostly wait."""
APART_S = 0.3
RECOVERIES = 40
CLEANUP_S = 20.0
"""After the wait, until a subject that has not answered is given up."""
BEFORE: Mapping[str, Mapping[str, object]] = {
    "none": {},
    "refuse": {},
    "429": {"kind": "status", "status": 429},
    "500": {"kind": "status", "status": 500},
    "401": {"kind": "status", "status": 401},
    "hang": {"kind": "hang"},
    "headers only": {"kind": "headers_only"},
    "keep-alives only": {"kind": "keepalives"},
    "empty": {"kind": "empty"},
}
INSIDE: Mapping[str, Mapping[str, object]] = {
    "stall": {"kind": "stall"},
    "slow drip": {"kind": "drip", "gap_s": 1.0},
    "cut": {"kind": "cut"},
    "malformed": {"kind": "malformed"},
    "clean close, truncated": {"kind": "truncate"},
    "error inside the stream": {"kind": "error_inside"},
}
FAULTS = {**BEFORE, **INSIDE}
"""Before the first token, and at a random token of the answer."""
CLOSED = "http://127.0.0.1:9/v1"
"""Port 9 (discard) is closed on any machine of today: what refuses is no server of ours."""


def trials(times: int, seed: int) -> list[Trial]:
    """Each fault so many *times*, in a random order, which is the same for every subject."""
    draw = random.Random(seed)  # noqa: S311  # to be repeated by its seed
    last = len(tokens(ANSWER)) - 4  # a fault that takes the last word only would be no test
    kinds = [fault for fault in FAULTS for _ in range(times)]
    draw.shuffle(kinds)
    return [
        Trial(number, fault, draw.randint(2, last) if fault in INSIDE else 0)
        for number, fault in enumerate(kinds, 1)
    ]


def text(trial: Trial) -> str:
    """What its caller says: the server knows the trial by it."""
    return f"Call {trial.number}: when are you open?"


def scripts(wanted: Sequence[Trial]) -> list[dict[str, object]]:
    """The faults of all trials, for the first server."""
    made = []
    for trial in wanted:
        script: dict[str, object] = dict(FAULTS[trial.fault])
        if script:
            script["match"] = text(trial)
            if trial.fault in INSIDE:
                script["after_tokens"] = trial.after_tokens
            made.append(script)
    return made


def command(name: str) -> list[str]:
    """How to start the subject of that *name*; its environment is made if it is not there."""
    if name == US:
        return [sys.executable, "-m", "benchmarks.failover.trunkline_subject"]
    environment, (module, *options) = _PEERS[name]
    python = environments.python(_HERE / "peers" / f"{environment}.txt", _INSTEAD)
    # Their own deprecations are not our news.
    return [str(python), "-W", "ignore", "-m", f"benchmarks.failover.{module}", *options]


async def compare(name: str, wanted: Sequence[Trial], seed: int) -> list[Outcome]:
    """All trials of one subject."""
    with tempfile.TemporaryDirectory() as folder:
        faults, none = Path(folder) / "faults.json", Path(folder) / "none.json"
        faults.write_text(json.dumps(scripts(wanted)))
        none.write_text("[]")
        async with server(faults, seed) as primary, server(none, seed + 1) as backup:
            lines = [
                subject.Asked(
                    it.number,
                    CLOSED if it.fault == "refuse" else primary.url,
                    backup.url,
                    text(it),
                )._asdict()
                for it in [Trial(0, "none"), *wanted]
            ]
            told = await ask(command(name), lines)
            struck = await primary.struck()
    for trial in wanted:
        if scripts([trial]) and text(trial) not in struck:
            raise SystemExit(f"failover: {name} never met the fault of {trial}")
    return [outcome(name, it, told[it.number], struck.get(text(it)), ANSWER) for it in wanted]


async def recovery(seed: int) -> tuple[float, float]:
    """How long a healthy server takes for a whole first sentence, in seconds: p50, p95."""
    with tempfile.TemporaryDirectory() as folder:
        none = Path(folder) / "none.json"
        none.write_text("[]")
        async with server(none, seed) as healthy, aiohttp.ClientSession() as session:
            took = sorted(
                [await _first_sentence_s(session, healthy.url) for _ in range(RECOVERIES)]
            )
    return took[RECOVERIES // 2], took[math.ceil(0.95 * RECOVERIES) - 1]


async def _first_sentence_s(session: aiohttp.ClientSession, url: str) -> float:
    began, phrases = time.monotonic(), Phrases()
    body = {"model": "m", "stream": True, "messages": [{"role": "user", "content": "Hello?"}]}
    async with session.post(f"{url}/chat/completions", json=body) as answer:
        async for line in answer.content:
            if line.startswith(b"data: {"):
                delta = json.loads(line[6:])["choices"][0]["delta"]
                if phrases.feed(delta.get("content", "")):
                    return time.monotonic() - began
    raise SystemExit("failover: the healthy server said no whole sentence")


class Server:
    """A model server as a process; *url* is what a client wants."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self._process = process
        self.url = f"http://127.0.0.1:{port}/v1"
        self._port = port
        self._faults: list[dict[str, Any]] = []

    async def listen(self) -> None:
        """Note when which fault took effect."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            self._faults.append(json.loads(line)["fault"])

    async def struck(self) -> dict[str, dict[str, Any]]:
        """The first effect of each fault, by what the caller had said."""
        url = f"http://127.0.0.1:{self._port}/_control/requests"
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            asked = {it["ordinal"]: it["last_user"] for it in (await answer.json())["requests"]}
        first: dict[str, dict[str, Any]] = {}
        for fault in self._faults:
            first.setdefault(asked[fault["request"]], fault)
        return first


@asynccontextmanager
async def server(faults: Path, seed: int) -> AsyncIterator[Server]:
    """A model server with these *faults*, for as long as the block lasts."""
    what = [sys.executable, "-m", "benchmarks.failover.server", str(faults), str(seed)]
    async with child(what) as process, asyncio.TaskGroup() as group:
        assert process.stdout is not None
        ready = json.loads(await process.stdout.readline())["ready"]
        it = Server(process, ready["port"])
        listening = group.create_task(it.listen())
        yield it
        listening.cancel()


async def ask(
    what: Sequence[str], lines: Sequence[Mapping[str, object]]
) -> dict[int, dict[str, Any]]:
    """What the subject of the command *what* told of each trial, by its number.

    *lines* are the fields of `subject.Asked`; the first is answered before the others are asked,
    so that what a process does once does not count for one of them.
    """
    told: dict[int, dict[str, Any]] = {}
    free, more = asyncio.Semaphore(AT_ONCE), asyncio.Event()
    async with child(what) as process, asyncio.TaskGroup() as group:
        assert process.stdin is not None
        assert process.stdout is not None
        output = process.stdout

        async def read() -> None:
            async for line in output:
                answer = json.loads(line).get("told") if line.startswith(b"{") else None
                if answer is not None:
                    told[answer["trial"]] = answer
                    free.release()
                    more.set()
            raise SystemExit(f"failover: {what!r} ended before its time")

        async def answered(number: int) -> None:
            async with asyncio.timeout(WAIT_S + CLEANUP_S):
                while len(told) < number:
                    more.clear()
                    await more.wait()

        async with asyncio.timeout(60.0):
            while not (await output.readline()).startswith(b'{"ready"'):
                pass
        reading = group.create_task(read())
        for number, line in enumerate(lines):
            async with asyncio.timeout(WAIT_S + CLEANUP_S):
                await free.acquire()
            process.stdin.write(json.dumps(line).encode() + b"\n")
            await process.stdin.drain()
            await asyncio.sleep(APART_S)
            if number == 0:
                await answered(1)
        await answered(len(lines))
        reading.cancel()
    return told


@asynccontextmanager
async def child(what: Sequence[str]) -> AsyncIterator[asyncio.subprocess.Process]:
    """A process that does not outlive the block that it was made for."""
    inherited = [it for it in [os.environ.get("PYTHONPATH", "")] if it]
    environment = dict(os.environ) | {
        "PYTHONPATH": os.pathsep.join([str(environments.ROOT), *inherited]),
        "LOGURU_LEVEL": "ERROR",  # Pipecat greets when it is imported
    }
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        *what, stdin=pipe, stdout=pipe, env=environment, limit=1 << 24
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
