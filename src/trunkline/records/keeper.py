"""What a worker does for records besides writing them: completes erasures, and expires by age.

On a lane, some calls at a time, with a rest in between: nobody waits for it, and callers may need
the core and the disk. Several workers may do it side by side; a call is erased once.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from functools import partial
from typing import Final

from trunkline.errors import TrunklineError
from trunkline.records.lanes import Lane
from trunkline.records.life import KEEPER, Life
from trunkline.records.retention import Retention
from trunkline.records.store import Store

log = logging.getLogger(__name__)

FIRST_S: Final = 60.0
"""After a worker's start: not beside its loading, and not never if it is often started again."""
EVERY_S: Final = 3600.0
REST_S: Final = 5.0
"""Between two passes when one was not enough: at most 36,000 calls an hour."""


async def keep(
    store: Store,
    policy: Retention,
    lane: Lane,
    wall: Callable[[], float] = time.time,
    every_s: float = EVERY_S,
) -> None:
    """Until it is cancelled: a pass over *store* on *lane*, and again *every_s*.

    What goes wrong is told in the log, and tried again at the next pass.
    """
    wait_s = FIRST_S
    try:
        while store.archive is not None:
            await asyncio.sleep(wait_s)
            job = lane.submit(partial(_pass, store, policy, wall))
            try:
                more = await asyncio.shield(job)
            except TrunklineError as error:
                log.error("records cannot be expired: %s", error)  # noqa: TRY400  # no trace
                more = False
            finally:
                await asyncio.wait([job])  # whoever cancels us closes the databases next
            wait_s = REST_S if more else every_s
    finally:
        lane.close()


def _pass(store: Store, policy: Retention, wall: Callable[[], float]) -> bool:
    """Erase some calls; whether more are due."""
    life = Life(store, KEEPER, wall)
    left = [one for it in life.resume() for one in it.left]
    done = life.expire(policy)
    if done.erased or done.silenced:
        counts = len(done.erased), len(done.silenced), len(done.held)
        log.info("expired: %d calls, %d recordings; %d are held", *counts)
    for one in (*left, *done.left):
        log.warning("of an erased call there is something left: %s", one)
    return done.more
