"""The contracts that a newcomer implements: one per kind of neighbour.

`Stage`    a model behind one contract: `open(source, context)` streams outputs.
`Codec`    a provider's protocol as pure functions; `net/` turns it into a Stage. `DuplexCodec` is
           the same for protocols in which both sides speak at once, over a WebSocket.
`Carrier`  one phone leg.
`Machine`  a decision: `feed(fact, now) -> acts`, `deadline()`; no I/O, no clock, no randomness.
`Toolbox`  what the agent may do in the world.
`Journal`  the append-only record of one call.
"""

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Generic, Literal, Protocol, TypeVar, runtime_checkable

from trunkline.types import (
    DataClass,
    Endpoint,
    Mono,
    Sample,
    ToolCall,
    ToolResult,
    ToolSpec,
    Where,
)

In_contra = TypeVar("In_contra", contravariant=True)
Out_co = TypeVar("Out_co", covariant=True)
Fact_contra = TypeVar("Fact_contra", contravariant=True)
Act_co = TypeVar("Act_co", covariant=True)


@dataclass(frozen=True, slots=True)
class Context:
    """What every attempt knows of itself. *deadline*: when its caller stops waiting."""

    where: Where
    data_class: DataClass
    deadline: Mono | None = None


class Stage(Protocol[In_contra, Out_co]):
    """A model behind one contract.

    STT: `AsyncIterator[AudioFrame]` of one utterance -> `Transcript`; the end of the source asks
    for the final one. LLM: `Prompt` -> `Delta`. TTS: `AsyncIterator[Phrase]` -> `Speech`.
    Leaving the context frees everything and tells the provider, also when cancelled. Failures
    are `EndpointError`; anything else is a bug.
    """

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        ...

    def open(
        self, source: In_contra, context: Context, /
    ) -> AbstractAsyncContextManager[AsyncIterator[Out_co]]:
        """Stream outputs for *source*."""
        ...


@runtime_checkable
class GivesInterims(Protocol):
    """What a recogniser's codec or stage is that knows whether it gives interim transcripts.

    Then their absence while somebody speaks is evidence from the first utterance on, before a
    worker has seen any.
    """

    @property
    def gives_interims(self) -> bool:
        """Whether it says the words so far while the caller speaks."""
        ...


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request as a codec wants it sent; *path* is relative to the endpoint's base URL."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    query: Sequence[tuple[str, str]] = ()


class Decoder(Protocol[Out_co]):
    """The reading half of a codec, one per response: state, but no I/O."""

    def feed(self, event: bytes, /) -> Sequence[Out_co]:
        """Decode the data of one server-sent event; raises `EndpointError` on a broken one."""
        ...

    def end(self) -> Sequence[Out_co]:
        """The stream ended: raises `EndpointError` (`CUT`, `EMPTY`) if it should not have."""
        ...


class Codec(Protocol[In_contra, Out_co]):
    """A provider's protocol over HTTP with server-sent events, as pure functions."""

    def encode(self, source: In_contra, /) -> Request:
        """The request for *source*; without the key."""
        ...

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """The headers that carry *key*: every provider has its own way to be shown it."""
        ...

    def decoder(self) -> Decoder[Out_co]:
        """A fresh decoder for one response."""
        ...

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, /
    ) -> Exception | Sequence[Out_co]:
        """What an HTTP status other than 200 means: an `EndpointError`, or an answer.

        A content filter that refuses the prompt has answered: its outputs end the step, and no
        other endpoint is asked.
        """
        ...


WireMessage = str | bytes
"""One WebSocket message: text or binary."""


@dataclass(frozen=True, slots=True)
class Handshake:
    """How a connection begins. *path* is relative to the endpoint's base URL; *hello* is sent once,
    before any exchange. What may hold the key does not show in its representation."""

    path: str
    query: Sequence[tuple[str, str]] = ()
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    hello: Sequence[WireMessage] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Reaction(Generic[Out_co]):
    """What a message of the provider brings: *outputs* for the caller, answers to *send* back."""

    outputs: Sequence[Out_co] = ()
    send: Sequence[WireMessage] = ()


