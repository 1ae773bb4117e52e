"""Between the parent and one worker: a Unix socket that carries connections and lines of JSON.

    parent -> worker   {"give": true}  with one file descriptor; false: it may begin no call
                       {"drain": true}
    worker -> parent   {"took": true} for each descriptor
                       {"up": LOAD}, then {"load": LOAD} every `REPORT_S`
                       {"config": DIGEST}  a configuration that it has taken while it ran

Each descriptor travels with its line; lines and descriptors keep their order, so the n-th `give`
takes the n-th descriptor, in however many pieces they are read. The end of the socket says that
the other side is gone. Nothing here blocks: a worker whose socket is full hangs, and is told so by
its reports that stay out.
"""

import asyncio
import json
import os
import socket
from collections import deque
from collections.abc import Callable
from dataclasses import asdict
from typing import Final

import msgspec

from trunkline.errors import InputError
from trunkline.ops.placement import Load

REPORT_S: Final = 0.1
"""How often a worker tells its load."""
_READ_BYTES: Final = 65_536
_FDS_MAX: Final = 64

Message = dict[str, object]


class Channel:
    """One end. *on_message* gets each message, with the connection that came with it, if any;
    *on_end* is called once when the other end is gone."""

    def __init__(
        self,
        end: socket.socket,
        on_message: Callable[[Message, socket.socket | None], None],
        on_end: Callable[[], None],
    ) -> None:
        self._socket, self._on_message, self._on_end = end, on_message, on_end
        self._rest = b""
        self._fds: deque[int] = deque()
        end.setblocking(False)
        asyncio.get_running_loop().add_reader(end.fileno(), self._read)

    def send(self, message: Message, connection: socket.socket | None = None) -> bool:
        """Send a line and hand *connection* over; False if the other end is gone or hangs.

        The caller still owns its *connection*, and closes it: the kernel has made a copy.
        """
        line = json.dumps(message).encode() + b"\n"
        fds = [] if connection is None else [connection.fileno()]
        try:
            return socket.send_fds(self._socket, [line], fds) == len(line)
        except OSError:  # gone, or full because nobody reads
            return False

    def close(self) -> None:
        """Give the socket back; idempotent."""
        if self._socket.fileno() >= 0:
            asyncio.get_running_loop().remove_reader(self._socket.fileno())
            self._socket.close()
        while self._fds:
            os.close(self._fds.popleft())

    def _read(self) -> None:
        try:
            data, fds, _, _ = socket.recv_fds(self._socket, _READ_BYTES, _FDS_MAX)
        except BlockingIOError:
            return
        except OSError:
            data, fds = b"", []
        self._fds.extend(fds)
        if not data:
            self.close()
            self._on_end()
            return
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            message: Message = json.loads(line)
            given = "give" in message and self._fds
            self._on_message(message, socket.socket(fileno=self._fds.popleft()) if given else None)


def load_message(kind: str, load: Load) -> Message:
    """*load* as a message of *kind* (`up` or `load`)."""
    return {kind: asdict(load)}


def load_of(fields: object) -> Load:
    """The load in a message; `InputError` if it is none."""
    try:
        return msgspec.convert(fields, Load)
    except msgspec.ValidationError as error:
        raise InputError(f"a worker reported {fields!r}: {error}") from error
