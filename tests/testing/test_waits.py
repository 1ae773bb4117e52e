"""A deadlock says who waits for what."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest

from trunkline.testing.virtual import Deadlock, run


async def wait_for_news(news: "asyncio.Queue[str]") -> None:
    """Wait for what nobody puts."""
    await news.get()


async def follow(news: "asyncio.Queue[str]") -> AsyncIterator[str]:
    """Yield what nobody puts."""
    while True:
        yield await news.get()


async def stuck_in_a_queue() -> None:
    """Wait for a task that waits for a queue."""
    async with asyncio.TaskGroup() as group:
        group.create_task(wait_for_news(asyncio.Queue()), name="reader")


async def stuck_in_a_generator() -> None:
    """Wait inside an async generator, which does not tell its waiter to anyone."""
    async for _ in follow(asyncio.Queue()):
        pass


async def stuck_on_a_future() -> None:
    """Wait for a bare future."""
    await asyncio.get_running_loop().create_future()


async def stuck_on_a_task() -> None:
    """Wait for a task by its name."""
    await asyncio.get_running_loop().create_task(stuck_on_a_future(), name="inner")


@pytest.mark.parametrize(
    ("main", "said"),
    [
        (
            stuck_in_a_queue,
            [r"'reader' waits at \S+test_waits\.py:\d+ in wait_for_news", "Queue"],
        ),
        (stuck_in_a_queue, [r"in stuck_in_a_queue for asyncio TaskGroup\.__aexit__"]),
        (stuck_in_a_generator, [r"test_waits\.py:\d+ in follow for asyncio Queue\.get"]),
        (stuck_on_a_future, [r"in stuck_on_a_future for a Future"]),
        (stuck_on_a_task, [r"in stuck_on_a_task for task 'inner'"]),
    ],
)
def test_a_deadlock_says_who_waits_for_what(
    main: Callable[[], Coroutine[Any, Any, None]], said: list[str]
) -> None:
    """The message has the task's name, the line and function, and the thing waited for."""
    with pytest.raises(Deadlock, match="(?s)" + ".*".join([r"deadlock at 1000\.0", *said])):
        run(main())
