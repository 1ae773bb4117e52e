"""The far end of the line in virtual time: playout, marks, clear, and a caller with a script."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trunkline.media.g711 import mulaw_encode
from trunkline.telephony.line import (
    BUFFER_S_MAX,
    Act,
    CallEvent,
    Fact,
    Playout,
    SendAudio,
    SendDigit,
    SendMark,
    StreamEnded,
    Tick,
    VirtualCall,
)
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
from trunkline.telephony.twilio import AgentAudio, AgentClear, AgentMark
from trunkline.types import Mono

SPEECH = mulaw_encode((8_000 * np.sin(np.arange(160))).astype(np.int16))
QUIET = b"\xff" * 160
HISS = mulaw_encode(np.full(160, 60, np.int16))
FOREVER = CallScript((Step(Wait(3600.0)),))


@dataclass
class Clock:
    """Drives a call tick by tick and remembers its acts."""

    call: VirtualCall
    acts: list[Act] = field(default_factory=list)

    def feed(self, fact: Fact) -> Sequence[Act]:
        """One fact, now."""
        acts = self.call.feed(fact, self.call.deadline() or Mono(0.0))
        self.acts += acts
        return acts

    def run(self, seconds: float) -> "Clock":
        """Tick for *seconds* of the tape, or to the call's end."""
        for _ in range(round(seconds * 50)):
            self.feed(Tick())
        return self

    def agent(self, seconds: float) -> "Clock":
        """The agent sends *seconds* of speech in one go."""
        self.feed(AgentAudio(SPEECH * round(seconds * 50)))
        return self

    def sent(self) -> list[bytes]:
        """The caller's frames that went out."""
        return [act.mulaw for act in self.acts if isinstance(act, SendAudio)]

    def at(self, kind: str) -> list[float]:
        """When events of *kind* happened."""
        return [e.at_s for e in self.call.events if e.kind == kind]

    def ending(self) -> str:
        """How the call ended, with its detail."""
        return self.call.events[-1].detail


def call(*steps: Step, max_s: float = 300.0, max_wait_s: float = 15.0) -> Clock:
    """A call with a script."""
    script = CallScript(steps, max_wait_s) if steps else FOREVER
    return Clock(VirtualCall(script, Mono(1000.0), max_s=max_s))


def heard(clock: Clock) -> list[bool]:
    """Which frames of the tape's right side are audible."""
    right = clock.call.tape()[:, 1].reshape(-1, 160)
    return [bool(frame.any()) for frame in np.abs(right) > 100]


def test_deadlines_are_absolute_and_twenty_milliseconds_apart() -> None:
    """However often the machine is fed, the frames stay where they belong."""
    clock = call()
    seen = []
    for _ in range(500):
        seen.append(clock.call.deadline())
        clock.feed(Tick())
        clock.feed(AgentAudio(SPEECH))
    assert seen == pytest.approx([1000.0 + n * 0.02 for n in range(500)])
    assert clock.call.tape().shape == (80_000, 2)


def test_a_frame_goes_out_when_it_has_been_spoken() -> None:
    """Frame k is sent at the beginning of frame k + 1, and is marked with its own beginning."""
    clock = call(Step(Speak(SPEECH * 2)), Step(Wait(1.0)))
    assert clock.feed(Tick())[0] == CallEvent(0.0, "step_start", "")
    acts = [act for _ in range(3) for act in clock.feed(Tick()) if isinstance(act, SendAudio)]
    assert [(act.at, act.mulaw) for act in acts] == [(0, SPEECH), (160, SPEECH), (320, QUIET)]


def test_agent_audio_is_played_one_frame_a_tick_and_its_mark_comes_at_its_end() -> None:
    """100 ms sent at once take 100 ms; the mark is answered when they are over, not before."""
    clock = call().run(0.1)
    clock.agent(0.1)
    assert clock.feed(AgentMark("end")) == []
    clock.run(0.1)
    assert not [act for act in clock.acts if isinstance(act, SendMark)]
    assert SendMark("end") in clock.feed(Tick())
    clock.run(0.1)
    assert heard(clock) == [False] * 5 + [True] * 5 + [False] * 6
    assert clock.at("mark") == pytest.approx([0.2])


