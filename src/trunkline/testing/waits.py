"""Who waits for what: the tasks of an event loop, described for the one who must mend a deadlock.

Read from coroutine frames and from `Task._fut_waiter`; the latter is private to asyncio and absent
in other loops' tasks, then the message says less. Nothing is decided by it.
"""

import asyncio
import gc
from pathlib import Path
from types import FrameType
from typing import Any

_ASYNCIO = str(Path(asyncio.__file__).parent)
_DEPTH_MAX = 1000  # a chain of awaits is as deep as the recursion limit lets it be


def describe_waits(loop: asyncio.AbstractEventLoop) -> str:
    """One line a task of *loop*: its name, where it waits (file, line, function), for what."""
    tasks = sorted(asyncio.all_tasks(loop), key=lambda task: task.get_name())
    return "\n".join(f"  {_wait_of(task)}" for task in tasks)


def _wait_of(task: asyncio.Task[Any]) -> str:
    where, what = "", ""
    awaited: object = task.get_coro()
    depth = 0
    while awaited is not None and depth < _DEPTH_MAX:
        depth += 1
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
