"""What a call's tasks share: the journal, the clock, the stages in the order to try them."""

import logging
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from trunkline.calls.voice import Voice
from trunkline.calls.voices import Voices
from trunkline.contracts import Context, Journal, Stage
from trunkline.core.attempt_words import AttemptPolicy, Plan
from trunkline.core.health import Breaker, Measure
from trunkline.core.routing import CallState, Router
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import (
    AudioFrame,
    DataClass,
    Delta,
    Endpoint,
    Mono,
    Phrase,
    Prompt,
    Speech,
    StageName,
    Transcript,
    Where,
)

log = logging.getLogger(__name__)

SttStage = Stage[AsyncIterator[AudioFrame], Transcript]
LlmStage = Stage[Prompt, Delta]
TtsStage = Stage[AsyncIterator[Phrase], Speech]
AnyStage = Stage[Any, Any]  # what a route holds; each user knows its stage's shapes
Routes = Mapping[StageName, Sequence[AnyStage]]


_NO_CALLERS = {Breaker.OPEN, Breaker.MISCONFIGURED}


@dataclass(frozen=True, slots=True)
class Desk:
    """What every step of a call needs, and the bookkeeping of its attempts."""

    journal: Journal
    router: Router
    routes: Routes
    served: dict[StageName, str]
    """The endpoint that served this call last, by stage."""
    clock: Callable[[], float]
    """The loop's time; asking for the loop each time costs more than the answer."""
    state: CallState
    """What routing remembers of this call."""
    filler: Callable[[Voice, str, int], str]
    """Says something beforehand recorded in the voice of an endpoint: see `calls.filler`."""
    voices: Voices = field(default_factory=Voices)
    """The worker's: what its synthesisers sound like."""
    give_interims: set[str] = field(default_factory=set)
    """The worker's: recognisers that were seen to give interim transcripts."""

    def now(self) -> Mono:
        """Monotonic seconds."""
        return Mono(self.clock())

    def order(self, stage: StageName) -> tuple[list[AnyStage], int]:
        """The stages of the route, the one to try first in front, and how many of them are well."""
        stages = {s.endpoint.name: s for s in self.routes[stage]}
        last = self.served.get(stage)
        names, well = self.router.order(list(stages), last, self.state, self.now())
        return [stages[name] for name in names], well

    def plan(self, stage: StageName, policy: AttemptPolicy) -> tuple[Plan, list[AnyStage]]:
        """How to run the next step, and the stages that are its candidates, one a candidate."""
        stages = {s.endpoint.name: s for s in self.routes[stage]}
        last = self.served.get(stage)
        plan = self.router.plan(list(stages), last, self.state, self.now(), policy)
        return plan, [stages[name] for name in plan.candidates]

    def hopeless(self, stage: StageName) -> bool:
        """Whether no endpoint of the route gets callers any more: the next attempt would fail."""
        names, now = (s.endpoint.name for s in self.routes[stage]), self.now()
        return all(self.router.health(name).breaker(now) in _NO_CALLERS for name in names)

    def measured(
        self, where: Where, endpoint: Endpoint, what: Measure, seconds: float, times: int = 1
    ) -> None:
        """Something was measured of an attempt: the router learns it."""
        state = self.router.observe(endpoint.name, what, seconds, self.now(), times)
        self._changed(where, endpoint, state, what.value)

    def started(
        self, where: Where, endpoint: Endpoint, kind: str, data_class: DataClass, **more: object
    ) -> Context:
        """Journal the start of an attempt; the context that its stage is opened with."""
        data = {
            "stage": endpoint.stage,
            "endpoint": endpoint.name,
            "model": endpoint.model,
            "failure_domain": endpoint.failure_domain,
            "kind": kind,
            **more,
        }
        self.journal.note("attempt.started", data, where=where, zone=endpoint.zone.name)
        return Context(where, data_class)

    def ended(self, where: Where, endpoint: Endpoint, outcome: str, **more: object) -> None:
        """Journal the end of an attempt: `won`, `lost`, `cancelled`, or `failed` with its fault."""
        data = {"stage": endpoint.stage, "endpoint": endpoint.name, "outcome": outcome, **more}
        self.journal.note("attempt.ended", data, where=where, zone=endpoint.zone.name)

    def succeeded(self, where: Where, endpoint: Endpoint, **more: object) -> None:
        """The attempt served: the call stays with its endpoint."""
        self.router.served(endpoint.name, self.now())
        self.served[endpoint.stage] = endpoint.name
        self.ended(where, endpoint, "won", **more)

    def failed(
        self, where: Where, endpoint: Endpoint, error: "Failure", *, blame: bool = True
    ) -> None:
        """The attempt failed; *blame*: routing is to know."""
        fault = fault_of(error)
        log.warning("call %s turn %d: %s", where.call, where.turn, in_log(endpoint, error))
        self.ended(where, endpoint, "failed", fault=fault.value, detail=str(error))
        if not blame:
            return
        self.state.failed(endpoint.name, fault)
        pause_s = error.retry_after_s if isinstance(error, EndpointError) else None
        state = self.router.failed(endpoint.name, fault, self.now(), pause_s)
        self._changed(where, endpoint, state, in_log(endpoint, error))

    def _changed(self, where: Where, endpoint: Endpoint, state: Breaker | None, why: str) -> None:
        """Who may be sent to *endpoint* changed, for all calls of this worker."""
        if state is None:
            return
        page = state is Breaker.MISCONFIGURED
        mend = " Mend its configuration: it is read again" if page else ""
        level = logging.CRITICAL if page else logging.ERROR
        log.log(level, "endpoint %s is %s: %s.%s", endpoint.name, state.value, why, mend)
        data = {"endpoint": endpoint.name, "state": state.value, "why": why, "page": page}
        self.journal.note("endpoint.state", data, where=where)

    def failover(
        self, where: Where, old: Endpoint, new: Endpoint, fault: Fault, kind: str, **more: object
    ) -> None:
        """Journal a change of endpoint."""
        data = {"stage": new.stage, "from": old.name, "to": new.name, "fault": fault.value}
        self.journal.note("failover", {**data, "kind": kind, **more}, where=where)


Failure = EndpointError | EgressRefused


def fault_of(error: Failure) -> Fault:
    """The fault as routing knows it: what the policy forbids is refused."""
    return error.fault if isinstance(error, EndpointError) else Fault.REFUSED


def in_log(endpoint: Endpoint, error: Failure) -> str:
    """What a log may hold of *error*.

    A provider's own words may quote a caller's. Where a policy decides where those may go, they
    stay out of the log, which is in no zone; the journal has them, sealed.
    """
    if endpoint.policy is None or isinstance(error, EgressRefused):
        return str(error)
    return f"{endpoint.name}: {error.fault.value} (its own words are not logged)"


def attempt(where: Where, number: int) -> Where:
    """The address of attempt *number* of the step at *where*."""
    return replace(where, attempt=number)
