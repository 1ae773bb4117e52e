"""Virtual time: jumps, interleavings, and what it says about code that never ends."""

import asyncio
import contextlib
import functools
import itertools
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.testing.virtual import (
    PASSES_MAX,
    START_S,
    Deadlock,
    Leak,
    Livelock,
    Overrun,
    Refused,
    Unhandled,
    VirtualLoop,
    run,
)


def now() -> float:
    """The time of the running loop."""
    return asyncio.get_running_loop().time()


async def queue_of_three() -> list[int]:
    """Three tasks that wake at the same moment, in the order in which they ran."""
    ran: list[int] = []

    async def wake(number: int) -> None:
        await asyncio.sleep(1)
        ran.append(number)

    async with asyncio.TaskGroup() as group:
        for number in range(3):
            group.create_task(wake(number))
    return ran


async def test_async_tests_run_in_virtual_time() -> None:
    """An `async def` test needs no decorator and starts at a time that is not zero."""
    assert isinstance(asyncio.get_running_loop(), VirtualLoop)
    assert now() == START_S


@given(st.floats(min_value=0.001, max_value=600))
async def test_hypothesis_draws_for_async_tests_too(delay_s: float) -> None:
    """Every example has a loop of its own."""
    await asyncio.sleep(delay_s)
    assert now() == START_S + delay_s


@pytest.mark.parametrize("seed", [7])
async def test_a_parameter_named_seed_draws_the_interleaving(seed: int) -> None:
    """The order inside the test is the order that `run` gives for that seed."""
    assert await queue_of_three() == run_in_a_thread(lambda: run(queue_of_three(), seed=seed))


def say(said: list[str], word: str, _: object) -> None:
    """A done callback."""
    said.append(word)


def run_in_a_thread(work: Callable[[], list[int]]) -> list[int]:
    """Run *work* where no loop is running."""
    result: list[int] = []
    thread = threading.Thread(target=lambda: result.extend(work()))
    thread.start()
    thread.join()
    return result


def test_an_hour_takes_no_time() -> None:
    """The clock jumps to the next timer, exactly, and no real time passes."""

    async def main() -> list[float]:
        times = []
        for delay_s in (0.02, 1.0, 3_500.0):
            await asyncio.sleep(delay_s)
            times.append(now())
        return times

    began = time.perf_counter()
    assert run(main()) == [START_S + 0.02, START_S + 0.02 + 1.0, START_S + 0.02 + 1.0 + 3500.0]
    assert time.perf_counter() - began < 1.0


def test_timeouts_fire_at_their_time() -> None:
    """`asyncio.timeout` cancels at its deadline, and one that is not reached leaves no trace."""

    async def main() -> float:
        async with asyncio.timeout(5):
            await asyncio.sleep(1)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(2.5):
                await asyncio.Event().wait()
        return now() - START_S

    assert run(main()) == 3.5


def test_cancelled_timers_are_not_kept() -> None:
    """A timeout per frame, none of them reached, does not make the heap of timers grow."""

    async def main() -> int:
        loop = asyncio.get_running_loop()
        assert isinstance(loop, VirtualLoop)
        most = 0
        for _ in range(2_000):
            async with asyncio.timeout(3_000):
                await asyncio.sleep(0.02)
            most = max(most, loop.timers)
        return most

    assert run(main()) < 250


def test_seed_zero_is_first_in_first_out() -> None:
    """Without a draw, tasks run in the order in which the real loop runs them."""
    assert run(queue_of_three()) == [0, 1, 2]


def test_a_seed_gives_the_same_order_every_time_and_all_orders_occur() -> None:
    """Thirty seeds find all six orders of three tasks, and each seed repeats itself."""
    orders = [tuple(run(queue_of_three(), seed=seed)) for seed in range(30)]
    assert orders == [tuple(run(queue_of_three(), seed=seed)) for seed in range(30)]
    assert len(set(orders)) == 6


@pytest.mark.parametrize("seed", range(10))
def test_no_seed_breaks_what_asyncio_promises(seed: int) -> None:
    """Callbacks keep the order of `call_soon`, and timers the order of their times."""

    async def main() -> list[str]:
        said: list[str] = []
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        for name in "abc":
            loop.call_soon(said.append, name)
            done.add_done_callback(functools.partial(say, said, f"done {name}"))
        loop.call_later(2, said.append, "late")
        loop.call_later(1, said.append, "early")
        done.set_result(None)
        await asyncio.sleep(3)
        return said

    assert run(main(), seed=seed) == ["a", "b", "c", "done a", "done b", "done c", "early", "late"]


def test_tasks_that_one_event_wakes_are_drawn() -> None:
    """Without any timer, too, the seed says which of several ready tasks steps first."""

    async def main() -> tuple[int, ...]:
        ran: list[int] = []
        event = asyncio.Event()

        async def wake(number: int) -> None:
            await event.wait()
            ran.append(number)

        async with asyncio.TaskGroup() as group:
            for number in range(3):
                group.create_task(wake(number))
            await asyncio.sleep(1)
            event.set()
        return tuple(ran)

    assert len({run(main(), seed=seed) for seed in range(30)}) == 6


