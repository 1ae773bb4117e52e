"""A changed configuration is taken while the worker runs, or refused with its reasons.

The file is looked at every `POLL_S`: by its status, not by a watch of the kernel's, because editors
replace files, Kubernetes swaps links, and some file systems tell nobody. A change is read when the
file has stayed the same for another look, so that no half-written one is.
"""

import asyncio
import hashlib
import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Protocol

from trunkline.config.load import ConfigErrors, parse, read_text
from trunkline.config.models import Config
from trunkline.errors import ConfigError, EndpointError, InputError

log = logging.getLogger(__name__)

POLL_S = 1.0
Status = tuple[int, int, int, int] | None


class Changeable(Protocol):
    """What goes by a configuration."""

    async def change(self, config: Config) -> None:
        """Go by *config* from now on, or raise and go by the old one."""
        ...


def digest(text: str) -> str:
    """What tells one text of a configuration from another."""
    return hashlib.sha256(text.encode()).hexdigest()


def _read(path: str) -> tuple[str, Config]:
    text = read_text(path)
    return text, parse(text, path)


class LastGood:
    """The text that workers start by: the file as it was, or as a worker has last taken it.

    A worker that dies while the file on disk is a wrong one comes up by what the others go by.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self.text = read_text(path)

    def taken(self, digest_: str) -> None:
        """A worker has taken the text of this digest."""
        try:
            text = read_text(self._path)
        except ConfigError:
            return  # it has changed again meanwhile
        if digest(text) == digest_:
            self.text = text

    def read(self) -> None:
        """Take the file as it is now, for workers that replace all others, unless it is wrong."""
        try:
            self.text, _ = _read(self._path)
        except ConfigError as error:
            log.error("%s is wrong, workers start by what it was:\n%s", self._path, error)  # noqa: TRY400  # an operator's, no trace

    @contextmanager
    def file(self) -> Iterator[IO[bytes]]:
        """An unnamed file with the text, to be handed on."""
        with TemporaryFile() as file:
            file.write(self.text.encode())
            file.flush()
            file.seek(0)
            yield file


class Watch:
    """Tells once of each change of the file at *path*."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._known = self._last = self._status()

    def poll(self) -> bool:
        """Whether the file is another than it was, and has been since the last look."""
        status = self._status()
        settled, self._last = status == self._last, status
        if not settled or status == self._known:
            return False
        self._known = status
        return True

    def _status(self) -> Status:
        try:
            found = os.stat(self._path)  # a path as it was given
        except OSError:
            return None
        return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class Reloading:
    """`run` beside a worker whose *parts* go by the file at *path*.

    *tell* gets what came of it, *reloaded* the digest of each text that is in force.
    """

    def __init__(
        self,
        path: str,
        parts: Changeable,
        tell: Callable[[dict[str, object]], None] | None = None,
        reloaded: Callable[[str], None] | None = None,
    ) -> None:
        self._path, self._parts, self._tell, self._reloaded = path, parts, tell, reloaded
        self._watch = Watch(path)
        self._nudged = asyncio.Event()

    def nudge(self) -> None:
        """Read the file now, whether it has changed or not."""
        self._nudged.set()

    async def run(self) -> None:
        """Take changes until cancelled."""
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._nudged.wait()
            except TimeoutError:
                if not self._watch.poll():
                    continue
            self._nudged.clear()
            await self._reload()

    async def _reload(self) -> None:
        try:
            # To read a large file takes longer than a frame of audio.
            text, config = await asyncio.to_thread(_read, self._path)
            await self._parts.change(config)
        except (InputError, EndpointError) as error:
            reasons = error.errors if isinstance(error, ConfigErrors) else (error,)
            log.error(  # noqa: TRY400  # an operator's, no trace
                "%s is refused, the worker goes on as before:\n%s", self._path, _lines(reasons)
            )
            self._told("config.refused", reasons=[str(reason) for reason in reasons])
        else:
            log.warning("%s is in force from the next turn on", self._path)
            self._told("config.reloaded")
            if self._reloaded is not None:
                self._reloaded(digest(text))

    def _told(self, kind: str, **more: object) -> None:
        if self._tell is not None:
            self._tell({"type": kind, "config": self._path, **more})


def _lines(reasons: tuple[ConfigError | InputError | EndpointError, ...]) -> str:
    return "\n".join(str(reason) for reason in reasons)
