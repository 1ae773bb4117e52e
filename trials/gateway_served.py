"""A gateway as its users run it, between faulty local models and a plain client; all sockets real.

`trunkline serve` is a process. The models are servers in a thread, so that a test may wait for its
client alone. Each model name has endpoints of its own, so that no test meets what another has
taught the routing.
"""

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from trunkline.core.phrases import Phrases
from trunkline.providers.embedded.chat import ChatModel, ChatReply
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import Law
from trunkline.testing.openai_server import FaultStruck, OpenAIServer, RequestRecord
from trunkline.types import Prompt

ANSWER = (
    "Of course, I can help you with that. Our practice is open from eight to six on weekdays, and "
    "from nine to one on Saturdays. The next free appointment is this Thursday at half past two. "
    "Please bring your insurance card. Shall I book that time for you now?"
)
ASK = "When are you open?"
TTFT_S = 0.1
LAW = Law("steady", TTFT_S, 0.0, 0.005, 0.0, 0.0)
"""First token after 0.1 s, then one each 5 ms, always: what is late is somebody's doing."""
CLOSED = "http://127.0.0.1:9/v1"
"""Port 9 (discard) is closed on any machine of today."""
EXPECTED = {
    "ttft_p50_s": 0.1,
    "ttft_p95_s": 0.2,
    "slow_share": 0.02,
    "sentence_s": 0.2,
    "gap_p999_s": 0.3,
}
ASK_S, READY_S = 60.0, 90.0


@dataclass(frozen=True)
class Reader:
    """Says `ANSWER`; goes on behind a prefix, and with the broken sentence if it is asked to."""

    answer: str = ANSWER

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """The rest, by what stands at the end of the prompt."""
        last = prompt.messages[-1]
        if prompt.continue_final:
            return ChatReply(self.answer.removeprefix(last.content))
        sent = [it.content for it in prompt.messages if it.role == "assistant"]
        return ChatReply(self._again(sent[-1]) if sent else self.answer)

    def _again(self, sent: str) -> str:
        """All from the sentence on in which *sent* breaks off."""
        cut = Phrases()
        whole = cut.feed(self.answer)
        rest, at = [*whole, cut.rest], 0
        for number, sentence in enumerate(rest):
            at = self.answer.index(sentence, at) + len(sentence)
            if at > len(sent):
                return " ".join(rest[number:])
        return ""


@dataclass
class Served:
    """A model server of the rig: how it is to fail, and what it saw."""

    faults: Sequence[FaultScript] = ()
    model: ChatModel = field(default_factory=Reader)
    law: Law = LAW
    url: str = CLOSED
    struck: list[FaultStruck] = field(default_factory=list)
    server: OpenAIServer | None = None

    @property
    def requests(self) -> Sequence[RequestRecord]:
        """What it was asked."""
        return () if self.server is None else self.server.requests


@dataclass(frozen=True)
class Route:
    """A model name of the gateway: its servers in order, and how each goes on with an answer."""

    servers: Sequence[Served]
    continuations: Sequence[str]
    settings: Mapping[str, object] = field(default_factory=dict)


def configuration(routes: Mapping[str, Route], folder: Path, port: int = 0) -> dict[str, Any]:
    """A whole configuration with these *routes*, as YAML has it."""
    zone = {
        "kind": "self_hosted",
        "region": "local",
        "jurisdiction": "none",
        "processor": "you",
        "retention": "none",
        "baa": False,
        "dpa": False,
        "accepts": ["audio", "transcript", "prompt", "speech_text", "tool"],
    }
    embedded: dict[str, Any] = {"zone": "here", "failure_domain": "worker"}
    endpoints: dict[str, Any] = {
        "ears": {"stage": "stt", "api": "pocketsphinx", "model": "en-us", **embedded},
        "voice": {"stage": "tts", "api": "espeak", "model": "en-us", **embedded},
    }
    models: dict[str, Any] = {}
    for name, route in routes.items():
        names = [f"{name}-{place}" for place in range(1, len(route.servers) + 1)]
        models[name] = {"llm": names, **route.settings}
        for endpoint, server, how in zip(names, route.servers, route.continuations, strict=True):
            endpoints[endpoint] = {
                "stage": "llm",
                "api": "openai",
                "model": "m",
                "base_url": server.url,
                "zone": "here",
                "failure_domain": endpoint,
                "continuation": how,
                "key_env": None,
                "expected": EXPECTED,
            }
    first = next(iter(models.values()))["llm"]
    return {
        "version": 1,
        "zones": {"here": zone},
        "endpoints": endpoints,
        "agents": {
            "receptionist": {
                "routes": {"stt": ["ears"], "llm": first, "tts": ["voice"]},
                "folder": str(folder / "reception"),
            }
        },
        "gateway": {"models": models},
        "server": {"host": "127.0.0.1", "port": port, "drain_s": 1},
        "records": {"directory": str(folder / "records")},
    }


@contextmanager
def gateway(routes: Mapping[str, Route], folder: Path) -> Iterator["Running"]:
    """A gateway of *routes* on models that are served meanwhile."""
    servers = {id(it): it for route in routes.values() for it in route.servers}
    with _models(list(servers.values())), _serving(routes, folder) as running:
        yield running


