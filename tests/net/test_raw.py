"""HTTP/1.1 for streams, without a socket."""

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typing_extensions import override

from trunkline.net.raw import (
    BUFFER_BYTES_MAX,
    FIELDS_MAX,
    HEAD_BYTES_MAX,
    IDLE_MAX,
    IDLE_S,
    SIZE_LINE_MAX,
    Connection,
    NotHttp,
    Pool,
)
from trunkline.testing import virtual

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"


class Line(asyncio.Transport):
    """What a connection does with its transport."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = b""
        self.closing = False
        self.reading = True

    @override
    def write(self, data: bytes | bytearray | memoryview) -> None:
        self.sent += bytes(data)

    @override
    def abort(self) -> None:
        self.closing = True

    @override
    def is_closing(self) -> bool:
        return self.closing

    @override
    def pause_reading(self) -> None:
        self.reading = False

    @override
    def resume_reading(self) -> None:
        self.reading = True


def asking() -> tuple[Connection, Line]:
    """A connection on which a request was sent."""
    connection, line = Connection(), Line()
    connection.connection_made(line)
    connection.send(b"POST")
    return connection, line


async def read(connection: Connection) -> bytes:
    """All of the body."""
    await connection.head()
    body = b""
    while piece := await connection.read():
        body += piece
    return body


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=8),
    st.integers(1, 50),
    st.sampled_from([b"", b";x=1", b" "]),
)
def test_a_chunked_body_is_what_was_sent(pieces: list[bytes], cut: int, extension: bytes) -> None:
    """However the network cuts it; the connection may be used again."""
    wire = CHUNKED + b"".join(
        b"%x%s\r\n%s\r\n" % (len(it), extension, it) for it in pieces
    ) + b"0\r\nTrailer: x\r\n\r\n"  # fmt: skip
    connection, line = asking()
    for at in range(0, len(wire), cut):
        connection.data_received(wire[at : at + cut])

    async def whole() -> bytes:
        return await read(connection)

    assert virtual.run(whole()) == b"".join(pieces)
    assert connection.alive
    assert not line.closing


async def test_a_counted_body_ends_with_its_count() -> None:
    """Interim answers before it are read past."""
    connection, _ = asking()
    connection.data_received(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 429 No\r\nContent-")
    connection.data_received(b"Length: 5\r\nRetry-After: 3\r\n\r\nab")
    connection.data_received(b"cde")
    assert await read(connection) == b"abcde"
    assert (connection.status, connection.headers["retry-after"]) == (429, "3")
    assert connection.alive


@pytest.mark.parametrize("status", [204, 304])
async def test_what_has_no_body_ends_with_its_head(status: int) -> None:
    """With or without a word about its length; the connection stays good."""
    for field in (b"", b"Content-Length: 7\r\n", b"Transfer-Encoding: chunked\r\n"):
        connection, _ = asking()
        connection.data_received(b"HTTP/1.1 %d X\r\n%s\r\n" % (status, field))
        await connection.head()
        assert await connection.read() == b""
        assert connection.alive


async def test_a_body_may_end_with_its_connection() -> None:
    """Where neither count nor chunks tell its end; the connection is not used again."""
    connection, _ = asking()
    connection.data_received(b"HTTP/1.0 200 OK\r\n\r\nabc")
    connection.connection_lost(None)
    assert await read(connection) == b"abc"
    assert not connection.alive


@pytest.mark.parametrize(
    "wire", [b"", b"HTTP/1.1 200 OK\r\n", CHUNKED, CHUNKED + b"5\r\nab", CHUNKED + b"2\r\nab\r\n"]
)
async def test_a_body_that_breaks_off_is_an_error(wire: bytes) -> None:
    """Never an end."""
    connection, _ = asking()
    connection.data_received(wire)
    connection.connection_lost(None)
    with pytest.raises(ConnectionError):
        await read(connection)


async def test_a_reset_of_an_uncounted_body_is_an_error() -> None:
    """A clean end is the only end."""
    connection, _ = asking()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\nabc")
    connection.connection_lost(ConnectionResetError())
    assert await connection.read() == b"abc"
    with pytest.raises(ConnectionError):
        await connection.read()


@pytest.mark.parametrize(
    "wire",
    [
        b"SSH-2.0-OpenSSH\r\n\r\n",
        b"HTTP/2 200\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n: x\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * (FIELDS_MAX + 1) + b"\r\n",
        b"HTTP/1.1 200 OK\r\na: " + b"b" * HEAD_BYTES_MAX,
        b"HTTP/1.1 200 OK\r\na: " + b"b" * HEAD_BYTES_MAX + b"\r\n\r\n",
        CHUNKED + b"xyz\r\n",
        CHUNKED + b"1_0\r\n",
        CHUNKED + b"-1\r\n",
        CHUNKED + b"fffffffff\r\n",
        CHUNKED + b"1\r\nabc\r\n",
        CHUNKED + b"1" * SIZE_LINE_MAX,
    ],
)
async def test_what_is_no_http_is_refused(wire: bytes) -> None:
    """And the connection dropped."""
    connection, line = asking()
    connection.data_received(wire)
    with pytest.raises(NotHttp):
        await read(connection)
    assert line.closing


async def test_a_body_that_nobody_takes_stops_the_reading() -> None:
    """Memory is bounded; taking it goes on."""
    connection, line = asking()
    connection.data_received(b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * (BUFFER_BYTES_MAX + 1))
    assert not line.reading
    await connection.read()
    assert line.reading


async def test_what_nobody_asked_for_ends_the_connection() -> None:
    """A kept connection is silent."""
    connection, line = asking()
    connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    assert connection.alive
    connection.data_received(b"HTTP/1.1 408 Timeout\r\n\r\n")
    assert line.closing


async def test_a_connection_is_kept_for_the_next_request() -> None:
    """For a while, as many as are good for, and by address."""
    pool, kept = Pool(), []
    for _ in range(IDLE_MAX + 1):
        connection, line = asking()
        connection.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        pool.release(connection, "h", 1, tls=False)
        kept.append((connection, line))
    assert kept[-1][1].closing
    assert pool.idle("h", 2, tls=False) is None
    assert pool.idle("h", 1, tls=True) is None
    assert pool.idle("h", 1, tls=False) is kept[-2][0]
    await asyncio.sleep(IDLE_S)
    assert pool.idle("h", 1, tls=False) is None
    assert kept[0][1].closing


async def test_a_connection_that_is_busy_is_not_kept() -> None:
    """Leaving is told by dropping it; so are those that are kept when all is over."""
    pool, (busy, line) = Pool(), asking()
    pool.release(busy, "h", 1, tls=False)
    assert line.closing
    idle, line = asking()
    idle.data_received(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
    pool.release(idle, "h", 1, tls=False)
    pool.close()
    assert line.closing
