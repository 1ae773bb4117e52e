"""A scripted chat model and its wire format: what the local OpenAI-compatible server says.

Pure: requests are parsed, replies cut into tokens and chunks built here, without I/O. Nothing here
thinks: a `ChatModel` is a script, and `tokens` only imitates how a real tokenizer cuts text.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import msgspec

from trunkline.errors import InputError
from trunkline.providers.embedded.chat import ChatReply
from trunkline.types import Message, Prompt, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request for a chat completion, as the server understood it."""

    model: str
    prompt: Prompt
    stream: bool
    include_usage: bool

    @property
    def last_user(self) -> str:
        """The text of the last user message, "" if there is none."""
        users = (m.content for m in reversed(self.prompt.messages) if m.role == "user")
        return next(users, "")

    @property
    def turn(self) -> int:
        """The turn of the call: how often the user has spoken."""
        return sum(m.role == "user" for m in self.prompt.messages)


@dataclass(frozen=True, slots=True)
class FixedModel:
    """Answers everything with *answer*; continues a prefix of its text where it breaks off."""

    answer: ChatReply

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """The answer, or the rest of it after the words that the request ends with."""
        if not prompt.continue_final:
            return self.answer
        said = prompt.messages[-1].content
        return replace(self.answer, text=self.answer.text.removeprefix(said))


def opening_hours() -> FixedModel:
    """A model for trials and examples: 40-odd tokens about a dentist's opening hours."""
    return FixedModel(
        ChatReply(
            "Of course. We are open from eight to six on weekdays, and from nine to one on "
            "Saturdays. The next free appointment is on Thursday at half past two. "
            "Would you like me to book it for you?"
        )
    )


# Leading space belongs to the word, long words fall into pieces, signs stand alone: 1.3 to 1.4
# tokens a word of English, as byte-pair encodings have it.
_TOKEN = re.compile(r"\s*(?:[^\W_]{1,6}|[^\w\s]|_)|\s+")


def tokens(text: str) -> list[str]:
    """*text* cut the way a word-piece tokenizer would; joined again it is *text* exactly."""
    return _TOKEN.findall(text)


class _Part(msgspec.Struct):
    text: str = ""


class _WireFunction(msgspec.Struct):
    name: str
    arguments: str = ""


class _WireCall(msgspec.Struct):
    id: str
    function: _WireFunction


class _WireMessage(msgspec.Struct):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_WireCall] | None = None
    tool_call_id: str | None = None

    def message(self) -> Message:
        content = self.content or ""
        calls = (
            ToolCall(c.id, c.function.name, c.function.arguments) for c in self.tool_calls or ()
        )
        return Message(
            "system" if self.role == "developer" else self.role,
            content if isinstance(content, str) else "".join(part.text for part in content),
            tuple(calls),
            self.tool_call_id,
        )


class _WireToolFunction(msgspec.Struct):
    name: str
    description: str = ""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)


class _WireTool(msgspec.Struct):
    function: _WireToolFunction


class _StreamOptions(msgspec.Struct):
    include_usage: bool = False


class _WireRequest(msgspec.Struct):
    model: str
    messages: list[_WireMessage]
    stream: bool = False
    stream_options: _StreamOptions | None = None
    tools: list[_WireTool] | None = None
    max_tokens: int | None = None
    max_completion_tokens: int | None = None
    temperature: float | None = None
    continue_final_message: bool = False
    add_generation_prompt: bool = True


def parse_request(body: bytes) -> ChatRequest:
    """The request in *body*; `InputError` as vLLM would refuse it (read November 2026)."""
    try:
        wire = msgspec.json.decode(body, type=_WireRequest)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise InputError(f"not a chat completion request: {exc}") from None
    if not wire.messages:
        raise InputError("messages is empty: send at least one")
    if wire.continue_final_message and wire.add_generation_prompt:
        raise InputError(
            "continue_final_message needs add_generation_prompt to be false: set it too"
        )
    if wire.continue_final_message and wire.messages[-1].role != "assistant":
        raise InputError("continue_final_message needs an assistant message at the end")
    limit = wire.max_completion_tokens or wire.max_tokens
    prompt = Prompt(
        tuple(message.message() for message in wire.messages),
        tuple(
            ToolSpec(t.function.name, t.function.description, t.function.parameters)
            for t in wire.tools or ()
        ),
        max_tokens=1 << 20 if limit is None else limit,
        temperature=1.0 if wire.temperature is None else wire.temperature,
        continue_final=wire.continue_final_message,
    )
    options = wire.stream_options or _StreamOptions()
    return ChatRequest(wire.model, prompt, wire.stream, options.include_usage)


