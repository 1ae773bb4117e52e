"""`trunkline bench` as a process, against servers with planted defects."""

import asyncio
import json
import signal
import sys
from pathlib import Path

import pytest

from trunkline.bench.figures import Run, load
from trunkline.testing.chat import opening_hours
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer


def server(*faults: dict[str, object]) -> OpenAIServer:
    """A model that answers at once, but for *faults*."""
    scripts = [FaultScript.parse(it) for it in faults]
    return OpenAIServer(opening_hours(), law_named("instant"), faults=scripts)


async def benched(
    folder: Path, *servers: OpenAIServer, interrupt_s: float | None = None, blocks: int = 8
) -> tuple[int, Run]:
    """Measure *servers*, as `m0`, `m1`, ...; the exit status and what was measured."""
    subjects = [
        word
        for number, it in enumerate(servers)
        for word in ("--url", it.base_url, "--model", f"m{number}")
    ]
    load_of = ["--rate", "8", "--block-s", "1", "--blocks", str(blocks), "--turns", "1"]
    words = ["bench", "run", *subjects, *load_of, "--patience-s", "3", "--out", str(folder)]
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "trunkline", *words, stdout=asyncio.subprocess.DEVNULL
    )
    if interrupt_s is not None:
        for _ in range(600):  # at most a minute
            await asyncio.sleep(0.1)
            if (folder / "turns.jsonl").exists() and (folder / "turns.jsonl").stat().st_size:
                break
        await asyncio.sleep(interrupt_s)
        process.send_signal(signal.SIGINT)
    status = await process.wait()
    return status, load(folder)


@pytest.mark.ci
def test_planted_defects_are_told_for_whom_has_them(tmp_path: Path) -> None:
    """A cut, a truncated, a slow and a silent answer in one server, none in the other."""

    async def main() -> Run:
        sick = server(
            {"kind": "cut", "on_request": 3, "after_tokens": 5},
            {"kind": "truncate", "on_request": 6, "after_tokens": 5},
            {"kind": "stall", "on_request": 9, "after_tokens": 5, "hold_s": 1.0},
            {"kind": "hang", "on_request": 12},
            {"kind": "status", "on_request": 15, "status": 429},
        )
        async with asyncio.timeout(240), sick, server() as well:
            _, run = await benched(tmp_path / "run", sick, well)
        return run

    run = asyncio.run(main())
    name_of_sick, name_of_well = sorted(run.turns, key=lambda name: name.split("@")[0])
    sick, well = run.turns[name_of_sick], run.turns[name_of_well]
    faults = sorted(turn.fault for turn in sick if turn.fault)
    assert faults == ["cut", "cut", "silent", "throttled"]
    assert not any(turn.fault for turn in well)
    paused = [turn for turn in sick if any(gap >= 0.9 for gap in turn.gaps_s)]
    assert len(paused) == 1
    assert paused[0].ttft_s < 0.9
    assert {len(of) for of in run.turns.values()} == {len(sick)}  # the same calls for both
    assert (tmp_path / "run/report.html").stat().st_size > 2_000


@pytest.mark.ci
def test_ctrl_c_keeps_what_there_is(tmp_path: Path) -> None:
    """The turns that ended are there, packed and reported; the manifest says how it ended."""

    async def main() -> tuple[int, Run]:
        async with asyncio.timeout(240), server() as it:
            return await benched(tmp_path / "run", it, interrupt_s=2.0, blocks=500)

    status, run = asyncio.run(main())
    assert status == 130
    told = json.loads((tmp_path / "run/manifest.json").read_text())
    assert told["how"] == "interrupted"
    (turns,) = run.turns.values()
    assert told["turns"] == len(turns) > 3
    assert (tmp_path / "run/report.md").exists()
