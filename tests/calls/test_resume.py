"""A call that broke off goes on from its journal: nothing is heard or done twice."""

import pytest

from tests.calls.rebuilt import rebuilt
from tests.calls.scenes import GREETING, HANGS_UP, HANGS_UP_LATE, Scene, calls_tool, says
from trunkline.calls.policies import Policies
from trunkline.core.call import Call
from trunkline.core.call_words import Begin, CallPolicy, SayLine, Think
from trunkline.core.history import spoken
from trunkline.core.reply import SILENT
from trunkline.core.resumption import Resumption
from trunkline.core.turns import TurnPolicy
from trunkline.telephony.script import AfterAgent, BargeIn, HangUp, Press, Step
from trunkline.testing.simulated import Beat, Hears, tokens
from trunkline.types import (
    CallId,
    Delta,
    Mono,
    Persona,
    Prompt,
)

PERSONA = Persona("Desk", "en", "Be brief.", "Hello.", "Sorry.")
HOURS = "We open at nine. We close at five. On Sunday we rest."
"""Three sentences."""


def model(prompt: Prompt) -> list[Beat[Delta]]:
    """Books when told to, tells the hours else, and goes on where it was."""
    last = prompt.messages[-1]
    if last.role == "tool":
        return tokens("It is booked. Anything else?")
    if last.role == "user" and "book" in last.content:
        return calls_tool("book", "One moment.")
    if last.role == "assistant" or last.content.startswith("["):
        return tokens("")[-1:]  # nothing to add
    return tokens(HOURS)


async def played() -> Scene:
    """Consent, a question whose answer is interrupted, a booking, the end."""
    return await Scene(
        [says(), says(), says(after_s=1.2), HANGS_UP],
        ["yes", "when do you open", "please book it"],
        model,
    ).play()


async def test_a_call_that_ended_is_read_back_as_its_machine_knew_it() -> None:
    """History, turn, consent and endpoints, tools included."""
    scene = await played()
    broken = rebuilt(scene.journal.notes)
    assert not broken.broken
    assert broken.consent.state == "granted"
    assert broken.served == {"stt": "ears", "llm": "primary", "tts": "voice"}
    told = [(message.role, message.content) for message in broken.resumption.history]
    assert told[1] == ("user", "yes")
    assert [role for role, _ in told].count("user") == 3
    cut = next(text for role, text in told if role == "assistant" and text.startswith("We open"))
    assert cut in HOURS
    assert ("tool", '{"ok": true}') in told
    assert told[-1] == ("assistant", "It is booked. Anything else?")


async def test_a_call_can_go_on_from_every_moment() -> None:
    """Cut the journal behind each of its events: what comes back is whole and may begin."""
    scene = await played()
    notes = scene.journal.notes
    policy = CallPolicy()
    seen = set()
    for upto in range(1, len(notes)):
        broken = rebuilt(notes[:upto])
        state = broken.resumption
        if state.reply is not None:
            assert spoken(state.reply.entries).startswith(state.reply.heard)
            seen.add((state.reply.complete, bool(state.reply.running), bool(state.reply.rest)))
        acts = Call(CallId("c9"), PERSONA, policy, state).feed(Begin(), Mono(0.0))
        assert acts
    assert {(True, False, True), (False, False, True), (True, True, True)} <= seen


@pytest.mark.parametrize("heard", [0, 1, 2])
async def test_the_rest_of_an_answer_is_heard_once(heard: int) -> None:
    """From the first sentence that was not heard to its end, behind the line that says so."""
    first = await Scene([says(), HANGS_UP], ["when do you open"], model).play()
    notes = first.journal.notes
    spoken_by = [n for n in notes if n.type == "phrase.spoken" and n.where.turn == 1]
    sentences = [(str(n.data["index"]), str(n.data["text"])) for n in spoken_by]
    index, text = sentences[heard]
    mark = f".{index}.{text.index(' ', 6) if heard else len('We')}"
    upto = next(
        place
        for place, note in enumerate(notes)
        if note.type == "playout.mark" and str(note.data["name"]).endswith(mark)
    )
    second = await Scene([HANGS_UP], [], model).play(rebuilt(notes[: upto + 1]))
    rest = " ".join(text for _, text in sentences[heard:])
    (note,) = second.journal.of("call.resumed")
    assert note.data["says"] == f"One moment please, I am back. {rest}"
    assert second.texts_heard() == [f"One moment please, I am back. {rest}"]
    after = rebuilt(second.journal.notes).resumption
    assert after.history[-1].content == HOURS


async def test_a_tool_runs_once_over_two_workers() -> None:
    """The first worker dies between the intent and the answer; the key is the same."""
    first = await Scene([says(), HANGS_UP_LATE], ["please book it"], model).play()
    notes = first.journal.notes
    upto = next(place for place, note in enumerate(notes) if note.type == "tool.intent")
    second = await Scene([HANGS_UP], [], model).play(rebuilt(notes[: upto + 1]))
    assert second.tools.ran == first.tools.ran
    assert second.texts_heard() == [
        "One moment please, I am back. One moment. It is booked. Anything else?"
    ]


