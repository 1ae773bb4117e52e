"""The chat completions protocol of OpenAI and of all that speak it: vLLM, SGLang, Groq, Azure ...

The writing half: requests and refusals; `openai_stream.py` reads the streams.

Sources, read November 2026, not verified against live services: the `openai` Python SDK
(`types/chat/chat_completion_chunk.py` and its recorded streams), vLLM and SGLang
(`entrypoints/openai`, the `protocol.py` of each), OpenRouter's page on errors inside a stream.
"""

from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from trunkline.contracts import Decoder, Request
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.net.retry_after import retry_after_s
from trunkline.providers.llm.json_body import json_body
from trunkline.providers.llm.openai_stream import (
    DETAIL_CHARS,
    ChatDecoder,
    WireError,
    wire_error,
)
from trunkline.types import Delta, Endpoint, Finish, Message, Prompt

LIMIT_FIELDS = ("max_completion_tokens", "max_tokens")
KEY_HEADERS = ("Authorization", "api-key")


class _ErrorBody(msgspec.Struct):
    error: WireError | str | None = None
    message: str | None = None  # older vLLM and SGLang do not wrap it


class OpenAIChat:
    """`Codec[Prompt, Delta]` for `POST chat/completions`.

    *limit_field*, one of `LIMIT_FIELDS`, is the field for `Prompt.max_tokens`: OpenAI refuses the
    old name for its newer models, some servers do not know the new one. *extra* is laid over the
    request body last, see `json_body`: `{"temperature": None}` for models that fix it,
    `{"stream_options": None}` for servers that refuse it.

    Azure (reference "Azure OpenAI in Microsoft Foundry", and `lib/azure.py` of the SDK, November
    2026; not verified live) wants the key in another header, of `KEY_HEADERS`, and, if the base URL
    ends in `openai/deployments/<name>` instead of `openai/v1`, an *api_version*.
    """

    honours: ClassVar[frozenset[str] | None] = None
    """The `Prompt.options` that it knows how to say: all, for they are fields of this protocol."""

    def __init__(
        self,
        endpoint: Endpoint,
        *,
        limit_field: str = "max_completion_tokens",
        extra: Mapping[str, object] | None = None,
        key_header: str = "Authorization",
        api_version: str | None = None,
    ) -> None:
        self._endpoint = endpoint
        self._key_header, self._api_version = key_header, api_version
        self._limit_field = limit_field
        self._extra = dict(extra or {})

    def encode(self, source: Prompt, /) -> Request:
        """The streaming request for *source*; `InputError` if its messages contradict themselves.

        `continue_final` becomes `continue_final_message` where the endpoint can continue a prefix;
        elsewhere the messages go as they are.
        """
        prompt = source
        messages = [_message(message) for message in prompt.messages]
        body: dict[str, object] = {
            "model": self._endpoint.model,
            "messages": messages,
            "stream": True,
            "stream_options": {"include_usage": True},
            self._limit_field: prompt.max_tokens,
            "temperature": prompt.temperature,
        }
        if prompt.tools:
            body["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": tool.parameters,
                    },
                }
                for tool in prompt.tools
            ]
        body |= prompt.options
        if prompt.continue_final:
            if not messages or messages[-1]["role"] != "assistant":
                raise InputError(
                    f"{self._endpoint.name}: a prompt that continues its last message must end in "
                    f"an assistant message. Append the words that were spoken, or unset it"
                )
            if self._endpoint.continuation != "turn":
                # Trailing space would be its own token, after which models lose the thread; the
                # continuation brings its own leading space.
                messages[-1]["content"] = prompt.messages[-1].content.rstrip()
                # vLLM refuses the first without the second; SGLang ignores the second.
                body["continue_final_message"] = True
                body["add_generation_prompt"] = False
        return Request(
            "chat/completions",
            {"Content-Type": "application/json"},
            json_body(body, self._extra),
            () if self._api_version is None else (("api-version", self._api_version),),
        )

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """A bearer token (RFC 6750), as OpenAI and its likes take it, or Azure's header."""
        bearer = self._key_header == "Authorization"
        return {self._key_header: f"Bearer {key}" if bearer else key}

    def decoder(self) -> Decoder[Delta]:
        """A fresh decoder for one response."""
        return ChatDecoder(self._endpoint.name)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, /
    ) -> EndpointError | Sequence[Delta]:
        """What *status* means: 429 `THROTTLED`, 5xx and 408 `UNAVAILABLE`, other 4xx `REFUSED`.

        A 429 for an exhausted account is `REFUSED`: waiting does not mend it, a person must. A 400
        whose code is `content_filter` is an answer (Azure filters the prompt before it begins).
        """
        try:
            parsed = msgspec.json.decode(body, type=_ErrorBody)
        except (msgspec.DecodeError, UnicodeDecodeError):
            said, code = body.decode(errors="replace").strip(), None
        else:
            error = (
                wire_error(parsed.error) if parsed.error is not None else WireError(parsed.message)
            )
            said, code = error.message or "", error.code or error.type
        if status == 400 and code == "content_filter":
            return (Finish("content_filter"),)
        if status == 429:
            fault = Fault.REFUSED if code == "insufficient_quota" else Fault.THROTTLED
        elif status >= 500 or status == 408:
            fault = Fault.UNAVAILABLE
        elif status >= 300:
            fault = Fault.REFUSED
        else:
            fault = Fault.MALFORMED
        detail = " ".join(f"HTTP {status} {code or ''} {said}".split())[:DETAIL_CHARS]
        return EndpointError(
            self._endpoint.name, fault, detail, retry_after_s=retry_after_s(headers)
        )


def _message(message: Message) -> dict[str, object]:
    if message.role == "tool":
        if message.tool_call_id is None:
            raise InputError("a tool message names no tool_call_id: say which call it answers")
        return {
            "role": "tool",
            "content": message.content,
            "tool_call_id": message.tool_call_id,
        }
    if not message.tool_calls:
        return {"role": message.role, "content": message.content}
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": call.arguments},
        }
        for call in message.tool_calls
    ]
    return {"role": message.role, "content": message.content or None, "tool_calls": calls}
