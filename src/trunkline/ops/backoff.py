"""How long to wait before a worker that died is started again."""

from dataclasses import dataclass
from random import Random


@dataclass(frozen=True, slots=True)
class BackoffPolicy:
    """The wait doubles from *first_s* to *longest_s* while workers die younger than *healthy_s*:

    before they can have served anybody, which says that they will again."""

    first_s: float = 0.25
    longest_s: float = 30.0
    healthy_s: float = 10.0


class Backoff:
    """The waits of one place for a worker; *rng* draws the jitter."""

    def __init__(self, policy: BackoffPolicy, rng: Random) -> None:
        self._policy, self._rng = policy, rng
        self._deaths = 0

    def after(self, lived_s: float) -> float:
        """Seconds to wait after a death at the age of *lived_s*.

        Between half of the full wait and all of it, so that workers that died together (a config
        that crashes all, a machine that ran out of memory) do not come back together.
        """
        policy = self._policy
        self._deaths = 1 if lived_s >= policy.healthy_s else self._deaths + 1
        doublings = min(self._deaths - 1, 30)  # the float would overflow long after the cap
        full_s = min(policy.first_s * 2.0**doublings, policy.longest_s)
        return full_s * self._rng.uniform(0.5, 1.0)
