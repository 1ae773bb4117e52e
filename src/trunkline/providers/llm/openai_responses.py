"""OpenAI's Responses protocol, streaming: typed events instead of chunks.

Sources, read November 2026, not verified against the live service: the `openai` Python SDK 3.54.0
(`types/responses/*`), the pages "Responses: streaming events" and "Function calling" of its API
reference, and streams that others recorded (see `tests/providers/llm/recorded_responses.py`).
Wire facts that shape the code:

* `store` is true unless it is said otherwise: the service would keep every prompt for 30 days.
* Tools are `strict` unless it is said otherwise, which not every JSON Schema satisfies.
* Fewer than 16 output tokens are refused (earendil-works/pi, issue 6265, 2026-07-02).
* An assistant message at the end is not continued; a new one begins. So `continuation: turn`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from trunkline.contracts import Decoder, Request
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.json_body import json_body
from trunkline.providers.llm.openai_responses_stream import (
    FILTERED,
    ResponsesDecoder,
    ResponsesError,
)
from trunkline.providers.llm.turns import opening_system, with_unique_ids
from trunkline.providers.llm.wishes import renamed, tool_choice
from trunkline.providers.refusals import refusal
from trunkline.types import Delta, Endpoint, Finish, Message, Prompt

_TOKENS_MIN = 16
_SAME = {
    name: name
    for name in (
        "top_p",
        "parallel_tool_calls",
        "user",
        "safety_identifier",
        "prompt_cache_key",
        "service_tier",
    )
}


class _ErrorBody(msgspec.Struct):
    error: ResponsesError


class OpenAIResponses:
    """`Codec[Prompt, Delta]` for `POST responses` below `https://api.openai.com/v1`.

    *extra* is laid over the request body, see `json_body`: for models that refuse a temperature or
    think before they speak, `{"temperature": None, "reasoning": {"effort": "none"}}`. `InputError`
    if the endpoint claims to continue a prefix, which this protocol does not.
    """

    honours: ClassVar[frozenset[str]] = frozenset({"tool_choice", "reasoning_effort", *_SAME})
    """The `Prompt.options` that it knows how to say; it has none for `stop`."""

    def __init__(self, endpoint: Endpoint, *, extra: Mapping[str, object] | None = None) -> None:
        if endpoint.continuation != "turn":
            raise InputError(
                f"{endpoint.name}: this protocol begins a new message after one that is half said. "
                f"Use continuation: turn"
            )
        self._endpoint, self._extra = endpoint, dict(extra or {})

    def encode(self, source: Prompt, /) -> Request:
        """The streaming request for *source*; `InputError` if its messages contradict themselves.

        So does `continue_final`: see the class.
        """
        if source.continue_final:
            raise InputError(
                f"{self._endpoint.name}: it does not continue a prefix. Ask by a further turn"
            )
        instructions, messages = opening_system(source)
        items = [item for message in with_unique_ids(messages) for item in _items(message)]
        if not items:
            raise InputError(f"{self._endpoint.name}: the prompt has no words. Add what was said")
        body: dict[str, object] = {
            "model": self._endpoint.model,
            "input": items,
            "max_output_tokens": source.max_tokens and max(source.max_tokens, _TOKENS_MIN),
            "temperature": source.temperature,
            "store": False,
            "stream": True,
        }
        if instructions:
            body["instructions"] = instructions
        if source.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "name": tool.name,
                    "description": tool.description,
                    "parameters": tool.parameters,
                    "strict": False,
                }
                for tool in source.tools
            ]
            if choice := tool_choice(source.options):
                named = {"type": "function", "name": choice.name}
                body["tool_choice"] = named if choice.name else choice.how
        if effort := source.options.get("reasoning_effort"):
            body["reasoning"] = {"effort": effort}
        body |= renamed(source.options, _SAME)
        headers = {"Content-Type": "application/json"}
        return Request("responses", headers, json_body(body, self._extra))

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """A bearer token (RFC 6750)."""
        return {"Authorization": f"Bearer {key}"}

    def decoder(self) -> Decoder[Delta]:
        """A fresh decoder for one response."""
        return ResponsesDecoder(self._endpoint.name)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, /
    ) -> EndpointError | Sequence[Delta]:
        """As `providers.refusals` has it, but a 429 for an exhausted account is `REFUSED`.

        Waiting does not mend that, a person must. A prompt that the filter refuses has its answer.
        """
        try:
            error = msgspec.json.decode(body, type=_ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return refusal(self._endpoint.name, status, headers, body)
        if status == 400 and error.code in FILTERED:
            return (Finish("content_filter"),)
        fault = Fault.REFUSED if status == 429 and error.code == "insufficient_quota" else None
        said = f"{error.code or error.type or ''} {error.message or ''}"
        return refusal(self._endpoint.name, status, headers, body, said=said, fault=fault)


def _items(message: Message) -> list[dict[str, object]]:
    if message.role == "tool":
        output = {"call_id": message.tool_call_id, "output": message.content}
        return [{"type": "function_call_output", **output}]
    items: list[dict[str, object]] = []
    if message.content.strip():
        # After the first words of a conversation, instructions come from the developer.
        role = "developer" if message.role == "system" else message.role
        items.append({"role": role, "content": message.content})
    for call in message.tool_calls:
        made = {"call_id": call.id, "name": call.name, "arguments": call.arguments or "{}"}
        items.append({"type": "function_call", **made})
    return items
