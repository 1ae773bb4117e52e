"""The worker under load: the real shell with models that cost nothing; a process of its own.

Everything a call passes on a phone line is real: WebSocket, Twilio's JSON, Silero, turn-taking,
attempts, playout with marks, the journal on disk. The three stages answer at once, so what is
measured is Trunkline and not somebody's model.

It talks to its parent a line at a time: it writes `{"ready": {"port": ...}}`, reads `begin` and
`end`, and writes `{"cost": {...}}`. When each frame reached the ear goes to a file, because the
parent is the one who knows when it was sent.
"""

import argparse
import asyncio
import json
import os
import resource
import sys
import time
from array import array
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path
from typing import Literal

import uvloop
from typing_extensions import override

from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.contracts import Context
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.turns import Window
from trunkline.media.vad import VadPool
from trunkline.records.log import WorkerLog
from trunkline.records.worker import WorkerRecords
from trunkline.telephony.server import TelephonyConfig, TelephonyServer
from trunkline.testing.simulated import endpoint, speech, tokens
from trunkline.types import (
    LLM,
    STT,
    TTS,
    AudioFrame,
    CallId,
    DataClass,
    Delta,
    Mono,
    Persona,
    Phrase,
    Prompt,
    Sample,
    Speech,
    ToolCall,
    ToolResult,
    ToolSpec,
    Transcript,
    Where,
)

GREETING = "Recorded, all right?"
ANSWER = "Tomorrow at ten would be free for you."
"""Eight words: 3.1 s of the simulated voice in each cycle of the caller."""
_PIECE_BYTES = 1_600  # 100 ms: what streaming synthesisers send


