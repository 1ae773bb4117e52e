"""Whole calls in virtual time: what the caller hears, whatever the endpoints do."""

import asyncio
from collections.abc import Callable

import pytest
from typing_extensions import override

from tests.calls.scenes import (
    APOLOGY,
    GREETING,
    HANGS_UP,
    HANGS_UP_LATE,
    Scene,
    calls_tool,
    says,
)
from trunkline.calls.pacer import Pacer
from trunkline.core.turns import Window
from trunkline.errors import EndpointError, Fault
from trunkline.testing.simulated import FOREVER, Beat, SimTts, SimVad, tokens
from trunkline.types import Delta, Finish, Mono, Prompt, TextDelta

LONG = (
    "Of course. Please bring your insurance card with you. You also need a photo identification. "
    "There is free parking behind the house. Please come ten minutes early."
)
WORDS = len(LONG.split())


def answer(text: str) -> Callable[[Prompt], list[Beat[Delta]]]:
    """A model that always says *text*."""
    return lambda _: tokens(text)


def stops_after(count: int, then: Exception | None = FOREVER) -> list[Beat[Delta]]:
    """The first *count* tokens of the long answer, then silence for ever, or an error."""
    beats = tokens(LONG)[:count]
    return [*beats, (FOREVER, Finish("stop"))] if then is FOREVER else [*beats, (0.01, then)]


def goes_on(prompt: Prompt) -> list[Beat[Delta]]:
    """A model that says what is left of the long answer."""
    said = prompt.messages[-1].content if prompt.continue_final else ""
    rest = LONG.removeprefix(said).strip()
    return tokens(rest) if rest else [(0.1, EndpointError("backup", Fault.EMPTY, "nothing"))]


async def test_a_caller_is_greeted_understood_and_answered() -> None:
    """Greeting, consent, an answer, a goodbye: the history holds what was said."""
    scene = await Scene(
        [says(), says(), HANGS_UP],
        ["yes that is fine", "when are you open"],
        lambda p: tokens(
            "Thank you." if "fine" in p.messages[-1].content else "From nine to five."
        ),
    ).play()

    assert scene.texts_heard() == [GREETING, "Thank you.", "From nine to five."]
    asked = scene.llms[0].prompts[-1].messages
    assert [m.role for m in asked] == ["system", "assistant", "user", "assistant", "user"]
    assert asked[-1].content == "when are you open"
    assert [n.type for n in scene.journal.of("consent.asked", "consent.granted")] == [
        "consent.asked",
        "consent.granted",
    ]
    assert scene.journal.closed == "hang_up"


@pytest.mark.parametrize("count", range(3, WORDS, 3))
@pytest.mark.parametrize("then", [FOREVER, EndpointError("primary", Fault.CUT, "reset")])
async def test_a_model_that_dies_in_mid_answer_is_not_heard_to(
    count: int, then: Exception | None
) -> None:
    """Freeze or cut after any token of the answer: no gap, and every sentence exactly once."""

    def primary(prompt: Prompt) -> list[Beat[Delta]]:
        return tokens("Hi.") if len(prompt.messages) < 4 else stops_after(count, then)

    healthy = await Scene([says(), says(), HANGS_UP], ["yes", "what now"], answer(LONG)).play()
    scene = await Scene([says(), says(), HANGS_UP], ["yes", "what now"], primary, goes_on).play()

    assert scene.texts_heard()[-1] == LONG
    assert max(scene.silences()[2:]) <= max(healthy.silences()[2:]) + 0.3
    assert [n.data["to"] for n in scene.journal.of("failover")] == ["backup"]
    assert [llm.open_streams for llm in scene.llms] == [0, 0]


@pytest.mark.parametrize(
    ("beats", "fault"),
    [
        ([(0.01, EndpointError("primary", Fault.UNREACHABLE, "refused"))], "unreachable"),
        ([(FOREVER, TextDelta(""))], "silent"),
        ([(0.01, EndpointError("primary", Fault.THROTTLED, "429"))], "throttled"),
    ],
)
async def test_a_model_that_never_begins_is_replaced_before_the_caller_wonders(
    beats: list[Beat[Delta]], fault: str
) -> None:
    """Refused, silent or throttled before any audio: the backup answers within 1.5 s more."""
    scene = await Scene([says(), HANGS_UP], ["yes"], lambda _: beats).play()

    assert scene.texts_heard() == [GREETING, "The backup says this."]
    assert [n.data["fault"] for n in scene.journal.of("failover")] == [fault]
    begun = scene.journal.of("phrase.spoken")[-1].at
    asked = next(n for n in scene.journal.of("attempt.started") if n.data["stage"] == "llm").at
    assert begun - asked < 1.5


