"""What an HTTP status that is not the one hoped for means, where providers agree."""

from collections.abc import Mapping

from trunkline.errors import EndpointError, Fault
from trunkline.net.retry_after import retry_after_s

_DETAIL_CHARS = 300


def refusal(
    endpoint: str,
    status: int,
    headers: Mapping[str, str],
    body: bytes,
    *,
    said: str | None = None,
    fault: Fault | None = None,
    wait_s: float | None = None,
) -> EndpointError:
    """429 is `THROTTLED`, 408 and 5xx `UNAVAILABLE`, the rest of 3xx and 4xx `REFUSED`.

    A status below 300 is no refusal but not this protocol either: `MALFORMED`. *said*: the
    provider's reason, where it is not the *body*; *fault*: what it means, where the reason tells
    more than the status; *wait_s*: how long to stay away, where no header says it.
    """
    if fault is not None:
        pass
    elif status == 429:
        fault = Fault.THROTTLED
    elif status >= 500 or status == 408:
        fault = Fault.UNAVAILABLE
    elif status >= 300:
        fault = Fault.REFUSED
    else:
        fault = Fault.MALFORMED
    reason = said or body.decode(errors="replace")
    detail = " ".join(f"HTTP {status} {reason}".split())[:_DETAIL_CHARS]
    told_s = retry_after_s(headers)
    return EndpointError(
        endpoint, fault, detail, retry_after_s=wait_s if told_s is None else told_s
    )
