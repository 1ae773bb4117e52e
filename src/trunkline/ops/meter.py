"""What a worker measures of itself, and whether that leaves room for another call."""

import asyncio
import time
from collections.abc import Callable
from typing import Final

import numpy as np

from trunkline.calls.worker import Worker
from trunkline.ops.channel import REPORT_S
from trunkline.ops.placement import (
    Connection,
    Give,
    Load,
    Placement,
    PlacementPolicy,
    WorkerReport,
    WorkerUp,
)
from trunkline.telephony.server import TelephonyServer
from trunkline.types import Mono

CPU_S: Final = 1.0
"""Over what time a worker's share of a core is measured."""
LATE_MIN: Final = 100
"""Ticks, two seconds of them, of which a 99th percentile is more than the one worst."""
_ITSELF: Final = "w0"


class Meter:
    """What a worker measures of itself; *cpu_s* is the process' time on a core so far."""

    def __init__(
        self,
        server: TelephonyServer,
        worker: Worker,
        cpu_s: Callable[[], float] = time.process_time,
    ) -> None:
        self._server, self._worker, self._cpu_s = server, worker, cpu_s
        self._clock = asyncio.get_running_loop().time
        self._since = self._clock(), cpu_s()
        self._cpu = 0.0

    def load(self) -> Load:
        """The load now; its share of a core over the last `CPU_S`."""
        now, used = self._clock(), self._cpu_s()
        if now - self._since[0] >= CPU_S:
            self._cpu = (used - self._since[1]) / (now - self._since[0])
            self._since = now, used
        calls, late = self._server.calls, self._worker.pacer.late
        if not calls:
            late.clear()  # what was long ago says nothing of now
        return Load(
            calls,
            self._server.config.calls_max,
            float(np.percentile(late, 99)) if len(late) >= LATE_MIN else 0.0,
            min(self._cpu, 1.0),
        )


class OwnDoor:
    """Placement for the only worker: the same rules, without a parent."""

    def __init__(self, meter: Meter) -> None:
        self._meter = meter
        self._clock = asyncio.get_running_loop().time
        self._placement = Placement(PlacementPolicy())
        self._placement.feed(WorkerUp(_ITSELF, meter.load()), Mono(self._clock()))

    async def run(self) -> None:
        """Measure, until cancelled."""
        while True:
            await asyncio.sleep(REPORT_S)
            report = WorkerReport(_ITSELF, self._meter.load())
            self._placement.feed(report, Mono(self._clock()))

    def has_room(self) -> bool:
        """Whether one more call may begin; each yes counts as one, for a moment."""
        (act,) = self._placement.feed(Connection(0), Mono(self._clock()))
        return isinstance(act, Give) and act.admits
