"""Answers in the words of OpenAI's Responses API: typed events of a stream, or one body.

An answer is a list of items: a message with one text, then calls of functions, in the order in
which they began. Each is opened, filled and closed; the last event repeats the whole answer. An
answer that failed ends in `response.failed`, and its body breaks off. What Trunkline has to say
stands in a comment before the last event.

Shapes and order: OpenAI API reference "Responses: streaming events", and `types/responses/*` of the
`openai` SDK 3.54.0, November 2026.
"""

from collections.abc import Mapping, Sequence

import msgspec

from trunkline.gateway.answers import Head, Whole, comment
from trunkline.gateway.refusals import Refusal
from trunkline.gateway.requests import Ask
from trunkline.types import ToolCall, ToolCallDelta, Usage

_encode = msgspec.json.encode
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}
Item = dict[str, object]


class Events:
    """The events of one stream, as bytes."""

    def __init__(self, head: Head, ask: Ask) -> None:
        self._head, self._ask = head, ask
        self._number = 0
        self._items: list[Item] = []
        self._text: list[str] = []
        self._arguments: list[str] = []
        self._call = -1  # the index of the call that is open
        self._open: Item | None = None
        self._begun = False

    def text(self, pieces: Sequence[str]) -> bytes:
        """An event for each of *pieces*."""
        out = self._begin()
        if self._open is None or self._open["type"] != "message":
            out += self._close("completed") + self._add(_message(self._id("msg"), "in_progress"))
            out += self._part("added", _text(""))
            self._text.clear()
        self._text += pieces
        where = self._at | {"content_index": 0}
        told = [self._event("response.output_text.delta", _delta(where, it)) for it in pieces]
        return out + b"".join(told)

    def tool(self, delta: ToolCallDelta) -> bytes:
        """A part of a call; a new index begins another one."""
        out = self._begin()
        if self._call != delta.index or self._open is None or self._open["type"] == "message":
            out += self._close("completed")
            self._call, self._arguments = delta.index, []
            item = _call(self._id("fc"), delta.id, delta.name, "", "in_progress")
            out += self._add(item)
        if delta.arguments:
            self._arguments.append(delta.arguments)
            filled = self._at | {"delta": delta.arguments}
            out += self._event("response.function_call_arguments.delta", filled)
        return out

    def end(self, reason: str, usage: Usage | None, told: Mapping[str, object]) -> bytes:
        """The last item is closed, and all is said again."""
        status = "incomplete" if reason in _INCOMPLETE else "completed"
        out = self._begin() + self._close(status) + comment(told)
        answer = _response(self._head, self._ask, self._items, reason, usage)
        return out + self._event(f"response.{status}", {"response": answer})

    def broken(self, refusal: Refusal, told: Mapping[str, object]) -> bytes:
        """What was said stays incomplete."""
        out = self._begin() + self._close("incomplete") + comment(told)
        answer = _response(self._head, self._ask, self._items, "failed", None)
        answer["error"] = {"code": "server_error", "message": refusal.message}
        return out + self._event("response.failed", {"response": answer})

    # -- inside --------------------------------------------------------------------------------

    @property
    def _at(self) -> Item:
        assert self._open is not None  # noqa: S101  # whoever asks has opened one
        return {"item_id": self._open["id"], "output_index": len(self._items)}

    def _begin(self) -> bytes:
        if self._begun:
            return b""
        self._begun = True
        answer = {"response": _response(self._head, self._ask, [], "", None)}
        return self._event("response.created", answer) + self._event("response.in_progress", answer)

    def _add(self, item: Item) -> bytes:
        self._open = item
        told = {"output_index": len(self._items), "item": item}
        return self._event("response.output_item.added", told)

    def _part(self, what: str, part: Item) -> bytes:
        where = self._at | {"content_index": 0, "part": part}
        return self._event(f"response.content_part.{what}", where)

    def _close(self, status: str) -> bytes:
        """The end of the item that is open, if one is."""
        item = self._open
        if item is None:
            return b""
        if item["type"] == "message":
            said = "".join(self._text)
            where = self._at | {"content_index": 0, "text": said, "logprobs": []}
            out = self._event("response.output_text.done", where) + self._part("done", _text(said))
            item = _message(str(item["id"]), status, said)
        else:
            arguments = "".join(self._arguments)
            done = self._at | {"arguments": arguments, "name": item["name"]}
            out = self._event("response.function_call_arguments.done", done)
            item = item | {"arguments": arguments, "status": status}
        told = {"output_index": len(self._items), "item": item}
        out += self._event("response.output_item.done", told)
        self._items.append(item)
        self._open = None
        return out

    def _id(self, kind: str) -> str:
        return _item_id(kind, self._head, len(self._items) + (self._open is not None))

    def _event(self, kind: str, told: Mapping[str, object]) -> bytes:
        data = _encode({"type": kind, "sequence_number": self._number, **told})
        self._number += 1
        return b"event: " + kind.encode() + b"\ndata: " + data + b"\n\n"


def writer(head: Head, ask: Ask) -> Events:
    """The stream that answers *ask*."""
    return Events(head, ask)


def body(head: Head, ask: Ask, it: Whole) -> bytes:
    """The body that answers *ask*."""
    status = "incomplete" if it.reason in _INCOMPLETE else "completed"
    items = [_message(_item_id("msg", head, 0), status, it.text)] if it.text else []
    for call in it.tool_calls:
        items.append(_called(_item_id("fc", head, len(items)), call, status))
    return _encode(_response(head, ask, items, it.reason, it.usage))


def _item_id(kind: str, head: Head, place: int) -> str:
    return f"{kind}_{head.id.removeprefix('resp_')}{place:02d}"


def _delta(where: Item, piece: str) -> Item:
    return where | {"delta": piece, "logprobs": []}


def _text(said: str) -> Item:
    return {"type": "output_text", "text": said, "annotations": [], "logprobs": []}


def _message(name: str, status: str, said: str | None = None) -> Item:
    content = [] if said is None else [_text(said)]
    message = {"type": "message", "id": name, "status": status, "role": "assistant"}
    return {**message, "content": content}


def _call(name: str, call: str, function: str, arguments: str, status: str) -> Item:
    return {
        "type": "function_call",
        "id": name,
        "call_id": call,
        "name": function,
        "arguments": arguments,
        "status": status,
    }


def _called(name: str, call: ToolCall, status: str) -> Item:
    return _call(name, call.id, call.name, call.arguments, status)


def _response(
    head: Head, ask: Ask, items: Sequence[Item], reason: str, usage: Usage | None
) -> Item:
    """The answer as far as it is; *reason*: "" while it is written."""
    status = "in_progress" if not reason else "failed" if reason == "failed" else "completed"
    short = _INCOMPLETE.get(reason)
    answer: Item = {
        "id": head.id,
        "object": "response",
        "created_at": head.created,
        "status": "incomplete" if short else status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": short} if short else None,
        "instructions": None,
        "max_output_tokens": None,
        "metadata": {},
        "model": head.model,
        "output": items,
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": False,
        "temperature": None,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": None,
        "truncation": "disabled",
        "usage": None if usage is None else _counts(usage),
    }
    return answer | dict(ask.given)


def _counts(usage: Usage) -> Item:
    """Under this API's names. What endpoints do not tell of caches and thoughts counts as none."""
    return {
        "input_tokens": usage.prompt_tokens,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": usage.completion_tokens,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.prompt_tokens + usage.completion_tokens,
    }
