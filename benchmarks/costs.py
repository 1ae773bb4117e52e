"""What one step of the media path costs, in microseconds.

All are timed in turns, so that what else the machine does falls on each of them alike. The median
of the turns is what counts; the ratio to a queue's hop is what can be compared between machines.
"""

import asyncio
import statistics
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import uvloop

from trunkline.core import attempt_words as attempts
from trunkline.core import call_words as calls
from trunkline.core.attempts import Attempts
from trunkline.core.call import Call
from trunkline.core.call_words import CallPolicy
from trunkline.core.health import Measure
from trunkline.core.playout import Playout, PlayoutPolicy
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.turns import TurnPolicy, Turns, Window
from trunkline.media.g711 import mulaw_decode, mulaw_encode
from trunkline.media.vad import WINDOW_SAMPLES, VadPool
from trunkline.records.worker import WorkerRecords
from trunkline.telephony import twilio
from trunkline.types import FRAME_SAMPLES, CallId, Mono, Persona, Sample, Where

HOP = "asyncio.Queue: one hop to another task"
_TURNS = 15
_TURN_S = 0.01

Loop = Callable[[int], float]
"""Do the thing so many times; the seconds that it took."""


@dataclass(frozen=True, slots=True)
class Cost:
    """The median of one step in microseconds, and in hops of a queue."""

    name: str
    us: float
    hops: float


def measure() -> list[Cost]:
    """All steps, in one run."""
    return uvloop.run(_measure())


async def _measure() -> list[Cost]:
    with TemporaryDirectory() as folder:
        async with WorkerRecords(Path(folder), "w0") as records:
            journal = records.journal(CallId("01890000-0000-7000-8000-000000000000"))
            loops = dict(_media_path()) | dict(_machines())
            where = Where(journal.call, 1)
            note = partial(journal.note, "playout.mark", {"name": "0.1.24"}, where=where)
            loops["journal: note a mark"] = _repeat(note)
            counts = {name: _count(loop) for name, loop in loops.items()}
            took: dict[str, list[float]] = {name: [] for name in [*loops, HOP]}
            for _ in range(_TURNS):
                for name, loop in loops.items():
                    took[name].append(loop(counts[name]) / counts[name])
                    await asyncio.sleep(0)  # the log writes what was noted
                took[HOP].append(await _hop(1_000))
            await journal.close("measured")
    us = {name: statistics.median(seconds) * 1e6 for name, seconds in took.items()}
    return [Cost(name, value, value / us[HOP]) for name, value in us.items()]


def _count(loop: Loop) -> int:
    """How often to do it in one turn; also warms it up."""
    return max(1, int(_TURN_S / max(loop(3) / 3, 1e-7)))


def _repeat(step: Callable[[], object]) -> Loop:
    def loop(times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            step()
        return time.perf_counter() - start

    return loop


def _media_path() -> Iterator[tuple[str, Loop]]:
    rng = np.random.default_rng(0)
    pcm = rng.normal(0, 1_000, FRAME_SAMPLES).astype(np.int16)
    mulaw = mulaw_encode(pcm)
    yield "Twilio: decode one media message", partial(_decode_messages, mulaw)
    yield "Twilio: encode one media message", _repeat(partial(twilio.media, "MZ" * 17, mulaw))
    yield "mu-law: decode a frame", _repeat(partial(mulaw_decode, mulaw))
    yield "mu-law: encode a frame", _repeat(partial(mulaw_encode, pcm))
    for batch in (1, 32, 100):
        yield f"VAD: a window, {batch} in a batch", _vad(batch, mulaw)


def _decode_messages(mulaw: bytes, times: int) -> float:
    """Each message is another, as on a line: a repeated one would be dropped."""
    side, decoder = twilio.CarrierSide("MZ" * 17, "CA" * 17), twilio.StreamDecoder()
    decoder.decode(side.connected())
    decoder.decode(side.start({}))
    messages = [side.media(mulaw, Sample(i * FRAME_SAMPLES)) for i in range(times)]
    start = time.perf_counter()
    for message in messages:
        decoder.decode(message)
    return time.perf_counter() - start


def _vad(batch: int, mulaw: bytes) -> Loop:
    pool = VadPool()
    streams = [pool.join() for _ in range(batch)]
    window = (mulaw * 2)[:WINDOW_SAMPLES]

    def loop(times: int) -> float:
        start = time.perf_counter()
        for _ in range(times):
            for stream in streams:
                stream.feed(window)
            pool.tick()
        return (time.perf_counter() - start) / batch

    return loop


def _machines() -> Iterator[tuple[str, Loop]]:
    now = Mono(0.0)
    turns = Turns(TurnPolicy())
    window = Window(0.1, Sample(0), Sample(WINDOW_SAMPLES))
    yield "core: turns, one window", _repeat(lambda: turns.feed(window, now))
    yield "core: playout, one frame out", _playout
    call = Call(CallId("c"), Persona("Desk", "en", "", "Hello.", "Sorry."), CallPolicy())
    call.feed(calls.Begin(), now)
    yield "core: call, one fact", _repeat(lambda: call.feed(calls.Tick(), now))
    yield "core: attempts, one word", _words
    yield "core: routing, all that a turn of one step asks of it", _plans


def _playout(times: int) -> float:
    """`due` and `send` of each frame of a long phrase, at the pace of a call."""
    playout = Playout(PlayoutPolicy())
    playout.queue(playout.expect("hum"), times * FRAME_SAMPLES, (), complete=True)
    start = time.perf_counter()
    for number in range(times):
        now = Mono(number * 0.02)
        for _ in range(playout.due(now)):
            playout.send(now)
    return time.perf_counter() - start


def _words(times: int) -> float:
    """Words of an answer in sentences of ten; a step is begun anew before its bound is reached."""
    took, router = 0.0, Router(RoutingPolicy())
    for first in range(0, times, 200):
        call = router.call(0.5)
        plan = router.plan(["a", "b"], None, call, Mono(0.0))
        machine = Attempts(attempts.AttemptPolicy(), plan, call.purse)
        machine.feed(attempts.Begin(), Mono(0.0))
        words = [
            attempts.Text(0, "word. " if number % 10 == 9 else "word ")
            for number in range(min(200, times - first))
        ]
        start = time.perf_counter()
        for word in words:
            machine.feed(word, Mono(0.1))
        took += time.perf_counter() - start
    return took


def _plans(times: int) -> float:
    """The plan of a turn of one step and what is learnt of it, at 7 turns a second."""
    router, route = Router(RoutingPolicy()), ["a", "b", "c"]
    call = router.call(0.5)
    start = time.perf_counter()
    for number in range(times):
        now = Mono(number / 7)
        first = router.plan(route, "a", call, now).candidates[0]
        call.purse.primary()
        router.observe(first, Measure.FIRST, 0.5, now)
        router.observe(first, Measure.SENTENCE, 0.7, now)
        router.observe(first, Measure.GAP, 0.0, now, 40)
        router.served(first, now)
    return time.perf_counter() - start


async def _hop(times: int) -> float:
    """Seconds for a thing to reach a task that waits for it."""
    there: asyncio.Queue[int] = asyncio.Queue(1)
    back: asyncio.Queue[int] = asyncio.Queue(1)

    async def echo() -> None:
        for _ in range(times):
            await back.put(await there.get())

    async with asyncio.TaskGroup() as group:
        group.create_task(echo())
        await asyncio.sleep(0)
        start = time.perf_counter()
        for number in range(times):
            await there.put(number)
            await back.get()
        return (time.perf_counter() - start) / (2 * times)