def test_a_mark_with_nothing_before_it_is_answered_at_once() -> None:
    """An idle line has played everything."""
    assert call().run(0.1).feed(AgentMark("now"))[0] == SendMark("now")


def test_a_mark_waits_for_the_frame_that_is_being_played() -> None:
    """The buffer is empty, but its last frame still sounds."""
    clock = call().agent(0.02).run(0.02)
    assert clock.feed(AgentMark("soon")) == []
    assert SendMark("soon") in clock.feed(Tick())


def test_clear_stops_the_audio_at_the_next_frame_and_returns_the_marks_in_order() -> None:
    """The frame being played is not taken back; all that waited is dropped."""
    clock = call().agent(1.0)
    clock.feed(AgentMark("one"))
    clock.agent(1.0).feed(AgentMark("two"))
    clock.run(0.1)
    acts = clock.feed(AgentClear())
    assert [act for act in acts if isinstance(act, SendMark)] == [SendMark("one"), SendMark("two")]
    clock.run(0.1).agent(0.04).run(0.1)
    assert heard(clock) == [True] * 5 + [False] * 5 + [True] * 2 + [False] * 3


def test_late_audio_leaves_a_hole_and_is_played_later() -> None:
    """An underrun is silence on the tape, not a shift of what was heard."""
    clock = call().agent(0.04).run(0.1).agent(0.04).run(0.06)
    assert heard(clock) == [True, True, False, False, False, True, True, False]


pieces = st.lists(st.binary(max_size=500) | st.text(min_size=1, max_size=3), max_size=20)


