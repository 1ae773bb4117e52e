"""Connections to hosts of several addresses, of which one leads nowhere."""

import asyncio
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from aiohttp.abc import AbstractResolver, ResolveResult
from typing_extensions import override

from trunkline.net.raw import Pool, Unconnected


class Named(AbstractResolver):
    """One host, of these addresses."""

    def __init__(self, *hosts: str) -> None:
        self._hosts = hosts

    @override
    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(
                hostname=host, host=it, port=port, family=socket.AF_INET, proto=6, flags=0
            )
            for it in self._hosts
        ]

    @override
    async def close(self) -> None:
        """There is nothing."""


@contextmanager
def nowhere(port: int) -> Iterator[str]:
    """An address whose port neither accepts nor refuses: its queue is full."""
    full, waiting = socket.socket(), [socket.socket() for _ in range(4)]
    full.bind(("127.0.0.2", port))
    full.listen(0)
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(("127.0.0.2", port))
    try:
        yield "127.0.0.2"
    finally:
        for one in (full, *waiting):
            one.close()


@pytest.mark.ci
def test_an_address_that_leads_nowhere_costs_a_quarter_of_a_second() -> None:
    """As with a route of IPv6 that is broken: the next address is tried beside it."""

    async def main() -> None:
        server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1")
        port = server.sockets[0].getsockname()[1]
        with nowhere(port) as lost:
            began, pool = time.monotonic(), Pool(Named(lost, "127.0.0.1"))
            connection = await pool.connect("h", port, tls=False)
            assert 0.25 <= time.monotonic() - began < 1.25
            connection.abort()
        server.close()
        with pytest.raises(Unconnected, match="Connect"):
            await Pool(Named("127.0.0.1")).connect("h", port, tls=False)
        await server.wait_closed()

    asyncio.run(main())
