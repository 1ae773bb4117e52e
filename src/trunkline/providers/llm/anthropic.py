"""Anthropic's Messages protocol, streaming.

Sources, read November 2026, not verified against the live service: the `anthropic` Python SDK
2.12.0 (`types/raw_message_stream_event.py`, `types/message_create_params.py`, `types/shared/*`,
`_streaming.py`), the pages "Streaming Messages" and "Errors" of its API reference, and streams that
others recorded (see `tests/providers/llm/recorded_anthropic.py`). Wire facts that shape the code:

* The answer is a list of blocks, each started, filled and stopped. Thinking blocks and pings are no
  useful tokens. A tool without arguments is a block that is never filled.
* `message_delta` brings the reason and the usage, in sums; `message_stop` ends the stream.
* An error after the 200 is an event, and nothing follows it.
* `temperature` is refused by models since Claude Opus 4.7 and is not sent; for older ones it can be
  set with `extra`. Models since 4.6 also refuse to continue a prefix: `continuation: turn`.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from trunkline.contracts import Decoder, Request
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.json_body import json_body
from trunkline.providers.llm.anthropic_stream import FILTERED, MessagesDecoder, MessagesError
from trunkline.providers.llm.turns import Answer, Part, json_object, turns
from trunkline.providers.llm.wishes import Choice, stops, tool_choice
from trunkline.providers.refusals import refusal
from trunkline.types import Delta, Endpoint, Finish, Prompt, ToolCall

VERSION = "2023-06-01"
"""Of the protocol, the only one there is; what is newer is added to it."""

TOKENS_MAX = 4096
"""What is asked for where the prompt sets no limit: the protocol wants one, and the smallest model
behind it writes no more."""
_SPENT = {"enforced_spend_limit_reached", "contract_spend_limit_reached"}


class _ErrorBody(msgspec.Struct):
    error: MessagesError


class AnthropicMessages:
    """`Codec[Prompt, Delta]` for `POST messages` below `https://api.anthropic.com/v1`.

    *extra* is laid over the request body, see `json_body`. `InputError` if the endpoint claims to
    go on from exact tokens, which this protocol cannot.
    """

    honours: ClassVar[frozenset[str]] = frozenset({"stop", "tool_choice", "parallel_tool_calls"})
    """The `Prompt.options` that it knows how to say; `top_p` went the way of the temperature."""

    def __init__(self, endpoint: Endpoint, *, extra: Mapping[str, object] | None = None) -> None:
        if endpoint.continuation == "token_exact":
            raise InputError(
                f"{endpoint.name}: this protocol cannot go on from exact tokens. "
                f"Use continuation: turn, or prefix for models before Claude 4.6"
            )
        self._endpoint, self._extra = endpoint, dict(extra or {})

    def encode(self, source: Prompt, /) -> Request:
        """The streaming request for *source*; `InputError` if its messages contradict themselves.

        `continue_final` is only for endpoints that continue a prefix: others refuse it.
        """
        if source.continue_final and self._endpoint.continuation != "prefix":
            raise InputError(
                f"{self._endpoint.name}: it does not continue a prefix. Ask by a further turn, or "
                f"set continuation: prefix if its model does"
            )
        system, spoken = turns(self._endpoint.name, source)
        body: dict[str, object] = {
            "model": self._endpoint.model,
            "max_tokens": TOKENS_MAX if source.max_tokens is None else source.max_tokens,
            "messages": [
                {
                    "role": "assistant" if turn.role == "model" else "user",
                    "content": [_block(part) for part in turn.parts],
                }
                for turn in spoken
            ],
            "stream": True,
        }
        if system:
            body["system"] = system
        if source.tools:
            body["tools"] = [
                {"name": it.name, "description": it.description, "input_schema": it.parameters}
                for it in source.tools
            ]
            if wanted := _choice(source.options):
                body["tool_choice"] = wanted
        if ends := stops(source.options):
            body["stop_sequences"] = ends
        headers = {"Content-Type": "application/json", "anthropic-version": VERSION}
        return Request("messages", headers, json_body(body, self._extra))

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """The key in a header of its own."""
        return {"x-api-key": key}

    def decoder(self) -> Decoder[Delta]:
        """A fresh decoder for one response."""
        return MessagesDecoder(self._endpoint.name)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, /
    ) -> EndpointError | Sequence[Delta]:
        """As `providers.refusals` has it (529, overloaded, is `UNAVAILABLE`).

        A 429 for a spent budget is `REFUSED`: waiting does not mend it, a person must. Output that
        the content filter blocked is an answer.
        """
        try:
            error = msgspec.json.decode(body, type=_ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return refusal(self._endpoint.name, status, headers, body)
        if status == 400 and FILTERED in error.message:
            return (Finish("content_filter"),)
        code = error.details.error_code if error.details else None
        fault = Fault.REFUSED if status == 429 and code in _SPENT else None
        said = f"{code or error.type} {error.message}"
        return refusal(self._endpoint.name, status, headers, body, said=said, fault=fault)


_HOW = {"auto": "auto", "none": "none", "required": "any"}


def _choice(options: Mapping[str, object]) -> dict[str, object]:
    """Which tools may be called, as this protocol says it; {}: nobody minds."""
    choice, single = tool_choice(options), options.get("parallel_tool_calls") is False
    if choice is None and not single:
        return {}
    choice = choice or Choice("auto")
    named = {"type": "tool", "name": choice.name} if choice.name else {"type": _HOW[choice.how]}
    return {**named, **({"disable_parallel_tool_use": True} if single else {})}


def _block(part: Part) -> dict[str, object]:
    match part:
        case str():
            return {"type": "text", "text": part}
        case ToolCall():
            given = json_object(part.arguments, "unreadable")
            return {"type": "tool_use", "id": part.id, "name": part.name, "input": given}
        case Answer():
            return {"type": "tool_result", "tool_use_id": part.call.id, "content": part.content}
