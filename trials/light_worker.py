"""A worker to be kept busy or attacked for long: the real shell, models that cost next to nothing.

All that a call passes is real but the recogniser and the synthesiser, which answer at once (those
of `benchmarks.density`). The language model is an OpenAI-compatible server at `--llm`, the first
the primary, and the simulated one of the benchmark without any. Streams that carry the parameter
`engines=embedded` get pocketsphinx and espeak-ng, each a process of its own.

It prints `{"ready": {"port": ...}}`, writes what it holds to `samples.jsonl` every second and its
log to `worker.log`; on the line `arrivals` it writes when each frame reached the ear, by stream, to
`arrivals.json`. It ends, as an operator would end it, with its standard input.

`--leak` plants a leak, so that a check for growth can show that it would find one.
"""

import argparse
import asyncio
import gc
import json
import logging
import os
import socket
import sys
import threading
import time
from array import array
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path
from typing import Final

import uvloop
from benchmarks.density.subject import PROMPT, Ears
from benchmarks.density.trunkline_worker import GREETING, Brain, Mouth, NoTools, Recogniser, Timed
from typing_extensions import override

from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import AnyStage, Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.contracts import Carrier, Context
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.turns import Window
from trunkline.media.vad import VadPool
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.providers.embedded.pocketsphinx import PocketsphinxStt
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.records.worker import WorkerRecords
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.testing.simulated import endpoint
from trunkline.types import LLM, STT, TTS, AudioFrame, Mono, Persona, Transcript

LEAKS: Final = ("", "memory", "socket", "task")
_LEAK_BYTES: Final = 500_000


class LeakyRecogniser(Recogniser):
    """Each utterance leaves something behind."""

    def __init__(self, what: str) -> None:
        self._what, self.kept = what, list[object]()

    @asynccontextmanager
    @override
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        if self._what == "memory":
            self.kept.append(os.urandom(_LEAK_BYTES))
        elif self._what == "socket":
            self.kept.append(socket.socketpair())
        elif self._what == "task":
            # No group: that a task outlives its call is what is planted.
            self.kept.append(asyncio.get_running_loop().create_task(asyncio.Event().wait()))
        async with super().open(source, context) as heard:
            yield heard


class Deaf(Ears):
    """Keeps no arrivals: a list of them would grow all the time."""

    @override
    def heard(self, stream: str, number: int) -> None:
        del stream, number


class Counted(Timed):
    """A call's journal that tells when it is closed."""

    closed = 0

    @override
    async def close(self, reason: str) -> None:
        await super().close(reason)
        Counted.closed += 1


