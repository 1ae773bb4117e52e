"""What `core.call` knows of the reply under way, and of the sound that holds it."""

from dataclasses import dataclass, field

from trunkline.core.backchannels import is_backchannel, takes_word, words_of
from trunkline.core.call_words import StepSettled
from trunkline.core.endpointing import without_fragments
from trunkline.types import Message, ToolCall

GOODBYE = "the agent said goodbye"
SILENT = "the caller is silent"
DEAF = "no recogniser hears the caller"
MUTE = "no voice is left"
"""Why a call ends behind its last reply."""


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
    caller has said if it is to be heard. *goes_on*: the step under way goes on after text that
    stands in *entries* already; *preface*: words said first that are not part of it; *lost*: no
    voice could say all of it.
    """

    turn: int
    entries: list[Message] = field(default_factory=list)
    heard_before: str = ""
    step: int = 0
    thinking: bool = False
    goes_on: bool = False
    preface: str = ""
    running: list[ToolCall] = field(default_factory=list)
    closing: str = ""
    prompting: bool = False
    hold: Hold | None = None
    guess: str = ""
    lost: bool = False

    def all_heard(self, heard: str) -> str:
        """All that was heard of it, *heard* being what was said of it since it began."""
        return f"{self.heard_before} {heard[len(self.preface) :].strip()}".strip()

    def yields_to(self, text: str, language: str, doubtful: bool) -> bool:
        """Whether *text*, said while the reply is held, is more than a sound along with it."""
        if self.hold is None:
            return False
        if self.guess:
            return words_of(text) != words_of(self.guess)
        if not self.hold.heard or self.hold.asked:
            return bool(text)
        if doubtful and not takes_word(text, language):
            return False
        said = without_fragments(text, language)
        return bool(said) and not any(is_backchannel(it, language) for it in (text, said))


def guesses(reply: Reply | None) -> bool:
    """Whether *reply* is one that is held because the caller may not have finished."""
    return reply is not None and bool(reply.guess)
