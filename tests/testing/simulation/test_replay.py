"""The live shell in virtual time comes to the same turns as the simulation."""

import numpy as np
import pytest

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.errors import InputError
from trunkline.testing.simulation.replay import Replay
from trunkline.testing.simulation.shard import Order, Shard
from trunkline.testing.simulation.worlds import World, load_world

CALLS, TURNS = 30, 4


def order(name: str) -> Order:
    """Some calls in a world of a minute, in which the bad weather begins after ten seconds."""
    shipped: World = load_world(name)
    weather = tuple(it.model_copy(update={"from_s": 10.0}) for it in shipped.weather)
    world = shipped.model_copy(update={"horizon_s": 60.0, "judge_from_s": 0.0, "weather": weather})
    return Order(world, None, "adaptive", AttemptPolicy(), 4, 0, CALLS, TURNS)


@pytest.mark.parametrize("name", ["stalls1", "brownout", "down"])
async def test_the_live_shell_agrees(name: str) -> None:
    """Nearly every turn to the millisecond; a rare one differs after estimates that do a little."""
    tally = Shard(order(name)).run()
    by_call = np.argsort(tally.call, kind="stable")
    replay = Replay(order(name))
    turns = await replay.run()
    assert replay.open_streams == 0
    off_s = np.abs(tally.v2v_s[by_call] - np.array([turn.v2v_s for turn in turns]))
    assert len(off_s) == CALLS * TURNS
    assert np.mean(off_s < 0.002) >= 0.95


async def test_worlds_with_tools_are_not_replayed() -> None:
    """It says so."""
    with pytest.raises(InputError, match="without tools"):
        Replay(order("tools"))
