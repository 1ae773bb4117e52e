"""Latency laws: what is drawn has the published figures, and the same seed draws the same."""

import math
import random
from itertools import islice
from statistics import fmean, quantiles

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.errors import InputError
from trunkline.testing.laws import ARRIVALS_SHAPE, LAWS, TROUBLES, Law, law_named

DRAWS = 20_000


def first_tokens(law: Law) -> list[float]:
    """Many times to first token, in order of size."""
    rng = random.Random(1)  # noqa: S311  # a simulation
    return sorted(law.draw(rng).ttft_s for _ in range(DRAWS))


@pytest.mark.parametrize(
    ("name", "share", "seconds", "within"),
    [
        ("managed", 0.50, 0.53, 0.02),
        ("managed", 0.95, 0.90, 0.05),
        ("managed", 0.99, 2.4, 0.15),
        ("managed", 0.999, 11, 0.5),
        ("managed_independent", 0.50, 0.70, 0.03),
        ("brown_out", 0.95, 8, 0.1),
        ("brown_out", 0.99, 29, 0.25),
    ],
)
def test_percentiles(name: str, share: float, seconds: float, within: float) -> None:
    """The preset has the percentiles that its docstring names."""
    found = first_tokens(law_named(name))[int(share * DRAWS)]
    assert found == pytest.approx(seconds, rel=within)


@pytest.mark.parametrize(
    ("name", "ttft_s", "gap_s"),
    [("self_hosted_8b", 0.067, 0.0059), ("self_hosted_8b_busy", 0.120, 0.0076)],
)
def test_means(name: str, ttft_s: float, gap_s: float) -> None:
    """The figures of NVIDIA's table are means, and so are ours."""
    rng = random.Random(2)  # noqa: S311  # a simulation
    timings = [law_named(name).draw(rng) for _ in range(DRAWS)]
    assert fmean(t.ttft_s for t in timings) == pytest.approx(ttft_s, rel=0.02)
    gaps = [gap for t in timings[:500] for gap in islice(t.gaps(), 40)]
    assert fmean(gaps) == pytest.approx(gap_s, rel=0.03)


def test_speed_differs_between_requests_more_than_within_one() -> None:
    """Two answers of a managed model differ in speed; the tokens of one do not as much."""
    law = law_named("managed")
    rng = random.Random(3)  # noqa: S311  # a simulation
    speeds = [1 / fmean(islice(law.draw(rng).gaps(), 200)) for _ in range(400)]
    tenths = quantiles(speeds, n=10)
    assert tenths[4] == pytest.approx(75, rel=0.06)
    assert tenths[8] / tenths[0] == pytest.approx(math.exp(2 * 1.2816 * 0.3), rel=0.2)


def test_instant_takes_no_time() -> None:
    """Not for the first token, nor for any other."""
    timing = law_named("instant").timing(1, 1)
    assert timing.ttft_s == 0
    assert list(islice(timing.gaps(), 100)) == [0.0] * 100


@given(st.sampled_from(sorted(LAWS)), st.integers(), st.integers(1, 10**6))
def test_a_request_is_keyed_by_seed_and_number(name: str, seed: int, ordinal: int) -> None:
    """The same request has the same timing, whoever came before it; all of it is a time."""
    timing = law_named(name).timing(seed, ordinal)
    assert timing == law_named(name).timing(seed, ordinal)
    gaps = list(islice(timing.gaps(), 20))
    assert gaps == list(islice(timing.gaps(), 20))
    assert all(math.isfinite(t) and t >= 0 for t in (timing.ttft_s, *gaps))


def test_requests_and_seeds_differ() -> None:
    """Another request, or another seed, is another draw."""
    law = law_named("managed")
    drawn = {law.timing(seed, ordinal).ttft_s for seed in range(10) for ordinal in range(10)}
    assert len(drawn) == 100


def test_an_unknown_law() -> None:
    """The error names the laws there are."""
    with pytest.raises(InputError, match="self_hosted_8b"):
        law_named("self_hosted_9b")


def test_every_law_and_trouble_says_where_its_numbers_are_from() -> None:
    """Shares are shares, and sum up to one request at most."""
    sources = [law.source for law in LAWS.values()] + [it.source for it in TROUBLES.values()]
    assert all(sources)
    assert {it.stage for it in LAWS.values()} == {"stt", "llm", "tts"}
    for it in TROUBLES.values():
        shares = [it.error, it.hang, it.hiccup, it.stall, it.cut, it.drip, it.stall_for_good]
        assert all(0 <= share <= 1 for share in shares)
        assert sum(shares[:-1]) <= 1
    assert 0.5 < ARRIVALS_SHAPE < 1.5
