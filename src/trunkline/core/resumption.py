"""Where a call broke off, as much as another worker needs to go on; `records.resume` reads it."""

from dataclasses import dataclass
from typing import Literal

from trunkline.core.history import spoken
from trunkline.types import CallId, Message, ToolCall

Consent = Literal["not_asked", "asked", "granted", "refused"]


@dataclass(frozen=True, slots=True)
class BrokenReply:
    """The reply that was under way.

    *entries*: all of it, heard or not, its tools and their answers in place. *heard*: how much of
    its text was heard, to the end of a sentence. *step*: the one under way; its tools *running*
    have no answer. *complete*: no model was at work any more. *closing*: then the agent hangs up.
    """

    entries: tuple[Message, ...] = ()
    heard: str = ""
    step: int = 0
    running: tuple[ToolCall, ...] = ()
    complete: bool = False
    closing: bool = False

    @property
    def rest(self) -> str:
        """What was given to the synthesiser and not heard to the end of its sentence."""
        return spoken(self.entries)[len(self.heard) :].strip()


@dataclass(frozen=True, slots=True)
class Resumption:
    """A call as it was when it broke off.

    *origin* is the id under which the call began: its tools keep the keys made of it, however
    often it is resumed. *turn* is the last one begun.
    """

    origin: CallId
    turn: int = 0
    history: tuple[Message, ...] = ()
    reply: BrokenReply | None = None
    consent: Consent = "not_asked"
