"""Google's Gemini protocol, `streamGenerateContent` with server-sent events.

Sources, read November 2026, not verified against the live service: the `google-genai` Python SDK
3.4.0 (`types.py`, `models.py`, `_api_client.py`), the pages "Generating content", "Function
calling" and "Thought signatures" of ai.google.dev, and streams that others recorded (see
`tests/providers/llm/recorded_gemini.py`). Wire facts that shape the code:

* Models since Gemini 3 sign their calls and answer 400 if a call of the turn under way comes back
  without its signature (of calls side by side, the first carries it). A signature is good for the
  model that wrote it; in place of another model's, Google documents a word that skips the check.
  Signatures on text are advice, and are not kept.
* Results of tools go under the role `user` and name the function, not only the call.
* Only some models continue a prefix; the others refuse a request that ends with their own turn.

Vertex AI has the same messages below another address, with tokens that expire: not served here.
"""

import re
from collections.abc import Mapping, Sequence
from typing import ClassVar

import msgspec

from trunkline.contracts import Decoder, Request
from trunkline.errors import EndpointError, InputError
from trunkline.providers.json_body import json_body
from trunkline.providers.llm.gemini_stream import ContentDecoder, GeminiError
from trunkline.providers.llm.turns import Answer, Part, Turn, json_object, turns
from trunkline.providers.llm.wishes import renamed, stops, tool_choice
from trunkline.providers.refusals import refusal
from trunkline.types import Delta, Endpoint, Prompt, ToolCall

UNCHECKED = "skip_thought_signature_validator"
"""In place of a signature: the call was not made by this model. Of the documents on thought
signatures only excerpts were at hand, which do not have it; public clients send it, and some call
it documented by Google's Agent Platform (read November 2026)."""

_SIGNS = re.compile(r"gemini-(?![12]\b)")
_NAME = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


_WISHES = {
    "top_p": "topP",
    "seed": "seed",
    "frequency_penalty": "frequencyPenalty",
    "presence_penalty": "presencePenalty",
}
_HOW = {"auto": "AUTO", "none": "NONE", "required": "ANY"}


class _ErrorBody(msgspec.Struct):
    error: GeminiError


class GeminiContent:
    """`Codec[Prompt, Delta]` for `https://generativelanguage.googleapis.com/v1beta`.

    *extra* is laid over the request body, see `json_body`: for a model that thinks before it
    speaks, `{"generationConfig": {"thinkingConfig": {"thinkingBudget": 0}}}`. `InputError` if the
    endpoint claims to go on from exact tokens, or has no name that can stand in an address.
    """

    honours: ClassVar[frozenset[str]] = frozenset({"stop", "tool_choice", *_WISHES})
    """The `Prompt.options` that it knows how to say."""

    def __init__(self, endpoint: Endpoint, *, extra: Mapping[str, object] | None = None) -> None:
        if endpoint.continuation == "token_exact":
            raise InputError(
                f"{endpoint.name}: this protocol cannot go on from exact tokens. "
                f"Use continuation: turn, or prefix for a model that does"
            )
        if not _NAME.fullmatch(endpoint.model):
            raise InputError(
                f"{endpoint.name}: the model {endpoint.model!r} is no name of one. "
                f"Give it like gemini-3.7-flash"
            )
        self._endpoint, self._extra = endpoint, dict(extra or {})
        self._signs = _SIGNS.search(endpoint.model) is not None

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
        limits = {"maxOutputTokens": source.max_tokens, "temperature": source.temperature}
        wishes = renamed(source.options, _WISHES)
        if ends := stops(source.options):
            wishes["stopSequences"] = ends
        body: dict[str, object] = {
            "contents": self._contents(spoken),
            "generationConfig": {
                **{field: it for field, it in limits.items() if it is not None},
                **wishes,
            },
        }
        if system:
            body["systemInstruction"] = {"parts": [{"text": system}]}
        if source.tools:
            declared = [
                {
                    "name": it.name,
                    "description": it.description,
                    "parametersJsonSchema": it.parameters,
                }
                for it in source.tools
            ]
            body["tools"] = [{"functionDeclarations": declared}]
            if choice := tool_choice(source.options):
                only = {"allowedFunctionNames": [choice.name]} if choice.name else {}
                how = {"mode": _HOW[choice.how], **only}
                body["toolConfig"] = {"functionCallingConfig": how}
        name = self._endpoint.model
        path = f"{name if '/' in name else f'models/{name}'}:streamGenerateContent"
        headers = {"Content-Type": "application/json"}
        return Request(path, headers, json_body(body, self._extra), (("alt", "sse"),))

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """The key in a header of its own; in the query it would show in logs."""
        return {"x-goog-api-key": key}

    def decoder(self) -> Decoder[Delta]:
        """A fresh decoder for one response."""
        return ContentDecoder(self._endpoint.name, self._endpoint.model)

    def refusal(
        self, status: int, headers: Mapping[str, str], body: bytes, /
    ) -> EndpointError | Sequence[Delta]:
        """As `providers.refusals` has it; how long to wait stands in the body, not in a header."""
        try:
            error = msgspec.json.decode(body, type=_ErrorBody).error
        except (msgspec.DecodeError, UnicodeDecodeError):
            return refusal(self._endpoint.name, status, headers, body)
        said = f"{error.status} {error.message}"
        return refusal(self._endpoint.name, status, headers, body, said=said, wait_s=error.wait_s)

    def _contents(self, spoken: Sequence[Turn]) -> list[dict[str, object]]:
        # The turn under way began when the user last spoke: only its calls are checked.
        asked = max(
            (
                at
                for at, turn in enumerate(spoken)
                if any(isinstance(it, str) for it in turn.parts) and turn.role == "user"
            ),
            default=0,
        )
        return [
            {"role": turn.role, "parts": self._parts(turn.parts, checked=at > asked)}
            for at, turn in enumerate(spoken)
        ]

    def _parts(self, parts: Sequence[Part], *, checked: bool) -> list[dict[str, object]]:
        sent: list[dict[str, object]] = []
        signed = False
        for part in parts:
            sent.append(_part(part))
            if isinstance(part, ToolCall):
                model, _, signature = part.signature.partition(" ")
                if signature and model == self._endpoint.model:
                    sent[-1]["thoughtSignature"] = signature
                elif checked and self._signs and not signed:
                    sent[-1]["thoughtSignature"] = UNCHECKED
                signed = True
        return sent


def _part(part: Part) -> dict[str, object]:
    match part:
        case str():
            return {"text": part}
        case ToolCall():
            args = json_object(part.arguments, "unreadable")
            return {"functionCall": {"id": part.id, "name": part.name, "args": args}}
        case Answer():
            answer = json_object(part.content, "output")
            return {
                "functionResponse": {
                    "id": part.call.id,
                    "name": part.call.name,
                    "response": answer,
                }
            }
