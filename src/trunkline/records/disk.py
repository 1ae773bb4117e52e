"""Durable writes: the few lines of the operating system's rules that records stand on.

* Data is durable after `fdatasync` of the file, its name after `fsync` of the directory.
* An error of either is final: Linux drops the dirty pages and a second call would report success
  for data that is gone (the PostgreSQL "fsyncgate" of 2018). So nothing here ever tries again.
* A directory belongs to the process that holds the lock on its `lock` file; the kernel frees the
  lock with the process, also after SIGKILL, so a lock that can be taken means a dead owner. Many
  may read what a dead owner left (they share `lock`), one of them clears up (`sealing`).
"""

import fcntl
import itertools
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from trunkline.errors import RecordError
from trunkline.records import framing

WAL_MAGIC: Final = b"TLKW"
WAL_SUFFIX: Final = ".tlw"
_parts: Final = itertools.count()


@contextmanager
def our_errors(doing: str) -> Iterator[None]:
    """Turn every `OSError` of *doing* into a `RecordError` that says what failed."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"{doing}: {error.strerror or error}") from error


def sync_directory(directory: Path) -> None:
    """Make the names in *directory* durable."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def make_directory(directory: Path) -> None:
    """Create *directory* and its missing parents, durably."""
    if directory.is_dir():
        return
    make_directory(directory.parent)
    directory.mkdir(mode=0o700, exist_ok=True)  # what lies in it is somebody's conversation
    sync_directory(directory.parent)


def write_all(fd: int, data: bytes) -> None:
    """Write all of *data*: one `write` may be short."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def publish(path: Path, pieces: Iterable[bytes]) -> None:
    """Write *pieces* to *path* so that it is there whole and durable, or not at all."""
    with _written(path, pieces) as part:
        part.replace(path)
    sync_directory(path.parent)


def publish_once(path: Path, pieces: Iterable[bytes]) -> bool:
    """The same, unless *path* is there: then it stays as it is, and False."""
    with _written(path, pieces) as part:
        try:
            path.hardlink_to(part)
        except FileExistsError:
            return False
    sync_directory(path.parent)
    return True


@contextmanager
def _written(path: Path, pieces: Iterable[bytes]) -> Iterator[Path]:
    """A durable file of *pieces* beside *path*; gone when the context is left."""
    # Several processes may publish the same file: each writes a part of its own.
    part = path.with_name(f"{path.name}.{os.getpid()}-{next(_parts)}.part")
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        try:
            for piece in pieces:
                write_all(fd, piece)
            os.fsync(fd)
        finally:
            os.close(fd)
        yield part
    finally:
        part.unlink(missing_ok=True)


def lock(directory: Path, name: str = "lock", *, shared: bool = False) -> int | None:
    """Take a lock of *directory*: a file descriptor to close later; None if it is taken.

    *shared*: beside others who share it, not beside an owner.
    """
    fd = os.open(directory / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def segments(directory: Path) -> list[Path]:
    """The log segments in *directory*, oldest first."""
    return sorted(directory.glob(f"*{WAL_SUFFIX}"))


def segment_path(directory: Path, number: int) -> Path:
    """The path of segment *number*; names sort as numbers do."""
    return directory / f"{number:010d}{WAL_SUFFIX}"


class Taken(RecordError):
    """Another process holds the log."""


class SegmentWriter:
    """The blocking half of the log; every method runs on the log's lane, `our_errors` around."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock: int | None = None
        self._fd: int | None = None
        self._number = 0

    def open(self) -> list[Path]:
        """Create and lock the directory; the segments that an earlier process left there."""
        with our_errors(f"cannot open the log in {self._directory}"):
            make_directory(self._directory)
            self._lock = lock(self._directory)
            if self._lock is None:
                raise Taken(
                    f"{self._directory} is the log of another running worker. "
                    f"Give each worker a name of its own"
                )
            return segments(self._directory)

    def write(self, runs: Sequence[tuple[int, Sequence[bytes]]]) -> None:
        """Append frames to their segments, in order; durable when it returns."""
        with our_errors(f"cannot write the log in {self._directory}"):
            for number, frames in runs:
                if number != self._number:
                    self._rotate(number)
                if self._fd is None:
                    raise RecordError(f"the log in {self._directory} is closed")
                write_all(self._fd, b"".join(frames))
            if self._fd is not None:
                os.fdatasync(self._fd)

    def _rotate(self, number: int) -> None:
        if self._fd is not None:
            # Before the next segment exists this one is complete, so only the last can be torn.
            os.fdatasync(self._fd)
            os.close(self._fd)
            self._fd = None
        path = segment_path(self._directory, number)
        self._fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND, 0o600)
        self._number = number
        write_all(self._fd, framing.header(WAL_MAGIC))
        os.fdatasync(self._fd)
        sync_directory(self._directory)

    def retire(self, below: int) -> None:
        """Delete the segments whose number is less than *below*: nothing needs them any more."""
        with our_errors(f"cannot clear the log in {self._directory}"):
            keep = segment_path(self._directory, below)
            for path in segments(self._directory):
                if path < keep:
                    path.unlink()

    def close(self) -> None:
        """Close the segment and give the directory back."""
        with our_errors(f"cannot close the log in {self._directory}"):
            for fd in (self._fd, self._lock):
                if fd is not None:
                    os.close(fd)
            self._fd = self._lock = None
