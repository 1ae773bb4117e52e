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

Theory of operation: this is a loop of its own on `asyncio.AbstractEventLoop`, not a selector loop
with a fake selector, because the order of ready callbacks is private to those. A pass of the loop
takes all that is ready as one batch, reorders the batch by the rule above and runs it; what
becomes ready meanwhile belongs to the next batch.

Warts: code that spins without an `await` still hangs, and `time.sleep` really sleeps. Names of
what a task waits for are read from coroutine frames and from `Task._fut_waiter`, which is private;
they serve messages only.
"""

import asyncio
import gc
import heapq
import random
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable, Coroutine
from contextvars import Context
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, TypeVarTuple

from typing_extensions import override

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_S: Final = 1000.0
"""The first moment, in seconds: not zero, so that a confusion of time bases shows."""
LIMIT_S: Final = 3600.0
"""How much virtual time a run may take unless it says otherwise."""
PASSES_MAX: Final = 100_000
"""Passes of the loop at one moment before it is a livelock; honest code needs some dozens."""
_CANCELLED_TIMERS_MAX: Final = 100
_ASYNCIO = str(Path(asyncio.__file__).parent)


class VirtualTimeError(AssertionError):
    """The code under test misbehaved in a way that only its loop can see."""


class Deadlock(VirtualTimeError):
    """Every task waits and no timer is set."""


class Livelock(VirtualTimeError):
    """Tasks run on and on while time stands still."""


class Overrun(VirtualTimeError):
    """Timers tick on, but the end is not in sight after the time allowed."""


class Leak(VirtualTimeError):
    """Tasks were left over when the main coroutine returned."""


class Unhandled(VirtualTimeError):
    """A callback, or a task that nobody awaits, raised."""


class Refused(RuntimeError):
    """The real world was asked for in virtual time."""


if TYPE_CHECKING:  # every method counts as there: the real world's are set below the class
    _Loop = asyncio.BaseEventLoop
else:
    _Loop = asyncio.AbstractEventLoop


class VirtualLoop(_Loop):
    """An event loop in virtual time; *seed* as in `run`, *limit_s* in virtual seconds."""

    def __init__(self, seed: int = 0, *, limit_s: float = LIMIT_S) -> None:
        self._now = START_S
        self._end = START_S + limit_s
        # A seeded generator is the point: the same seed, the same interleaving.
        self._draw = random.Random(seed) if seed else None  # noqa: S311  # not for secrets
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, float, int, asyncio.TimerHandle]] = []
        self._timers_made = 0
        self._timers_cancelled = 0
        self._passes = 0
        self._stopping = self._closed = self._debug = False
        self._thread: int | None = None
        self._generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
        self._handler: Callable[[asyncio.AbstractEventLoop, dict[str, Any]], object] | None = None
        self.unhandled: list[dict[str, Any]] = []
        """What was given to `call_exception_handler`, as asyncio's context dicts."""

    @override
    def time(self) -> float:
        return self._now

    @override
    def call_soon(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        self._check_open()
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    @override
    def call_soon_threadsafe(
        self,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.Handle:
        if threading.get_ident() != self._thread:
            _refuse("call_soon_threadsafe from another thread")
        return self.call_soon(callback, *args, context=context)

    @override
    def call_later(
        self,
        delay: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    @override
    def call_at(
        self,
        when: float,
        callback: Callable[[*Ts], object],
        *args: *Ts,
        context: Context | None = None,
    ) -> asyncio.TimerHandle:
        self._check_open()
        timer = asyncio.TimerHandle(when, callback, args, self, context)
        timer._scheduled = True  # type: ignore[attr-defined]  # asyncio's own flag: without it a cancelled timer is not counted
        self._timers_made += 1
        lot = self._draw.random() if self._draw else 0.0
        heapq.heappush(self._timers, (when, lot, self._timers_made, timer))
        return timer

    def _timer_handle_cancelled(self, _handle: asyncio.TimerHandle) -> None:
        """`TimerHandle.cancel` calls this; a heap of dead timers would grow with every timeout."""
        self._timers_cancelled += 1
        if self._timers_cancelled > max(_CANCELLED_TIMERS_MAX, len(self._timers) // 2):
            self._timers = [entry for entry in self._timers if not entry[-1].cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 0

    @override
    def create_future(self) -> asyncio.Future[Any]:
        return asyncio.Future(loop=self)

    @override
    def create_task(
        self,
        coro: Any,
        *,
        name: Any = None,
        context: Context | None = None,
        **more: Any,  # what later Pythons add, such as `eager_start`
    ) -> asyncio.Task[Any]:
        self._check_open()
        return asyncio.Task(coro, loop=self, name=name, context=context, **more)

    @override
    def run_forever(self) -> None:
        self._check_open()
        if asyncio._get_running_loop() is not None:
            raise RuntimeError("a loop is running already: await the coroutine instead")
        hooks = sys.get_asyncgen_hooks()
        self._thread = threading.get_ident()
        sys.set_asyncgen_hooks(firstiter=self._generators.add, finalizer=self._finalise)
        asyncio._set_running_loop(self)
        try:
            while not self._stopping:
                self._pass()
        finally:
            self._stopping = False
            self._thread = None
            asyncio._set_running_loop(None)
            sys.set_asyncgen_hooks(*hooks)

    @override
    def run_until_complete(self, future: Any) -> Any:
        future = asyncio.ensure_future(future, loop=self)
        future.add_done_callback(self._stop_after)
        try:
            self.run_forever()
        finally:
            future.remove_done_callback(self._stop_after)
        return future.result()

    def _stop_after(self, _future: asyncio.Future[Any]) -> None:
        self.stop()

    def settle(self) -> None:
        """Run what is ready at this very moment, until nothing is; no time passes."""
        while self._ready:
            self.call_soon(self.stop)
            self.run_forever()

    def grant_passes(self) -> None:
        """Forget how long time has stood still: a run that failed for it may still clean up."""
        self._passes = 0

    @override
    def stop(self) -> None:
        self._stopping = True

    @override
    def is_running(self) -> bool:
        return self._thread is not None

    @override
    def is_closed(self) -> bool:
        return self._closed

    @override
    def close(self) -> None:
        if self.is_running():
            raise RuntimeError("a running loop cannot be closed")
        self._closed = True
        self._ready.clear()
        self._timers.clear()

    @override
    async def shutdown_asyncgens(self) -> None:
        for generator in list(self._generators):
            await generator.aclose()

    @override
    async def shutdown_default_executor(self, timeout: float | None = None) -> None:
        """There is none to shut down."""

    @override
    def get_debug(self) -> bool:
        return self._debug

    @override
    def set_debug(self, enabled: bool) -> None:
        self._debug = enabled

    @override
    def get_exception_handler(self) -> Any:
        return self._handler

    @override
    def set_exception_handler(self, handler: Any) -> None:
        self._handler = handler

    @override
    def default_exception_handler(self, context: dict[str, Any]) -> None:
        if self._closed:  # a task collected after the run: `run` can no longer raise for it
            warnings.warn(_unhandled([context]), RuntimeWarning, stacklevel=2)
        self.unhandled.append(context)

    @override
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if self._handler is None:
            self.default_exception_handler(context)
        else:
            self._handler(self, context)

    def _pass(self) -> None:
        if not self._ready:
            self._jump()
        self._take_due()
        self._passes += 1
        if self._passes > PASSES_MAX:
            raise Livelock(self._livelock())
        batch, self._ready = self._ready, []
        if self._draw:
            _shuffle_tasks(batch, self._draw)
        for at, handle in enumerate(batch):
            if handle.cancelled():
                continue
            try:
                handle._run()
            except BaseException:  # an interrupt: the rest of the batch is not lost
                self._ready[:0] = batch[at + 1 :]
                raise

    def _jump(self) -> None:
        while self._timers and self._timers[0][-1].cancelled():
            heapq.heappop(self._timers)
            self._timers_cancelled -= 1
        if not self._timers:
            waits = describe_waits(self)
            raise Deadlock(
                f"deadlock at {self._now:.6f} s: every task waits and no timer is set\n{waits}"
            )
        when = self._timers[0][0]
        if when > self._end:
            raise Overrun(
                f"still running at {self._now:.6f} s, after the {self._end - START_S:g} s allowed: "
                f"pass a larger limit_s, or end what ticks\n{describe_waits(self)}"
            )
        if when > self._now:
            self._now, self._passes = when, 0

    def _take_due(self) -> None:
        while self._timers and self._timers[0][0] <= self._now:
            timer = heapq.heappop(self._timers)[-1]
            timer._scheduled = False  # type: ignore[attr-defined]  # asyncio's own flag: it no longer counts when cancelled
            if timer.cancelled():
                self._timers_cancelled -= 1
            else:
                self._ready.append(timer)

    def _livelock(self) -> str:
        busy = {task.get_name() for handle in self._ready if (task := _task_of(handle))}
        names = ", ".join(sorted(busy)) or "none, callbacks only"
        return (
            f"livelock at {self._now:.6f} s: {PASSES_MAX} passes and time stands still; running: "
            f"{names}\n{describe_waits(self)}"
        )

    def _finalise(self, generator: AsyncGenerator[Any, Any]) -> None:
        self._generators.discard(generator)
        if not self._closed:
            self.call_soon(self.create_task, generator.aclose())

    def _check_open(self) -> None:
        if self._closed:
            raise RuntimeError("the virtual loop is closed")


def run(main: Coroutine[Any, Any, T], *, seed: int = 0, limit_s: float = LIMIT_S) -> T:
    """Run *main* in virtual time and return its result; the first moment is `START_S`.

    *seed* draws the interleaving (0: first in, first out), *limit_s* bounds the virtual time.
    Raises what *main* raises, or a `VirtualTimeError`.
    """
    loop = VirtualLoop(seed, limit_s=limit_s)
    try:
        result: T = loop.run_until_complete(main)
        loop.settle()  # a task that was cancelled may still end, as long as no time passes
        if asyncio.all_tasks(loop):
            raise Leak(f"tasks were left over when main returned\n{describe_waits(loop)}")
        if loop.unhandled:
            raise Unhandled(_unhandled(loop.unhandled)) from loop.unhandled[0].get("exception")
        return result
    finally:
        _wind_up(loop)
        main.close()


def describe_waits(loop: asyncio.AbstractEventLoop) -> str:
    """One line a task of *loop*: its name, where it waits (file, line, function), for what."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    return "\n".join(f"  {_wait_of(task)}" for task in tasks)


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


def _shuffle_tasks(batch: list[asyncio.Handle], draw: random.Random) -> None:
    """Deal the places of the task steps in *batch* anew; plain callbacks keep theirs."""
    places = [at for at, handle in enumerate(batch) if _task_of(handle)]
    steps = [batch[at] for at in places]
    draw.shuffle(steps)
    for at, handle in zip(places, steps, strict=True):
        batch[at] = handle


def _task_of(handle: asyncio.Handle) -> asyncio.Task[Any] | None:
    owner = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]  # not in stubs
    return owner if isinstance(owner, asyncio.Task) else None


def _wait_of(task: asyncio.Task[Any]) -> str:
    where, what = "", ""
    awaited: object = task.get_coro()
    seen: list[object] = []
    while awaited is not None and len(seen) < 1000:  # a chain as deep as the recursion limit
        seen.append(awaited)
        frame = _frame_of(awaited)
        if frame is not None:
            if frame.f_code.co_filename.startswith(_ASYNCIO):
                what = what or f"asyncio {frame.f_code.co_qualname}"
            else:
                name = frame.f_code.co_qualname
                where, what = f"at {frame.f_code.co_filename}:{frame.f_lineno} in {name} ", ""
        awaited = _awaited_by(awaited)
    waiter = getattr(task, "_fut_waiter", None)
    if isinstance(waiter, asyncio.Task):
        what = f"task {waiter.get_name()!r}"
    elif not what:
        what = "its turn" if waiter is None else f"a {type(waiter).__name__}"
    return f"{task.get_name()!r} waits {where}for {what}"


def _frame_of(awaited: object) -> FrameType | None:
    for name in ("cr_frame", "ag_frame", "gi_frame"):
        frame = getattr(awaited, name, None)
        if isinstance(frame, FrameType):
            return frame
    return None


def _awaited_by(awaited: object) -> object:
    for name in ("cr_await", "ag_await", "gi_yieldfrom"):
        if hasattr(awaited, name):
            inner: object = getattr(awaited, name)
            return inner
    # `asend()` of a generator and the wrapper of `__await__` do not say what they hold; gc knows.
    for held in gc.get_referents(awaited):
        if hasattr(held, "ag_frame") or hasattr(held, "cr_frame"):
            found: object = held
            return found
    return None


def _unhandled(contexts: list[dict[str, Any]]) -> str:
    lines = [f"  {c.get('message', '')}: {c.get('exception')!r}" for c in contexts]
    return "nobody handled\n" + "\n".join(lines)


def _refuse(what: str) -> NoReturn:
    raise Refused(
        f"{what}: not in virtual time, where there are no sockets, threads, processes or signals. "
        "Give the code a fake, or move the test to trials/"
    )


def _refusal(name: str) -> Callable[..., NoReturn]:
    def refused(_loop: VirtualLoop, *_args: object, **_kwargs: object) -> NoReturn:
        _refuse(f"loop.{name}()")

    return refused


# Whatever an event loop can do that is not above belongs to the real world, in any Python to come.
for _name in vars(asyncio.AbstractEventLoop):
    if not _name.startswith("_") and _name not in vars(VirtualLoop):
        setattr(VirtualLoop, _name, _refusal(_name))
