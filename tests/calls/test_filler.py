"""What the caller hears while an answer is long in coming."""

import pytest

from tests.calls.scenes import GREETING, Scene, says
from trunkline.errors import EndpointError, Fault
from trunkline.telephony.script import AfterAgent, HangUp, Step
from trunkline.testing.simulated import Beat, SimTts, tokens
from trunkline.types import Delta, Prompt

FILLER = "One moment please."
PATIENT = Step(HangUp(), AfterAgent(9.0), "hangs up at last")


def late(seconds: float) -> list[Beat[Delta]]:
    """A short answer after so long."""
    return tokens("Here it is.", first_s=seconds)


async def waits(seconds: float, turns: int = 1, tts: SimTts | None = None) -> Scene:
    """A call in which both models take *seconds* for every answer."""

    def model(_: Prompt) -> list[Beat[Delta]]:
        return late(seconds)

    steps = [says(quiet_s=8.0 if turn else 0.8) for turn in range(turns)]
    voices = [tts or SimTts("voice")]
    heard = ["yes"] * turns
    return await Scene([*steps, PATIENT], heard, model, model, voices, filler=FILLER).play()


async def test_a_long_wait_is_bridged_once() -> None:
    """Before the limit of 2.5 s; the answer comes behind it and nothing of it is history."""
    scene = await waits(5.0)
    said = scene.journal.of("filler.said")
    assert [note.data["text"] for note in said] == [FILLER]
    assert 1.5 < float(str(said[0].data["waited_s"])) < 2.5
    assert scene.texts_heard() == [GREETING, "Here it is."]
    assert max(scene.silences()[2:]) < 3.6, "the wait is cut in two"


@pytest.mark.parametrize("seconds", [0.1, 1.0])
async def test_an_answer_in_time_needs_none(seconds: float) -> None:
    """It would only be in its way."""
    assert not (await waits(seconds)).journal.of("filler.said")


async def test_it_is_not_said_in_two_replies_in_a_row() -> None:
    """The third may have it again."""
    scene = await waits(5.0, turns=3)
    turns = [note.where.turn for note in scene.journal.of("filler.said")]
    assert turns == [1, 3]


async def test_a_voice_that_cannot_say_it_leaves_the_call_as_it_is() -> None:
    """It is logged when the worker starts."""
    broken = EndpointError("voice", Fault.UNREACHABLE, "refused")
    scene = await waits(5.0, tts=SimTts("voice", broken={"moment": broken}))
    assert not scene.journal.of("filler.said")
    assert scene.texts_heard() == [GREETING, "Here it is."]