@given(pieces, st.integers(0, 30))
def test_playout_neither_loses_nor_reorders(items: list[bytes | str], clear_at: int) -> None:
    """Whatever pieces come: the audio is their concatenation, each mark comes once, in order."""
    playout = Playout()
    marks, audio = [], b""
    for item in items:
        if isinstance(item, str):
            marks += playout.mark(item)
        else:
            playout.play(item)
    total = sum(len(item) for item in items if isinstance(item, bytes))
    for frame in range(total // 160 + 2):
        if frame == clear_at:
            marks += playout.clear()
            break
        marks += playout.over()
        waiting = playout.waiting
        audio += playout.pull()[: min(160, waiting)]
        behind = b"".join(i for i in items if isinstance(i, bytes))[: len(audio)]
        assert audio == behind
    marks += playout.over()
    assert marks == [item for item in items if isinstance(item, str)]
    assert playout.waiting == max(0, total - len(audio)) * (clear_at > total // 160 + 1)


def test_the_caller_answers_after_the_agent_has_finished() -> None:
    """A pause shorter than the quiet time, as in a failover, is not the end of the reply."""
    clock = call(Step(Speak(SPEECH * 10), AfterAgent(1.2)), Step(HangUp(), AfterAgent(1.2)))
    clock.run(0.5).agent(0.5).run(1.5).agent(0.5).run(1.6)
    assert clock.at("step_start") == [], "1.0 s of dead air inside the reply"
    clock.run(0.2)
    assert clock.at("step_start") == pytest.approx([2.5 + 1.2])


def test_a_click_is_not_an_answer() -> None:
    """40 ms of sound, or any length of hiss, do not count as the agent's reply."""
    clock = call(Step(HangUp(), AfterAgent(0.5)), max_wait_s=5.0)
    clock.run(0.1).agent(0.04).run(2.0)
    clock.feed(AgentAudio(HISS * 100))
    clock.run(20.0)
    assert clock.ending().startswith("agent_silent: nothing heard for 5.0 s")


def test_the_caller_barges_in_a_second_after_the_onset() -> None:
    """And the tail of what it interrupted is not taken for the answer."""
    clock = call(Step(Speak(SPEECH * 25), BargeIn(1.0)), Step(HangUp(), AfterAgent(0.6)))
    clock.run(0.5).agent(10.0).run(1.5)
    start = clock.at("step_start")
    assert start == pytest.approx([clock.at("agent_on")[0] + 1.0], abs=0.021)
    clock.run(0.48).feed(AgentClear())
    clock.run(3.0)
    assert clock.call.ended is None, "the agent has not answered yet"
    clock.agent(0.5).run(2.0)
    assert clock.ending() == "hang_up"


def test_an_agent_that_ignores_a_barge_in_is_answered_when_it_has_finished() -> None:
    """Its speech is taken for the answer once it has gone on for a second."""
    clock = call(Step(Speak(SPEECH * 25), BargeIn(1.0)), Step(HangUp(), AfterAgent(0.6)))
    clock.agent(5.0).run(10.0)
    assert clock.ending() == "hang_up"
    assert clock.at("ended") == pytest.approx([5.6], abs=0.021)


def test_keys_are_pressed_one_after_another_at_their_time() -> None:
    """Three keys from second two on, 200 ms apart."""
    clock = call(Step(Press("12#"), At(2.0)), Step(HangUp())).run(5.0)
    assert [act.digit for act in clock.acts if isinstance(act, SendDigit)] == ["1", "2", "#"]
    assert clock.at("digit") == pytest.approx([2.0, 2.2, 2.4])
    assert clock.call.tape().shape[0] == 2.6 * 8_000


def test_what_the_caller_says_is_on_the_tape_and_on_the_wire() -> None:
    """The left side and the frames that were sent are the same audio."""
    clip = mulaw_encode(np.arange(-16_000, 16_000, 91).astype(np.int16))  # not a whole frame
    clock = call(Step(Speak(clip), At(0.1), "clip"), Step(Wait(0.1))).run(1.0)
    sent = b"".join(clock.sent())
    assert sent[800 : 800 + len(clip)] == clip
    assert mulaw_encode(clock.call.tape()[:, 0]) == sent
    ended = clock.at("step_end")[0]
    assert ended == pytest.approx(0.1 + 0.06)


def test_a_silent_agent_is_given_up() -> None:
    """After 15 s the caller hangs up, and the result says before which step."""
    clock = call(Step(Speak(SPEECH), AfterAgent(), "hello")).run(20.0)
    assert clock.ending() == "agent_silent: nothing heard for 15.0 s before 'hello'"
    assert clock.call.deadline() is None
    assert clock.at("ended") == pytest.approx([15.0])


def test_a_call_has_a_longest_duration() -> None:
    """An agent that never stops does not keep the caller for ever."""
    clock = call(Step(HangUp(), AfterAgent()), max_s=3.0).agent(60.0).run(10.0)
    assert clock.ending() == "max_duration"
    assert clock.call.tape().shape[0] == 3 * 8_000


def test_an_agent_that_floods_the_line_ends_the_call() -> None:
    """The carrier's buffer is bounded."""
    clock = call()
    for _ in range(BUFFER_S_MAX // 10 + 1):
        clock.agent(10.0)
    assert clock.ending() == "agent_flooded"


def test_an_ended_stream_silences_the_line_and_the_call_goes_on() -> None:
    """The carrier drops what it has not played; marks are nobody's any more."""
    clock = call().agent(1.0)
    clock.feed(AgentMark("lost"))
    clock.run(0.1).feed(StreamEnded())
    clock.run(0.1)
    assert heard(clock) == [True] * 5 + [False] * 5
    assert not [act for act in clock.acts if isinstance(act, SendMark)]


def test_after_the_end_nothing_happens() -> None:
    """Ending is idempotent, and facts that come too late are ignored."""
    clock = call().run(0.1)
    assert [act.detail for act in clock.call.end("agent_closed") if isinstance(act, CallEvent)] == [
        "agent_closed"
    ]
    assert clock.call.end("failed") == ()
    assert clock.feed(AgentMark("m")) == ()
    assert clock.feed(Tick()) == ()
    assert clock.call.ended == "agent_closed"
