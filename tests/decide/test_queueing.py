"""Lines and slots against published tables, and against one another."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.decide.queueing import erlang_b, erlang_c, lines_for, slots_for, wait_s


def test_erlang_agrees_with_the_tables() -> None:
    """Ten erlangs on fifteen lines: the values that every table has."""
    assert erlang_b(10, 15) == pytest.approx(0.0365, abs=5e-5)
    assert erlang_c(10, 15) == pytest.approx(0.102, abs=5e-4)
    assert erlang_c(15, 15) == 1


@pytest.mark.parametrize(("erlangs", "lines"), [(0.909, 6), (9.09, 20), (90.9, 118), (454.5, 507)])
def test_lines_are_the_fewest_that_keep_the_grade_of_service(erlangs: float, lines: int) -> None:
    """One call in a thousand may be blocked, and one line fewer would block more."""
    assert lines_for(np.array([erlangs]), 0.001)[0] == lines
    assert erlang_b(erlangs, lines) <= 0.001 < erlang_b(erlangs, lines - 1)


def test_more_slots_are_used_better() -> None:
    """Pooling: 8, 16, 32 and 64 slots carry 30, 85, 208 and 474 calls with a turn each 8 s."""
    calls = np.array([30.0, 85.0, 208.0, 474.0])
    service_s = np.full(4, 0.9)
    assert slots_for(calls / 8 * service_s, service_s, 0.2).tolist() == [8, 16, 32, 64]


@given(st.floats(0.01, 60), st.floats(0.05, 10), st.floats(0.01, 2))
def test_slots_keep_the_wait_and_one_fewer_does_not(
    erlangs: float, service_s: float, wait_p99_s: float
) -> None:
    """The vector form and the scalar form are the same law."""
    slots = int(slots_for(np.array([erlangs]), np.array([service_s]), wait_p99_s)[0])
    assert wait_s(erlangs, slots, service_s, 0.99) <= wait_p99_s * (1 + 1e-9)
    if slots > 1:
        assert wait_s(erlangs, slots - 1, service_s, 0.99) > wait_p99_s * (1 - 1e-9)


def test_too_few_slots_never_catch_up() -> None:
    """A wait without an end is infinite, not a large number."""
    assert wait_s(4, 4, 1.0, 0.99) == math.inf