def test_a_long_life_is_no_livelock() -> None:
    """Only passes at one and the same moment count: a call may tick for as long as it likes."""

    async def main() -> None:
        for _ in range(PASSES_MAX // 2 + 1):  # a sleep takes two passes: the timer, and the task
            await asyncio.sleep(0.02)

    run(main())


def test_timers_of_the_same_moment_are_drawn() -> None:
    """Asyncio leaves the order of equal times open, so some seed must turn it round."""

    async def main() -> str:
        said: list[str] = []
        for name in "ab":
            asyncio.get_running_loop().call_at(START_S + 1, said.append, name)
        await asyncio.sleep(2)
        return "".join(said)

    assert {run(main(), seed=seed) for seed in range(12)} == {"ab", "ba"}


def test_a_group_is_cancelled_in_the_same_order_in_every_process() -> None:
    """Tasks hash by their number: the order of a set is not the order of memory addresses."""

    async def main() -> list[int]:
        loop = asyncio.get_running_loop()
        tasks = {loop.create_task(asyncio.sleep(1)) for _ in range(6)}
        await asyncio.wait(tasks)
        return [hash(task) for task in sorted(tasks, key=hash)]

    assert run(main()) == [2, 3, 4, 5, 6, 7]


def test_a_livelock_names_the_running_tasks() -> None:
    """Two tasks that wake one another for ever without time passing are caught."""

    async def ping(mine: asyncio.Event, yours: asyncio.Event) -> None:
        while True:
            yours.set()
            await mine.wait()
            mine.clear()

    async def main() -> None:
        a, b = asyncio.Event(), asyncio.Event()
        async with asyncio.TaskGroup() as group:
            group.create_task(ping(a, b), name="ping")
            group.create_task(ping(b, a), name="pong")

    with pytest.raises(Livelock, match=r"livelock at 1000\.0.*running: .*p[io]ng"):
        run(main())


def test_a_livelock_in_the_clean_up_does_not_hide_the_error() -> None:
    """A task that spins when cancelled does not hang the run, and the first error is the one."""

    async def stubborn() -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)

    async def main() -> None:
        task = asyncio.get_running_loop().create_task(stubborn())
        await asyncio.sleep(0)
        raise LookupError(task.get_name())

    with pytest.raises(LookupError):
        run(main())


def test_time_that_ticks_without_end_is_an_overrun() -> None:
    """A ticker beside a main that waits for ever is not a deadlock, but it ends all the same."""

    async def tick() -> None:
        for _ in itertools.count():
            await asyncio.sleep(0.02)

    async def main() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(tick(), name="ticker")

    with pytest.raises(Overrun, match=r"after the 60 s allowed.*(?s:.*)'ticker' waits at"):
        run(main(), limit_s=60)


def test_left_over_tasks_are_named() -> None:
    """A task that still waits when main returns is a leak."""

    kept: list[object] = []

    async def main() -> None:
        kept.append(asyncio.get_running_loop().create_task(asyncio.sleep(9), name="forgotten"))

    with pytest.raises(Leak, match="'forgotten'"):
        run(main())


def test_a_cancelled_task_may_end_after_main() -> None:
    """What ends without time passing is no leak."""

    async def main() -> str:
        task = asyncio.get_running_loop().create_task(asyncio.sleep(9))
        await asyncio.sleep(1)
        task.cancel()
        return "done"

    assert run(main()) == "done"


def test_a_failing_callback_fails_the_run() -> None:
    """A callback that raises is not just a line in a log."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.sleep(1)

    with pytest.raises(Unhandled) as caught:
        run(main())
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_deadlock_after_a_failed_callback_tells_of_the_callback() -> None:
    """The callback that failed is often why the others wait, so the deadlock carries it."""

    async def main() -> None:
        asyncio.get_running_loop().call_soon(lambda: 1 // 0)
        await asyncio.get_running_loop().create_future()

    with pytest.raises(Deadlock) as caught:
        run(main())
    assert "ZeroDivisionError" in "".join(caught.value.__notes__)


def test_the_error_of_main_is_raised_and_its_clean_up_runs() -> None:
    """`finally` blocks of left-over tasks and generators run before `run` raises."""
    closed: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(100)
        finally:
            closed.append("task")

    async def stream() -> AsyncIterator[int]:
        try:
            yield 1
        finally:
            closed.append("generator")

    async def main() -> None:
        kept.append(asyncio.get_running_loop().create_task(child()))
        numbers = stream()
        kept.append(numbers)
        await anext(numbers)
        await asyncio.sleep(1)
        raise LookupError("first")

    kept: list[object] = []
    with pytest.raises(LookupError, match="first"):
        run(main())
    assert sorted(closed) == ["generator", "task"]


@pytest.mark.parametrize(
    "real",
    [
        lambda: asyncio.to_thread(print),
        lambda: asyncio.open_connection("localhost", 1),
        lambda: asyncio.start_server(lambda *_: None, "localhost", 0),
        lambda: asyncio.create_subprocess_exec("true"),
        lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    ],
    ids=["thread", "connection", "server", "process", "resolver"],
)
async def test_the_real_world_is_refused(real: Callable[[], Coroutine[Any, Any, object]]) -> None:
    """Sockets, threads and processes raise, and say what to do instead."""
    with pytest.raises(Refused, match="trials/"):
        await real()


async def test_calls_from_other_threads_are_refused() -> None:
    """`call_soon_threadsafe` works from the loop's own thread only."""
    loop, errors = asyncio.get_running_loop(), list[str]()

    def outside() -> None:
        try:
            loop.call_soon_threadsafe(errors.append, "ran")
        except Refused as error:
            errors.append(str(error))

    thread = threading.Thread(target=outside)
    thread.start()
    thread.join()
    assert len(errors) == 1
    assert "another thread" in errors[0]
    loop.call_soon_threadsafe(errors.append, "ran")
    await asyncio.sleep(0)
    assert errors[1] == "ran"


async def test_virtual_time_is_not_nested() -> None:
    """Inside a running loop one awaits; the coroutine given is closed without a warning."""
    with pytest.raises(RuntimeError, match="await the coroutine"):
        run(queue_of_three())
