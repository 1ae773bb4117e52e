"""The event loop of virtual time; the rules are told in `trunkline.testing.virtual`.

Theory of operation: this is a loop of its own on `asyncio.AbstractEventLoop`, not a selector loop
with a fake selector, because the order of ready callbacks is private to those. A pass of the loop
takes all that is ready as one batch, deals the places of the task steps anew and runs it; what
becomes ready meanwhile belongs to the next batch.

Warts: `Handle._run` is private to asyncio, but it is what runs a callback in every loop in Python.
"""

import asyncio
import heapq
import random
import sys
import threading
import warnings
import weakref
from collections.abc import AsyncGenerator, Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any, Final, NoReturn, TypeVar, TypeVarTuple

from typing_extensions import override

from trunkline.testing.waits import describe_waits

T = TypeVar("T")
Ts = TypeVarTuple("Ts")

START_S: Final = 1000.0
"""The first moment, in seconds: not zero, so that a confusion of time bases shows."""
LIMIT_S: Final = 3600.0
"""How much virtual time a run may take unless it says otherwise."""
PASSES_MAX: Final = 100_000
"""Passes of the loop at one moment before it is a livelock; honest code needs some dozens."""
_CANCELLED_TIMERS_MAX: Final = 100


class VirtualTimeError(AssertionError):
    """The code under test misbehaved in a way that only its loop can see."""


class Deadlock(VirtualTimeError):
    """Every task waits and no timer is set."""


class Livelock(VirtualTimeError):
    """Tasks run on and on while time stands still."""


class Overrun(VirtualTimeError):
    """Timers tick on, but the end is not in sight after the time allowed."""


class Refused(RuntimeError):
    """The real world was asked for in virtual time."""


class _Task(asyncio.Task[Any]):
    """A task that hashes by its number.

    A TaskGroup cancels its children in the order of a set: by default that is the order of memory
    addresses, another one in every process.
    """

    def __init__(self, number: int, coro: Any, **more: Any) -> None:
        self._number = number
        super().__init__(coro, **more)

    @override
    def __hash__(self) -> int:
        return self._number


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
        self._timers_made = self._tasks_made = 0
        self._timers_cancelled = 0
        self._passes = 0
        self._stopping = self._closed = self._debug = False
        self._thread: int | None = None
        self._generators: weakref.WeakSet[AsyncGenerator[Any, Any]] = weakref.WeakSet()
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
        timer._scheduled = True  # type: ignore[attr-defined]  # asyncio's own flag: in the heap
        self._timers_made += 1
        lot = self._draw.random() if self._draw else 0.0
        heapq.heappush(self._timers, (when, lot, self._timers_made, timer))
        return timer

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """`TimerHandle.cancel` calls this; a heap of dead timers would grow with every timeout."""
        if not handle._scheduled:  # type: ignore[attr-defined]  # asyncio's own flag
            return  # it has fired: `asyncio.sleep` cancels its timer even then
        self._timers_cancelled += 1
        if self._timers_cancelled > max(_CANCELLED_TIMERS_MAX, len(self._timers) // 2):
            self._timers = [entry for entry in self._timers if not entry[-1].cancelled()]
            heapq.heapify(self._timers)
            self._timers_cancelled = 1  # this one, which asyncio marks after this call

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
        self._tasks_made += 1
        return _Task(self._tasks_made, coro, loop=self, name=name, context=context, **more)

    @override
    def run_forever(self) -> None:
        self._check_open()
        check_alone()
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

    @property
    def timers(self) -> int:
        """How many timers are kept, the cancelled ones included."""
        return len(self._timers)

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
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        if not self._closed:
            self.unhandled.append(context)
        elif "exception" in context:  # a task collected after the run, which can no longer fail
            warnings.warn(describe_unhandled([context]), RuntimeWarning, stacklevel=2)

    def _pass(self) -> None:
        if not self._ready:
            self._jump()
        self._take_due()
        self._passes += 1
        if self._passes > PASSES_MAX:
            raise Livelock(self._livelock())
        batch, self._ready = self._ready, []
        if self._draw and len(batch) > 1:
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
            timer._scheduled = False  # type: ignore[attr-defined]  # asyncio's own flag
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


def check_alone() -> None:
    """Raise `RuntimeError` inside a running loop."""
    if asyncio._get_running_loop() is not None:
        raise RuntimeError("a loop is running already: await the coroutine instead")


def describe_unhandled(contexts: list[dict[str, Any]]) -> str:
    """One line for each of asyncio's exception contexts."""
    lines = [f"  {c.get('message', '')}: {c.get('exception')!r}" for c in contexts]
    return "nobody handled\n" + "\n".join(lines)


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
