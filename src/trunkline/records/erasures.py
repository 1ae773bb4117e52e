"""The list of what was erased, `erased.jsonl`: for whoever puts back a backup from before.

One line of JSON an erasure: the call's id, which entry of the ledger is its own, what was erased,
and when. Nothing personal. Copy it somewhere that no backup is: put back together with an older
backup, it keeps erased calls from coming back (`records.restore`). A catalogue that is newer than
the backup does as well.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, cast

import msgspec

from trunkline.errors import RecordError
from trunkline.records.database import looked_up
from trunkline.records.disk import our_errors, sync_directory, write_all
from trunkline.records.fates import Fate, Kind, seconds, utc

LIST: Final = "erased.jsonl"
_SQLITE: Final = b"SQLite format 3\0"


class Erased(msgspec.Struct, frozen=True):
    """*type* befell *call*, whose entry is *of*, at *at* (ISO 8601, UTC)."""

    v: int
    call: str
    of: int
    type: Kind
    at: str


def append(path: Path, erased: Iterable[tuple[Fate, int]]) -> None:
    """Add fates, and the places of their calls, to the list *path*; durable when it returns.

    A line that a crash cut off stays as it is: its erasure is listed again when that goes on.
    """
    lines = [
        msgspec.json.encode(Erased(1, fate.call, of, fate.kind, utc(fate.at)))
        for fate, of in erased
    ]
    with our_errors(f"cannot write {path}"):
        new = not path.exists()
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            size = os.fstat(fd).st_size
            torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
            write_all(fd, b"".join((b"\n" if torn else b"", *(it + b"\n" for it in lines))))
            os.fsync(fd)
        finally:
            os.close(fd)
        if new:
            sync_directory(path.parent)


def read(path: Path) -> list[Erased]:
    """What the list, or the catalogue, *path* says was erased; `RecordError` if it is neither."""
    with our_errors(f"cannot read {path}"):
        data = path.read_bytes()
    return _of_catalogue(path) if data.startswith(_SQLITE) else _of_lines(path, data)


def _of_lines(path: Path, data: bytes) -> list[Erased]:
    found = []
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line.endswith(b"}"):
            continue  # cut off by a crash; no line's beginning ends like a line
        try:
            found.append(msgspec.json.decode(line, type=Erased))
            seconds(found[-1].at)
        except (msgspec.MsgspecError, ValueError) as error:
            raise RecordError(
                f"{path}: line {number} is no entry of a list of erasures ({error}). Give the "
                f"erased.jsonl, or the catalogue.sqlite, that is newer than the backup"
            ) from error
    return found


def _of_catalogue(path: Path) -> list[Erased]:
    rows = looked_up(
        path,
        "SELECT fate.call, call.place, fate.kind, fate.at FROM fate JOIN call"
        " ON fate.call = call.call WHERE kind IN (?, ?) ORDER BY fate.place",
        Kind.ERASED.value,
        Kind.SILENCED.value,
    )
    return [
        Erased(1, str(call), cast("int", of), Kind(str(kind)), utc(cast("float", at)))
        for call, of, kind, at in rows
    ]
