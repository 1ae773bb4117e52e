"""The scales are absolute: an option more changes no other option's score and no order."""

import numpy as np

from trunkline.decide.dimensions import ANCHORS, DIMENSIONS, acceptability, score, weigh


def test_anchors_are_worth_100_and_0_and_beyond_them_nothing_is_gained() -> None:
    """For each dimension, also those where less is better."""
    for name in DIMENSIONS:
        of = ANCHORS[name]
        beyond = of.best * 0.5 if of.best < of.worst else of.best * 2
        assert score(name, np.array([of.best, of.worst, beyond])).tolist() == [100, 0, 100]


def test_each_halving_of_the_cost_counts_the_same() -> None:
    """From 1 dollar to 50 cents is worth what 10 cents to 5 are."""
    at = score("cost", np.array([1.0, 0.5, 0.1, 0.05]))
    assert np.isclose(at[1] - at[0], at[3] - at[2])


def test_another_option_reverses_no_rank() -> None:
    """Drop any option: the others keep their value and their order."""
    scores = np.random.default_rng(3).uniform(0, 100, (8, 5))
    weights = [35, 25, 20, 10, 10]
    whole = weigh(scores, weights)
    for gone in range(8):
        assert np.array_equal(np.delete(whole, gone), weigh(np.delete(scores, gone, 0), weights))


def test_who_is_best_in_all_dimensions_is_best_in_all_weightings() -> None:
    """And shares add up to one."""
    scores = np.array([[[90.0] * 40] * 5, [[80.0] * 40] * 5])
    assert acceptability(scores, [1, 1, 1, 1, 0], 1).tolist() == [1, 0]
