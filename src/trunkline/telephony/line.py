"""A phone call from the far end, without I/O: the carrier's playout and the caller with a script.

`VirtualCall` is a machine (`contracts.Machine`): a shell feeds it what the agent sends and a `Tick`
at each `deadline()`, and performs its acts. The same object makes a call over a real socket
(`telephony.caller`) and one in virtual time.

Theory of operation. The tape is the clock: frame k is the 20 ms from `mono0 + k * 20 ms`, and the
deadlines are counted from `mono0`, so that pacing cannot drift however late a shell wakes. At the
beginning of frame k

1. frame k-1 is over: what the caller said in it goes out (a carrier cannot send what is not spoken
   yet), and the marks that it played up to are answered;
2. the script takes its step, if one is due;
3. frame k is laid down: on the left what the caller says in it, on the right what is next in the
   playout buffer. An empty buffer is silence on the tape, and audio that comes too late for its
   frame is played later: what a caller hears, and no more.

`clear` therefore is heard at the next frame: the one that is being played is not taken back.

Wart: a key press is sent as a message only; the tape carries no tone for it.
"""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from trunkline.media.g711 import mulaw_decode
from trunkline.telephony.script import (
    AfterAgent,
    At,
    BargeIn,
    CallScript,
    HangUp,
    Press,
    Speak,
    Step,
    Wait,
)
from trunkline.telephony.twilio import AgentAudio, AgentClear, AgentMark, AgentMessage
from trunkline.types import FRAME_S, FRAME_SAMPLES, SAMPLE_RATE, Mono, Sample

SILENCE: Final = b"\xff" * FRAME_SAMPLES
BUFFER_S_MAX: Final = 600
"""Audio that the carrier holds: ten minutes of speech in one go is an agent gone wild."""
REQUESTS_MAX: Final = 100_000
"""Marks and clears in one call, for the same reason."""
_PRESS_FRAMES: Final = 10  # 200 ms a key: as fast as people press
_HEARD_FRAMES: Final = 5  # 100 ms: less is a click or the tail of a reply that was interrupted
_PAUSE_FRAMES: Final = 25  # half a second: audio on both sides of less is one stretch of speech
_GAP_FRAMES: Final = 10  # 200 ms: the least between a reply that was cut off and the next one
_YIELD_FRAMES: Final = 50  # 1 s: an agent that goes on for longer has not noticed the barge-in
_LOUD_SAMPLES: Final = 8  # of a frame: one sample may be an impulse of the line
# 1 for the codes of mu-law that are at least 256 of 32,768 (-42 dBFS), far below any speech.
_LOUD: Final = bytes(int(~code & 0x7F >= 0x18) for code in range(256))


@dataclass(frozen=True, slots=True)
class Tick:
    """The deadline has come."""


@dataclass(frozen=True, slots=True)
class StreamEnded:
    """The agent closed its socket: the carrier drops what it has not played."""


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Send one frame of the caller; *at*: its first sample on the tape."""

    mulaw: bytes
    at: Sample


@dataclass(frozen=True, slots=True)
class SendMark:
    """Answer a mark."""

    name: str


@dataclass(frozen=True, slots=True)
class SendDigit:
    """Report a key press."""

    digit: str


EventKind = Literal[
    "step_start", "step_end", "agent_on", "agent_off", "mark", "clear", "digit", "say", "warning",
    "stream", "transfer", "ended",
]  # fmt: skip  # a list of words


@dataclass(frozen=True, slots=True)
class CallEvent:
    """Something happened at *at_s* of the tape; *detail*: the step, mark, key or reason."""

    at_s: float
    kind: EventKind
    detail: str = ""


Ending = Literal[
    "hang_up", "agent_closed", "agent_silent", "agent_flooded", "max_duration", "no_stream",
    "failed", "transferred",
]  # fmt: skip  # a list of words

Fact: TypeAlias = Tick | StreamEnded | AgentMessage
Act: TypeAlias = SendAudio | SendMark | SendDigit | CallEvent


class Playout:
    """The carrier's buffer: audio and marks in the order in which they came."""

    def __init__(self) -> None:
        self._items: deque[bytes | str] = deque()
        self._due: list[str] = []  # marks that the frame being played reaches at its end
        self._playing = False
        self.waiting = 0
        """Samples that wait."""

    def play(self, mulaw: bytes) -> None:
        """Queue audio."""
        if mulaw:
            self._items.append(mulaw)
            self.waiting += len(mulaw)

    def mark(self, name: str) -> list[str]:
        """Queue a mark; returns it at once if nothing is left to be played before it."""
        if self._items:
            self._items.append(name)
        elif self._playing:
            self._due.append(name)
        else:
            return [name]
        return []

    def clear(self) -> list[str]:
        """Drop the audio; returns the marks that waited, in order."""
        marks = self._due + [item for item in self._items if isinstance(item, str)]
        self._items.clear()
        self._due, self.waiting = [], 0
        return marks

    def over(self) -> list[str]:
        """The frame being played is over: the marks that it reached."""
        due, self._due, self._playing = self._due, [], False
        return due

    def pull(self) -> bytes:
        """The next frame, always 160 bytes: silence where the buffer has nothing."""
        parts: list[bytes] = []
        room = FRAME_SAMPLES
        while self._items:
            item = self._items[0]
            if isinstance(item, str):
                self._due.append(item)  # its audio ends in this frame or at its beginning
                self._items.popleft()
                continue
            if not room:
                break
            parts.append(item[:room])
            if len(item) > room:
                self._items[0] = item[room:]
            else:
                self._items.popleft()
            room -= len(parts[-1])
        self._playing = room < FRAME_SAMPLES
        self.waiting -= FRAME_SAMPLES - room
        return b"".join(parts) + SILENCE[:room]


