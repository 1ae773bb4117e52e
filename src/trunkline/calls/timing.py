"""What an attempt on a speech endpoint teaches the router: how soon, how steadily, or too late."""

from trunkline.calls.steps import Desk
from trunkline.core.health import Measure
from trunkline.types import Endpoint, Mono, Where


class Timing:
    """Of one attempt. *late*: the endpoint that it was begun for, because that one was late or
    failed; None: it is the first."""

    def __init__(
        self, desk: Desk, where: Where, endpoint: Endpoint, late: Endpoint | None = None
    ) -> None:
        self._desk, self._where, self._endpoint, self._late = desk, where, endpoint, late
        self._asked = desk.now()
        self._answered = self._whole = False

    def first(self, since: Mono | None = None) -> None:
        """Its first useful output is here; *since*: when that was due to be worked on, not before
        it was asked. Idempotent."""
        if not self._answered:
            self._answered = True
            begun = self._asked if since is None else since
            self._tell(Measure.FIRST, max(self._desk.now() - begun, 0.0))
            self._pair(slow=False)

    def whole(self) -> None:
        """Its first whole word is here; idempotent."""
        if not self._whole:
            self._whole = True
            self._tell(Measure.SENTENCE, self._desk.now() - self._asked)

    def gap(self, seconds: float) -> None:
        """Between two outputs."""
        self._tell(Measure.GAP, seconds)

    def overtaken(self) -> bool:
        """It was late, and whoever was asked later was first: it counts as slow, and not also as
        failed. False if its time was taken before, so that it failed in the middle."""
        if self._answered:
            return False
        self._answered = True
        self._tell(Measure.SLOW, self._desk.now() - self._asked)
        self._pair(slow=True)
        return True

    def _tell(self, what: Measure, seconds: float) -> None:
        self._desk.measured(self._where, self._endpoint, what, seconds)

    def _pair(self, *, slow: bool) -> None:
        if self._late is not None and self._late.name != self._endpoint.name:
            self._desk.router.paired(self._late.name, self._endpoint.name, slow=slow)
