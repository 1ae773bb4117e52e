"""How often an idle connection is used is learnt from whether it was still there."""

import pytest

from trunkline.core.warmth import LEAST_S, MOST_S, Warmth


def test_it_is_connected_ahead_and_then_kept() -> None:
    """A request of a caller does the same service."""
    warmth = Warmth(first_at=10.0)
    assert warmth.due(used_at=float("-inf")) == 10.0
    warmth.touched(10.0, reused=False)
    assert warmth.due(used_at=float("-inf")) == 10.0 + MOST_S / 2
    assert warmth.due(used_at=20.0) == 20.0 + MOST_S / 2


@pytest.mark.parametrize("kept_s", [5.0, 20.0, 60.0])
def test_it_finds_how_long_a_server_keeps_a_connection(kept_s: float) -> None:
    """After a few times it is mostly there, and is not used much more often than it must be."""
    warmth, now, before, found = Warmth(0.0), 0.0, float("-inf"), []
    for _ in range(60):
        now = warmth.due(float("-inf"))
        reused = now - before <= kept_s
        found.append((reused, now - before))
        warmth.touched(now, reused=reused)
        before = now
    late = found[20:]
    assert sum(reused for reused, _ in late) >= 0.6 * len(late)
    assert sum(gap_s for _, gap_s in late) / len(late) >= min(kept_s, MOST_S) / 2
    assert all(LEAST_S <= gap_s <= MOST_S for _, gap_s in late)


def test_a_server_that_cannot_be_reached_is_not_pestered() -> None:
    """As seldom as can be."""
    warmth = Warmth(0.0)
    for _ in range(10):
        warmth.touched(0.0, reused=False)
    assert warmth.interval_s == LEAST_S
    warmth.touched(0.0, reused=None)
    assert warmth.interval_s == MOST_S
