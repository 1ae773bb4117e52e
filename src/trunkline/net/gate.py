"""The one gate through which bytes leave this worker.

Every stage in `net/` asks here before it resolves a name or opens a connection. The decision is
noted before it takes effect: if the note fails, nothing is sent, so that a packet capture never
shows a destination that the journal does not know.
"""

from collections.abc import Callable
from dataclasses import dataclass

from trunkline.contracts import Context
from trunkline.core.residency import decide
from trunkline.errors import EgressRefused
from trunkline.types import DataClass, Endpoint, Where


@dataclass(frozen=True, slots=True)
class EgressDecision:
    """What was decided about one request, by which *rule*; *destination* is `host:port`."""

    endpoint: str
    zone: str
    data_class: DataClass
    destination: str
    where: Where
    allowed: bool
    rule: str


class Gate:
    """Admits data to an endpoint, or not (`core.residency`); *note* is told of each decision.

    *note* must not block.
    """

    def __init__(self, note: Callable[[EgressDecision], None]) -> None:
        self._note = note

    def admit(self, endpoint: Endpoint, context: Context, destination: str) -> None:
        """Return if the data may go to *destination* (`host:port`), else raise `EgressRefused`."""
        zone, data_class = endpoint.zone, context.data_class
        verdict = decide(endpoint.policy, data_class, zone)
        self._note(
            EgressDecision(
                endpoint.name,
                zone.name,
                data_class,
                destination,
                context.where,
                verdict.allowed,
                verdict.rule,
            )
        )
        if not verdict.allowed:
            raise EgressRefused(endpoint.name, zone.name, data_class.value, verdict.rule)
