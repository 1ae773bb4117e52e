"""Real time, real disk: what survives `kill -9`, and what a note and a commit cost.

A writer process runs calls on a log and reports on its standard output what `commit()` has
acknowledged. It is killed at 50 seeded moments. Then its log is recovered: everything that it
acknowledged must be there, every journal must verify, and nothing of the caller may lie behind
a missing consent. SIGKILL leaves the page cache alone, so this proves order and recovery, not
the disk: for that, `fdatasync` is trusted.
"""

import asyncio
import contextlib
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from trunkline.records.consent import Consent, judge
from trunkline.records.log import WorkerLog
from trunkline.records.projections import consent_record
from trunkline.records.recording import recording
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, Sample, Where

KILLS = 50
CALLS = 8
SEGMENT_BYTES = 200_000  # small, so that kills also hit rotations


async def write_until_killed(directory: Path) -> None:
    """Run calls for ever: each ends after a while and another one begins."""
    log = partial(WorkerLog, segment_bytes_max=SEGMENT_BYTES)
    async with (
        WorkerRecords(directory, "w0", log=log) as records,
        asyncio.TaskGroup() as calls,
    ):
        print("ready", flush=True)
        for lane in range(CALLS):
            calls.create_task(run_calls(records, lane))


async def run_calls(records: WorkerRecords, lane: int) -> None:
    draw = random.Random(lane)  # noqa: S311  # a seed, not a secret
    for number in range(1_000_000):
        call = CallId(f"c{os.getpid()}-{lane}-{number}")
        journal = records.journal(call)
        for type, data in (("consent.asked", {"text": "?"}), *judge("?", "yes").events):
            journal.note(type, data, where=Where(call), sample=Sample(0))
        for n in range(draw.randrange(5, 60)):
            for frame in range(draw.randrange(30)):
                journal.audio("caller", Sample((n * 30 + frame) * 160), b"\x22" * 160)
            text = "x" * draw.choice((10, 100, 6000))
            journal.note("acknowledged", {"n": n, "text": text}, where=Where(call))
            await journal.commit()
            acknowledge(f"{call} {n}")
        await journal.close("done")
        acknowledge(f"{call} closed")


def acknowledge(line: str) -> None:
    os.write(1, f"{line}\n".encode())  # one write: whole lines only


