"""Callers and carrier in one process: N phone lines that speak in cycles, paced in real time.

A line sends a frame every 20 ms, muted or not, as Twilio does; it plays what it is sent and
echoes marks when they are due. The lines start one after the other over one cycle, so that
callers and agents speak at different times. The WebSocket is done by hand: a client library costs
more than the worker it is to load.
"""

import argparse
import asyncio
import json
import math
import os
import sys
import time
from array import array
from collections import deque
from pathlib import Path
from typing import cast

import numpy as np
import uvloop
from typing_extensions import override

import trunkline.console
from benchmarks.density.subject import (
    CYCLE_FRAMES,
    CYCLE_S,
    FRAME_S,
    FRAME_SAMPLES,
    SPEAKS_AT_S,
    SPOKEN_S,
    numbered,
)
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode
from trunkline.telephony.twilio import AgentAudio, AgentClear, AgentMark, CarrierSide
from trunkline.types import SAMPLE_RATE, Sample

_SPOKEN_FRAMES = round((SPEAKS_AT_S + SPOKEN_S) / FRAME_S)
_TEXT, _CLOSE, _PING, _PONG = 0x81, 0x88, 0x89, 0x8A  # RFC 6455 section 5.2, whole messages
_GROUPS = 10  # of lines, 2 ms apart: callers do not share a clock


def cycle() -> list[bytes]:
    """The caller's audio of one cycle as mu-law frames: recorded speech, or Silero hears none."""
    clip = wav.read(Path(trunkline.console.__path__[0]) / "clips" / "consent_yes.wav")
    audio = np.zeros(int(CYCLE_S * SAMPLE_RATE), np.int16)
    start = int(SPEAKS_AT_S * SAMPLE_RATE)
    audio[start : start + len(clip)] = clip
    mulaw = mulaw_encode(audio)
    return [mulaw[i : i + FRAME_SAMPLES] for i in range(0, len(mulaw), FRAME_SAMPLES)]


