"""What a close means that came too soon."""

import pytest

from trunkline.errors import Fault
from trunkline.net.closing import closing_fault


@pytest.mark.parametrize(
    ("code", "fault"),
    [
        (1000, Fault.CUT),
        (1001, Fault.CUT),
        (1005, Fault.CUT),
        (1006, Fault.CUT),
        (4003, Fault.CUT),
        (1002, Fault.REFUSED),
        (1008, Fault.REFUSED),
        (1009, Fault.REFUSED),
        (1011, Fault.UNAVAILABLE),
        (1012, Fault.UNAVAILABLE),
        (1013, Fault.UNAVAILABLE),
    ],
)
def test_a_close_code_is_a_fault(code: int, fault: Fault) -> None:
    """Also one that says that all is well: the answer is not complete."""
    assert closing_fault("ears", code, "").fault is fault


def test_the_reason_is_told_in_one_short_line() -> None:
    """An operator sees the provider's own words."""
    error = closing_fault("ears", 1011, "NET-0001\n" + "x" * 1000)
    assert "closed with 1011: NET-0001 xxx" in str(error)
    assert len(str(error)) < 400
    assert "lost" in str(closing_fault("ears", 1006, ""))
