"""A run: time blocks, in each of which every subject gets the same calls, in an order drawn anew.

Calls come when the schedule says (`measure.arrivals`), whatever became of the ones before: a
subject that freezes gets its callers all the same, and each of them waits from the time at which
they called. Only one subject is loaded at a time, so that they do not slow one another down.
"""

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.bench.model import Place, Subject
from trunkline.bench.sentinel import Sentinel
from trunkline.bench.turns import Turn
from trunkline.errors import InputError
from trunkline.measure.arrivals import Load, drawn

AT_ONCE_MAX = 2_000
"""Calls at the same time; one process could not stamp the tokens of more in time. Calls beyond are
turns that failed by our fault: an open loop does not wait."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run: *blocks* in which each subject gets the *load*; *cv* of the intervals."""

    load: Load
    blocks: int
    seed: int = 1
    cv: float = 1.0

    def __post_init__(self) -> None:
        if self.blocks < 1:
            raise InputError(f"{self.blocks} blocks: give at least one")

    @property
    def calls(self) -> float:
        """Of one subject, on average."""
        return self.load.calls * self.blocks


async def run(
    order: Order,
    subjects: Sequence[Subject],
    sentinel: Sentinel,
    done: Callable[[Turn], None],
    progress: Callable[[int, str], None] = lambda *_: None,
) -> None:
    """Run it all; *done* gets every turn as it ends, *progress* the block and subject that begin.

    Cancelling it ends the calls that are up; their unfinished turns are not told, because nobody
    knows how they would have ended.
    """
    if len({it.name for it in subjects}) < len(subjects):
        raise InputError("two subjects have the same name: what is whose could not be told")
    zero, wall = asyncio.get_running_loop().time(), time.time()
    calls = 0
    async with asyncio.TaskGroup() as group:
        watching = group.create_task(sentinel.run())
        for block in range(order.blocks):
            rng = np.random.default_rng([order.seed, block])
            at_s = [float(it) for it in drawn(order.load, rng, order.cv)]
            for which in rng.permutation(len(subjects)):
                subject = subjects[which]
                progress(block, subject.name)
                began = asyncio.get_running_loop().time()
                places = [
                    Place(block, calls + number, began + it, number == 0, zero, wall)
                    for number, it in enumerate(at_s)
                ]
                calls += len(places)
                await _slice(subject, places, began + order.load.duration_s, done)
        watching.cancel()


async def _slice(
    subject: Subject, places: Sequence[Place], until: float, done: Callable[[Turn], None]
) -> None:
    """One subject's part of a block; over when its time is and its last call has ended."""
    clock = asyncio.get_running_loop().time
    up: set[asyncio.Task[None]] = set()
    async with asyncio.TaskGroup() as group:
        for place in places:
            await asyncio.sleep(max(0.0, place.at - clock()))
            if len(up) >= AT_ONCE_MAX:
                done(subject.missed(place))
                continue
            task = group.create_task(subject.call(place, done))
            up.add(task)
            task.add_done_callback(up.discard)
        await asyncio.sleep(max(0.0, until - clock()))
