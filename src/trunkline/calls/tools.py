"""A tool at work for a call: at most once, and never without an answer."""

import asyncio
import json

from trunkline.contracts import Journal, Toolbox
from trunkline.errors import TrunklineError
from trunkline.types import ToolCall, ToolResult

TOOL_S = 15.0
"""A tool that takes longer has lost the caller's patience; its outcome is then unknown."""
INTENT_S = 2.0
"""A log that takes longer may be dead, and the caller hears nothing meanwhile."""


async def run_tool(journal: Journal, toolbox: Toolbox, call: ToolCall, key: str) -> ToolResult:
    """What *call* answers, run under *key*; its intent is in *journal* and is made durable first.

    Whatever goes wrong is an answer too: the model is told, the caller is still there.
    """
    try:
        if not await _durable(journal):  # no intent on disk, no tool
            late = f"it could not be recorded within {INTENT_S:g} s, so it was not done"
            return ToolResult(json.dumps({"error": late}))
        async with asyncio.timeout(TOOL_S):
            return await toolbox.run(call, key)
    except TimeoutError:
        late = f"no answer within {TOOL_S:g} s; whether it took effect is not known"
        return ToolResult(json.dumps({"error": late}))
    except TrunklineError as error:
        return ToolResult(json.dumps({"error": str(error)}))


async def _durable(journal: Journal) -> bool:
    """Whether all that was noted is on disk in time."""
    try:
        async with asyncio.timeout(INTENT_S):
            await journal.commit()
    except TimeoutError:
        return False
    return True
