"""Open-loop arrivals."""

import numpy as np
import pytest

from trunkline.errors import InputError
from trunkline.measure.arrivals import drawn, profile, ramp, steps, traced


@pytest.mark.parametrize("cv", [0.0, 0.5, 1.0, 3.0])
def test_arrivals_have_the_rate_and_the_burstiness_that_was_asked_for(cv: float) -> None:
    """10 calls a second for an hour or so."""
    at_s = drawn(steps([(10.0, 4_000.0)]), np.random.default_rng(1), cv)
    gaps = np.diff(at_s)
    assert (gaps >= 0).all()
    assert at_s.size / 4_000 == pytest.approx(10, rel=0.06)
    assert gaps.std() / gaps.mean() == pytest.approx(cv, abs=0.05 + cv / 20)


def test_poisson_counts_vary_as_their_mean_from_the_first_second_on() -> None:
    """The variance of the number of calls in a short run is its mean."""
    rng = np.random.default_rng(2)
    counts = [drawn(steps([(5.0, 2.0)]), rng).size for _ in range(4_000)]
    assert np.mean(counts) == pytest.approx(10, rel=0.05)
    assert np.var(counts) == pytest.approx(10, rel=0.1)


def test_a_ramp_has_its_calls_late_and_steps_where_they_belong() -> None:
    """From 0 to 20 a second: three quarters in the second half."""
    rng = np.random.default_rng(3)
    at_s = drawn(ramp(0, 20, 1_000), rng)
    assert (at_s > 500).mean() == pytest.approx(0.75, abs=0.02)
    stepped = drawn(steps([(1, 100), (0, 100), (10, 100)]), rng)
    assert ((stepped > 100) & (stepped < 200)).sum() == 0
    assert (stepped > 200).mean() == pytest.approx(10 / 11, abs=0.04)


def test_a_busy_hour_gets_its_share() -> None:
    """Hours of a day, in shares."""
    load = profile([1.0] * 23 + [5.0], calls=28_000, duration_s=86_400)
    assert load.calls == pytest.approx(28_000)
    at_s = drawn(load, np.random.default_rng(4))
    assert (at_s > 23 * 3_600).mean() == pytest.approx(5 / 28, abs=0.01)


def test_a_trace_is_replayed_from_its_first_call() -> None:
    """Twice as fast if asked to; no calls of a load without any."""
    assert traced([50.0, 40.0, 44.0], faster=2.0).tolist() == [0.0, 2.0, 5.0]
    assert drawn(steps([(0.0, 10.0)]), np.random.default_rng(1)).size == 0


def test_what_is_no_load_is_refused() -> None:
    """Negative rates, no duration, an absurd number of calls."""
    for bad in (
        lambda: steps([]),
        lambda: steps([(-1.0, 5.0)]),
        lambda: ramp(1, 2, 0),
        lambda: profile([], 1, 1),
        lambda: steps([(1e6, 1e6)]),
        lambda: traced([]),
        lambda: drawn(steps([(1, 1)]), np.random.default_rng(1), cv=-1),
    ):
        with pytest.raises(InputError):
            bad()
