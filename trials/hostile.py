"""Peers that mean harm, or are merely broken, drawn from a seed; and what became of each of them.

`draw(seed, number)` is one attack: a connection, the bytes that are sent on it with pauses between
them, and how it ends. Three families: what a carrier sends, with one to three things wrong in its
messages (dropped, doubled, swapped, replayed, retyped, oversized) or its WebSocket frames; requests
to the webhook; and calls that are in order until they are dropped at a random moment. A seed and a
number say it all, so every finding can be played again.
"""

import json
import random
import struct
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from trunkline.telephony.twilio import CarrierSide
from trunkline.types import FRAME_SAMPLES, Sample

MEDIA: Final = (
    b"GET /twilio/media HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
    b"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
FRAMES_MAX: Final = 60
VALUES: Final[Sequence[object]] = (
    None, True, -1, 0, 2**63, 2**64, -(2**70), 1e308, 0.5, 86_400_001, "", "-1", "1e9", "NaN",
    "0x10", " 1", "9" * 400, "\x00", "\ud800", "é" * 300, "../../etc/passwd", "%s%n", "a" * 20_000,
    [], {}, [[]] * 50, {"event": "media"}, "AAAA", "@@@@", "A", "media", "start", "stop",
)  # fmt: skip
"""What is put where something else was meant."""


@dataclass(frozen=True, slots=True)
class Send:
    """Bytes, after a pause."""

    data: bytes
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Attack:
    """One connection. *ends*: `wait` for the server, `abort`, `close` or `half_close` it."""

    family: str
    what: str
    sends: Sequence[Send]
    ends: str


# -- WebSocket frames (RFC 6455 section 5.2) -------------------------------------------------------


def ws(payload: bytes, opcode: int = 1, *, fin: int = 0x80, masked: bool = True) -> bytes:
    """A client's frame; *opcode* may hold reserved bits."""
    size = len(payload)
    bit = 0x80 if masked else 0
    if size < 126:
        head = bytes((fin | opcode, bit | size))
    elif size < 65_536:
        head = bytes((fin | opcode, bit | 126)) + struct.pack(">H", size)
    else:
        head = bytes((fin | opcode, bit | 127)) + struct.pack(">Q", size)
    return head + (b"\0\0\0\0" if masked else b"") + payload


def call(rng: random.Random, frames: int) -> list[bytes]:
    """The messages of a call in order."""
    side = CarrierSide(f"MX{rng.getrandbits(32):x}", f"CA{rng.getrandbits(32):x}")
    messages = [side.connected(), side.start({"a": "b"})]
    for number in range(frames):
        audio = b"\xff" * FRAME_SAMPLES if rng.random() < 0.5 else rng.randbytes(FRAME_SAMPLES)
        messages.append(side.media(audio, Sample(number * FRAME_SAMPLES)))
        if rng.random() < 0.1:
            messages.append(side.dtmf(rng.choice("0123456789*#")))
        if rng.random() < 0.1:
            messages.append(side.mark(rng.choice(("r0.0.4", "none", "r0.0.4"))))
    return [*messages, side.stop()]


# -- what goes wrong in messages ------------------------------------------------------------------


def _drop(messages: list[bytes], rng: random.Random) -> None:
    del messages[rng.randrange(len(messages))]


def _double(messages: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(messages))
    messages[at:at] = [messages[at]] * rng.choice((1, 3, 300))


def _swap(messages: list[bytes], rng: random.Random) -> None:
    a, b = rng.randrange(len(messages)), rng.randrange(len(messages))
    messages[a], messages[b] = messages[b], messages[a]


def _replay(messages: list[bytes], rng: random.Random) -> None:
    messages += messages[: rng.randrange(1, len(messages) + 1)]


def _retype(messages: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(messages))
    try:
        message = json.loads(messages[at])
    except (ValueError, RecursionError):
        return  # it was broken already
    place = message
    while isinstance(place, dict) and place:
        key = rng.choice(list(place))
        if not isinstance(place[key], dict) or rng.random() < 0.2:
            if rng.random() < 0.2:
                del place[key]
            else:
                place[key] = rng.choice(VALUES)
            break
        place = place[key]
    messages[at] = json.dumps(message).encode()


def _times(messages: list[bytes], rng: random.Random) -> None:
    """Times that go back, jump ahead or stand still, from some message on."""
    shift, since = rng.choice((-500, -40, 40, 59_000, 80_000_000)), rng.randrange(len(messages))
    for at in range(since, len(messages)):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            message = json.loads(messages[at])
            media = message["media"]
            media["timestamp"] = str(int(media["timestamp"]) + shift)
            if rng.random() < 0.3:
                media["chunk"] = rng.choice(("1", "99999999999999999999", "-3", 2**31))
            messages[at] = json.dumps(message).encode()


def _flip(messages: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(messages))
    broken = bytearray(messages[at])
    for _ in range(rng.randrange(1, 8)):
        if broken:
            broken[rng.randrange(len(broken))] = rng.getrandbits(8)
    messages[at] = bytes(broken)


def _cut(messages: list[bytes], rng: random.Random) -> None:
    at = rng.randrange(len(messages))
    messages[at] = messages[at][: rng.randrange(len(messages[at]) + 1)]


def _stuff(messages: list[bytes], rng: random.Random) -> None:
    messages.insert(
        rng.randrange(len(messages) + 1),
        rng.choice(
            (
                rng.randbytes(rng.randrange(200)),
                b"[" * 100_000,
                b'{"event":' * 3_000,
                b'{"event":"media","media":{"payload":"' + b"A" * 200_000 + b'"}}',
                b'{"event":"unknown","x":' + b"9" * 5_000 + b"}",
                b"",
            )
        ),
    )


def _bulk(messages: list[bytes], rng: random.Random) -> None:
    """Seconds of audio in each message."""
    for at, message in enumerate(messages):
        with suppress(ValueError, KeyError, TypeError, RecursionError):
            told = json.loads(message)
            told["media"]["payload"] = told["media"]["payload"] * 60
            messages[at] = json.dumps(told).encode()


MUTATIONS: Final = (
    _drop, _double, _swap, _replay, _retype, _retype, _times, _flip, _cut, _stuff, _bulk
)  # fmt: skip


def _messages(rng: random.Random) -> Attack:
    messages = call(rng, rng.randrange(1, FRAMES_MAX))
    names = []
    for _ in range(rng.randrange(1, 4)):
        mutation = rng.choice(MUTATIONS)
        if messages:
            mutation(messages, rng)
            names.append(mutation.__name__.strip("_"))
    paced = 0.02 if rng.random() < 0.3 else 0.0
    sends = [Send(MEDIA), *(Send(ws(message), paced) for message in messages[:400])]
    return Attack("messages", "+".join(names), sends, "wait")


# -- what goes wrong in frames --------------------------------------------------------------------


def _frames(rng: random.Random) -> Attack:
    opening = b"".join(ws(message) for message in call(rng, 3)[:-1])
    kinds = {
        "unmasked": ws(b"{}", masked=False),
        "reserved_bits": ws(b"{}", 0x41),
        "unknown_opcode": ws(b"{}", 0x3),
        "binary": ws(rng.randbytes(50), 2),
        "continuation": ws(b"{}", 0),
        "half_a_frame": ws(b"x" * 100)[:50],
        "declares_an_exabyte": b"\x81\xff" + b"\x7f" + b"\xff" * 7 + b"\0\0\0\0",
        "large_ping": ws(b"x" * 126, 9),
        "fragmented_ping": ws(b"x", 9, fin=0),
        "ping_flood": ws(b"", 9) * 20_000,
        "pong_flood": ws(b"", 10) * 20_000,
        "empty_flood": ws(b"") * 2_000,
        "unknown_flood": ws(b'{"event":"x"}') * 5_000,
        "fragments": ws(b"{", 1, fin=0) + ws(b"", 0, fin=0) * 40_000,
        "keys": ws(b'{"event":"dtmf","dtmf":{"digit":"1"}}') * 600,
        "marks": ws(b'{"event":"mark","mark":{"name":"r0.0.4"}}') * 900,
        "not_utf8": ws(b"\xff\xfe"),
        "close_without_a_code": ws(b"", 8),
        "close_with_a_bad_code": ws(struct.pack(">H", 7), 8),
        "close_with_one_byte": ws(b"\x03", 8),
        "close_with_bad_utf8": ws(struct.pack(">H", 1000) + b"\xff\xff", 8),
        "raw": rng.randbytes(rng.randrange(1, 3_000)),
    }
    what = rng.choice(sorted(kinds))
    sends = [Send(MEDIA), Send(opening if rng.random() < 0.7 else b""), Send(kinds[what])]
    return Attack("frames", what, sends, "wait")


# -- the webhook ----------------------------------------------------------------------------------


def post(body: bytes, *headers: bytes, path: bytes = b"/twilio/voice", size: int = -1) -> bytes:
    """A POST; *size*: what its head says, if that is a lie."""
    lines = [b"POST " + path + b" HTTP/1.1", b"Host: 127.0.0.1"]
    if not any(header.lower().startswith(b"content-type") for header in headers):
        lines.append(b"Content-Type: application/x-www-form-urlencoded")
    if not any(header.lower().startswith(b"transfer-encoding") for header in headers):
        lines.append(b"Content-Length: %d" % (len(body) if size < 0 else size))
    return b"\r\n".join([*lines, *headers, b"", body])


def _web(rng: random.Random) -> Attack:
    form = b"CallSid=CA1&From=%2B12025550123"
    get = b"GET /twilio/voice?"
    end = b" HTTP/1.1\r\nHost: h\r\n\r\n"
    chunked = b"Transfer-Encoding: chunked"
    kinds: dict[str, list[Send]] = {
        "raw": [Send(rng.randbytes(rng.randrange(1, 5_000)) + b"\r\n\r\n")],
        "tls": [Send(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + rng.randbytes(500))],
        "http2": [Send(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")],
        "long_path": [Send(b"GET /" + b"a" * 20_000 + end)],
        "long_header": [Send(post(form, b"X: " + b"a" * 20_000))],
        "many_headers": [Send(post(form, *[b"X-%d: a" % number for number in range(500)]))],
        "large_form": [Send(post(b"CallSid=" + b"a" * 200_000))],
        "long_sid": [Send(post(b"CallSid=" + b"a" * 2_000))],
        "many_fields": [Send(post(b"&".join(b"a%d=1" % number for number in range(5_000))))],
        "no_sid": [Send(post(b"From=1"))],
        "bad_charset": [
            Send(post(form, b"Content-Type: application/x-www-form-urlencoded; charset=nope"))
        ],
        "bad_utf8": [Send(post(b"CallSid=%ff\xff&From=\xfe"))],
        "json": [Send(post(b'{"CallSid":"CA1"}', b"Content-Type: application/json"))],
        "multipart": [
            Send(
                post(
                    b"--x\r\n" + rng.randbytes(99), b"Content-Type: multipart/form-data; boundary=x"
                )
            )
        ],
        "gzip": [Send(post(rng.randbytes(99), b"Content-Encoding: gzip"))],
        "bad_chunks": [Send(post(b"zz\r\n" + form + b"\r\n0\r\n\r\n", chunked))],
        "length_and_chunks": [Send(post(form, chunked, b"Content-Length: 3"))],
        "negative_length": [Send(post(form).replace(b"Content-Length: ", b"Content-Length: -"))],
        "short_body": [Send(post(form, size=len(form) + 100))],
        "host": [
            Send(post(form).replace(b"127.0.0.1", rng.choice((b"a?b", b"a b", b"a/b", b"<x>"))))
        ],
        "surrogates": [Send(get + b"CallSid=%ed%a0%80&From=%ed%a0%80" + end)],
        "wrong_method": [Send(b"DELETE /twilio/voice" + end)],
        "wrong_path": [Send(b"GET /../../etc/passwd" + end)],
        "no_upgrade": [Send(b"GET /twilio/media" + end)],
        "bad_key": [Send(MEDIA.replace(b"dGhlIHNhbXBsZSBub25jZQ==", b"short"))],
        "old_version": [Send(MEDIA.replace(b"Version: 13", b"Version: 8"))],
        "extensions": [
            Send(
                MEDIA.replace(
                    b"\r\n\r\n", b"\r\nSec-WebSocket-Extensions: permessage-deflate; x=\r\n\r\n"
                )
            )
        ],
        "pipelined": [Send(post(form) * 200)],
        "ws_with_a_body": [Send(MEDIA.replace(b"\r\n\r\n", b"\r\nContent-Length: 9\r\n\r\nabc"))],
        "silent": [],
        "slow_head": [Send(bytes((byte,)), 0.2) for byte in post(form)[:80]],
        "slow_body": [Send(post(b"", size=80)), *(Send(b"a", 0.2) for _ in range(70))],
        "idle_upgrade": [Send(MEDIA)],
        "slow_messages": [
            Send(MEDIA),
            *(Send(bytes((byte,)), 0.1) for byte in b"".join(map(ws, call(rng, 2)))[:120]),
        ],
    }
    what = rng.choice(sorted(kinds))
    return Attack("web", what, kinds[what], "wait")


# -- calls that are dropped ----------------------------------------------------------------------


def _dropped(rng: random.Random) -> Attack:
    """A call in order, cut at a random byte of a random moment."""
    moment = rng.choice(("before", "handshake", "before_start", "mid_frame", "mid_answer"))
    messages = call(rng, FRAMES_MAX)
    stream = [ws(message) for message in messages[:-1]]
    paced = [Send(MEDIA), Send(stream[0] + stream[1]), *(Send(data, 0.02) for data in stream[2:])]
    sends: list[Send] = []
    match moment:
        case "handshake":
            sends = [Send(MEDIA[: rng.randrange(len(MEDIA))])]
        case "before_start":
            sends = [Send(MEDIA), Send(stream[0])][: rng.randrange(1, 3)]
        case "mid_frame":
            kept = paced[: rng.randrange(2, 10)]
            half = stream[2][: rng.randrange(len(stream[2]))]
            sends = [*kept, Send(half)]
        case "mid_answer":
            sends = paced[: rng.randrange(10, len(paced))]
        case _:
            pass
    return Attack("dropped", moment, sends, rng.choice(("abort", "close", "half_close")))


FAMILIES: Final = (_messages, _messages, _frames, _web, _dropped, _dropped)


def draw(seed: int, number: int, family: str = "") -> Attack:
    """Attack *number* of *seed*; of one *family* if it is named."""
    rng = random.Random(f"{seed}:{number}")  # noqa: S311  # to be repeated by its seed
    makers = [make for make in FAMILIES if make.__name__.strip("_").startswith(family)]
    return rng.choice(makers)(rng)