@pytest.mark.parametrize("then", [FOREVER, EndpointError("primary", Fault.CUT, "reset")])
async def test_a_model_that_dies_after_its_last_word_adds_nothing(then: Exception | None) -> None:
    """All was said, only the end of the stream is missing: the backup has nothing to add."""
    scene = await Scene(
        [says(), HANGS_UP], ["yes"], lambda _: stops_after(WORDS, then), goes_on
    ).play()

    assert scene.texts_heard() == [GREETING, LONG]


async def test_a_call_stays_with_the_endpoint_that_saved_it() -> None:
    """After a failover the next turn does not try the sick endpoint first."""
    scene = await Scene(
        [says(), says(), HANGS_UP], ["yes", "and now"], lambda _: [(FOREVER, TextDelta(""))]
    ).play()

    assert len(scene.llms[0].prompts) == 1
    assert len(scene.llms[1].prompts) == 2


async def test_barge_in_stops_the_voice_and_cuts_the_history() -> None:
    """The caller interrupts: silence within 250 ms, and the model is told what was heard."""
    scene = await Scene(
        [says(), says(after_s=2.0), HANGS_UP],
        ["yes", "wait"],
        lambda p: tokens("Sure." if p.messages[-1].content == "wait" else LONG),
    ).play()

    onset = next(e.at_s for e in scene.line.call.events if e.kind == "step_start" and e.at_s > 5)
    cleared = next(e.at_s for e in scene.line.call.events if e.kind == "clear")
    assert cleared - onset <= 0.25
    heard = scene.texts_heard()[1]
    assert LONG.startswith(heard)
    assert 2 <= len(heard.split()) <= 6  # two seconds at 2.6 words a second
    asked = scene.llms[0].prompts[-1].messages
    assert asked[-2].content == heard
    assert scene.texts_heard()[-1] == "Sure."


async def test_after_a_long_noise_the_model_goes_on_where_it_was_heard_last() -> None:
    """An interruption without words is answered by the rest of the answer."""

    scene = await Scene([says(), says(1.8, after_s=2.0), HANGS_UP], ["yes", ""], goes_on).play()

    first, second = scene.texts_heard()[1:]
    assert f"{first} {second}" == LONG


