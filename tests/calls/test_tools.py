"""A tool at work for a call: not before its intent is durable, and nobody waits for a dead disk."""

import asyncio
import json

from typing_extensions import override

from trunkline.calls.tools import INTENT_S, run_tool
from trunkline.errors import RecordError
from trunkline.testing.incidents.staging import RememberingTools
from trunkline.testing.simulated import MemoryJournal
from trunkline.types import ToolCall

BOOK = ToolCall("call_1", "book", "{}")


class SlowJournal(MemoryJournal):
    """Is durable after *seconds*."""

    def __init__(self, seconds: float) -> None:
        super().__init__()
        self._seconds = seconds

    @override
    async def commit(self) -> None:
        await asyncio.sleep(self._seconds)


class DeadJournal(MemoryJournal):
    """Is never durable, and says so."""

    @override
    async def commit(self) -> None:
        raise RecordError("the disk is full")


async def test_a_tool_runs_once_its_intent_is_durable() -> None:
    """Not a moment before."""
    tools, clock = RememberingTools(["book"]), asyncio.get_running_loop().time
    began = clock()
    result = await run_tool(SlowJournal(INTENT_S / 2), tools, BOOK, "key")
    assert tools.ran == ["book"]
    assert "error" not in json.loads(result.content)
    assert clock() - began > INTENT_S / 2


async def test_a_tool_whose_intent_cannot_be_recorded_is_not_run() -> None:
    """The model is told so within the limit, whether the log is slow or broken."""
    tools, clock = RememberingTools(["book"]), asyncio.get_running_loop().time
    began = clock()
    slow = await run_tool(SlowJournal(60.0), tools, BOOK, "key")
    assert clock() - began <= INTENT_S
    broken = await run_tool(DeadJournal(), tools, BOOK, "key")
    assert "so it was not done" in json.loads(slow.content)["error"]
    assert "the disk is full" in json.loads(broken.content)["error"]
    assert tools.ran == []
