"""The simulation against the clock: the same calls on the live shell, in real time.

The full trial replays 1,000 calls, which is 1 % of the 100,000 that are simulated; it takes six
minutes each. The quick one replays fewer.
"""

import asyncio
import logging

import numpy as np
import pytest
from numpy.typing import NDArray

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.testing.simulation.figures import figures
from trunkline.testing.simulation.replay import Replay
from trunkline.testing.simulation.run import Campaign, run
from trunkline.testing.simulation.shard import Order, Shard
from trunkline.testing.simulation.worlds import load_world

KS_MAX = 0.05
LATE_MAX_S = 0.05
KS_QUICK_MAX = 0.1
"""Of 200 turns on a machine that does other things beside."""
Floats = NDArray[np.float64]


def distance(one: Floats, other: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov distance."""
    at = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def agrees(name: str, calls: int, turns: int, seconds: float, ks_max: float = KS_MAX) -> None:
    """Simulate and replay *calls* that begin within *seconds*; print and check what came out.

    A turn in which this machine's own timers were late measured the machine: it is left out on both
    sides, and how many were is printed.
    """
    shipped = load_world(name)
    weather = tuple(it.model_copy(update={"from_s": seconds / 2}) for it in shipped.weather)
    told = {"horizon_s": seconds, "judge_from_s": 0.0, "weather": weather}
    order = Order(
        shipped.model_copy(update=told), None, "adaptive", AttemptPolicy(), 9, 0, calls, turns
    )
    tally, replay = Shard(order).run(), Replay(order)
    logging.disable(logging.CRITICAL)  # every fault that is drawn would be told
    try:
        replayed = asyncio.run(replay.run())
    finally:
        logging.disable(logging.NOTSET)
    assert replay.open_streams == 0
    in_time = np.array([turn.late_s < LATE_MAX_S for turn in replayed])
    simulated = tally.v2v_s[np.argsort(tally.call, kind="stable")][in_time]
    real = np.array([turn.v2v_s for turn in replayed])[in_time]
    ks, off_s = distance(simulated, real), np.abs(simulated - real)
    print(
        f"\n{name}: {len(real)} turns of {calls} calls ({np.mean(~in_time):.1%} left out: timers "
        f"late), KS {ks:.4f}; turn by turn: {np.mean(off_s < 0.02):.1%} within 20 ms, "
        f"p99 {np.quantile(off_s, 0.99) * 1000:.0f} ms"
    )
    assert np.mean(in_time) > 0.5, "this machine has too much else to do"
    assert ks < ks_max


@pytest.mark.ci
def test_a_few_calls_take_as_long_as_in_the_simulation() -> None:
    """One turn each of 200 calls, with an outage in the middle."""
    agrees("down", 200, 1, 10.0, KS_QUICK_MAX)


@pytest.mark.parametrize("name", ["stalls1", "brownout"])
def test_one_percent_of_the_calls_take_as_long_as_in_the_simulation(name: str) -> None:
    """1,000 calls of 8 turns: their V2V has the law that was simulated."""
    agrees(name, 1_000, 8, 240.0)


@pytest.mark.ci
def test_a_trace_does_not_depend_on_the_number_of_processes() -> None:
    """Three workers in this process, and in two others, leave the same trace."""
    world = load_world("stalls1").model_copy(update={"horizon_s": 60.0})
    campaign = Campaign(world, ("adaptive",), 60, 4, 5, 1.5)
    assert campaign.workers == 3
    here, there = (
        figures("adaptive", world, run(campaign, count)["adaptive"]).trace for count in (1, 2)
    )
    assert here == there
