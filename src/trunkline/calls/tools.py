"""A tool at work for a call: at most once, and never without an answer."""

import asyncio
import json

from trunkline.contracts import Journal, Toolbox
from trunkline.errors import TrunklineError
from trunkline.types import ToolCall, ToolResult

TOOL_S = 15.0
"""A tool that takes longer has lost the caller's patience; its outcome is then unknown."""


async def run_tool(journal: Journal, toolbox: Toolbox, call: ToolCall, key: str) -> ToolResult:
    """What *call* answers, run under *key*; its intent is in *journal* and is made durable first.

    Whatever goes wrong is an answer too: the model is told, the caller is still there.
    """
    try:
        await journal.commit()  # no intent on disk, no tool
        async with asyncio.timeout(TOOL_S):
            return await toolbox.run(call, key)
    except TimeoutError:
        late = f"no answer within {TOOL_S:g} s; whether it took effect is not known"
        return ToolResult(json.dumps({"error": late}))
    except TrunklineError as error:
        return ToolResult(json.dumps({"error": str(error)}))
