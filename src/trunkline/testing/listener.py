"""A local server's socket, and what faults do to it: refuse, come back, reset."""

import asyncio
import socket
import struct
from contextlib import AsyncExitStack

from aiohttp import web
from aiohttp.typedefs import Handler

_SHUTDOWN_S = 0.1  # a handler that hangs is a fault script at work, not one to wait for
_RST = struct.pack("ii", 1, 0)  # SO_LINGER on, 0 s: closing sends RST instead of FIN


class Listener:
    """*app* on *host* and *port* (0: any free one, which `port` tells once it is open)."""

    host = "127.0.0.1"

    def __init__(self, app: web.Application, port: int) -> None:
        app.middlewares.append(self._watched)
        app.on_response_prepare.append(self._close_if_refusing)
        # Cancelling the handler is how a real server stops generating for a client that left.
        self._runner = web.AppRunner(
            app, handler_cancellation=True, access_log=None, shutdown_timeout=_SHUTDOWN_S
        )
        self.port = port
        self._site: web.TCPSite | None = None
        self._at_work: set[asyncio.BaseTransport | None] = set()
        self._stack = AsyncExitStack()

    async def open(self) -> None:
        """Begin to listen."""
        await self._runner.setup()
        self._stack.push_async_callback(self._runner.cleanup)
        await self._listen()

    async def close(self) -> None:
        """End, with all connections."""
        await self._stack.aclose()

    @property
    def refusing(self) -> bool:
        """Whether connections are refused."""
        return self._site is None

    async def refuse(self, hold_s: float | None) -> None:
        """Refuse connections, and close those that are idle, for *hold_s* seconds (None: for good).

        Those at work end first.
        """
        if self._site is None:
            return
        await self._site.stop()
        self._site = None
        # A client's pooled connection would get past a closed listener.
        for connection in self._runner.server.connections if self._runner.server else ():
            if connection.transport not in self._at_work:
                connection.force_close()  # close() would leave an idle one open, and unread
            connection.close()
        if hold_s is not None:
            # No TaskGroup: around the caller's block it would wrap the caller's own errors.
            task = asyncio.get_running_loop().create_task(self._reopen(hold_s))
            self._stack.callback(task.cancel)

    async def _listen(self) -> None:
        self._site = web.TCPSite(self._runner, self.host, self.port)
        await self._site.start()
        self.port = int(self._runner.addresses[0][1])

    async def _reopen(self, hold_s: float) -> None:
        await asyncio.sleep(hold_s)
        await self._listen()

    @web.middleware
    async def _watched(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        transport = request.transport
        self._at_work.add(transport)
        try:
            return await handler(request)
        finally:
            self._at_work.discard(transport)

    async def _close_if_refusing(self, _: web.Request, response: web.StreamResponse) -> None:
        if self._site is None:
            response.force_close()
            response.headers["Connection"] = "close"  # or the client tries the connection again


def reset(request: web.Request) -> None:
    """Reset the connection that *request* came on."""
    if request.transport is not None:
        peer = request.transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST)
        request.transport.abort()


def peer_port(request: web.Request) -> int:
    """The client's port: which connection *request* came on."""
    peer = request.transport.get_extra_info("peername") if request.transport else None
    return int(peer[1]) if peer else 0
