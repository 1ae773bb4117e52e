"""The messages of one reply, and what is left of them when the caller takes the word."""

from collections.abc import Sequence
from itertools import takewhile

from trunkline.types import Message, ToolCall

PENDING = '{"status": "pending"}'
"""What the history says of a tool that has not answered yet."""


def add(entries: list[Message], text: str, tool_calls: tuple[ToolCall, ...] = ()) -> None:
    """Add what the agent says to *entries*: one message, as long as no tool comes between."""
    if entries and entries[-1].role == "assistant" and not entries[-1].tool_calls:
        text = f"{entries.pop().content} {text}".strip()
    if text or tool_calls:
        entries.append(Message("assistant", text, tool_calls))


def enter(history: list[Message], entry: Message) -> None:
    """Put *entry* into *history*, where an agent that speaks twice says one message."""
    if entry.role == "assistant":
        add(history, entry.content, entry.tool_calls)
    else:
        history.append(entry)


def add_caller(history: list[Message], text: str) -> None:
    """Add what the caller says: one message, until somebody answers."""
    if history and history[-1].role == "user":
        text = f"{history.pop().content} {text}"
    history.append(Message("user", text))


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
