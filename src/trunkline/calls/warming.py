"""Connections that are there before they are needed: to primaries, and to backups above all.

A backup that nobody has asked for an hour would cost its first caller DNS, TCP and TLS, at the very
moment when the primary is sick. So every endpoint over a network is connected to when the worker
starts, and again before its server closes the idle connection (`core.warmth`). The request that
does it is a GET of the root without key or anything of a call; it passes the egress gate as the
requests of its stage do. At most one an endpoint each `LEAST_S`; `connect: {warm: false}` has none.
"""

import asyncio
import logging
import random
from collections.abc import Iterable
from typing import Protocol, runtime_checkable

from trunkline.calls.capability import bare
from trunkline.calls.probes import ASKED
from trunkline.calls.steps import AnyStage
from trunkline.contracts import Context
from trunkline.core.warmth import Warmth
from trunkline.errors import EgressRefused, EndpointError
from trunkline.types import CallId, Endpoint, Where

log = logging.getLogger(__name__)

LOOK_S = 1.0
SPREAD_S = 2.0
"""The first connections are spread over it: workers start side by side."""
WHERE = Where(CallId("warming"))


@runtime_checkable
class Warmable(Protocol):
    """A stage that has connections."""

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint it is."""
        ...

    @property
    def warm(self) -> bool:
        """Whether they are to be kept."""
        ...

    @property
    def used_at(self) -> float:
        """When it was last asked (monotonic seconds)."""
        ...

    async def touch(self, context: Context) -> bool:
        """Use a connection; whether it was there. `EndpointError` if there can be none."""
        ...


class Warming:
    """Run `run` beside a worker that uses *stages*; *rng* spreads what workers do."""

    def __init__(self, stages: Iterable[AnyStage], rng: random.Random) -> None:
        self._rng = rng
        self._away = set[str]()
        self._known: list[tuple[Warmable, Warmth]] = []
        self.renew(stages)

    def renew(self, stages: Iterable[AnyStage]) -> None:
        """Keep the connections of *stages* from now on; those that stay are as warm as before."""
        clock = asyncio.get_running_loop().time
        known = {id(stage): warmth for stage, warmth in self._known}
        kept = [it for it in map(bare, stages) if isinstance(it, Warmable) and it.warm]
        self._known = [
            (it, known.get(id(it)) or Warmth(clock() + self._rng.uniform(0, SPREAD_S)))
            for it in kept
            if it.endpoint.stage in ASKED
        ]

    async def run(self) -> None:
        """Keep them warm until cancelled."""
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(LOOK_S * self._rng.uniform(0.8, 1.2))
            async with asyncio.TaskGroup() as group:
                for stage, warmth in self._known:
                    if clock() >= warmth.due(stage.used_at):
                        group.create_task(self._touch(stage, warmth))

    async def _touch(self, stage: Warmable, warmth: Warmth) -> None:
        reused = None
        try:
            _, data_class = ASKED[stage.endpoint.stage]
            reused = await stage.touch(Context(WHERE, data_class))
            self._away.discard(stage.endpoint.name)
        except (EndpointError, EgressRefused) as error:
            if stage.endpoint.name not in self._away:  # said once: the first caller would pay
                log.warning("no connection is kept, the first caller will wait: %s", error)
            self._away.add(stage.endpoint.name)
        warmth.touched(asyncio.get_running_loop().time(), reused=reused)
