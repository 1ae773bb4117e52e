"""Journal files that something has damaged: a worker starts all the same and loses no whole call.

Each case is a copy of the records of a worker that died with calls up, with a few bytes changed,
cut, inserted or zeroed in its log or in a sealed journal; the seed says which.
"""

import asyncio
import random
import shutil
import tracemalloc
from pathlib import Path
from typing import Final

import pytest

from trunkline.errors import RecordError
from trunkline.records.worker import WorkerRecords
from trunkline.types import CallId, DataClass, Sample, Wall, Where, uuid7

SEEDS: Final = 60
MEMORY_MAX: Final = 64 * 2**20


async def left_behind(folder: Path) -> int:
    """Records as a worker leaves them that dies with calls up; the bytes of its log."""
    async with WorkerRecords(folder / "alive", "w0") as records:
        journals = [
            records.journal(CallId(uuid7(Wall(1e9 + number), bytes([number]) * 10)))
            for number in range(4)
        ]
        for number, journal in enumerate(journals):
            where = Where(journal.call)
            for turn in range(20):
                data = {"text": f"call {number} turn {turn} " + "x" * (200 * number)}
                journal.note(
                    "transcript.final", data, where=where, data_class=DataClass.TRANSCRIPT,
                    sample=Sample(160 * turn),
                )  # fmt: skip
            await journal.commit()
        await journals[0].close("hung up")
        shutil.copytree(folder / "alive", folder / "dead")
        for journal in journals[1:]:
            await journal.close("hung up")
    return sum(path.stat().st_size for path in (folder / "dead").rglob("*.tlw"))


def damage(path: Path, rng: random.Random) -> str:
    """Change *path*; how."""
    data = bytearray(path.read_bytes())
    at = rng.randrange(len(data) + 1)
    match rng.choice(("flip", "cut", "zero", "insert", "replace", "repeat", "length")):
        case "flip":
            data[min(at, len(data) - 1)] ^= 1 << rng.randrange(8)
            how = "flip"
        case "cut":
            del data[at:]
            how = "cut"
        case "zero":
            data[at : at + 100] = bytes(min(100, len(data) - at))
            how = "zero"
        case "insert":
            data[at:at] = rng.randbytes(rng.randrange(1, 5_000))
            how = "insert"
        case "replace":
            data[:] = rng.randbytes(len(data))
            how = "replace"
        case "repeat":
            data[at:at] = data[: rng.randrange(len(data))]
            how = "repeat"
        case _:
            data[at : at + 4] = b"\xff\xff\xff\x00"
            how = "length"
    path.write_bytes(data)
    return f"{how} at {at} of {path.name}"


async def started_on(folder: Path) -> WorkerRecords:
    async with WorkerRecords(folder, "w0") as records:
        pass
    return records


@pytest.mark.ci
def test_a_worker_starts_on_damaged_records(tmp_path: Path) -> None:
    """Whatever was done: the worker starts or says why not, and what it seals is whole."""
    assert asyncio.run(left_behind(tmp_path)) > 10_000
    refused = sealed = 0
    for seed in range(SEEDS):
        rng = random.Random(seed)  # noqa: S311  # to be repeated by its seed
        folder = tmp_path / f"case{seed}"
        shutil.copytree(tmp_path / "dead", folder)
        files = sorted([*folder.rglob("*.tlw"), *folder.rglob("*.tlj")])
        how = [damage(rng.choice(files), rng) for _ in range(rng.randrange(1, 3))]
        (folder / "wal" / "w0" / "not-ours.tlw.txt").write_bytes(b"\xff")
        tracemalloc.start()
        try:
            records = asyncio.run(started_on(folder))
        except RecordError as error:
            refused += 1
            print(f"seed {seed}: {how}: {error}")
            continue
        except BaseException:
            print(f"seed {seed}: {how}")
            raise
        finally:
            peak = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
        assert peak < MEMORY_MAX, f"seed {seed}: {how}: {peak} bytes"
        for call in records.store.list_calls():
            try:
                assert call.events[-1].type == "journal.closed", f"seed {seed}: {how}"
                sealed += 1
            except RecordError:
                assert call.call not in records.recovery.calls, f"seed {seed}: {how}"
    print(f"{SEEDS} damaged directories: {refused} refused, {sealed} calls whole")
    assert sealed > SEEDS
