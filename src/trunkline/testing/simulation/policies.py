"""The policies that a simulation can compare, by name."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from trunkline.config.policies import expected
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.errors import InputError
from trunkline.testing.simulation.adaptive import Adaptive
from trunkline.testing.simulation.baselines import HABITS, Baseline
from trunkline.testing.simulation.draws import Draws
from trunkline.testing.simulation.oracles import Clairvoyant, RegimeRouter
from trunkline.testing.simulation.turn import Policy
from trunkline.testing.simulation.worlds import World

POLICIES = (*HABITS, "adaptive", "regime-oracle", "clairvoyant")


def check_policies(names: Sequence[str]) -> tuple[str, ...]:
    """*names*, if all are known and none stands twice; else `InputError`."""
    for name in names:
        if name not in POLICIES:
            raise InputError(
                f"there is no policy {name!r}. Choose from: {', '.join(POLICIES)}, or all"
            )
    if not names or len(set(names)) != len(names):
        raise InputError(f"name each policy once; there are: {', '.join(POLICIES)}")
    return tuple(names)


def policy_named(
    name: str, world: World, attempts: AttemptPolicy, draws: Draws, calls: Sequence[float]
) -> Policy:
    """The policy called *name* for one worker; *calls* are random numbers, one a call.

    *attempts* is what a configuration sets of our own policy.
    """
    endpoints = len(world.endpoints)
    if name == "clairvoyant":
        return Clairvoyant(endpoints)
    if name in HABITS:
        habit = HABITS[name]
        if name == "p95-hedge":  # of what its operator measured on a good day
            p95_s = float(np.quantile(draws.of(0, -1.0).first_s, 0.95))
            habit = replace(habit, hedge_after_s=p95_s)
        return Baseline(habit, endpoints)
    told = known(world)
    if name == "regime-oracle":
        router: Router = RegimeRouter(RoutingPolicy(), told, draws)
    else:
        router = Router(RoutingPolicy(), told)
    return Adaptive(router, tuple(told), calls, attempts)


def known(world: World) -> Mapping[str, Known]:
    """What the policy is told of each endpoint before it has measured anything."""
    return {
        name: Known(it.failure_domain, expected(it.expected))
        for name, it in world.endpoints.items()
    }
