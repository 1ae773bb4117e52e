"""Programs that were written for OpenAI, as they are, against the gateway: what they are told.

The official SDK, the OpenAI parts of LiveKit Agents and Pipecat, and curl; the first three in
environments of their own, made on first use. Through a failover in the middle of an answer each
has the text whole and once and knows of nothing; an answer that breaks off is an error in each.
"""

import functools
import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from benchmarks import environments

from trials.gateway_served import ANSWER, ASK, Route, Running, Served, gateway
from trials.peers import environment
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.chat import tokens
from trunkline.testing.faults import FaultScript
from trunkline.types import Prompt, ToolCall

HERE = Path(__file__).parent / "peers"
LISTS = HERE.parents[1] / "benchmarks/failover/peers"
CALLS = (
    ToolCall("call_1", "book", '{"day": "Thursday"}'),
    ToolCall("call_2", "book", '{"day": "Friday, for Zoë"}'),
)
WORDS = "One moment. "
CLIENTS = ("openai", "openai_async", "livekit", "pipecat")
SDKS = ("openai", "openai_async")
NO_CURL = pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
ORDERS: Mapping[str, Mapping[str, object]] = {
    "plain": {"model": "plain"},
    "whole": {"model": "plain", "whole": True},
    "tools": {"model": "tools", "tools": True},
    "tools-whole": {"model": "tools", "tools": True, "whole": True},
    "cut": {"model": "cut"},
    "stall": {"model": "stall"},
    "cut-whole": {"model": "cut-whole", "whole": True},
    "broken": {"model": "broken"},
    "throttled": {"model": "throttled"},
    "unknown": {"model": "unheard-of"},
}
"""What is asked of a client, each time of a model that nobody has asked before it."""
CONVERSATIONS = {"whole", "tools-whole", "cut-whole"}
"""Without a stream: voice agents have none of these."""


@dataclass(frozen=True)
class Clerk:
    """Books twice when it is asked, and speaks when both are answered."""

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """Calls first, then words."""
        answered = sum(message.role == "tool" for message in prompt.messages)
        if prompt.tools and not answered:
            return ChatReply(WORDS, CALLS)
        return ChatReply(ANSWER)


def routes() -> dict[str, Route]:
    """Each client gets models of its own: routing learns, and would spare the next one a fault."""
    well, made = Served(), dict[str, Route]()

    def sick(**script: object) -> Served:
        return Served([FaultScript.parse(script)])

    for client in (*CLIENTS, "curl"):
        cut, name = sick(kind="cut", after_tokens=12), client.replace("_", "-")
        made |= {
            f"{name}-plain": Route([well], ["prefix"]),
            f"{name}-tools": Route([Served(model=Clerk()), well], ["prefix", "prefix"]),
            f"{name}-cut": Route([cut, well], ["prefix", "turn"]),
            f"{name}-cut-whole": Route([cut, well], ["prefix", "prefix"]),
            f"{name}-stall": Route([sick(kind="stall", after_tokens=12), well], ["prefix"] * 2),
            f"{name}-broken": Route([sick(kind="cut", after_tokens=2)], ["prefix"]),
            f"{name}-throttled": Route(
                [sick(kind="status", status=429, retry_after_s=7)], ["turn"]
            ),
        }
    return made


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with gateway(routes(), tmp_path_factory.mktemp("gateway")) as it:
        yield it


def script(client: str) -> list[str]:
    """The interpreter that has *client*, and its script."""
    if client in SDKS:
        return [str(environment.python("chat")), str(HERE / "gateway_openai.py")]
    wanted = {"livekit": "livekit-plugins", "pipecat": "pipecat-openai"}[client]
    python = environments.python(LISTS / f"{wanted}.txt", "make soak ARGS='-k \"openai or curl\"'")
    return [str(python), "-W", "ignore", str(HERE / f"gateway_{client}.py")]


@functools.cache
def told(running: Running, client: str) -> Mapping[str, Mapping[str, Any]]:
    """All that *client* was told, in one process: some take seconds to start."""
    names = [it for it in ORDERS if client in SDKS or it not in CONVERSATIONS]
    orders = [{"ask": ASK, **ORDERS[name]} for name in names]
    for order in orders:
        order["model"] = f"{client.replace('_', '-')}-{order['model']}"
    command = [*script(client), running.url, client, json.dumps(orders)]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=400)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    assert len(lines) == len(names), f"{client} ended: {done.stderr[-2000:]}"
    for name, line in zip(names, lines, strict=True):
        print(f"{client}, {name}: {line}")
    return dict(zip(names, lines, strict=True))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("order", ["plain", "cut", "stall"])
