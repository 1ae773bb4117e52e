"""What is said in the calls of an incident, and the model that says it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from trunkline.core.splice import GO_ON
from trunkline.providers.embedded.chat import ChatReply
from trunkline.testing.incidents.files import Backup, Turn
from trunkline.testing.incidents.tones import words_of
from trunkline.types import Message, Persona, Prompt, ToolCall

GREETING = "Riverside dental practice, hello."
APOLOGY = "Sorry, I cannot help right now. Please call again."
PARDON = "Pardon, could you say that once more?"
FILLER = "One moment please."
TALK = (
    Turn(
        caller="when are you open",
        agent="We are open from eight to six on weekdays. On Saturdays the doors open at nine "
        "and close at one. There is parking behind the building.",
    ),
    Turn(
        caller="what should I bring along",
        agent="Please bring an insurance card and a list of medicines. New patients fill in a "
        "short form first. Allow ten minutes for that.",
    ),
)
PERSONA = Persona("Desk", "en", "Be brief.", GREETING, APOLOGY, asks_consent=False, filler=FILLER)
NOT_UNDERSTOOD = "Which of those did you mean?"
RESTARTED = "Sorry about that. "


@dataclass(frozen=True, slots=True)
class TalkModel:
    """A `ChatModel` that answers each line of *talk*; *how*: its manners when it takes over."""

    talk: Sequence[Turn]
    how: Backup

    def reply(self, prompt: Prompt, /) -> ChatReply:
        """The answer to the caller's last line, or what follows of it."""
        asked = [m for m in prompt.messages if m.role == "user" and not is_note(m)]
        line = words_of(asked[-1].content) if asked else []
        turn = next((it for it in self.talk if words_of(it.caller) == line), None)
        if turn is None:
            return ChatReply(NOT_UNDERSTOOD)
        said = _committed(prompt)
        if turn.tool is not None and not _answered(prompt):
            if said and self.how.prose:
                return ChatReply("That is done for you now.")
            calls = (ToolCall("call_1", turn.tool, '{"when": "Thursday at two"}'),)
            return ChatReply(turn.before.removeprefix(said), calls)
        if said and not self.how.restarts:
            return ChatReply(turn.agent.removeprefix(said))
        return ChatReply((RESTARTED if said else "") + turn.agent)

    def as_primary(self) -> "TalkModel":
        """The same without bad manners."""
        return replace(self, how=Backup())


def is_note(message: Message) -> bool:
    """Whether *message* is ours, asking a model to go on, and no line of the caller."""
    return any(message.content.startswith(note[:20]) for note in GO_ON.values())


def _committed(prompt: Prompt) -> str:
    """What the caller has heard of this answer, if the prompt asks to go on."""
    last = prompt.messages[-1]
    if prompt.continue_final or (last.role == "assistant" and not last.tool_calls):
        return last.content
    return prompt.messages[-2].content if last.role == "user" and is_note(last) else ""


def _answered(prompt: Prompt) -> bool:
    """Whether the tool has run since the caller spoke."""
    for message in reversed(prompt.messages):
        if message.role == "tool":
            return True
        if message.role == "user" and not is_note(message):
            return False
    return False
