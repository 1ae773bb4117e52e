"""Virtual time: an asyncio loop whose clock jumps to the next timer when every task waits.

    run(main())           # an hour of calls in a second, the same every time
    run(main(), seed=7)   # the same, with another interleaving

Rules:

* Time moves only when nothing is ready, and then exactly to the next timer.
* What asyncio promises holds under every seed: callbacks run in the order of `call_soon`, done
  callbacks in the order they were added, timers in the order of their times. What it leaves open
  is drawn by the seed: which of several ready *tasks* steps first, and which of several timers
  of the very same time. Seed 0 draws nothing: first in, first out, like the real loop.
* What can never end is an error that names who waits for what: `Deadlock` (no timer is left),
  `Livelock` (much happens, time stands still), `Overrun` (timers tick on, `main` never returns),
  `Leak` (`main` returned, its tasks did not), `Unhandled` (a callback or a forgotten task failed).
* The real world is `Refused`: sockets, threads, processes and signals have clocks of their own.

Warts: code that spins without an `await` still hangs, and `time.sleep` really sleeps.
"""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from trunkline.testing.virtual_loop import (
    LIMIT_S,
    PASSES_MAX,
    START_S,
    Deadlock,
    Livelock,
    Overrun,
    Refused,
    VirtualLoop,
    VirtualTimeError,
    check_alone,
    describe_unhandled,
)
from trunkline.testing.waits import describe_waits

__all__ = [
    "LIMIT_S",
    "PASSES_MAX",
    "START_S",
    "Deadlock",
    "Leak",
    "Livelock",
    "Overrun",
    "Refused",
    "Unhandled",
    "VirtualLoop",
    "VirtualTimeError",
    "run",
]

T = TypeVar("T")


class Leak(VirtualTimeError):
    """Tasks were left over when the main coroutine returned."""


class Unhandled(VirtualTimeError):
    """A callback, or a task that nobody awaits, raised."""


def run(main: Coroutine[Any, Any, T], *, seed: int = 0, limit_s: float = LIMIT_S) -> T:
    """Run *main* in virtual time and return its result; the first moment is `START_S`.

    *seed* draws the interleaving (0: first in, first out), *limit_s* bounds the virtual time.
    Raises what *main* raises, or a `VirtualTimeError`.
    """
    try:
        check_alone()
    except RuntimeError:
        main.close()  # or Python warns that nobody awaited it
        raise
    loop = VirtualLoop(seed, limit_s=limit_s)
    try:
        result: T = loop.run_until_complete(main)
        loop.settle()  # a task that was cancelled may still end, as long as no time passes
        _check_tidy(loop)
    except VirtualTimeError as error:
        if loop.unhandled:  # often why the others wait
            error.add_note(describe_unhandled(loop.unhandled))
        raise
    else:
        return result
    finally:
        _wind_up(loop)
        main.close()


def _check_tidy(loop: VirtualLoop) -> None:
    if asyncio.all_tasks(loop):
        raise Leak(f"tasks were left over when main returned\n{describe_waits(loop)}")
    if loop.unhandled:
        raise Unhandled("callbacks failed, or tasks that nobody awaits") from loop.unhandled[0].get(
            "exception"
        )


def _wind_up(loop: VirtualLoop) -> None:
    """Cancel what is left, so that no run sees another's tasks; who resists was named already."""
    loop.grant_passes()
    try:
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.settle()
        closing = loop.create_task(loop.shutdown_asyncgens())
        loop.settle()
        closing.cancel()
        loop.settle()
    except Livelock:
        pass  # a task spins in its clean-up; the error of the run itself says more
    finally:
        loop.close()
