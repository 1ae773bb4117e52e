"""Incidents as files: what happened to others, the fault script of it, and what must happen here.

    version: 1
    title: Keep-alives kept the read timeout from firing
    project: livekit/agents
    link: https://github.com/livekit/agents/issues/6171
    date: 2026-06-20
    stage: llm
    signature: the stream stays up and carries comments, never a token
    heard_there: nothing for about a minute, with healthy fallbacks configured
    calls:
      - name: minute
        faults:
          - {on: {endpoint: model-1}, on_turn: 1, what: keepalives, hold_s: 60}
        must: {dead_air_added_s: 1.5, answered_by: model-2}

A call has two turns and two endpoints a stage (`model-1`, `model-2`, `ear-1`, `ear-2`, `voice-1`,
`voice-2`), unless it says otherwise. Its faults are those of `trunkline.testing.fault_plan`. An
incident whose thread could not be found says `read: false` and has no calls.
"""

import datetime
from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from trunkline.config.load import parse_as
from trunkline.config.shapes import Model, Name
from trunkline.config.tree import Source
from trunkline.errors import InputError
from trunkline.testing.fault_plan import FaultConfig, On
from trunkline.testing.faults import FaultKind, FaultScript

CALLS_MAX = 8
TURNS_MAX = 12
Line = Annotated[str, Field(min_length=1, max_length=1_000)]
Seconds = Annotated[float, Field(ge=0, le=600)]
StageWord = Literal["stt", "llm", "tts", "records"]
Url = Annotated[str, Field(pattern=r"^https://[^\s]+$", max_length=500)]
Date = Annotated[str, Field(pattern=r"^\d{4}-\d{2}-\d{2}$")]
KINDS_OF_SPEECH = frozenset(FaultKind) - {FaultKind.FREEZE, FaultKind.CONTENT_FILTER}
NAMES: Mapping[str, str] = {"stt": "ear", "llm": "model", "tts": "voice"}


class Turn(Model):
    """What the caller says and what a model answers; with a *tool*, after that has run."""

    caller: Line = Field(description="what the caller says")
    agent: Line = Field(description="what a model answers")
    tool: Name | None = Field(default=None, description="a tool that is run for the answer")
    before: Annotated[str, Field(max_length=1_000)] = Field(
        default="", description="what a model says before it calls the tool"
    )


class Backup(Model):
    """How the second model takes over."""

    continuation: Literal["prefix", "turn"] = Field(
        default="turn", description="prefix or turn: how it is asked to go on"
    )
    restarts: bool = Field(
        default=False, description="true: asked to go on, it begins again, with an apology"
    )
    refuses_prefill: bool = Field(
        default=False, description="true: a prompt that ends in an assistant message gets a 400"
    )
    prose: bool = Field(
        default=False, description="true: asked to go on, it talks where it should call a tool"
    )


class Outage(Model):
    """The records cannot be written: durable writes wait from *from_s* to *to_s* of the call."""

    from_s: Seconds = Field(description="seconds of the call at which it begins")
    to_s: Seconds = Field(description="seconds of the call at which it ends")


class Must(Model):
    """What must happen here: every line of it can fail."""

    dead_air_added_s: Seconds = Field(
        description="seconds of dead air that a turn may have beyond the same turn unfaulted"
    )
    words_lost: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a whole number: words of the answers that may be missing"
    )
    words_repeated: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a whole number: words that may be heard again"
    )
    caller_words_lost: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a whole number: words of the caller that no model may get"
    )
    turns_dropped: Annotated[int, Field(ge=0)] = Field(
        default=0, description="a whole number: turns that may stay without any answer"
    )
    answered_by: Name | None = Field(
        default=None, description="the endpoint that must complete each struck turn"
    )
    hears: Line | None = Field(default=None, description="a line that the caller must hear")
    tools: Mapping[Name, Annotated[int, Field(ge=0)]] = Field(
        default_factory=dict, description="how often each tool must have run"
    )
    ended_by: Literal["caller", "agent"] = Field(
        default="caller", description="caller or agent: who must end the call"
    )


class Call(Model):
    """One call of an incident."""

    name: Name = Field(description="a short name")
    about: Line | None = Field(default=None, description="what is special about this call")
    talk: Annotated[tuple[Turn, ...], Field(min_length=1, max_length=TURNS_MAX)] | None = Field(
        default=None, description="the turns, if not the two that every call has"
    )
    endpoints: Mapping[Literal["stt", "llm", "tts"], Annotated[int, Field(ge=1, le=2)]] = Field(
        default_factory=dict, description="1 or 2 endpoints by stage; 2 if it is not said"
    )
    backup: Backup = Field(default_factory=Backup, description="how the second model takes over")
    patience_s: Annotated[float, Field(gt=3, le=120)] = Field(
        default=20.0, description="seconds of silence after which the caller hangs up"
    )
    faults: Annotated[tuple[FaultConfig, ...], Field(max_length=64)] = Field(
        default=(), description="a list of faults; the first that strikes is what happens"
    )
    outage: Outage | None = Field(default=None, description="when nothing durable can be written")
    must: Must = Field(description="what must happen here")

    def names(self, stage: Literal["stt", "llm", "tts"]) -> list[str]:
        """Its endpoints of *stage*, the preferred one first."""
        count = self.endpoints.get(stage, 2)
        return [f"{NAMES[stage]}-{number}" for number in range(1, count + 1)]

    def faults_of(self, endpoint: str, stage: str) -> list[FaultScript]:
        """The faults of one endpoint, in order."""
        return [it.script() for it in self.faults if it.on.holds(endpoint, stage, endpoint)]


