"""How long a server asks us to stay away."""

import pytest

from trunkline.net.retry_after import retry_after_s

DATE = "Sun, 22 Nov 2026 18:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "7"}, 7.0),
        ({"Retry-After": "0.5"}, 0.5),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "250", "retry-after": "1"}, 0.25),
        ({"retry-after-ms": "x", "retry-after": "1"}, 1.0),
        ({"retry-after": "Sun, 22 Nov 2026 18:02:00 GMT", "date": DATE}, 120.0),
        ({"retry-after": "Sun, 22 Nov 2026 17:00:00 GMT", "date": DATE}, 0.0),
        ({"retry-after": "Sun, 22 Nov 2026 18:02:00 GMT"}, None),
        ({"retry-after": "Sun, 22 Nov 2026 18:02:00 -0000", "date": DATE}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds and dates; a date without the server's own clock says nothing."""
    assert retry_after_s(headers) == seconds
