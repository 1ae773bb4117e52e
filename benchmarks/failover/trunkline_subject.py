"""Trunkline as a subject: the driver of a real call's step, with the shipped policy and clocks.

`calls.think.Thinker` with `core.attempts` and `core.routing`, over the HTTP client of a worker, a
new worker for each trial. What it is told of the endpoints is what the shipped configuration says
of its two. Its voice is the clock by which the caller's silence is judged for every subject
(`judge.Clock`): the rescue of an answer waits while the caller still hears something.
"""

import asyncio
import logging
import math
import time
from collections.abc import Mapping
from importlib.resources import files

import yaml
from typing_extensions import override

from benchmarks.failover import judge, subject
from trunkline.calls.speak import Speaker
from trunkline.calls.steps import Desk
from trunkline.calls.think import Thinker
from trunkline.calls.voice import Voice
from trunkline.config.models import ExpectedConfig
from trunkline.config.policies import expected
from trunkline.core.attempt_words import AttemptPolicy, Settle
from trunkline.core.routing import Known, Router, RoutingPolicy
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.types import (
    LLM,
    TTS,
    CallId,
    DataClass,
    Endpoint,
    Message,
    Mono,
    Prompt,
    Sample,
    Where,
    Zone,
)

_ZONE = Zone(
    "here", "self_hosted", "local", "none", "you", "none", False, False,
    frozenset({DataClass.PROMPT}),
)  # fmt: skip
_SHIPPED = yaml.safe_load(files("trunkline.config").joinpath("example.yaml").read_text())
_EXPECTED = {
    name: expected(ExpectedConfig(**_SHIPPED["endpoints"][name]["expected"]))
    for name in ("primary", "backup")
}


class Mouth(Voice):
    """The clock of playout behind the live voice's face."""

    def __init__(self) -> None:
        self.clock = judge.Clock(time.monotonic())
        self._waiting: dict[int, float] = {}
        self.latest = -1
        self.on_change = _nothing
        self.said: list[tuple[float, str]] = []

    @property
    @override
    def silent(self) -> int:
        now = time.monotonic()
        return sum(at > now for at in self._waiting.values())

    @override
    def is_silent(self, phrase: int) -> bool:
        return self._waiting.get(phrase, 0.0) > time.monotonic()

    def say(self, sentence: str) -> None:
        now = time.monotonic()
        self.latest += 1
        self.said.append((now, sentence))
        self._waiting[self.latest] = now + judge.VOICE_S
        self.clock.say(now, sentence)
        asyncio.get_running_loop().call_later(judge.VOICE_S, self._sounds)

    def _sounds(self) -> None:
        self.on_change()

    def drain_at(self, now: Mono) -> Mono:
        return Mono(max(self.clock.drain if self.said else -math.inf, now))


class Lips(Speaker):
    """Hands sentences to the clock."""

    def __init__(self, mouth: Mouth) -> None:
        self._mouth = mouth

    @override
    def say(self, text: str, endpoint: str) -> None:
        self._mouth.say(text)


class Notes:
    """A journal that hands on each useful token as it comes."""

    def __init__(self, heard: subject.Heard) -> None:
        self._heard = heard

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
        del data_class, zone, sample
        if type == "attempt.delta":
            self._heard.token(str(data.get("text", "")), where.attempt or 0)

    def audio(self, channel: str, at: Sample, mulaw: bytes) -> None:
        """There is none."""

    async def commit(self) -> None:
        """Nothing is durable."""


async def run(asked: subject.Asked, heard: subject.Heard) -> None:
    urls = {"primary": asked.primary, "backup": asked.backup}
    known = {name: Known(name, _EXPECTED[name]) for name in urls}
    router = Router(RoutingPolicy(), known)
    ends: list[Settle] = []
    async with client_session() as session:
        stages = []
        for name, url in urls.items():
            endpoint = Endpoint(name, LLM, "openai", name, _ZONE, name, "prefix")
            codec, gate = OpenAIChat(endpoint), Gate(lambda _: None)
            stages.append(
                SseStage(endpoint, codec, base_url=url, key=None, session=session, gate=gate)
            )
        desk = Desk(
            Notes(heard), router, {LLM: stages}, {TTS: "voice"}, time.monotonic,
            router.call(0.5), lambda *_: "",
        )  # fmt: skip
        heard.restart()
        mouth = Mouth()
        heard.said = mouth.said
        thinker = Thinker(desk, AttemptPolicy(), mouth, Lips(mouth), mouth.drain_at)
        await thinker.run(
            Prompt((Message("user", asked.text),)),
            heard="",
            language="en",
            where=Where(CallId(f"trial-{asked.trial}"), 1, 1),
            settled=lambda _, end: ends.append(end),
        )
    if ends[0].reason == "failed":
        heard.errors.append("the step failed")


def _nothing() -> None:
    """Nobody listens."""


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    subject.serve(run)
