"""A prompt as the protocols want it that know two speakers, who alternate.

Anthropic's and Google's take one system text and then turns of user and model in alternation, the
user first. A phone call is not like that: the agent greets first, may speak twice in a row, and its
tools answer one by one. And calls come from whichever model made them: ids are unique within a step
only, though these protocols want them to be unique in the whole conversation (Anthropic: made of
`a-zA-Z0-9_-`), and the arguments may be no JSON.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal, TypeAlias

import msgspec

from trunkline.errors import InputError
from trunkline.types import Message, Prompt, ToolCall

UNSAID = "..."
"""Stands for a user who has said nothing, in any language: these protocols refuse an empty text."""
_ID_CHARS = 40  # the shortest bound of those that providers are known to set


@dataclass(frozen=True, slots=True)
class Answer:
    """What the tool of *call* answered."""

    call: ToolCall
    content: str


Part: TypeAlias = str | ToolCall | Answer


@dataclass(frozen=True, slots=True)
class Turn:
    """All that one side says in a row."""

    role: Literal["user", "model"]
    parts: Sequence[Part]


def opening_system(prompt: Prompt) -> tuple[str, Sequence[Message]]:
    """The system text that *prompt* opens with, and the messages after it."""
    opening = list(takewhile(lambda message: message.role == "system", prompt.messages))
    return "\n\n".join(it.content for it in opening), prompt.messages[len(opening) :]


def turns(endpoint: str, prompt: Prompt) -> tuple[str, Sequence[Turn]]:
    """The system text of *prompt*, and its turns, which begin and end with the user's.

    With `continue_final` they end with the model's text, which ends in no space: models lose the
    thread after one, and Anthropic refuses it. `InputError` names *endpoint* if the messages
    contradict themselves.
    """
    if prompt.continue_final and (not prompt.messages or prompt.messages[-1].role != "assistant"):
        raise InputError(
            f"{endpoint}: a prompt that continues its last message must end in an assistant "
            f"message. Append the words that were spoken, or unset it"
        )
    system = [it.content for it in prompt.messages if it.role == "system"]
    spoken: list[tuple[Literal["user", "model"], list[Part]]] = []
    for role, parts in _said(with_unique_ids(prompt.messages)):
        if not spoken and role == "model":
            spoken.append(("user", [UNSAID]))
        if spoken and spoken[-1][0] == role:
            spoken[-1][1].extend(parts)
        else:
            spoken.append((role, parts))
    if not spoken:
        raise InputError(f"{endpoint}: the prompt has no words. Add what the user said")
    if prompt.continue_final and isinstance(last := spoken[-1][1][-1], str):
        spoken[-1][1][-1] = last.rstrip()
    elif spoken[-1][0] == "model":
        spoken.append(("user", [UNSAID]))
    return "\n\n".join(system), [Turn(role, parts) for role, parts in spoken]


def _said(messages: Sequence[Message]) -> Iterator[tuple[Literal["user", "model"], list[Part]]]:
    calls: dict[str, ToolCall] = {}
    for message in messages:
        match message.role:
            case "system":
                continue
            case "tool":
                call = calls[message.tool_call_id or ""]
                yield "user", [Answer(call, message.content)]
                continue
            case _:
                calls.update((call.id, call) for call in message.tool_calls)
                text = [message.content] if message.content.strip() else []
        parts: list[Part] = [*text, *message.tool_calls]
        if parts:
            yield "user" if message.role == "user" else "model", parts


def with_unique_ids(messages: Sequence[Message]) -> Sequence[Message]:
    """*messages* with ids of tool calls that are unique, short and plain, whoever made them.

    The same messages always get the same ids, so that a provider's cache of prompts holds.
    `InputError` if a tool answers a call that nobody made.
    """
    taken: set[str] = set()
    current: dict[str | None, str] = {}
    numbered: list[Message] = []
    for message in messages:
        if message.tool_calls:
            current.update((call.id, _unique(call.id, taken)) for call in message.tool_calls)
            renamed = tuple(replace(call, id=current[call.id]) for call in message.tool_calls)
            numbered.append(replace(message, tool_calls=renamed))
        elif message.role == "tool":
            if message.tool_call_id not in current:
                raise InputError(
                    f"a tool message answers the call {message.tool_call_id!r}, which no assistant "
                    f"message before it makes. Say which call it answers"
                )
            numbered.append(replace(message, tool_call_id=current[message.tool_call_id]))
        else:
            numbered.append(message)
    return numbered


def _unique(call_id: str, taken: set[str]) -> str:
    plain = re.sub(r"[^a-zA-Z0-9_-]", "_", call_id)[: _ID_CHARS - 6] or "call"
    unique, number = plain, 1
    while unique in taken:
        number += 1
        unique = f"{plain}_{number}"
    taken.add(unique)
    return unique


def json_object(text: str, otherwise: str) -> dict[str, Any]:
    """The object that *text* is in JSON; a text that is none stands under the key *otherwise*."""
    if not text.strip():
        return {}
    try:
        return msgspec.json.decode(text, type=dict[str, Any])
    except msgspec.DecodeError:
        return {otherwise: text}
