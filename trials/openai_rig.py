"""A client of the local OpenAI-compatible server, and that server with its faults."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp

from trunkline.contracts import Context
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.testing.chat import FixedModel, opening_hours
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer
from trunkline.types import (
    CallId,
    DataClass,
    Delta,
    Endpoint,
    Message,
    Mono,
    Prompt,
    StageName,
    TextDelta,
    Where,
    Zone,
)

KEY = "sk-very-secret-1234567890"
ANSWER = opening_hours().answer.text
PROMPT = Prompt((Message("user", "When are you open?"),))
ZONE = Zone(
    "here",
    "self_hosted",
    "local",
    "eu",
    "us",
    "none",
    baa=True,
    dpa=True,
    accepts=frozenset({DataClass.PROMPT}),
)
ENDPOINT = Endpoint("local", StageName("llm"), "openai", "m", ZONE, "local", "prefix")


def context(within_s: float | None = None, data_class: DataClass = DataClass.PROMPT) -> Context:
    deadline = None
    if within_s is not None:
        deadline = Mono(asyncio.get_running_loop().time() + within_s)
    return Context(Where(CallId("call-1"), 1, 1, 1), data_class, deadline)


@dataclass
class Rig:
    """A client, and what its gate decided."""

    session: aiohttp.ClientSession
    decisions: list[EgressDecision] = field(default_factory=list)

    def stage(self, base_url: str, connect_s: float = 0.5) -> SseStage[Prompt, Delta]:
        gate = Gate(self.decisions.append)
        return SseStage(
            ENDPOINT,
            OpenAIChat(ENDPOINT),
            base_url=base_url,
            key=KEY,
            session=self.session,
            gate=gate,
            connect_s=connect_s,
        )


@asynccontextmanager
async def rig() -> AsyncIterator[Rig]:
    async with client_session() as session:
        yield Rig(session)


def server(
    *faults: FaultScript, law: str = "instant", model: FixedModel | None = None
) -> OpenAIServer:
    return OpenAIServer(model or opening_hours(), law_named(law), 1, faults)


def fault(**script: object) -> FaultScript:
    return FaultScript.parse(script)


async def collect(
    stage: SseStage[Prompt, Delta], ctx: Context, prompt: Prompt = PROMPT
) -> list[Delta]:
    async with stage.open(prompt, ctx) as deltas:
        return [delta async for delta in deltas]


@dataclass
class Said:
    """What came before a fault, and when the last of it came."""

    deltas: list[Delta] = field(default_factory=list)
    last: float = 0.0


async def listen(stage: SseStage[Prompt, Delta], ctx: Context, said: Said) -> None:
    async with stage.open(PROMPT, ctx) as deltas:
        async for delta in deltas:
            said.deltas.append(delta)
            said.last = time.monotonic()


def text(deltas: list[Delta]) -> str:
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def trial(test: Callable[[], Awaitable[None]]) -> Callable[[], None]:
    """Run in real time, bounded."""

    def run() -> None:
        async def main() -> None:
            async with asyncio.timeout(20):
                await test()

        asyncio.run(main())

    run.__name__, run.__doc__ = test.__name__, test.__doc__
    return run


async def eventually(check: Callable[[], bool], within_s: float = 1.0) -> float:
    """Wait until *check* holds; the seconds it took."""
    began = time.monotonic()
    while not check():
        assert time.monotonic() - began < within_s, "it did not happen in time"
        await asyncio.sleep(0.001)
    return time.monotonic() - began