@contextlib.contextmanager
def writer(directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A writer process on *directory*, ready; its output goes to `acknowledged`."""
    with (directory / "acknowledged").open("wb") as output:
        process = subprocess.Popen([sys.executable, "-m", __name__, directory], stdout=output)
        try:
            deadline = time.monotonic() + 30
            while b"ready" not in (directory / "acknowledged").read_bytes():
                assert process.poll() is None, "the writer did not start"
                assert time.monotonic() < deadline, "the writer hangs"
                time.sleep(0.01)
            yield process
        finally:
            process.kill()
            process.wait()


def acknowledged(directory: Path) -> dict[str, int]:
    """The highest number acknowledged for each call; 10^9 for its close."""
    found: dict[str, int] = {}
    for line in (directory / "acknowledged").read_text().splitlines()[1:]:
        call, n = line.split()
        found[call] = 10**9 if n == "closed" else int(n)
    return found


async def recovered(directory: Path) -> WorkerRecords:
    async with WorkerRecords(directory, "w0") as records:
        return records


def check(directory: Path) -> tuple[int, int]:
    """Recover and verify everything; (acknowledgements, calls that had to be recovered)."""
    promised = acknowledged(directory)
    records = asyncio.run(recovered(directory))
    assert records.recovery.damage == ()
    stored = {call.call: call for call in records.store.list_calls()}
    for call, highest in promised.items():
        events = stored[CallId(call)].events
        numbers = [event.data["n"] for event in events if event.type == "acknowledged"]
        assert numbers == list(range(len(numbers))), call
        closed = events[-1].data["reason"] == "done"
        assert closed if highest == 10**9 else len(numbers) > highest, call
    for kept in stored.values():
        if len(recording(kept.events)):
            assert consent_record(kept.events).state is Consent.GRANTED
    assert not list(directory.glob("wal/*/*.tlw"))
    return sum(min(n, 60) for n in promised.values()), len(records.recovery.calls)


def test_what_was_acknowledged_survives_kill_9(tmp_path: Path) -> None:
    """Fifty kills at seeded moments: no acknowledged event is missing, every journal verifies."""
    draw = random.Random(20261122)  # noqa: S311  # a seed, not a secret
    promises = salvaged = 0
    for number in range(KILLS):
        directory = tmp_path / str(number)
        directory.mkdir()
        with writer(directory) as process:
            time.sleep(draw.uniform(0.0, 0.3))
            process.send_signal(signal.SIGKILL)
            process.wait()
        some, calls = check(directory)
        promises, salvaged = promises + some, salvaged + calls
    print(f"{KILLS} kills: {promises} acknowledgements kept, {salvaged} calls recovered")
    assert promises > 10 * KILLS
    assert salvaged > KILLS


@pytest.mark.ci
def test_five_kills_lose_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    """Kills at seeded amounts of work, not of time: a busy machine is asked for as much."""
    draw = random.Random(5)  # noqa: S311  # a seed, not a secret
    salvaged = 0
    for number in range(5):
        directory = tmp_path / str(number)
        directory.mkdir()
        lines = draw.randrange(20, 300)
        with writer(directory) as process:
            deadline = time.monotonic() + 30
            while (directory / "acknowledged").read_bytes().count(b"\n") <= lines:
                assert time.monotonic() < deadline, "the writer hangs"
                time.sleep(0.001)
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert sum(acknowledged(directory).values()) > 0
        salvaged += check(directory)[1]
    assert salvaged > 0, "no kill hit a call that was up"


def test_a_directory_survives_one_kill_after_another(tmp_path: Path) -> None:
    """The writer itself recovers what the one before it left, and dies again."""
    draw = random.Random(7)  # noqa: S311  # a seed, not a secret
    promised: dict[str, int] = {}
    for _ in range(8):
        with writer(tmp_path) as process:
            time.sleep(draw.uniform(0.05, 0.2))
            process.send_signal(signal.SIGKILL)
            process.wait()
        promised |= acknowledged(tmp_path)
    check(tmp_path)
    records = asyncio.run(recovered(tmp_path))
    assert set(promised) <= {call.call for call in records.store.list_calls()}


async def measure(directory: Path) -> tuple[float, list[float], list[float]]:
    """Seconds of a note; of commits one at a time; of commits of 100 calls at once."""
    where = Where(CallId("alone"), 3, 0, 1)
    alone: list[float] = []
    crowd: list[float] = []
    async with WorkerRecords(directory, "w0") as records:
        journal = records.journal(where.call)
        runs = []
        for _ in range(10):
            began = time.perf_counter()
            for n in range(1000):
                journal.note("attempt.delta", {"n": n, "text": " hello"}, where=where, zone="eu")
            runs.append((time.perf_counter() - began) / 1000)
            await journal.commit()
        for _ in range(300):
            journal.note("tool.intent", {"key": "k", "name": "b", "arguments": "{}"}, where=where)
            began = time.perf_counter()
            await journal.commit()
            alone.append(time.perf_counter() - began)

        async def call(number: int) -> None:
            at = Where(CallId(f"c{number}"))
            mine = records.journal(at.call)
            await asyncio.sleep(number / 100)
            for n in range(10):
                mine.note("dtmf", {"digit": str(n)}, where=at)
                began = time.perf_counter()
                await mine.commit()
                crowd.append(time.perf_counter() - began)
                await asyncio.sleep(0.1)
            await mine.close("done")

        async with asyncio.TaskGroup() as calls:
            for number in range(100):
                calls.create_task(call(number))
        await journal.close("done")
    return statistics.median(runs), alone, crowd


def test_a_note_is_cheap_and_a_commit_is_prompt(tmp_path: Path) -> None:
    """What the journal costs a call, alone and among a hundred."""
    note_s, alone, crowd = asyncio.run(measure(tmp_path))
    print(f"note {note_s * 1e6:.1f} us")
    for name, commits in (("alone", alone), ("100 calls", crowd)):
        commits.sort()
        p50, p99 = commits[len(commits) // 2], commits[len(commits) * 99 // 100]
        print(f"commit, {name}: p50 {p50 * 1e3:.2f} ms, p99 {p99 * 1e3:.2f} ms")
    # Bounds for a busy machine: a note must vanish beside a frame, a commit beside a tool.
    assert note_s < 100e-6
    assert statistics.median(crowd) < 0.1


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt, pytest.fail.Exception):
        asyncio.run(write_until_killed(Path(sys.argv[1])))
