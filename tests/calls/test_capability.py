"""Models show whether they go on with a prefix; what is declared is not believed."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from dataclasses import replace

import pytest

from trunkline.calls.capability import (
    AGAIN_S,
    PROVE_S,
    Capabilities,
    ask,
    bare,
    goes_on,
    question,
)
from trunkline.calls.steps import AnyStage
from trunkline.core.going_on import Goes
from trunkline.errors import EndpointError, Fault
from trunkline.testing.simulated import FOREVER, Beat, SimLlm, SimTts, tokens
from trunkline.types import Delta, Finish, Prompt, TextDelta, ToolCallDelta

ANSWER = "The days are Monday, Tuesday, Wednesday, Thursday, Friday, Saturday and Sunday."
Beats = Iterable[Beat[Delta]]


def honest(prompt: Prompt) -> Beats:
    """Goes on behind what it is given."""
    begun = prompt.messages[-1].content if prompt.continue_final else ""
    return tokens(ANSWER.removeprefix(begun).strip())


def deaf(_: Prompt) -> Beats:
    """Answers anew, whatever it is given."""
    return tokens(ANSWER)


def strict(prompt: Prompt) -> Beats:
    """Will not take a prefix at all."""
    if prompt.continue_final:
        return [(0.1, EndpointError("m", Fault.REFUSED, "HTTP 400 unknown field"))]
    return tokens(ANSWER)


def away(_: Prompt) -> Beats:
    """Is not there."""
    return [(0.1, EndpointError("m", Fault.UNREACHABLE, "refused"))]


def frozen(_: Prompt) -> Beats:
    """Never says anything."""
    return [(FOREVER, TextDelta(""))]


def curt(_: Prompt) -> Beats:
    """Says too little."""
    return tokens("Seven days.")


@pytest.mark.parametrize(
    ("answers", "continuation"),
    [(honest, "prefix"), (deaf, "turn"), (strict, "turn"), (curt, "turn")],
)
async def test_only_who_goes_on_is_given_a_prefix(
    answers: Callable[[Prompt], Beats], continuation: str, caplog: pytest.LogCaptureFixture
) -> None:
    """All others are asked for the rest by a turn, and an operator is told."""
    caplog.set_level(logging.WARNING)
    told: list[dict[str, object]] = []
    capabilities = Capabilities(told.append)
    stages = capabilities.wrapped({"m": SimLlm("m", answers)})
    assert stages["m"].endpoint.continuation == "turn", "nothing is shown yet"
    await capabilities.prove(stages)
    assert stages["m"].endpoint.continuation == continuation
    assert [event["continuation"] for event in told] == [continuation]
    assert bool(caplog.records) == (continuation == "turn")


@pytest.mark.parametrize("answers", [away, frozen])
async def test_a_start_waits_no_longer_than_it_says(answers: Callable[[Prompt], Beats]) -> None:
    """Side by side, and who did not answer is tried again, when it is there."""
    working = False

    def at_first(prompt: Prompt) -> Beats:
        return honest(prompt) if working else answers(prompt)

    capabilities = Capabilities()
    stages = capabilities.wrapped({name: SimLlm(name, at_first) for name in ("a", "b", "c")})
    capabilities.keep(stages)
    began = asyncio.get_running_loop().time()
    await capabilities.prove(stages)
    assert asyncio.get_running_loop().time() - began <= PROVE_S
    assert {stage.endpoint.continuation for stage in stages.values()} == {"turn"}
    working = True
    async with asyncio.TaskGroup() as group:
        again = group.create_task(capabilities.run())
        await asyncio.sleep(AGAIN_S + PROVE_S)
        again.cancel()
    assert {stage.endpoint.continuation for stage in stages.values()} == {"prefix"}


async def test_what_was_shown_is_not_asked_again() -> None:
    """Another configuration with the same stage knows it; another stage has to show it anew."""
    model, voice = SimLlm("m", honest), SimTts("v")
    turns = SimLlm("t", honest)
    turns.endpoint = replace(turns.endpoint, continuation="turn")
    bares: dict[str, AnyStage] = {"m": model, "t": turns}
    capabilities = Capabilities()
    stages = capabilities.wrapped(bares)
    await capabilities.prove(stages)
    capabilities.keep(stages)
    again = capabilities.wrapped(bares)
    await capabilities.prove(again)
    assert again["m"] is stages["m"]
    assert len(model.prompts) == 2
    assert (turns.prompts, again["t"]) == ([], turns)
    other = capabilities.wrapped({"m": SimLlm("m", honest)})
    assert other["m"].endpoint.continuation == "turn"
    assert (bare(stages["m"]), bare(voice)) == (model, voice)


async def test_where_nobody_can_be_asked_by_turns_what_is_declared_holds() -> None:
    """There is nothing better; an operator is told all the same."""
    capabilities = Capabilities(by_turns=False)
    stages = capabilities.wrapped({"m": SimLlm("m", deaf)})
    assert stages["m"].endpoint.continuation == "prefix"
    await capabilities.prove(stages)
    assert stages["m"].endpoint.continuation == "prefix"


async def test_a_stream_that_breaks_off_is_no_answer() -> None:
    """The fault is told, with what came before it."""

    def cut(_: Prompt) -> Beats:
        return [(0.2, TextDelta("Half"))]

    reply = await ask(SimLlm("m", cut), question(), 1.0)
    assert isinstance(reply.error, EndpointError)
    assert (reply.text, reply.error.fault, reply.whole_s) == ("Half", Fault.CUT, None)
    assert reply.first_s == pytest.approx(0.2)


async def test_tools_that_a_model_calls_are_named() -> None:
    """A tool call is a first useful token, too."""

    def calls(_: Prompt) -> Beats:
        part = ToolCallDelta(0, "call_1", "book", "{}")
        return [(0.3, part), (0.0, ToolCallDelta(0, "", "", "")), (0.1, Finish("tool_calls"))]

    reply = await ask(SimLlm("m", calls), question(), 1.0)
    assert (reply.tools, reply.error) == (("book",), None)
    assert reply.first_s == pytest.approx(0.3)


async def test_half_an_answer_that_takes_too_long_is_not_known() -> None:
    """The deadline holds for the second request, too."""
    shown, reply = await goes_on(SimLlm("m", frozen), ANSWER, 0.5)
    assert shown is None
    assert isinstance(reply.error, EndpointError)
    assert reply.error.fault is Fault.SILENT
    assert (await goes_on(SimLlm("m", honest), "", 0.5))[0] is Goes.UNCLEAR
