"""Turns of a caller's conversation with the scripted receptionist, and what it answers to them."""

import json
from collections.abc import Mapping, Sequence

from trunkline.providers.embedded.chat import ChatReply
from trunkline.providers.embedded.scripted import ScriptedReceptionist, Style
from trunkline.types import Message, Prompt, ToolCall, ToolSpec

STYLES: Sequence[Style] = ("primary", "backup")
TOOLS = tuple(
    ToolSpec(name, "", {})
    for name in (
        "find_slots",
        "book_appointment",
        "find_appointment",
        "cancel_appointment",
        "take_message",
        "end_call",
    )
)
GREETING = "Thank you for calling. This call is recorded. Is that all right with you?"
BRING_AND_PARK = "what should i bring and where can i park"
SLOTS = [f"2026-11-24T{time}" for time in ("09:00", "09:30", "10:00", "10:30", "13:00")]


def user(words: str) -> Message:
    """The caller says *words*."""
    return Message("user", words)


def said(text: str) -> Message:
    """The caller heard *text*."""
    return Message("assistant", text)


def ran(tool: str, answer: object, **arguments: str) -> list[Message]:
    """Tool *tool* ran and answered *answer*."""
    call = ToolCall(f"id of {tool}", tool, json.dumps(arguments))
    text = answer if isinstance(answer, str) else json.dumps(answer)
    return [Message("assistant", "", (call,)), Message("tool", text, tool_call_id=call.id)]


def found(starts: Sequence[str] = SLOTS) -> list[Message]:
    """find_slots answered *starts*."""
    slots = [{"start": start} for start in starts]
    return ran("find_slots", {"ok": True, "slots": slots}, reason="cleaning", day="tuesday")


OPENING = [said(GREETING), user("yes"), said("How can I help you today?")]
ASKING_TIME = [
    *OPENING,
    user("i would like to book a cleaning on tuesday"),
    *found(),
    said("On Tuesday I have nine o'clock, nine thirty, or ten o'clock."),
]


def reply(
    messages: Sequence[Message],
    style: Style = "primary",
    tools: tuple[ToolSpec, ...] = TOOLS,
    prompt: str = "You are a receptionist. Now it is Sunday, 22 November 2026, 10:00.",
) -> ChatReply:
    """What the engine answers to *messages*."""
    whole = (Message("system", prompt), *messages)
    return ScriptedReceptionist(style).reply(Prompt(whole, tools))


def asked_for(made: ChatReply) -> list[tuple[str, Mapping[str, str]]]:
    """The tools that the answer calls."""
    return [(call.name, json.loads(call.arguments)) for call in made.tool_calls]
