"""Callers and carrier in one process: N phone lines that follow TwiML, and tape what is heard.

As the carrier does, a line asks the webhook, streams, and when the stream ends, however it ends,
goes on with the next verb of the document, which may be a redirect. As a person does, its caller
answers the greeting, asks a second question once the answer is over, says a thing again when
asked to, and hangs up when told whether all was well.

    python -m trials.light.lines URL CALLS SPREAD_S OUT patient|once

The lines start over SPREAD_S. Each second a line of JSON says how many hear items; when all calls
are over, their tapes are in OUT.
"""

import asyncio
import json
import sys
import time
from array import array
from collections import deque
from pathlib import Path
from typing import Final, cast
from urllib.parse import urljoin, urlsplit

import aiohttp
import numpy as np
import uvloop
from benchmarks.density.load import frame
from typing_extensions import override

import trunkline.console
from trials.light import coded
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode
from trunkline.telephony import twiml
from trunkline.telephony.twilio import AgentAudio, AgentClear, AgentMark, CarrierSide
from trunkline.types import FRAME_S, FRAME_SAMPLES, Sample

_AGAIN_S: Final = 3.0
LONG_S: Final = 110.0
"""Longer than any call takes, with everything that may befall it."""
_QUIET_FRAMES: Final = 60  # 1.2 s after the agent's last word the caller speaks
_SILENCE: Final = b"\xff" * FRAME_SAMPLES
_GROUPS: Final = 10  # of lines, 2 ms apart: callers do not share a clock


def clip(name: str) -> list[bytes]:
    """A recording as mu-law frames: a detector of voices hears none in noise."""
    mulaw = mulaw_encode(wav.read(Path(trunkline.console.__path__[0]) / "clips" / f"{name}.wav"))
    return [
        mulaw[i : i + FRAME_SAMPLES].ljust(FRAME_SAMPLES, b"\xff")
        for i in range(0, len(mulaw), FRAME_SAMPLES)
    ]


YES, QUESTION = clip("consent_yes"), clip("bring")