class Ticks:
    """Paced like a call: how late each tick is, and the loop's CPU time since the one before."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer, self._last = pacer, time.thread_time()
        self.when, self.late_s, self.cpu_s = array("d"), array("d"), array("d")
        pacer.join(self)

    def hear(self, window: Window, now: Mono) -> None:
        raise AssertionError(f"nothing was said at {now}, but {window}")

    def tick(self, now: Mono) -> None:
        self.when.append(now)
        self._last, spent_s = (at := time.thread_time()), at - self._last
        self.late_s.append(max(0.0, now - self._pacer.due))
        self.cpu_s.append(spent_s)

    def broke(self, error: Exception) -> None:
        raise error


def sample(server: TelephonyServer, wal: Path) -> dict[str, float]:
    """What this process holds now. Linux: reads /proc."""
    own = Path("/proc/self")
    links = [_link(path) for path in (own / "fd").iterdir()]
    children = [
        int(pid)
        for task in (own / "task").iterdir()
        for pid in (_text(task / "children") or "").split()
    ]
    return {
        "mono": time.monotonic(),
        "rss_kb": _rss_kb(own),
        "tasks": len(asyncio.all_tasks()),
        "fds": len(links),
        "sockets": sum(link.startswith("socket:") for link in links),
        "threads": threading.active_count(),
        "children": len(children),
        "children_rss_kb": sum(_rss_kb(Path(f"/proc/{pid}")) for pid in children),
        "wal_files": sum(1 for _ in wal.rglob("*.tlw")),
        "calls": server.calls,
        "starved_s": int((_text(own / "schedstat") or "0 0").split()[1]) / 1e9,
        "closed": Counted.closed,
    }


def _rss_kb(process: Path) -> float:
    pages = (_text(process / "statm") or "0 0").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE") / 1024


def _text(path: Path) -> str | None:
    with suppress(OSError):  # gone in this moment
        return path.read_text()
    return None


def _link(path: Path) -> str:
    with suppress(OSError):
        return str(path.readlink())
    return ""


def _nothing(decision: EgressDecision) -> None:
    del decision


async def _commands(folder: Path, ears: Ears, ticks: Ticks | None) -> None:
    """Obey the parent until it closes our standard input."""
    loop, lines = asyncio.get_running_loop(), asyncio.Queue[bytes](maxsize=16)
    loop.add_reader(0, lambda: lines.put_nowait(os.read(0, 64)))
    while line := await lines.get():
        if line.strip() == b"arrivals":
            if ticks is not None:
                told = json.dumps([list(it) for it in (ticks.when, ticks.late_s, ticks.cpu_s)])
                (folder / "ticks.json").write_text(told)
            part = folder / "arrivals.part"
            ears.save(part)
            part.rename(folder / "arrivals.json")
    loop.remove_reader(0)


async def _sampling(server: TelephonyServer, folder: Path) -> None:
    with (folder / "samples.jsonl").open("a", buffering=1) as out:
        while True:
            out.write(json.dumps(sample(server, folder / "records" / "wal")) + "\n")
            await asyncio.sleep(1.0)


def _models(urls: Sequence[str], stack: AsyncExitStack) -> list[AnyStage]:
    if not urls:
        return [Brain()]
    session = client_session()
    stack.push_async_callback(session.close)
    ends = [endpoint(f"model{number}", LLM) for number in range(len(urls))]
    return [
        SseStage(end, OpenAIChat(end), base_url=url, key=None, session=session, gate=Gate(_nothing))
        for end, url in zip(ends, urls, strict=True)
    ]


async def main(options: argparse.Namespace) -> None:
    """Serve until the parent closes our standard input."""
    folder: Path = options.folder
    persona = Persona("Desk", "en", PROMPT, GREETING, "I am sorry.")
    arrivals = Ears() if options.timed else Deaf()

    async with AsyncExitStack() as stack:
        records = await stack.enter_async_context(WorkerRecords(folder / "records", "w0"))
        models = _models(options.llm, stack)
        words, voice = PocketsphinxStt(endpoint("ps", STT), {}), EspeakTts(endpoint("es", TTS), {})
        for stage in (words, voice):
            stack.push_async_callback(stage.close)
        light: Routes = {STT: [LeakyRecogniser(options.leak)], LLM: models, TTS: [Mouth()]}
        heavy: Routes = {STT: [words], LLM: models, TTS: [voice]}

        pacer, router = Pacer(VadPool()), Router(RoutingPolicy())
        workers = [
            Worker(
                Agent(lambda: persona, NoTools(), routes, Policies()),
                pacer,
                router,
                lambda call: Counted(records, call, arrivals),
            )
            for routes in (light, heavy)
        ]

        async def answer(carrier: Carrier) -> None:
            assert isinstance(carrier, TwilioCarrier)
            embedded = carrier.started.parameters.get("engines") == "embedded"
            await workers[embedded].answer(carrier)

        server = TelephonyServer(TelephonyConfig(port=0, calls_max=options.calls_max), answer)
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(pacer.run())
            await server.start()
            sampling = group.create_task(_sampling(server, folder))
            gc.collect()  # as `trunkline serve` does
            gc.freeze()
            sys.stdout.write(
                json.dumps({"ready": {"port": server.port, "pid": os.getpid()}}) + "\n"
            )
            sys.stdout.flush()
            await _commands(folder, arrivals, Ticks(pacer) if options.timed else None)
            await server.close(0.0)
            for task in (pacing, sampling):
                task.cancel()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--llm", action="append", default=[])
    parser.add_argument("--leak", choices=LEAKS, default="")
    parser.add_argument("--timed", action="store_true")
    parser.add_argument("--calls-max", type=int, default=500)
    given = parser.parse_args()
    logging.basicConfig(filename=given.folder / "worker.log", level=logging.INFO)
    uvloop.run(main(given))
