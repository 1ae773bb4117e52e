"""What a protocol of language models is to a local server of it, and what the protocols share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import ChatRequest, tokens
from trunkline.types import Message, ToolCall


class Answering(Protocol):
    """One answer in the words of a protocol, as bytes of the stream."""

    @property
    def length(self) -> int:
        """How many tokens it has."""
        ...

    def role(self) -> bytes:
        """What comes before the first token."""
        ...

    def token(self, index: int, /) -> bytes:
        """Token *index*."""
        ...

    def finish(self, said: int, reason: str = "", /) -> bytes:
        """The end after *said* tokens; *reason*: `content_filter` if the filter struck."""
        ...

    def whole(self, said: int, reason: str = "", /) -> bytes:
        """The body of the answer to a request that wants no stream."""
        ...


class Wire(Protocol):
    """A protocol as a server speaks it.

    *routes*: paths (of aiohttp's router) of requests for an answer; *home*: the path that base URLs
    end in; *comment*: a keep-alive; *garbage*: something that breaks the protocol.
    """

    @property
    def routes(self) -> Sequence[str]: ...  # noqa: D102  # see above

    @property
    def home(self) -> str: ...  # noqa: D102  # see above

    @property
    def comment(self) -> bytes: ...  # noqa: D102  # see above

    @property
    def garbage(self) -> bytes: ...  # noqa: D102  # see above

    def parse(self, body: bytes, path: str, /) -> ChatRequest:
        """The request; `InputError` as the service would refuse it."""
        ...

    def answer(self, request: ChatRequest, reply: ChatReply, ordinal: int, /) -> Answering:
        """The answer to request number *ordinal*."""
        ...

    def error(self, message: str, status: int, /) -> str:
        """The error object for *status*, in JSON."""
        ...

    def error_event(self, error: str, /) -> bytes:
        """*error* inside a stream, and what the service sends after it."""
        ...


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of a reply: *text* of the answer, or of the arguments of call number *place*.

    *begins*: the call that begins here, before any of its arguments.
    """

    text: str
    place: int = -1
    begins: ToolCall | None = None


def cut(reply: ChatReply, limit: int | None) -> tuple[Sequence[Token], str]:
    """*reply* in at most *limit* tokens, and why it ends: `stop`, `tool_calls` or `length`."""
    whole = [Token(text) for text in tokens(reply.text)]
    for place, call in enumerate(reply.tool_calls):
        whole.append(Token("", place, call))
        whole += [Token(text, place) for text in tokens(call.arguments)]
    if limit is not None and len(whole) > limit:
        return whole[:limit], "length"
    return whole, "tool_calls" if reply.tool_calls else "stop"


def prompt_tokens(request: ChatRequest) -> int:
    """How many tokens *request* has."""
    return sum(len(tokens(message.content)) for message in request.prompt.messages)


def event(body: Mapping[str, Any], name: str = "") -> bytes:
    """A server-sent event with *body* as its data, called *name*."""
    head = f"event: {name}\n".encode() if name else b""
    return head + b"data: " + msgspec.json.encode(body) + b"\n\n"


def check_answers(messages: Sequence[Message]) -> None:
    """Refuse, as the services do, calls whose ids come twice and answers to calls of nobody."""
    made: set[str | None] = set()
    for message in messages:
        for call in message.tool_calls:
            if call.id in made:
                raise InputError(f"the id {call.id!r} of a call is not unique: give each its own")
            made.add(call.id)
        if message.role == "tool" and message.tool_call_id not in made:
            raise InputError(f"{message.tool_call_id!r} answers no call before it: make it first")
