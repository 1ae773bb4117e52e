"""The beta and t laws against printed tables."""

import pytest

from trunkline.measure.laws import beta_cdf, beta_quantile, t_cdf, t_quantile


@pytest.mark.parametrize(
    ("df", "p", "t"),
    [(1, 0.975, 12.7062), (5, 0.95, 2.0150), (30, 0.975, 2.0423), (120, 0.995, 2.6174)],
)
def test_student_t_agrees_with_its_printed_table(df: float, p: float, t: float) -> None:
    """Any textbook's table of t."""
    assert t_quantile(p, df) == pytest.approx(t, abs=1e-4)
    assert t_quantile(1 - p, df) == pytest.approx(-t, abs=1e-4)
    assert t_cdf(t, df) == pytest.approx(p, abs=1e-5)


def test_exact_binomial_bounds_agree_with_clopper_and_pearson() -> None:
    """10 of 100: 4.90 % to 17.62 %, as in every table of exact limits."""
    assert beta_quantile(0.025, 10, 91) == pytest.approx(0.0490, abs=1e-4)
    assert beta_quantile(0.975, 11, 90) == pytest.approx(0.1762, abs=1e-4)


@pytest.mark.parametrize(("a", "b"), [(0.5, 0.5), (2.0, 7.5), (3000.5, 40.5), (1.0, 1e6)])
@pytest.mark.parametrize("p", [0.001, 0.025, 0.5, 0.975])
def test_the_quantile_undoes_the_distribution(a: float, b: float, p: float) -> None:
    """Also for shapes as lopsided as those of a p99."""
    assert beta_cdf(beta_quantile(p, a, b), a, b) == pytest.approx(p, abs=1e-6)


def test_a_law_without_spread_is_a_point() -> None:
    """No turn below, or none above."""
    assert (beta_quantile(0.025, 0, 5), beta_quantile(0.975, 5, 0)) == (0.0, 1.0)
    assert (beta_cdf(0, 2, 2), beta_cdf(1, 2, 2), t_quantile(0.5, 9)) == (0.0, 1.0, 0.0)
