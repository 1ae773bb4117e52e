"""Figures have sources and ages; old ones are flagged; worlds do not depend on who asks first."""

from datetime import date, timedelta

import numpy as np
import pytest

from trunkline.decide.figures import STALE_DAYS, Draws, Figure, FigureConfig, shipped


def test_every_figure_that_ships_says_where_it_is_from() -> None:
    """A source each; a date, or the word that nobody published it; what is undated is known."""
    figures = shipped().figures
    assert len(figures) > 50
    assert all(len(it.source) > 3 or it.assumed for it in figures.values())
    undated = {name for name, it in figures.items() if it.date is None and not it.assumed}
    assert undated == {"telephony.twilio-us-inbound"}


def test_old_figures_are_stale_and_assumptions_are_not() -> None:
    """On the day after the limit, not on the day itself; a figure without a date always."""
    read = date(2026, 1, 1)
    dated = Figure("a", 1, 1, 1, "$", "a page", read)
    assert not dated.stale(read + timedelta(STALE_DAYS))
    assert dated.stale(read + timedelta(STALE_DAYS + 1))
    assert Figure("a", 1, 1, 1, "$", "a page", None).stale(read)
    assert not Figure("a", 1, 1, 1, "$", "declared", None, assumed=True).stale(read)


def test_an_override_keeps_the_unit_and_drops_the_spread() -> None:
    """Who has a quote knows the price."""
    quote = FigureConfig(value=3.0, source="a quote", date=date(2026, 11, 1))
    mine = shipped().overlaid({"gpu.runpod-h100": quote}, "needs.yaml")["gpu.runpod-h100"]
    assert (mine.value, mine.known, mine.source) == (3.0, True, "a quote")


@pytest.mark.parametrize("q", [0.0, 0.1, 0.5, 0.9, 1.0])
def test_the_quantiles_of_a_triangle_are_those_of_its_draws(q: float) -> None:
    """Against numpy's own triangular distribution."""
    figure = Figure("a", 2.0, 1.0, 6.0, "$", "a page", None)
    drawn = np.random.default_rng(1).triangular(1.0, 2.0, 6.0, 200_000)
    assert float(figure.at(q)) == pytest.approx(float(np.quantile(drawn, q)), abs=0.03)


def test_worlds_do_not_depend_on_the_order_of_questions() -> None:
    """Else an option more would change what all others cost."""
    one, other = (Draws(shipped(), 7, 50) for _ in range(2))
    one.of("gpu.extras")
    assert np.array_equal(one.of("capacity.tts"), other.of("capacity.tts"))
    assert not np.array_equal(one.of("capacity.tts"), Draws(shipped(), 8, 50).of("capacity.tts"))