async def test_a_call_may_break_off_twice() -> None:
    """The second journal is enough: it holds what the first one said."""
    first = await Scene([says(), HANGS_UP], ["when do you open"], model).play()
    notes = first.journal.notes
    upto = max(place for place, n in enumerate(notes) if n.type == "phrase.spoken")
    second = await Scene([HANGS_UP], [], model).play(rebuilt(notes[: upto + 1]))
    notes = second.journal.notes
    marks = [place for place, n in enumerate(notes) if n.type == "playout.mark"]
    cut = next(place for place in marks if ".2." in str(notes[place].data["name"]))
    broken = rebuilt(notes[: cut + 1])
    assert broken.resumes == 1
    assert broken.resumption.reply is not None
    assert broken.resumption.reply.heard == "We open at nine."
    third = await Scene([HANGS_UP], [], model).play(broken)
    assert third.texts_heard() == [
        "One moment please, I am back. We close at five. On Sunday we rest."
    ]
    after = rebuilt(third.journal.notes)
    assert after.resumes == 2
    assert after.resumption.history[-1].content == HOURS
    assert after.resumption.origin == first.journal.notes[0].where.call


# -- a call that broke off while somebody took the word --------------------------------------------


def behind(scene: Scene, type_: str, nth: int = -1) -> Resumption:
    """The call as it was known when the *nth* event of *type_* was the last one."""
    places = [place for place, note in enumerate(scene.journal.notes) if note.type == type_]
    return rebuilt(scene.journal.notes[: places[nth] + 1]).resumption


async def test_a_murmur_that_held_the_reply_stops_nothing() -> None:
    """Neither while it is held, nor once it goes on."""
    heard = ["yes", "mm hm"]
    scene = await Scene([says(), says(0.3, after_s=1.0), HANGS_UP], heard, model).play()
    for state in (behind(scene, "reply.held"), behind(scene, "reply.resumed")):
        assert state.reply is not None
        assert state.reply.rest
        assert [it.content for it in state.history] == [GREETING, "yes"]


async def test_words_over_a_held_reply_are_answered_by_the_next_worker() -> None:
    """They were understood, and nobody acted upon them yet."""
    heard = ["yes", "please book it"]
    scene = await Scene([says(), says(1.0, after_s=2.0), HANGS_UP], heard, model).play()
    state = behind(scene, "transcript.final")
    assert state.reply is None
    cut, said = state.history[-2:]
    assert (cut.role, said.content) == ("assistant", "please book it")
    assert HOURS.startswith(cut.content)
    acts = Call(CallId("c9"), PERSONA, CallPolicy(), state).feed(Begin(), Mono(0.0))
    assert [type(act) for act in acts] == [SayLine, Think]


async def test_a_guess_that_nobody_confirmed_is_dropped() -> None:
    """The model answers what the caller said in the end, if that is known."""
    said = Hears("when are you open today", [(1.3, "when are you open")])
    policies = Policies(turns=TurnPolicy(speculate=True))
    scene = await Scene([says(), HANGS_UP], [said], model, policies=policies).play()
    unknown, known = behind(scene, "speculation.started"), behind(scene, "transcript.final")
    assert [it.content for it in unknown.history] == [GREETING]
    assert [it.content for it in known.history] == [GREETING, "when are you open today"]
    assert unknown.reply is None
    assert known.reply is None


async def test_which_keys_were_pressed_is_known_from_the_request() -> None:
    """No other event tells them; before it, that there were some."""
    press = Step(Press("411"), BargeIn(1.0))
    scene = await Scene([says(), press, HANGS_UP], ["yes"], model).play()
    assert behind(scene, "reply.started").history[-1].content == "[keys pressed]"
    assert behind(scene, "attempt.request").history[-1].content == "[keys pressed: 4 1 1]"


async def test_a_reply_that_a_noise_stopped_goes_on_where_it_was_heard() -> None:
    """The step that takes it up has said nothing yet when the worker dies."""
    scene = await Scene([says(), says(2.5, after_s=2.0), HANGS_UP], ["yes", ""], model).play()
    state = behind(scene, "step.started")
    assert state.reply is not None
    assert state.reply.entries[0].content == state.reply.heard != ""
    acts = Call(CallId("c9"), PERSONA, CallPolicy(), state).feed(Begin(), Mono(0.0))
    assert isinstance(acts[1], Think)
    assert acts[1].heard == state.reply.heard


async def test_a_greeting_that_was_begun_anew_is_known_once() -> None:
    """A noise stopped it."""
    scene = await Scene([says(2.5, after_s=1.0), HANGS_UP], [""], model).play()
    assert scene.texts_heard()[-1] == GREETING
    history = rebuilt(scene.journal.notes).resumption.history
    assert [it.content for it in history] == [GREETING]


async def test_a_goodbye_to_a_silent_caller_still_ends_the_call() -> None:
    """And a question whether they are there is one that nobody asked for."""
    scene = await Scene([says(), HANGS_UP_LATE], ["yes"], model, reprompts=True).play()
    asks = behind(scene, "reply.started", 2)
    assert asks.reply is not None
    assert (asks.reply.prompting, asks.reply.closing) == (True, "")
    says_goodbye = await Scene(
        [says(), Step(HangUp(), AfterAgent(29.0))], ["yes"], model, reprompts=True
    ).play()
    ends = behind(says_goodbye, "phrase.spoken")
    assert ends.reply is not None
    assert ends.reply.closing == SILENT
