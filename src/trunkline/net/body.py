"""A codec whose answers are bodies (`BodyCodec`), made a Stage.

How it works. A task, the *pump*, takes the source and sends a request for each part of it that the
codec calls one; the iterator reads the answers in order. A few requests are under way at once, so
that the second phrase of a reply begins without a gap: what it brings waits in its socket, which
aiohttp stops reading at 128 kB. Nothing of the source is taken before there is room for a request.

The pump has no voice of its own: if the source fails, it wakes the receiver, which raises what the
source did. How a request is sent, and how it is left, is in `posting`; a reply that is left in the
middle loses its connections, which is what stops a synthesiser.

Silence is not judged here, but for `Context.deadline`.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Generic, TypeVar

import aiohttp

from trunkline.contracts import BodyCodec, Context, Decoder, Post
from trunkline.errors import EndpointError
from trunkline.net.access import Access
from trunkline.net.gate import Gate
from trunkline.net.posting import Poster, abort, drain, may_end, piece
from trunkline.net.remote import Remote, Watch
from trunkline.types import Endpoint

In = TypeVar("In")
Out = TypeVar("Out")
T = TypeVar("T")


class BodyStage(Generic[In, Out]):
    """`Stage[AsyncIterator[In], Out]` at *base_url*, authorised by *key* (None: it needs none).

    *accept* is the media type that is asked for. *connect_s* bounds DNS, TCP and TLS together, in
    seconds. `InputError` if the address or the key could not work. Failures of the endpoint are
    `EndpointError`:

    ============================================== =====================================
    connection refused, DNS, TLS, connect deadline `UNREACHABLE`
    status other than 200                          whatever the codec's `refusal` says
    `Context.deadline` passed                      `SILENT`, or `STALLED` after output
    connection lost, broken body                   `CUT`
    not HTTP, a body of another type               `MALFORMED`
    ============================================== =====================================

    What the source raises comes out of the iterator as it is.
    """

    def __init__(
        self,
        endpoint: Endpoint,
        codec: BodyCodec[In, Out],
        *,
        base_url: str,
        key: str | None,
        session: aiohttp.ClientSession,
        gate: Gate,
        accept: str = "*/*",
        connect_s: float = 0.5,
        access: Access | None = None,
    ) -> None:
        self._codec, self._session = codec, session
        reached = access or Access(connect_s)
        self._remote = Remote(endpoint, base_url=base_url, key=key, gate=gate, access=reached)
        self._poster = Poster(self._remote, session, codec.credentials, accept)

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._remote.endpoint

    @property
    def used_at(self) -> float:
        """When it was last asked (monotonic seconds)."""
        return self._remote.used_at

    @property
    def warm(self) -> bool:
        """Whether a connection is to be kept while nobody needs it."""
        return self._remote.access.warm

    async def touch(self, context: Context) -> bool:
        """Keep a connection warm; whether there was one. Raises as a request does."""
        return await self._remote.touch(self._session, context)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[In], context: Context, /
    ) -> AsyncIterator[AsyncIterator[Out]]:
        """Ask for *source* and stream the answers; `EgressRefused` before anything is sent."""
        talk = _Talk(self._poster, self._codec, self._remote.admit(context))
        # No TaskGroup: around the caller's block it would wrap the caller's own errors.
        pump = asyncio.get_running_loop().create_task(talk.pump(source))
        pump.add_done_callback(talk.pumped)
        try:
            async with aclosing(talk.outputs()) as outputs:
                yield outputs
            await talk.drain()
        finally:
            pump.cancel()
            talk.leave()
            await asyncio.wait({pump})  # the source is the caller's again


@dataclass(eq=False, slots=True)
class _Asked(Generic[Out]):
    """One request that was sent."""

    post: Post[Out]
    answer: asyncio.Task[aiohttp.ClientResponse]
    decoder: Decoder[Out] | None = None


class _Talk(Generic[In, Out]):
    """One attempt."""

    def __init__(self, poster: Poster, codec: BodyCodec[In, Out], watch: Watch) -> None:
        self._poster, self._codec, self._watch = poster, codec, watch
        self._room = asyncio.Semaphore(codec.ahead)
        # None: the source has ended, for which there is always room.
        self._asked: asyncio.Queue[_Asked[Out] | None] = asyncio.Queue(codec.ahead + 1)
        self._all: list[_Asked[Out]] = []  # those that are not finished
        self._failed: BaseException | None = None  # what ended the pump
        self._scope: asyncio.Timeout | None = None  # the receiver's wait: to reschedule is to wake

    async def pump(self, source: AsyncIterator[In]) -> None:
        """Send requests for *source*, no faster than there is room."""
        exchange = self._codec.exchange()
        await self._room.acquire()
        async for item in source:
            if (post := exchange.take(item)) is not None:
                self._ask(post)
                await self._room.acquire()
        if (post := exchange.finish()) is not None:
            self._ask(post)

    def pumped(self, pump: asyncio.Task[None]) -> None:
        """The pump has ended: the receiver is to see what that means."""
        if pump.cancelled():
            return
        self._failed = pump.exception()
        self._asked.put_nowait(None)
        if self._failed is not None and self._scope is not None and not self._scope.expired():
            self._scope.reschedule(asyncio.get_running_loop().time())

    async def outputs(self) -> AsyncGenerator[Out, None]:
        """Read the answers, in the order of their requests."""
        remote, watch = self._poster.remote, self._watch
        try:
            while (asked := await self._attend(self._asked.get)) is not None:
                response = await self._attend(lambda it=asked: it.answer)  # type: ignore[misc]  # bound now
                asked.decoder = decoder = asked.post.decoder(_media_type(response))
                while chunk := await self._attend(
                    lambda it=response: remote.wait(piece(it), watch)  # type: ignore[misc]  # bound now
                ):
                    for output in decoder.feed(chunk):
                        watch.spoke = True
                        yield output
                for output in decoder.end():
                    yield output
                self._all.remove(asked)
                self._room.release()
            if self._failed is not None:
                raise self._failed
        except EndpointError as error:
            raise remote.redacted(error) from None

    async def drain(self) -> None:
        """Let answers that are complete end, so that their connections serve again."""
        for asked in self._all:
            decoder = asked.decoder if asked.post.ends_itself else None
            if decoder is not None and may_end(decoder):
                await drain(asked.answer.result())

    def leave(self) -> None:
        """Nobody listens any more: drop what is under way."""
        for asked in self._all:
            asked.answer.cancel()
            asked.answer.add_done_callback(_dropped)

    def _ask(self, post: Post[Out]) -> None:
        answer = asyncio.get_running_loop().create_task(self._answer(post))
        asked = _Asked(post, answer)
        self._all.append(asked)
        self._asked.put_nowait(asked)

    async def _answer(self, post: Post[Out]) -> aiohttp.ClientResponse:
        response = await self._poster.ask(post.request, self._watch)
        try:
            await self._poster.refused(response, self._codec.refusal)
        except BaseException:
            abort(response)
            raise
        return response

    async def _attend(self, wait: Callable[[], Awaitable[T]]) -> T:
        """Wait for the provider, or for the source to fail."""
        try:
            async with asyncio.timeout(None) as self._scope:
                if self._failed is None:
                    return await wait()
        except TimeoutError:
            if self._failed is None:
                raise
        finally:
            self._scope = None
        assert self._failed is not None  # noqa: S101  # nothing else gets here
        raise self._failed


def _dropped(answer: asyncio.Task[aiohttp.ClientResponse]) -> None:
    if not answer.cancelled() and answer.exception() is None:
        abort(answer.result())


def _media_type(response: aiohttp.ClientResponse) -> str:
    return response.content_type.lower() if "Content-Type" in response.headers else ""
