"""The messages of one reply: what is left when the caller takes the word; the keys of its tools."""

import hashlib
import json
from collections.abc import Sequence
from itertools import takewhile

from trunkline.types import CallId, Message, ToolCall

PENDING = '{"status": "pending"}'
"""What the history says of a tool that has not answered yet."""


def add(entries: list[Message], text: str, tool_calls: tuple[ToolCall, ...] = ()) -> None:
    """Add what the agent says to *entries*: one message, as long as no tool comes between."""
    if entries and entries[-1].role == "assistant" and not entries[-1].tool_calls:
        text = f"{entries.pop().content} {text}".strip()
    if text or tool_calls:
        entries.append(Message("assistant", text, tool_calls))


def cut(entries: Sequence[Message], heard: str) -> list[Message]:
    """*entries* as the caller knows them: texts cut to *heard*, a prefix of all of them joined.

    What is heard beyond them is of the step under way.
    """
    kept: list[Message] = []
    for place, entry in enumerate(entries):
        if entry.role == "tool":
            kept.append(entry)
            continue
        text = _prefix(entry.content, heard)
        heard = heard[len(text) :].lstrip()
        add(kept, text, entry.tool_calls)
        # Models number their calls anew in every step: an id means something only within one.
        answers = takewhile(lambda entry: entry.role == "tool", entries[place + 1 :])
        answered = {answer.tool_call_id for answer in answers}
        kept += [
            Message("tool", PENDING, tool_call_id=call.id)
            for call in entry.tool_calls
            if call.id not in answered
        ]
    add(kept, heard)
    return kept


def _prefix(text: str, heard: str) -> str:
    return text if heard.startswith(text) else heard


def spoken(entries: Sequence[Message]) -> str:
    """All that the agent says in *entries*, joined."""
    texts = (entry.content for entry in entries if entry.role == "assistant")
    return " ".join(text for text in texts if text)


def tool_key(call: CallId, turn: int, step: int, tool: ToolCall) -> str:
    """Under which *tool* runs at most once: never by the model's id for it (rule 4 of a call)."""
    try:
        arguments = json.dumps(json.loads(tool.arguments), sort_keys=True)
    except (ValueError, RecursionError):  # no JSON, or brackets to the bottom
        arguments = tool.arguments
    parts = (call, str(turn), str(step), tool.name, arguments)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
