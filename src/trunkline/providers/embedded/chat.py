"""What a model that runs inside Trunkline answers.

It is asked with the same `Prompt` as a stage. A server puts any such model behind a real protocol,
so that the model needs to know nothing of JSON or streaming.
"""

from dataclasses import dataclass
from typing import Protocol

from trunkline.types import Prompt, ToolCall


@dataclass(frozen=True, slots=True)
class ChatReply:
    """One complete answer: *text* first, then *tool_calls*."""

    text: str = ""
    tool_calls: tuple[ToolCall, ...] = ()


class ChatModel(Protocol):
    """A model as a function. Where the prompt has `continue_final` it returns what follows."""

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """The whole answer to *prompt*; whoever serves it decides how fast it comes."""
        ...
