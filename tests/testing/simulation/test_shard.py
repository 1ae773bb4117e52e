"""Workers in simulated time: repeatable, whole, and better off than without the policy."""

import math

import pytest

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.testing.fault_plan import FaultPlan, parse_plan
from trunkline.testing.faults import FaultKind
from trunkline.testing.simulation.figures import Figures, figures
from trunkline.testing.simulation.policies import POLICIES
from trunkline.testing.simulation.shard import Order, Shard, Tally
from trunkline.testing.simulation.worlds import World, load_world, parse_world

SMALL = parse_world(
    """\
version: 1
horizon_s: 60
endpoints:
  a: {law: managed, troubles: stalls_1_percent, failure_domain: x}
  b: {law: managed_independent, troubles: everyday, failure_domain: y}
talk: {tool_share: 0.3, repeat_share: 0.5}
""",
    "small.yaml",
)


def order(
    policy: str = "adaptive",
    faults: FaultPlan | None = None,
    *,
    world: World = SMALL,
    seed: int = 1,
    shard: int = 0,
) -> Order:
    """A worker with 40 calls of 4 turns in a minute."""
    return Order(world, faults, policy, AttemptPolicy(), seed, shard, 40, 4)


def simulated(it: Order) -> tuple[Tally, Figures]:
    """What comes out of one worker."""
    tally = Shard(it).run()
    return tally, figures(it.policy, it.world, [tally])


@pytest.mark.parametrize("policy", POLICIES)
def test_every_turn_of_every_policy_is_sound(policy: str) -> None:
    """160 turns, tools and repeating rescuers among them, break no invariant."""
    tally, found = simulated(order(policy))
    assert (tally.turns, found.turns, found.calls) == (160, 160, 40)
    assert tally.wrong == []


def test_the_same_seed_is_the_same_to_the_last_bit() -> None:
    """Two runs have one trace; another seed, or another worker, has another."""
    traces = [Shard(order()).run().digest for _ in range(2)]
    assert traces[0] == traces[1]
    assert Shard(order(seed=2)).run().digest != traces[0]
    assert Shard(order(shard=1)).run().digest != traces[0]


def test_policies_are_compared_on_the_same_weather() -> None:
    """What the first endpoint would answer does not depend on who asks."""
    one, other = Shard(order("race")), Shard(order("error-only"))
    assert one.draws.of(0, 0.0).first_s == other.draws.of(0, 0.0).first_s


@pytest.mark.parametrize("kind", [kind for kind in FaultKind if kind is not FaultKind.FREEZE])
def test_any_fault_of_the_first_endpoint_is_survived(kind: FaultKind) -> None:
    """With a healthy backup every answer is said whole, but for a content filter's stop."""
    faults = parse_plan(f"version: 1\nfaults: [{{on: {{endpoint: a}}, what: {kind.value}}}]")
    tally, found = simulated(order(faults=faults))
    assert tally.wrong == []
    if kind is not FaultKind.CONTENT_FILTER:
        assert found.broken == 0
        assert max(tally.v2v_s) < 8.0


def test_nobody_answers_when_all_endpoints_are_gone() -> None:
    """Every answer is broken, counts as infinitely late, and no invariant with it."""
    faults = parse_plan("version: 1\nfaults: [{on: {stage: llm}, what: hang}]")
    tally, found = simulated(order(faults=faults))
    assert found.broken == 1.0
    assert found.dead[3.0] == 1.0
    assert all(it == math.inf for it in tally.v2v_s)
    assert tally.wrong == []


def test_what_is_not_judged_is_not_counted() -> None:
    """Turns before and after the window are simulated and left out of the figures."""
    window = SMALL.model_copy(update={"judge_from_s": 20.0, "judge_to_s": 40.0})
    tally, found = simulated(order(world=window))
    assert tally.turns == 160
    assert 0 < found.turns < 160


@pytest.mark.parametrize("name", ["brownout", "down", "corr"])
def test_traffic_leaves_sick_endpoints(name: str) -> None:
    """Probes find them, callers do not: few wait long, where errors alone would leave most."""
    world = load_world(name).model_copy(
        update={"horizon_s": 200.0, "judge_from_s": 60.0, "judge_to_s": 200.0}
    )
    weather = tuple(it.model_copy(update={"from_s": 60.0, "to_s": 200.0}) for it in world.weather)
    world = world.model_copy(update={"weather": weather})
    found: dict[str, Figures] = {}
    for policy in ("adaptive", "error-only"):
        it = Order(world, None, policy, AttemptPolicy(), 3, 0, 300, 4)
        found[policy] = simulated(it)[1]
    assert found["adaptive"].dead[3.0] < found["error-only"].dead[3.0] / 4
    assert found["adaptive"].probes > 0
    assert found["adaptive"].violations == 0


def test_a_stretched_endpoint_is_slower_by_that_factor() -> None:
    """The same lot is drawn, and takes twice as long."""
    slow = SMALL.endpoints["a"].model_copy(update={"stretch": 2.0})
    other = SMALL.model_copy(update={"endpoints": {**SMALL.endpoints, "a": slow}})
    one, two = Shard(order()), Shard(order(world=other))
    assert two.draws.of(0, 0.0).first_s[0] == pytest.approx(2 * one.draws.of(0, 0.0).first_s[0])
