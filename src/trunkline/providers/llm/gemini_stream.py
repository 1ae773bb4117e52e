"""The reading half of Google's Gemini protocol: one stream of responses into `Delta`s.

Sources as in `gemini.py`. Wire facts that shape the code:

* Nothing marks the end: the last response has a `finishReason`, as had every response of some
  older models. So `Finish` waits for the end of the stream.
* A call comes whole, in one response; not every model gives it an id.
* Parts marked as `thought`, and empty texts that only carry a signature, are no useful tokens.
* A prompt that is blocked has `promptFeedback` and no candidate.
* An error after the 200 is an object `error`; the service has been seen to send it outside of any
  event, which makes the stream end without a reason.
"""

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.providers.llm.openai_stream import DETAIL_CHARS
from trunkline.types import Delta, Finish, TextDelta, ToolCallDelta, Usage

_REASONS = {
    "STOP": "stop",
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
    "ESCALATION": "content_filter",
    "MODEL_ARMOR": "content_filter",
}
_FAULTS = {  # what is in neither table gave up: OTHER, LANGUAGE, TOO_MANY_TOOL_CALLS ...
    "MALFORMED_FUNCTION_CALL": Fault.MALFORMED,
    "MALFORMED_RESPONSE": Fault.MALFORMED,
    "UNEXPECTED_TOOL_CALL": Fault.MALFORMED,
    "MISSING_THOUGHT_SIGNATURE": Fault.REFUSED,
    "PUP_LIMITED_DISABLED": Fault.REFUSED,
}
_SECONDS = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)s")


class _FunctionCall(msgspec.Struct):
    name: str
    id: str | None = None
    args: dict[str, Any] | None = None


class _Part(msgspec.Struct, rename="camel"):
    text: str | None = None
    thought: bool | None = None
    function_call: _FunctionCall | None = None
    thought_signature: str | None = None


class _Content(msgspec.Struct):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, rename="camel"):
    index: int = 0
    content: _Content | None = None
    finish_reason: str | None = None


class _Feedback(msgspec.Struct, rename="camel"):
    block_reason: str | None = None


class _Sums(msgspec.Struct, rename="camel"):
    prompt_token_count: int | None = None
    tool_use_prompt_token_count: int | None = None
    candidates_token_count: int | None = None
    thoughts_token_count: int | None = None


class _Detail(msgspec.Struct, rename="camel"):
    retry_delay: str | None = None


class GeminiError(msgspec.Struct):
    """The error object that bodies and streams share (`google.rpc.Status` in JSON)."""

    code: int = 0
    message: str = ""
    status: str = ""
    details: list[_Detail] | None = None

    @property
    def wait_s(self) -> float | None:
        """How long to stay away, in seconds, if `google.rpc.RetryInfo` says it."""
        told = (_SECONDS.fullmatch(it.retry_delay or "") for it in self.details or ())
        return next((float(it[1]) for it in told if it is not None), None)


class _Response(msgspec.Struct, rename="camel"):
    candidates: list[_Candidate] | None = None
    prompt_feedback: _Feedback | None = None
    usage_metadata: _Sums | None = None
    error: GeminiError | None = None


class ContentDecoder:
    """`Decoder[Delta]` of one response of *model*, whose name its signatures carry."""

    def __init__(self, endpoint: str, model: str) -> None:
        self._endpoint, self._model = endpoint, model
        self._calls = 0
        self._said_something = self._ended = False
        self._reason: str | None = None
        self._usage: Usage | None = None

    def feed(self, event: bytes, /) -> Sequence[Delta]:
        """The useful tokens in one event's data.

        `EndpointError`: `MALFORMED`; what an error inside the stream, or a reason to finish that
        is none of an answer, means.
        """
        if self._ended or not event.strip():
            return ()
        try:
            told = msgspec.json.decode(event, type=_Response)
        except (msgspec.DecodeError, UnicodeDecodeError) as exc:
            raise self._fault(Fault.MALFORMED, f"not a response with content: {exc}") from None
        if told.error is not None:
            raise self._failed(told.error)
        if (sums := told.usage_metadata) is not None:
            self._usage = Usage(
                (sums.prompt_token_count or 0) + (sums.tool_use_prompt_token_count or 0),
                (sums.candidates_token_count or 0) + (sums.thoughts_token_count or 0),
            )
        if told.prompt_feedback is not None and told.prompt_feedback.block_reason:
            self._reason = "content_filter"
        deltas: list[Delta] = []
        for candidate in told.candidates or ():
            if candidate.index == 0:  # we ask for one
                self._read(candidate, deltas)
        return deltas

    def end(self) -> Sequence[Delta]:
        """`Finish`, once, with the usage; raises `CUT` without a reason, `EMPTY` without a word.

        A blocked prompt and a filtered answer are answers, also without words.
        """
        if self._ended:
            return ()
        if self._reason is None:
            raise self._fault(Fault.CUT, "the stream ended without a finishReason")
        self._ended = True
        if not self._said_something and self._reason != "content_filter":
            raise self._fault(Fault.EMPTY, f"finished ({self._reason}) without a word or a call")
        reason = "tool_calls" if self._calls and self._reason == "stop" else self._reason
        return (Finish(reason, self._usage),)

    def _read(self, candidate: _Candidate, deltas: list[Delta]) -> None:
        for part in (candidate.content.parts if candidate.content else None) or ():
            if part.function_call is not None:
                deltas.append(self._call(part.function_call, part.thought_signature))
            elif part.text and not part.thought:
                self._said_something = self._said_something or not part.text.isspace()
                deltas.append(TextDelta(part.text))
        if not (reason := candidate.finish_reason):
            return
        if reason not in _REASONS:
            fault = _FAULTS.get(reason, Fault.UNAVAILABLE)
            raise self._fault(fault, f"gave up: finishReason {reason}"[:DETAIL_CHARS])
        self._reason = _REASONS[reason]

    def _call(self, call: _FunctionCall, signature: str | None) -> Delta:
        index = self._calls
        self._calls += 1
        self._said_something = True
        return ToolCallDelta(
            index,
            call.id or f"call_{index}",
            call.name,
            msgspec.json.encode(call.args or {}).decode(),
            f"{self._model} {signature}" if signature else "",
        )

    def _failed(self, error: GeminiError) -> EndpointError:
        if error.code == 429 or error.status == "RESOURCE_EXHAUSTED":
            fault = Fault.THROTTLED
        elif 400 <= error.code < 500 and error.code != 408:
            fault = Fault.REFUSED
        else:
            fault = Fault.UNAVAILABLE
        said = f"error inside the stream: {error.status or error.code}: {error.message}"
        return EndpointError(self._endpoint, fault, said[:DETAIL_CHARS], retry_after_s=error.wait_s)

    def _fault(self, fault: Fault, detail: str) -> EndpointError:
        return EndpointError(self._endpoint, fault, detail)
