"""Three requests tell what an endpoint does; its deadlines hold, and what is hopeless ends it."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace

import pytest

from tests.calls.test_capability import ANSWER, Beats, deaf, frozen, honest
from trunkline.calls.examine import PHRASES, TOOL, WITHIN_S, examine
from trunkline.calls.steps import AnyStage
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.testing.simulated import FOREVER, Beat, Hears, SimLlm, SimStt, SimTts, tokens
from trunkline.types import Delta, Finish, Prompt, StageName, ToolCallDelta, Usage

CLIP = bytes(2 * 8_000)
"""A second of silence: a simulated recogniser hears its script."""


def able(prompt: Prompt) -> Beats:
    """A model that can do all."""
    if prompt.tools:
        call = ToolCallDelta(0, "call_1", TOOL.name, '{"word": "ready"}')
        return [(0.3, call), (0.1, Finish("tool_calls", Usage(9, 9)))]
    *said, (wait, _) = honest(prompt)
    return [*said, (wait, Finish("stop", Usage(9, 9)))]


async def test_a_model_that_can_all_is_measured_three_times() -> None:
    """Its times, its continuation, its tools, its usage."""
    model = SimLlm("m", able)
    found = await examine(model, CLIP)
    assert found.firsts_s == pytest.approx([0.1, 0.1, 0.3])
    assert found.can == {"usage": "told", "continuation": "prefix", "tools": "called"}
    assert (found.asked, found.wrong, model.open_streams) == (3, [], 0)


async def test_a_prefix_that_is_not_honoured_is_wrong() -> None:
    """What is declared must be so; what a tool's offer brings is only told."""
    found = await examine(SimLlm("m", deaf), CLIP)
    assert found.can == {
        "usage": "not told", "continuation": "turn", "tools": "taken, not called",
    }  # fmt: skip  # one thing
    (wrong,) = found.wrong
    assert "declared continuation: prefix, but begins again" in str(wrong)
    turns = SimLlm("m", deaf)
    turns.endpoint = replace(turns.endpoint, continuation="turn")
    assert (await examine(turns, CLIP)).wrong == []


def failing(error: Exception) -> SimLlm:
    """A model that fails at once."""
    beats: Iterable[Beat[Delta]] = [(0.05, error)]
    return SimLlm("m", lambda _: beats)


@pytest.mark.parametrize(
    ("error", "asked"),
    [
        (EndpointError("m", Fault.UNREACHABLE, "refused"), 1),
        (EndpointError("m", Fault.REFUSED, "HTTP 401"), 1),
        (EgressRefused("m", "z", "prompt"), 1),
        (EndpointError("m", Fault.UNAVAILABLE, "HTTP 503"), 3),
    ],
)
async def test_what_is_hopeless_is_asked_once(error: Exception, asked: int) -> None:
    """What may pass is asked again."""
    found = await examine(failing(error), CLIP)
    assert (found.asked, len(found.wrong), found.firsts_s) == (asked, asked, [])


async def test_one_that_freezes_is_waited_for_so_long() -> None:
    """Three times, and no longer."""
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await examine(SimLlm("m", frozen), CLIP)
    assert loop.time() - began == pytest.approx(3 * WITHIN_S)
    assert all(isinstance(it, EndpointError) and it.fault is Fault.SILENT for it in found.wrong)


async def test_a_synthesiser_says_three_phrases() -> None:
    """Time to first audio of each, and whether it marks words."""
    voice = SimTts("v", ttfb_s=0.2)
    found = await examine(voice, CLIP)
    assert found.firsts_s == pytest.approx([0.2] * 3)
    assert found.can == {"word marks": "yes"}
    assert voice.spoken == list(PHRASES)
    sick = SimTts("v", broken={"Okay": EndpointError("v", Fault.REFUSED, "HTTP 402")})
    assert (await examine(sick, CLIP)).asked == 1


async def test_a_recogniser_hears_one_clip_three_times() -> None:
    """Time from its end to the words, which are told."""
    ears = SimStt("e", [Hears("hello there", [(0.4, "hello")])] * 3)
    found = await examine(ears, CLIP)
    assert len(found.firsts_s) == 3
    assert found.can == {"interims": "yes", "heard": "hello there"}
    assert [sum(len(it.pcm) for it in heard) for heard in ears.heard] == [len(CLIP)] * 3


async def test_a_stage_of_another_kind_is_not_asked() -> None:
    """There is nothing to ask it."""
    other: AnyStage = SimTts("x")
    other.endpoint = replace(other.endpoint, stage=StageName("s2s"))  # type: ignore[misc]  # a fake's is no property
    found = await examine(other, CLIP)
    assert (found.asked, list(found.can)) == (0, ["requests"])


def test_fakes_hold_their_word() -> None:
    """The honest one's answer has a half, and the frozen one never comes."""
    assert [*honest(Prompt(()))] == tokens(ANSWER)
    assert next(iter(frozen(Prompt(()))))[0] is FOREVER
