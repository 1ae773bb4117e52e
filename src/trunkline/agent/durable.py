"""Files that survive a crash and a second worker: lock, replace, append.

What returns has reached the disk. `RecordError` tells what did not, and why.
"""

import fcntl
import os
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol, TypeVar

from trunkline.errors import RecordError

T = TypeVar("T")

LOCK_WAIT_S: Final = 2.0
"""How long a writer waits for another: a caller hears silence meanwhile."""
_LOCK_POLL_S: Final = 0.01


class RunIo(Protocol):
    """Runs *work*, which blocks on the disk, off the event loop: `asyncio.to_thread` fits."""

    def __call__(self, work: Callable[[], T], /) -> Awaitable[T]:
        """The result of *work*."""
        ...


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold the lock file of *path* against other processes and threads.

    The lock is on a file of its own, because replacing *path* would replace a lock on it. Waits
    at most `LOCK_WAIT_S`; then `RecordError`. Call it where blocking is allowed.
    """
    lock = path.with_name(f".{path.name}.lock")
    with _failing(f"{lock} cannot be locked"):
        lock.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _acquire(handle, lock)
        yield
    finally:
        os.close(handle)  # which unlocks


def _acquire(handle: int, lock: Path) -> None:
    deadline = time.monotonic() + LOCK_WAIT_S
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if time.monotonic() >= deadline:
                raise RecordError(
                    f"{lock} is held by another process for more than {LOCK_WAIT_S:.0f} s: "
                    "find it with `fuser` and end it"
                ) from None
            time.sleep(_LOCK_POLL_S)
        else:
            return


def replace(path: Path, data: bytes) -> None:
    """Make *path* hold *data*: a crash leaves the old file or the new one, never a part."""
    with _failing(f"{path} cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = path.with_name(f".{path.name}.new")
        try:
            _write(temporary, data, os.O_TRUNC)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
        _sync_folder(path.parent)


def append(path: Path, line: bytes) -> None:
    """Add *line* and its newline to *path*; call it under `locked(path)`.

    What a crash left of an unfinished last line is cut off first: a reader never saw it.
    """
    with _failing(f"{path} cannot be written"):
        path.parent.mkdir(parents=True, exist_ok=True)
        is_new = not path.exists()
        if not is_new:
            _cut_torn_line(path)
        _write(path, line + b"\n", os.O_APPEND)
        if is_new:
            _sync_folder(path.parent)


def read(path: Path, offset: int = 0) -> bytes:
    """What *path* holds from *offset*; empty if there is no file yet."""
    with _failing(f"{path} cannot be read"):
        try:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read()
        except FileNotFoundError:
            return b""


def read_lines(path: Path, offset: int = 0) -> bytes:
    """The whole lines of *path* from *offset*, without one that a crash left unfinished."""
    data = read(path, offset)
    return data[: data.rfind(b"\n") + 1]


def _write(path: Path, data: bytes, how: int) -> None:
    # 0600: these files hold names and telephone numbers.
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | how, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _cut_torn_line(path: Path) -> None:
    with path.open("r+b") as file:
        size = file.seek(0, os.SEEK_END)
        if size == 0:
            return
        file.seek(size - 1)
        if file.read(1) == b"\n":
            return
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _failing(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise RecordError(f"{what}: {error.strerror or error}") from error
