"""The reading half of OpenAI's Responses protocol: one stream of events into `Delta`s.

Sources as in `openai_responses.py`. Wire facts that shape the code:

* The answer is a list of items, each added, filled and done; `output_index` tells which. Reasoning
  items are no useful tokens.
* `response.completed`, `.incomplete` or `.failed` ends the stream; there is no `[DONE]`.
* An error is an event `error`, documented with its fields beside the type and recorded with them in
  an object `error`; `response.failed` with the same words may follow it, or come alone.
"""

from collections.abc import Sequence

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.providers.llm.openai_stream import DETAIL_CHARS
from trunkline.types import Delta, Finish, TextDelta, ToolCallDelta, Usage

FILTERED = frozenset(
    {"content_filter", "invalid_prompt", "bio_policy", "misalignment_policy_violation"}
)
"""Codes of errors by which a policy, not a failure, ends the answer."""

_FAULTS = {
    "rate_limit_exceeded": Fault.THROTTLED,
    "insufficient_quota": Fault.REFUSED,
    "data_residency_mismatch": Fault.REFUSED,
    "invalid_request_error": Fault.REFUSED,
}
_INCOMPLETE = {"max_output_tokens": "length", "content_filter": "content_filter"}


class ResponsesError(msgspec.Struct):
    """The error object that bodies and streams share."""

    code: str | None = None
    message: str | None = None
    type: str | None = None


class _Item(msgspec.Struct):
    type: str = ""
    call_id: str = ""
    name: str = ""
    arguments: str | None = None


class _Sums(msgspec.Struct):
    input_tokens: int = 0
    output_tokens: int = 0


class _Details(msgspec.Struct):
    reason: str | None = None


class _Response(msgspec.Struct):
    error: ResponsesError | None = None
    incomplete_details: _Details | None = None
    usage: _Sums | None = None


class _Event(msgspec.Struct):
    type: str
    output_index: int = 0
    delta: str | dict[str, object] | None = None  # text, but for events that we do not know
    arguments: str | None = None
    item: _Item | None = None
    response: _Response | None = None
    error: ResponsesError | None = None
    code: str | None = None
    message: str | None = None


class _Call(msgspec.Struct):
    """A call under way: its place among the calls, and whether its arguments began to come."""

    index: int
    filled: bool = False


class ResponsesDecoder:
    """`Decoder[Delta]` of one response."""

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._calls: dict[int, _Call] = {}
        self._said_something = self._refused = self._ended = False
        self._reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: bytes, /) -> Sequence[Delta]:
        """The useful tokens in one event's data.

        `EndpointError`: `MALFORMED`; what an error inside the stream means; what `end` raises, at
        the event that ends the response.
        """
        if self._ended or event.strip() in {b"", b"[DONE]"}:  # some compatible servers send it
            return ()
        try:
            told = msgspec.json.decode(event, type=_Event)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not an event of a response: {exc}") from None
        deltas: Sequence[Delta] = ()
        match told.type:
            case "response.output_text.delta" if isinstance(told.delta, str):
                deltas = self._text(told.delta)
            case "response.refusal.delta" if isinstance(told.delta, str):
                self._refused = True
                deltas = self._text(told.delta)  # its words are the answer that the caller hears
            case "response.output_item.added" | "response.output_item.done" if told.item:
                deltas = self._item(told.output_index, told.item, told.type.endswith("done"))
            case "response.function_call_arguments.delta" if isinstance(told.delta, str):
                deltas = self._arguments(told.output_index, told.delta, whole=False)
            case "response.function_call_arguments.done" if told.arguments is not None:
                deltas = self._arguments(told.output_index, told.arguments, whole=True)
            case "response.completed" | "response.incomplete" | "response.failed" | "error":
                deltas = self._over(told)
            case _:
                pass  # created, in progress, reasoning, and what is added some day
        return deltas

    def end(self) -> Sequence[Delta]:
        """`Finish`, once, with the usage; raises `CUT` without a reason, `EMPTY` without a word.

        A content filter's stop or a refusal is an answer, also without words.
        """
        if self._ended:
            return ()
        if self._reason is None:
            raise self._fault(Fault.CUT, "the stream ended without response.completed")
        self._ended = True
        if not self._said_something and self._reason != "content_filter":
            raise self._fault(Fault.EMPTY, f"finished ({self._reason}) without a word or a call")
        return (Finish(self._reason, self._usage),)

    def _text(self, text: str) -> Sequence[Delta]:
        self._said_something = self._said_something or bool(text.strip())
        return (TextDelta(text),) if text else ()

    def _item(self, place: int, item: _Item, done: bool) -> Sequence[Delta]:
        if item.type != "function_call":
            return ()
        deltas: list[Delta] = []
        if place not in self._calls:
            self._calls[place] = call = _Call(len(self._calls))
            self._said_something = True
            deltas.append(ToolCallDelta(call.index, item.call_id, item.name, ""))
        if done:
            deltas += self._arguments(place, item.arguments or "{}", whole=True)
        return deltas

    def _arguments(self, place: int, text: str, *, whole: bool) -> Sequence[Delta]:
        """*whole*: all of them once more, which is news only if they did not come in pieces."""
        call = self._calls.get(place)
        if call is None or not text or (whole and call.filled):
            return ()
        call.filled = True
        return (ToolCallDelta(call.index, "", "", text),)

    def _over(self, told: _Event) -> Sequence[Delta]:
        response = told.response or _Response()
        if response.usage is not None:
            self._usage = Usage(response.usage.input_tokens, response.usage.output_tokens)
        match told.type:
            case "response.completed":
                self._reason = "tool_calls" if self._calls else "stop"
                if self._refused:
                    self._reason = "content_filter"
            case "response.incomplete":
                why = (response.incomplete_details or _Details()).reason or "no reason"
                if why not in _INCOMPLETE:
                    raise self._fault(Fault.UNAVAILABLE, f"gave up: {why}"[:DETAIL_CHARS])
                self._reason = _INCOMPLETE[why]
            case _:
                error = told.error or response.error or ResponsesError(told.code, told.message)
                self._fail(error)
        return self.end()

    def _fail(self, error: ResponsesError) -> None:
        """Raise what *error* means, or note that it is an answer."""
        words = [word for word in (error.code, error.type) if word]
        if FILTERED.intersection(words):
            self._reason = "content_filter"
            return
        fault = next((_FAULTS[word] for word in words if word in _FAULTS), Fault.UNAVAILABLE)
        said = f"{words[0] if words else 'error'}: {error.message or 'no message'}"
        raise self._fault(fault, f"error inside the stream: {said}"[:DETAIL_CHARS])

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)
