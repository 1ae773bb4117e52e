"""A request of OpenAI's Responses API, read into a `Prompt`.

What both APIs know becomes what it is in chat completions: parts of the prompt, or its `options`.
What lives on OpenAI's servers (stored responses, conversations, hosted tools) is refused by name.
Source: `types/responses/response_create_params.py` of the `openai` SDK 3.54.0, November 2026.
"""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from trunkline.gateway.reading import Fields
from trunkline.gateway.refusals import unsupported, wrong
from trunkline.gateway.requests import Ask
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

UNSUPPORTED: Mapping[str, str] = {
    "previous_response_id": "no answer is kept. Send the whole conversation as input",
    "conversation": "no conversation is kept. Send it as input",
    "store": "no answer is kept. Leave it out, or say false",
    "background": "answers are written while you wait",
    "prompt": "prompts are kept nowhere here. Send instructions and input",
    "include": "answers are text and calls of functions",
    "max_tool_calls": "it limits hosted tools, and there are none",
    "truncation": "nothing is dropped from what you send",
    "top_logprobs": "an answer may go over to another endpoint, and its words come as text",
    "moderation": "nothing is judged here",
    "context_management": "nothing is dropped from what you send",
}
"""Fields that are refused, and why. Their neutral values are allowed: see `_NEUTRAL`."""
_NEUTRAL: Mapping[str, tuple[object, ...]] = {
    "store": (False,),
    "background": (False,),
    "include": ([],),
    "truncation": ("disabled",),
    "top_logprobs": (0,),
    "tool_choice": ("auto",),
    "service_tier": ("auto",),
}
"""Values that ask for what is done anyway."""
_SAME = {
    "top_p",
    "parallel_tool_calls",
    "tool_choice",
    "user",
    "safety_identifier",
    "prompt_cache_key",
    "service_tier",
}
"""Fields that chat completions has under the same name."""


class _Part(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["input_text", "output_text", "text", "refusal"]
    text: str = ""
    refusal: str = ""
    annotations: list[None] | None = None
    logprobs: list[None] | None = None


class _Item(msgspec.Struct, forbid_unknown_fields=True):
    """A message, a call or its result, as clients write them and as answers have them."""

    type: Literal["message", "function_call", "function_call_output"] = "message"
    role: Literal["system", "developer", "user", "assistant"] | None = None
    content: str | list[_Part] = ""
    call_id: str | None = None
    name: str | None = None
    arguments: str = ""
    output: str | list[_Part] = ""
    id: str | None = None
    status: str | None = None
    phase: str | None = None


class _Tool(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: Literal["function"] = "function"
    description: str | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class _Choice(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    type: Literal["function"] = "function"


class _Format(msgspec.Struct, forbid_unknown_fields=True):
    type: Literal["text", "json_object", "json_schema"] = "text"
    name: str | None = None
    schema: dict[str, Any] | None = None
    description: str | None = None
    strict: bool | None = None


class _Text(msgspec.Struct, forbid_unknown_fields=True):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, forbid_unknown_fields=True):
    effort: str | None = None


class _StreamOptions(msgspec.Struct, forbid_unknown_fields=True):
    include_obfuscation: Literal[False] | None = None


def read_responses(body: bytes) -> Ask:
    """The request in *body*; `Refusal` (400) names the field that is wrong."""
    fields = Fields(body)
    given = {name: fields.all[name] for name in _REPEATED if name in fields.all}
    for name, neutral in _NEUTRAL.items():
        if name in fields.all and fields.all[name] in neutral:
            del fields.all[name]
    model = fields.take("model", str, "")
    if not model:
        raise wrong("model", "it is missing. Give the name of a model of this gateway")
    stream = fields.take("stream", bool, default=False)
    fields.take("stream_options", _StreamOptions, None)
    fields.take("metadata", dict[str, str], None)
    messages = _messages(fields)
    limit = fields.take("max_output_tokens", int, None)
    if limit is not None and limit < 1:
        raise wrong("max_output_tokens", "it is not a whole number above zero")
    heat = fields.temperature()
    tools = fields.take("tools", list[_Tool], [])
    options = _options(fields, tools)
    specs = tuple(ToolSpec(it.name, it.description or "", it.parameters or {}) for it in tools)
    prompt = Prompt(messages, specs, limit, heat, options=options)
    return Ask(model, prompt, stream, usage=True, given=given)


_REPEATED = (
    "instructions",
    "max_output_tokens",
    "metadata",
    "parallel_tool_calls",
    "reasoning",
    "temperature",
    "text",
    "tool_choice",
    "tools",
    "top_p",
    "user",
)
"""Fields that an answer repeats."""


def _messages(fields: Fields) -> tuple[Message, ...]:
    instructions = fields.take("instructions", str, "")
    asked = fields.take("input", str | list[_Item], [])
    if not asked:
        raise wrong("input", "it is missing. Give a text, or a list of messages")
    items = [_Item(role="user", content=asked)] if isinstance(asked, str) else asked
    first = [Message("system", instructions)] if instructions else []
    return tuple(first + [_message(it) for it in items])


def _message(item: _Item) -> Message:
    match item.type:
        case "function_call":
            if not item.call_id or not item.name:
                raise wrong("input", "a function_call has no call_id or no name")
            return Message("assistant", "", (ToolCall(item.call_id, item.name, item.arguments),))
        case "function_call_output":
            if not item.call_id:
                raise wrong("input", "a function_call_output has no call_id")
            return Message("tool", _said(item.output), tool_call_id=item.call_id)
        case _:
            if item.role is None:
                raise wrong("input", "a message has no role")
            return Message("system" if item.role == "developer" else item.role, _said(item.content))


def _said(content: str | list[_Part]) -> str:
    if isinstance(content, str):
        return content
    return "".join(part.text or part.refusal for part in content)


def _options(fields: Fields, tools: list[_Tool]) -> dict[str, object]:
    options: dict[str, object] = {}
    if any(tool.strict for tool in tools):
        functions = [{k: v for k, v in _asdict(it).items() if k != "type"} for it in tools]
        options["tools"] = [{"type": "function", "function": it} for it in functions]
    if isinstance(fields.all.get("tool_choice"), dict):
        name = fields.take("tool_choice", _Choice, None).name
        options["tool_choice"] = {"type": "function", "function": {"name": name}}
    text: _Text = fields.take("text", _Text, _Text())
    if text.format is not None and text.format.type != "text":
        wanted = _asdict(text.format)
        kind = wanted.pop("type")
        options["response_format"] = {"type": kind} | ({kind: wanted} if wanted else {})
    if text.verbosity is not None:
        options["verbosity"] = text.verbosity
    reasoning: _Reasoning = fields.take("reasoning", _Reasoning, _Reasoning())
    if reasoning.effort is not None:
        options["reasoning_effort"] = reasoning.effort
    for name in fields.all:
        if name not in _SAME:
            why = UNSUPPORTED.get(name, "this gateway does not know it")
            raise unsupported(name, why)
    return options | fields.all


def _asdict(struct: msgspec.Struct) -> dict[str, Any]:
    return {name: it for name, it in msgspec.structs.asdict(struct).items() if it is not None}