class Line(asyncio.Protocol):
    """One phone line, from its handshake on; `tick` it every 20 ms.

    All times are `time.monotonic()`, the clock of the subject too.
    """

    def __init__(self, number: int, path: str, frames: list[bytes]) -> None:
        self.stream = f"MZ{number}"
        self.sent = array("d")
        """When each frame was sent."""
        self.heard_at, self.heard_s = array("d"), array("d")
        """When each packet of the agent came, and how long it plays."""
        self.late_s = array("d")
        """By how much it came after the phone had played all that came before; below zero: what
        was still in hand. NaN for the first packet of a reply, which nothing waits for."""
        self.replied_at, self.reply_s = array("d"), array("d")
        """When each reply began, and how long after the caller had finished. What is said before
        that (a greeting) is no reply."""
        self.parameters: dict[str, str] = {}
        self.lost = False
        self._side = CarrierSide(self.stream, f"CA{number}")
        self._path, self._frames, self._open = path, frames, False
        self._inbox = b""
        self._turn, self._cleared = -2, False
        self._plays_until = 0.0
        self._marks: deque[tuple[float, str]] = deque()

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children
        self._transport.write(
            f"GET {self._path} HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )

    @override
    def data_received(self, data: bytes) -> None:
        data = self._inbox + data if self._inbox else data
        if not self._open:
            head, end, rest = data.partition(b"\r\n\r\n")
            self._inbox = data
            if end:
                if b" 101 " not in head[:20]:
                    raise AssertionError(f"no WebSocket: {head[:80]!r}")
                self._open, self._inbox = True, rest
                self._transport.write(
                    frame(self._side.connected()) + frame(self._side.start(self.parameters))
                )
            return
        now, place = time.monotonic(), 0
        while len(data) - place >= 4:
            kind, size, start = data[place], data[place + 1], place + 2
            if size == 126:
                size, start = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            if len(data) < start + size:
                break
            if kind == _TEXT:
                self._take(data[start : start + size], now)
            elif kind == _PING:
                self._transport.write(frame(data[start : start + size], _PONG))
            elif kind == _CLOSE:
                self._transport.close()
            place = start + size
        self._inbox = data[place:]

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True

    def tick(self) -> None:
        """Send the frame that is due, and the marks of what was played by now."""
        if not self._open or self.lost:
            return
        number, now = len(self.sent), time.monotonic()
        mulaw = numbered(self._frames[number % len(self._frames)], number)
        out = frame(self._side.media(mulaw, Sample(number * FRAME_SAMPLES)))
        while self._marks and self._marks[0][0] <= now:
            out += frame(self._side.mark(self._marks.popleft()[1]))
        self.sent.append(now)
        self._transport.write(out)

    def _take(self, message: bytes, now: float) -> None:
        match self._side.decode(message):
            case AgentAudio(mulaw):
                self._hear(len(mulaw) / SAMPLE_RATE, now)
            case AgentMark(name):
                self._marks.append((self._plays_until, name))
            case AgentClear():
                self._plays_until, self._cleared = now, True
                self._marks = deque((now, name) for _, name in self._marks)
            case None:
                raise AssertionError(f"not Twilio's protocol: {message[:80]!r}")

    def _hear(self, seconds: float, now: float) -> None:
        turn = (len(self.sent) - _SPOKEN_FRAMES - 1) // CYCLE_FRAMES
        begins = turn != self._turn
        if begins and turn >= 0:
            self.replied_at.append(now)
            self.reply_s.append(now - self.sent[turn * CYCLE_FRAMES + _SPOKEN_FRAMES])
        self.heard_at.append(now)
        self.heard_s.append(seconds)
        self.late_s.append(math.nan if begins or self._cleared else now - self._plays_until)
        self._turn, self._cleared = turn, False
        self._plays_until = max(self._plays_until, now) + seconds


def frame(message: bytes, kind: int = _TEXT) -> bytes:
    """A client's frame (RFC 6455 section 5.2), masked with a key of zeros.

    The server unmasks it like any other; the key is to be unpredictable only to protect proxies.
    """
    size = len(message)
    long = size >= 126
    head = bytes((kind, 0xFE)) + size.to_bytes(2, "big") if long else bytes((kind, 0x80 | size))
    return head + b"\0\0\0\0" + message


async def main(port: int, path: str, calls: int, folder: Path) -> None:
    """Dial, one line after the other over one cycle; send until the parent says `end`."""
    loop = asyncio.get_running_loop()
    ended, frames, lines = asyncio.Event(), cycle(), list[Line]()
    cpu_s = 0.0

    def read() -> None:
        nonlocal cpu_s
        line = os.read(0, 64)
        if not line:
            os._exit(1)
        if line.strip() == b"begin":
            cpu_s = time.process_time()
        else:
            ended.set()

    loop.add_reader(0, read)
    zero, number = loop.time(), 0
    while not ended.is_set():
        for group in range(_GROUPS):
            due = zero + number * FRAME_S + group * FRAME_S / _GROUPS
            await asyncio.sleep(max(0.0, due - loop.time()))
            for line in lines[group::_GROUPS]:
                line.tick()
        number += 1
        wanted = min(calls, int(calls * number * FRAME_S / CYCLE_S))
        while len(lines) < wanted:
            _, fresh = await loop.create_connection(
                lambda: Line(len(lines), path, frames), "127.0.0.1", port
            )
            lines.append(fresh)
    cpu_s = time.process_time() - cpu_s
    seen = {
        line.stream: {
            "sent": list(line.sent),
            "packets": list(zip(line.heard_at, line.heard_s, line.late_s, strict=True)),
            "replies": list(zip(line.replied_at, line.reply_s, strict=True)),
        }
        for line in lines
    }
    (folder / "lines.json").write_text(json.dumps(seen))
    told = {"cpu_s": cpu_s, "lost": sum(line.lost for line in lines)}
    sys.stdout.write(json.dumps({"load": told}) + "\n")
    sys.stdout.flush()
    os._exit(0)  # the subject reports for itself; hanging up would only add to it


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("path")
    parser.add_argument("calls", type=int)
    parser.add_argument("folder", type=Path)
    given = parser.parse_args()
    uvloop.run(main(given.port, given.path, given.calls, given.folder))