class Line(asyncio.Protocol):
    """One phone line; `tick` it every 20 ms from its first request on."""

    def __init__(self, number: int, *, patient: bool) -> None:
        """*patient*: who hears that all lines are busy calls again."""
        self.patient = patient
        self.call = f"CA{number:032x}"
        self.tape = array("i")
        self.streams: list[int] = []
        self.said: list[tuple[int, str]] = []
        self.notes: list[str] = []
        self.began = time.monotonic()
        self.ended = ""
        self.busy = False
        self._number = number
        self._wire: CarrierSide | None = None
        self._transport: asyncio.Transport | None = None
        self._inbox, self._open = b"", False
        self._sent = 0
        self._buffer = bytearray()
        self._taken = self._played = 0
        self._marks: deque[tuple[int, str]] = deque()
        self._says: deque[bytes] = deque()
        self._last, self._quiet = coded.SILENT, 0
        self._next = 0
        self._parameters: dict[str, str] = {}
        self._over = asyncio.Event()

    # -- the carrier: verbs ---------------------------------------------------------------------

    async def run(self, session: aiohttp.ClientSession, url: str) -> None:
        """The call, from its first request to its end."""
        try:
            async with asyncio.timeout(LONG_S):
                await self._execute(session, url)
                while self.busy and self.ended == "hung up on" and self.patient:
                    self.ended, self.busy = "", False
                    await asyncio.sleep(_AGAIN_S)
                    await self._execute(session, url)
        except TimeoutError:
            self.ended = "took too long"
        except (OSError, aiohttp.ClientError) as error:
            self.ended = f"{type(error).__name__}: {error}"
        if self._transport is not None:
            self._transport.abort()

    async def _execute(self, session: aiohttp.ClientSession, url: str) -> None:
        verbs: list[twiml.Verb] = [twiml.Redirect(url)]
        while verbs and not self.ended:
            match verbs.pop(0):
                case twiml.Redirect(to):
                    url = urljoin(url, to)
                    form = {"CallSid": self.call, "From": f"+1202555{self._number:04d}"}
                    asked = time.monotonic()
                    async with session.post(url, data=form) as response:
                        verbs = twiml.parse_twiml(await response.read())
                    self.notes.append(f"{len(self.tape)}: asked {time.monotonic() - asked:.3f} s")
                case twiml.Stream(to, parameters):
                    await self._stream(urljoin(url, to), dict(parameters))
                case twiml.Say(text):
                    self.notes.append(f"{len(self.tape)}: say {text}")
                    self.busy = "busy" in text and not self.streams
                case other:
                    self.notes.append(f"{len(self.tape)}: {other}")
                    break
        self.ended = self.ended or "hung up on"

    async def _stream(self, url: str, parameters: dict[str, str]) -> None:
        self._parameters, self._inbox, self._open = parameters, b"", False
        self._taken = self._played = 0
        self._says.clear()  # who hears the line break falls silent; half a question is another one
        # And waits for the agent: who talks into a sentence that is said twice was told less of it.
        self._last, self._quiet = coded.SILENT, 0
        self._buffer.clear()
        self._marks.clear()
        self._over.clear()
        parts = urlsplit(url)
        loop = asyncio.get_running_loop()
        await loop.create_connection(lambda: self, str(parts.hostname), parts.port or 80)
        await self._over.wait()
        self._wire = None
        self._buffer.clear()
        self.notes.append(f"{len(self.tape)}: the stream ended")

    # -- the socket -----------------------------------------------------------------------------

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children
        self._transport.write(
            b"GET /twilio/media HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
            b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        )

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self._wire = None
        self._over.set()

    @override
    def data_received(self, data: bytes) -> None:
        data = self._inbox + data if self._inbox else data
        if not self._open:
            head, end, rest = data.partition(b"\r\n\r\n")
            self._inbox = data
            if not end:
                return
            if b" 101 " not in head[:20]:
                self.notes.append(f"{len(self.tape)}: no WebSocket: {head[:40]!r}")
                self._hang_up()
                return
            self._open, data = True, rest
            self._wire = CarrierSide(f"MZ{self._number}.{len(self.streams)}", self.call)
            self._sent = 0
            self._write(self._wire.connected(), self._wire.start(self._parameters))
            self.streams.append(len(self.tape))
        place = 0
        while len(data) - place >= 2:
            kind, size, start = data[place], data[place + 1], place + 2
            if size == 126:
                size, start = int.from_bytes(data[place + 2 : place + 4], "big"), place + 4
            if len(data) < start + size:
                break
            if kind == 0x81:
                self._take(data[start : start + size])
            elif kind == 0x88:
                self._hang_up()
            place = start + size
        self._inbox = data[place:]

    def _write(self, *messages: bytes) -> None:
        if self._transport is not None:
            self._transport.write(b"".join(map(frame, messages)))

    def _take(self, message: bytes) -> None:
        if self._wire is None:
            return
        match self._wire.decode(message):
            case AgentAudio(mulaw):
                self._buffer += mulaw
                self._taken += len(mulaw)
            case AgentMark(name):
                self._marks.append((self._taken, name))
            case AgentClear():
                self._played = self._taken
                self._buffer.clear()
            case None:
                raise AssertionError(f"not Twilio's protocol: {message[:80]!r}")

    def _hang_up(self) -> None:
        if self._transport is not None:
            self._transport.write(b"\x88\x82\0\0\0\0\x03\xe8")
            self._transport.close()

    # -- 20 ms ----------------------------------------------------------------------------------

    def tick(self) -> None:
        """The caller hears a frame, and says one."""
        frame = bytes(self._buffer[:FRAME_SAMPLES])
        del self._buffer[:FRAME_SAMPLES]
        self._played += len(frame)
        code = coded.heard(frame) if frame else coded.SILENT
        self.tape.append(code)
        out = []
        wire = self._wire
        if wire is not None:
            says = self._says.popleft() if self._says else _SILENCE
            out.append(wire.media(says, Sample(self._sent * FRAME_SAMPLES)))
            self._sent += 1
            while self._marks and self._marks[0][0] <= self._played:
                out.append(wire.mark(self._marks.popleft()[1]))
            self._write(*out)
        elif self._says:
            self._says.popleft()  # nobody hears it
        if code != coded.SILENT:
            self._last, self._quiet = code, 0
        elif not self._says:
            self._quiet += 1
            if self._quiet == _QUIET_FRAMES and self._last != coded.SILENT and wire is not None:
                self._react(*divmod(self._last, 1000))

    def _react(self, sentence: int, n: int) -> None:
        """The agent has fallen silent behind frame *n* of *sentence*."""
        match sentence:
            case coded.QUESTION:
                self._say("yes", YES)
                self._next = 1
            case coded.ITEMS if n == coded.frames(coded.item(coded.ITEMS)) - 1:
                self._say("question", QUESTION)
                self._next = 2
            case coded.SAY_AGAIN | coded.STILL_THERE:
                self._say("again", QUESTION if self._next == 2 else YES)
            case coded.RIGHT | coded.WRONG:
                self.ended = "hung up"
                self._write(cast("CarrierSide", self._wire).stop())
                self._hang_up()
            case _:
                pass  # there is more to come

    def _say(self, what: str, frames: list[bytes]) -> None:
        self.said.append((len(self.tape), what))
        self._says.extend(frames)

    @property
    def hears_items(self) -> bool:
        """Whether the answer has begun and is not about to end."""
        return 2 <= self._last // 1000 <= coded.ITEMS - 3

    def told(self) -> dict[str, object]:
        """What is to be judged."""
        return {
            "call": self.call,
            "began": self.began,
            "tape": list(self.tape),
            "streams": self.streams,
            "said": self.said,
            "notes": self.notes,
            "ended": self.ended,
        }


async def main(url: str, calls: int, spread_s: float, out: Path, *, patient: bool) -> None:
    """Start the lines, tick them until all are over, and write what was heard."""
    loop = asyncio.get_running_loop()
    lines: list[Line] = []
    running: list[asyncio.Task[None]] = []
    late: list[float] = []
    zero, number = loop.time(), 0
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector) as session:
        while len(running) < calls or not all(it.done() for it in running):
            for group in range(_GROUPS):
                due = zero + number * FRAME_S + group * FRAME_S / _GROUPS
                await asyncio.sleep(max(0.0, due - loop.time()))
                late.append(time.monotonic() - due)
                for line in lines[group::_GROUPS]:
                    if not line.ended:
                        line.tick()
            number += 1
            while len(lines) < min(calls, 1 + int(calls * number * FRAME_S / spread_s)):
                lines.append(Line(len(lines), patient=patient))
                running.append(asyncio.ensure_future(lines[-1].run(session, url)))
            if number % 5 == 0:
                hear = sum(it.hears_items for it in lines)
                over = sum(bool(it.ended) for it in lines)
                sys.stdout.write(json.dumps({"up": len(lines), "hear": hear, "over": over}) + "\n")
                sys.stdout.flush()
    late_ms = [round(1000 * float(it), 1) for it in np.percentile(late, (50, 99, 100))]
    told = {"lines": [it.told() for it in lines], "late_ms": late_ms, "cpu_s": time.process_time()}
    out.write_text(json.dumps(told))


if __name__ == "__main__":
    url, calls, spread_s, out, manner = sys.argv[1:]
    ring = main(url, int(calls), float(spread_s), Path(out), patient=manner == "patient")
    uvloop.run(ring)
