"""A conversation in words: what the caller and the models do; the acts come back as text."""

from collections.abc import Sequence

from trunkline.core.call import Call
from trunkline.core.call_words import (
    Act,
    AllHeard,
    Answer,
    Begin,
    CallerLasts,
    CallerMaySay,
    CallerOnset,
    CallerPressed,
    CallerSaid,
    CallerWords,
    CallPolicy,
    ConfirmGuess,
    ConsentIs,
    DropGuess,
    Fact,
    GiveUp,
    HangUp,
    HoldReply,
    PutThrough,
    ResumeReply,
    RunTool,
    SayLine,
    SayPrepared,
    StepSettled,
    StopReply,
    Think,
    Tick,
    ToolAnswered,
)
from trunkline.core.last_resort import Conversation as Guarded
from trunkline.core.last_resort import LastResortPolicy
from trunkline.types import CallId, Message, Mono, Persona, Sample, ToolCall, ToolResult

NOTICE = "Hello, this is Ada, an AI. This call is recorded."
QUESTION = "Is that all right?"
GREETING = f"{NOTICE} {QUESTION}"
APOLOGY = "I am sorry, something went wrong."
REPROMPT = "Are you still there?"
FAREWELL = "Goodbye then."
POLICY = CallPolicy(call_max_s=600.0, caller_silent_max_s=60.0, steps_max=3, failures_max=2)

NOTHING = LastResortPolicy()
"""No transfer and no message: the apology."""


def persona(
    *, asks_consent: bool = True, language: str = "en", reprompt: str = "", farewell: str = ""
) -> Persona:
    """Who answers."""
    return Persona(
        "Ada", language, "Be brief.", GREETING, APOLOGY, asks_consent, reprompt, farewell
    )


def told(act: Act) -> str:  # noqa: C901, PLR0911, PLR0912  # an act each
    """*act* as one line."""
    match act:
        case SayLine(turn, text):
            return f"{turn}: say {text}"
        case SayPrepared(turn, text, _, tone):
            return f"{turn}: say {text}{' (beep)' if tone else ''}"
        case GiveUp(_, lost, _, way):
            return f"give up for want of {lost}: {way}"
        case PutThrough(to, said):
            return f"put through to {to}{'' if said else ', unsaid'}"
        case Think(turn, step, _, heard, guess):
            after = f" after {heard!r}" if heard else ""
            return f"{turn}.{step}: {'guess' if guess else 'think'}{after}"
        case ConfirmGuess(turn):
            return f"{turn}: confirm"
        case DropGuess(turn):
            return f"{turn}: drop"
        case HoldReply(turn):
            return f"{turn}: hold"
        case ResumeReply(turn):
            return f"{turn}: resume"
        case StopReply(turn, heard):
            return f"{turn}: stop at {heard!r}"
        case RunTool(turn, step, call, _):
            return f"{turn}.{step}: run {call.name}({call.arguments})"
        case ConsentIs(state, _):
            return f"consent {state}"
        case HangUp(reason):
            return f"hang up: {reason}"


def written(messages: Sequence[Message]) -> list[str]:
    """*messages* as one line each."""
    lines = []
    for it in messages:
        calls = "".join(f" [{call.name} {call.id}]" for call in it.tool_calls)
        answers = "" if it.tool_call_id is None else f" {it.tool_call_id}"
        lines.append(f"{it.role}{answers}: {it.content}{calls}")
    return lines


def tool(name: str = "book", arguments: str = "{}", *, id_: str = "call_1") -> ToolCall:
    """A model's wish to run a tool."""
    return ToolCall(id_, name, arguments)


class Conversation:
    """One call, begun at second 0."""

    def __init__(
        self,
        who: Persona | None = None,
        *,
        asks_consent: bool = True,
        policy: CallPolicy = POLICY,
        last: LastResortPolicy = NOTHING,
        caller: str = "",
    ) -> None:
        who = who or persona(asks_consent=asks_consent)
        self.machine = Guarded(Call(CallId("c1"), who, policy), who, last, CallId("c1"))
        self.now = 0.0
        self.acts: list[Act] = []  # those of the last fact
        self.begun = self.feed(Begin(caller))

    def feed(self, fact: Fact) -> list[str]:
        """Feed *fact* now."""
        self.acts = list(self.machine.feed(fact, Mono(self.now)))
        return [told(act) for act in self.acts]

    def onset(self, heard: str = "", unheard: str = "") -> list[str]:
        """The caller begins to speak, having heard *heard* of the reply and not *unheard*."""
        return self.feed(CallerOnset(Sample(0), heard, unheard))

    def lasts(self) -> list[str]:
        """The caller speaks for longer than a cough."""
        return self.feed(CallerLasts())

    def hears(self, text: str) -> list[str]:
        """The recogniser hears *text* so far."""
        return self.feed(CallerWords(text))

    def may_say(self, text: str) -> list[str]:
        """The caller seems to have said *text*."""
        return self.feed(CallerMaySay(text))

    def said(self, text: str, answer: Answer = "unclear", *, doubtful: bool = False) -> list[str]:
        """The caller has finished."""
        return self.feed(CallerSaid(text, answer, doubtful))

    def caller(
        self, text: str, answer: Answer = "unclear", *, heard: str = "", unheard: str = ""
    ) -> list[str]:
        """The caller says *text*, from its onset to its end."""
        return [*self.onset(heard, unheard), *self.said(text, answer)]

    def presses(self, keys: str, heard: str = "") -> list[str]:
        """The caller presses *keys*, having heard *heard*; what comes of all of them."""
        return [act for key in keys for act in self.feed(CallerPressed(key, heard))]

    def noise(self, heard: str = "") -> list[str]:
        """A noise without words that lasts; what comes of it in the end."""
        self.onset(heard)
        return [*self.lasts(), *self.said("")]

    def settle(
        self, turn: int, text: str = "", *calls: ToolCall, reason: str = "stop"
    ) -> list[str]:
        """The model step of *turn* is over."""
        return self.feed(StepSettled(turn, text, reason, calls))

    def answer(
        self, turn: int, call: ToolCall, content: str = "done", *, ends: bool = False
    ) -> list[str]:
        """A tool answers."""
        result = ToolResult(content, "hang_up" if ends else "go_on")
        return self.feed(ToolAnswered(turn, call, result))

    def heard(self) -> list[str]:
        """All was heard."""
        return self.feed(AllHeard())

    def tick(self, at: float) -> list[str]:
        """The machine is woken at second *at*."""
        self.now = at
        return self.feed(Tick())

    def prompt(self) -> list[str]:
        """What the model was asked by the last fact, without the system prompt."""
        think = next(act for act in self.acts if isinstance(act, Think))
        assert think.messages[0] == Message("system", "Be brief.")
        return written(think.messages[1:])

    def history(self) -> list[str]:
        """The conversation as both sides know it."""
        return written(self.machine.history)


def consented(who: Persona | None = None) -> Conversation:
    """A call whose greeting was heard and answered: turn 1 is to be thought."""
    call = Conversation(who)
    call.heard()
    assert call.caller("yes", "yes") == ["consent granted", "1.0: think"]
    return call
