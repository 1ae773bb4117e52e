"""One trial: local servers in two processes, a fresh worker, a call over the media stream.

The primary of the stage that fails is alone in its process, which may be stopped or cut off; all
else is in another. These processes serve one trial after the other; the worker does not: each trial
has its own, which has learnt nothing.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trials.keep_alive.order import LOCAL, Order, healthy, script
from trials.keep_alive.sounds import CALLER
from trials.keep_alive.worker import START_S, worker
from trunkline.agent.practice import RIVERSIDE_DENTAL
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Speak, Step
from trunkline.types import LLM, STT, TTS, DataClass, StageName

CALL_S: Final = 45.0
ROOT: Final = Path(__file__).parents[2]
SCRIPT: Final = CallScript(
    (
        Step(Speak(CALLER), AfterAgent(0.5), "asks"),
        # Longer than any gap that is within its bound: a later word is to be on the tape.
        Step(HangUp(), AfterAgent(2.0), "hangs up"),
    ),
    max_wait_s=12.0,
)
PRACTICE: Final = (
    RIVERSIDE_DENTAL.read_text("utf-8")
    .replace("Riverside Dental", "Desk")  # for a short greeting
    .replace("Robin", "Al")
)
EXPECTED: Final[Mapping[StageName, Mapping[str, float]]] = {
    LLM: {
        "ttft_p50_s": 0.15,
        "ttft_p95_s": 0.25,
        "slow_share": 0.02,
        "sentence_s": 0.2,
        "gap_p999_s": 0.35,
    },
    STT: {},
    TTS: {},
}
"""What an operator would have measured of these servers; of speech, what is expected anyway."""


async def _nothing() -> None:
    """What a host needs that was not cut off."""


class Host:
    """A process with local servers; *address*: where they listen."""

    def __init__(self, process: Process, address: str, way_back: str = "") -> None:
        self.address, self.way_back = address, way_back
        self.pid = process.pid
        self.faults: list[dict[str, float]] = []
        self.restore: Callable[[], Awaitable[None]] = _nothing
        self._process = process
        self._answers: asyncio.Queue[dict[str, Any]] = asyncio.Queue(4)

    async def listen(self) -> None:
        """Read what it says."""
        assert self._process.stdout is not None
        async for line in self._process.stdout:
            said = json.loads(line)
            if "fault" in said:
                self.faults.append(said["fault"])
            else:
                await self._answers.put(said)

    async def open(self, seed: int, servers: Sequence[Mapping[str, object]]) -> list[str]:
        """Serve *servers*; their base URLs."""
        self.faults = []
        told = {"address": self.address, "seed": seed, "servers": servers}
        said = await self._ask({"open": told})
        return list(said["opened"]["urls"])

    async def close(self) -> None:
        """Serve nobody, even if it was stopped or cut off."""
        os.kill(self.pid, signal.SIGCONT)
        await self.restore()
        await self._ask({"close": True})

    async def _ask(self, told: Mapping[str, object]) -> dict[str, Any]:
        assert self._process.stdin is not None
        while not self._answers.empty():
            self._answers.get_nowait()  # late, of a trial that was given up
        self._process.stdin.write(json.dumps(told).encode() + b"\n")
        async with asyncio.timeout(START_S):
            return await self._answers.get()


@asynccontextmanager
async def host(
    address: str = LOCAL, way_back: str = "", prefix: Sequence[str] = ()
) -> AsyncIterator[Host]:
    """A process of local servers; *prefix* its command with what runs it elsewhere."""
    process = await asyncio.create_subprocess_exec(
        *(*prefix, sys.executable, "-m", "trials.keep_alive.host"),
        stdin=PIPE,
        stdout=PIPE,
        env=_environment(),
    )
    it = Host(process, address, way_back)
    listening = asyncio.ensure_future(it.listen())
    try:
        yield it
    finally:
        listening.cancel()
        process.kill()
        await process.wait()


def _environment() -> dict[str, str]:
    path = [str(ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, path))}


@dataclass(frozen=True)
class Placed:
    """One call as it came about. *struck*: when the fault took effect first (monotonic seconds)."""

    order: Order
    result: CallResult
    events: Sequence[Mapping[str, Any]]
    struck: Sequence[Mapping[str, float]]

    @property
    def late_s(self) -> float:
        """How late the caller's own clock was, at most."""
        return float(self.result.late_s.max())

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The worker's events of that *kind*, in order."""
        return [event for event in self.events if event["type"] == kind]


