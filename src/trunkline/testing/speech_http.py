"""What the local speech servers over HTTP share: a request, its body as it is made, and the faults.

As in `speech_server`, but each POST is a request, and all faults may look at its text. A message is
a piece of the body: some raw audio, or a server-sent event. `keepalives` are comments in a stream
of events; raw audio has none, and stays silent.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from typing_extensions import override

from trunkline.testing.listener import peer_port
from trunkline.testing.speech_server import (
    ConnectionRecord,
    Performance,
    SpeechServer,
    Struck,
)


class Body:
    """A response, written as it is made: the `Sink` of a performance."""

    def __init__(self, request: web.Request, headers: Mapping[str, str], comment: bytes) -> None:
        self._request, self._comment = request, comment
        self.response = web.StreamResponse(headers=headers)

    async def begin(self) -> None:
        """Status and headers."""
        await self.response.prepare(self._request)

    async def send_str(self, data: str) -> None:
        """Text, in UTF-8."""
        await self.send_bytes(data.encode())

    async def send_bytes(self, data: bytes) -> None:
        """A piece of the body."""
        await self.response.write(data)

    async def ping(self) -> None:
        """A comment, where there are comments."""
        if self._comment:
            await self.send_bytes(self._comment)

    async def close(self) -> bool:
        """End the body as if it were whole."""
        await self.response.write_eof()
        return True


class HttpSpeechServer(SpeechServer):
    """A speech server that is POSTed to; `answer` says what."""

    @override
    def routes(self, router: web.UrlDispatcher) -> None:
        """What it answers to: a POST at `path`."""
        router.add_post(f"{self.version}/{self.path}", self._post)

    async def answer(self, request: web.Request, text: str) -> web.StreamResponse:
        """Answer a request that was found to ask for *text* ("" for an utterance)."""
        raise NotImplementedError

    async def text(self, request: web.Request) -> str:
        """What *request* asks to be spoken."""
        raise NotImplementedError

    @asynccontextmanager
    async def performance(
        self, request: web.Request, body: Body, text: str, garbage: str | bytes
    ) -> AsyncIterator[Performance]:
        """The performance of a request; its client's leaving and its fault's end are its end."""
        record, fault = self.record(peer_port(request), text)
        await self.refuse_if_due()
        performance = Performance(request, body, record, fault, self.on_fault, garbage)
        try:
            await body.begin()
            yield performance
        except Struck:
            pass  # what was scripted
        except (asyncio.CancelledError, ConnectionResetError):
            performance.leave()
            raise

    async def _post(self, request: web.Request) -> web.StreamResponse:
        text = await self.text(request)
        if (struck := await self.struck_first(text)) is not None:
            return struck
        if (refused := self.refusal(request)) is not None:
            return refused
        connection = ConnectionRecord(
            request.path, tuple(request.query.items()), dict(request.headers), peer_port(request)
        )
        self.keep(connection)
        try:
            return await self.answer(request, text)
        finally:
            connection.ended = True
