"""The policy, the facts and the acts of one call: the words of `core.call`."""

from dataclasses import dataclass
from typing import Literal

from trunkline.types import Message, Persona, Sample, ToolCall, ToolResult

Consent = Literal["not_asked", "asked", "granted", "refused"]
Answer = Literal["yes", "no", "unclear"]
Line = Literal[
    "greeting", "apology", "reprompt", "farewell", "pardon", "resume",
    "transfer", "message", "number", "taken",
]  # fmt: skip
"""What is said without a model; `resume`: that a call which broke off goes on; the last four:
`core.last_resort`."""
Lost = Literal["model", "ears", "voice"]
"""What is needed to go on, and is not to be had."""
Way = Literal["transfer", "message", "apology"]
"""What a call that cannot go on ends with."""


@dataclass(frozen=True, slots=True)
class CallPolicy:
    """Bounds of a call, in seconds and counts.

    *reprompt_after_s*: a caller who is silent for so long is asked whether they are there, at most
    *reprompts_max* times in a row. A persona that has no words for it waits *caller_silent_max_s*
    and hangs up. *key_gap_s*: the pause that ends what is keyed in.
    """

    call_max_s: float = 1800.0
    reprompt_after_s: float = 7.0
    reprompts_max: int = 2
    key_gap_s: float = 2.0
    keys_max: int = 32
    caller_silent_max_s: float = 60.0
    steps_max: int = 6
    failures_max: int = 2

    def patience_s(self, persona: Persona) -> float:
        """How long the caller of *persona* may be silent before something is done about it."""
        return self.reprompt_after_s if persona.reprompt else self.caller_silent_max_s


# -- facts -----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Begin:
    """The leg is up; *caller*: whose it is, as the carrier says, "" if it does not."""

    caller: str = ""


@dataclass(frozen=True, slots=True)
class CallerOnset:
    """The caller began to speak at *at*, having heard *heard* of the reply but not *unheard*."""

    at: Sample
    heard: str
    unheard: str = ""


@dataclass(frozen=True, slots=True)
class CallerLasts:
    """The caller has been speaking for longer than a cough or a "mm-hm" takes."""


@dataclass(frozen=True, slots=True)
class CallerWords:
    """What is heard so far of the utterance that is open: it may still change."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerMaySay:
    """The open utterance is likely over, and *text* all of it."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """An utterance is over. *text* is empty if it held no words; *answer*: as a yes or a no.

    *doubtful*: it may as well have held none.
    """

    text: str
    answer: Answer
    doubtful: bool = False


@dataclass(frozen=True, slots=True)
class CallerUnheard:
    """An utterance is over, and no recogniser could say what it held.

    *hopeless*, here and below: no endpoint of the stage is asked any more; the next one fails too.
    """

    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class CallerPressed:
    """The caller pressed *key* (0-9, *, #, A-D), having heard *heard* of the reply."""

    key: str
    heard: str = ""


@dataclass(frozen=True, slots=True)
class StepSettled:
    """A model step of *turn* is over: *text* was given to the synthesiser."""

    turn: int
    text: str
    reason: str
    tool_calls: tuple[ToolCall, ...] = ()
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool that was run in *turn* answered."""

    turn: int
    call: ToolCall
    result: ToolResult


@dataclass(frozen=True, slots=True)
class VoiceLost:
    """No synthesiser can say the rest of *turn*; *instead*: what the caller hears, if anything."""

    turn: int
    instead: str
    hopeless: bool = False


@dataclass(frozen=True, slots=True)
class AllHeard:
    """Everything that was given to the synthesiser has been heard: *heard*, as far as it could."""

    heard: str = ""


@dataclass(frozen=True, slots=True)
class Tick:
    """A deadline may have passed."""


Fact = (
    Begin
    | CallerOnset
    | CallerLasts
    | CallerWords
    | CallerMaySay
    | CallerSaid
    | CallerUnheard
    | CallerPressed
    | StepSettled
    | ToolAnswered
    | VoiceLost
    | AllHeard
    | Tick
)

# -- acts ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SayLine:
    """Say *text*, the persona's *line*, without a model, after what is already being said."""

    turn: int
    text: str
    line: Line


@dataclass(frozen=True, slots=True)
class Think:
    """Ask a model; *heard*: the part of this very answer that was heard before.

    *guess*: the caller may not have finished, so the voice is held until `ConfirmGuess`.
    """

    turn: int
    step: int
    messages: tuple[Message, ...]
    heard: str = ""
    guess: bool = False


@dataclass(frozen=True, slots=True)
class ConfirmGuess:
    """The caller has said what the model was asked about: the voice of *turn* is released."""

    turn: int


@dataclass(frozen=True, slots=True)
class DropGuess:
    """The caller said something else: stop *turn*, of which nobody has heard anything."""

    turn: int


@dataclass(frozen=True, slots=True)
class HoldReply:
    """The caller makes a sound: the voice of *turn* is silent at once; the model goes on."""

    turn: int


@dataclass(frozen=True, slots=True)
class ResumeReply:
    """It was nothing: the voice of *turn* goes on where it was heard last."""

    turn: int


@dataclass(frozen=True, slots=True)
class StopReply:
    """The caller took the word: stop the model of *turn*; what of it was not heard is lost."""

    turn: int
    heard: str


@dataclass(frozen=True, slots=True)
class RunTool:
    """Run *call* at most once under *key*."""

    turn: int
    step: int
    call: ToolCall
    key: str


@dataclass(frozen=True, slots=True)
class ConsentIs:
    """Consent to the recording changed to *state* because of *text*."""

    state: Consent
    text: str


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    reason: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """The call cannot go on, for want of *lost*; *consent* as it stands. The last resort begins.

    *way*: what the call ends with, once that is decided.
    """

    turn: int
    lost: Lost
    consent: Consent
    way: Way = "apology"


@dataclass(frozen=True, slots=True)
class SayPrepared:
    """Say *text* from what was rendered beforehand, if it was; then, if *tone*, a beep."""

    turn: int
    text: str
    line: Line
    tone: bool = False


@dataclass(frozen=True, slots=True)
class PutThrough:
    """End our part of the call; the carrier puts it through *to* a number ("": it hangs up).

    *said*: the caller was told; if not, the carrier says a sentence first.
    """

    to: str
    said: bool


Act = (
    SayLine
    | Think
    | ConfirmGuess
    | DropGuess
    | HoldReply
    | ResumeReply
    | StopReply
    | RunTool
    | ConsentIs
    | HangUp
    | GiveUp
    | SayPrepared
    | PutThrough
)
