"""A gateway in this process, over local servers with faults, and a plain client of it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from functools import wraps
from typing import Any, Literal

import aiohttp

from trials.openai_rig import ENDPOINT
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.core.seam import Hold
from trunkline.gateway.door import Limits
from trunkline.gateway.exchange import ChatModel
from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.metrics import Metrics
from trunkline.gateway.server import Gateway
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage
from trunkline.net.raw import Pool
from trunkline.net.remote import client_session
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.telephony.door import Clients
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.testing.chat import FixedModel, opening_hours
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.testing.openai_server import OpenAIServer

ASKED = {"model": "fast", "messages": [{"role": "user", "content": "When are you open?"}]}
POLICY = AttemptPolicy(hedge_after_s=0.5, gap_floor_s=0.3, recovery_q95_s=0.5, give_up_s=2.0)


@dataclass
class Read:
    """What a client read of one stream: *ended* is False if its body broke off."""

    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    times: list[float] = field(default_factory=list)
    comments: list[dict[str, Any]] = field(default_factory=list)
    done: int = 0
    ended: bool = False

    @property
    def text(self) -> str:
        """The answer."""
        deltas = (it["choices"][0]["delta"] for it in self.events if it.get("choices"))
        return "".join(it.get("content") or "" for it in deltas)

    @property
    def reasons(self) -> list[str]:
        """All finish reasons."""
        told = (it["choices"][0]["finish_reason"] for it in self.events if it.get("choices"))
        return [it for it in told if it]

    @property
    def ids(self) -> set[str]:
        """All ids of the answer."""
        return {it["id"] for it in self.events if "id" in it}

    @property
    def error(self) -> dict[str, Any] | None:
        """The error inside the stream."""
        return next((it["error"] for it in self.events if "error" in it), None)


@dataclass
class Rig:
    """A running gateway at *base_url*, the servers behind it, and a client."""

    base_url: str
    servers: Sequence[OpenAIServer]
    session: aiohttp.ClientSession
    server: TelephonyServer

    async def stream(self, key: str = "", **more: Any) -> Read:
        """Ask for a stream and read it to its end."""
        read, headers = Read(), {"Authorization": f"Bearer {key}"} if key else {}
        body = json.dumps(ASKED | {"stream": True} | more)
        url = f"{self.base_url}/v1/chat/completions"
        async with self.session.post(url, data=body, headers=headers) as response:
            read.status, read.headers = response.status, response.headers
            try:
                async for line in response.content:
                    self._line(read, line)
                read.ended = True
            except aiohttp.ClientPayloadError:
                pass  # it broke off
        return read

    def _line(self, read: Read, line: bytes) -> None:
        if line.startswith(b": trunkline "):
            read.comments.append(json.loads(line[12:]))
        elif line.strip() == b"data: [DONE]":
            read.done += 1
        elif line.startswith(b"data: "):
            read.events.append(json.loads(line[6:]))
            read.times.append(time.monotonic())

    async def ask(
        self, key: str = "", **more: Any
    ) -> tuple[int, dict[str, Any], Mapping[str, str]]:
        """Ask for one body: status, JSON, headers."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        url = f"{self.base_url}/v1/chat/completions"
        async with self.session.post(url, data=json.dumps(ASKED | more), headers=headers) as got:
            return got.status, await got.json(), got.headers

    async def get(self, path: str) -> tuple[int, str]:
        """Status and text of a page."""
        async with self.session.get(self.base_url + path) as response:
            return response.status, await response.text()


async def _no_calls(_: TwilioCarrier) -> None:
    """Nobody calls."""


@asynccontextmanager
async def rig(
    *faults: Sequence[FaultScript],
    law: str = "self_hosted_8b",
    hold: Hold = "none",
    continuation: Literal["prefix", "turn"] = "prefix",
    keys: Mapping[str, Client] | None = None,
    limits: Limits | None = None,
    model: FixedModel | None = None,
) -> AsyncIterator[Rig]:
    """A gateway over one server for each of *faults*."""
    async with AsyncExitStack() as stack:
        session = await stack.enter_async_context(client_session())
        pool = Pool()
        stack.callback(pool.close)
        servers, stages = [], []
        for n, scripts in enumerate(faults):
            server = OpenAIServer(model or opening_hours(), law_named(law), n, scripts)
            servers.append(await stack.enter_async_context(server))
            endpoint = replace(
                ENDPOINT, name="abc"[n], failure_domain="abc"[n], continuation=continuation
            )
            stages.append(
                SseStage(
                    endpoint,
                    OpenAIChat(endpoint),
                    base_url=server.base_url,
                    key=None,
                    session=session,
                    gate=Gate(lambda _: None),
                    pool=pool,
                )
            )
        port = TelephonyServer(
            TelephonyConfig(port=0, clients=Clients("/v1/", 500, 256)), _no_calls
        )
        models = {"fast": ChatModel("fast", tuple(stages), hold, policy=POLICY)}
        gateway = Gateway(
            lambda: models,
            Keys(keys or {}),
            Router(RoutingPolicy()),
            Metrics("w0"),
            occupied=port.occupied,
            wall=time.time,
            limits=limits,
        )
        port.app.add_routes(gateway.routes())
        await port.start()
        stack.push_async_callback(port.close)
        client = await stack.enter_async_context(aiohttp.ClientSession())
        yield Rig(f"http://127.0.0.1:{port.port}", servers, client, port)
        await client.close()
        await asyncio.sleep(0.05)


def trial(body: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Run *body* in real time, within a minute."""

    @wraps(body)
    def run(*args: object, **more: object) -> None:
        async def main() -> None:
            async with asyncio.timeout(60):
                await body(*args, **more)

        asyncio.run(main())

    return run
