"""A chat completions request, read into a `Prompt`.

Fields that every endpoint understands become parts of the prompt; all others are its `options`, for
those endpoints that know them. What would change the shape of the answer, or stand against what a
rescue sends, is refused by name: nothing is ignored. Source: OpenAI API reference "Create chat
completion", and `types/chat/completion_create_params.py` of the `openai` SDK, November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import msgspec

from trunkline.gateway.reading import Fields
from trunkline.gateway.refusals import unsupported, wrong
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

UNSUPPORTED: Mapping[str, str] = {
    "logprobs": "an answer may go over to another endpoint, and its words come as text",
    "top_logprobs": "an answer may go over to another endpoint, and its words come as text",
    "modalities": "answers are text",
    "audio": "answers are text",
    "functions": "it is deprecated. Use tools",
    "function_call": "it is deprecated. Use tool_choice",
    "web_search_options": "the sources that it adds to an answer are not passed on",
    "continue_final_message": "Trunkline itself uses it to continue an answer",
    "add_generation_prompt": "Trunkline itself uses it to continue an answer",
    "echo": "only what is new is passed on",
}
"""Fields that are refused, and why. Their neutral values are allowed: see `_NEUTRAL`."""
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "n": (1,),
    "logprobs": (False,),
    "top_logprobs": (0,),
    "modalities": (["text"],),
    "tool_choice": ("auto",),
    "store": (False,),
    "echo": (False,),
    "functions": ([],),
}
"""Values that ask for what is done anyway."""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "refusal"]
    text: str = ""
    refusal: str = ""


class _Function(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    arguments: str


class _Call(msgspec.Struct, forbid_unknown_fields=True):
    id: str
    function: _Function
    type: Literal["function"] = "function"
    index: int | None = None


class _Message(msgspec.Struct, forbid_unknown_fields=True):
    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[_Part] | None = None
    tool_calls: list[_Call] | None = None
    tool_call_id: str | None = None
    refusal: str | None = None
    # What the SDK's own answers have, as a client sends them back: without a value.
    name: None = None
    audio: None = None
    function_call: None = None
    annotations: list[None] | None = None


class _ToolFunction(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    function: _ToolFunction
    type: Literal["function"] = "function"


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


@dataclass(frozen=True, slots=True)
class Ask:
    """A request. *usage*: the client wants the token counts in its stream; *given*: fields that
    the answer repeats."""

    model: str
    prompt: Prompt
    stream: bool
    usage: bool
    given: Mapping[str, object] = field(default_factory=dict)


def read_chat(body: bytes) -> Ask:
    """The request in *body*; `Refusal` (400) names the field that is wrong."""
    reading = Fields(body)
    fields = reading.all
    model = reading.take("model", str, "")
    stream = reading.take("stream", bool, default=False)
    told = reading.take("stream_options", _StreamOptions, _StreamOptions())
    messages = reading.take("messages", list[_Message], [])
    if not model:
        raise wrong("model", "it is missing. Give the name of a model of this gateway")
    if not messages:
        raise wrong("messages", "there are none. Give at least one")
    tools, limit, heat = _tools(reading), _limit(reading), reading.temperature()
    _check(fields)
    prompt = Prompt(tuple(map(_message, messages)), tools, limit, heat, options=fields)
    return Ask(model, prompt, stream, bool(told.include_usage))


def _check(fields: dict[str, Any]) -> None:
    for name, neutral in _NEUTRAL.items():
        if name in fields and fields[name] in neutral:
            del fields[name]
    if "n" in fields:
        raise unsupported("n", "one request has one answer. Send several")
    for name in fields:
        if why := UNSUPPORTED.get(name):
            raise unsupported(name, why)


def _limit(reading: Fields) -> int | None:
    limits = set()
    for name in ("max_tokens", "max_completion_tokens"):
        limit = reading.take(name, int, None)
        if limit is not None:
            if limit < 1:
                raise wrong(name, "it is not a whole number above zero")
            limits.add(limit)
    if len(limits) > 1:
        raise wrong("max_tokens", "it differs from max_completion_tokens. Give one of them")
    return next(iter(limits), None)


def _tools(reading: Fields) -> tuple[ToolSpec, ...]:
    raw = reading.all.get("tools")
    tools: list[_Tool] = reading.take("tools", list[_Tool], [])
    if any(tool.function.strict for tool in tools):
        reading.all["tools"] = raw  # as they are, for endpoints that know what strict is
    return tuple(
        ToolSpec(it.function.name, it.function.description or "", it.function.parameters or {})
        for it in tools
    )


def _message(wire: _Message) -> Message:
    content = wire.content or wire.refusal or ""
    if isinstance(content, list):
        content = "".join(part.text or part.refusal for part in content)
    calls = (ToolCall(c.id, c.function.name, c.function.arguments) for c in wire.tool_calls or ())
    role = "system" if wire.role == "developer" else wire.role
    if role == "tool" and wire.tool_call_id is None:
        raise wrong("messages", "a tool message has no tool_call_id")
    return Message(role, content, tuple(calls), wire.tool_call_id)
