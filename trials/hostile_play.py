"""Plays one attack on a worker and tells what became of it."""

import asyncio
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Final

from trials.hostile import MEDIA, Attack

PATIENCE_S: Final = 14.0
"""Longer than every deadline of the server: a peer that is still connected then was forgotten."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What the server did: the first HTTP *status* (0: none), the WebSocket *code* (0: none)."""

    attack: Attack
    status: int
    code: int
    reason: str
    forgotten: bool


@dataclass
class _Answers:
    """The bytes that came back, read as far as they say what became of us."""

    data: bytearray = field(default_factory=bytearray)
    status: int = 0
    code: int = 0
    reason: str = ""
    told: asyncio.Event = field(default_factory=asyncio.Event)

    def feed(self, data: bytes) -> None:
        self.data += data
        if not self.status:
            head, found, rest = bytes(self.data).partition(b"\r\n\r\n")
            if found and head.startswith(b"HTTP/"):
                self.status = int(head.split()[1])
                self.told.set()
                self.data = bytearray(rest)
        if self.status == 101:
            self._frames()
        elif self.status:
            # Of pipelined answers any may be the telling one.
            worst = [int(part[:3]) for part in bytes(self.data).split(b"HTTP/1.1 ")[1:]]
            self.status = max([self.status, *worst])

    def _frames(self) -> None:
        while len(self.data) >= 4:
            kind, size, start = self.data[0], self.data[1], 2
            if size == 126:
                size, start = int.from_bytes(self.data[2:4], "big"), 4
            elif size == 127:
                size, start = int.from_bytes(self.data[2:10], "big"), 10
            if len(self.data) < start + size:
                return
            if kind == 0x88:
                body = bytes(self.data[start : start + size])
                self.code = int.from_bytes(body[:2], "big") if body else 1005
                self.reason = body[2:].decode()  # has to be UTF-8
            del self.data[: start + size]


async def play(port: int, attack: Attack) -> Fate:
    """Attack the server at *port*; returns once the connection is gone, or patience is."""
    answers = _Answers()
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    forgotten = False
    try:
        async with asyncio.timeout(PATIENCE_S):
            async with asyncio.TaskGroup() as group:
                reading = group.create_task(_read(reader, answers))
                sending = group.create_task(_send(writer, attack, answers))
                reading.add_done_callback(lambda _: sending.cancel())
                if attack.ends != "wait":
                    await asyncio.wait([sending])
                    if attack.ends == "abort":
                        writer.transport.abort()
                    elif attack.ends == "close":
                        writer.close()
                    else:
                        with suppress(OSError):
                            writer.write_eof()
    except TimeoutError:
        forgotten = True
    finally:
        writer.transport.abort()
    return Fate(attack, answers.status, answers.code, answers.reason, forgotten)


async def _read(reader: asyncio.StreamReader, answers: _Answers) -> None:
    with suppress(OSError):
        while data := await reader.read(65_536):
            answers.feed(data)
            if answers.code or answers.status not in (0, 101):
                return  # it was told; a client that reads on keeps the connection


async def _send(writer: asyncio.StreamWriter, attack: Attack, answers: _Answers) -> None:
    with suppress(OSError):
        for send in attack.sends:
            if send.after_s:
                await asyncio.sleep(send.after_s)
            writer.write(send.data)
            await writer.drain()
            if send.data == MEDIA:
                await answers.told.wait()  # what comes before the 101 is not WebSocket
