"""The simulation against the clock: the same calls on the live shell, in real time.

The full trial replays 1,000 calls, which is 1 % of the 100,000 that are simulated; it takes four
minutes. The quick one replays fewer.
"""

import asyncio

import numpy as np
import pytest
from numpy.typing import NDArray

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.testing.simulation.replay import Replay
from trunkline.testing.simulation.shard import Order, Shard
from trunkline.testing.simulation.worlds import load_world

KS_MAX = 0.05
KS_QUICK_MAX = 0.1
"""Of 200 turns on a machine that does other things beside."""
Floats = NDArray[np.float64]


def distance(one: Floats, other: Floats) -> float:
    """The two-sample Kolmogorov-Smirnov distance."""
    at = np.concatenate([one, other])
    shares = [np.searchsorted(np.sort(x), at, side="right") / len(x) for x in (one, other)]
    return float(np.abs(shares[0] - shares[1]).max())


def agrees(name: str, calls: int, turns: int, seconds: float, ks_max: float = KS_MAX) -> None:
    """Simulate and replay *calls* that begin within *seconds*; print and check what came out."""
    shipped = load_world(name)
    weather = tuple(it.model_copy(update={"from_s": seconds / 2}) for it in shipped.weather)
    told = {"horizon_s": seconds, "judge_from_s": 0.0, "weather": weather}
    order = Order(
        shipped.model_copy(update=told), None, "adaptive", AttemptPolicy(), 9, 0, calls, turns
    )
    tally, replay = Shard(order).run(), Replay(order)
    real = np.array([turn.v2v_s for turn in asyncio.run(replay.run())])
    assert replay.open_streams == 0
    simulated = tally.v2v_s[np.argsort(tally.call, kind="stable")]
    ks, off_s = distance(simulated, real), np.abs(simulated - real)
    print(
        f"\n{name}: {len(real)} turns of {calls} calls, KS {ks:.4f}; turn by turn: "
        f"{np.mean(off_s < 0.02):.1%} within 20 ms, p99 {np.quantile(off_s, 0.99) * 1000:.0f} ms"
    )
    assert ks < ks_max


@pytest.mark.ci
def test_a_few_calls_take_as_long_as_in_the_simulation() -> None:
    """One turn each of 200 calls, with an outage in the middle."""
    agrees("down", 200, 1, 10.0, KS_QUICK_MAX)


@pytest.mark.parametrize("name", ["stalls1", "brownout"])
def test_one_percent_of_the_calls_take_as_long_as_in_the_simulation(name: str) -> None:
    """1,000 calls of 8 turns: their V2V has the law that was simulated."""
    agrees(name, 1_000, 8, 60.0)
