"""Simulates a world under some policies, on all processors, and can be stopped at any time."""

import gc
import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field

from trunkline.core.attempt_words import AttemptPolicy
from trunkline.errors import InputError
from trunkline.testing.fault_plan import FaultConfig, FaultPlan
from trunkline.testing.simulation.shard import Order, Shard, Tally
from trunkline.testing.simulation.worlds import World

CALLS_MAX = 10_000_000
TURNS_MAX = 100
SHARD_TURNS_MAX = 200_000
"""A worker's draws are held in memory: about 1 kB a turn."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What to simulate: *calls* of *turns* turns, on workers that take *load* turns a second."""

    world: World
    policies: tuple[str, ...]
    calls: int
    turns: int
    seed: int
    load: float
    faults: FaultPlan | None = None
    attempts: AttemptPolicy = field(default_factory=AttemptPolicy)

    def __post_init__(self) -> None:
        if not 1 <= self.calls <= CALLS_MAX or not 1 <= self.turns <= TURNS_MAX:
            raise InputError(
                f"{self.calls} calls of {self.turns} turns: give 1 to {CALLS_MAX} calls of "
                f"1 to {TURNS_MAX} turns"
            )
        if self.seed < 0:
            raise InputError(f"seed {self.seed}: give a whole number, 0 or more")
        if not 0 < self.load * self.world.horizon_s <= SHARD_TURNS_MAX:
            raise InputError(
                f"load {self.load}: with a horizon of {self.world.horizon_s:g} s give more than 0 "
                f"and at most {SHARD_TURNS_MAX / self.world.horizon_s:g} turns per second"
            )
        for fault in self.faults.faults if self.faults else ():
            _check_simulated(fault, self.world)

    @property
    def workers(self) -> int:
        """How many workers share the calls."""
        return max(1, round(self.calls * self.turns / (self.load * self.world.horizon_s)))

    @property
    def real_load(self) -> float:
        """Turns per second and worker, as it comes out."""
        return self.calls * self.turns / self.workers / self.world.horizon_s

    def orders(self, policy: str) -> Iterator[Order]:
        """One a worker; the first ones take a call more if they do not divide evenly."""
        each, more = divmod(self.calls, self.workers)
        for shard in range(self.workers):
            calls = each + (shard < more)
            yield Order(
                self.world,
                self.faults,
                policy,
                self.attempts,
                self.seed,
                shard,
                calls,
                self.turns,
            )


def _check_simulated(fault: FaultConfig, world: World) -> None:
    """A fault that could strike nobody here would look like one that was survived."""
    on, what = fault.on, f"fault {fault.what.value}"
    if not any(on.holds(name, it.stage, it.failure_domain) for name, it in world.endpoints.items()):
        known = ", ".join(
            f"{name} ({e.stage}, {e.failure_domain})" for name, e in world.endpoints.items()
        )
        raise InputError(f"{what}: no endpoint of this world is meant. There are: {known}")
    if fault.match is not None:
        raise InputError(f"{what}: simulated callers say no words: use on_turn instead of match")


def _nobody(done: int, of: int) -> None:
    """Nobody wants to know."""


def run(
    campaign: Campaign,
    processes: int | None = None,
    told: Callable[[int, int], None] = _nobody,
) -> dict[str, list[Tally]]:
    """The tallies of each policy, in the order of workers, whatever process made them.

    *processes*: None: one a processor; 1: this one. *told* hears how many workers of how many are
    done. Ctrl-C ends it early, with what is there.
    """
    orders = [order for policy in campaign.policies for order in campaign.orders(policy)]
    found: dict[str, list[Tally]] = {policy: [] for policy in campaign.policies}
    count = min(processes or _processors(), len(orders))
    tallies = _here(orders) if count == 1 else _in_processes(orders, count)
    try:
        for done, (policy, tally) in enumerate(tallies, 1):
            found[policy].append(tally)
            told(done, len(orders))
    except KeyboardInterrupt:
        pass  # what is there is worth having
    for of_policy in found.values():
        of_policy.sort(key=lambda tally: tally.shard)
    return found


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _here(orders: Sequence[Order]) -> Iterator[tuple[str, Tally]]:
    for order in orders:
        yield order.policy, Shard(order).run()


def _in_processes(orders: Sequence[Order], count: int) -> Iterator[tuple[str, Tally]]:
    context = multiprocessing.get_context("spawn")  # a fork would take the parent's threads along
    waiting = iter(orders)
    with ProcessPoolExecutor(count, mp_context=context, initializer=_child) as pool:
        running: dict[Future[Tally], str] = {}
        try:
            while True:
                while len(running) < 2 * count and (order := next(waiting, None)) is not None:
                    running[pool.submit(_simulate, order)] = order.policy
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        finally:
            pool.shutdown(cancel_futures=True)


def _child() -> None:
    # Ctrl-C goes to the whole group; the parent decides what becomes of us.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing that a shard makes refers to itself, and all of it goes when the shard does.
    gc.disable()


def _simulate(order: Order) -> Tally:
    tally = Shard(order).run()
    gc.collect()
    return tally
