"""Wrapped keys that still lie in the logs of workers, and how they are blanked there.

A worker's log holds the wrapped key of each call that it took, until the segment is retired: on a
quiet worker that is days after the call was sealed, and a log that was set aside as damaged stays
until somebody deletes it. Whoever erases a call must take its key out of there.

The record is overwritten in place, in one write, by one of the same size whose key is zeros and
whose checksum holds: so a worker may go on writing behind it, and whoever reads the log from head
to head goes on as before. Nobody needs the record any more: its call is filed, and recovery passes
over calls that are. In a damaged log frames cannot be trusted, so keys are looked for by what they
look like, wherever they lie.

Reading is in small pieces, because it also happens beside calls that are up.
"""

import os
import re
import zlib
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from trunkline.records import framing
from trunkline.records.disk import WAL_SUFFIX, our_errors
from trunkline.records.envelope import KEY
from trunkline.records.keys import Wrapped

_PIECE_BYTES: Final = 256 * 1024
"""Looked through in some 0.3 ms, during which nothing else of the process runs."""
_OVERLAP_BYTES: Final = 1024
"""A record of a key has some 280 bytes; the frame's head lies before it."""
_RECORD: Final = re.compile(
    rb'%c([\x01-\x40])([A-Za-z0-9_-]{1,64})\{"kek":"[0-9a-f]{16}","wrapped":"([A-Za-z0-9+/]+)=*"\}'
    % KEY
)
_BLANK: Final = re.compile(rb'"wrapped":"A{100}')


@dataclass(slots=True)
class Swept:
    """*segments*: where keys were found and blanked. *unsure*: where something begins like the
    record of a call's key and is damaged, so what is in it cannot be told; with that call."""

    segments: set[Path] = field(default_factory=set)
    unsure: set[tuple[Path, str]] = field(default_factory=set)


def sweep(wal: Path, calls: Mapping[str, Wrapped | None]) -> Swept:
    """Blank the keys of *calls* in all logs under *wal*; durable when it returns.

    The values are how the keys are kept in the table, if they are: a copy of that is found even
    where nothing around it is whole. Raises `RecordError` if a log cannot be read or written.
    """
    swept = Swept()
    for path in sorted((*wal.glob(f"*/*{WAL_SUFFIX}"), *wal.glob(f"*/damaged/*{WAL_SUFFIX}"))):
        with our_errors(f"cannot take an erased key out of {path}"):
            try:
                fd = os.open(path, os.O_RDWR)
            except FileNotFoundError:
                continue  # its worker has retired it meanwhile
            try:
                _sweep(fd, path, calls, swept)
            finally:
                os.close(fd)
    return swept


def _sweep(fd: int, path: Path, calls: Mapping[str, Wrapped | None], swept: Swept) -> None:
    whole = {b64encode(it.wrapped).rstrip(b"=") for it in calls.values() if it is not None}
    at, blanked = 0, False
    while len(piece := os.pread(fd, _PIECE_BYTES + _OVERLAP_BYTES, at)) > 0:
        for match in _RECORD.finditer(piece):
            if match[2].decode() in calls and match[1][0] == len(match[2]):
                blanked |= _blank(fd, at, piece, match.start(3), match.end(3), match.start())
        for text in whole:  # what lay in a whole record is zeros already: again is as well as once
            for match in re.finditer(re.escape(text), piece):
                blanked |= _blank(fd, at, piece, match.start(), match.end(), None)
        if path.parent.name == "damaged":
            doubtful = (call for call in calls if _doubtful(fd, at, piece, call))
            swept.unsure.update((path, call) for call in doubtful)
        at += _PIECE_BYTES
    if blanked:
        os.fdatasync(fd)
        swept.segments.add(path)


def _blank(fd: int, at: int, piece: bytes, start: int, end: int, record: int | None) -> bool:
    """Overwrite the base64 in *piece* (which lies at *at*) with zeros; False if it was blank."""
    zeros = b"A" * (end - start)
    if piece[start:end] == zeros:
        return False
    head = None if record is None else record - framing.FRAME_OVERHEAD_BYTES
    body = None if head is None or head < 0 else framing.body_at(piece, head)
    if head is None or body is None:
        os.pwrite(fd, zeros, at + start)
        return True
    begin = head + framing.FRAME_OVERHEAD_BYTES
    changed = body[: start - begin] + zeros + body[end - begin :]
    size = piece[head : head + 4]
    os.pwrite(
        fd,
        size + zlib.crc32(changed, zlib.crc32(size)).to_bytes(4, "little") + changed,
        at + head,
    )
    return True


def _doubtful(fd: int, at: int, piece: bytes, call: str) -> bool:
    """Whether *piece* (which lies at *at*) has the beginning of a record of *call*'s key, and
    behind that no record, and no zeros either."""
    head = bytes((KEY, len(call))) + call.encode()
    found = piece.find(head)
    while 0 <= found < _PIECE_BYTES:  # what begins behind that is whole in the next piece
        if not _BLANK.search(os.pread(fd, _OVERLAP_BYTES, at + found)):
            return True
        found = piece.find(head, found + 1)
    return False
