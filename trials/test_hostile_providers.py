"""A provider, or whoever answers in its place, that sends anything but an answer.

Each attack is one raw TCP answer to a request of the real client. The oracle: an `EndpointError`,
within the deadline, without holding the event loop, and nothing stays behind.
"""

import asyncio
import gc
import gzip
import json
import random
import time
from collections.abc import Iterator
from contextlib import suppress
from itertools import repeat
from typing import Final

import pytest

from trials.hostile import VALUES
from trials.openai_rig import Said as SaidBefore
from trials.openai_rig import context, eventually, listen, rig
from trunkline.errors import EndpointError

DEADLINE_S: Final = 1.5
HELD_S_MAX: Final = 0.02
"""CPU time of the loop between two looks: a frame of every other call."""
SEEDS: Final = 60
HEAD: Final = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
TOKEN: Final = b'data: {"choices":[{"index":0,"delta":{"content":"a"},"finish_reason":null}]}\n\n'
CHUNK: Final = {
    "id": "x",
    "choices": [
        {
            "index": 0,
            "delta": {
                "role": "assistant",
                "content": "a",
                "tool_calls": [
                    {"index": 0, "id": "c", "function": {"name": "book", "arguments": "{}"}}
                ],
            },
            "finish_reason": None,
        }
    ],
    "usage": {"prompt_tokens": 1, "completion_tokens": 2},
}

ANSWERS: Final[dict[str, list[bytes] | Iterator[bytes]]] = {
    "nothing": [],
    "garbage": [random.Random(1).randbytes(4_000)],  # noqa: S311  # to be repeated
    "smtp": [b"220 mail.example.com ESMTP\r\n"],
    "endless_status_line": repeat(b"HTTP/1.1 200 " + b"a" * 4_000),
    "endless_header": repeat(b"HTTP/1.1 200 OK\r\nX: " + b"a" * 4_000),
    "endless_headers": repeat(b"X-Header: " + b"a" * 100 + b"\r\n"),
    "endless_interim_answers": repeat(b"HTTP/1.1 103 Early Hints\r\n\r\n" * 40),
    "redirect": [b"HTTP/1.1 302 Found\r\nLocation: http://10.0.0.1/\r\nContent-Length: 0\r\n\r\n"],
    "html": [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>"],
    "endless_error": repeat(b"HTTP/1.1 500 No\r\n\r\n" + b"a" * 4_000),
    "bad_chunk_size": [HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n")],
    "huge_chunk": [
        HEAD.replace(b"\r\n\r\n", b"\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n")
    ],
    "short_body": [HEAD.replace(b"\r\n\r\n", b"\r\nContent-Length: 999\r\n\r\n") + TOKEN],
    "bomb": [
        HEAD.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        gzip.compress(b"data: " + bytes(30_000_000)),
    ],
    "endless_line": repeat(b"data: " + b"a" * 8_000),
    "endless_event": repeat(b"data: a\n" * 1_000),
    "comments": repeat(b": keep-alive\n\n" * 600),
    "blank_lines": repeat(b"\n" * 8_000),
    "empty_events": repeat(b"data:\n\n" * 1_000),
    "idle_events": repeat(b'data: {"choices":[]}\n\n' * 400),
    "endless_tokens": repeat(TOKEN * 100),
    "done_at_once": [b"data: [DONE]\n\n"],
    "nested": [b"data: " + b"[" * 100_000 + b"\n\n"],
    "null": [b"data: null\n\n"],
    "not_utf8": [b"data: \xff\xfe\n\n"],
}
WITH_HEAD: Final = tuple(ANSWERS)[tuple(ANSWERS).index("endless_line") :]


def mutated(seed: int) -> list[bytes]:
    """A valid answer with a value of another kind in some place of it."""
    rng = random.Random(seed)  # noqa: S311  # to be repeated by its seed
    chunk = json.loads(json.dumps(CHUNK))
    place = chunk
    while True:
        key = rng.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if not isinstance(place[key], dict | list) or not place[key] or rng.random() < 0.2:
            break
        place = place[key]
    place[key] = rng.choice(VALUES)
    return [HEAD, TOKEN, b"data: " + json.dumps(chunk).encode() + b"\n\n", b"data: [DONE]\n\n"]


async def answered(pieces: list[bytes] | Iterator[bytes]) -> tuple[str, float, float]:
    """What the client made of it, how long that took, and the longest hold of the loop (CPU)."""
    gc.collect()
    gc.freeze()  # as a worker does at its start
    open_now = set[asyncio.StreamWriter]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        open_now.add(writer)
        with suppress(OSError):
            await reader.read(65_536)
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            await reader.read()  # until the client has gone
        open_now.discard(writer)
        writer.transport.abort()

    held = [0.0]

    async def look() -> None:
        last = time.thread_time()
        while True:
            await asyncio.sleep(0)
            last, spent = (now := time.thread_time()), now - last
            held[0] = max(held[0], spent)

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with rig() as r, asyncio.TaskGroup() as group:
        looking = group.create_task(look())
        began = time.monotonic()
        try:
            await listen(r.stage(f"http://127.0.0.1:{port}/v1"), context(DEADLINE_S), SaidBefore())
            told = "an answer"
        except EndpointError as error:
            told = str(error)
        took = time.monotonic() - began
        looking.cancel()
    server.close()
    await server.wait_closed()
    await eventually(
        lambda: not open_now, 2.0
    )  # a whole answer's connection lives with its session
    return told, took, held[0]


@pytest.mark.ci
@pytest.mark.parametrize("what", sorted(ANSWERS))
def test_a_provider_that_answers_with_anything_else_is_a_fault(what: str) -> None:
    """In time, without holding the others up, and the connection is gone."""
    pieces = ANSWERS[what]
    if what in WITH_HEAD:
        pieces = iter([HEAD, *pieces]) if isinstance(pieces, list) else _after(HEAD, pieces)
    told, took, held = asyncio.run(answered(pieces))
    print(f"{what:24} {took:5.2f} s, held {1e3 * held:5.1f} ms: {told[:100]}")
    assert told != "an answer"
    assert took < DEADLINE_S + 0.5
    assert held < HELD_S_MAX


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


@pytest.mark.ci
def test_a_chunk_with_a_wrong_value_anywhere_is_a_fault_or_an_answer() -> None:
    """Never a bug of ours, whatever the value and its place."""
    for seed in range(SEEDS):
        try:
            _, took, _ = asyncio.run(answered(mutated(seed)))
        except BaseException:
            print(f"seed {seed}: {mutated(seed)[2]!r}")
            raise
        assert took < DEADLINE_S + 0.5, f"seed {seed}"
