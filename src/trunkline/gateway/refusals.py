"""What is answered instead of an answer: OpenAI's error object, with its status.

Shape and types: OpenAI API reference "Error codes" and the `openai` Python SDK (`_exceptions.py`,
which raises by status, and from an `error` inside a stream), read November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

_TYPES: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "invalid_request_error",
    403: "invalid_request_error",
    404: "invalid_request_error",
    408: "invalid_request_error",
    413: "invalid_request_error",
    429: "rate_limit_error",
}


@dataclass(eq=False)
class Refusal(Exception):  # it is an answer
    """A request is answered with *status* and an error object; *param* names the field at fault."""

    status: int
    message: str
    code: str | None = None
    param: str | None = None
    retry_after_s: float | None = None
    closes: bool = False
    """The connection is closed behind it: whoever goes on has to knock again."""
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def body(self) -> bytes:
        """The error object."""
        error = {
            "message": self.message,
            "type": _TYPES.get(self.status, "server_error"),
            "param": self.param,
            "code": self.code,
        }
        return msgspec.json.encode({"error": error})


def wrong(param: str, what: str) -> Refusal:
    """A 400: *what* is wrong with the field *param*."""
    return Refusal(400, f"{param}: {what}", "invalid_value", param)


def unsupported(param: str, why: str) -> Refusal:
    """A 400: the field *param* cannot be honoured, and is not ignored either."""
    return Refusal(400, f"{param} is not supported here: {why}", "unsupported_parameter", param)
