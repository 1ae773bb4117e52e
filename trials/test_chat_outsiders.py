"""The vendors' own SDKs against our local servers of their protocols: what they hear, we hear.

They run in an environment of their own (`trials/peers`), which is made on first use.
"""

import asyncio
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trials.peers import environment
from trials.speech_rig import trial
from trials.test_chat_conformance import KINDS
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.conformance_chat_sockets import TEXT
from trunkline.testing.faults import FaultScript
from trunkline.testing.laws import law_named
from trunkline.types import Prompt, ToolCall

CLIENT = Path(__file__).parent / "peers" / "chat_client.py"
APIS = ("anthropic", "gemini", "openai_responses")
ENDS = {"anthropic": "end_turn", "gemini": "STOP", "openai_responses": "completed"}
CALLS = (
    ToolCall("call_1", "book", '{"day": "Thu", "for": "Zoë"}'),
    ToolCall("call_2", "book", '{"day": "Fri"}'),
)
ERRORS = {
    ("anthropic", "status_429"): "RateLimitError 429",
    ("anthropic", "status_529"): "OverloadedError 529",
    ("anthropic", "error_inside"): "APIStatusError 200",
    ("gemini", "status_429"): "ClientError 429",
    ("gemini", "error_inside"): "ServerError 500",
    ("openai_responses", "status_429"): "RateLimitError 429",
    ("openai_responses", "error_inside"): "APIError",
}
FAULTS: dict[str, dict[str, object]] = {
    "status_429": {"kind": "status", "status": 429},
    "status_529": {"kind": "status", "status": 529},
    "error_inside": {"kind": "error_inside", "after_tokens": 2},
}


@dataclass(frozen=True)
class Clerk:
    """Books twice when it is asked, and speaks when both are answered."""

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """Calls first, then words."""
        answered = sum(message.role == "tool" for message in prompt.messages)
        if prompt.tools and not answered:
            return ChatReply("One moment. ", CALLS)
        assert answered in {0, len(CALLS)}
        return ChatReply(TEXT)


async def outsider(api: str, url: str) -> dict[str, Any]:
    python = environment.python("chat")
    process = await asyncio.create_subprocess_exec(
        python, CLIENT, api, url, "Thursday?", stdout=asyncio.subprocess.PIPE, env={}
    )
    assert process.stdout is not None
    said = await process.stdout.read()
    assert await process.wait() == 0
    told: dict[str, Any] = json.loads(said)
    return told


@pytest.mark.parametrize("api", APIS)
def test_a_vendors_sdk_hears_words_and_calls(api: str) -> None:
    """Two steps of one turn: calls that are answered, then text, piece by piece, and the usage."""
    environment.python("chat")  # outside of the trial's bound: it may have to be fetched

    @trial(bound_s=90)  # a process starts, and imports an SDK: seconds on a busy machine
    async def test() -> None:
        async with KINDS[api][1](Clerk(), law_named("instant"), 1) as server:
            told = await outsider(api, f"http://127.0.0.1:{server.port}")
            assert [record.ended for record in server.requests] == ["finished"] * 2
        assert told["error"] == ""
        assert told["text"] == "One moment. " + TEXT
        assert told["pieces"] > 10
        assert told["end"] == ENDS[api]
        assert told["tokens"] > 10
        assert told["calls"] == [[it.id, it.name, json.loads(it.arguments)] for it in CALLS]

    test()


@pytest.mark.parametrize(("api", "fault"), ERRORS)
def test_a_vendors_sdk_takes_our_errors_for_its_own(api: str, fault: str) -> None:
    """As a status, and inside of a stream."""
    environment.python("chat")

    @trial(bound_s=90)  # a process starts, and imports an SDK: seconds on a busy machine
    async def test() -> None:
        scripts = [FaultScript.parse(FAULTS[fault])]
        async with KINDS[api][1](Clerk(), law_named("instant"), 1, scripts) as server:
            told = await outsider(api, f"http://127.0.0.1:{server.port}")
        assert told["error"] == ERRORS[api, fault]

    test()
