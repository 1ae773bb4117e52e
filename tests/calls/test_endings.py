"""How a call ends when something is still going on in it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from typing_extensions import override

from tests.calls.scenes import HANGS_UP, Scene, says
from trunkline.calls.ear import Utterance
from trunkline.calls.listen import Listener as Ears
from trunkline.calls.pacer import Listener
from trunkline.calls.steps import Desk, Routes
from trunkline.calls.voice import Voice
from trunkline.contracts import Context
from trunkline.core.hearing_words import HearingPolicy
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.turns import Window
from trunkline.errors import EndpointError, Fault
from trunkline.telephony.script import BargeIn, HangUp, Step
from trunkline.testing.simulated import (
    FOREVER,
    Beat,
    MemoryJournal,
    SimStt,
    SimTts,
    SimVad,
    endpoint,
    tokens,
)
from trunkline.types import (
    STT,
    AudioFrame,
    CallId,
    Delta,
    Finish,
    Phrase,
    Prompt,
    Sample,
    Speech,
    Transcript,
    Where,
)

WINDOW = 256


async def _listen(desk: Desk, utterance: Utterance) -> Transcript | None:
    return await Ears(desk, HearingPolicy()).listen(
        utterance, Where(CallId("c"), 1), lambda _: None
    )


def _no_filler(voice: Voice, endpoint: str, turn: int) -> str:
    del voice, endpoint, turn
    return ""


class TalksOn(SimVad):
    """Finds speech in every tick once it is *on*, also when the leg is gone."""

    def __init__(self) -> None:
        super().__init__()
        self.on = False
        self._at = Sample(8_000_000)

    @override
    def tick(self) -> list[tuple[Listener, Window]]:
        judged = super().tick()
        if not self.on:
            return judged
        start, self._at = self._at, Sample(self._at + WINDOW)
        return [(listener, Window(1.0, start, self._at)) for listener in self._listeners]


class TidiesUp(SimTts):
    """A synthesiser that takes a second to end, while the caller begins to speak."""

    def __init__(self, vad: TalksOn) -> None:
        super().__init__("voice")
        self._vad = vad

    @asynccontextmanager
    @override
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        async with super().open(source, context) as speech:
            try:
                yield speech
            except asyncio.CancelledError:
                self._vad.on = True
                await asyncio.sleep(1.0)
                raise


async def test_a_call_whose_caller_speaks_while_it_ends_does_end() -> None:
    """Speech that is found behind the end begins nothing: nobody would be there to end that."""
    long = "This is a sentence of a good many words that says very little. " * 12
    began, vad = asyncio.get_running_loop().time(), TalksOn()
    scene = await Scene(
        [says(), Step(HangUp(), BargeIn(5.0))],
        ["yes", *[None] * 9],
        lambda _: [*tokens(long)[:60], (FOREVER, Finish("stop"))],
        lambda _: [(FOREVER, Finish("stop"))],
        tts=[TidiesUp(vad)],
        vad=lambda: vad,
    ).play()
    assert vad.on
    assert asyncio.get_running_loop().time() - began < 15.0
    assert len(scene.journal.of("call.ended")) == 1
    assert scene.journal.closed is not None


class Refuses:
    """A recogniser that has no room."""

    endpoint = endpoint("full ears", STT)

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Refuse."""
        raise EndpointError("full ears", Fault.THROTTLED, "no room")
        yield  # makes it a generator


async def test_a_recogniser_may_fail_while_the_caller_still_speaks() -> None:
    """The end of the utterance is then the next one's business, and nobody else's."""
    utterance = Utterance(0, Sample(0), [])
    routes: Routes = {STT: [Refuses(), SimStt("spare ears", ["hello"])]}
    clock = asyncio.get_running_loop().time
    router = Router(RoutingPolicy())
    desk = Desk(MemoryJournal(), router, routes, {}, clock, router.call(0.5), _no_filler)
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(_listen(desk, utterance))
        await asyncio.sleep(1.0)
        utterance.close()
    final = heard.result()
    assert final is not None
    assert final.text == "hello"


async def test_an_utterance_outlives_all_its_recognisers() -> None:
    """The caller is told that nobody heard it, but only once they have finished."""
    utterance = Utterance(0, Sample(0), [])
    clock = asyncio.get_running_loop().time
    router = Router(RoutingPolicy())
    desk = Desk(
        MemoryJournal(), router, {STT: [Refuses()]}, {}, clock, router.call(0.5), _no_filler
    )
    async with asyncio.TaskGroup() as group:
        heard = group.create_task(_listen(desk, utterance))
        await asyncio.sleep(1.0)
        utterance.close()
    assert heard.result() is None
    assert utterance.closed


async def test_a_call_that_breaks_is_hung_up_as_our_failure(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A bug ends its own call, with its trace in the log, and the carrier is told whose fault."""

    def model(prompt: Prompt) -> list[Beat[Delta]]:
        raise ZeroDivisionError("a bug")

    steps = [says(), says(label="again"), HANGS_UP]
    scene = await Scene(steps, ["yes", "when are you open"], model).play()
    assert scene.line.failed
    assert scene.line.call.ended == "agent_closed"
    assert "ZeroDivisionError: a bug" in caplog.text


async def test_a_call_that_ends_well_is_no_failure() -> None:
    """Whoever hangs up."""
    scene = await Scene([says(), HANGS_UP], ["yes"], lambda _: tokens("Fine.")).play()
    assert not scene.line.failed
