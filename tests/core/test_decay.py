"""What is learnt of durations, and how it fades."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.core.decay import (
    BINS,
    EDGES,
    HIGH_S,
    LOW_S,
    MIDDLES,
    SLOW_S,
    TAIL,
    Histogram,
    Rate,
    bin_of,
    lognormal,
    quantile,
    survival,
)

BODY = lognormal(0.5, 0.9, 0.02)


def histogram(n0: float = 40.0) -> Histogram:
    """Of times to first token, with a memory of 20 s."""
    return Histogram(BODY, n0=n0, tau_s=20.0)


@given(st.floats(1e-6, 1e6))
def test_a_duration_falls_into_the_bin_that_holds_it(seconds: float) -> None:
    """What is shorter or longer than all of them falls into the outermost."""
    place = bin_of(seconds)
    inside = min(max(seconds, LOW_S), HIGH_S)
    assert EDGES[place] * (1 - 1e-9) <= inside <= EDGES[place + 1] * (1 + 1e-9)


def test_a_law_has_the_quantiles_that_it_was_made_of() -> None:
    """Median and p95 of the body; the tail takes its share beyond 1.2 s."""
    law = lognormal(0.5, 0.9)
    assert sum(law) == pytest.approx(1.0)
    assert quantile(law, 0.5) == pytest.approx(0.5, rel=0.02)
    assert quantile(law, 0.95) == pytest.approx(0.9, rel=0.03)
    assert survival(lognormal(0.3, 0.5, 0.05), [SLOW_S]) == [pytest.approx(0.05, rel=0.1)]


@pytest.mark.parametrize("told", [(0.0, 1.0, 0.0), (1.0, 1.0, 0.0), (0.5, 1.0, 1.0), (2, 1, 0)])
def test_what_is_no_law_is_refused(told: tuple[float, float, float]) -> None:
    """The configuration checks before; this is the last line."""
    with pytest.raises(ValueError, match="no law"):
        lognormal(*told)


def test_the_tail_of_a_slow_request_has_nearly_three_times_its_length_as_mean() -> None:
    """Pareto of shape 1.5, a mean of 3.6 s, of which the last bin, 40 s, takes 0.4 s away."""
    assert sum(TAIL) == pytest.approx(1.0)
    mean = sum(share * middle for share, middle in zip(TAIL, MIDDLES, strict=True))
    assert mean == pytest.approx(3.2, rel=0.01)


def test_without_an_observation_the_prior_holds_at_any_time() -> None:
    """It does not fade: it is what one goes by."""
    it = histogram()
    for now in (0.0, 1e6):
        assert it.law(now) == pytest.approx(BODY)
        assert it.quantile(0.5, now) == pytest.approx(quantile(BODY, 0.5))


def test_observations_outweigh_the_prior_and_fade() -> None:
    """After four time constants two percent of them are left."""
    it = histogram()
    for i in range(400):
        it.add(2.0, 1000.0 + i / 100)
    assert it.quantile(0.5, 1004.0) == pytest.approx(2.0, rel=0.12)
    faded = math.exp(-80 / 20)
    left = survival(it.law(1084.0), [1.5])[0]
    assert 400 * faded / 2 / 40 < left < 400 * faded / 30
    assert it.quantile(0.5, 1400.0) == pytest.approx(quantile(BODY, 0.5), rel=0.01)


@given(
    st.lists(st.tuples(st.floats(0, 30), st.sampled_from(["add", "slow", "cut"])), max_size=30),
    st.floats(0.01, 50),
)
def test_the_law_stays_a_law_and_the_cost_is_its_mean(
    history: list[tuple[float, str]], seconds: float
) -> None:
    """Whatever is booked, however long the pauses: shares sum to 1, and `cost` agrees with them."""
    it, now = histogram(), 5000.0
    for pause_s, how in history:
        now += pause_s * 20
        if how == "add":
            it.add(seconds, now)
        elif how == "slow":
            it.add_slow(now)
        else:
            it.add_censored(seconds, now)
    law = it.law(now)
    assert sum(law) == pytest.approx(1.0)
    assert min(law) >= 0
    mean = sum(share * middle for share, middle in zip(law, MIDDLES, strict=True))
    assert it.cost(now) == pytest.approx(mean)


def test_what_was_cut_off_lies_beyond_where_it_was_cut() -> None:
    """Its mass goes where the law itself says that the rest may be."""
    it = histogram(n0=1.0)
    before = survival(it.law(0.0), [0.5, 0.7])
    slow = it.add_censored(0.5, 0.0)
    after = survival(it.law(0.0), [0.5, 0.7])
    assert after[0] > before[0] * 1.4
    assert after[1] / after[0] == pytest.approx(before[1] / before[0], rel=0.15)
    assert 0.02 / before[0] < slow < 0.1


@pytest.mark.parametrize("seconds", [SLOW_S, 3.0])
def test_what_was_cut_off_after_the_limit_was_slow(seconds: float) -> None:
    """It counts as a slow one."""
    one, other = histogram(n0=1.0), histogram(n0=1.0)
    assert one.add_censored(seconds, 0.0) == 1.0
    other.add_slow(0.0)
    assert one.law(0.0) == pytest.approx(other.law(0.0))


def test_where_the_law_knows_nothing_beyond_it_was_slow() -> None:
    """There is nowhere else to put it."""
    fast = tuple(float(i == 0) for i in range(BINS))
    it = Histogram(fast, n0=1.0, tau_s=20.0)
    assert it.add_censored(0.5, 0.0) == 1.0


def test_survival_falls_from_one_to_nothing() -> None:
    """Outside of the bins too."""
    assert survival(BODY, [0.0, LOW_S / 2]) == [1.0, 1.0]
    assert survival(BODY, [HIGH_S, HIGH_S * 2]) == [0.0, 0.0]
    assert quantile(BODY, 2.0) == HIGH_S


def test_a_rate_is_learnt_and_fades() -> None:
    """Upon its prior."""
    it = Rate(0.1, n0=10.0, tau_s=4.0)
    assert it.share(0.0) == pytest.approx(0.1)
    for _ in range(10):
        it.add(1.0, 100.0)
    assert it.share(100.0) == pytest.approx(11 / 20)
    assert it.share(104.0) == pytest.approx((10 / math.e + 1) / (10 / math.e + 10))
    it.add(0.0, 104.0, 5.0)
    assert it.share(104.0) < 0.3
    it.forget()
    assert it.share(104.0) == pytest.approx(0.1)
