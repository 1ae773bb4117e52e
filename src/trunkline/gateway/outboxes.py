"""Where an answer goes: to a client that reads a stream, or into one body."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol

from aiohttp import web

from trunkline.gateway.exchange import Exchange
from trunkline.gateway.refusals import Refusal
from trunkline.types import ToolCallDelta, Usage

OUTBOX_BYTES_MAX: Final = 64 * 1024
"""Written and not yet sent, of one stream; beyond it, its endpoint waits. Some 300 tokens, which
take 80 s to be spoken: no endpoint is suspected meanwhile of a silence that is the client's."""
SLOW_S: Final = 30.0
"""A client that reads nothing for so long, with all buffers full, is disconnected."""

Headers = Callable[[], Mapping[str, str]]
Told = Callable[[], Mapping[str, object]]


class Writer(Protocol):
    """How a stream is written; who was asked is *told* with its end."""

    def text(self, pieces: Sequence[str], /) -> bytes:
        """More text."""
        ...

    def tool(self, delta: ToolCallDelta, /) -> bytes:
        """A part of a tool call."""
        ...

    def end(self, reason: str, usage: Usage | None, told: Mapping[str, object], /) -> bytes:
        """The one end."""
        ...

    def broken(self, refusal: Refusal, told: Mapping[str, object], /) -> bytes:
        """The error that takes its place."""
        ...


class Streamed:
    """The answer as server-sent events; *refused* makes the error of an exchange that failed."""

    def __init__(
        self,
        request: web.Request,
        writer: Writer,
        headers: Headers,
        refused: Callable[[], Refusal],
        told: Told,
    ) -> None:
        self._request, self._writer, self._headers = request, writer, headers
        self._refused, self._told = refused, told
        self._out: list[bytes] = []
        self._bytes = 0
        self.response: web.StreamResponse | None = None
        self._tools = False

    @property
    def full(self) -> bool:
        """Whether the client has to read first."""
        return self._bytes > OUTBOX_BYTES_MAX

    def say(self, pieces: Sequence[str]) -> None:
        """More text."""
        self._put(self._writer.text(pieces))

    def tool(self, delta: ToolCallDelta) -> None:
        """A part of a tool call."""
        self._tools = True
        self._put(self._writer.tool(delta))

    async def flush(self, exchange: Exchange) -> bool:
        """Send what there is; at the end of the exchange, the end of the stream.

        Nothing is sent of an exchange that failed before it began. False: the client is gone.
        """
        end = exchange.end
        failed = end is not None and end.reason == "failed"
        if failed and self.response is None and not self._out:
            return True
        if end is not None:
            self._end(exchange, failed=failed)
        try:
            if self.response is None:
                self.response = web.StreamResponse(headers=self._headers())
                await self.response.prepare(self._request)
            await self._send(self.response, last=end is not None and not failed)
        except ConnectionError:
            return False
        if failed and self._request.transport is not None:
            # Not the end of a body either: whoever reads past the error sees a broken transfer.
            self._request.transport.close()
        return True

    def _end(self, exchange: Exchange, *, failed: bool) -> None:
        if failed:
            self._put(self._writer.broken(self._refused(), self._told()))
            return
        assert exchange.end is not None  # noqa: S101  # it is what makes this the end
        if not self._tools:
            for index, it in enumerate(exchange.end.tool_calls):
                self._put(self._writer.tool(ToolCallDelta(index, it.id, it.name, it.arguments)))
        self._put(self._writer.end(exchange.end.reason, exchange.usage, self._told()))

    async def _send(self, response: web.StreamResponse, *, last: bool) -> None:
        data, self._bytes = b"".join(self._out), 0
        self._out.clear()
        transport = self._request.transport
        if transport is None or not transport.get_write_buffer_size():  # then nothing waits
            await (response.write_eof(data) if last else response.write(data))
            return
        try:
            async with asyncio.timeout(SLOW_S):
                await (response.write_eof(data) if last else response.write(data))
        except TimeoutError:
            if self._request.transport is not None:
                self._request.transport.abort()
            raise ConnectionResetError(f"the client read nothing for {SLOW_S:g} s") from None

    def _put(self, data: bytes) -> None:
        self._out.append(data)
        self._bytes += len(data)


class Collected:
    """The answer in one piece, kept until it is complete."""

    full = False
    """An answer is bounded by what is read of an endpoint (`net.sse.MAX_STREAM_BYTES`)."""

    def __init__(self) -> None:
        self._text: list[str] = []

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self._text)

    def say(self, pieces: Sequence[str]) -> None:
        """More text."""
        self._text += pieces

    def tool(self, delta: ToolCallDelta) -> None:
        """Tool calls come with the end."""

    async def flush(self, exchange: Exchange) -> bool:
        """Nothing is sent before the end; whether the client is there, who writes it will see."""
        del exchange
        return True
