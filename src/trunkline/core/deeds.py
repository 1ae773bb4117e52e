"""The key of a tool call: by what is done, so that it is done at most once."""

import hashlib
import json
from collections.abc import Sequence

from trunkline.core.call_words import Act, RunTool
from trunkline.types import CallId, ToolCall


def deed_key(call: CallId, turn: int, step: int, tool: ToolCall) -> str:
    """Made of *call*, *turn*, *step*, the tool and its canonical arguments; 64 hex digits."""
    try:
        arguments = json.dumps(json.loads(tool.arguments), sort_keys=True)
    except (ValueError, RecursionError):  # no JSON, or brackets to the bottom
        arguments = tool.arguments
    parts = (call, str(turn), str(step), tool.name, arguments)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


def run_tools(call: CallId, turn: int, step: int, tools: Sequence[ToolCall]) -> list[Act]:
    """What runs *tools*, each under its key."""
    return [RunTool(turn, step, tool, deed_key(call, turn, step, tool)) for tool in tools]
