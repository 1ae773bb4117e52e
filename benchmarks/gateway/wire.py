"""What the upstream, the clients and the bare relay share: HTTP/1.1 and events, with no library.

Each of the 40 pieces of an answer says when it was sent, `T000012345678901 `: microseconds of this
machine's monotonic clock, in 15 digits. So a client knows of every piece how long it was on its
way, however a gateway cuts, joins or delays them, and whether it came at all.
"""

import json
import time
from collections.abc import Sequence

import msgspec

PIECES = 40
GAP_S = 0.02
"""Between the pieces of a paced answer: 50 tokens a second, as a fast hosted model has them."""
STAMP_LENGTH = 17
_STAMP = b"T%015d "
NO_STAMP = _STAMP % 0
INSTANT, PACED = "instant", "paced"
"""The two models: all pieces in one write, and one each `GAP_S`."""


def stamp() -> bytes:
    """Now, as a piece says it."""
    return _STAMP % (time.monotonic_ns() // 1000)


def stamped(text: str) -> Sequence[int]:
    """When the pieces in *text* were sent, in microseconds; `ValueError` if it is none of ours."""
    if len(text) == STAMP_LENGTH:
        return (int(text[1:16]),)
    if len(text) % STAMP_LENGTH:
        raise ValueError(f"not whole pieces: {text!r}")
    return [int(text[at + 1 : at + 16]) for at in range(0, len(text), STAMP_LENGTH)]


def event(delta: dict[str, str], finish_reason: str | None = None) -> bytes:
    """One chunk as OpenAI sends it: platform.openai.com/docs/api-reference/chat-streaming."""
    body = {
        "id": "chatcmpl-stub",
        "object": "chat.completion.chunk",
        "created": 1700000000,
        "model": "stub",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    return b"data: " + json.dumps(body, separators=(",", ":")).encode() + b"\n\n"


def request(path: str, host: str, model: str, headers: dict[str, str]) -> bytes:
    """A caller's turn as a request for a stream."""
    messages = [
        {"role": "system", "content": "You are a phone agent."},
        {"role": "user", "content": "Hello, I would like to move my appointment to Thursday."},
    ]
    body = json.dumps({"model": model, "stream": True, "messages": messages}).encode()
    head = {"Host": host, "Content-Type": "application/json", "Accept": "text/event-stream"}
    head |= headers | {"Content-Length": str(len(body))}
    lines = "".join(f"{name}: {value}\r\n" for name, value in head.items())
    return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


class _Delta(msgspec.Struct):
    content: str | None = None


class _Choice(msgspec.Struct):
    delta: _Delta
    finish_reason: str | None = None


class Chunk(msgspec.Struct):
    """Of a chunk, what tells a client what was said and whether that is all."""

    choices: list[_Choice] = []


decode = msgspec.json.Decoder(Chunk).decode


class Response:
    """A response of HTTP/1.1, fed as it comes; RFC 9112, sections 4 and 6 to 7.1.

    `status` is 0 until the head is there; `whole` once the last byte of the body is.
    """

    __slots__ = ("_chunked", "_left", "_rest", "close", "status", "whole")

    def __init__(self) -> None:
        self.status, self.whole, self.close = 0, False, False
        self._rest, self._left, self._chunked = b"", -1, False

    def feed(self, data: bytes) -> bytes:
        """The bytes of the body in *data*, without their framing."""
        if self._rest:
            data, self._rest = self._rest + data, b""
        start = 0 if self.status else self._head(data)
        if not self.status:
            return b""
        return self._chunks(data, start) if self._chunked else self._plain(data, start)

    def _head(self, data: bytes) -> int:
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._rest = data
            return 0
        head = data[:end].lower()
        self.status = int(head[9:12])
        self.close = b"\r\nconnection: close" in head
        if b"\r\ntransfer-encoding: chunked" in head:
            self._chunked, self._left = True, 0
        elif (place := head.find(b"\r\ncontent-length:")) >= 0:
            self._left = int(head[place + 17 :].split(b"\r\n", 1)[0])
        return end + 4

    def _plain(self, data: bytes, start: int) -> bytes:
        body = data[start:]
        if self._left >= 0:
            self._left -= len(body)
            self.whole = self._left <= 0
        return body

    def _chunks(self, data: bytes, start: int) -> bytes:
        """*left* is what a chunk still has, with the two bytes that end it."""
        pieces, left, size = [], self._left, len(data)
        while start < size:
            if left:
                end = start + min(left, size - start)
                pieces.append(data[start : max(start, min(end, start + left - 2))])
                left, start = left - (end - start), end
                continue
            end = data.find(b"\r\n", start)
            if end < 0:
                self._rest = data[start:]
                break
            left = int(data[start:end], 16) + 2  # nobody here sends extensions
            start = end + 2
            if left == 2:  # the last one, which has no trailers here
                if size < start + 2:
                    self._rest, left = b"0\r\n" + data[start:], 0
                else:
                    self.whole = True
                break
        self._left = left
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