class _Ear:
    """What the caller has heard of the agent since the last step; in frames of the tape."""

    def __init__(self) -> None:
        self.talking = False
        self.last_loud = -_PAUSE_FRAMES
        self.since_step(0, interrupting=False)

    def since_step(self, frame: int, *, interrupting: bool) -> None:
        """A step has ended. What it interrupted may sound on for a while: that is no answer."""
        self.heard = 0
        self.onset = self.ended = self.patience_from = frame
        self.tail = interrupting

    def listen(self, mulaw: bytes, frame: int) -> EventKind | None:
        """Take the frame that ended at *frame*."""
        quiet = frame - self.last_loud
        if quiet >= _GAP_FRAMES or frame - self.ended >= _YIELD_FRAMES:
            self.tail = False
        if mulaw.translate(_LOUD).count(1) >= _LOUD_SAMPLES:
            self.last_loud = self.patience_from = frame
            if not self.tail:
                self.onset = self.onset if self.heard else frame
                self.heard += 1
            if not self.talking:
                self.talking = True
                return "agent_on"
        elif quiet >= _PAUSE_FRAMES:
            if self.heard < _HEARD_FRAMES:
                self.heard = 0  # it was a click
            if self.talking:
                self.talking = False
                return "agent_off"
        return None


@dataclass(slots=True)
class _Doing:
    """A step under way: it takes *frames*, with *mulaw* as its audio."""

    step: Step
    frames: int
    mulaw: bytes = b""
    digits: str = ""
    done: int = 0