class _File(Model):
    version: Literal[1] = Field(description="1, the version of this format")
    title: Line = Field(description="what happened, in a line")
    project: Line = Field(description="whose system it was")
    link: Url = Field(description="the https address of the thread or report")
    date: Date = Field(description="the day it was told, as YYYY-MM-DD in quotes")
    read: bool = Field(default=True, description="false: the thread could not be found")
    stage: StageWord = Field(description="stt, llm, tts or records")
    signature: Line = Field(description="how the failure looked from outside")
    heard_there: Line = Field(description="what the callers of that system heard")
    scripted: Line | None = Field(
        default=None, description="what the script renders differently, and why"
    )
    calls: Annotated[tuple[Call, ...], Field(max_length=CALLS_MAX)] = Field(
        default=(), description="a list of calls"
    )


class Incident(_File):
    """One incident, checked. *name* is its file's."""

    name: str = Field(default="", description="nothing: the file's name is its name")

    @cached_property
    def day(self) -> datetime.date:
        """When it was told."""
        return datetime.date.fromisoformat(self.date)


def folder() -> Path:
    """Where the incidents that ship are: beside the package, or in a checkout of the project."""
    packaged = Path(str(files("trunkline.testing.incidents"))) / "data"
    if packaged.is_dir():
        return packaged
    checkout = Path(__file__).parents[4] / "incidents"
    if checkout.is_dir():
        return checkout
    raise InputError("the incidents were not installed: name a folder of them with --folder")


def load_all(where: Path, names: Sequence[str] = ()) -> list[Incident]:
    """The incidents of folder *where*: all, or those of *names*; `InputError` for what is wrong."""
    paths = {path.stem: path for path in sorted(where.glob("*.yaml"))}
    if not paths:
        raise InputError(f"{where} holds no incidents: they are files that end in .yaml")
    if unknown := [name for name in names if name not in paths]:
        raise InputError(
            f"there is no incident {unknown[0]!r} in {where}. Choose from: {', '.join(paths)}"
        )
    return [load(paths[name]) for name in names or paths]


def load(path: Path) -> Incident:
    """The incident in the file at *path*; `ConfigError` says what is wrong, at which line."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"the incident {path} cannot be read: {error}") from error
    return parse(text, path)


def parse(text: str, path: Path) -> Incident:
    """Check *text*, which was read from *path*."""
    told, source = parse_as(_File, text, path, "docs/incidents.md tells how one looks")
    for at, call in enumerate(told.calls):
        _check(at, call, source)
    if told.read != bool(told.calls):
        what = "calls: an incident that was read has calls, one that was not has none"
        raise source.error((), what, "Write `read: false` if the thread could not be found")
    return Incident(name=path.stem, **dict(told))


def _check(at: int, call: Call, source: Source) -> None:
    known = {name for stage in NAMES for name in call.names(stage)}  # type: ignore[arg-type]  # its keys
    here = ("calls", at)
    if not call.faults and call.outage is None:
        raise source.error(here, f"calls[{at}]: nothing goes wrong in it", "Give faults or outage")
    if call.outage is not None and call.outage.to_s <= call.outage.from_s:
        raise source.error((*here, "outage"), "to_s is not after from_s", "Give a later to_s")
    if call.must.answered_by is not None and call.must.answered_by not in known:
        what = f"answered_by: the call has no endpoint {call.must.answered_by!r}"
        raise source.error((*here, "must"), what, f"Choose from: {', '.join(sorted(known))}")
    for number, fault in enumerate(call.faults):
        loc = (*here, "faults", number)
        _check_fault(fault, known, source, loc)


def _check_fault(
    fault: FaultConfig, known: set[str], source: Source, loc: tuple[str | int, ...]
) -> None:
    if fault.on.endpoint is not None and fault.on.endpoint not in known:
        what = f"the call has no endpoint {fault.on.endpoint!r}"
        raise source.error((*loc, "on"), what, f"Choose from: {', '.join(sorted(known))}")
    if fault.on == On() or fault.on_call is not None:
        what = "a fault of an incident strikes an endpoint or a stage of its one call"
        raise source.error(loc, what, "Give on.endpoint or on.stage, and no on_call")
    if fault.share is not None and fault.share != 1:
        raise source.error(loc, "share: a call of an incident is no lottery", "Use on_request")
    stage = fault.on.stage or _stage_of(fault.on.endpoint)
    if stage != "llm" and (fault.what not in KINDS_OF_SPEECH or fault.after_s is not None):
        what = f"{fault.what.value}: not for a stage of speech, or after_s, which is not either"
        raise source.error(loc, what, "Use cut, stall, drip, empty ..., and after_tokens")
    try:
        fault.script()
    except InputError as error:
        raise source.error(loc, str(error), "See trunkline.testing.faults") from error


def _stage_of(endpoint: str | None) -> str:
    return next((stage for stage, word in NAMES.items() if (endpoint or "").startswith(word)), "")
