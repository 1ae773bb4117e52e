"""What the tests of records share: clocks that can be told, calls with a plot, a shaky disk."""

import asyncio
import os
import random
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from functools import partial
from pathlib import Path

import pytest

from trunkline.records.consent import judge
from trunkline.records.journal import CallJournal, Clocks
from trunkline.records.lanes import InlineLane
from trunkline.records.log import WorkerLog
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, DataClass, Sample, Where

CALL = CallId("01998d7e-0000-7000-8000-000000000001")
WALL = 1_763_800_000.0  # 2025-11-22 08:26:40 UTC
DAY = "2025-11-22"
QUESTION = "is it all right that this call is recorded?"


def clocks() -> Clocks:
    """The loop's clock, a wall clock that stands still and entropy that repeats."""
    loop = asyncio.get_running_loop()
    entropy = random.Random(1).randbytes  # noqa: S311  # the same ids every time
    return Clocks(mono=loop.time, wall=lambda: WALL, entropy=entropy)


def open_log(
    directory: Path, *, latency_s: float = 0.0, **options: float
) -> AbstractAsyncContextManager[WorkerLog]:
    """A log on an inline lane whose every job takes *latency_s*."""
    make: Callable[..., WorkerLog] = WorkerLog
    return make(directory, lane=InlineLane(latency_s=latency_s), **options)


def open_records(
    directory: Path, worker: str = "w0", *, latency_s: float = 0.0, **log: float
) -> WorkerRecords:
    """A worker's records on inline lanes."""
    return WorkerRecords(
        directory,
        worker,
        clocks=clocks(),
        lane=partial(InlineLane, latency_s=latency_s),
        log=partial(WorkerLog, **log),  # type: ignore[arg-type]  # sizes are whole numbers
    )


def fail_sync(patch: pytest.MonkeyPatch, *, after: int = 0) -> list[int]:
    """Let every fdatasync behind the first *after* fail; the list counts the calls."""
    calls: list[int] = []

    def sync(fd: int) -> None:
        calls.append(fd)
        if len(calls) > after:
            raise OSError(5, "Input/output error")

    patch.setattr(os, "fdatasync", sync)
    return calls


def ask(journal: CallJournal, utterance: str, *, at: int) -> None:
    """Put the question and journal what the caller answers to it at sample *at*."""
    where = Where(journal.call, 0)
    journal.note("consent.asked", {"text": QUESTION}, where=where, sample=Sample(at - 800))
    for type, data in judge(QUESTION, utterance).events:
        journal.note(type, data, where=where, sample=Sample(at), data_class=DataClass.TRANSCRIPT)


def speak(journal: CallJournal, channel: str, start: int, seconds: float, code: int) -> None:
    """20 ms frames of mu-law *code* on *channel*."""
    for at in range(start, start + int(seconds * 8000), 160):
        frame = bytes([code]) * 160
        if channel == "caller":
            journal.audio("caller", Sample(at), frame)
        else:
            journal.audio("agent", Sample(at), frame)


def wal(directory: Path, worker: str = "w0") -> list[Path]:
    """The segments in the log of *worker*."""
    return sorted((directory / "wal" / worker).glob("*.tlw"))
