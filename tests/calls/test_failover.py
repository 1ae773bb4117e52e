"""Whole calls in virtual time, and every way in which a language model can fail them."""

import logging
from collections.abc import Callable, Sequence

import pytest

from tests.calls.scenes import APOLOGY, GREETING, HANGS_UP, Scene, calls_tool, says
from trunkline.errors import EndpointError, Fault
from trunkline.telephony.script import AfterAgent, HangUp, Step
from trunkline.testing.simulated import FOREVER, Beat, tokens
from trunkline.types import Delta, Finish, Prompt, TextDelta

LONG = (
    "Of course. Please bring your insurance card with you. You also need a photo identification. "
    "There is free parking behind the house. Please come ten minutes early."
)
ADDED_MAX_S = 0.3
LATER_MAX_S = 1.5
PATIENT = Step(HangUp(), AfterAgent(3.0), "hangs up, but not in a pause")
USELESS: Beat[Delta] = (0.2, TextDelta(""))


def fails(fault: Fault) -> Beat[Delta]:
    """The stream ends with this error."""
    return 0.01, EndpointError("primary", fault, "as told", retry_after_s=9.0)


ENDINGS: dict[str, tuple[Sequence[Beat[Delta]], str]] = {
    "refused": ([fails(Fault.REFUSED)], "refused"),
    "unreachable": ([fails(Fault.UNREACHABLE)], "unreachable"),
    "429": ([fails(Fault.THROTTLED)], "throttled"),
    "500, or an error inside a 200 stream": ([fails(Fault.UNAVAILABLE)], "unavailable"),
    "hang or stall": ([(FOREVER, Finish("stop"))], "silent"),
    "keep-alives only": ([USELESS] * 400, "silent"),
    "cut": ([fails(Fault.CUT)], "cut"),
    "malformed": ([fails(Fault.MALFORMED)], "malformed"),
    "EOF without finish_reason": ([], "cut"),
    "slow drip": ([(0.4, TextDelta("a ")) for _ in range(60)], "stalled"),
}


def goes_on(prompt: Prompt) -> list[Beat[Delta]]:
    """A model that says what is left of the long answer."""
    said = prompt.messages[-1].content if prompt.continue_final else ""
    return tokens(LONG.removeprefix(said).strip())


def dies(name: str, after: int) -> Callable[[Prompt], list[Beat[Delta]]]:
    """Says hello, then *after* words of the long answer and ends as *name* says."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        if len(prompt.messages) < 4:
            return tokens("Hi.")
        beats = tokens(LONG)[:after]
        return [*beats, *ENDINGS[name][0]]

    return model


async def two_turns(primary: Callable[[Prompt], list[Beat[Delta]]]) -> Scene:
    """A greeting, a healthy turn, and a long answer by *primary*, with a backup that goes on."""
    steps = [says(), says(), PATIENT]
    return await Scene(steps, ["yes", "what now"], primary, goes_on).play()


def reply_delay_s(scene: Scene) -> float:
    """From the last step's first attempt to its first sentence."""
    asked = [n.at for n in scene.journal.of("step.planned")][-1]
    return next(n.at for n in scene.journal.of("phrase.spoken") if n.at >= asked) - asked


@pytest.mark.parametrize("after", [0, 1, 7, 12, 20])
@pytest.mark.parametrize("name", ENDINGS)
async def test_whatever_the_model_does_the_caller_hears_the_answer(name: str, after: int) -> None:
    """Nothing lost, nothing twice, no stream left, the fault named, and hardly a pause."""
    healthy = await two_turns(lambda p: tokens("Hi.") if len(p.messages) < 4 else tokens(LONG))
    scene = await two_turns(dies(name, after))

    heard = scene.texts_heard()
    assert heard[:2] == [GREETING, "Hi."]
    assert heard[2] == LONG
    assert [llm.open_streams for llm in scene.llms] == [0, 0]
    told = [n.data["fault"] for n in scene.journal.of("failover")]
    expected = ENDINGS[name][1]
    assert told == (["stalled"] if expected == "silent" and after else [expected])
    if after < 3:
        assert reply_delay_s(scene) - reply_delay_s(healthy) <= LATER_MAX_S
    if after >= 12:  # two sentences are queued: time to wait for the backup
        assert max(scene.silences()[2:]) <= max(healthy.silences()[2:]) + ADDED_MAX_S


