"""The calls of a simulated worker again, on the live shell: asyncio, streams, tasks, cancellation.

What is drawn is the same, so every turn should come out as in the simulation: exactly in virtual
time, within timers' jitter in real time. That is how the simulation is held to what it simulates.
Steps run on `calls.think.Thinker`, endpoints are stages that play the course of a `Lane` word by
word; the voice is the simulation's clock of playout. Worlds with tools are not replayed.
"""

import asyncio
import math
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace

from typing_extensions import override

from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk
from trunkline.calls.think import Thinker
from trunkline.calls.voice import Voice
from trunkline.contracts import Context
from trunkline.core import attempt_words as words
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.errors import EndpointError, InputError
from trunkline.testing.simulated import endpoint
from trunkline.testing.simulation.draws import ATTEMPTS
from trunkline.testing.simulation.heard import VOICES
from trunkline.testing.simulation.lanes import Lane
from trunkline.testing.simulation.policies import known
from trunkline.testing.simulation.shard import Order, Shard
from trunkline.types import (
    LLM,
    TTS,
    CallId,
    DataClass,
    Delta,
    Finish,
    Message,
    Mono,
    Prompt,
    Sample,
    TextDelta,
    Where,
)


@dataclass(frozen=True, slots=True)
class Replayed:
    """One turn as the live shell ran it; *late_s*: by how much its latest timer was late."""

    call: int
    turn: int
    v2v_s: float
    gap_s: float
    reason: str
    late_s: float


class Replay:
    """Replays the calls of *order*; `open_streams` must be 0 afterwards."""

    def __init__(self, order: Order) -> None:
        speech = len(order.world.of(LLM)) < len(order.world.endpoints)
        if order.world.talk.tool_share or order.faults is not None or speech:
            raise InputError(
                "only worlds of models alone, without tools and a fault script, are replayed"
            )
        self.shard = Shard(order)
        self._order = order
        self._router = Router(RoutingPolicy(), known(order.world))
        self._draws = self.shard.call_draws
        self.open_streams = 0
        self._late_s: dict[int, float] = {}
        self._stages = [
            _Model(self, number, name) for number, name in enumerate(order.world.endpoints)
        ]
        self.zero = 0.0
        """When, by the loop's clock, the first call could begin."""

    async def run(self) -> list[Replayed]:
        """All calls, each when it is due; by call and turn."""
        self.zero = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            calls = [group.create_task(self._call(call)) for call in range(self._order.calls)]
        return [turn for call in calls for turn in call.result()]

    def now(self) -> float:
        """Seconds since the first call could begin."""
        return asyncio.get_running_loop().time() - self.zero

    async def wait_until(self, at: float, lot: int) -> None:
        """Sleep until then; for ever, if it never comes. How late it became is booked for *lot*."""
        if at == math.inf:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(at - self.now())
        self._late_s[lot] = max(self._late_s.get(lot, 0.0), self.now() - at)

    async def _call(self, call: int) -> list[Replayed]:
        state = self._router.call(self._draws[call % len(self._draws)])
        clock = asyncio.get_running_loop().time
        # a voice that served is asked for a filler before any route; it has none
        routes, served = {LLM: self._stages}, {TTS: "voice"}
        desk = Desk(_Silent(), self._router, routes, served, clock, state, lambda *_: "")
        began, turns = self.shard.arrivals[call], []
        for number in range(self._order.turns):
            lot = call * self._order.turns + number
            await self.wait_until(began + self.shard.ear_s[lot], lot)
            mouth = _Mouth(self, lot, began)
            ended = await self._turn(desk, mouth, lot)
            mouth.over(ended)
            heard = mouth.v2v_s, mouth.gap_s
            turns.append(Replayed(call, number, *heard, ended.reason, self._late_s[lot]))
            began = max(mouth.drain, self.now()) + self.shard.caller_s[lot]
        return turns

    async def _turn(self, desk: Desk, mouth: "_Mouth", lot: int) -> words.Settle:
        ends: list[words.Settle] = []
        thinker = Thinker(desk, self._order.attempts, mouth, _Lips(mouth), mouth.drain_at)
        await thinker.run(
            Prompt((Message("user", str(lot)),)),
            heard="",
            language="en",
            where=Where(CallId("replayed"), lot, 0),
            settled=lambda _, end: ends.append(end),
        )
        return ends[0]


