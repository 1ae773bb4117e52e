"""A local server of Google's Gemini protocol, streaming; see `chat_server`, and for sources
`providers.llm.gemini`.

    python -m trunkline.testing.gemini_server --model trunkline.testing.chat:opening_hours

Endpoint: `POST /v1beta/models/{model}:streamGenerateContent?alt=sse`, or `/v1/...`. It signs its
calls, as models
since Gemini 3 do, and refuses a request that ends with the model's turn.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, ClassVar, Literal

import msgspec

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import ChatRequest
from trunkline.testing.chat_server import ChatServer, command
from trunkline.testing.chat_wire import Wire, check_answers, cut, event, prompt_tokens
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

_STATUSES = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED"}
_STATUSES |= {404: "NOT_FOUND", 429: "RESOURCE_EXHAUSTED", 500: "INTERNAL", 503: "UNAVAILABLE"}
_REASONS = {
    "stop": "STOP",
    "tool_calls": "STOP",
    "length": "MAX_TOKENS",
    "content_filter": "SAFETY",
}
SIGNATURE = "EpEgCo4gAb4-"
"""What this server signs its calls with, and wants to see again."""


class _Called(msgspec.Struct):
    name: str
    id: str = ""
    args: dict[str, Any] = msgspec.field(default_factory=dict)


class _Answered(msgspec.Struct):
    name: str
    response: dict[str, Any]
    id: str = ""


class _Part(msgspec.Struct, rename="camel"):
    text: str = ""
    function_call: _Called | None = None
    function_response: _Answered | None = None
    thought_signature: str = ""


class _Content(msgspec.Struct):
    parts: list[_Part]
    role: Literal["user", "model"] = "user"


class _Declared(msgspec.Struct, rename="camel"):
    name: str
    description: str = ""
    parameters_json_schema: dict[str, Any] = msgspec.field(default_factory=dict)


class _Tool(msgspec.Struct, rename="camel"):
    function_declarations: list[_Declared] = msgspec.field(default_factory=list)


class _Generation(msgspec.Struct, rename="camel"):
    max_output_tokens: int = 1 << 20


class _Request(msgspec.Struct, rename="camel"):
    contents: list[_Content]
    system_instruction: _Content | None = None
    tools: list[_Tool] = msgspec.field(default_factory=list)
    generation_config: _Generation = msgspec.field(default_factory=_Generation)


class GeminiWire:
    """Streams of responses with content."""

    routes: Sequence[str] = (r"/{version:v1|v1beta}/models/{model:[^:/]+}:streamGenerateContent",)
    home = "/v1beta"
    comment = b": keep-alive\n\n"
    garbage = b'data: {"candidates": [{"content": {"par\n\n'

    def parse(self, body: bytes, path: str, /) -> ChatRequest:
        """The request, with the checks that the service is known to make."""
        try:
            wire = msgspec.json.decode(body, type=_Request)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise InputError(f"Invalid JSON payload received. {exc}") from None
        if not wire.contents or wire.contents[-1].role == "model":
            raise InputError("contents: the conversation must end with a user turn")
        messages: list[Message] = []
        if wire.system_instruction is not None:
            system = "".join(part.text for part in wire.system_instruction.parts)
            messages.append(Message("system", system))
        # The SDK's chats send each response of a stream as a content of its own.
        for role, group in groupby(wire.contents, key=lambda content: content.role):
            messages += _messages(_Content([it for one in group for it in one.parts], role))
        check_answers(messages)
        declared = [it for tool in wire.tools for it in tool.function_declarations]
        prompt = Prompt(
            tuple(messages),
            tuple(ToolSpec(it.name, it.description, it.parameters_json_schema) for it in declared),
            wire.generation_config.max_output_tokens,
        )
        model = path.rpartition("/")[2].partition(":")[0]
        return ChatRequest(model, prompt, stream=True, include_usage=True)

    def answer(self, request: ChatRequest, reply: ChatReply, ordinal: int, /) -> "ContentAnswer":
        """Responses with parts."""
        return ContentAnswer(request, reply, ordinal)

    def error(self, message: str, status: int, /) -> str:
        """Google's error object."""
        error = {"code": status, "message": message, "status": _STATUSES.get(status, "UNKNOWN")}
        return json.dumps({"error": error})

    def error_event(self, error: str, /) -> bytes:
        """The error as an event."""
        return f"data: {error}\n\n".encode()


def _messages(content: _Content) -> list[Message]:
    answers = [part.function_response for part in content.parts if part.function_response]
    messages = [Message("tool", json.dumps(it.response), tool_call_id=it.id) for it in answers]
    calls = [part for part in content.parts if part.function_call is not None]
    if calls and not calls[0].thought_signature:
        raise InputError("Function call is missing a thought_signature in functionCall parts.")
    made = tuple(
        ToolCall(it.function_call.id, it.function_call.name, json.dumps(it.function_call.args))
        for it in calls
        if it.function_call is not None
    )
    text = "".join(part.text for part in content.parts)
    if text or made:
        messages.append(Message("user" if content.role == "user" else "assistant", text, made))
    return messages


class ContentAnswer:
    """One answer, a response for each token; a call comes whole, with its last token."""

    def __init__(self, request: ChatRequest, reply: ChatReply, ordinal: int) -> None:
        whole, self._reason = cut(reply, request.prompt.max_tokens)
        words = [token for token in whole if token.place < 0]
        # Calls do not come in pieces here: each is one response, if all of it is within the limit.
        places = [token.place for token in whole if token.begins is not None]
        calls = reply.tool_calls[: len(places)] if self._reason != "length" else ()
        self._parts: list[Mapping[str, object]] = [{"text": token.text} for token in words]
        for place, call in enumerate(calls):
            part: dict[str, object] = {
                "functionCall": {
                    "id": call.id,
                    "name": call.name,
                    "args": json.loads(call.arguments or "{}"),
                }
            }
            if place == 0:
                part["thoughtSignature"] = SIGNATURE
            self._parts.append(part)
        self._tail = {"modelVersion": request.model, "responseId": f"r-{ordinal}"}
        self._prompt_tokens = prompt_tokens(request)

    @property
    def length(self) -> int:
        """How many responses it has before the last."""
        return len(self._parts)

    def role(self) -> bytes:
        """Nothing: the first response is the first token."""
        return b""

    def token(self, index: int, /) -> bytes:
        """A response with one part."""
        return self._response({"parts": [self._parts[index]], "role": "model"}, index + 1)

    def finish(self, said: int, reason: str = "", /) -> bytes:
        """The last response, with the reason."""
        why = _REASONS[reason or (self._reason if said else "stop")]
        return self._response({"parts": [{"text": ""}], "role": "model"}, said, why)

    def whole(self, said: int, reason: str = "", /) -> bytes:
        """Not served: `generateContent` has an address of its own."""
        raise NotImplementedError

    def _response(self, content: Mapping[str, object], said: int, reason: str = "") -> bytes:
        candidate: dict[str, object] = {"content": content, "index": 0}
        if reason:
            candidate["finishReason"] = reason
        usage = {
            "promptTokenCount": self._prompt_tokens,
            "candidatesTokenCount": said,
            "totalTokenCount": self._prompt_tokens + said,
        }
        return event({"candidates": [candidate], "usageMetadata": usage, **self._tail})


class GeminiServer(ChatServer):
    """A `ChatServer` of Google's Gemini."""

    wire: ClassVar[Wire] = GeminiWire()


if __name__ == "__main__":
    sys.exit(command(GeminiServer, "trunkline.testing.gemini_server"))
