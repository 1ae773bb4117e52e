"""How long an HTTP server asks its client to stay away."""

import math
from collections.abc import Mapping
from email.utils import parsedate_to_datetime


def retry_after_s(headers: Mapping[str, str]) -> float | None:
    """Seconds to wait, None if *headers* do not say.

    Read from `retry-after-ms` (OpenAI) or `Retry-After` (RFC 9110 section 10.2.3). An HTTP-date is
    measured from the answer's own `Date`, so that neither side's clock matters.
    """
    lowered = {name.lower(): value for name, value in headers.items()}
    for name, unit_s in (("retry-after-ms", 0.001), ("retry-after", 1.0)):
        try:
            wait_s = float(lowered[name]) * unit_s
        except (KeyError, ValueError):
            continue
        if math.isfinite(wait_s):
            return max(0.0, wait_s)
    try:
        until = parsedate_to_datetime(lowered["retry-after"])
        wait_s = (until - parsedate_to_datetime(lowered["date"])).total_seconds()
    except (KeyError, ValueError, TypeError):  # TypeError: only one of the two names its zone
        return None
    return max(0.0, wait_s)
