"""An engine in its own process: started on first use, restarted with back-off, never left behind.

Why a process: espeak-ng is GPL and keeps its state in globals; both engines compute for
milliseconds on end while holding the interpreter's lock, which would delay every other call.

A `Child` serves one exchange at a time (`child_pool` shares out a few of them). An exchange that
is abandoned in the middle leaves a child that may still be busy with it: its late answers are
dropped by their number.
"""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Protocol

from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.embedded.engine_process import EngineProcess
from trunkline.providers.embedded.framing import Frame, Kind, encode

START_DEADLINE_S = 20.0
"""A child that is not ready by then is killed; loading takes 0.2 s on an idle machine."""
RESULT_DEADLINE_S = 10.0
"""A child that owes a result for so long hangs, and is killed; results take milliseconds."""
_CLOSE_S = 2.0
_WORDS_BYTES_MAX = 2_000  # of what a child says about itself: it goes into a line of the log
_BACKOFF_FIRST_S, _BACKOFF_MAX_S = 0.5, 30.0


class Exchange(Protocol):
    """One request to an engine and its answers."""

    def send(self, kind: Kind, payload: bytes = b"", /) -> None:
        """Send one frame; never blocks: what an exchange sends is bounded by its stage."""
        ...

    async def receive(self) -> bytes:
        """The payload of the next `RESULT`; `EndpointError` if the child failed or died."""
        ...


