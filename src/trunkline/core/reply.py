"""What `core.call` knows of the reply under way, and of the sound that holds it."""

from dataclasses import dataclass, field

from trunkline.core.backchannels import is_backchannel, words_of
from trunkline.core.call_words import StepSettled
from trunkline.core.endpointing import is_fragment
from trunkline.types import Message, ToolCall


@dataclass(slots=True)
class Hold:
    """What the caller *heard* of the reply before the sound, and *said* since.

    *asked*: what was heard is a question; *settled*: the step's end, which waits.
    """

    heard: str
    asked: bool = False
    said: list[str] = field(default_factory=list)
    settled: StepSettled | None = None


@dataclass(slots=True)
class Reply:
    """The reply of *turn*; *entries* become history once they were heard.

    *closing*: why the call ends then; *prompting*: nobody asked for this reply; *guess*: what the
    caller has said if it is to be heard.
    """

    turn: int
    entries: list[Message] = field(default_factory=list)
    heard_before: str = ""
    step: int = 0
    thinking: bool = False
    running: list[ToolCall] = field(default_factory=list)
    closing: str = ""
    prompting: bool = False
    hold: Hold | None = None
    guess: str = ""

    def yields_to(self, text: str, language: str) -> bool:
        """Whether *text*, said while the reply is held, is more than a sound along with it."""
        if self.hold is None:
            return False
        if self.guess:
            return words_of(text) != words_of(self.guess)
        if not self.hold.heard or self.hold.asked:
            return bool(text)
        return bool(text) and not (is_backchannel(text, language) or is_fragment(text, language))
