"""In which order a step tries the endpoints of its route.

The configured order is the preference. An endpoint that failed goes to the back until its
cool-down is over, doubled with every failure in a row up to a cap; a call stays on the endpoint
that served it last while that one is well, because its prompt cache is warm and the seam is
already behind the caller. An endpoint is never left out: the last resort is to try a sick one.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from trunkline.errors import Fault
from trunkline.types import Mono


@dataclass(frozen=True, slots=True)
class RoutingPolicy:
    """Seconds that an endpoint stays at the back after a failure, and their cap."""

    cooldown_s: float = 15.0
    cooldown_max_s: float = 240.0


@dataclass(slots=True)
class _Health:
    failures: int = 0
    until: float = 0.0


class Router:
    """What a worker knows of its endpoints; decides alone, from its own calls."""

    def __init__(self, policy: RoutingPolicy) -> None:
        self._policy = policy
        self._health: dict[str, _Health] = {}

    def failed(self, endpoint: str, fault: Fault, now: Mono) -> None:
        """An attempt on *endpoint* failed or fell silent. Pushback counts once, not doubled."""
        health = self._health.setdefault(endpoint, _Health())
        health.failures = 1 if fault is Fault.THROTTLED else health.failures + 1
        pause_s = self._policy.cooldown_s * 2.0 ** min(health.failures - 1, 16)
        health.until = now + min(pause_s, self._policy.cooldown_max_s)

    def served(self, endpoint: str) -> None:
        """An attempt on *endpoint* completed: it is well again."""
        self._health.pop(endpoint, None)

    def order(self, route: Sequence[str], last: str | None, now: Mono) -> list[str]:
        """*route* in the order to try it; *last* is the endpoint that served this call last."""

        def rank(item: tuple[int, str]) -> tuple[float, bool, int]:
            place, name = item
            health = self._health.get(name)
            sick_until = 0.0 if health is None or health.until <= now else health.until
            return sick_until, name != last, place

        return [name for _, name in sorted(enumerate(route), key=rank)]
