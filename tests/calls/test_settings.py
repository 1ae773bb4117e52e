"""A turn keeps the endpoints and policies that it began with; the next one gets the newest."""

import asyncio
from collections.abc import Iterable, Sequence

import pytest

from tests.calls.scenes import APOLOGY, GREETING, Tools, calls_tool, says
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.settings import Setting, Settings
from trunkline.calls.steps import Routes
from trunkline.calls.worker import Agent, Worker
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.telephony.script import AfterAgent, CallScript, HangUp, Step
from trunkline.testing.simulated import (
    Beat,
    Hears,
    MemoryJournal,
    SimLine,
    SimLlm,
    SimStt,
    SimTts,
    SimVad,
    tokens,
)
from trunkline.types import LLM, STT, TTS, Delta, Persona, Prompt

HANGS_UP = Step(HangUp(), AfterAgent(3.0))


class House:
    """A worker whose configuration is swapped while a call is up."""

    def __init__(self, heard: Sequence[str]) -> None:
        self.journal = MemoryJournal()
        self.old, self.new = self.agent("old", heard), self.agent("new", heard)
        self.worker = Worker(
            self.old, Pacer(SimVad()), Router(RoutingPolicy()), lambda _: self.journal
        )

    def agent(self, name: str, heard: Sequence[str]) -> Agent:
        """Endpoints of its own, each named for it."""

        def answer(prompt: Prompt) -> Iterable[Beat[Delta]]:
            last = prompt.messages[-1]
            if last.role == "user" and "book" in last.content:
                return calls_tool("book", f"The {name} model looks it up for you.")
            return tokens(f"The {name} model says this to the caller at some length.")

        ears = SimStt(f"{name} ears", [Hears(text) for text in heard])
        routes: Routes = {
            STT: (ears,),
            LLM: (SimLlm(f"{name} model", answer),),
            TTS: (SimTts(f"{name} voice"),),
        }
        persona = Persona("Desk", "en", "Be brief.", GREETING, APOLOGY)
        return Agent(lambda: persona, Tools(2.0), routes, Policies())

    async def call(self, steps: Sequence[Step], swap_at: str) -> dict[int, set[str]]:
        """Place a call, swap when a note of this type comes; turn -> who was asked in it."""
        line = SimLine(CallScript((*steps, HANGS_UP), max_wait_s=30.0), max_s=120)
        async with asyncio.TaskGroup() as group:
            pacing = group.create_task(self.worker.pacer.run())
            swapping = group.create_task(self._swap(swap_at))
            await self.worker.answer(line)
            pacing.cancel()
            await swapping
        asked: dict[int, set[str]] = {}
        for note in self.journal.of("attempt.started"):
            asked.setdefault(note.where.turn, set()).add(str(note.data["endpoint"]).split()[0])
        return asked

    async def _swap(self, at: str) -> None:
        while not self.journal.of(at):  # noqa: ASYNC110  # a journal tells nobody
            await asyncio.sleep(0.02)
        self.worker.renew(self.new)


async def test_a_running_turn_is_untouched_and_the_next_one_is_served_by_the_new() -> None:
    """The swap comes while the answer of turn 1 is being written."""
    house = House(["yes please", "and then"])
    asked = await house.call([says(), says()], "attempt.delta")
    assert asked == {0: {"old"}, 1: {"old"}, 2: {"new"}}
    assert [setting.routes for setting in house.worker.settings.in_use] == [house.new.routes]


async def test_a_turn_of_several_steps_keeps_its_endpoints_throughout() -> None:
    """A tool is at work when the swap comes; the step behind it asks the old model."""
    house = House(["please book it", "and then"])
    asked = await house.call([says(), says()], "tool.intent")
    steps = [n.data["endpoint"] for n in house.journal.of("attempt.started") if n.where.step >= 0]
    models = [name for name in steps if str(name).endswith("model")]
    assert models[:2] == ["old model", "old model"]
    assert asked == {0: {"old"}, 1: {"old"}, 2: {"new"}}


async def test_a_call_that_begins_after_the_swap_knows_only_the_new() -> None:
    """From its greeting on."""
    house = House(["yes please"])
    house.worker.renew(house.new)
    assert await house.call([says()], "call.started") == {0: {"new"}, 1: {"new"}}


async def test_older_settings_are_in_use_as_long_as_a_turn_has_them() -> None:
    """Then nobody needs their endpoints, and they may be closed."""
    old, new = (Setting({}, Policies()) for _ in range(2))
    settings = Settings(old)
    first, second = settings.take(), settings.take()
    settings.newest = new
    assert settings.in_use == [new, old]
    settings.give_back(first)
    assert settings.in_use == [new, old]
    settings.give_back(second)
    assert settings.in_use == [new]


@pytest.mark.parametrize("hang_up_s", [0.5, 2.0])
async def test_a_call_that_ends_gives_back_what_it_had(hang_up_s: float) -> None:
    """Also in the middle of a sentence of either side."""
    house = House(["yes please"])
    line = SimLine(CallScript((Step(HangUp(), AfterAgent(0.0)),), max_wait_s=30.0), max_s=hang_up_s)
    async with asyncio.TaskGroup() as group:
        pacing = group.create_task(house.worker.pacer.run())
        await house.worker.answer(line)
        pacing.cancel()
    house.worker.renew(house.new)
    assert [setting.routes for setting in house.worker.settings.in_use] == [house.new.routes]
