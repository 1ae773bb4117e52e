"""The reading half of the chat completions protocol: one stream of chunks into `Delta`s.

Sources as in `openai.py`. Wire facts that shape the code:

* The first chunk has a role and no text; reasoning models and gateways send chunks and comments
  for seconds before the first word. Only text, refusals and tool calls come out of here.
* `finish_reason` comes before the usage chunk, whose `choices` are empty or null, and that comes
  before `[DONE]`, which some servers leave out. So `Finish` waits for `[DONE]` or the end.
* A server that fails after its 200 sends an object with `error`, and often `[DONE]` after it.
"""

from collections.abc import Sequence

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.types import Delta, Finish, TextDelta, ToolCallDelta, Usage

DETAIL_CHARS = 300
"""How much of a provider's own words an error quotes."""


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    index: int | None = None
    id: str | None = None
    function: _Function | None = None


class _Delta(msgspec.Struct, gc=False):
    content: str | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    index: int = 0
    delta: _Delta | None = None
    finish_reason: str | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class WireError(msgspec.Struct):
    """The error object that bodies and streams share; a few servers send a bare string."""

    message: str | None = None
    type: str | None = None
    code: int | str | None = None


class _Chunk(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    usage: _Usage | None = None
    error: WireError | str | None = None


_lines = msgspec.json.Decoder(_Chunk)


class ChatDecoder:
    """`Decoder[Delta]` of one response.

    A tool call is known by its index; its id and name are told once, however often they come.
    """

    def __init__(self, endpoint: str) -> None:
        self._endpoint = endpoint
        self._calls: dict[int, tuple[str, str]] = {}
        self._said_something = False
        self._refused = False
        self._reason: str | None = None
        self._usage: Usage | None = None
        self._ended = False

    def feed(self, event: bytes, /) -> Sequence[Delta]:
        """The useful tokens in one event's data.

        `EndpointError`: `MALFORMED`; `UNAVAILABLE` or `THROTTLED` for an error inside the stream;
        what `end` raises, at `[DONE]`.
        """
        data = event.strip()
        if self._ended or not data:  # an empty event is a keep-alive
            return ()
        if data == b"[DONE]":
            return self.end()
        try:
            chunk = msgspec.json.decode(data, type=_Chunk)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not a chat completion chunk: {exc}") from None
        return self._taken(chunk)

    def feed_all(self, events: Sequence[bytes], into: list[Delta]) -> None:
        """As `feed`, of all *events*, whose JSON is decoded in one go; what there was before an
        error is in *into*."""
        done = [events[-1]] if events and events[-1] == b"[DONE]" else []
        events = events[: len(events) - len(done)]
        try:
            chunks = _lines.decode_lines(b"\n".join(events))
        except (msgspec.DecodeError, UnicodeDecodeError):
            chunks = []
        if self._ended or len(chunks) != len(events):  # nothing more, or something is wrong
            for event in events:
                into += self.feed(event)
            chunks = []
        for chunk in chunks:
            choices = chunk.choices
            if choices and len(choices) == 1 and chunk.usage is None and chunk.error is None:
                choice = choices[0]
                delta = choice.delta
                if choice.finish_reason is None and delta is not None and not choice.index:
                    text = delta.content
                    if text and delta.refusal is None and delta.tool_calls is None:
                        self._said_something = self._said_something or not text.isspace()
                        into.append(TextDelta(text))
                        continue
            into += self._taken(chunk)
        for event in done:
            into += self.feed(event)

    def _taken(self, chunk: _Chunk) -> Sequence[Delta]:
        if chunk.error is not None:
            return self._failed(wire_error(chunk.error))
        if chunk.usage is not None:
            self._usage = Usage(chunk.usage.prompt_tokens or 0, chunk.usage.completion_tokens or 0)
        deltas: list[Delta] = []
        for choice in chunk.choices or ():
            if choice.index == 0:  # we ask for one
                self._read(choice, deltas)
        return deltas

    def end(self) -> Sequence[Delta]:
        """`Finish`, once, with the usage; raises `CUT` without a reason, `EMPTY` without a word.

        A content filter's stop or a refusal is an answer, also without words.
        """
        if self._ended:
            return ()
        if self._reason is None:
            raise self._fault(Fault.CUT, "the stream ended without a finish_reason")
        self._ended = True
        if not self._said_something and self._reason != "content_filter":
            raise self._fault(Fault.EMPTY, f"finished ({self._reason}) without a word or a call")
        return (Finish(self._reason, self._usage),)

    def _read(self, choice: _Choice, deltas: list[Delta]) -> None:
        delta = choice.delta or _Delta()
        # The words of a refusal are the answer that the caller is to hear.
        self._refused = self._refused or bool(delta.refusal)
        for text in (delta.content, delta.refusal):
            if text:
                self._said_something = self._said_something or not text.isspace()
                deltas.append(TextDelta(text))
        for position, call in enumerate(delta.tool_calls or ()):
            self._call(position if call.index is None else call.index, call, deltas)
        if choice.finish_reason in {"error", "abort"}:  # OpenRouter's and SGLang's word for it
            raise self._fault(Fault.UNAVAILABLE, f"gave up: finish_reason {choice.finish_reason}")
        if choice.finish_reason:
            self._reason = "content_filter" if self._refused else choice.finish_reason

    def _call(self, index: int, call: _ToolCall, deltas: list[Delta]) -> None:
        function = call.function or _Function()
        known_id, known_name = self._calls.get(index, ("", ""))
        if call.id and known_id and call.id != known_id:
            raise self._fault(Fault.MALFORMED, f"two tool calls have the index {index}")
        call_id = "" if known_id else call.id or ""
        name = "" if known_name else function.name or ""
        arguments = function.arguments or ""
        if call_id or name or arguments:
            self._calls[index] = (known_id or call_id, known_name or name)
            self._said_something = True
            deltas.append(ToolCallDelta(index, call_id, name, arguments))

    def _failed(self, error: WireError) -> Sequence[Delta]:
        words = {str(error.code), str(error.type)}
        if "content_filter" in words:
            self._reason = "content_filter"
            return self.end()
        throttled = words & {"429", "rate_limit_exceeded", "rate_limit_error"}
        fault = Fault.THROTTLED if throttled else Fault.UNAVAILABLE
        said = f"{error.code or error.type or 'error'}: {error.message or 'no message'}"
        raise self._fault(fault, f"error inside the stream: {said}"[:DETAIL_CHARS])

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)


def wire_error(error: WireError | str) -> WireError:
    """*error* as an object, whichever way it came."""
    return WireError(message=error) if isinstance(error, str) else error