@dataclass(frozen=True)
class Running:
    """The gateway's URL, with `/v1`, and its process."""

    url: str
    pid: int

    def ask(
        self, model: str, more: Mapping[str, object] | None = None, within_s: float = ASK_S
    ) -> "Heard":
        """One streamed request, with *more* in it; `TimeoutError` after *within_s*."""
        pids = [self.pid, os.getpid()]
        before_s = waited_s(pids)
        body = {"model": model, "stream": True, "messages": [{"role": "user", "content": ASK}]}
        heard = asyncio.run(ask(self.url, {**body, **(more or {})}, within_s))
        heard.waited_s = waited_s(pids) - before_s
        return heard


@contextmanager
def _models(servers: Sequence[Served]) -> Iterator[None]:
    """The servers, in a thread with a loop of its own."""
    ready, failed = threading.Event(), list[BaseException]()
    loop, over = asyncio.new_event_loop(), asyncio.Event()

    async def serve() -> None:
        async with AsyncExitStack() as stack:
            for it in servers:
                if any(fault.kind == "refuse" for fault in it.faults):
                    continue
                it.server = OpenAIServer(it.model, it.law, 1, it.faults, on_fault=it.struck.append)
                await stack.enter_async_context(it.server)
                it.url = it.server.base_url
            ready.set()
            await over.wait()

    def run() -> None:
        try:
            loop.run_until_complete(serve())
        except BaseException as error:  # told by the thread that waits
            failed.append(error)
            ready.set()
            raise

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    ready.wait()
    assert not failed, failed
    try:
        yield
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join(10)
        loop.close()


@contextmanager
def _serving(routes: Mapping[str, Route], folder: Path) -> Iterator[Running]:
    file, log = folder / "trunkline.yaml", folder / "serve.log"
    file.write_text(json.dumps(configuration(routes, folder)))  # JSON is YAML
    command = [sys.executable, "-m", "trunkline", "serve", str(file), "--events"]
    with log.open("wb") as errors:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, env=os.environ)
    try:
        yield Running(f"http://127.0.0.1:{_port(process, log)}/v1", process.pid)
    finally:
        process.terminate()
        process.communicate(timeout=30)


def _port(process: "subprocess.Popen[bytes]", log: Path) -> int:
    assert process.stdout is not None
    too_late = threading.Timer(READY_S, process.kill)
    too_late.start()
    try:
        for line in process.stdout:
            told = json.loads(line)
            if told["type"] == "ready":
                port: int = told["port"]
                return port
    finally:
        too_late.cancel()
    raise AssertionError(f"the gateway is not ready, or ended: {log.read_text()[-2000:]}")


@dataclass
class Heard:
    """What came to a client, and when, by this machine's monotonic clock."""

    asked: float = 0.0
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    tokens: list[tuple[float, str]] = field(default_factory=list)
    finishes: list[str] = field(default_factory=list)
    dones: int = 0
    ids: set[str] = field(default_factory=set)
    errors: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    tools: list[Mapping[str, Any]] = field(default_factory=list)
    body: str = ""
    broken: str = ""
    waited_s: float = 0.0
    """How long the gateway, the servers and the client waited for a core that others had."""

    @property
    def text(self) -> str:
        """All that was said."""
        return "".join(text for _, text in self.tokens)

    @property
    def whole(self) -> bool:
        """Whether a client has every reason to think that this is all."""
        ended = (len(self.finishes), self.dones) == (1, 1)
        return ended and not self.errors and not self.broken and len(self.ids) == 1


async def ask(url: str, body: Mapping[str, object], within_s: float) -> Heard:
    """One request, read to its end; what breaks it off is told."""
    heard = Heard()
    async with asyncio.timeout(within_s), aiohttp.ClientSession() as session:
        heard.asked = time.monotonic()
        async with session.post(f"{url}/chat/completions", json=body) as response:
            heard.status, heard.headers = response.status, dict(response.headers)
            try:
                await _read(response, heard)
            except aiohttp.ClientError as error:
                heard.broken = f"{type(error).__name__}: {error}"
    return heard


async def _read(response: aiohttp.ClientResponse, heard: Heard) -> None:
    if response.status != 200:
        heard.body = await response.text()
        return
    async for line in response.content:
        now = time.monotonic()
        if line.startswith(b":"):
            heard.comments.append(line[1:].decode().strip())
        elif line.startswith(b"data: [DONE]"):
            heard.dones += 1
        elif line.startswith(b"data:"):
            _event(json.loads(line[5:]), now, heard)


def _event(event: Mapping[str, Any], now: float, heard: Heard) -> None:
    if "error" in event:
        heard.errors.append(event["error"]["message"])
        return
    heard.ids.add(event["id"])
    for choice in event["choices"]:
        delta = choice["delta"]
        if delta.get("content"):
            heard.tokens.append((now, delta["content"]))
        heard.tools += delta.get("tool_calls") or ()
        if choice["finish_reason"]:
            heard.finishes.append(choice["finish_reason"])


def waited_s(pids: Sequence[int]) -> float:
    """How long the threads of *pids* have waited for a core (Linux, proc(5): schedstat); else 0."""
    tasks = (task for pid in pids for task in Path(f"/proc/{pid}/task").glob("*/schedstat"))
    return sum(int(task.read_text().split()[1]) for task in tasks) / 1e9
