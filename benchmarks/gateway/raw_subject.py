"""The least that a gateway in Python can be: it reads every event and hands it on.

python -m benchmarks.gateway.raw_subject PORT UPSTREAM_PORT

Sockets without a library on both sides, pooled connections, each event decoded before it is
written; what a response brings at once is written at once. No failover, no checks, no limits, no
records: what a gateway costs above this is what its features and its libraries cost.
"""

import asyncio
import sys
from typing import cast

import msgspec
import uvloop
from typing_extensions import override

from benchmarks.gateway.wire import Response, decode

_HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"


class _Asked(msgspec.Struct):
    model: str


_read_request = msgspec.json.Decoder(_Asked).decode


class Upstream(asyncio.Protocol):
    """A pooled connection to the model, at work for one client at a time."""

    def __init__(self, pool: list["Upstream"]) -> None:
        self._pool, self.usable = pool, True

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children

    @override
    def connection_lost(self, exc: Exception | None) -> None:
        self.usable = False

    def ask(self, client: "Client", body: bytes, path: bytes) -> None:
        """Relay the answer to *body* to *client*."""
        self._client, self._response, self._rest, self._begun = client, Response(), b"", False
        self._transport.write(
            b"POST %s HTTP/1.1\r\nHost: upstream\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (path, len(body), body)
        )

    @override
    def data_received(self, data: bytes) -> None:
        body = self._rest + self._response.feed(data)
        *events, self._rest = body.split(b"\n\n")
        for event in events:
            if event.startswith(b"data: {"):
                decode(event[6:])
        whole = self._response.whole
        if events:
            out = b"\n\n".join(events) + b"\n\n"
            head = b"" if self._begun else _HEAD
            self._client.write(
                b"%s%x\r\n%s\r\n%s" % (head, len(out), out, b"0\r\n\r\n" if whole else b"")
            )
            self._begun = True
        elif whole:
            self._client.write(b"0\r\n\r\n")
        if whole:
            self._pool.append(self)


class Client(asyncio.Protocol):
    """A connection of a client."""

    def __init__(self, upstream: int, pool: list[Upstream]) -> None:
        self._upstream, self._pool, self._asked = upstream, pool, b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are not its children

    def write(self, data: bytes) -> None:
        """Hand on what came."""
        self._transport.write(data)

    @override
    def data_received(self, data: bytes) -> None:
        self._asked += data
        head, end, body = self._asked.partition(b"\r\n\r\n")
        lower = head.lower()
        place = lower.find(b"\r\ncontent-length:")
        if not end or len(body) < int(lower[place + 17 :].split(b"\r\n", 1)[0]):
            return
        self._asked = b""
        path = b"/%s/v1/chat/completions" % _read_request(body).model.encode()
        while self._pool:
            if (upstream := self._pool.pop()).usable:
                upstream.ask(self, body, path)
                return
        self._connecting = asyncio.ensure_future(self._connect(body, path))

    async def _connect(self, body: bytes, path: bytes) -> None:
        loop = asyncio.get_running_loop()
        _, upstream = await loop.create_connection(
            lambda: Upstream(self._pool), "127.0.0.1", self._upstream
        )
        upstream.ask(self, body, path)


async def main(port: int, upstream: int) -> None:
    """Serve until killed."""
    pool: list[Upstream] = []
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Client(upstream, pool), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
