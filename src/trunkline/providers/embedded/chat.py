"""What a model that runs inside Trunkline is asked and what it answers.

The shape is that of an OpenAI-style chat completion, already parsed: a server puts any such model
behind the real protocol, so that the model needs to know nothing of JSON or streaming.
"""

from dataclasses import dataclass

from trunkline.types import Message, ToolCall, ToolSpec


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. *tools*: those that the model may call now (empty: it may only speak).

    *continue_final*: the last message is an assistant message to go on with, not to answer.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    continue_final: bool = False


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One complete answer; *finish* is `stop` or `tool_calls`, as the protocol spells them."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
