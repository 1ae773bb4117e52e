"""Frames: how records lie in a file, and where reading them stops.

    file  = magic (4 bytes), format version (u32), frame*
    frame = size of body (u32), CRC-32 of size and body (u32), body (1 .. 2^24-1 bytes)

All integers are little-endian. The CRC (`zlib.crc32`, the one of IEEE 802.3) covers the size, so
that a run of zeros, which a file system may leave after a power cut, is never a frame.

Rules of reading:

* A reader never goes on behind a bad frame: what it yields is an exact prefix of what was written.
* It stops at the `end`, at a `torn` tail (the writer died in the middle of a frame: normal for a
  log, and all that was acknowledged lies before it), or where the file is `corrupt`.
* Torn or corrupt is decided by resynchronising: if a whole frame lies anywhere behind the bad one,
  then it was not the last one and the file was damaged after it was written. Otherwise the tail is
  torn; a flipped bit in the very last frame cannot be told from a torn write. A file that says
  how it ends (a sealed journal) therefore takes a torn tail for damage as well.

Wart: a body may hold bytes that look like a frame. That can turn `torn` into `corrupt`, which is
reported more loudly but loses nothing more.
"""

import re
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from mmap import mmap
from typing import Final, Literal

from trunkline.errors import InputError, RecordError

FORMAT_VERSION: Final = 1
"""The version of the file format that this code writes, and the only one that it reads."""
HEADER_BYTES: Final = 8
FRAME_OVERHEAD_BYTES: Final = 8
BODY_BYTES_MAX: Final = 2**24 - 1
"""A larger payload is a mistake; and the size's zero top byte makes resynchronising cheap."""

_HEAD: Final = struct.Struct("<II")
# Where a size may stand: its top byte is zero, and it is not zero itself.
_SIZE: Final = re.compile(rb"(?=(?!\0\0\0).{3}\0)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Stop:
    """Where (byte *offset* in the file) and why a reader stopped."""

    kind: Literal["end", "torn", "corrupt"]
    offset: int
    detail: str = ""


def header(magic: bytes) -> bytes:
    """The first `HEADER_BYTES` bytes of a file whose kind is *magic* (4 bytes)."""
    return magic + FORMAT_VERSION.to_bytes(4, "little")


def check_header(data: bytes, magic: bytes, name: str) -> None:
    """Check the header of file *name*; `RecordError` if it is foreign."""
    if data[:4] != magic:
        raise RecordError(
            f"{name}: not a Trunkline record: it begins with {data[:4]!r}, not {magic!r}. "
            f"Something else wrote it, or its first bytes are damaged"
        )
    version = int.from_bytes(data[4:HEADER_BYTES], "little")
    if len(data) < HEADER_BYTES or version != FORMAT_VERSION:
        raise RecordError(
            f"{name}: format version {version}, but this Trunkline reads version "
            f"{FORMAT_VERSION}. Read it with the release that wrote it"
        )


def frame(body: bytes) -> bytes:
    """*body* as a frame; `InputError` if it is empty or longer than `BODY_BYTES_MAX`."""
    if not 0 < len(body) <= BODY_BYTES_MAX:
        raise InputError(
            f"a record of {len(body)} bytes cannot be framed: 1 to {BODY_BYTES_MAX} bytes fit. "
            f"Split the payload"
        )
    size = len(body).to_bytes(4, "little")
    return size + zlib.crc32(body, zlib.crc32(size)).to_bytes(4, "little") + body


class Frames:
    """The frames of *data* from byte *start* on, as `(offset, body)`; then `stop` says why."""

    def __init__(self, data: bytes, start: int = HEADER_BYTES) -> None:
        self._data, self._start = data, start
        self.stop = Stop("end", start)

    def __iter__(self) -> Iterator[tuple[int, bytes]]:
        """Yield the exact prefix of whole frames."""
        at = self._start
        while (body := body_at(self._data, at)) is not None:
            yield at, body
            at += FRAME_OVERHEAD_BYTES + len(body)
        self.stop = _why(self._data, at)


def body_at(data: bytes | mmap, at: int) -> bytes | None:
    """The body of the frame at offset *at* of *data*; None if there is no whole frame."""
    begin = at + FRAME_OVERHEAD_BYTES
    if begin > len(data):
        return None
    size, crc = _HEAD.unpack_from(data, at)
    if not 0 < size <= min(BODY_BYTES_MAX, len(data) - begin):
        return None
    body = data[begin : begin + size]
    return body if zlib.crc32(body, zlib.crc32(data[at : at + 4])) == crc else None


def _why(data: bytes, at: int) -> Stop:
    left = len(data) - at
    if left <= 0:
        return Stop("end", at)
    behind = resync(data, at + 1)
    if behind is None:
        return Stop("torn", at, f"the last {left} bytes are no whole frame")
    return Stop("corrupt", at, f"damaged frame; the next whole one is at offset {behind}")


def resync(data: bytes, at: int) -> int | None:
    """The offset of the first whole frame at or behind *at*; None if there is none."""
    for match in _SIZE.finditer(data, at):
        if body_at(data, match.start()) is not None:
            return match.start()
    return None
