"""How much to measure."""

import math

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.measure.intervals import Observed, estimate
from trunkline.measure.plan import pilot, plan


def turns(rng: np.random.Generator, blocks: int, between: float) -> Observed:
    """40 turns a block, whose levels differ by *between* in the logarithm."""
    level = np.repeat(rng.normal(0, between, blocks), 40)
    return Observed(
        np.exp(level + rng.normal(0, 0.5, level.size)), np.repeat(np.arange(blocks), 40)
    )


@pytest.mark.parametrize("between", [0.0, 0.25])
def test_the_width_that_a_pilot_foretells_comes_about(between: float) -> None:
    """On average over pilots, within a fifth, whether hours differ or not."""
    rng = np.random.default_rng(6)
    told = [pilot(turns(rng, 50, between), 0.95).half_width(168, 40) for _ in range(40)]
    came = []
    for _ in range(40):
        found = estimate(turns(rng, 168, between), 0.95)
        assert found.value
        assert found.low is not None
        assert found.high is not None
        came.append((found.high - found.low) / 2 / found.value)
    assert np.mean(told) == pytest.approx(np.mean(came), rel=0.2)


def test_more_precision_takes_more_blocks_and_more_money() -> None:
    """A plan keeps what it promises, and never falls below an honest number of blocks."""
    told = pilot(turns(np.random.default_rng(1), 100, 0.3), 0.99)
    wide, narrow = (plan(told, width, 10, 4, price=0.05) for width in (0.2, 0.05))
    assert wide.blocks >= 56
    assert narrow.half_width <= 0.05
    assert narrow.calls == 4 * narrow.blocks > wide.calls
    assert narrow.cost == pytest.approx(narrow.calls * 0.05)


def test_a_pilot_that_shows_too_little_says_what_is_needed() -> None:
    """Too few turns, too many failures, a width that no run reaches."""
    rng = np.random.default_rng(1)
    with pytest.raises(InputError, match="at least 3688 turns"):
        pilot(turns(rng, 50, 0), 0.999)
    seen = turns(rng, 50, 0.3)
    lost = np.where(rng.random(seen.values.size) < 0.2, math.inf, seen.values)
    with pytest.raises(InputError, match="too many turns failed"):
        pilot(Observed(lost, seen.blocks), 0.95)
    with pytest.raises(InputError, match="100000 blocks"):
        plan(pilot(seen, 0.99), 0.0001, 10, 1)
    with pytest.raises(InputError, match="between 0 and 1"):
        plan(pilot(seen, 0.99), 10, 10, 1)