async def test_an_endpoint_that_keeps_failing_gets_no_caller(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """After three failures it is open; the journal says so and the call goes on elsewhere."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        return [fails(Fault.UNAVAILABLE)]

    turns = 6
    with caplog.at_level(logging.ERROR):
        scene = await Scene(
            [says()] * turns + [HANGS_UP],
            ["yes"] * turns,
            model,
            lambda _: [fails(Fault.UNAVAILABLE)],
        ).play()
    states = [(n.data["endpoint"], n.data["state"]) for n in scene.journal.of("endpoint.state")]
    assert states[:2] == [("primary", "open"), ("backup", "open")]
    assert "endpoint primary is open" in caplog.text
    assert scene.texts_heard()[-1] == APOLOGY


async def test_a_refused_configuration_pages_somebody_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """401 on the first request ever: no caller is sent there again, and it is said loudly."""
    with caplog.at_level(logging.CRITICAL):
        scene = await Scene(
            [says(), says(), HANGS_UP], ["yes", "and"], lambda _: [fails(Fault.REFUSED)]
        ).play()
    assert len(scene.llms[0].prompts) == 1
    assert [n.data["page"] for n in scene.journal.of("endpoint.state")] == [True]
    assert "Mend its configuration" in caplog.text


async def test_pushback_moves_the_call_and_blames_nobody() -> None:
    """No failure is counted: the endpoint is well, it only has no room."""
    scene = await Scene(
        [says(), says(), HANGS_UP],
        ["yes", "and"],
        lambda _: [fails(Fault.THROTTLED)],
        lambda _: tokens("Backup."),
    ).play()
    assert scene.texts_heard()[1:] == ["Backup.", "Backup."]
    assert len(scene.llms[0].prompts) == 1
    assert not scene.journal.of("endpoint.state")


async def test_a_content_filter_is_an_answer_and_nobody_else_is_asked() -> None:
    """The caller hears that it cannot be said, not another model that says it."""
    scene = await Scene(
        [says(), HANGS_UP], ["yes"], lambda _: [(0.1, Finish("content_filter"))]
    ).play()
    assert scene.llms[1].prompts == []
    assert scene.texts_heard()[-1] == APOLOGY


async def test_a_backup_that_greets_and_begins_again_is_heard_from_where_it_is_new() -> None:
    """The seam is not heard."""
    scene = await Scene(
        [says(), says(), HANGS_UP],
        ["yes", "what now"],
        dies("cut", 12),
        lambda _: tokens(f"Sure! {LONG}"),
    ).play()
    assert scene.texts_heard()[-1] == LONG


async def test_an_answer_that_is_too_long_is_continued_by_the_same_model() -> None:
    """`length` is no fault."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        if prompt.continue_final:
            return goes_on(prompt)
        return [*tokens(LONG)[:12], (0.01, Finish("length"))]

    scene = await Scene([says(), HANGS_UP], ["yes"], model).play()
    assert scene.texts_heard()[-1] == LONG
    assert scene.llms[1].prompts == []


async def test_a_call_that_breaks_off_inside_a_tool_call_is_run_again_from_its_start() -> None:
    """Never spliced inside one; the tool runs once."""

    def primary(_: Prompt) -> list[Beat[Delta]]:
        return [*calls_tool("book", "One moment.")[:-1], fails(Fault.CUT)]

    def backup(prompt: Prompt) -> list[Beat[Delta]]:
        assert not prompt.continue_final
        if prompt.messages[-1].role == "tool":
            return tokens("It is booked.")
        return calls_tool("book", "One moment.")

    scene = await Scene([says(), HANGS_UP], ["yes"], primary, backup).play()
    assert [name for name, _ in scene.tools.ran] == ["book"]
    assert scene.texts_heard()[-1] == "One moment. It is booked."


async def test_every_sentence_is_journaled_with_who_wrote_it() -> None:
    """The seam of an answer can be found afterwards."""
    scene = await two_turns(dies("cut", 12))
    spoken = [(n.data["endpoint"], n.data["text"]) for n in scene.journal.of("phrase.spoken")]
    answer = [who for who, text in spoken if str(text) in LONG]
    assert answer == ["primary"] * 2 + ["backup"] * 3