async def test_tools_run_once_and_the_model_is_told() -> None:
    """A tool call is run, its result goes to the model, which answers."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        if prompt.messages[-1].role == "tool":
            return tokens("It is booked.")
        return calls_tool("book", "One moment.")

    scene = await Scene([says(), HANGS_UP], ["yes"], model).play()

    assert [name for name, _ in scene.tools.ran] == ["book"]
    assert scene.texts_heard()[-1] == "One moment. It is booked."
    assert [n.type for n in scene.journal.of("tool.intent", "tool.done")] == [
        "tool.intent",
        "tool.done",
    ]


async def test_the_agent_hangs_up_after_its_goodbye_was_heard() -> None:
    """`end_call` ends the leg, but not before the last word."""
    scene = await Scene(
        [says(), says()], ["yes"], lambda _: calls_tool("end_call", "Goodbye and thanks.")
    ).play()

    assert scene.texts_heard()[-1] == "Goodbye and thanks."
    assert scene.line.call.ended == "agent_closed"


async def test_when_no_model_is_left_the_caller_hears_an_apology() -> None:
    """Never silence, never a hang-up without a word; the second time in a row it ends."""

    def dead(_: Prompt) -> list[Beat[Delta]]:
        return [(0.01, EndpointError("x", Fault.UNREACHABLE, "refused"))]

    scene = await Scene([says(), says(), says()], ["yes", "hello"], dead, dead).play()

    assert scene.texts_heard() == [GREETING, APOLOGY, APOLOGY]
    assert scene.line.call.ended == "agent_closed"


async def test_a_recogniser_that_hangs_is_replaced_and_hears_every_word() -> None:
    """The spare recogniser replays the utterance from its start."""
    scene = await Scene(
        [says(), HANGS_UP], [None], answer("Thanks."), second_stt=["yes that is fine"]
    ).play()

    assert scene.texts_heard()[-1] == "Thanks."
    lost = scene.stts[0].heard[0]
    assert scene.stts[1].heard[0] == lost
    assert sum(len(f.pcm) for f in lost) / 16000 > 1.0  # the second of speech and its preroll


async def test_a_synthesiser_that_fails_is_replaced() -> None:
    """The next synthesiser says what has no audio yet, and nothing twice."""
    broken = EndpointError("voice", Fault.CUT, "reset")
    voices = [SimTts("voice", broken={"photo": broken}), SimTts("spare voice")]
    scene = await Scene([says(), HANGS_UP], ["yes"], answer(LONG), tts=voices).play()

    assert scene.texts_heard()[-1] == LONG
    assert [t for tts in voices for t in tts.spoken if t in LONG] == [
        "Of course.",
        "Please bring your insurance card with you.",
        "You also need a photo identification.",
        "There is free parking behind the house.",
        "Please come ten minutes early.",
    ]


@pytest.mark.parametrize("seed", range(8))
async def test_every_interleaving_gives_the_same_call(seed: int) -> None:
    """The order in which ready tasks run changes nothing that the caller hears."""
    scene = await Scene(
        [says(), says(), HANGS_UP],
        ["yes", "and"],
        lambda p: tokens("Hi.") if len(p.messages) < 4 else stops_after(8),
        goes_on,
    ).play()

    assert scene.texts_heard() == [GREETING, "Hi.", LONG]


async def test_a_tool_that_hangs_does_not_hang_the_call() -> None:
    """After 15 s the model is told that the outcome is not known."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        last = prompt.messages[-1]
        return tokens("I am not sure.") if last.role == "tool" else calls_tool("book", "Wait.")

    scene = await Scene([says(), HANGS_UP_LATE], ["yes"], model, tool_s=3600.0).play()

    assert scene.texts_heard()[-1] == "Wait. I am not sure."
    told = scene.llms[0].prompts[-1].messages[-1].content
    assert "no answer within 15 s" in told


async def test_a_cough_after_the_last_word_ends_the_reply() -> None:
    """Nothing is left to say: no apology, and no task of the reply stays behind."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        if prompt.continue_final:
            return [(0.1, EndpointError("primary", Fault.EMPTY, "nothing"))]
        return tokens("Of course, sure.")

    scene = await Scene(
        [says(), says(0.3, after_s=1.0), HANGS_UP], ["yes", ""], model, model
    ).play()

    assert APOLOGY not in scene.texts_heard()


@pytest.mark.parametrize(("answer_", "state"), [("yes", "granted"), ("maybe", "refused")])
async def test_only_a_clear_yes_lets_the_recording_begin(answer_: str, state: str) -> None:
    """What is unclear is journaled as a refusal."""
    scene = await Scene([says(), HANGS_UP], [answer_], answer("Fine.")).play()

    noted = scene.journal.of("consent.granted", "consent.refused")
    assert [note.type for note in noted] == [f"consent.{state}"]


async def test_a_bug_in_one_call_does_not_stop_the_clock_of_the_others() -> None:
    """The broken call is ended with its trace; the pacer goes on."""
    pacer, ticks = Pacer(SimVad()), []

    class Broken:
        error: Exception | None = None

        def hear(self, window: Window, now: Mono) -> None:
            raise AssertionError("no audio is fed")

        def tick(self, now: Mono) -> None:
            raise ZeroDivisionError("a bug")

        def broke(self, error: Exception) -> None:
            self.error = error

    class Healthy(Broken):
        @override
        def tick(self, now: Mono) -> None:
            ticks.append(now)

    broken, healthy = Broken(), Healthy()
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(pacer.run())
        pacer.join(broken)
        pacer.join(healthy)
        await asyncio.sleep(1.0)
        pacing.cancel()

    assert isinstance(broken.error, ZeroDivisionError)
    assert len(ticks) == 51
