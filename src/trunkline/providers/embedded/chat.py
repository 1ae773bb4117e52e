"""What a model that runs inside Trunkline is asked and what it answers.

The shape is that of an OpenAI-style chat completion, already parsed: a server puts any such model
behind the real protocol, so that the model needs to know nothing of JSON or streaming.
"""

from dataclasses import dataclass
from typing import Protocol

from trunkline.types import Message, Prompt, ToolCall, ToolSpec


class Asked(Protocol):
    """Whatever carries a prompt, such as a request that a server has parsed."""

    @property
    def prompt(self) -> Prompt:
        """What the model is asked."""
        ...


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One request. *tools*: those that the model may call now (empty: it may only speak).

    *continue_final*: the last message is an assistant message to go on with, not to answer.
    """

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    continue_final: bool = False

    @property
    def prompt(self) -> Prompt:
        """The same as the prompt of a stage."""
        return Prompt(self.messages, self.tools, continue_final=self.continue_final)


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One complete answer; *finish* is `stop` or `tool_calls`, as the protocol spells them."""

    text: str
    tool_calls: tuple[ToolCall, ...] = ()
    finish: str = "stop"
