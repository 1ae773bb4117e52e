"""Chat completions as they are written to a client: chunks of a stream, or one body.

One answer has one id, whoever wrote it. What Trunkline has to say about it stands in headers while
there are headers to write, and in a comment at the end of a stream, which clients read past:

    : trunkline {"endpoint":"backup","attempts":2,"failovers":[...]}

Shapes: OpenAI API reference "The chat completion chunk object" and "The chat completion object".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from trunkline.gateway.refusals import Refusal
from trunkline.gateway.requests import Ask
from trunkline.types import ToolCall, ToolCallDelta, Usage

DONE = b"data: [DONE]\n\n"
_encode = msgspec.json.encode


@dataclass(frozen=True, slots=True)
class Head:
    """What all parts of an answer share: its id, the name that the client gave, Unix seconds."""

    id: str
    model: str
    created: int


@dataclass(frozen=True, slots=True)
class Whole:
    """An answer that is complete."""

    text: str
    tool_calls: Sequence[ToolCall]
    reason: str
    usage: Usage | None


class Chunks:
    """The events of one stream, as bytes."""

    __slots__ = ("_before", "_begun", "_counted", "_head")

    def __init__(self, answer: str, model: str, created: int, *, usage: bool) -> None:
        head = {"id": answer, "object": "chat.completion.chunk", "created": created, "model": model}
        self._head = b"data: " + _encode(head)[:-1]
        more = b',"usage":null' if usage else b""
        self._counted = usage
        self._before = self._head + more + b',"choices":[{"index":0,"delta":'
        self._begun = False

    def text(self, pieces: Sequence[str]) -> bytes:
        """An event for each of *pieces*."""
        before = self._before + b'{"content":'
        after = b'},"logprobs":null,"finish_reason":null}]}\n\n'
        return self._role() + b"".join([before + _encode(it) + after for it in pieces])

    def tool(self, delta: ToolCallDelta) -> bytes:
        """A part of a tool call."""
        function: dict[str, str] = {"arguments": delta.arguments}
        call: dict[str, object] = {"index": delta.index, "function": function}
        if delta.name:
            function["name"] = delta.name
        if delta.id or delta.name:
            call |= {"id": delta.id, "type": "function"}
        return self._role() + self._event({"tool_calls": [call]}, None)

    def finish(self, reason: str) -> bytes:
        """The one finish reason."""
        return self._role() + self._event({}, reason)

    def usage(self, usage: Usage) -> bytes:
        """The token counts, in an event without choices."""
        return self._head + b',"choices":[],"usage":' + _encode(counts(usage)) + b"}\n\n"

    def end(self, reason: str, usage: Usage | None, told: Mapping[str, object]) -> bytes:
        """The end: reason, counts if they were asked for, and what there is to know."""
        counts = self.usage(usage) if self._counted and usage is not None else b""
        return self.finish(reason) + counts + comment(told) + DONE

    def broken(self, refusal: Refusal, told: Mapping[str, object]) -> bytes:
        """The error inside the stream."""
        return comment(told) + broken(refusal.body)

    def _role(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        return self._event({"role": "assistant", "content": ""}, None)

    def _event(self, delta: Mapping[str, object], reason: str | None) -> bytes:
        finish = _encode(reason)
        tail = b',"logprobs":null,"finish_reason":' + finish + b"}]}\n\n"
        return self._before + _encode(delta) + tail


def writer(head: Head, ask: Ask) -> Chunks:
    """The stream that answers *ask*."""
    return Chunks(head.id, head.model, head.created, usage=ask.usage)


def body(head: Head, ask: Ask, it: Whole) -> bytes:
    """The body that answers *ask*."""
    del ask
    return whole(head.id, head.model, head.created, it.text, it.tool_calls, it.reason, it.usage)


def comment(told: Mapping[str, object]) -> bytes:
    """What there is to know about the answer, where only people look."""
    return b": trunkline " + _encode(told) + b"\n\n"


def broken(body: bytes) -> bytes:
    """The error object *body* inside a stream: nothing follows it, no finish reason, no [DONE]."""
    return b"data: " + body + b"\n\n"


def whole(
    answer: str,
    model: str,
    created: int,
    text: str,
    tool_calls: Sequence[ToolCall],
    reason: str,
    usage: Usage | None,
) -> bytes:
    """The answer as one body."""
    message: dict[str, object] = {"role": "assistant", "content": text or None, "refusal": None}
    if tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in tool_calls
        ]
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": reason}
    body: dict[str, object] = {
        "id": answer,
        "object": "chat.completion",
        "created": created,
        "model": model,
        "choices": [choice],
    }
    if usage is not None:
        body["usage"] = counts(usage)
    return _encode(body)


def counts(usage: Usage) -> dict[str, int]:
    """Token counts under OpenAI's names."""
    return {
        "prompt_tokens": usage.prompt_tokens,
        "completion_tokens": usage.completion_tokens,
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
