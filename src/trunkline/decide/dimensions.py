"""Five dimensions on anchored, absolute scales, and how often each topology is the best of them.

A scale has two anchors that mean something outside of this comparison; a value between is on the
line between, one beyond is at the anchor. So an option that is added or taken out changes no other
option's score, and no order: there is no rank reversal (additive value, Keeney and Raiffa 1976).
Weights are drawn around the given ones (Dirichlet): the share of draws in which a topology ranks
first is its acceptability (SMAA; Lahdelma, Hokkanen and Salminen 1998).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from trunkline.decide.figures import Array
from trunkline.decide.needs import Dimension

DIMENSIONS: tuple[Dimension, ...] = ("cost", "latency", "operations", "control", "speed")
CONCENTRATION = 20.0
"""How near drawn weights are to the given ones: at 20 one of 0.35 is mostly from 0.18 to 0.53."""


@dataclass(frozen=True, slots=True)
class Anchor:
    """What is worth 100 and what 0, and how the dimension is told."""

    best: float
    worst: float
    unit: str
    about: str
    log: bool = False


ANCHORS: Mapping[str, Anchor] = {
    "cost": Anchor(
        0.02, 2.0, "$/min", "per minute with people; each halving counts the same", log=True
    ),
    "latency": Anchor(0.8, 4.0, "s", "end of the caller's speech to first audio, p99"),
    "operations": Anchor(0.0, 8.0, "pages", "per engineer of the rotation and month"),
    "control": Anchor(1.0, 0.0, "share", "of the stages whose data and model are in one's hands"),
    "speed": Anchor(2.0, 52.0, "weeks", "to production"),
}


def score(dimension: str, value: Array) -> Array:
    """0 to 100 for *value* in the unit of *dimension*."""
    of = ANCHORS[dimension]
    best, worst, at = of.best, of.worst, value
    if of.log:
        best, worst, at = np.log(best), np.log(worst), np.log(value)
    return np.asarray(100 * np.clip((at - worst) / (best - worst), 0, 1))


def weigh(scores: Array, weights: Sequence[float]) -> Array:
    """The additive value of each row of *scores* (options, dimensions), 0 to 100."""
    given = np.asarray(weights, dtype=np.float64)
    return np.asarray(scores @ (given / given.sum()))


def acceptability(scores: Array, weights: Sequence[float], seed: int) -> Array:
    """The share of worlds and weightings in which each option is the best.

    *scores*: shape (options, dimensions, worlds). A dimension of weight 0 stays at 0.
    """
    given = np.asarray(weights, dtype=np.float64)
    alpha = np.where(given > 0, given / given.sum() * CONCENTRATION, 1e-12)
    drawn = np.random.default_rng([seed, 1]).gamma(alpha, size=(scores.shape[2], alpha.size))
    drawn /= drawn.sum(axis=1, keepdims=True)
    values = np.einsum("odw,wd->ow", scores, drawn)
    first = np.argmax(values, axis=0)
    counts = np.bincount(first, minlength=scores.shape[0])
    return np.asarray(counts / scores.shape[2], dtype=np.float64)
