"""What a local test server needs to be a good child process.

It tells its parent on standard output, a line of JSON at a time, and it never outlives it: not even
when it is frozen by SIGSTOP, which is where polite ways to end a process stop working.
"""

import asyncio
import ctypes
import importlib
import json
import os
import signal
import stat
import sys

from trunkline.errors import InputError

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_ORPHAN_POLL_S = 0.5


def announce(what: str, **fields: object) -> None:
    """Write `{what: fields}` as one line of JSON, and flush it."""
    sys.stdout.write(json.dumps({what: fields}) + "\n")
    sys.stdout.flush()


def freeze() -> None:
    """Stop this process with SIGSTOP; it goes on when someone sends SIGCONT."""
    os.kill(os.getpid(), signal.SIGSTOP)


def load(path: str) -> object:
    """Call the factory at *path*, `package.module:factory`, and return what it makes."""
    module, _, name = path.partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as exc:
        raise InputError(
            f"{path!r} cannot be loaded ({exc}). Give package.module:factory, importable from here"
        ) from None
    return factory()


def die_with_parent() -> None:
    """On Linux: have the kernel kill this process when the thread that started it ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


async def until_orphaned() -> None:
    """Return when the process is asked to end, its stdin pipe is closed, or its parent died.

    A stdin that is no pipe (a terminal, /dev/null) says nothing about the parent and is left alone.
    On Linux the kernel kills this process when the thread that started it ends.
    """
    parent = os.getppid()
    die_with_parent()
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    stdin = sys.stdin.fileno()
    mode = os.fstat(stdin).st_mode
    watched = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
    if watched:
        loop.add_reader(stdin, _read, stdin, ended)
    try:
        while not ended.is_set() and os.getppid() == parent:
            try:
                await asyncio.wait_for(ended.wait(), _ORPHAN_POLL_S)
            except TimeoutError:
                continue
    finally:
        if watched:
            loop.remove_reader(stdin)


def _read(stdin: int, ended: asyncio.Event) -> None:
    if not os.read(stdin, 4096):
        ended.set()