def test_the_answer_is_whole(running: Running, client: str, order: str) -> None:
    """Every word once, piece by piece, from one answer; also where two models have written it."""
    heard = told(running, client)[order]
    assert heard["error"] == ""
    assert heard["text"] == ANSWER
    assert heard["pieces"] > 40
    if client in SDKS:
        assert heard["ends"] == ["stop"]
        assert heard["headers"]["x-trunkline-endpoint"].endswith("-1")
    if client != "pipecat":  # it tells an application neither ids nor, without metrics, usage
        assert len(heard["ids"]) == 1
        assert heard["tokens"] >= len(tokens(ANSWER))


@pytest.mark.parametrize("client", SDKS)
@pytest.mark.parametrize("order", ["whole", "cut-whole"])
def test_one_body(running: Running, client: str, order: str) -> None:
    """Without a stream it is one body; a failover shows in the headers only."""
    heard = told(running, client)[order]
    assert (heard["error"], heard["text"], heard["ends"]) == ("", ANSWER, ["stop"])
    assert heard["tokens"] >= len(tokens(ANSWER))
    changed = "x-trunkline-failover" in heard["headers"]
    assert changed == (order == "cut-whole")


@pytest.mark.parametrize("client", CLIENTS)
def test_tools(running: Running, client: str) -> None:
    """Both calls with their arguments; the SDK and LiveKit answer them and hear the words."""
    heard = told(running, client)["tools"]
    assert heard["error"] == ""
    assert [call[1:] for call in heard["calls"]] == [
        [c.name, json.loads(c.arguments)] for c in CALLS
    ]
    assert len({call[0] for call in heard["calls"]}) == len(CALLS)
    assert heard["text"] == (WORDS if client == "pipecat" else WORDS + ANSWER)


@pytest.mark.parametrize("client", SDKS)
def test_tools_in_one_body(running: Running, client: str) -> None:
    """The same without a stream."""
    heard = told(running, client)["tools-whole"]
    assert [call[1:] for call in heard["calls"]] == [
        [c.name, json.loads(c.arguments)] for c in CALLS
    ]
    assert (heard["text"], heard["ends"]) == (WORDS + ANSWER, ["tool_calls", "stop"])


@pytest.mark.parametrize("client", CLIENTS)
def test_an_answer_that_breaks_off_is_an_error(running: Running, client: str) -> None:
    """No client takes what it has for the whole answer."""
    heard = told(running, client)["broken"]
    assert heard["error"]
    assert heard["ends"] == []
    assert heard["text"] != ANSWER
    assert ANSWER.startswith(heard["text"])


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize(("order", "status"), [("throttled", "429"), ("unknown", "404")])
def test_an_http_error_is_that_of_the_sdk(
    running: Running, client: str, order: str, status: str
) -> None:
    """By its status, which each of them knows."""
    assert status in told(running, client)[order]["error"]


def curl(*arguments: str) -> "subprocess.CompletedProcess[str]":
    command = ["curl", "-sS", "-N", "-i", "--max-time", "60", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=90)


def chat(running: Running, model: str) -> "subprocess.CompletedProcess[str]":
    body = {"model": model, "stream": True, "messages": [{"role": "user", "content": ASK}]}
    url = f"{running.url}/chat/completions"
    return curl(url, "-H", "Content-Type: application/json", "-d", json.dumps(body))


def said(output: str) -> Sequence[str]:
    events = [json.loads(line[6:]) for line in output.splitlines() if line.startswith("data: {")]
    deltas = [choice["delta"] for event in events for choice in event.get("choices", ())]
    return [delta["content"] for delta in deltas if delta.get("content")]


@pytest.mark.ci
@NO_CURL
def test_curl(running: Running) -> None:
    """Through a change of models: one finish reason, one [DONE] as the last event."""
    done = chat(running, "curl-cut")
    assert done.returncode == 0
    assert "HTTP/1.1 200" in done.stdout
    assert "X-Trunkline-Endpoint: curl-cut-1" in done.stdout
    assert "".join(said(done.stdout)) == ANSWER
    assert done.stdout.count('"finish_reason":"stop"') == 1
    assert done.stdout.count("data: [DONE]") == 1
    assert done.stdout.rstrip().endswith("data: [DONE]")


@pytest.mark.ci
@NO_CURL
def test_curl_sees_that_an_answer_broke_off(running: Running) -> None:
    """The error is the last event, and the transfer itself fails (18: partial file)."""
    done = chat(running, "curl-broken")
    assert done.returncode == 18
    assert '"error"' in done.stdout
    assert "[DONE]" not in done.stdout
    assert '"finish_reason":"' not in done.stdout


@NO_CURL
def test_the_list_of_models(running: Running) -> None:
    """As OpenAI has it, each model by itself too."""
    done = curl(f"{running.url}/models")
    listed = json.loads(done.stdout.rpartition("\r\n\r\n")[2].rpartition("\n\n")[2])
    assert {it["id"] for it in listed["data"]} == set(routes())
    assert "curl-plain" in curl(f"{running.url}/models/curl-plain").stdout
