"""Does a worker hang, or does it wait for a core that others have?

Both report nothing. One that hangs is killed, so that its callers reach another worker. One that
waits would only be missed: its calls are more work for the others, which wait as well, and would be
killed next. So time that was waited for a core counts for it, up to a limit.
"""

from pathlib import Path
from typing import Final

HANG_S: Final = 3.0
"""Without a report: its callers have long heard nothing."""
STARVED_S: Final = 15.0
"""The same for one that waits: by then it makes no difference to them."""
_SHARE: Final = 1 / 3
"""Of the silence, that is waited: a worker alone on its core waits for next to nothing."""


def silence_max_s(silent_s: float, waited_s: float) -> float:
    """How long a worker may be silent that is so for *silent_s*, *waited_s* of it for a core."""
    return STARVED_S if waited_s > _SHARE * silent_s else HANG_S


def waited_s(pid: int) -> float:
    """How long the main thread of *pid* has waited for a core so far.

    Linux only (proc(5), schedstat: the second field, in nanoseconds); elsewhere, and for a process
    that is gone, 0: nobody is excused then.
    """
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[1]) / 1e9
    except (OSError, IndexError):
        return 0.0
