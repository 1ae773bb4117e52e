"""A configuration that changes while a call is up, on a real worker, and is broken then."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from trials.light import coded
from trials.light.rig import Exchange, exchange, lines
from trunkline.types import LLM

BRAIN = "brain: {stage: llm"
OTHER = "other: {stage: llm"


@pytest.mark.parametrize("workers", [pytest.param(1, marks=pytest.mark.ci), 2])
def test_a_running_turn_keeps_its_model_and_the_next_one_gets_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int
) -> None:
    """Then the file is broken: workers say so, go on, and are started again by what was good."""
    monkeypatch.setenv("TRUNKLINE_TRIAL_ITEMS", "6")  # the answer takes 14 s
    asyncio.run(_reload(tmp_path, workers))


async def _reload(folder: Path, workers: int) -> None:
    async with exchange(folder, workers) as serving, lines(serving.url, 1, folder, 0.1) as line:
        path = folder / "trunkline.yaml"
        good = path.read_text("utf-8")
        assert BRAIN in good
        changed = good.replace(BRAIN, OTHER).replace("[brain]", "[other]")
        await line.until(lambda state: state["hear"] == 1)
        path.write_text(changed, "utf-8")
        await logged(serving, "is in force", workers)
        path.write_text(changed.replace("port: 0", "port: 1").replace("ask: true", "ask: 1"))
        await logged(serving, "is refused", workers)
        (tape,) = await line.taped()
        if workers > 1:
            await _a_worker_is_started_again(serving, workers)
        else:
            assert serving.process.returncode is None
    assert tape.ended == "hung up", tape.notes
    assert tape.heard(coded.RIGHT) == 1, "the new model was told another conversation"
    (events,) = serving.journals().values()
    asked = [
        (it.where.turn, it.data["endpoint"])
        for it in events
        if it.type == "attempt.started" and it.data["stage"] == LLM
    ]
    assert asked, "no model was asked"
    told = {turn: {name for at, name in asked if at == turn} for turn, _ in asked}
    first, *_, last = sorted(told)
    assert told[first] == {"brain"}, told
    assert told[last] == {"other"}, told
    assert all(len(names) == 1 for names in told.values()), "a turn had two configurations"


async def _a_worker_is_started_again(serving: Exchange, workers: int) -> None:
    """Although the file on disk is a wrong one."""
    before = serving.workers()
    os.kill(before[0], signal.SIGKILL)
    until = time.monotonic() + 30
    while len(serving.workers()) < workers or serving.workers() == before:
        assert time.monotonic() < until, "no worker came up"
        await asyncio.sleep(0.1)
    await asyncio.sleep(3.0)
    assert len(serving.workers()) == workers, "it did not stay up"


async def logged(serving: Exchange, what: str, times: int) -> None:
    """Wait until it was logged so often."""
    until = time.monotonic() + 20
    while sum(what in said for said in serving.said) < times:
        assert time.monotonic() < until, serving.said
        await asyncio.sleep(0.05)
