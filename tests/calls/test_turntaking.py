"""Turn-taking in whole calls, in virtual time: what a caller's sound does to the agent's voice."""

import numpy as np
import pytest

from tests.calls.scenes import FAREWELL, HANGS_UP, REPROMPT, Scene, loud, says
from trunkline.calls.policies import Policies
from trunkline.core.turns import TurnPolicy
from trunkline.telephony.script import AfterAgent, BargeIn, HangUp, Press, Speak, Step, Wait
from trunkline.testing.simulated import Beat, Hears, tokens
from trunkline.types import Delta, Finish, ToolCallDelta

LONG = (
    "Of course. Please bring your insurance card with you. You also need a photo identification. "
    "There is free parking behind the house. Please come ten minutes early."
)
WORD_S = 1 / 2.6


async def interrupted(sound: Step, said: str | Hears, *, at: str = "wait") -> Scene:
    """The caller makes *sound*, which is heard as *said*, over the long answer."""
    return await Scene(
        [says(), sound, HANGS_UP],
        ["yes", said],
        lambda p: tokens("Sure." if p.messages[-1].content == at else LONG),
    ).play()


def sound_at(scene: Scene) -> float:
    """When the caller's second sound began, in seconds of the tape."""
    return [e.at_s for e in scene.line.call.events if e.kind == "step_start"][1]


def agent_s(scene: Scene) -> float:
    """For how long the agent was audible after the greeting, in seconds."""
    agent = scene.line.call.tape()[:, 1] != 0
    answered = scene.journal.of("reply.started")[1].at - scene.line.call.mono0
    return float(np.count_nonzero(agent[round(answered * 8000) :])) / 8000


