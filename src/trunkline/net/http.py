"""A codec over HTTP with server-sent events, made a Stage.

How it works. Entering the context passes the gate, sends the POST and reads the status; the
iterator reads the body, a chunk at a time, through `SseParser` and the codec's decoder. Every wait
for the network goes through `Remote.wait`, where foreign errors become Faults. How a request is
sent, and how it is left, is in `posting`.

Silence is not judged here: there is no total and no read timeout, the attempts machine owns those.
Only the connect deadline and `Context.deadline` end a wait.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Generic, TypeVar

import aiohttp

from trunkline.contracts import Codec, Context, Decoder
from trunkline.errors import EndpointError, Fault
from trunkline.net.access import Access
from trunkline.net.gate import Gate
from trunkline.net.posting import Poster, abort, drain, may_end, piece
from trunkline.net.raw import Pool
from trunkline.net.raw_sse import RawSse
from trunkline.net.remote import Remote, Watch, client_session
from trunkline.net.sse import SseParser
from trunkline.types import Endpoint

__all__ = ["SseStage", "client_session"]

In = TypeVar("In")
Out = TypeVar("Out")


class SseStage(Generic[In, Out]):
    """`Stage[In, Out]` at *base_url*, authorised by *key* (None: the endpoint needs none).

    `batches` is `open` for a gateway, over connections of *pool*: see `net.raw_sse`. There is none
    where *access* wants what those connections cannot: TLS of one's own, a proxy.

    *connect_s* bounds DNS, TCP and TLS together, in seconds; *access*, if given, says that and how
    else it is reached. `InputError` if the address or the
    key could not work. Failures of the endpoint are `EndpointError`:

    ============================================== =====================================
    connection refused, DNS, TLS, connect deadline `UNREACHABLE`
    status other than 200                          whatever the codec's `refusal` says, if no answer
    `Context.deadline` passed                      `SILENT`, or `STALLED` after output
    connection lost, broken body                   `CUT`
    not HTTP, not an event stream, endless event   `MALFORMED`
    ============================================== =====================================
    """

    def __init__(
        self,
        endpoint: Endpoint,
        codec: Codec[In, Out],
        *,
        base_url: str,
        key: str | None,
        session: aiohttp.ClientSession,
        gate: Gate,
        connect_s: float = 0.5,
        access: Access | None = None,
        pool: Pool | None = None,
    ) -> None:
        self._codec = codec
        reached = access or Access(connect_s)
        self._session = session
        self._remote = Remote(endpoint, base_url=base_url, key=key, gate=gate, access=reached)
        self._poster = Poster(self._remote, session, codec.credentials, "text/event-stream")
        plain = reached.tls is None and reached.proxy is None
        raw = RawSse(self._remote, codec, pool or Pool())
        self.batches = raw.batches if plain else None

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

    async def metrics(self, context: Context) -> bytes:
        """What its server tells of itself, b"" if nothing; raises as a request does."""
        return await self._remote.metrics(self._session, context)

    @property
    def honours(self) -> frozenset[str] | None:
        """The options of its input that its codec knows how to say, None: all."""
        said: frozenset[str] | None = getattr(self._codec, "honours", frozenset())
        return said

    @asynccontextmanager
    async def open(self, source: In, context: Context, /) -> AsyncIterator[AsyncIterator[Out]]:
        """Ask for *source* and stream the outputs; `EgressRefused` before anything is sent."""
        request = self._codec.encode(source)
        watch = self._remote.admit(context)
        response = await self._poster.ask(request, watch)
        try:
            answer = await self._poster.refused(response, self._codec.refusal)
            if answer is not None:
                yield _given(answer)
                return
            self._check_type(response)
            decoder = self._codec.decoder()
            async with aclosing(self._outputs(response, decoder, watch)) as outputs:
                yield outputs
            if may_end(decoder):
                await drain(response)
        finally:
            abort(response)

    async def _outputs(
        self, response: aiohttp.ClientResponse, decoder: Decoder[Out], watch: Watch
    ) -> AsyncGenerator[Out, None]:
        parser = SseParser(self.endpoint.name)
        try:
            while chunk := await self._remote.wait(piece(response), watch):
                for event in parser.feed(chunk):
                    for output in decoder.feed(event):
                        watch.spoke = True
                        yield output
            for output in decoder.end():
                yield output
        except EndpointError as error:
            raise self._remote.redacted(error) from None

    def _check_type(self, response: aiohttp.ClientResponse) -> None:
        # Some servers name no type at all; a page of HTML or a JSON object names its own.
        if "Content-Type" in response.headers and response.content_type != "text/event-stream":
            raise EndpointError(
                self.endpoint.name,
                Fault.MALFORMED,
                f"answered with {response.content_type!r} instead of an event stream: "
                f"is {self._remote.base} the API's base URL?",
            )


async def _given(outputs: Sequence[Out]) -> AsyncIterator[Out]:
    """An answer that is there already."""
    for output in outputs:
        yield output