class Ears:
    """A recogniser that takes every frame and hears a yes (the first is the consent)."""

    endpoint = endpoint("ears", STT)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        del context
        yield self._hear(source)

    async def _hear(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        async for _ in source:
            pass
        yield Transcript("Yes please.", final=True)


class Brain:
    """A model that answers word by word."""

    endpoint = endpoint("brain", LLM)

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        del source, context
        yield self._answer()

    async def _answer(self) -> AsyncIterator[Delta]:
        for wait, delta in tokens(ANSWER, first_s=0.05, gap_s=0.02):
            await asyncio.sleep(wait or 0.0)
            assert not isinstance(delta, Exception)
            yield delta


class Mouth:
    """A synthesiser that has each phrase ready, in pieces."""

    endpoint = endpoint("mouth", TTS)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        del context
        yield self._speak(source)

    async def _speak(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        async for phrase in source:
            for piece in _pieces(phrase.text):
                yield Speech(phrase.index, piece.pcm, piece.words, piece.last)


@cache
def _pieces(text: str) -> list[Speech]:
    whole = speech(Phrase(0, text))
    cuts = range(0, len(whole.pcm), _PIECE_BYTES)
    return [
        Speech(
            0,
            whole.pcm[cut : cut + _PIECE_BYTES],
            tuple(w for w in whole.words if cut <= 2 * w.at < cut + _PIECE_BYTES),
            last=cut == cuts[-1],
        )
        for cut in cuts
    ]


class NoTools:
    """A toolbox without tools."""

    specs: tuple[ToolSpec, ...] = ()

    async def run(self, call: ToolCall, key: str) -> ToolResult:
        raise AssertionError(f"the model asked for {call.name} ({key})")


class Timed:
    """A call's journal that also notes when each frame of the caller reached the ear."""

    def __init__(self, records: WorkerRecords, call: CallId) -> None:
        self._inner = records.journal(call)
        self.stream = ""
        self.turns = 0
        self.at, self.when = array("q"), array("d")

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        if type == "call.started":
            self.stream = str(data["carrier"])
        self.turns += type == "reply.ended"
        self._inner.note(type, data, where=where, data_class=data_class, zone=zone, sample=sample)

    def audio(self, channel: Literal["caller", "agent"], at: Sample, mulaw: bytes) -> None:
        if channel == "caller":
            self.at.append(at)
            self.when.append(time.monotonic())
        self._inner.audio(channel, at, mulaw)

    async def commit(self) -> None:
        await self._inner.commit()

    async def close(self, reason: str) -> None:
        await self._inner.close(reason)


class LastInLine:
    """Joins the pacer after all calls: how late is a tick when it has served everybody?"""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self.late_s: list[float] = []
        self._stream = pacer.join(self)

    def hear(self, window: Window, now: Mono) -> None:
        raise AssertionError(f"nothing was said at {now}, but {window}")

    def tick(self, now: Mono) -> None:
        del now
        # Not the loop's time: uvloop's stands still until all of this turn is done.
        self.late_s.append(time.monotonic() - self._pacer.due)

    def broke(self, error: Exception) -> None:
        raise error

    def leave(self) -> None:
        self._pacer.leave(self._stream)


class CountedLog(WorkerLog):
    """Counts what goes to the disk."""

    written = 0

    @override
    def append(self, body: bytes):  # type: ignore[no-untyped-def]  # as inherited
        CountedLog.written += len(body)
        return super().append(body)


def _begin_and_end() -> tuple["asyncio.Future[None]", "asyncio.Future[None]"]:
    """Futures for the two lines of the parent; a parent that is gone ends the process."""
    loop = asyncio.get_running_loop()
    marks = loop.create_future(), loop.create_future()

    def read() -> None:
        line = os.read(0, 64)
        if not line:
            os._exit(1)
        marks[line.strip() == b"end"].set_result(None)

    loop.add_reader(0, read)
    return marks


def _starved_s() -> float:
    """How long this thread has waited for a core that others had (Linux, proc(5): schedstat)."""
    schedstat = Path("/proc/self/schedstat")
    return int(schedstat.read_text().split()[1]) / 1e9 if schedstat.is_file() else 0.0


def _tell(what: str, **fields: object) -> None:
    sys.stdout.write(json.dumps({what: fields}) + "\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    """Serve until the parent says `end`, then report."""
    journals: list[Timed] = []

    def journal(call: CallId) -> Timed:
        journals.append(opened := Timed(records, call))
        return opened

    persona = Persona("Desk", "en", "Be brief.", GREETING, "I am sorry.")
    routes: Routes = {STT: [Ears()], LLM: [Brain()], TTS: [Mouth()]}
    agent = Agent(lambda: persona, NoTools(), routes, Policies())
    async with WorkerRecords(folder / "records", "w0", log=CountedLog) as records:
        pacer = Pacer(VadPool())
        worker = Worker(agent, pacer, Router(RoutingPolicy()), journal)
        server = TelephonyServer(TelephonyConfig(port=0, calls_max=10_000), worker.answer)
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(pacer.run())
            await server.start()
            begin, end = _begin_and_end()
            _tell("ready", port=server.port)
            await begin
            last = LastInLine(pacer)
            starved = _starved_s()
            cpu, wall, written = time.process_time(), time.monotonic(), CountedLog.written
            turns = sum(journal.turns for journal in journals)
            await end
            cost = {
                "begin": wall,
                "end": time.monotonic(),
                "cpu_s": time.process_time() - cpu,
                "journal_bytes": CountedLog.written - written,
                "turns": sum(journal.turns for journal in journals) - turns,
                "calls": server.calls,
                "starved_s": _starved_s() - starved,
                "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
                / (2**20 if sys.platform == "darwin" else 2**10),
                "late_s": last.late_s,
            }
            last.leave()
            arrivals = {j.stream: [list(j.at), list(j.when)] for j in journals}
            (folder / "arrivals.json").write_text(json.dumps(arrivals))
            _tell("cost", **cost)
            pacing.cancel()
            os._exit(0)  # a hang-up of each call is not what is measured


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    uvloop.run(main(parser.parse_args().folder))
