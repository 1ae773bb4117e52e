"""The model behind all gateways: canned answers of 40 pieces, instant or paced, at little cost.

python -m benchmarks.gateway.upstream

The path says which: `/instant/v1/chat/completions` writes all in one piece, `/paced/v1/...` one
piece each `GAP_S`. It tells its port in a line of JSON, and ends with its parent.
"""

import asyncio
import json
import os
import sys
from typing import cast

import uvloop
from typing_extensions import override

from benchmarks.gateway.wire import (
    GAP_S,
    INSTANT,
    NO_STAMP,
    PACED,
    PIECES,
    event,
    stamp,
)

_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n"
)
_WHOLE = json.dumps(
    {
        "id": "chatcmpl-stub",
        "object": "chat.completion",
        "created": 1700000000,
        "model": "stub",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Hi."},
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2},
    }
).encode()
_BODY = (
    b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(_WHOLE)
    + _WHOLE
)


def _chunk(body: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(body), body)


_FIRST = _chunk(event({"role": "assistant", "content": NO_STAMP.decode()}))
_NEXT = _chunk(event({"content": NO_STAMP.decode()}))
_END = _chunk(event({}, "stop")) + _chunk(b"data: [DONE]\n\n") + b"0\r\n\r\n"
_ALL = _HEAD + _FIRST + _NEXT * (PIECES - 1) + _END


def answer() -> bytes:
    """The whole answer, as the instant model writes it now."""
    return _ALL.replace(NO_STAMP, stamp())


class Model(asyncio.Protocol):
    """One connection of a gateway, which may ask again and again."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop, self._asked = loop, b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children

    @override
    def data_received(self, data: bytes) -> None:
        self._asked += data
        head, end, body = self._asked.partition(b"\r\n\r\n")
        if not end:
            return
        lower = head.lower()
        place = lower.find(b"\r\ncontent-length:")
        length = int(lower[place + 17 :].split(b"\r\n", 1)[0]) if place >= 0 else 0
        if b"\r\ntransfer-encoding: chunked" in lower:
            if not body.endswith(b"0\r\n\r\n"):
                return
        elif len(body) < length:
            return
        self._asked = b""
        self._answer(head, body)

    def _answer(self, head: bytes, body: bytes) -> None:
        if b'"stream":true' not in body and b'"stream": true' not in body:
            self._transport.write(_BODY)
        elif f"/{INSTANT}/".encode() in head[:40]:
            self._transport.write(answer())
        elif f"/{PACED}/".encode() in head[:40]:
            self._say(0, self._loop.time())
        else:
            raise AssertionError(f"whose path is this? {head[:80]!r}")

    def _say(self, number: int, due: float) -> None:
        """Piece *number*, which is due by now, and at its time the next."""
        if self._transport.is_closing():
            return
        if number == 0:
            self._transport.write(_HEAD + _FIRST.replace(NO_STAMP, stamp()))
        else:
            self._transport.write(_NEXT.replace(NO_STAMP, stamp()))
        if number + 1 < PIECES:
            self._loop.call_at(due + GAP_S, self._say, number + 1, due + GAP_S)
        else:
            self._transport.write(_END)


async def main() -> None:
    """Listen until standard input is closed."""
    loop, orphaned = asyncio.get_running_loop(), asyncio.Event()
    server = await loop.create_server(lambda: Model(loop), "127.0.0.1", 0, backlog=1024)
    port = server.sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps({"ready": {"port": port}}) + "\n")
    sys.stdout.flush()
    loop.add_reader(0, lambda: orphaned.set() if not os.read(0, 64) else None)
    await orphaned.wait()


if __name__ == "__main__":
    uvloop.run(main())
