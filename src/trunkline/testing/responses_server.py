"""A local server of OpenAI's Responses protocol, streaming; see `chat_server`, and for sources
`providers.llm.openai_responses`.

    python -m trunkline.testing.responses_server --model trunkline.testing.chat:opening_hours

Endpoint: `POST /v1/responses`.
"""

import json
import sys
from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import msgspec

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import ChatRequest
from trunkline.testing.chat_server import ChatServer, command
from trunkline.testing.chat_wire import Wire, check_answers, cut, event, prompt_tokens
from trunkline.types import Message, Prompt, ToolCall, ToolSpec


class _Item(msgspec.Struct):
    type: str = "message"
    role: Literal["user", "assistant", "system", "developer"] = "user"
    content: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str = ""
    output: str = ""

    def message(self) -> Message:
        match self.type:
            case "function_call":
                call = ToolCall(self.call_id, self.name, self.arguments)
                return Message("assistant", "", (call,))
            case "function_call_output":
                return Message("tool", self.output, tool_call_id=self.call_id)
            case "message":
                role = "system" if self.role == "developer" else self.role
                return Message(role, self.content)
            case _:
                raise InputError(f"input: this local server does not know items of {self.type!r}")


class _Tool(msgspec.Struct):
    name: str
    type: Literal["function"]
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class _Request(msgspec.Struct):
    model: str
    input: str | list[_Item]
    instructions: str | None = None
    tools: list[_Tool] = msgspec.field(default_factory=list)
    max_output_tokens: int | None = None
    stream: bool = False