class Child:
    """One engine process: `python -m *module*`, configured with *settings* (JSON).

    *endpoint* names it in errors.
    """

    def __init__(self, endpoint: str, module: str, settings: Mapping[str, object]) -> None:
        self._endpoint, self._module, self._settings = endpoint, module, settings
        self._process: EngineProcess | None = None
        self._exchanges = 0
        self._failures = 0
        self._not_before = 0.0
        self._starting = asyncio.Lock()  # `start` by its owner and by a first exchange may meet

    @property
    def pid(self) -> int | None:
        """The process, while it runs."""
        transport = self._process and self._process.transport
        return transport.get_pid() if transport else None

    async def start(self) -> None:
        """Have a process that is ready.

        Raises `InputError` when it refuses its settings, `EndpointError` when it does not come
        up: `SILENT` past the deadline, `CUT` if it dies, `UNAVAILABLE` while it backs off.
        """
        async with self._starting:
            if self._process is None or self._process.broken is not None:
                await self._restart()

    async def _restart(self) -> None:
        loop = asyncio.get_running_loop()
        if (wait_s := self._not_before - loop.time()) > 0:
            raise EndpointError(
                self._endpoint,
                Fault.UNAVAILABLE,
                f"its process failed {self._failures} times in a row and is not restarted yet",
                retry_after_s=wait_s,
            )
        await self.close()
        try:
            async with asyncio.timeout(START_DEADLINE_S):
                await self._spawn(loop)
        except TimeoutError:
            await self._failed()
            raise EndpointError(
                self._endpoint,
                Fault.SILENT,
                f"{self._module} was not ready",
                deadline_s=START_DEADLINE_S,
            ) from None
        except BaseException:
            await self.close()  # cancelled, refused or dead: leave no process behind
            raise

    async def _spawn(self, loop: asyncio.AbstractEventLoop) -> None:
        # -P keeps the current directory off the module path: a stray pocketsphinx.py in it must
        # not be run. One thread each: the pool is the parallelism.
        environ = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        try:
            _, process = await loop.subprocess_exec(
                EngineProcess, sys.executable, "-P", "-m", self._module, env=environ
            )
        except OSError as error:
            raise EndpointError(
                self._endpoint, Fault.UNREACHABLE, f"its process cannot be started: {error}"
            ) from error
        self._process = process
        process.write(encode(Frame(Kind.CONFIGURE, 0, json.dumps(self._settings).encode())))
        frame = await process.next_frame()
        if frame is None:
            raise await self._death()
        if frame.kind is Kind.REFUSE:
            await self._failed()
            raise InputError(f"{self._endpoint}: {_words(frame)}")
        if frame.kind is not Kind.READY:
            raise await self._out_of_turn(frame)

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        """One exchange; a process that is not running is started. Not for concurrent use."""
        try:
            await self.start()
        except InputError as error:  # it was right when the worker started: now it is a failure
            raise EndpointError(self._endpoint, Fault.REFUSED, str(error)) from error
        self._exchanges += 1
        yield _ChildExchange(self, self._exchanges)
        self._failures = 0

    def send(self, frame: Frame) -> None:
        """Send *frame*; to a dead process it is lost, which `receive` will tell."""
        if self._process is not None:
            self._process.write(encode(frame))

    async def receive(self, exchange: int) -> bytes:
        """The next result of *exchange*; drops what is left of earlier ones."""
        try:
            async with asyncio.timeout(RESULT_DEADLINE_S):
                frame = await self._next_of(exchange)
        except TimeoutError:
            await self._failed()  # an engine that hangs would hang the next exchange too
            raise EndpointError(
                self._endpoint,
                Fault.STALLED,
                "its process does not answer and was ended",
                deadline_s=RESULT_DEADLINE_S,
            ) from None
        if frame is None:
            raise await self._death()
        if frame.kind is Kind.FAIL:
            raise EndpointError(self._endpoint, Fault.UNAVAILABLE, _words(frame))
        if frame.kind is not Kind.RESULT:
            raise await self._out_of_turn(frame)
        return frame.payload

    async def _next_of(self, exchange: int) -> Frame | None:
        process = self._process
        while process is not None and (frame := await process.next_frame()) is not None:
            if frame.exchange == exchange:
                return frame
        return None

    async def _death(self) -> EndpointError:
        process = self._process
        await self._failed()
        if process is None:
            return EndpointError(self._endpoint, Fault.CUT, "its process was closed")
        tail = process.stderr_tail().splitlines()
        code = process.transport.get_returncode() if process.transport else None
        return EndpointError(
            self._endpoint,
            process.fault,
            f"its process ended ({process.broken}, status {code}): "
            + (" / ".join(tail[-3:])[-_WORDS_BYTES_MAX:] or "it said nothing"),
        )

    async def _out_of_turn(self, frame: Frame) -> EndpointError:
        await self._failed()
        what = f"its process sent {frame.kind.name} out of turn and was ended"
        return EndpointError(self._endpoint, Fault.MALFORMED, what)

    async def _failed(self) -> None:
        await self._end(asked=False)
        # The first restart is free: one crash in a month must not cost a caller a second.
        backoff_s = _BACKOFF_FIRST_S * 2 ** min(self._failures - 1, 10) if self._failures else 0.0
        self._failures += 1
        self._not_before = asyncio.get_running_loop().time() + min(backoff_s, _BACKOFF_MAX_S)

    async def close(self) -> None:
        """End the process; idempotent. The end of its stdin asks, a signal makes sure."""
        await self._end(asked=True)

    async def _end(self, *, asked: bool) -> None:
        process, self._process = self._process, None
        if process is None or process.transport is None:
            return
        if process.broken is None:
            process.broken = "closed"
        if stdin := process.transport.get_pipe_transport(0):
            stdin.close()
        try:
            if not asked and process.transport.get_returncode() is None:
                process.transport.kill()
            async with asyncio.timeout(_CLOSE_S):
                await process.exited.wait()
        except (TimeoutError, ProcessLookupError):
            pass  # deaf, or gone in this moment
        finally:
            process.transport.close()  # kills it if it still runs


def _words(frame: Frame) -> str:
    return frame.payload[:_WORDS_BYTES_MAX].decode(errors="replace")


class _ChildExchange:
    def __init__(self, child: Child, number: int) -> None:
        self._child, self._number = child, number

    def send(self, kind: Kind, payload: bytes = b"", /) -> None:
        self._child.send(Frame(kind, self._number, payload))

    async def receive(self) -> bytes:
        return await self._child.receive(self._number)
