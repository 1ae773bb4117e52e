"""Every endpoint over a network has a connection before it is needed, the backup above all."""

import asyncio
import random
from dataclasses import replace
from functools import partial

import pytest

from trunkline.calls.warming import SPREAD_S, Warming
from trunkline.contracts import Context
from trunkline.core.warmth import LEAST_S, MOST_S
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.testing.simulated import SimLlm, SimTts, tokens
from trunkline.types import DataClass, StageName

DRAWS = partial(random.Random, 1)


class Networked(SimLlm):
    """A model whose server keeps an idle connection for *kept_s*."""

    def __init__(self, name: str, kept_s: float = 60.0, fails: Exception | None = None) -> None:
        super().__init__(name, lambda _: tokens("Yes."))
        self.warm, self.used_at = True, float("-inf")
        self.touches: list[float] = []
        self.classes: set[DataClass] = set()
        self._kept_s, self._fails = kept_s, fails

    async def touch(self, context: Context) -> bool:
        """A HEAD."""
        now = asyncio.get_running_loop().time()
        last = max([self.used_at, *self.touches[-1:]], default=float("-inf"))
        self.touches.append(now)
        self.classes.add(context.data_class)
        await asyncio.sleep(0.05)
        if self._fails is not None:
            raise self._fails
        return now - last <= self._kept_s


async def passes(warming: Warming, seconds: float) -> None:
    """Keep them warm for so long."""
    async with asyncio.TaskGroup() as group:
        running = group.create_task(warming.run())
        await asyncio.sleep(seconds)
        running.cancel()


async def test_all_are_connected_when_a_worker_starts_and_kept() -> None:
    """Within seconds, and then at most every 45 s, with what their stage may send."""
    stages = [Networked("primary"), Networked("backup")]
    warming = Warming(stages, DRAWS())
    await passes(warming, SPREAD_S + 2)
    assert [len(stage.touches) for stage in stages] == [1, 1]
    await passes(warming, 600.0)
    for stage in stages:
        assert 600 / MOST_S <= len(stage.touches) <= 3 * 600 / MOST_S
        assert stage.classes == {DataClass.PROMPT}


async def test_a_server_that_closes_soon_is_asked_sooner_but_not_more_than_so_often() -> None:
    """vLLM's closes after 5 s."""
    stage = Networked("vllm", kept_s=5.0)
    await passes(Warming([stage], DRAWS()), 300.0)
    gaps = [b - a for a, b in zip(stage.touches, stage.touches[1:], strict=False)]
    assert min(gaps) >= LEAST_S
    assert sum(gap <= 6.5 for gap in gaps) > len(gaps) / 2


async def test_who_is_used_need_not_be_kept_warm() -> None:
    """Its callers do that."""
    stage = Networked("busy")
    warming = Warming([stage], DRAWS())
    async with asyncio.TaskGroup() as group:
        running = group.create_task(warming.run())
        for _ in range(100):
            stage.used_at = asyncio.get_running_loop().time()
            await asyncio.sleep(2.0)
        running.cancel()
    assert stage.touches == []


@pytest.mark.parametrize(
    "error",
    [EndpointError("away", Fault.UNREACHABLE, "refused"), EgressRefused("away", "z", "prompt")],
)
async def test_one_that_cannot_be_reached_disturbs_nobody(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """It is tried as seldom as can be, and told once; the others are kept."""
    away, there = Networked("away", fails=error), Networked("there")
    await passes(Warming([away, there], DRAWS()), 200.0)
    assert 3 <= len(away.touches) <= 6
    assert [str(error) in record.getMessage() for record in caplog.records] == [True]
    assert len(there.touches) >= 4


async def test_only_what_has_connections_and_wants_them_kept_is_kept() -> None:
    """And what stays through a change of the configuration is as warm as before."""
    cold, other, stays = Networked("cold"), Networked("other"), Networked("stays")
    cold.warm = False
    other.endpoint = replace(other.endpoint, stage=StageName("s2s"))
    warming = Warming([SimTts("here"), cold, other, stays], DRAWS())
    await passes(warming, 5.0)
    warming.renew([stays, cold])
    await passes(warming, 10.0)
    assert [len(it.touches) for it in (cold, other, stays)] == [0, 0, 1]
