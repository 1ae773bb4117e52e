"""Which two cores a run has, and how much of them others took (Linux; elsewhere not known)."""

import os
from dataclasses import dataclass
from pathlib import Path

_STAT = Path("/proc/stat")
DISTURBED = 0.05
"""Of a core's time: with more taken by others, lags are those of a shared machine."""


@dataclass(frozen=True, slots=True)
class Use:
    """Shares of a core's time in one run: *idle*, *stolen* by the hypervisor, used by *others*."""

    idle: float = 0.0
    stolen: float = 0.0
    others: float = 0.0

    @property
    def disturbed(self) -> bool:
        """Whether lags of this run may be those of other load."""
        return self.taken > DISTURBED

    @property
    def taken(self) -> float:
        """What the process that was measured could not have had."""
        return self.stolen + self.others


@dataclass(frozen=True, slots=True)
class Ticks:
    """Seconds of a core since its start: *busy* with anything, *idle*, *stolen*."""

    busy: float = 0.0
    idle: float = 0.0
    stolen: float = 0.0

    def since(self, before: "Ticks") -> "Ticks":
        """What was added."""
        return Ticks(self.busy - before.busy, self.idle - before.idle, self.stolen - before.stolen)

    def use(self, wall_s: float, own_cpu_s: float) -> Use:
        """The shares of *wall_s*, of which *own_cpu_s* were the process's that was measured."""
        others = max(0.0, self.busy - own_cpu_s)
        return Use(self.idle / wall_s, self.stolen / wall_s, others / wall_s)


class Watch:
    """What happens on two cores from now on; None: a core that is not known."""

    def __init__(self, one: int | None, other: int | None) -> None:
        self._cores = one, other
        self._before = _ticks(one), _ticks(other)

    def stop(self) -> tuple[Ticks, Ticks]:
        """What happened on each."""
        one, other = (_ticks(core) for core in self._cores)
        return one.since(self._before[0]), other.since(self._before[1])


def two() -> tuple[int | None, int | None]:
    """A core for the subject, and the rest of this machine's first two for its callers.

    None where the system cannot pin; the same one twice on a machine of one core.
    """
    if not hasattr(os, "sched_setaffinity"):
        return None, None
    mine = sorted(os.sched_getaffinity(0))
    return mine[0], mine[1] if len(mine) > 1 else mine[0]


def _ticks(core: int | None) -> Ticks:
    """Linux, proc(5): cpuN user nice system idle iowait irq softirq steal ..."""
    if core is None or not _STAT.is_file():
        return Ticks()
    for line in _STAT.read_text().splitlines():
        name, *fields = line.split()
        if name == f"cpu{core}":
            tick_s = 1 / os.sysconf("SC_CLK_TCK")
            user, nice, system, idle, iowait, irq, soft, steal = (int(it) for it in fields[:8])
            busy = user + nice + system + irq + soft
            return Ticks(busy * tick_s, (idle + iowait) * tick_s, steal * tick_s)
    return Ticks()
