"""The p99 of a turn: lognormal stages added up, not percentiles added up."""

import math

import numpy as np

from trunkline.decide.costs import Topology
from trunkline.decide.figures import Array, Draws
from trunkline.decide.needs import STAGES

_Z99 = 2.3263478740408408
_TURNS = 400
"""Turns that are drawn in each world: the p99 of 400 is rough, its median over worlds is not."""


def turn_p99_s(draws: Draws, topology: Topology, seed: int) -> Array:
    """Shape (worlds,): end of the caller's speech to first audio, at the 99th percentile."""
    lots = np.random.default_rng([seed, 2]).standard_normal((len(STAGES), _TURNS, 1))
    total = np.zeros((_TURNS, draws.count)) + draws.of("latency.turn-end")
    for at, stage in enumerate(STAGES):
        who = "managed" if stage not in topology.own else "hosted"
        p50 = draws.of(f"latency.{stage}.{who}.p50")
        p99 = np.maximum(draws.of(f"latency.{stage}.{who}.p99"), p50)
        total += p50 * np.exp(np.log(p99 / p50) / _Z99 * lots[at])
    return np.asarray(np.sort(total, axis=0)[math.ceil(0.99 * _TURNS) - 1])