@dataclass
class Slot:
    """Where one trial after the other takes place."""

    well: Host
    sick: Host
    cut_off: Host | None
    """In a network namespace of its own; None: the kernel forbids it."""
    starting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


def called(url: str) -> CallResult:
    """The call, in a process that has nothing else to do: its clock is the measure."""
    return asyncio.run(place_call(url, SCRIPT, max_s=CALL_S))


async def place(order: Order, slot: Slot, folder: Path, callers: Executor) -> Placed:
    """Place the call of *order* from one of the processes *callers*."""
    sick = slot.sick
    then = ""
    if order.fault == "SIGSTOP":
        then = "stop"
    elif order.fault == "black hole":
        assert slot.cut_off is not None
        sick, then = slot.cut_off, slot.cut_off.way_back
    fails: list[Mapping[str, Any]] = [
        {"stage": order.stage, "backup": False, "fault": script(order), "then": then}
    ]
    others: list[Mapping[str, Any]] = [
        {"stage": stage, "backup": backup, "fault": None, "then": ""}
        for stage in (LLM, STT, TTS)
        for backup in (False, True)
        if backup or stage != order.stage
    ]
    async with AsyncExitStack() as stack:
        urls = [*await sick.open(order.seed, fails), *await slot.well.open(order.seed, others)]
        stack.push_async_callback(slot.well.close)
        stack.push_async_callback(sick.close)
        endpoints = list(zip([*fails, *others], urls, strict=True))
        config = await asyncio.to_thread(configured, folder, order, endpoints)
        serving = await stack.enter_async_context(worker(config, slot.starting))
        url = f"http://{LOCAL}:{serving.port}/twilio/voice"
        result = await asyncio.get_running_loop().run_in_executor(callers, called, url)
        await serving.until("call.ended")
        return Placed(order, result, serving.events, list(sick.faults))


def configured(
    folder: Path, order: Order, servers: Sequence[tuple[Mapping[str, Any], str]]
) -> Path:
    """The configuration of the worker, in *folder*, which is emptied."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / "practice.yaml").write_text(PRACTICE, "utf-8")
    accepts = [str(data_class) for data_class in DataClass]
    told = {
        "version": 1,
        "zones": {
            "here": {
                "kind": "self_hosted",
                **dict.fromkeys(("region", "jurisdiction", "retention"), "none"),
                "processor": "you",
                **dict.fromkeys(("baa", "dpa"), False),
                "accepts": accepts,
            }
        },
        "endpoints": {_name(server): _endpoint(server, url, order) for server, url in servers},
        "agents": {
            "desk": {
                "practice": "practice.yaml",
                "routes": {
                    str(stage): [f"{stage}-first", f"{stage}-backup"] for stage in (STT, LLM, TTS)
                },
                "consent": {"ask": False},
                "folder": "reception",
            }
        },
        "server": {"host": LOCAL, "port": 0, "drain_s": 5},
        "records": {"directory": "records"},
    }
    config = folder / "trunkline.yaml"
    config.write_text(json.dumps(told), "utf-8")  # which is YAML, too
    return config


def _name(server: Mapping[str, Any]) -> str:
    return f"{server['stage']}-{'backup' if server['backup'] else 'first'}"


def _endpoint(server: Mapping[str, Any], url: str, order: Order) -> dict[str, object]:
    stage = StageName(server["stage"])
    made: dict[str, object] = {
        "stage": str(stage),
        "api": "openai" if stage == LLM else "deepgram",
        "model": "local",
        "base_url": url,
        "zone": "here",
        "failure_domain": _name(server),
        "key_env": None if stage == LLM or LOCAL not in url else "TRIAL_KEY",
        "expected": dict(EXPECTED[stage]),
    }
    if stage == LLM:
        made["continuation"] = "prefix"
    if stage == TTS:
        eleven = healthy(order.seed).elevenlabs_first != bool(server["backup"])
        made["api"] = "elevenlabs" if eleven else "cartesia"
        made["options"] = {"voice": "anna"}
    return made