class Completion:
    """One reply in the wire format: *deltas*, one for each token, and the chunks around them."""

    def __init__(self, request: ChatRequest, reply: ChatReply, ordinal: int) -> None:
        limit = request.prompt.max_tokens
        whole: list[Mapping[str, object]] = [{"content": token} for token in tokens(reply.text)]
        whole += [piece for i, call in enumerate(reply.tool_calls) for piece in _pieces(i, call)]
        self.deltas: Sequence[Mapping[str, object]] = whole[:limit]
        self._request, self._reply = request, reply
        self._reason = "tool_calls" if reply.tool_calls else "stop"
        if limit is not None and len(whole) > limit:
            self._reason = "length"
        self._head = {"id": f"chatcmpl-{ordinal}", "created": 0, "model": request.model}
        self._prompt_tokens = sum(len(tokens(m.content)) for m in request.prompt.messages)

    @property
    def length(self) -> int:
        """How many tokens it has."""
        return len(self.deltas)

    def role(self) -> bytes:
        """The first event: a role and no text."""
        return self._event({"role": "assistant", "content": ""})

    def token(self, index: int, /) -> bytes:
        """The event of token *index*."""
        return self._event(self.deltas[index])

    def finish(self, said: int, reason: str = "", /) -> bytes:
        """The last events after *said* tokens: finish_reason, usage if asked for, `[DONE]`.

        *reason*: another finish_reason than the answer's own.
        """
        events = self._event({}, finish_reason=reason or (self._reason if said else "stop"))
        if self._request.include_usage:
            events += _sse(self._object("chunk") | {"choices": [], "usage": self._usage(said)})
        return events + b"data: [DONE]\n\n"

    def whole(self, said: int, reason: str = "", /) -> bytes:
        """The body of the answer to a request without `stream`; *said* is 0 for an empty one.

        *reason*: another finish_reason than the answer's own.
        """
        message: dict[str, object] = {"role": "assistant", "content": ""}
        if said:
            message["content"] = "".join(str(d.get("content", "")) for d in self.deltas)
        if said and self._reply.tool_calls:
            message["tool_calls"] = [
                {"id": c.id, "type": "function", "function": _function(c.name, c.arguments)}
                for c in self._reply.tool_calls
            ]
        reason = reason or (self._reason if said else "stop")
        choice = {"index": 0, "message": message, "finish_reason": reason}
        body = self._object("") | {"choices": [choice], "usage": self._usage(said)}
        return msgspec.json.encode(body)

    def _usage(self, said: int) -> dict[str, int]:
        return {
            "prompt_tokens": self._prompt_tokens,
            "completion_tokens": said,
            "total_tokens": self._prompt_tokens + said,
        }

    def _object(self, suffix: str) -> dict[str, object]:
        return {"object": f"chat.completion{'.' * bool(suffix)}{suffix}", **self._head}

    def _event(self, delta: Mapping[str, object], *, finish_reason: str | None = None) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return _sse(self._object("chunk") | {"choices": [choice]})


def _sse(body: Mapping[str, object]) -> bytes:
    return b"data: " + msgspec.json.encode(body) + b"\n\n"


def _function(name: str | None, arguments: str) -> dict[str, object]:
    return {"arguments": arguments} if name is None else {"name": name, "arguments": arguments}


def _pieces(index: int, call: ToolCall) -> list[dict[str, object]]:
    """A tool call as OpenAI streams it: id and name first, then the arguments token by token."""
    first: dict[str, object] = {
        "id": call.id,
        "type": "function",
        "function": _function(call.name, ""),
    }
    rest: list[dict[str, object]] = [
        {"function": _function(None, piece)} for piece in tokens(call.arguments)
    ]
    return [{"tool_calls": [{"index": index, **piece}]} for piece in (first, *rest)]