class ResponsesWire:
    """Typed events."""

    routes: Sequence[str] = ("/v1/responses",)
    home = "/v1"
    comment = b": keep-alive\n\n"
    garbage = b'event: response.output_text.delta\ndata: {"type":"response.output_t\n\n'

    def parse(self, body: bytes, path: str, /) -> ChatRequest:
        """The request, with the checks that the service is known to make."""
        del path
        try:
            wire = msgspec.json.decode(body, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InputError(f"not a request for a response: {exc}") from None
        if not wire.stream:
            raise InputError("stream: this local server only streams")
        limit = 1 << 20 if wire.max_output_tokens is None else wire.max_output_tokens
        if limit < 16:
            raise InputError(
                "Invalid 'max_output_tokens': integer below minimum value. Expected a value >= 16"
            )
        items = [_Item(content=wire.input)] if isinstance(wire.input, str) else wire.input
        messages = [Message("system", wire.instructions)] if wire.instructions else []
        messages += [item.message() for item in items]
        check_answers(messages)
        specs = tuple(ToolSpec(it.name, it.description, it.parameters) for it in wire.tools)
        prompt = Prompt(tuple(messages), specs, limit)
        return ChatRequest(wire.model, prompt, stream=True, include_usage=True)

    def answer(self, request: ChatRequest, reply: ChatReply, ordinal: int, /) -> "ResponseAnswer":
        """Events of items."""
        return ResponseAnswer(request, reply, ordinal)

    def error(self, message: str, status: int, /) -> str:
        """OpenAI's error object."""
        code = {429: "rate_limit_exceeded"}.get(status, "server_error" if status >= 500 else None)
        kind = "invalid_request_error" if status < 500 else "server_error"
        error = {"message": message, "type": kind, "param": None, "code": code}
        return json.dumps({"error": error})

    def error_event(self, error: str, /) -> bytes:
        """The error as an event, as it was recorded."""
        told = {"type": "error", "sequence_number": 1, **json.loads(error)}
        return event(told, "error")


class ResponseAnswer:
    """One response: a message, then its calls."""

    def __init__(self, request: ChatRequest, reply: ChatReply, ordinal: int) -> None:
        self._tokens, self._reason = cut(reply, request.prompt.max_tokens)
        self._prompt_tokens = prompt_tokens(request)
        self._sequence = 0
        self._head: dict[str, object] = {
            "id": f"resp_{ordinal}",
            "object": "response",
            "created_at": 0,
            "model": request.model,
            "error": None,
            "incomplete_details": None,
            "instructions": None,
            "metadata": {},
            "parallel_tool_calls": True,
            "temperature": None,
            "tool_choice": "auto",
            "tools": [],
            "top_p": None,
            "store": False,
        }

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self._tokens)

    def role(self) -> bytes:
        """The response without output."""
        begun = {**self._head, "status": "in_progress", "output": [], "usage": None}
        return self._event("response.created", response=begun)

    def token(self, index: int, /) -> bytes:
        """A piece of an item, and the start of that item if it is its first."""
        token, opened = self._tokens[index], b""
        if index == 0 or self._tokens[index - 1].place != token.place:
            opened = self._done(index) + self._added(index)
        where = {"item_id": self._id(index), "output_index": self._item(index)}
        if token.place >= 0:
            if token.begins is not None:
                return opened
            kind = "response.function_call_arguments.delta"
            return opened + self._event(kind, **where, delta=token.text)
        return opened + self._event(
            "response.output_text.delta", **where, content_index=0, delta=token.text, logprobs=[]
        )

    def finish(self, said: int, reason: str = "", /) -> bytes:
        """The end of the item, and the response with the usage."""
        why = reason or (self._reason if said else "stop")
        status, details = "completed", None
        if why in {"length", "content_filter"}:
            status = "incomplete"
            details = {"reason": "max_output_tokens" if why == "length" else "content_filter"}
        usage = {
            "input_tokens": self._prompt_tokens,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": self._prompt_tokens + said,
        }
        starts = [i for i in range(said) if not i or self._first(i)]
        output = [self._whole(start, said) for start in starts]
        over = {**self._head, "status": status, "output": output, "usage": usage}
        over["incomplete_details"] = details
        return self._done(said) + self._event(f"response.{status}", response=over)

    def whole(self, said: int, reason: str = "", /) -> bytes:
        """Not served: see `ResponsesWire.parse`."""
        raise NotImplementedError

    def _first(self, index: int) -> bool:
        return self._tokens[index - 1].place != self._tokens[index].place

    def _item(self, index: int) -> int:
        return self._tokens[index].place + (self._tokens[0].place < 0)

    def _id(self, index: int) -> str:
        return f"{'msg' if self._tokens[index].place < 0 else 'fc'}_{self._item(index)}"

    def _added(self, index: int) -> bytes:
        token, place = self._tokens[index], self._item(index)
        item = self._whole(index, index)
        added = self._event("response.output_item.added", output_index=place, item=item)
        if token.place >= 0:
            return added
        part = {"type": "output_text", "text": "", "annotations": []}
        where = {"item_id": item["id"], "output_index": place, "content_index": 0}
        return added + self._event("response.content_part.added", **where, part=part)

    def _done(self, index: int) -> bytes:
        """The end of the item before token *index*."""
        if not index:
            return b""
        start = index - 1
        while start and not self._first(start):
            start -= 1
        item = self._whole(start, index)
        place, ended = self._item(start), b""
        if item["type"] == "function_call":
            where = {"item_id": item["id"], "output_index": place, "name": item["name"]}
            kind = "response.function_call_arguments.done"
            ended = self._event(kind, **where, arguments=item["arguments"])
        return ended + self._event("response.output_item.done", output_index=place, item=item)

    def _whole(self, start: int, end: int) -> dict[str, Any]:
        """The item that begins with token *start*, as far as token *end*."""
        first = self._tokens[start]
        text = "".join(it.text for it in self._tokens[start:end] if it.place == first.place)
        status = "completed" if end > start else "in_progress"
        if first.begins is None:
            part = {"type": "output_text", "text": text, "annotations": []}
            kind = {"type": "message", "role": "assistant", "content": [part] if text else []}
        else:
            call = first.begins
            kind = {"type": "function_call", "call_id": call.id, "name": call.name}
            kind["arguments"] = text
        return {"id": self._id(start), "status": status, **kind}

    def _event(self, kind: str, **fields: object) -> bytes:
        told = event({"type": kind, "sequence_number": self._sequence, **fields}, kind)
        self._sequence += 1
        return told


class ResponsesServer(ChatServer):
    """A `ChatServer` of OpenAI's Responses."""

    wire: ClassVar[Wire] = ResponsesWire()


if __name__ == "__main__":
    sys.exit(command(ResponsesServer, "trunkline.testing.responses_server"))
