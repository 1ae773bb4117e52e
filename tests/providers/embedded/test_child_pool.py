"""A few engines serve many exchanges, in order of arrival, within bounds."""

import asyncio

import pytest

from tests.providers.embedded.engines import FakeEngine
from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.child_pool import ChildPool


def engines(count: int) -> list[FakeEngine]:
    """Engines that are never asked."""
    return [FakeEngine(lambda _kind, _payload: None) for _ in range(count)]


async def hold(pool: ChildPool, seconds: float, served: list[str], name: str = "") -> None:
    """One exchange of *seconds*."""
    async with pool.exchange():
        served.append(name)
        await asyncio.sleep(seconds)


async def test_exchanges_are_served_in_order_of_arrival_one_by_each_engine() -> None:
    """No call overtakes another, no engine does two things at once."""
    children = engines(2)
    pool = ChildPool("local", children, waiting=9, wait_s=60.0)
    served: list[str] = []
    async with asyncio.TaskGroup() as group:
        for name in "abcdef":
            group.create_task(hold(pool, 1.0, served, name))
            await asyncio.sleep(0.01)
            assert max(child.open for child in children) == 1
    assert served == list("abcdef")
    assert [child.exchanges for child in children] == [3, 3]


async def test_a_full_line_refuses_at_once() -> None:
    """Pushback is not a failure: the router tries elsewhere."""
    pool = ChildPool("local", engines(1), waiting=1, wait_s=60.0)
    served: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(pool, 5.0, served))
        group.create_task(hold(pool, 5.0, served))
        await asyncio.sleep(1.0)
        with pytest.raises(EndpointError, match="1 exchanges wait for 1") as caught:
            await hold(pool, 1.0, served)
    assert caught.value.fault is Fault.THROTTLED
    assert len(served) == 2


async def test_a_wait_ends() -> None:
    """Nobody stands in line for ever, and who gave up does not take a turn."""
    children = engines(1)
    pool = ChildPool("local", children, waiting=5, wait_s=2.0)
    served: list[str] = []
    async with asyncio.TaskGroup() as group:
        group.create_task(hold(pool, 5.0, served))
        await asyncio.sleep(0.1)
        with pytest.raises(EndpointError, match="within 2 s") as caught:
            await hold(pool, 1.0, served)
    assert caught.value.fault is Fault.THROTTLED
    await hold(pool, 1.0, served)
    assert children[0].exchanges == 2


async def test_a_cancelled_exchange_gives_its_engine_back() -> None:
    """Barge-in cancels a phrase in the middle."""
    pool = ChildPool("local", engines(1), waiting=5, wait_s=2.0)
    served: list[str] = []
    async with asyncio.TaskGroup() as group:
        holder = group.create_task(hold(pool, 1_000.0, served))
        waiter = group.create_task(hold(pool, 1_000.0, served))
        await asyncio.sleep(1.0)
        waiter.cancel()
        holder.cancel()
    await hold(pool, 1.0, served, "next")
    assert served == ["", "next"]


async def test_all_engines_start_and_end_with_the_pool() -> None:
    """No process is left."""
    children = engines(3)
    pool = ChildPool("local", children, waiting=0, wait_s=0.0)
    await pool.start()
    async with pool.exchange():
        pass
    await pool.close()
    assert [(child.started, child.closed) for child in children] == [(1, 1)] * 3
