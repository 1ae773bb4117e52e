"""Frames between the worker and an engine in a process of its own, over stdin and stdout.

    frame := u32 length of what follows | u8 kind | u32 exchange | payload     (big-endian)

The worker sends `CONFIGURE` (JSON) first; the child answers `READY`, or `REFUSE` with what is
wrong in words. From then on every frame belongs to an exchange, a number that only grows, so that
the answers to an abandoned one are known and dropped. A child that fails says so with `FAIL` or,
if it can no longer speak, by dying. Sizes are bounded on both sides.

Pure, but for `Pipe`, the child's end: plain blocking files, for a child does one thing at a time.
"""

import ctypes
import os
import signal
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from typing import BinaryIO

_HEAD = struct.Struct(">IBI")
_REST = _HEAD.size - 4  # bytes of the head that its length counts
PAYLOAD_MAX = 8 * 1024 * 1024
"""Bytes of one payload: eight minutes of audio at 8 kHz; no phrase or answer comes near."""
_PR_SET_PDEATHSIG = 1  # linux/prctl.h


class Kind(IntEnum):
    """What a frame is; the first five go to the child."""

    CONFIGURE = 1
    TEXT = 2
    AUDIO = 3
    INTERIM = 4
    FINISH = 5
    READY = 16
    REFUSE = 17
    FAIL = 18
    RESULT = 19


@dataclass(frozen=True, slots=True)
class Frame:
    """One message of an exchange (0: none, the start-up)."""

    kind: Kind
    exchange: int
    payload: bytes = b""


class FramingError(Exception):
    """The other side does not speak this protocol; `child` turns it into an `EndpointError`."""


def encode(frame: Frame) -> bytes:
    """The bytes of *frame*; `FramingError` if it is larger than the other side would take."""
    if len(frame.payload) > PAYLOAD_MAX:
        raise FramingError(f"a payload of {len(frame.payload)} bytes is over {PAYLOAD_MAX}")
    head = _HEAD.pack(_REST + len(frame.payload), frame.kind, frame.exchange)
    return head + frame.payload


class FrameReader:
    """Bytes in any slices -> frames. Holds at most one unfinished frame."""

    def __init__(self) -> None:
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """The frames that *data* completes; `FramingError` when they make no sense."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            length, kind, exchange = _HEAD.unpack_from(self._buffer)
            if not _REST <= length <= _REST + PAYLOAD_MAX:
                raise FramingError(f"a frame of {length} bytes")
            try:
                known = Kind(kind)
            except ValueError as error:
                raise FramingError(f"a frame of unknown kind {kind}") from error
            if len(self._buffer) < 4 + length:
                return
            payload = bytes(self._buffer[_HEAD.size : 4 + length])
            del self._buffer[: 4 + length]
            yield Frame(known, exchange, payload)


def die_with_parent() -> None:
    """Have the kernel kill this process when its parent dies, where it can (Linux)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)


class Pipe:
    """The child's end. The worker's death is the end of stdin, and on Linux a signal too."""

    def __init__(self, source: BinaryIO, sink: BinaryIO) -> None:
        self._source, self._sink = source, sink
        self._reader = FrameReader()

    @classmethod
    def of_this_process(cls) -> "Pipe":
        """Take over stdin and stdout, leave Ctrl-C to the worker, and die with it.

        What a library prints to stdout goes to stderr from here on, lest it break the framing.
        """
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        die_with_parent()
        sink = os.fdopen(os.dup(1), "wb", buffering=0)
        os.dup2(2, 1)
        return cls(os.fdopen(0, "rb", buffering=0, closefd=False), sink)

    def frames(self) -> Iterator[Frame]:
        """What the worker sends, until it ends the pipe."""
        while data := self._source.read(65_536):
            yield from self._reader.feed(data)

    def send(self, kind: Kind, exchange: int = 0, payload: bytes = b"") -> None:
        """Send one frame; blocks while the pipe is full."""
        rest = memoryview(encode(Frame(kind, exchange, payload)))
        while rest:
            rest = rest[self._sink.write(rest) :]
