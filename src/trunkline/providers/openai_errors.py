"""What OpenAI's audio endpoints, and those of servers that speak like it, say when they refuse."""

from collections.abc import Mapping

import msgspec

from trunkline.errors import EndpointError, Fault
from trunkline.providers.refusals import refusal


class _Error(msgspec.Struct):
    message: str | None = None
    type: str | None = None
    code: str | int | None = None


class _Body(msgspec.Struct):
    error: _Error | str | None = None


def openai_refusal(
    endpoint: str, status: int, headers: Mapping[str, str], body: bytes
) -> EndpointError:
    """As `refusal`; a 429 for an exhausted account is `REFUSED`, for waiting does not mend it."""
    try:
        error = msgspec.json.decode(body, type=_Body).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        error = None
    if not isinstance(error, _Error):
        return refusal(endpoint, status, headers, body, said=error)
    code = error.code or error.type or ""
    return refusal(
        endpoint,
        status,
        headers,
        body,
        said=f"{code} {error.message or ''}",
        fault=Fault.REFUSED if status == 429 and code == "insufficient_quota" else None,
    )
