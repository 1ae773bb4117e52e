"""Probes: one token for an endpoint that gets no callers, at a constant rate."""

import asyncio
from collections.abc import Sequence

import pytest

from trunkline.calls.probes import Probes
from trunkline.core.health import Breaker
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.errors import EndpointError, Fault
from trunkline.testing.simulated import FOREVER, Beat, Hears, SimLlm, SimStt, SimTts
from trunkline.types import Delta, Finish, Mono, Prompt, TextDelta, Usage

OK: Sequence[Beat[Delta]] = [(0.3, TextDelta("ok")), (0.01, Finish("length", Usage(9, 1)))]


class Sick:
    """Model `a` is open; its answers to probes are *beats*; `b` is well."""

    def __init__(self, beats: Sequence[Beat[Delta]]) -> None:
        self.router = Router(RoutingPolicy())
        self.stages = [SimLlm("a", lambda _: beats), SimLlm("b", lambda _: beats)]
        clock = asyncio.get_running_loop().time
        for _ in range(3):
            self.router.failed("a", Fault.CUT, Mono(clock()))
        self.clock, self.probes = clock, Probes(self.router, self.stages, clock)

    async def passes(self, seconds: float) -> Breaker:
        """The state of `a` after so long."""
        async with asyncio.TaskGroup() as group:
            probing = group.create_task(self.probes.run())
            await asyncio.sleep(seconds)
            probing.cancel()
        assert [stage.open_streams for stage in self.stages] == [0, 0]
        return self.router.health("a").breaker(Mono(self.clock()))


async def test_an_open_endpoint_is_asked_for_one_token_until_it_is_well() -> None:
    """Every 15 s; after three good answers it gets callers again and no more probes."""
    sick = Sick(OK)
    assert await sick.passes(47.0) is Breaker.HALF_OPEN
    assert len(sick.stages[0].prompts) == 3
    assert {prompt.max_tokens for prompt in sick.stages[0].prompts} == {1}
    assert sick.stages[1].prompts == []
    meter = sick.probes.meter
    assert (meter.sent, meter.failed) == (3, 0)
    assert (meter.prompt_tokens, meter.completion_tokens) == (27, 3)
    assert await sick.passes(100.0) is Breaker.CLOSED
    assert meter.sent == 3


@pytest.mark.parametrize(
    "beats",
    [
        [(FOREVER, TextDelta(""))],
        [(1.3, TextDelta("late"))],
        [(0.1, EndpointError("a", Fault.UNAVAILABLE, "503"))],
    ],
)
async def test_one_that_does_not_answer_stays_open(beats: Sequence[Beat[Delta]]) -> None:
    """Whatever it does instead; its rate of probes is constant."""
    sick = Sick(beats)
    assert await sick.passes(148.0) is Breaker.OPEN
    assert sick.probes.meter.sent == 9
    assert sick.probes.meter.failed == sick.probes.meter.sent


@pytest.mark.parametrize(
    "beats",
    [
        [(0.1, TextDelta("ok")), (FOREVER, Finish("stop"))],
        [(0.2, EndpointError("a", Fault.EMPTY, "finished (length) without a word"))],
        [(0.2, Finish("content_filter"))],
    ],
)
async def test_its_first_sign_counts_not_its_end(beats: Sequence[Beat[Delta]]) -> None:
    """A model that thinks first finishes one token without a word, and is well."""
    sick = Sick(beats)
    assert await sick.passes(60.0) is not Breaker.OPEN
    assert sick.probes.meter.failed == 0


def test_a_probe_holds_nothing_of_any_call() -> None:
    """A fixed prompt."""
    from trunkline.calls.probes import PROBE  # noqa: PLC0415  # only here

    assert isinstance(PROBE, Prompt)
    assert len(PROBE.messages) == 1


class SickSpeech:
    """A synthesiser and a recogniser that are open, and well by now."""

    def __init__(self) -> None:
        self.voice = SimTts("voice")
        self.ears = SimStt("ears", [Hears("", [(0.1, "")])] * 9)
        self.other = SimTts("other")
        self.router, clock = Router(RoutingPolicy()), asyncio.get_running_loop().time
        for name in ("voice", "ears"):
            for _ in range(3):
                self.router.failed(name, Fault.CUT, Mono(clock()))
        self.probes = Probes(self.router, [self.voice, self.ears, self.other], clock)


async def test_speech_endpoints_are_probed_with_a_word_and_with_silence() -> None:
    """They get callers again after three good answers, in less time than unprobed ones."""
    sick = SickSpeech()
    async with asyncio.TaskGroup() as group:
        probing = group.create_task(sick.probes.run())
        await asyncio.sleep(50.0)
        probing.cancel()
    now = Mono(asyncio.get_running_loop().time())
    assert {sick.router.health(name).breaker(now) for name in ("voice", "ears")} == {
        Breaker.HALF_OPEN
    }
    assert sick.voice.spoken == ["Okay."] * 3
    assert [sum(len(it.pcm) for it in heard) for heard in sick.ears.heard] == [4800] * 3
    assert (sick.probes.meter.sent, sick.probes.meter.failed) == (6, 0)
    assert sick.other.spoken == []
