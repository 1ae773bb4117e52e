"""How a call ends that cannot go on: put through, or with a message, never without a word.

    GiveUp -> transfer line ------------------------------------> PutThrough
           -> message line, beep -> the caller speaks, presses keys -> tool -> taken -> HangUp
                                    (nothing) -> number line, beep -> keys ----^
           -> apology -------------------------------------------> HangUp

Rules
 1. No model and no synthesiser is needed: every line was rendered when the worker started. A line
    that cannot be said after all is said by the carrier, which then puts through or hangs up.
 2. A transfer comes first, if there is a number and the carrier can; a message is next; if neither
    is offered, the call tries once more where it could have given up at once, and the apology is
    said in the end.
 3. A message is the words of the caller, the keys they pressed, and where in the recording they
    spoke, if they consented to it: a recogniser may be missing as well. Nothing is read back.
 4. It is over at the #, when the caller has been silent for `quiet_s`, and at `message_max_s`. If
    it holds nothing, the caller is asked once to key in a number; a caller whom nobody hears, and
    who is not recorded, is asked for that at once.
 5. It is kept by the agent's own tool `take_message`, so at most once. If that fails, the caller is
    not told that it was kept.
 6. Whatever happens ends within a bound.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, assert_never

from trunkline.core import call_words as words
from trunkline.core.call import Call
from trunkline.core.call_words import Act, Fact
from trunkline.core.deeds import run_tools
from trunkline.core.reply import DEAF, GOODBYE, MUTE
from trunkline.types import SAMPLE_RATE, CallId, Message, Mono, Persona, Sample, ToolCall

TAKE_MESSAGE: Final = "take_message"
LINE_S_MAX: Final = 40.0
"""For a line to be heard: a voice that is lost says so long before."""
TOOL_S_MAX: Final = 20.0
"""For the message to be written: `calls.tools` gives up before."""
TEXT_CHARS_MAX: Final = 1_800
KEYS_MAX: Final = 32
PHONE_DIGITS_MIN: Final = 7
LEFT: Final = "the caller left"
LEFT_S_MAX: Final = 3.0
"""For the last words of a caller who has left to be understood."""
NO_NAME: Final = "Name not asked: see the message"
_ENDS: Final = {"model": GOODBYE, "ears": DEAF, "voice": MUTE}


@dataclass(frozen=True, slots=True)
class LastResortPolicy:
    """*transfer_to*: a number, "" for none; *message*: whether one is taken. Seconds: *quiet_s* of
    silence end what the caller says, *patience_s* if they have not begun."""

    transfer_to: str = ""
    message: bool = False
    quiet_s: float = 4.0
    patience_s: float = 10.0
    message_max_s: float = 90.0

    @property
    def offers(self) -> bool:
        """Whether it is better than to go on trying."""
        return self.message or bool(self.transfer_to)


@dataclass(slots=True)
class _Message:
    """What the caller left so far."""

    said: list[str]
    keys: str = ""
    recorded: Sample | None = None  # where recorded words begin that no recogniser understood

    def __bool__(self) -> bool:
        return bool(self.said or self.keys or self.recorded is not None)


class LastResort:
    """The machine that takes over at `GiveUp`; nothing comes after `HangUp` or `PutThrough`."""

    def __init__(
        self,
        call: CallId,
        persona: Persona,
        policy: LastResortPolicy,
        gave_up: words.GiveUp,
        caller: str,
        *,
        spoke: bool = True,
    ) -> None:
        """*caller*: their number, if the carrier tells. *spoke*: if the voice is lost, something
        was said in its place."""
        self._id, self._lines, self._policy = call, persona.last_lines, policy
        self._apology, self._caller = persona.apology, caller
        self._lost, self._turn = gave_up.lost, gave_up.turn
        self._spoke, self._recorded = spoke, gave_up.consent == "granted"
        self.way: words.Way = "message" if policy.message else "apology"
        if policy.transfer_to:
            self.way = "transfer"
        self._line: words.Line | None = None
        self._unsaid = self._over = self._gone = self._asked_keys = False
        self._message = _Message([])
        self._open, self._spoke_at = 0, Sample(0)
        self._tool: ToolCall | None = None
        self._since = self._began = Mono(0.0)

    @property
    def awaits_playout(self) -> bool:
        """Whether a line waits to be heard to its end."""
        return self._line is not None

    def deadline(self) -> Mono | None:
        """When it will not wait any longer for whatever it waits for."""
        if self._over:
            return None
        if self._line is not None:
            return Mono(self._since + LINE_S_MAX)
        if self._tool is not None:
            return Mono(self._since + TOOL_S_MAX)
        if self._gone:
            return Mono(self._since + LEFT_S_MAX)
        ends = Mono(self._began + self._policy.message_max_s)
        quiet_s = self._policy.quiet_s if self._message else self._policy.patience_s
        return ends if self._open else Mono(min(ends, self._since + quiet_s))

    def begin(self, now: Mono) -> list[Act]:
        """The call has given up."""
        if self.way == "transfer":
            return self._say(self._lines.transfer, "transfer", now)
        if self.way == "message":
            deaf = self._lost == "ears" and not self._recorded
            return self._ask_for_keys(now) if deaf else self._ask(now)
        if self._lost == "voice":  # what was rendered of the apology was said in its place
            mute = words.HangUp(_ENDS[self._lost])
            return self._end(mute if self._spoke else words.PutThrough("", said=False))
        return self._say(self._apology, "apology", now)

    def left(self, now: Mono) -> Sequence[Act]:
        """The caller hung up, as people do behind their message: it is kept all the same."""
        if self._over or self._gone:
            return []
        self._gone = True
        if self._tool is not None:
            return []  # it is being kept
        if self._line in ("taken", "apology", "transfer"):
            return self._end(words.HangUp(LEFT))
        self._line, self._since = None, now
        return [] if self._open else self._finish(now)

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:  # noqa: C901, PLR0911  # a fact each
        """Take one fact. The caller may speak and press keys whenever they like."""
        if self._over:
            return ()
        match fact:
            case words.AllHeard():
                return self._heard(now) if self._line is not None else []
            case words.VoiceLost():
                self._unsaid |= self._line is not None
            case words.CallerOnset(at):
                self._spoke_at = self._spoke_at if self._open else at
                self._open += 1
            case words.CallerSaid(text):
                return self._said(text, now)
            case words.CallerUnheard():
                if self._recorded and self._message.recorded is None:
                    self._message.recorded = self._spoke_at
                return self._said("", now)
            case words.CallerPressed(key):
                return self._pressed(key, now)
            case words.ToolAnswered():
                return self._answered(fact, now)
            case words.Tick():
                return self._tick(now)
            case (
                words.Begin()
                | words.CallerLasts()
                | words.CallerWords()
                | words.CallerMaySay()
                | words.StepSettled()
            ):
                pass  # of the call that gave up
            case _:
                assert_never(fact)
        return []

    # -- the caller ----------------------------------------------------------------------------

    def _said(self, text: str, now: Mono) -> list[Act]:
        self._open = max(self._open - 1, 0)
        self._touched(now)
        if text:
            self._message.said.append(text)
        listens = self._line is None and self._tool is None
        return self._finish(now) if self._gone and listens and not self._open else []

    def _pressed(self, key: str, now: Mono) -> list[Act]:
        self._touched(now)
        if key != "#":
            self._message.keys = (self._message.keys + key)[:KEYS_MAX]
            return []
        listens = self._line is None and self._tool is None
        return self._finish(now) if listens and self._message else []

    def _touched(self, now: Mono) -> None:
        """What was said or pressed puts off the end of the message, and of nothing else."""
        if self._line is None and self._tool is None:
            self._since = now

    # -- lines ---------------------------------------------------------------------------------

    def _say(self, text: str, line: words.Line, now: Mono, *, tone: bool = False) -> list[Act]:
        if self._gone:
            return self._end(words.HangUp(LEFT))
        self._line, self._since = line, now
        self._turn += 1
        return [words.SayPrepared(self._turn, " ".join(text.split()), line, tone)]

    def _ask(self, now: Mono) -> list[Act]:
        return self._say(self._lines.message, "message", now, tone=True)

    def _ask_for_keys(self, now: Mono) -> list[Act]:
        self._asked_keys = True
        return self._say(self._lines.number, "number", now, tone=True)

    def _heard(self, now: Mono) -> list[Act]:
        line, self._line = self._line, None
        if line == "transfer":
            return self._end(words.PutThrough(self._policy.transfer_to, not self._unsaid))
        if self._unsaid:  # who was told nothing cannot leave a message
            return self._end(words.PutThrough("", said=False))
        if line in ("message", "number"):
            self._since = self._began = now
            return []
        return self._end(words.HangUp(_ENDS[self._lost]))

    def _tick(self, now: Mono) -> list[Act]:
        due = self.deadline()
        if due is None or now < due:
            return []
        if self._line is not None:
            self._unsaid = True
            return self._heard(now)
        return self._finish(now) if self._tool is None else self._not_kept(now)

    # -- the message ---------------------------------------------------------------------------

    def _finish(self, now: Mono) -> list[Act]:
        if not self._message:
            return self._not_kept(now) if self._asked_keys else self._ask_for_keys(now)
        keys, said = self._message.keys, " ".join(self._message.said)
        digits = "".join(filter(str.isdigit, keys))
        phone = next((n for n in (digits, self._caller) if _is_number(n)), "")
        noted = [said[:TEXT_CHARS_MAX]]
        noted += [f"[keys pressed: {keys}]"] if keys else []
        if self._message.recorded is not None:
            at_s = self._message.recorded / SAMPLE_RATE
            noted.append(f"[recording of call {self._id}, from {at_s:.0f} s on]")
        noted += [f"[called from {self._caller}]"] if self._caller not in ("", phone) else []
        text = " ".join(filter(None, [*noted, "[taken without the assistant]"]))
        arguments = {"name": NO_NAME, "text": text, "phone": phone[:30]}
        self._tool = ToolCall("last-resort", TAKE_MESSAGE, json.dumps(arguments))
        self._since = now
        return run_tools(self._id, self._turn, 0, [self._tool])

    def _answered(self, fact: words.ToolAnswered, now: Mono) -> list[Act]:
        if fact.call != self._tool:
            return []
        self._tool = None
        return self._say(self._lines.taken, "taken", now) if _ok(fact) else self._not_kept(now)

    def _not_kept(self, now: Mono) -> list[Act]:
        self._tool = None
        return self._say(self._apology, "apology", now)

    def _end(self, act: Act) -> list[Act]:
        self._over = True
        return [act]


def _is_number(text: str) -> bool:
    return sum(map(str.isdigit, text)) >= PHONE_DIGITS_MIN


def _ok(fact: words.ToolAnswered) -> bool:
    try:
        told = json.loads(fact.result.content)
    except ValueError:
        return False
    return isinstance(told, dict) and told.get("ok") is True


class Conversation:
    """A call, and the last resort that takes over when it gives up."""

    def __init__(self, call: Call, persona: Persona, policy: LastResortPolicy, id: CallId) -> None:
        self._call, self._persona, self._policy, self._id = call, persona, policy, id
        self._resort: LastResort | None = None
        self._caller, self._spoke = "", True

    @property
    def history(self) -> tuple[Message, ...]:
        """That of the call."""
        return self._call.history

    @property
    def awaits_playout(self) -> bool:
        """Whether what is said only waits to be heard to its end."""
        return (self._resort or self._call).awaits_playout

    def deadline(self) -> Mono | None:
        """When the next `Tick` is due."""
        return (self._resort or self._call).deadline()

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:
        """Take one fact; after `HangUp` or `PutThrough` nothing more comes."""
        if self._resort is not None:
            return self._resort.feed(fact, now)
        if isinstance(fact, words.Begin):
            self._caller = fact.caller
        if isinstance(fact, words.VoiceLost):
            self._spoke = bool(fact.instead)
        hopes = words.StepSettled | words.CallerUnheard | words.VoiceLost
        if isinstance(fact, hopes) and not self._policy.offers:
            fact = replace(fact, hopeless=False)  # what is back by the next turn is worth a try
        acts = list(self._call.feed(fact, now))
        if acts and isinstance(acts[-1], words.GiveUp):
            told = self._id, self._persona, self._policy, acts[-1], self._caller
            resort = self._resort = LastResort(*told, spoke=self._spoke)
            acts[-1:] = [replace(acts[-1], way=resort.way), *resort.begin(now)]
        return acts

    def left(self, now: Mono) -> Sequence[Act]:
        """The caller is gone; it is over with `HangUp`, at once unless a message has to be kept."""
        return [words.HangUp(LEFT)] if self._resort is None else self._resort.left(now)
