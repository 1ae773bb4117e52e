"""The clerk: a process that reads what dead workers left, for the one worker that started it.

python -m trunkline.records.clerk RECORDS

The first line of standard input opens the archive (`ArchiveKeys.line`; empty: there is none). An
empty answer says that it has loaded. Then a line with a call id on standard input is answered by
a line of JSON (`finder.Answer`) on standard output, in turn. When nobody has asked for a moment it
seals what it holds, for no more than a share of a core. It ends with its standard input, once all
is sealed, also if its worker was killed.
"""

import os
import select
import signal
import sys
import time
from pathlib import Path
from typing import Final

import msgspec

from trunkline.errors import TrunklineError
from trunkline.records.archive import ArchiveKeys
from trunkline.records.finder import SEAL_FIRST_S, Answer
from trunkline.records.salvage import Salvage
from trunkline.records.store import Store
from trunkline.types import CallId

_READ_BYTES: Final = 65_536
_REST: Final = 3.0
"""Rests so many times as long as a step of sealing took: callers may need the core."""


def main() -> None:
    """Answer until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # the worker drains first, and then closes our input
    directory = Path(sys.argv[1])
    keys = sys.stdin.buffer.raw.readline().strip()  # type: ignore[union-attr]  # a pipe's is raw
    archive = ArchiveKeys.of_line(keys).open(directory) if keys else None
    salvage = Salvage(Store(directory, archive))
    _say(Answer())
    pending, wait_s, open_ = b"", SEAL_FIRST_S, True
    idle = True
    while open_:
        if select.select([0], [], [], None if idle else wait_s)[0]:
            piece = os.read(0, _READ_BYTES)
            open_, wait_s, idle = bool(piece), SEAL_FIRST_S, False
            *lines, pending = (pending + piece).split(b"\n")
            for line in lines:
                _say(_answer(salvage, CallId(line.decode("ascii", "replace"))))
            continue
        began = time.monotonic()
        idle = not salvage.step()
        wait_s = _REST * (time.monotonic() - began)
    while salvage.step():
        pass
    salvage.close()


def _answer(salvage: Salvage, call: CallId) -> Answer:
    try:
        return Answer(salvage.find(call))
    except TrunklineError as error:
        return Answer(error=str(error))


def _say(answer: Answer) -> None:
    line = msgspec.json.encode(answer) + b"\n"
    try:
        while line:
            line = line[os.write(1, line) :]
    except BrokenPipeError:  # the worker is gone: what it asked concerns nobody
        return


if __name__ == "__main__":
    main()