@pytest.mark.parametrize(
    ("seconds", "said"), [(0.3, ""), (0.25, "mm hm"), (0.4, "yeah"), (0.9, "okay yeah"), (1.1, "")]
)
@pytest.mark.parametrize("after_s", [0.4, 1.0, 2.0, 3.1, 7.3])
async def test_a_cough_or_a_backchannel_holds_the_voice_and_lets_it_go_on(
    seconds: float, said: str, after_s: float
) -> None:
    """Silent within 250 ms; then every word is heard, none but the one that was cut twice."""
    plain = await Scene([says(), HANGS_UP], ["yes"], lambda _: tokens(LONG)).play()
    scene = await interrupted(says(seconds, after_s=after_s), said)

    onset = sound_at(scene)
    agent = scene.line.call.tape()[:, 1] != 0
    silent = slice(round((onset + 0.25) * 8000), round((onset + seconds + 0.3) * 8000))
    assert not agent[silent].any()
    assert scene.texts_heard()[1:] == [LONG]
    again_s = agent_s(scene) - agent_s(plain)
    assert -0.001 <= again_s <= WORD_S + 0.25 + 0.02  # the word that was cut, and what went on
    assert len(scene.llms[0].prompts) == 1
    assert [n.type for n in scene.journal.of("reply.held", "reply.resumed", "barge_in")] == [
        "reply.held",
        "reply.resumed",
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_every_interleaving_resumes_alike(seed: int) -> None:
    """A cough at the very end of the reply, too."""
    for after_s in (2.0, 11.9, 12.1, 12.3):
        scene = await interrupted(says(0.3, after_s=after_s), "")
        assert scene.texts_heard()[1:] == [LONG]


@pytest.mark.parametrize("after_s", [0.4, 1.0, 2.0, 3.1, 7.3])
async def test_words_stop_the_reply_and_cut_the_history(after_s: float) -> None:
    """What was heard before the onset was known is all that the model is told of it."""
    scene = await interrupted(says(0.5, after_s=after_s), "wait")

    heard = scene.texts_heard()[1]
    assert LONG.startswith(heard)
    assert abs(len(heard.split()) - (after_s + 0.15) / WORD_S) <= 1.5
    asked = scene.llms[0].prompts[-1].messages
    assert [m.content for m in asked[3:]] == ([heard, "wait"] if heard else ["wait"])
    assert scene.texts_heard()[-1] == "Sure."
    assert len(scene.journal.of("barge_in")) == 1
    assert not scene.journal.of("reply.resumed")


async def test_a_sound_that_lasts_stops_the_reply_before_it_is_over() -> None:
    """The model is not kept at work for somebody who has the word."""
    scene = await interrupted(says(3.0, after_s=2.0), "wait")

    stopped = scene.journal.of("barge_in")[0].at - scene.line.call.mono0
    assert 1.2 <= stopped - sound_at(scene) <= 1.4


async def test_two_words_on_the_way_stop_the_reply_early() -> None:
    """An interim transcript says more than the length of the sound, once the next one agrees."""
    said = Hears("wait", [(0.5, "no"), (0.7, "no wait"), (0.9, "no wait a")])
    scene = await interrupted(says(1.1, after_s=2.0), said)

    stopped = scene.journal.of("barge_in")[0].at - scene.line.call.mono0
    assert 0.4 <= stopped - sound_at(scene) <= 0.6  # 0.9 s of audio, 0.4 s of it before the onset


@pytest.mark.parametrize(("said", "answers"), [("", [LONG]), ("and now", ["", "Sure."])])
async def test_a_reply_without_audio_does_not_begin_while_the_caller_speaks(
    said: str, answers: list[str]
) -> None:
    """It is kept for a caller who only coughed, and thought anew for one who went on."""
    goes_on = [Step(Wait(0.45)), Step(Speak(loud(0.8)))]
    scene = await Scene(
        [says(), *goes_on, HANGS_UP],
        ["yes", said],
        lambda p: tokens("Sure." if "now" in p.messages[-1].content else LONG, first_s=0.4),
    ).play()

    assert scene.texts_heard()[1:] == answers
    tape = scene.line.call.tape()
    assert not (tape[:, 0].astype(bool) & tape[:, 1].astype(bool)).any(), "both at once"


@pytest.mark.parametrize(("said", "ran"), [("", ["book"]), ("no wait", [])])
async def test_a_tool_waits_until_the_caller_is_known_not_to_object(
    said: str, ran: list[str]
) -> None:
    """The model decides while the caller makes a sound over it."""
    moment = tokens("One moment please.")[:-1]
    decides: list[Beat[Delta]] = [
        (0.6, ToolCallDelta(0, "call_1", "book", "{}")),
        (0.01, Finish("tool_calls")),
    ]
    scene = await Scene(
        [says(), says(0.9, after_s=0.3), HANGS_UP],
        ["yes", said],
        lambda p: [*moment, *decides] if p.messages[-1].content == "yes" else tokens("Sure."),
    ).play()

    assert [name for name, _ in scene.tools.ran] == ran
    assert scene.texts_heard()[-1] == ("One moment please. Sure." if ran else "Sure.")


# -- the end of a turn -----------------------------------------------------------------------------


def pausing(pause_s: float) -> list[Step]:
    """The caller speaks, pauses and goes on."""
    return [says(1.0), Step(Wait(pause_s)), Step(Speak(loud(0.6)))]


async def test_a_pause_in_half_a_sentence_does_not_end_the_turn() -> None:
    """One utterance, one answer."""
    said = Hears("my name is ada", [(1.5, "my name is"), (2.3, "my name is ada")])
    scene = await Scene([*pausing(0.6), HANGS_UP], [said], lambda _: tokens("Hello Ada.")).play()

    assert scene.texts_heard()[1:] == ["Hello Ada."]
    assert len(scene.journal.of("utterance.started")) == 1


@pytest.mark.parametrize(
    ("interim", "pause_s"), [("ada thank you", 0.3), ("i am ada", 0.7), ("my name is", 1.0)]
)
async def test_the_turn_ends_after_the_pause_that_fits_its_words(
    interim: str, pause_s: float
) -> None:
    """Sooner after a whole sentence, and soonest after one that is surely all."""
    said = Hears(interim, [(1.3, interim)])
    scene = await Scene([says(1.0), HANGS_UP], [said], lambda _: tokens("Hello.")).play()

    ended = scene.journal.of("utterance.ended")[0].at - scene.line.call.mono0
    spoke = next(e.at_s for e in scene.line.call.events if e.kind == "step_end")
    assert pause_s - 0.03 <= ended - spoke <= pause_s + 0.1


# -- silence and keys ------------------------------------------------------------------------------


async def test_a_silent_caller_is_asked_and_then_hung_up_on() -> None:
    """Seven seconds after what was heard last, twice; then a goodbye and the end."""
    waits_long = Step(HangUp(), AfterAgent(29.0))
    scene = await Scene(
        [says(), waits_long], ["yes"], lambda _: tokens("When?"), reprompts=True
    ).play()

    assert scene.texts_heard()[1:] == ["When?", REPROMPT, REPROMPT, FAREWELL]
    assert scene.line.call.ended == "agent_closed"
    begun = [n.at for n in scene.journal.of("reply.started")]
    ended = [n.at for n in scene.journal.of("reply.ended")]
    waits = [b - e for b, e in zip(begun[2:], ended[1:], strict=False)]
    assert waits == pytest.approx([7.0] * 3, abs=0.05)


async def test_keys_interrupt_the_agent_and_are_one_message() -> None:
    """Only the model sees which they were."""
    press = Step(Press("411"), BargeIn(1.0))
    scene = await Scene(
        [says(), press, HANGS_UP],
        ["yes"],
        lambda p: tokens("Thanks." if "keys" in p.messages[-1].content else LONG),
    ).play()

    assert scene.llms[0].prompts[-1].messages[-1].content == "[keys pressed: 4 1 1]"
    assert scene.texts_heard()[-1] == "Thanks."
    pressed = [e.at_s for e in scene.line.call.events if e.kind == "digit"]
    asked = scene.journal.of("reply.started")[-1].at - scene.line.call.mono0
    assert asked - pressed[-1] == pytest.approx(2.0, abs=0.05)
    agent = scene.line.call.tape()[:, 1] != 0
    assert not agent[round((pressed[0] + 0.1) * 8000) : round(asked * 8000)].any()
    notes = scene.journal.of("keys.pressed")
    assert [note.data for note in notes] == [{"count": 1}] * 3
    told = [note for note in scene.journal.notes if "4 1 1" in str(note.data)]
    assert {note.type for note in told} == {"attempt.request"}


# -- speculation -----------------------------------------------------------------------------------


async def speculated(final: str, *, interim: str = "when are you open", on: bool = True) -> Scene:
    """The caller says *final*, of which *interim* is known before its end."""
    said = Hears(final, [(1.3, interim)])
    policies = Policies(turns=TurnPolicy(speculate=on))
    return await Scene(
        [says(1.0), HANGS_UP],
        [said],
        lambda p: tokens(f"You said {p.messages[-1].content}.", first_s=0.5),
        policies=policies,
    ).play()


def answered_after(scene: Scene) -> float:
    """From the end of the caller's sentence to the agent's first sound, in seconds."""
    ended = next(e.at_s for e in scene.line.call.events if e.kind == "step_end")
    agent = np.flatnonzero(scene.line.call.tape()[round(ended * 8000) :, 1])
    return float(agent[0]) / 8000


async def test_a_guess_that_was_right_is_heard_sooner() -> None:
    """The model had begun; the voice waited for the end of the turn."""
    text = "when are you open"
    off, on = await speculated(text, on=False), await speculated(text)

    assert 0.1 <= answered_after(off) - answered_after(on) <= 0.3
    assert [n.type for n in on.journal.notes if n.type.startswith("speculation")] == [
        "speculation.started",
        "speculation.confirmed",
    ]
    assert not [n for n in off.journal.notes if n.type.startswith("speculation")]
    assert on.texts_heard()[-1] == off.texts_heard()[-1] == f"You said {text}."
    assert [len(scene.llms[0].prompts) for scene in (off, on)] == [1, 1]


async def test_a_guess_that_was_wrong_is_never_heard() -> None:
    """It costs tokens and no time."""
    text = "when are you open today"
    off, on = await speculated(text, on=False), await speculated(text)

    assert answered_after(on) == pytest.approx(answered_after(off), abs=0.03)
    assert on.texts_heard()[1:] == ["", f"You said {text}."]
    assert on.journal.of("speculation.wasted")
    assert not on.journal.of("barge_in")
    assert [llm.open_streams for llm in on.llms] == [0, 0]
