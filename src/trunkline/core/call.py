"""One call: who has the word, what the model is asked, what enters the history.

    greeting -> (caller speaks -> model step -> tools -> model step ... -> all heard)* -> hang up

Rules
 1. The history holds what was heard. A reply that is interrupted is cut to its heard text.
 2. The caller may always interrupt; what was said so far is then answered together.
 3. No model step starts while the caller speaks, and at most one reply is under way.
 4. Tools run at most once: the key is made of call, turn, step, tool and canonical arguments, never
    of the model's own id for the call, which is new on every attempt.
 5. A tool's result that comes after an interruption still enters the history, in its place.
 6. Only the first answer to the consent question counts; what is unclear is not consent, and
    neither is a yes that began before the question, the greeting's last sentence, was heard.
 7. A step that fails is answered by the apology; the second in a row ends the call with it.
 8. Any sound of the caller *holds* the reply: its voice is silent, its step goes on, nothing is
    decided of it and no tool is run. A sound without words *resumes* it, and so does a backchannel
    to something that was no question. Other words, or a sound that lasts, *stop* it (rule 1).
 9. Keys stop the reply at once. They are one message, which only a model sees: they may be an
    account or a card. As an answer to the consent question they are unclear.
10. A caller who stays silent is asked whether they are there, and hung up on with a goodbye.
11. While the caller seems to have finished, one guess at the words may be answered: the reply is
    held, and thrown away unheard if the caller said anything else (the exception to rule 3).
12. A reply that was stopped by what held no words (a long noise) is taken up where it was heard
    last.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from trunkline.core.backchannels import is_asking, words_of
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
    Consent,
    ConsentIs,
    DropGuess,
    Fact,
    HangUp,
    HoldReply,
    ResumeReply,
    RunTool,
    SayLine,
    StepSettled,
    StopReply,
    Think,
    Tick,
    ToolAnswered,
)
from trunkline.core.deeds import deed_key
from trunkline.core.history import PENDING, add, cut
from trunkline.core.phrases import Phrases
from trunkline.core.reply import Hold, Reply
from trunkline.types import CallId, Message, Mono, Persona

_GOODBYE = "the agent said goodbye"
_SILENT = "the caller is silent"


class Call:
    """The machine of one call."""

    def __init__(self, call: CallId, persona: Persona, policy: CallPolicy) -> None:
        self._id, self._persona, self._policy = call, persona, policy
        self._history: list[Message] = []
        self._reply: Reply | None = None
        self._turn = 0
        self._late: dict[tuple[int, str], int] = {}  # (turn, tool call) -> place in the history
        self._open_utterances = 0
        self._owes_reply = False
        self._consent: Consent = "not_asked"
        self._failures = 0
        self._reprompts = 0
        self._keys = ""
        self._keys_by: Mono | None = None  # when what is being keyed in is over
        self._began: Mono | None = None
        self._quiet_since = Mono(0.0)
        self._over = False

    @property
    def history(self) -> tuple[Message, ...]:
        """The conversation as both sides know it: only what was heard."""
        return tuple(self._history)

    @property
    def awaits_playout(self) -> bool:
        """Whether the reply under way only waits to be heard to its end."""
        reply = self._reply
        return reply is not None and not (reply.thinking or reply.running or reply.hold)

    def deadline(self) -> Mono | None:
        """When the call is too long, the keys are all, or the caller was silent for too long."""
        if self._over or self._began is None:
            return None
        ends = self._began + self._policy.call_max_s
        if self._keys_by is not None:
            return Mono(min(ends, self._keys_by))
        if self._reply is not None or self._open_utterances:
            return Mono(ends)
        asks, policy = bool(self._persona.reprompt), self._policy
        patience_s = policy.reprompt_after_s if asks else policy.caller_silent_max_s
        return Mono(min(ends, self._quiet_since + patience_s))

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:  # noqa: C901, PLR0911, PLR0912  # a fact each
        """Take one fact; after `HangUp` nothing more comes."""
        if self._over:
            return ()
        match fact:
            case Begin():
                return self._greet(now)
            case CallerOnset():
                return self._onset(fact)
            case CallerLasts():
                return [] if self._guesses else self._stop()
            case CallerWords(text):
                return self._hears(text)
            case CallerMaySay(text):
                return self._guess(text)
            case CallerSaid(text, answer):
                return self._said(text, answer, now)
            case CallerPressed(key, heard):
                return self._pressed(key, heard, now)
            case StepSettled():
                return self._settled(fact)
            case ToolAnswered():
                return self._answered(fact)
            case AllHeard():
                return self._all_heard(now)
            case Tick():
                return self._tick(now)
            case _:
                assert_never(fact)

    # -- the caller ----------------------------------------------------------------------------

    def _greet(self, now: Mono) -> list[Act]:
        self._began = self._quiet_since = now
        acts: list[Act] = [self._line(Reply(0), self._persona.greeting)]
        if self._persona.asks_consent:
            self._consent = "asked"
            acts.append(ConsentIs("asked", self._persona.greeting))
        return acts

    def _onset(self, fact: CallerOnset) -> list[Act]:
        self._open_utterances += 1
        if self._guesses:
            return self._stop()
        reply = self._reply
        if reply is None or reply.hold:
            return []
        heard = f"{reply.heard_before} {fact.heard}".strip()
        reply.hold = Hold(fact.heard, is_asking(heard, fact.unheard))
        return [HoldReply(reply.turn)]

    def _hears(self, text: str) -> list[Act]:
        """One word on its way may still become anything."""
        return self._stop() if len(words_of(text)) > 1 and self._is_stopped_by(text) else []

    def _is_stopped_by(self, text: str) -> bool:
        return self._reply is not None and self._reply.yields_to(text, self._persona.language)

    def _stop(self) -> list[Act]:
        """The caller has the word: the reply that is held, if any, is cut to what was heard."""
        reply = self._reply
        if reply is None or reply.hold is None:
            return []
        if reply.guess:
            self._reply = None
            return [DropGuess(reply.turn)]
        hold = reply.hold
        for entry in cut(reply.entries, f"{reply.heard_before} {hold.heard}".strip()):
            if entry.tool_call_id is not None and entry.content == PENDING:
                self._late[reply.turn, entry.tool_call_id] = len(self._history)
            self._enter(entry)
        self._reply = None
        self._owes_reply |= not reply.prompting
        for text in hold.said:
            self._add_caller(text)
        return [StopReply(reply.turn, hold.heard)]

    @property
    def _guesses(self) -> bool:
        return self._reply is not None and bool(self._reply.guess)

    def _guess(self, text: str) -> list[Act]:
        """Think about *text* already, if it is all that the reply has to wait for."""
        waits = self._open_utterances != 1 or self._keys_by is not None
        if waits or self._reply is not None or not words_of(text):
            return []
        self._turn += 1
        self._reply = Reply(self._turn, guess=text, hold=Hold(""))
        said = self._history.copy()
        self._add_caller(text)
        think = replace(self._think(self._reply), guess=True)
        self._history = said
        return [think]

    def _resume(self, reply: Reply, hold: Hold) -> list[Act]:
        """Nobody took the word: the voice goes on, and what waited is decided."""
        reply.hold = None
        acts: list[Act] = [(ConfirmGuess if reply.guess else ResumeReply)(reply.turn)]
        reply.guess = ""
        if hold.settled is not None:
            return [*acts, *self._settled(hold.settled)]
        return [*acts, *self._next_step(reply)]

    def _said(self, text: str, answer: Answer, now: Mono) -> list[Act]:
        self._open_utterances -= 1
        self._quiet_since = now
        acts = self._stop() if self._is_stopped_by(text) else []
        reply = self._reply
        if reply is not None and reply.hold is not None:
            if reply.guess:
                acts = self._consider_consent(text, answer)
                self._add_caller(text)
                self._owes_reply, self._reprompts = False, 0
                return [*acts, *self._resume(reply, reply.hold)]
            reply.hold.said += filter(None, [text])
            return [] if self._open_utterances else self._resume(reply, reply.hold)
        if text:
            acts += self._consider_consent(text, answer)
            self._add_caller(text)
            self._owes_reply, self._reprompts = True, 0
        if self._open_utterances or not self._owes_reply:
            return acts
        self._owes_reply = False
        return [*acts, self._next_turn()]

    def _pressed(self, key: str, heard: str, now: Mono) -> list[Act]:
        """While keys are pressed nobody thinks, as if the caller spoke."""
        if self._keys_by is None:
            self._open_utterances += 1
        if self._reply is not None and self._reply.hold is None:
            self._reply.hold = Hold(heard)
        acts = self._stop()
        self._keys += "" if key == "#" and self._keys else key
        self._keys_by = Mono(now + self._policy.key_gap_s)
        if key != "#" and len(self._keys) < self._policy.keys_max:
            return acts
        return [*acts, *self._keyed(now)]

    def _keyed(self, now: Mono) -> list[Act]:
        text = f"[keys pressed: {' '.join(self._keys)}]"
        self._keys, self._keys_by = "", None
        # This act is journaled with its text, so it gets none of the keys.
        acts = self._consider_consent("[keys pressed]", "unclear")
        return [*acts, *self._said(text, "unclear", now)]

    def _consider_consent(self, text: str, answer: Answer) -> list[Act]:
        if self._consent != "asked":
            return []
        heard = self._history[0].content if self._history else ""
        before = Phrases().feed(" ".join(self._persona.greeting.split()))
        asked = len(heard) > len(" ".join(before))
        self._consent = "granted" if answer == "yes" and asked else "refused"
        return [ConsentIs(self._consent, text)]

    def _add_caller(self, text: str) -> None:
        if self._history and self._history[-1].role == "user":
            text = f"{self._history.pop().content} {text}"
        self._history.append(Message("user", text))

    def _next_turn(self) -> Think | SayLine:
        """Answer the caller, or go on where the interruption was."""
        self._turn += 1
        self._reply = Reply(self._turn)
        if not any(message.role == "user" for message in self._history):
            self._history.clear()  # the greeting's beginning, if any
            return self._line(self._reply, self._persona.greeting)
        if self._history[-1].role != "assistant":
            return self._think(self._reply)
        heard = self._history.pop().content
        think = replace(self._think(self._reply), heard=heard)
        self._reply.entries.append(Message("assistant", heard))
        self._reply.heard_before = heard
        return think

    # -- the model -----------------------------------------------------------------------------

    def _settled(self, fact: StepSettled) -> list[Act]:
        reply = self._reply
        if reply is None or reply.turn != fact.turn:
            return []
        if reply.hold is not None:
            reply.hold.settled = fact
            return []
        reply.thinking = False
        add(reply.entries, fact.text, fact.tool_calls)
        all_was_heard = reply.heard_before and not reply.step
        if fact.reason == "failed" or not (fact.text or fact.tool_calls or all_was_heard):
            return [self._apologise(reply)]
        self._failures = 0
        reply.running = list(fact.tool_calls)
        return [
            RunTool(fact.turn, reply.step, c, deed_key(self._id, fact.turn, reply.step, c))
            for c in fact.tool_calls
        ]

    def _answered(self, fact: ToolAnswered) -> list[Act]:
        reply = self._reply
        answer = Message("tool", fact.result.content, tool_call_id=fact.call.id)
        place = self._late.pop((fact.turn, fact.call.id), None)
        if place is not None:
            self._history[place] = answer
            return []
        if reply is None or reply.turn != fact.turn or fact.call not in reply.running:
            return []
        reply.running.remove(fact.call)
        reply.entries.append(answer)
        if fact.result.then == "hang_up":
            reply.closing = _GOODBYE
        return self._next_step(reply)

    def _next_step(self, reply: Reply) -> list[Act]:
        """The model is told what its tools answered, once all have."""
        answered = bool(reply.entries) and reply.entries[-1].role == "tool"
        if not answered or not self.awaits_playout or reply.closing:
            return []
        reply.step += 1
        if reply.step >= self._policy.steps_max:
            return [self._apologise(reply)]
        return [self._think(reply)]

    def _all_heard(self, now: Mono) -> list[Act]:
        reply = self._reply
        if reply is None or not self.awaits_playout:
            return []
        for entry in reply.entries:
            self._enter(entry)
        self._reply, self._quiet_since = None, now
        return self._hang_up(reply.closing) if reply.closing else []

    def _tick(self, now: Mono) -> list[Act]:
        deadline = self.deadline()
        if self._began is None or deadline is None or now < deadline:
            return []
        if now >= self._began + self._policy.call_max_s:
            return self._hang_up("the call reached its limit")
        return self._keyed(now) if self._keys_by is not None else self._prompt_again()

    def _prompt_again(self) -> list[Act]:
        """The caller is silent: ask, in the end say goodbye."""
        asks = self._reprompts < self._policy.reprompts_max
        line = self._persona.reprompt if asks else self._persona.farewell
        if not line:
            return self._hang_up(_SILENT)
        self._turn, self._reprompts = self._turn + 1, self._reprompts + 1
        closing = "" if asks else _SILENT
        return [self._line(Reply(self._turn, closing=closing, prompting=True), line)]

    # -- inside --------------------------------------------------------------------------------

    def _enter(self, entry: Message) -> None:
        """Put *entry* into the history, where an agent that speaks twice says one message."""
        if entry.role == "assistant":
            add(self._history, entry.content, entry.tool_calls)
        else:
            self._history.append(entry)

    def _think(self, reply: Reply) -> Think:
        reply.thinking = True
        system = Message("system", self._persona.system_prompt)
        return Think(reply.turn, reply.step, (system, *self._history, *reply.entries))

    def _line(self, reply: Reply, text: str) -> SayLine:
        text = " ".join(text.split())  # as its sentences will be joined again
        add(reply.entries, text)
        self._reply = reply
        return SayLine(reply.turn, text)

    def _apologise(self, reply: Reply) -> SayLine:
        self._failures += 1
        if self._failures >= self._policy.failures_max:
            reply.closing = _GOODBYE
        return self._line(reply, self._persona.apology)

    def _hang_up(self, reason: str) -> list[Act]:
        self._over = True
        return [HangUp(reason)]