class VirtualCall:
    """One call, from its answer (`mono0`) to its end; see the module's docstring.

    `ended` is None while it lasts; then no deadline is left and facts do nothing.
    """

    def __init__(self, script: CallScript, mono0: Mono, *, max_s: float = 300.0) -> None:
        self.mono0 = mono0
        self.ended: Ending | None = None
        self.events: list[CallEvent] = []
        self._script, self._frames_max = script, round(max_s / FRAME_S)
        self._next = 0
        self._doing: _Doing | None = None
        self._ear = _Ear()
        self._playout = Playout()
        self._requests = 0
        self._caller: list[bytes] = []
        self._agent: list[bytes] = []

    @property
    def at(self) -> Sample:
        """The sample of the tape that comes next."""
        return Sample(len(self._caller) * FRAME_SAMPLES)

    def deadline(self) -> Mono | None:
        """When the next frame begins; None once the call has ended."""
        return None if self.ended else Mono(self.mono0 + len(self._caller) * FRAME_S)

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; the acts to perform in order, each event also in `events`.

        *now* decides nothing: on a tape, time is what has been laid down.
        """
        del now
        if self.ended:
            return ()
        match fact:
            case Tick():
                return self._tick()
            case AgentAudio():
                self._playout.play(fact.mulaw)
                flooded = self._playout.waiting > BUFFER_S_MAX * SAMPLE_RATE
                return self.end("agent_flooded") if flooded else ()
            case AgentMark():
                return self._request(self._playout.mark(fact.name))
            case AgentClear():
                return [self._event("clear"), *self._request(self._playout.clear())]
            case StreamEnded():
                self._playout.clear()
                return ()

    def note(self, kind: EventKind, detail: str) -> CallEvent:
        """Record what only the shell can know."""
        return self._event(kind, detail)

    def end(self, how: Ending, detail: str = "") -> Sequence[Act]:
        """End the call from outside; idempotent."""
        if self.ended:
            return ()
        self.ended = how
        return [self._event("ended", f"{how}: {detail}" if detail else how)]

    def tape(self) -> NDArray[np.int16]:
        """What was said so far: `[n, 2]` at 8 kHz, left the caller, right the agent as heard."""
        sides = [mulaw_decode(b"".join(side)) for side in (self._caller, self._agent)]
        return np.stack(sides, axis=1)

    def _tick(self) -> Sequence[Act]:
        acts: list[Act] = []
        frame = len(self._caller)
        if frame:
            acts.append(SendAudio(self._caller[-1], Sample((frame - 1) * FRAME_SAMPLES)))
            acts += self._answer(self._playout.over())
            change = self._ear.listen(self._agent[-1], frame)
            if change:
                acts.append(self._event(change))
        if frame >= self._frames_max:
            return [*acts, *self.end("max_duration")]
        acts += self._perform(frame)
        if not self.ended:
            self._caller.append(self._say())
            self._agent.append(self._playout.pull())
        return acts

    def _perform(self, frame: int) -> list[Act]:
        """End the step that is over, begin the next one that is due, press its keys."""
        acts: list[Act] = []
        if self._doing and self._doing.done >= self._doing.frames:
            step = self._doing.step
            acts.append(self._event("step_end", step.label))
            self._ear.since_step(frame, interrupting=isinstance(step.when, BargeIn))
            self._doing = None
        if not self._doing:
            if self._next == len(self._script.steps):
                return [*acts, *self.end("hang_up")]
            step = self._script.steps[self._next]
            if not self._due(step, frame):
                return [*acts, *self._impatience(step, frame)]
            self._next += 1
            acts.append(self._event("step_start", step.label))
            match step.does:
                case HangUp():
                    return [*acts, *self.end("hang_up")]
                case Speak(mulaw):
                    self._doing = _Doing(step, -(-len(mulaw) // FRAME_SAMPLES), mulaw)
                case Press(digits):
                    self._doing = _Doing(step, len(digits) * _PRESS_FRAMES, digits=digits)
                case Wait(seconds):
                    self._doing = _Doing(step, round(seconds / FRAME_S))
        key, between = divmod(self._doing.done, _PRESS_FRAMES)
        if not between and key < len(self._doing.digits):
            digit = self._doing.digits[key]
            acts += [SendDigit(digit), self._event("digit", digit)]
        return acts

    def _due(self, step: Step, frame: int) -> bool:
        ear = self._ear
        match step.when:
            case None:
                return True
            case At(at_s):
                return frame * FRAME_S >= at_s
            case AfterAgent(quiet_s):
                quiet = (frame - ear.last_loud) * FRAME_S >= quiet_s
                return ear.heard >= _HEARD_FRAMES and quiet
            case BargeIn(after_s):
                begun = (frame - ear.onset) * FRAME_S >= after_s
                return ear.heard >= _HEARD_FRAMES and begun

    def _impatience(self, step: Step, frame: int) -> Sequence[Act]:
        if not isinstance(step.when, AfterAgent | BargeIn):
            return ()
        silent_s = (frame - self._ear.patience_from) * FRAME_S
        if silent_s < self._script.max_wait_s:
            return ()
        return self.end("agent_silent", f"nothing heard for {silent_s:.1f} s before {step.label!r}")

    def _say(self) -> bytes:
        doing = self._doing
        if doing is None:
            return SILENCE
        start = doing.done * FRAME_SAMPLES
        doing.done += 1
        return doing.mulaw[start : start + FRAME_SAMPLES].ljust(FRAME_SAMPLES, b"\xff")

    def _request(self, marks: list[str]) -> Sequence[Act]:
        self._requests += 1
        if self._requests > REQUESTS_MAX:
            return self.end("agent_flooded")
        return self._answer(marks)

    def _answer(self, marks: list[str]) -> list[Act]:
        acts: list[Act] = []
        for name in marks:
            acts += [SendMark(name), self._event("mark", name)]
        return acts

    def _event(self, kind: EventKind, detail: str = "") -> CallEvent:
        event = CallEvent(len(self._caller) * FRAME_S, kind, detail)
        self.events.append(event)
        return event
