"""What a caller says and when: scripts for `trunkline call` and for simulated calls.

A script is a list of steps in YAML or JSON, or a mapping with `steps` and the settings below:

    max_wait_s: 15          # silence of the agent after which the caller hangs up
    quiet_s: 1.2            # silence after which the agent is taken to have finished
    steps:
      - {say: hello.wav, after_agent: true}            # an audio file, relative to the script
      - {say: "I need an appointment", after_agent: true, quiet_s: 2}   # needs a voice
      - {wav: no.wav, barge_in_after_s: 1.0}   # 1.0 s (>= 0.1) after the agent begins to speak
      - {dtmf: "1#", at_s: 20}                         # 20 s after the call was answered
      - {wait_s: 3}
      - {hang_up: true}

Each step does one thing (`say`, `wav`, `dtmf`, `wait_s`, `hang_up`) at one moment (`after_agent`,
`at_s`, `barge_in_after_s`; none: at once after the step before). A script that does not end in
`hang_up` gets a last step that hangs up after the agent's next reply.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import yaml

from trunkline.errors import InputError
from trunkline.media import wav
from trunkline.media.g711 import mulaw_encode

QUIET_S: Final = 1.2
"""Longer than a pause inside a sentence, and than the dead air of a failover that works."""
MAX_WAIT_S: Final = 15.0
"""A person says "hello?" after 5 s and gives up after 15."""
STEPS_MAX: Final = 500
SCRIPT_BYTES_MAX: Final = 256 * 1024
_TEXT_CHARS_MAX: Final = 2000
_SECONDS_MAX: Final = 3600.0
_DIGITS: Final = frozenset("0123456789*#ABCD")

Voice: TypeAlias = Callable[[str], Awaitable[bytes]]
"""Text -> speech, 16-bit little-endian mono at 8 kHz."""


@dataclass(frozen=True, slots=True)
class AfterAgent:
    """Once the agent was heard since the step before, and was then silent for *quiet_s*."""

    quiet_s: float = QUIET_S


@dataclass(frozen=True, slots=True)
class At:
    """At *at_s* of the tape, or at once if that is past."""

    at_s: float


@dataclass(frozen=True, slots=True)
class BargeIn:
    """*after_s* after the agent began to speak (for the first time since the step before)."""

    after_s: float


When = AfterAgent | At | BargeIn | None


@dataclass(frozen=True, slots=True)
class Speak:
    """Say *mulaw* (G.711 mu-law, 8 kHz)."""

    mulaw: bytes


@dataclass(frozen=True, slots=True)
class Press:
    """Press the keys *digits*, one every 200 ms."""

    digits: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Be silent for *seconds*."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that the caller does; *label* names it in events."""

    does: Speak | Press | Wait | HangUp
    when: When = None
    label: str = ""


@dataclass(frozen=True, slots=True)
class CallScript:
    """Steps, ready to be performed. *max_wait_s*: as above."""

    steps: tuple[Step, ...]
    max_wait_s: float = MAX_WAIT_S

    def __post_init__(self) -> None:
        for number, step in enumerate(self.steps, 1):
            if isinstance(step.when, AfterAgent) and step.when.quiet_s >= self.max_wait_s:
                raise InputError(
                    f"script step {number}: quiet_s {step.when.quiet_s:g} is not below max_wait_s "
                    f"{self.max_wait_s:g}: the caller would hang up before the step is due"
                )


async def read_script(path: Path, voice: Voice | None = None) -> CallScript:
    """The script in the file *path*; `InputError` names the step and field that is wrong."""
    try:
        if path.stat().st_size > SCRIPT_BYTES_MAX:  # noqa: ASYNC240  # a small local file, before the call
            raise InputError(f"{path}: a script has at most {SCRIPT_BYTES_MAX} bytes")
        data = yaml.safe_load(path.read_text("utf-8"))  # noqa: ASYNC240  # the same
    except (OSError, UnicodeDecodeError) as unreadable:
        raise InputError(f"script {path} cannot be read: {unreadable}") from unreadable
    except yaml.YAMLError as broken:
        raise InputError(f"script {path} is neither YAML nor JSON: {broken}") from broken
    try:
        return await parse_script(data, folder=path.parent, voice=voice)
    except InputError as wrong:
        raise InputError(f"{path}: {wrong}") from wrong