class Exchange(Protocol[In_contra, Out_co]):
    """One attempt on a connection, the source going out and the outputs coming in: state, no I/O.

    `begin`, then `take` each item of the source while `wants_more`, then `finish`; `receive` what
    comes meanwhile, until `done`. A connection that serves one exchange after the other may bring
    late messages of an earlier one: an exchange ignores what is not its own.
    """

    @property
    def done(self) -> bool:
        """The provider has said that the answer is complete: nothing more will come."""
        ...

    @property
    def wants_more(self) -> bool:
        """Whether another item may be taken now; what is not wanted stays with the caller."""
        ...

    def begin(self) -> Sequence[WireMessage]:
        """What opens the exchange."""
        ...

    def take(self, item: In_contra, /) -> Sequence[WireMessage]:
        """What carries *item*; `EndpointError` (`REFUSED`) if the provider cannot take it."""
        ...

    def finish(self) -> Sequence[WireMessage]:
        """What says that the source has ended and the rest of the answer is due."""
        ...

    def receive(self, message: WireMessage, /) -> Reaction[Out_co]:
        """Decode one message; raises `EndpointError` on a broken one or on an error inside."""
        ...

    def closed(self, code: int, reason: str, /) -> Sequence[Out_co]:
        """The connection has closed (RFC 6455 section 7.4; 1006: without a word) before `done`.

        Raises `EndpointError` if it should not have.
        """
        ...

    def leave(self) -> Sequence[WireMessage]:
        """What tells the provider that nobody listens any more. If it will say `done` to that, the
        connection can go on to serve; with nothing to say, closing it is what tells."""
        ...


class DuplexCodec(Protocol[In_contra, Out_co]):
    """A provider's protocol over a WebSocket, as pure functions."""

    @property
    def reuse_s(self) -> float:
        """Seconds that a connection whose exchange is done is kept for the next one.

        0: each connection serves one exchange.
        """
        ...

    @property
    def keepalive(self) -> tuple[WireMessage, float] | None:
        """What is due after how many seconds of sending nothing; None: the protocol needs none."""
        ...

    def handshake(self, key: str | None, /) -> Handshake:
        """How to connect; *key* goes where this provider wants it: header, query or message."""
        ...

    def exchange(self, ordinal: int, /) -> Exchange[In_contra, Out_co]:
        """A fresh exchange; *ordinal* is its number, unique among all that share a connection."""
        ...

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> Exception:
        """The `EndpointError` that an HTTP status other than 101 means."""
        ...


@dataclass(frozen=True, slots=True)
class Started:
    """The leg is up; *parameters* came with it. *caller* is for tools, never for identifiers."""

    carrier_call: str
    stream: str
    caller: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Media:
    """One frame of the caller: *mulaw* G.711 mu-law, 8 kHz; *at* its first sample."""

    mulaw: bytes
    at: Sample


@dataclass(frozen=True, slots=True)
class Digit:
    """A DTMF digit."""

    digit: str


@dataclass(frozen=True, slots=True)
class MarkPlayed:
    """The carrier has played everything that was sent before the mark *name*."""

    name: str


@dataclass(frozen=True, slots=True)
class Stopped:
    """The leg ended. *lost*: not by the caller, who may still be on the line."""

    reason: str
    lost: bool = False


CarrierEvent = Started | Media | Digit | MarkPlayed | Stopped


class Carrier(Protocol):
    """One phone leg. Sending never blocks: the outbox is bounded, a full one loses the leg."""

    def events(self, hear: Callable[[Media], None] | None = None, /) -> AsyncIterator[CarrierEvent]:
        """What happens on the leg, `Started` first, `Stopped` last.

        *hear* is given the caller's audio, while the events are awaited: fifty frames a second
        need not pass through an iterator, and the wake-up of a task. What it raises, the iterator
        raises.
        """
        ...

    def play(self, mulaw: bytes, /) -> None:
        """Send audio (G.711 mu-law, 8 kHz); the carrier queues it behind what it has."""
        ...

    def mark(self, name: str, /) -> None:
        """Ask for a `MarkPlayed` once all audio sent so far has been played."""
        ...

    def clear(self) -> None:
        """Drop all audio that the carrier has not played; it returns the pending marks at once."""
        ...

    async def hangup(self, reason: str, /, *, failed: bool = False) -> None:
        """Send what is in the outbox and end the leg; idempotent. *failed*: by a fault of ours."""
        ...


class Machine(Protocol[Fact_contra, Act_co]):
    """A decision without I/O: the same code runs a live call and a simulated one."""

    def feed(self, fact: Fact_contra, now: Mono, /) -> Sequence[Act_co]:
        """Take one fact at time *now*; the acts to perform, in order."""
        ...

    def deadline(self) -> Mono | None:
        """When the machine next wants a `Tick`, or None."""
        ...


class Toolbox(Protocol):
    """The tools of an agent."""

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools as the model is told of them."""
        ...

    async def run(self, call: ToolCall, key: str, /) -> ToolResult:
        """Run *call* at most once per *key* (a repeat returns the stored result).

        Wrong arguments are an answer for the model (`content` says what is wrong), not an error.
        """
        ...


class Journal(Protocol):
    """The append-only record of one call."""

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """Accept one event; never blocks. *zone*: where it was processed, "" for this worker."""
        ...

    def audio(self, channel: Literal["caller", "agent"], at: Sample, mulaw: bytes) -> None:
        """Record audio from sample *at* on, if consent allows it; never blocks."""
        ...

    async def commit(self) -> None:
        """Return when everything noted so far is durable; `RecordError` if it cannot be."""
        ...
