"""Addresses that were good last keep calls going while the name service is slow or gone."""

import asyncio
import socket

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from trunkline.net.resolver import FRESH_S, LAST_GOOD_S, NAMES_MAX, SLOW_S, LastGoodResolver
from trunkline.testing.virtual import run


class Names(AbstractResolver):
    """A name service: *takes_s* for an answer, *fails* instead of one."""

    def __init__(self) -> None:
        self.asked = 0
        self.takes_s = 0.01
        self.fails: OSError | None = None
        self.closed = False

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        self.asked += 1
        answer = f"10.0.0.{self.asked}"
        await asyncio.sleep(self.takes_s)
        if self.fails is not None:
            raise self.fails
        told = ResolveResult(hostname=host, host=answer, port=port, family=family, proto=0, flags=0)
        return [told]

    @override
    async def close(self) -> None:
        self.closed = True


async def address(resolver: LastGoodResolver, host: str = "api.example.com") -> str:
    """The first address of *host*."""
    return (await resolver.resolve(host, 443))[0]["host"]


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()


async def test_an_answer_is_used_for_a_minute_and_then_renewed() -> None:
    """Many who ask at once ask once."""
    names = Names()
    resolver = LastGoodResolver(names)
    async with asyncio.TaskGroup() as group:
        asking = [group.create_task(address(resolver)) for _ in range(5)]
    assert {task.result() for task in asking} == {"10.0.0.1"}
    await asyncio.sleep(FRESH_S - 1)
    assert await address(resolver) == "10.0.0.1"
    assert names.asked == 1
    await asyncio.sleep(2)
    assert await address(resolver) == "10.0.0.2"
    await resolver.close()
    assert names.closed


async def test_a_service_that_fails_leaves_what_was_good_last(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Told once; when it is back, its new answer is used."""
    names = Names()
    resolver = LastGoodResolver(names)
    await address(resolver)
    names.fails = OSError("no name service")
    for _ in range(3):
        await asyncio.sleep(FRESH_S + 1)
        assert await address(resolver) == "10.0.0.1"
    assert [record.getMessage() for record in caplog.records] == [
        "name api.example.com: no name service; its last good addresses are used"
    ]
    names.fails = None
    assert await address(resolver) == f"10.0.0.{names.asked}"


async def test_a_service_that_is_slow_is_waited_for_a_moment_and_its_answer_used_later() -> None:
    """Nobody's silence is spent on it."""
    names = Names()
    resolver = LastGoodResolver(names)
    await address(resolver)
    names.takes_s = 5.0
    await asyncio.sleep(FRESH_S + 1)
    began = now()
    assert await address(resolver) == "10.0.0.1"
    assert now() - began == pytest.approx(SLOW_S)
    assert await address(resolver) == "10.0.0.1"
    await asyncio.sleep(5.0)
    assert await address(resolver) == "10.0.0.2"
    assert names.asked == 2


def test_what_is_too_old_is_not_used() -> None:
    """An hour is the limit: then the failure is told."""

    async def main() -> None:
        names = Names()
        resolver = LastGoodResolver(names)
        await address(resolver)
        names.fails = OSError("no name service")
        await asyncio.sleep(LAST_GOOD_S + 1)
        with pytest.raises(OSError, match="no name service"):
            await address(resolver)

    run(main(), limit_s=2 * LAST_GOOD_S)


async def test_a_name_that_was_never_known_fails_as_it_does() -> None:
    """There is nothing else to use; the caller's deadline bounds the wait."""
    names = Names()
    names.takes_s = 60.0
    resolver = LastGoodResolver(names)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.5):
            await address(resolver)
    await resolver.close()
    names.fails, names.takes_s = OSError("unknown"), 0.0
    resolver = LastGoodResolver(names)
    with pytest.raises(OSError, match="unknown"):
        await address(resolver)


async def test_names_are_forgotten_when_there_are_too_many() -> None:
    """The one used longest ago first."""
    names = Names()
    resolver = LastGoodResolver(names)
    await address(resolver, "first.example")
    for number in range(NAMES_MAX):
        await address(resolver, f"{number}.example")
    assert names.asked == NAMES_MAX + 1
    await address(resolver, "0.example")
    assert names.asked == NAMES_MAX + 1
    await address(resolver, "first.example")
    assert names.asked == NAMES_MAX + 2
