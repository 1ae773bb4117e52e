"""What a process and its children have used, as Linux tells it: proc(5)."""

import resource
from pathlib import Path

_PROC = Path("/proc")


def tree(pid: int) -> list[int]:
    """*pid* and all that descend from it, now."""
    children: dict[int, list[int]] = {}
    for entry in _PROC.iterdir():
        if entry.name.isdigit() and (stat := _read(entry / "stat")):
            parent = int(stat.rpartition(")")[2].split()[1])
            children.setdefault(parent, []).append(int(entry.name))
    found = [pid]
    for one in found:  # it grows meanwhile
        found += children.get(one, [])
    return found


def cpu_s(pids: list[int]) -> float:
    """CPU seconds of all threads that are there, in nanoseconds (`schedstat`: time on a core)."""
    on_core_ns = 0
    for pid in pids:
        for task in (_PROC / str(pid) / "task").glob("*/schedstat"):
            if told := _read(task):
                on_core_ns += int(told.split()[0])
    return on_core_ns / 1e9


def rss_mb(pids: list[int]) -> float:
    """Resident now; pages that they share count for each."""
    told = [_read(_PROC / str(pid) / "statm").split() for pid in pids]
    return sum(int(it[1]) for it in told if it) * resource.getpagesize() / 2**20


def _read(path: Path) -> str:
    """Its text; "" if the process is gone."""
    try:
        return path.read_text()
    except OSError:
        return ""