class _Model:
    """An endpoint whose answers take the course that was drawn for them."""

    def __init__(self, replay: Replay, number: int, name: str) -> None:
        world = replay.shard.world.endpoints[name]
        self.endpoint = replace(endpoint(name, LLM), failure_domain=world.failure_domain)
        self._replay, self._number = replay, number
        self._asked: dict[int, int] = {}

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        """Play the course."""
        del context
        self._replay.open_streams += 1
        try:
            yield self._play(source)
        finally:
            self._replay.open_streams -= 1

    async def _play(self, prompt: Prompt) -> AsyncIterator[Delta]:
        replay, lot = self._replay, int(prompt.messages[0].content)
        shard, answer = replay.shard, replay.shard.answer(lot)
        said = answer.committed[len(prompt.messages[-1].content)] if prompt.continue_final else 0
        begins = said - shard.repeats_in(lot) if said else 0
        lane = Lane(0, self._number, words.Kind.PRIMARY, answer, begins, tool=False)
        asked = self._asked.get(lot, 0)
        self._asked[lot] = asked + 1
        now = replay.now()
        lane.draw(shard.draws.of(self._number, now), lot * ATTEMPTS + asked % ATTEMPTS, now)
        for word in range(lane.until):
            await replay.wait_until(lane.at(word), lot)
            fact = lane.take(word + 1)
            assert isinstance(fact, words.Text)  # noqa: S101  # this world has no tools
            yield TextDelta(fact.text)
        await replay.wait_until(lane.at(lane.until), lot)
        if lane.fault is not None:
            raise EndpointError(self.endpoint.name, lane.fault, "drawn")
        yield Finish(lane.reason)


class _Mouth(Voice):
    """The clock of playout of one turn, as the simulation has it, behind the live voice's face."""

    def __init__(self, replay: Replay, lot: int, began: float) -> None:
        self._replay, self._lot, self._began = replay, lot, began
        self._waiting: set[int] = set()
        self.latest = -1
        self.on_change = _nothing
        self.drain = -math.inf
        self.v2v_s, self.gap_s = math.inf, 0.0

    @property
    @override
    def silent(self) -> int:
        return len(self._waiting)

    @override
    def is_silent(self, phrase: int) -> bool:
        return phrase in self._waiting

    def say(self, sentence: str) -> None:
        """A sentence is given to the voice."""
        shard, now = self._replay.shard, self._replay.now()
        self.latest += 1
        voice_s = shard.voice_s[self._lot * VOICES + self.latest % VOICES]
        starts = max(now + voice_s, self.drain)
        if self.latest:
            self.gap_s = max(self.gap_s, starts - self.drain)
        else:
            self.v2v_s = starts + shard.transport_s - self._began
        answer = shard.answer(self._lot)
        self.drain = starts + answer.sounds_s[answer.sentences.index(sentence)]
        self._waiting.add(self.latest)
        asyncio.get_running_loop().call_later(voice_s, self._sounds, self.latest)

    def over(self, end: words.Settle) -> None:
        """The step has settled; silence after a broken answer lasts until now."""
        if end.reason == "failed" or self.latest < 0:
            now, voice_s = self._replay.now(), self._replay.shard.voice_s[self._lot * VOICES]
            if self.latest < 0:
                self.v2v_s = math.inf
            else:
                self.gap_s = max(self.gap_s, max(0.0, now - self.drain) + voice_s)

    def drain_at(self, now: Mono) -> Mono:
        """When the caller will hear silence."""
        return Mono(max(self.drain + self._replay.zero, now))

    def _sounds(self, phrase: int) -> None:
        self._waiting.discard(phrase)
        self.on_change()


class _Lips(Speaker):
    """Hands sentences to the clock."""

    def __init__(self, mouth: _Mouth) -> None:
        self._mouth = mouth

    @override
    def say(self, text: str, endpoint: str) -> None:
        self._mouth.say(text)


class _Silent:
    """A journal of nothing: what matters here is told by the turns."""

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """It is not kept."""

    def audio(self, channel: str, at: Sample, mulaw: bytes) -> None:
        """There is none."""

    async def commit(self) -> None:
        """Nothing is durable."""


def _nothing() -> None:
    """Nobody listens."""
