"""The reading half of Anthropic's Messages protocol: one stream of events into `Delta`s.

Sources as in `anthropic.py`.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.providers.llm.openai_stream import DETAIL_CHARS
from trunkline.types import Delta, Finish, TextDelta, ToolCallDelta, Usage

FILTERED = "content filtering policy"
"""What an error says when the filter struck, which has no type of its own."""

_REASONS = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "tool_use": "tool_calls",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "refusal": "content_filter",
}
_FAULTS = {
    "rate_limit_error": Fault.THROTTLED,
    "invalid_request_error": Fault.REFUSED,
    "authentication_error": Fault.REFUSED,
    "billing_error": Fault.REFUSED,
    "permission_error": Fault.REFUSED,
    "not_found_error": Fault.REFUSED,
    "request_too_large": Fault.REFUSED,
}


class _Block(msgspec.Struct):
    type: str = ""
    id: str = ""
    name: str = ""
    text: str = ""
    input: dict[str, Any] = msgspec.field(default_factory=dict)


class _Delta(msgspec.Struct):
    type: str = ""
    text: str = ""
    partial_json: str = ""
    stop_reason: str | None = None


class _Sums(msgspec.Struct):
    input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None
    output_tokens: int | None = None


class _Message(msgspec.Struct):
    usage: _Sums | None = None


class _Details(msgspec.Struct):
    error_code: str | None = None


class MessagesError(msgspec.Struct):
    """The error object that bodies and streams share."""

    type: str = ""
    message: str = ""
    details: _Details | None = None


class _Event(msgspec.Struct):
    type: str
    index: int = 0
    message: _Message | None = None
    content_block: _Block | None = None
    delta: _Delta | None = None
    usage: _Sums | None = None
    error: MessagesError | None = None


class _Call(msgspec.Struct):
    """A tool block under way: its place among the calls, what it began with, if it was filled."""

    index: int
    given: dict[str, Any]
    filled: bool = False


class MessagesDecoder:
    """`Decoder[Delta]` of one response."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._calls: dict[int, _Call] = {}
        self._said_something = self._ended = False
        self._reason: str | None = None
        self._prompt_tokens: int | None = None
        self._completion_tokens = 0

    def feed(self, event: bytes, /) -> Sequence[Delta]:
        """The useful tokens in one event's data.

        `EndpointError`: `MALFORMED`; what an error inside the stream means; what `end` raises, at
        `message_stop`.
        """
        if self._ended or not event.strip():
            return ()
        try:
            told = msgspec.json.decode(event, type=_Event)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not an event of a message: {exc}") from None
        deltas: Sequence[Delta] = ()
        match told.type:
            case "content_block_start" if told.content_block is not None:
                deltas = self._begun(told.index, told.content_block)
            case "content_block_delta" if told.delta is not None:
                deltas = self._filled(told.index, told.delta)
            case "content_block_stop":
                deltas = self._stopped(told.index)
            case "message_start" | "message_delta":
                self._note(told)
            case "message_stop":
                deltas = self.end()
            case "error":
                deltas = self._failed(told.error or MessagesError())
            case _:
                pass  # pings, and what is added to the protocol some day
        return deltas

    def end(self) -> Sequence[Delta]:
        """`Finish`, once, with the usage; raises `CUT` without a reason, `EMPTY` without a word.

        A refusal is an answer, also without words.
        """
        if self._ended:
            return ()
        if self._reason is None:
            raise self._fault(Fault.CUT, "the stream ended without a stop_reason")
        self._ended = True
        if not self._said_something and self._reason != "content_filter":
            raise self._fault(Fault.EMPTY, f"finished ({self._reason}) without a word or a call")
        if self._prompt_tokens is None:
            return (Finish(self._reason),)
        return (Finish(self._reason, Usage(self._prompt_tokens, self._completion_tokens)),)

    def _begun(self, place: int, block: _Block) -> Sequence[Delta]:
        if block.type != "tool_use":
            return self._text(block.text) if block.type == "text" else ()
        if place in self._calls:
            raise self._fault(Fault.MALFORMED, f"two tool calls have the index {place}")
        self._calls[place] = call = _Call(len(self._calls), block.input)
        self._said_something = True
        return (ToolCallDelta(call.index, block.id, block.name, ""),)

    def _filled(self, place: int, delta: _Delta) -> Sequence[Delta]:
        if delta.type == "text_delta":
            return self._text(delta.text)
        if delta.type != "input_json_delta" or not delta.partial_json or place not in self._calls:
            return ()
        self._calls[place].filled = True
        return (ToolCallDelta(self._calls[place].index, "", "", delta.partial_json),)

    def _stopped(self, place: int) -> Sequence[Delta]:
        call = self._calls.get(place)
        if call is None or call.filled:
            return ()
        call.filled = True  # whoever reads the arguments wants an object, though it be empty
        return (ToolCallDelta(call.index, "", "", msgspec.json.encode(call.given).decode()),)

    def _text(self, text: str) -> Sequence[Delta]:
        self._said_something = self._said_something or bool(text.strip())
        return (TextDelta(text),) if text else ()

    def _note(self, told: _Event) -> None:
        """The reason and the sums, which come at the start, at the end, or at both."""
        if told.delta is not None and told.delta.stop_reason:
            self._reason = _REASONS.get(told.delta.stop_reason, told.delta.stop_reason)
        usage = told.usage or (told.message or _Message()).usage
        if usage is None:
            return
        if usage.input_tokens is not None:
            cached = (usage.cache_creation_input_tokens, usage.cache_read_input_tokens)
            self._prompt_tokens = usage.input_tokens + sum(it or 0 for it in cached)
        if usage.output_tokens is not None:
            self._completion_tokens = usage.output_tokens

    def _failed(self, error: MessagesError) -> Sequence[Delta]:
        if FILTERED in error.message:
            self._reason = "content_filter"
            return self.end()
        said = f"error inside the stream: {error.type or 'error'}: {error.message or 'no message'}"
        raise self._fault(_FAULTS.get(error.type, Fault.UNAVAILABLE), said[:DETAIL_CHARS])

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)
