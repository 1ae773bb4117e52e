"""The receptionist's files under real threads, processes and a kill in the middle."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from trunkline.agent.calendar import Calendar
from trunkline.agent.practice import RIVERSIDE_DENTAL, load_practice
from trunkline.agent.tools import ReceptionTools, open_tools
from trunkline.types import ToolCall

PRACTICE = load_practice(RIVERSIDE_DENTAL)
WORKERS = 4
BOOKER = """
import asyncio, sys
from pathlib import Path
from trials.test_reception_tools import book_all
asyncio.run(book_all(Path(sys.argv[1]), sys.argv[2]))
"""


def now() -> datetime:
    return datetime(2026, 11, 22, 10, tzinfo=ZoneInfo("America/Chicago"))


def tools_in(folder: Path) -> ReceptionTools:
    return open_tools(PRACTICE, folder, now)


def booking(name: str, minute: int = 0) -> ToolCall:
    start = f"2026-11-24T{9 + minute // 60:02}:{minute % 60:02}"
    arguments = {"start": start, "name": name, "reason": "cleaning"}
    return ToolCall("call", "book_appointment", json.dumps(arguments))


async def book_all(folder: Path, name: str) -> None:
    """Book every slot of the morning as *name*; print how many were got."""
    tools = tools_in(folder)
    got = 0
    for minute in range(0, 180, 30):
        result = await tools.run(booking(name, minute), f"{name} {minute}")
        got += json.loads(result.content)["ok"]
    print(got, flush=True)


def names(folder: Path) -> list[str]:
    book = Calendar(folder / "appointments.ics", PRACTICE, now)
    return [a.name for a in book.appointments()]


def start(folder: Path, name: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", BOOKER, str(folder), name]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def test_one_slot_has_one_winner_among_threads(tmp_path: Path) -> None:
    """Twenty calls of one worker want the same half hour."""

    async def main() -> int:
        tools = tools_in(tmp_path)
        async with asyncio.TaskGroup() as group:
            runs = [
                group.create_task(tools.run(booking(f"Caller {chr(65 + n)}"), f"key {n}"))
                for n in range(20)
            ]
        return sum(json.loads(run.result().content)["ok"] for run in runs)

    assert asyncio.run(main()) == 1
    assert len(names(tmp_path)) == 1


def test_one_key_books_once_among_threads(tmp_path: Path) -> None:
    """The same step, dispatched twenty times at once."""

    async def main() -> set[str]:
        tools = tools_in(tmp_path)
        async with asyncio.TaskGroup() as group:
            runs = [group.create_task(tools.run(booking("Ann Lee"), "key")) for _ in range(20)]
        return {run.result().content for run in runs}

    assert len(asyncio.run(main())) == 1
    assert names(tmp_path) == ["Ann Lee"]


@pytest.mark.ci
def test_workers_never_give_one_slot_away_twice(tmp_path: Path) -> None:
    """Four processes race for six slots: each is given to exactly one of them."""
    workers = [start(tmp_path, f"Worker {chr(65 + n)}") for n in range(WORKERS)]
    got = [int(worker.communicate(timeout=60)[0]) for worker in workers]
    assert sum(got) == 6
    assert len(names(tmp_path)) == 6


def test_kill_at_any_moment_loses_nothing_that_was_promised(tmp_path: Path) -> None:
    """A killed worker leaves a calendar that reads; its repeat finishes, each slot once."""
    for delay_ms in range(0, 60, 12):
        folder = tmp_path / str(delay_ms)
        folder.mkdir()
        worker = start(folder, "Ann Lee")
        ledger = folder / "tools.jsonl"
        while not ledger.exists() and worker.poll() is None:
            os.sched_yield()  # the first booking is under way
        try:
            worker.wait(delay_ms / 1000)
        except subprocess.TimeoutExpired:
            worker.send_signal(signal.SIGKILL)
        worker.communicate(timeout=10)
        assert set(names(folder)) <= {"Ann Lee"}
        again = start(folder, "Ann Lee")
        assert int(again.communicate(timeout=60)[0]) == 6
        assert names(folder) == ["Ann Lee"] * 6
