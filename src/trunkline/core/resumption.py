"""Where a call broke off, as much as another worker needs to go on; `records.resume` reads it."""

from dataclasses import dataclass, replace

from trunkline.core.call_words import Consent
from trunkline.core.history import spoken
from trunkline.core.reply import Reply
from trunkline.types import CallId, Message, ToolCall


@dataclass(frozen=True, slots=True)
class BrokenReply:
    """The reply that was under way.

    *entries*: all of it, heard or not, its tools and their answers in place. *heard*: how much of
    its text was heard, to the end of a sentence. *step*: the one under way; its tools *running*
    have no answer. *complete*: no model was at work any more. *closing*: why the call ends behind
    it, if it does. *prompting*: nobody asked for it.
    """

    entries: tuple[Message, ...] = ()
    heard: str = ""
    step: int = 0
    running: tuple[ToolCall, ...] = ()
    complete: bool = False
    closing: str = ""
    prompting: bool = False

    @property
    def rest(self) -> str:
        """What was given to the synthesiser and not heard to the end of its sentence."""
        return spoken(self.entries)[len(self.heard) :].strip()

    @property
    def over(self) -> bool:
        """Whether there is nothing to go on with."""
        return self.complete and not self.rest

    def again(self, turn: int, preface: str) -> Reply:
        """The same reply, of *turn*, to be said behind *preface*."""
        return Reply(
            turn,
            list(self.entries),
            self.heard,
            self.step,
            preface=preface,
            running=list(self.running),
            closing=self.closing,
            prompting=self.prompting,
        )


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


def with_greeting(broken: Resumption, greeting: str) -> Resumption:
    """*broken*; if it broke off in the *greeting*, with all of that, whatever of it was noted."""
    if broken.history:
        return broken
    reply, text = broken.reply, " ".join(greeting.split())
    heard = "" if reply is None or not text.startswith(reply.heard) else reply.heard
    return replace(broken, reply=BrokenReply((Message("assistant", text),), heard, complete=True))