async def parse_script(data: object, *, folder: Path, voice: Voice | None = None) -> CallScript:
    """The script in *data* (lists, mappings and scalars); audio files are relative to *folder*."""
    top = {"steps": data} if isinstance(data, list) else data
    if not isinstance(top, dict):
        raise InputError("a script is a list of steps, or a mapping with 'steps'")
    _no_others(top, {"steps", "max_wait_s", "quiet_s"}, "script")
    steps = top.get("steps")
    if not isinstance(steps, list) or not 1 <= len(steps) <= STEPS_MAX:
        raise InputError(f"script: 'steps' has to be a list of 1 to {STEPS_MAX} steps")
    quiet_s = _seconds(top, "quiet_s", "script", QUIET_S)
    parsed = []
    for number, step in enumerate(steps, 1):
        place = f"script step {number}"
        if not isinstance(step, dict):
            raise InputError(f"{place}: is not a mapping such as {{say: hello.wav}}")
        _no_others(step, _DOES | _WHEN | {"quiet_s"}, place)
        when = _when(step, place, quiet_s)
        parsed.append(await _step(step, when, place, folder, voice))
    if not isinstance(parsed[-1].does, HangUp):
        parsed.append(Step(HangUp(), AfterAgent(quiet_s), "hang up"))
    return CallScript(tuple(parsed), _seconds(top, "max_wait_s", "script", MAX_WAIT_S))


_DOES: Final = frozenset({"say", "wav", "dtmf", "wait_s", "hang_up"})
_WHEN: Final = frozenset({"after_agent", "at_s", "barge_in_after_s"})


def _when(step: Mapping[str, object], place: str, quiet_s: float) -> When:
    given = sorted(_WHEN & step.keys())
    if len(given) > 1:
        raise InputError(f"{place}: {' and '.join(given)} together; a step has one moment")
    if "quiet_s" in step and given != ["after_agent"]:
        raise InputError(f"{place}: 'quiet_s' says nothing without 'after_agent: true'")
    match given:
        case ["after_agent"]:
            _true(step, "after_agent", place)
            return AfterAgent(_seconds(step, "quiet_s", place, quiet_s))
        case ["at_s"]:
            return At(_seconds(step, "at_s", place))
        case ["barge_in_after_s"]:
            return BargeIn(_seconds(step, "barge_in_after_s", place))
        case _:
            return None


async def _step(
    step: Mapping[str, object], when: When, place: str, folder: Path, voice: Voice | None
) -> Step:
    given = sorted(_DOES & step.keys())
    if len(given) != 1:
        raise InputError(
            f"{place}: has {' and '.join(given) or 'nothing to do'}; "
            f"give exactly one of {', '.join(sorted(_DOES))}"
        )
    field = given[0]
    match field:
        case "wait_s":
            seconds = _seconds(step, field, place)
            return Step(Wait(seconds), when, f"wait {seconds:g} s")
        case "hang_up":
            _true(step, field, place)
            return Step(HangUp(), when, "hang up")
        case "dtmf":
            digits = _text(step, field, place)
            if not _DIGITS.issuperset(digits):
                raise InputError(f"{place}: 'dtmf' {digits!r} has other keys than 0-9 * # A-D")
            return Step(Press(digits), when, f"press {digits}")
        case _:
            text = _text(step, field, place)
            if field == "wav" or text.lower().endswith(".wav"):
                return Step(Speak(_clip(folder / text, place)), when, text)
            if voice is None:
                raise InputError(
                    f"{place}: 'say' has text, and there is no voice; give a .wav file"
                )
            return Step(Speak(await spoken(text, voice)), when, text)


def _clip(path: Path, place: str) -> bytes:
    try:
        pcm = wav.read(path)
    except InputError as wrong:
        raise InputError(f"{place}: {wrong}") from wrong
    if pcm.ndim != 1:
        raise InputError(f"{place}: {path} is stereo; a caller's clip has one channel")
    return mulaw_encode(pcm)


async def spoken(text: str, voice: Voice) -> bytes:
    """*text* in G.711 mu-law; `InputError` if the voice returns no 16-bit samples."""
    pcm = await voice(text)
    if len(pcm) % 2 or not pcm:
        raise InputError(f"the voice returned {len(pcm)} bytes of 16-bit audio for {text[:40]!r}")
    return mulaw_encode(np.frombuffer(pcm, "<i2").astype(np.int16))


def _no_others(data: Mapping[str, object], known: frozenset[str] | set[str], place: str) -> None:
    others = sorted(str(name) for name in data if name not in known)
    if others:
        raise InputError(f"{place}: unknown field {others[0]!r}; known: {', '.join(sorted(known))}")


def _text(step: Mapping[str, object], field: str, place: str) -> str:
    value = step[field]
    if not isinstance(value, str) or not 1 <= len(value) <= _TEXT_CHARS_MAX:
        raise InputError(
            f"{place}: {field!r} has to be text in quotes, 1 to {_TEXT_CHARS_MAX} characters"
        )
    return value


def _seconds(
    step: Mapping[str, object], field: str, place: str, default: float | None = None
) -> float:
    value = step.get(field, default)
    if (
        isinstance(value, bool)
        or not isinstance(value, int | float)
        or not 0 <= value <= _SECONDS_MAX
    ):
        raise InputError(f"{place}: {field!r} is {value!r}; give seconds, 0 to {_SECONDS_MAX:g}")
    return float(value)


def _true(step: Mapping[str, object], field: str, place: str) -> None:
    if step[field] is not True:
        raise InputError(f"{place}: {field!r} can only be true; leave it out otherwise")
