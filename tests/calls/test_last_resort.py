"""Whole calls in virtual time that cannot go on: a transfer or a message, and always a word."""

import json
from dataclasses import replace

import numpy as np

from tests.calls.rebuilt import rebuilt
from tests.calls.scenes import APOLOGY, GREETING, HANGS_UP, HANGS_UP_LATE, Scene, loud, says
from trunkline.calls.policies import Policies
from trunkline.core.call_words import CallPolicy
from trunkline.core.last_resort import LastResortPolicy
from trunkline.errors import EndpointError, Fault
from trunkline.media.beep import BEEP_S
from trunkline.telephony.script import AfterAgent, HangUp, Press, Speak, Step
from trunkline.testing.sick_ear import Deafness, SickStt
from trunkline.testing.sick_voice import Sickness, SickTts
from trunkline.testing.simulated import tokens
from trunkline.types import LastLines, Transfer

LINES = LastLines()
NUMBER = "+12025550100"
DEAD = EndpointError("primary", Fault.UNREACHABLE, "connection refused")
WORDS = "this is ann"


def policies(*, transfer: bool = False, message: bool = True) -> Policies:
    """Of an agent with a last resort."""
    last = LastResortPolicy(NUMBER if transfer else "", message)
    return Policies(call=CallPolicy(failures_max=1), last_resort=last)


def without_model(*steps: Step, transfer: bool = False, redirected: bool = True) -> Scene:
    """The caller answers the greeting; no model answers them. Then *steps*."""
    return Scene(
        [says(), *steps],
        ["yes", WORDS],
        lambda _: [(0.0, DEAD)],
        lambda _: [(0.0, DEAD)],
        policies=policies(transfer=transfer),
        prepared=True,
        redirected=redirected,
    )


def asked(played: Scene) -> dict[str, str]:
    """What the tool was asked to keep."""
    return dict(json.loads(played.tools.arguments[-1]))


async def test_no_model_left_and_the_caller_is_put_through() -> None:
    """They are told, in the agent's voice, and the stream ends for the carrier to ask."""
    played = await without_model(HANGS_UP_LATE, transfer=True).play()
    assert played.texts_heard() == [GREETING, LINES.transfer]
    assert played.journal.of("call.gave_up")[0].data == {"lost": "model", "way": "transfer"}
    assert played.journal.of("call.transferred")[0].data == {"to": NUMBER, "said": True}
    assert played.journal.of("call.ended")[0].data == {"reason": "put through", "broken": False}
    assert rebuilt(played.journal.notes).transfer == Transfer(NUMBER, said=True)
    assert not rebuilt(played.journal.notes).broken
    assert played.line.call.ended == "agent_closed"


async def test_a_stream_that_no_webhook_of_ours_opened_cannot_be_put_through() -> None:
    """Nobody would be asked what follows: a message is taken."""
    played = await without_model(
        says(quiet_s=0.3), HANGS_UP_LATE, transfer=True, redirected=False
    ).play()
    assert played.texts_heard() == [GREETING, LINES.message, LINES.taken]


async def test_no_model_left_and_a_message_is_taken() -> None:
    """The words of the caller, once the tone was heard; confirmed and with a goodbye."""
    played = await without_model(says(quiet_s=0.3), HANGS_UP_LATE).play()
    assert played.texts_heard() == [GREETING, LINES.message, LINES.taken]
    assert [name for name, _ in played.tools.ran] == ["take_message"]
    assert asked(played)["text"].startswith(WORDS)
    assert played.journal.of("call.ended")[0].data["broken"] is False
    assert played.line.call.ended == "agent_closed"
    spoken = {str(n.data["text"]): n.data["endpoint"] for n in played.journal.of("phrase.spoken")}
    assert spoken[LINES.message] == "", "it is what was rendered when the worker started"
    tape = played.line.call.tape()[:, 1].astype(float)
    beep = np.exp(-2j * np.pi * 1_000 * np.arange(round(BEEP_S * 8_000)) / 8_000)
    power = np.abs(np.convolve(tape, beep, "valid"))[::160]
    assert power.max() > 5_000 * len(beep) / 2, "no tone"


async def test_who_hangs_up_behind_their_message_has_left_it() -> None:
    """In the middle of a word at that: what was understood is kept."""
    talks = Step(Speak(loud(3.0)), AfterAgent(0.3))
    played = await without_model(talks, Step(HangUp())).play()
    assert played.texts_heard()[:2] == [GREETING, LINES.message]
    assert asked(played)["text"].startswith(WORDS)
    assert played.line.call.ended == "hang_up"


async def test_keys_are_a_message_where_nobody_hears_the_caller() -> None:
    """No recogniser, no consent: a number to call back."""
    dead = [SickStt(name, WORDS, Deafness("die", times=99)) for name in ("ears", "spare ears")]
    keys = Step(Press("2025550111#"), AfterAgent(0.6))
    played = await Scene(
        [says(), keys, HANGS_UP_LATE],
        [],
        lambda _: tokens("All right."),
        ears=dead,
        say_again="Could you say it again?",
        policies=policies(),
        prepared=True,
    ).play()
    assert played.texts_heard() == [GREETING, LINES.number, LINES.taken]
    assert asked(played)["phone"] == "2025550111"
    assert len(played.journal.of("keys.pressed")) == 11
    assert not played.journal.of("consent.granted")


async def test_no_voice_left_and_what_was_rendered_takes_the_message() -> None:
    """The agent's own voice, from when the worker started."""
    sick = SickTts("voice", {"All right": Sickness("die", times=99)})
    played = await Scene(
        [says(), says(quiet_s=0.3), HANGS_UP_LATE],
        ["yes", WORDS],
        lambda _: tokens("All right."),
        tts=[sick],
        policies=policies(),
        prepared=True,
    ).play()
    assert played.texts_heard() == [GREETING, APOLOGY, LINES.message, LINES.taken]
    assert asked(played)["text"].startswith(WORDS)


async def test_where_nothing_can_be_said_the_carrier_says_it() -> None:
    """Nothing was rendered, and no synthesiser is left: never a hang-up without a word."""
    sick = SickTts("voice", {text: Sickness("die", times=99) for text in ("All", "sorry")})
    played = await Scene(
        [says(), HANGS_UP_LATE],
        ["yes"],
        lambda _: tokens("All right."),
        tts=[sick],
        policies=policies(),
        redirected=True,
    ).play()
    assert played.journal.of("call.transferred")[0].data == {"to": "", "said": False}


async def test_a_model_that_is_back_is_not_given_up() -> None:
    """One failure is an apology, where two are the last."""
    both = replace(policies(), call=CallPolicy(failures_max=2))
    played = await Scene(
        [says(), says(), HANGS_UP],
        ["yes", "hello"],
        lambda p: tokens("Here I am.") if "hello" in p.messages[-1].content else [(0.0, DEAD)],
        lambda _: [(0.0, DEAD)],
        policies=both,
    ).play()
    assert not played.journal.of("call.gave_up")
