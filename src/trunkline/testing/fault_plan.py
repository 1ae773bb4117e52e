"""Fault scripts as files: which endpoint, when, where in the answer, what happens.

    version: 1
    faults:
      - {on: {endpoint: primary}, from_s: 60, to_s: 120, what: stall, after_s: 0.8}
      - {on: {failure_domain: cloud-1}, share: 0.1, what: status, status: 429, retry_after_s: 2}
      - {on: {stage: tts}, on_turn: 3, what: cut, after_s: 1.5}

The first fault of the list that strikes a request is what happens to it. The kinds and their
options are those of `trunkline.testing.faults`; what an option means is told there, once. For a
recogniser and a synthesiser a *token* is a message of the stream, and *after_s* is counted from the
first one: a recogniser that dies in mid-utterance is a `cut`, one that says nothing over an open
socket is a `stall` from the start.

The same file drives simulated stages (`FaultPlan.strike`) and the local servers (`for_server`).
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field

from trunkline.config.load import parse_as
from trunkline.config.shapes import Model, Name, Text
from trunkline.config.tree import Source
from trunkline.errors import InputError
from trunkline.testing.faults import FaultKind, FaultScript

FAULTS_MAX = 256
Seconds = Annotated[float, Field(ge=0, le=86_400)]
Count = Annotated[int, Field(ge=1, le=1_000_000_000)]
_GOLDEN = 0.6180339887


class On(Model):
    """Whom a fault strikes; what is given must hold together."""

    endpoint: Name | None = Field(default=None, description="the name of an endpoint")
    stage: Literal["stt", "llm", "tts"] | None = Field(default=None, description="stt, llm or tts")
    failure_domain: Text | None = Field(default=None, description="a failure domain")

    def holds(self, endpoint: str, stage: str, failure_domain: str) -> bool:
        """Whether it is about this endpoint."""
        return (
            self.endpoint in {None, endpoint}
            and self.stage in {None, stage}
            and self.failure_domain in {None, failure_domain}
        )


class FaultConfig(Model):
    """One fault. What a kind does not know is refused (see `trunkline.testing.faults`)."""

    what: FaultKind = Field(description="one of: " + ", ".join(FaultKind))
    on: On = Field(description="a mapping with endpoint, stage or failure_domain")
    from_s: Seconds | None = Field(default=None, description="seconds: not before")
    to_s: Seconds | None = Field(default=None, description="seconds: not from then on")
    on_call: Count | None = Field(
        default=None, description="a whole number: that call only, counted from 1 (simulation)"
    )
    on_turn: Count | None = Field(
        default=None, description="a whole number: that turn of a call, counted from 1"
    )
    on_request: Count | None = Field(
        default=None, description="a whole number: that request to the endpoint, counted from 1"
    )
    match: Text | None = Field(
        default=None, description="text of the caller's last message, whatever the case (servers)"
    )
    share: Annotated[float, Field(gt=0, le=1)] | None = Field(
        default=None, description="a number above 0, at most 1: the share of requests it strikes"
    )
    after_tokens: Annotated[int, Field(ge=0, le=100_000)] | None = Field(
        default=None, description="a whole number: tokens that come before it strikes"
    )
    after_s: Seconds | None = Field(
        default=None, description="seconds after the first token at which it strikes"
    )
    hold_s: Seconds | None = Field(
        default=None, description="seconds until it goes on; null: it never does"
    )
    gap_s: Annotated[float, Field(gt=0, le=3_600)] | None = Field(
        default=None, description="seconds between comments, or between the tokens of a drip"
    )
    status: Annotated[int, Field(ge=400, le=599)] | None = Field(
        default=None, description="an HTTP status from 400 to 599"
    )
    retry_after_s: Seconds | None = Field(
        default=None, description="seconds that the Retry-After header tells to wait"
    )
    body: Annotated[str, Field(max_length=10_000)] | None = Field(
        default=None, description="text: the body of the error"
    )

    def script(self) -> FaultScript:
        """As the servers know it; `InputError` for an option that this kind does not know."""
        told: Mapping[str, Any] = self.model_dump(
            exclude_none=True, exclude={"what", "on", "on_call"}
        )
        return FaultScript.parse({"kind": self.what.value, **told})


class FaultPlan(Model):
    """A whole script, checked."""

    version: Literal[1] = Field(description="1, the version of this format")
    about: Annotated[str, Field(max_length=4_000)] = Field(
        default="", description="what this script is, for people"
    )
    faults: Annotated[tuple[FaultConfig, ...], Field(max_length=FAULTS_MAX)] = Field(
        description="a list of faults; the first that strikes a request is what happens to it"
    )

    def for_server(self, endpoint: str, stage: str, failure_domain: str) -> list[FaultScript]:
        """The faults of one endpoint's server, in order.

        `InputError` for what a server cannot do: tell calls apart, close its door at a time.
        """
        struck = [it for it in self.faults if it.on.holds(endpoint, stage, failure_domain)]
        for fault in struck:
            if fault.what is FaultKind.REFUSE and fault.from_s is not None:
                raise InputError(
                    f"fault refuse on {endpoint}: a server closes its door between two requests, "
                    "not at a time. Leave from_s out, or use on_request with hold_s"
                )
            if fault.on_call is not None:
                raise InputError(
                    f"fault {fault.what.value} on {endpoint}: on_call means nothing to a server, "
                    "which cannot tell calls apart. Use on_request, on_turn or match"
                )
        return [fault.script() for fault in struck]


class Struck:
    """The faults of one endpoint in a simulation: whom they strike."""

    __slots__ = ("_faults", "_requests")

    def __init__(self, plan: FaultPlan, endpoint: str, stage: str, failure_domain: str) -> None:
        self._faults = [
            (fault.on_call, fault.script())
            for fault in plan.faults
            if fault.on.holds(endpoint, stage, failure_domain)
        ]
        self._requests = 0

    def __bool__(self) -> bool:
        return bool(self._faults)

    def strike(self, call: int, turn: int, at_s: float, lot: float) -> FaultScript | None:
        """The fault of the next request: of turn *turn* of call *call* (from 1), at *at_s*."""
        self._requests += 1
        for place, (on_call, script) in enumerate(self._faults):
            mine = (lot + place * _GOLDEN) % 1.0  # a lot of its own for each fault
            if on_call in {None, call} and script.strikes(
                self._requests, "", turn=turn, at_s=at_s, lot=mine
            ):
                return script
        return None


def load_plan(path: Path) -> FaultPlan:
    """The fault script in the file at *path*; `ConfigError` says what is wrong, at which line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the fault script {path} cannot be read: {error}") from error
    return parse_plan(text, path)


def parse_plan(text: str, path: Path | str = "faults.yaml") -> FaultPlan:
    """Check *text*, which was read from *path*."""
    plan, source = parse_as(FaultPlan, text, path, "docs/simulate.md has an example")
    for at, fault in enumerate(plan.faults):
        _check(at, fault, source)
    return plan


def _check(at: int, fault: FaultConfig, source: Source) -> None:
    loc = ("faults", at)
    if fault.on == On():
        what = f"faults[{at}].on: strikes nobody in particular"
        raise source.error((*loc, "on"), what, "Name an endpoint, a stage or a failure_domain")
    try:
        fault.script()
    except InputError as error:
        raise source.error(loc, f"faults[{at}]: {error}", "See trunkline.testing.faults") from error


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a fault script, for editors."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Fault script"}
    return FaultPlan.model_json_schema() | dialect
