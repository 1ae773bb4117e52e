"""A local server of Anthropic's Messages protocol, streaming; see `chat_server`, and for sources
`providers.llm.anthropic`.

    python -m trunkline.testing.anthropic_server --model trunkline.testing.chat:opening_hours

Endpoint: `POST /v1/messages`. As models since Claude 4.6 do, it refuses to continue a prefix;
`PrefillServer` is an older one.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import ChatRequest
from trunkline.testing.chat_server import ChatServer, command
from trunkline.testing.chat_wire import Token, Wire, check_answers, cut, event, prompt_tokens
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

_TYPES = {400: "invalid_request_error", 401: "authentication_error", 403: "permission_error"}
_TYPES |= {404: "not_found_error", 413: "request_too_large", 429: "rate_limit_error"}
_TYPES |= {529: "overloaded_error"}
_REASONS = {
    "stop": "end_turn",
    "tool_calls": "tool_use",
    "length": "max_tokens",
    "content_filter": "refusal",
}


class _Block(msgspec.Struct):
    type: Literal["text", "tool_use", "tool_result"]
    text: str = ""
    id: str = ""
    name: str = ""
    input: dict[str, Any] = msgspec.field(default_factory=dict)
    tool_use_id: str = ""
    content: str | list[dict[str, Any]] = ""


class _Said(msgspec.Struct):
    role: Literal["user", "assistant"]
    content: str | list[_Block]


class _Tool(msgspec.Struct):
    name: str
    input_schema: dict[str, Any]
    description: str = ""


class _Request(msgspec.Struct):
    model: str
    max_tokens: int
    messages: list[_Said]
    system: str | list[_Block] = ""
    tools: list[_Tool] = msgspec.field(default_factory=list)
    stream: bool = False


class AnthropicWire:
    """Messages; *prefill*: an assistant message at the end is continued, not refused."""

    routes: Sequence[str] = ("/v1/messages",)
    home = "/v1"
    comment = event({"type": "ping"}, "ping")
    garbage = b'event: content_block_delta\ndata: {"type":"content_block_delta","ind\n\n'

    def __init__(self, *, prefill: bool) -> None:
        self._prefill = prefill

    def parse(self, body: bytes, path: str, /) -> ChatRequest:
        """The request, with the checks that the service is known to make."""
        del path
        try:
            wire = msgspec.json.decode(body, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InputError(f"not a request for a message: {exc}") from None
        if not wire.messages or wire.messages[0].role != "user":
            raise InputError('messages: first message must use the "user" role')
        if not wire.stream:
            raise InputError("stream: this local server only streams")
        continues = wire.messages[-1].role == "assistant"
        if continues and not self._prefill:
            raise InputError(
                "This model does not support assistant message prefill. "
                "The conversation must end with a user message."
            )
        messages = [Message("system", _text(wire.system))] if wire.system else []
        for said in wire.messages:
            messages += _messages(said)
        if continues and messages[-1].content != messages[-1].content.rstrip():
            raise InputError("final assistant content cannot end with trailing whitespace")
        check_answers(messages)
        specs = tuple(ToolSpec(it.name, it.description, it.input_schema) for it in wire.tools)
        prompt = Prompt(tuple(messages), specs, wire.max_tokens, continue_final=continues)
        return ChatRequest(wire.model, prompt, stream=True, include_usage=True)

    def answer(self, request: ChatRequest, reply: ChatReply, ordinal: int, /) -> "MessageAnswer":
        """Events of blocks."""
        return MessageAnswer(request, reply, ordinal)

    def error(self, message: str, status: int, /) -> str:
        """Anthropic's error object."""
        error = {"type": _TYPES.get(status, "api_error"), "message": message}
        return json.dumps({"type": "error", "error": error, "request_id": "req_1"})

    def error_event(self, error: str, /) -> bytes:
        """The error as an event, after which nothing comes."""
        return f"event: error\ndata: {error}\n\n".encode()


def _text(content: str | list[_Block]) -> str:
    return content if isinstance(content, str) else "".join(block.text for block in content)


def _messages(said: _Said) -> list[Message]:
    if isinstance(said.content, str):
        return [Message(said.role, said.content)]
    if any(block.type == "text" and not block.text.strip() for block in said.content):
        raise InputError("messages: text content blocks must be non-empty")
    messages = [
        Message("tool", str(block.content), tool_call_id=block.tool_use_id)
        for block in said.content
        if block.type == "tool_result"
    ]
    calls = tuple(
        ToolCall(block.id, block.name, json.dumps(block.input))
        for block in said.content
        if block.type == "tool_use"
    )
    if (text := _text(said.content)) or calls:
        messages.append(Message(said.role, text, calls))
    return messages


class MessageAnswer:
    """One message, block after block."""

    def __init__(self, request: ChatRequest, reply: ChatReply, ordinal: int) -> None:
        self._tokens, self._reason = cut(reply, request.prompt.max_tokens)
        self._input = {"input_tokens": prompt_tokens(request), "cache_read_input_tokens": 0}
        self._head: dict[str, object] = {
            "id": f"msg_{ordinal}",
            "type": "message",
            "role": "assistant",
            "model": request.model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
        }

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self._tokens)

    def role(self) -> bytes:
        """The message without content."""
        usage = {**self._input, "output_tokens": 1}
        return _event("message_start", message={**self._head, "usage": usage})

    def token(self, index: int, /) -> bytes:
        """A piece of a block, and the start of that block if it is its first."""
        token, block = self._tokens[index], self._block(index)
        opened = b""
        if index == 0 or self._tokens[index - 1].place != token.place:
            opened = self._stop(index) + _event(
                "content_block_start", index=block, content_block=_opening(token)
            )
        if token.place < 0:
            delta = {"type": "text_delta", "text": token.text}
        else:
            delta = {"type": "input_json_delta", "partial_json": token.text}
        return opened + _event("content_block_delta", index=block, delta=delta)

    def finish(self, said: int, reason: str = "", /) -> bytes:
        """The end of the block, the reason with the usage, and the end."""
        why = _REASONS[reason or (self._reason if said else "stop")]
        end = _event(
            "message_delta",
            delta={"stop_reason": why, "stop_sequence": None},
            usage={**self._input, "output_tokens": said},
        )
        return self._stop(said) + end + _event("message_stop")

    def whole(self, said: int, reason: str = "", /) -> bytes:
        """Not served: see `AnthropicWire.parse`."""
        raise NotImplementedError

    def _block(self, index: int) -> int:
        text_first = self._tokens[0].place < 0
        return max(self._tokens[index].place, -1) + text_first

    def _stop(self, index: int) -> bytes:
        """The end of the block before token *index*."""
        return _event("content_block_stop", index=self._block(index - 1)) if index else b""


def _opening(token: Token) -> Mapping[str, object]:
    if token.begins is None:
        return {"type": "text", "text": ""}
    call = token.begins
    return {"type": "tool_use", "id": call.id, "name": call.name, "input": {}}


def _event(kind: str, **fields: object) -> bytes:
    return event({"type": kind, **fields}, kind)


class AnthropicServer(ChatServer):
    """A `ChatServer` of Anthropic's Messages."""

    wire: ClassVar[Wire] = AnthropicWire(prefill=False)


class PrefillServer(ChatServer):
    """The same, of a model that continues a prefix."""

    wire: ClassVar[Wire] = AnthropicWire(prefill=True)


if __name__ == "__main__":
    sys.exit(command(AnthropicServer, "trunkline.testing.anthropic_server"))
