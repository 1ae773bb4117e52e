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
 7. A step that fails is answered by the apology; at the second in a row, or if no endpoint is
    left, the call gives up: `core.last_resort` ends it. So it does behind the second reply that no
    voice can finish, and at the second utterance that no recogniser hears; after the first of
    those the caller is asked to say it again.
 8. Any sound of the caller *holds* the reply: its voice is silent, its step goes on, nothing is
    decided of it and no tool is run. A sound without words *resumes* it, and so does a backchannel
    to something that was no question. Other words, or a sound that lasts, *stop* it (rule 1).
 9. Keys stop the reply at once. They are one message, which only a model sees: they may be an
    account or a card. As an answer to the consent question they are unclear.
10. A caller who stays silent is asked whether they are there, and hung up on with a goodbye.
11. While the caller seems to have finished, one guess at the words may be answered: the reply is
    held, and thrown away unheard if the caller said anything else (the exception to rule 3).
12. A reply that was stopped by a long noise without words is taken up where it was heard last.
13. A call that broke off goes on with the first sentence that was not heard to its end. The line
    that says so is not part of the conversation. Tools that have not answered run again, under the
    same keys.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import assert_never

from trunkline.core import call_words as words
from trunkline.core.asking import Asking
from trunkline.core.backchannels import is_asking, words_of
from trunkline.core.call_words import Act, CallPolicy, Fact, Think
from trunkline.core.deeds import run_tools
from trunkline.core.history import PENDING, add, add_caller, cut, enter
from trunkline.core.keys import Keys
from trunkline.core.reply import GOODBYE, MUTE, SILENT, Hold, Reply, guesses
from trunkline.core.resumption import BrokenReply, Resumption
from trunkline.types import CallId, Message, Mono, Persona


class Call:
    """The machine of one call."""

    def __init__(
        self, call: CallId, persona: Persona, policy: CallPolicy, broken: Resumption | None = None
    ) -> None:
        """*broken*: a call that broke off elsewhere; `Begin` goes on with it."""
        self._id = call if broken is None else broken.origin
        self._persona, self._policy, self._broken = persona, policy, broken
        self._history: list[Message] = []
        self._reply: Reply | None = None
        self._turn = 0
        self._late: dict[tuple[int, str], int] = {}  # (turn, tool call) -> place in the history
        self._open_utterances = 0
        self._owes_reply = self._over = False
        self._consent = Asking(persona.greeting, persona.asks_consent)
        self._failures = self._deaf = self._mute = self._reprompts = 0  # each in a row
        self._keys = Keys(policy.key_gap_s, policy.keys_max)
        self._began: Mono | None = None
        self._quiet_since = Mono(0.0)

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
        if self._keys.until is not None:
            return Mono(min(ends, self._keys.until))
        if self._reply is not None or self._open_utterances:
            return Mono(ends)
        return Mono(min(ends, self._quiet_since + self._policy.patience_s(self._persona)))

    def feed(self, fact: Fact, now: Mono) -> Sequence[Act]:  # noqa: C901, PLR0911, PLR0912  # a fact each
        """Take one fact; after `HangUp` nothing more comes."""
        if self._over:
            return ()
        match fact:
            case words.Begin():
                self._began = self._quiet_since = now
                return self._greet() if self._broken is None else self._go_on(self._broken)
            case words.CallerOnset():
                return self._onset(fact)
            case words.CallerLasts():
                return [] if guesses(self._reply) else self._stop()
            case words.CallerWords(text):
                return self._hears(text)
            case words.CallerMaySay(text):
                return self._guess(text)
            case words.CallerSaid(text, answer, doubtful):
                return self._said(text, answer, now, doubtful)
            case words.CallerUnheard(hopeless):
                return self._unheard(now, hopeless)
            case words.CallerPressed(key, heard):
                return self._pressed(key, heard, now)
            case words.StepSettled():
                return self._settled(fact)
            case words.ToolAnswered():
                return self._answered(fact)
            case words.VoiceLost():
                return self._voice_lost(fact)
            case words.AllHeard(heard):
                return self._all_heard(heard, now)
            case words.Tick():
                return self._tick(now)
            case _:
                assert_never(fact)

    # -- the caller ----------------------------------------------------------------------------

    def _greet(self) -> list[Act]:
        greets = self._line(Reply(0), self._persona.greeting, "greeting")
        return [greets, *self._consent.ask()]

    def _onset(self, fact: words.CallerOnset) -> list[Act]:
        self._open_utterances += 1
        if guesses(self._reply):
            return self._stop()
        reply = self._reply
        if reply is None or reply.hold:
            return []
        reply.hold = Hold(fact.heard, is_asking(reply.all_heard(fact.heard), fact.unheard))
        return [words.HoldReply(reply.turn)]

    def _hears(self, text: str) -> list[Act]:
        """One word on its way may still become anything, and two almost anything."""
        length = len(words_of(text))
        return self._stop() if length > 1 and self._is_stopped_by(text, length < 3) else []

    def _is_stopped_by(self, text: str, doubtful: bool) -> bool:
        reply = self._reply
        return reply is not None and reply.yields_to(text, self._persona.language, doubtful)

    def _stop(self) -> list[Act]:
        """The caller has the word: the reply that is held, if any, is cut to what was heard."""
        reply = self._reply
        if reply is None or reply.hold is None:
            return []
        if reply.guess:
            self._reply = None
            return [words.DropGuess(reply.turn)]
        hold = reply.hold
        for entry in cut(reply.entries, reply.all_heard(hold.heard)):
            if entry.tool_call_id is not None and entry.content == PENDING:
                self._late[reply.turn, entry.tool_call_id] = len(self._history)
            enter(self._history, entry)
        self._reply = None
        self._owes_reply |= not reply.prompting
        for text in hold.said:
            add_caller(self._history, text)
        return [words.StopReply(reply.turn, hold.heard)]

    def _guess(self, text: str) -> list[Act]:
        """Think about *text* already, if it is all that the reply has to wait for."""
        waits = self._open_utterances != 1 or self._keys.until is not None
        if waits or self._reply is not None or not words_of(text):
            return []
        self._turn += 1
        self._reply = Reply(self._turn, guess=text, hold=Hold(""))
        said = self._history.copy()
        add_caller(self._history, text)
        think = replace(self._think(self._reply), guess=True)
        self._history = said
        return [think]

    def _resume(self, reply: Reply, hold: Hold) -> list[Act]:
        """Nobody took the word: the voice goes on, and what waited is decided."""
        reply.hold = None
        acts: list[Act] = [(words.ConfirmGuess if reply.guess else words.ResumeReply)(reply.turn)]
        reply.guess = ""
        if hold.settled is not None:
            return [*acts, *self._settled(hold.settled)]
        return [*acts, *self._next_step(reply)]

    def _said(self, text: str, answer: words.Answer, at: Mono, doubtful: bool = False) -> list[Act]:
        self._open_utterances, self._quiet_since = self._open_utterances - 1, at
        acts = self._stop() if self._is_stopped_by(text, doubtful) else []
        reply = self._reply
        if reply is not None and reply.hold is not None:
            if reply.guess:
                acts = self._consent.consider(self._history, text, answer)
                add_caller(self._history, text)
                self._owes_reply, self._reprompts, self._deaf = False, 0, 0
                return [*acts, *self._resume(reply, reply.hold)]
            reply.hold.said += filter(None, [text])
            return [] if self._open_utterances else self._resume(reply, reply.hold)
        if text:
            acts += self._consent.consider(self._history, text, answer)
            add_caller(self._history, text)
            self._owes_reply, self._reprompts, self._deaf = True, 0, 0
        if self._open_utterances or not self._owes_reply:
            return acts
        self._owes_reply = False
        return [*acts, self._next_turn()]

    def _unheard(self, now: Mono, hopeless: bool) -> list[Act]:
        """Over a reply it may have been a cough, which resumes it; else the caller is told."""
        acts = self._stop() if guesses(self._reply) else []
        if self._reply is not None or self._open_utterances > 1:
            return [*acts, *self._said("", "unclear", now)]
        self._open_utterances, self._owes_reply, self._quiet_since = 0, False, now
        again, self._deaf = self._persona.say_again, self._deaf + 1
        if not again or hopeless or self._deaf >= self._policy.failures_max:
            return [*acts, *self._give_up("ears")]
        self._turn += 1
        return [*acts, self._line(Reply(self._turn, prompting=True), again, "pardon")]

    def _voice_lost(self, fact: words.VoiceLost) -> list[Act]:
        """Only what was heard is history; the second time in a row the call gives up behind it."""
        reply = self._reply
        if reply is not None and reply.turn == fact.turn:
            reply.lost, self._mute = True, self._mute + 1
            if fact.hopeless or self._mute >= self._policy.failures_max:
                reply.closing = MUTE
        return []

    def _pressed(self, key: str, heard: str, now: Mono) -> list[Act]:
        """While keys are pressed nobody thinks, as if the caller spoke."""
        if self._keys.until is None:
            self._open_utterances += 1
        if self._reply is not None and self._reply.hold is None:
            self._reply.hold = Hold(heard)
        return [*self._stop(), *(self._keyed(now) if self._keys.press(key, now) else ())]

    def _keyed(self, now: Mono) -> list[Act]:
        # This act is journaled with its text, so it gets none of the keys.
        acts = self._consent.consider(self._history, "[keys pressed]", "unclear")
        return [*acts, *self._said(self._keys.take(), "unclear", now)]

    def _next_turn(self) -> Think | words.SayLine:
        """Answer the caller, or go on where the interruption was."""
        self._turn += 1
        self._reply = Reply(self._turn)
        if not any(message.role == "user" for message in self._history):
            self._history.clear()  # the greeting's beginning, if any
            return self._line(self._reply, self._persona.greeting, "greeting")
        if self._history[-1].role != "assistant":
            return self._think(self._reply)
        self._reply.heard_before = self._history[-1].content
        self._reply.entries.append(self._history.pop())
        return self._think_on(self._reply)

    # -- a call that broke off -----------------------------------------------------------------

    def _go_on(self, broken: Resumption) -> list[Act]:
        self._turn, self._consent.state = broken.turn, broken.consent
        self._history = list(broken.history)
        line = " ".join(self._persona.resume_line.split())
        reply = broken.reply
        if reply is not None and not reply.over:
            acts = self._go_on_with(reply, line)
            return acts if broken.history else [*acts, *self._consent.ask()]
        if reply is not None:
            for entry in reply.entries:
                enter(self._history, entry)
            if reply.closing:
                return self._hang_up(reply.closing)
        self._turn += 1
        caller_waits = bool(self._history) and self._history[-1].role == "user"
        # If it was the caller's turn, what they said meanwhile is lost.
        text = line if caller_waits else f"{line} {self._persona.say_again}"
        self._reply = Reply(self._turn, preface=text, prompting=not caller_waits)
        says: list[Act] = [words.SayLine(self._turn, text, "resume")]
        return [*says, self._think(self._reply)] if caller_waits else says

    def _go_on_with(self, broken: BrokenReply, line: str) -> list[Act]:
        """The reply that was under way."""
        reply = self._reply = broken.again(self._turn, line)
        acts: list[Act] = [words.SayLine(reply.turn, f"{line} {broken.rest}".strip(), "resume")]
        if reply.running:
            return [*acts, *run_tools(self._id, reply.turn, reply.step, reply.running)]
        if broken.complete:
            return acts
        if not reply.entries or reply.entries[-1].role != "assistant":
            return [*acts, self._think(reply)]
        return [*acts, self._think_on(reply)]

    # -- the model -----------------------------------------------------------------------------

    def _settled(self, fact: words.StepSettled) -> list[Act]:
        reply = self._reply
        if reply is None or reply.turn != fact.turn:
            return []
        if reply.hold is not None:
            reply.hold.settled = fact
            return []
        all_was_heard = reply.goes_on
        reply.thinking = reply.goes_on = False
        add(reply.entries, fact.text, fact.tool_calls)
        if fact.reason == "failed" or not (fact.text or fact.tool_calls or all_was_heard):
            return self._apologise(reply, hopeless=fact.hopeless)
        self._failures = 0
        reply.running = list(fact.tool_calls)
        return run_tools(self._id, reply.turn, reply.step, reply.running)

    def _answered(self, fact: words.ToolAnswered) -> list[Act]:
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
            reply.closing = GOODBYE
        return self._next_step(reply)

    def _next_step(self, reply: Reply) -> list[Act]:
        """The model is told what its tools answered, once all have."""
        answered = bool(reply.entries) and reply.entries[-1].role == "tool"
        if not answered or not self.awaits_playout or reply.closing:
            return []
        reply.step += 1
        too_many = reply.step >= self._policy.steps_max
        return self._apologise(reply) if too_many else [self._think(reply)]

    def _all_heard(self, heard: str, now: Mono) -> list[Act]:
        reply = self._reply
        if reply is None or not self.awaits_playout:
            return []
        self._mute = self._mute if reply.lost else 0
        for entry in cut(reply.entries, reply.all_heard(heard)) if reply.lost else reply.entries:
            enter(self._history, entry)
        self._reply, self._quiet_since = None, now
        return self._hang_up(reply.closing) if reply.closing else []

    def _tick(self, now: Mono) -> list[Act]:
        deadline = self.deadline()
        if self._began is None or deadline is None or now < deadline:
            return []
        if now >= self._began + self._policy.call_max_s:
            return self._hang_up("the call reached its limit")
        return self._keyed(now) if self._keys.until is not None else self._prompt_again()

    def _prompt_again(self) -> list[Act]:
        """The caller is silent: ask, in the end say goodbye."""
        asks = self._reprompts < self._policy.reprompts_max
        text = self._persona.reprompt if asks else self._persona.farewell
        if not text:
            return self._hang_up(SILENT)
        self._turn, self._reprompts = self._turn + 1, self._reprompts + 1
        reply = Reply(self._turn, closing="" if asks else SILENT, prompting=True)
        return [self._line(reply, text, "reprompt" if asks else "farewell")]

    # -- inside --------------------------------------------------------------------------------

    def _think(self, reply: Reply) -> Think:
        reply.thinking = True
        system = Message("system", self._persona.system_prompt)
        return Think(reply.turn, reply.step, (system, *self._history, *reply.entries))

    def _think_on(self, reply: Reply) -> Think:
        """Go on after the last of what stands in *reply* already: it is of this very step."""
        said = reply.entries.pop()
        think = replace(self._think(reply), heard=said.content)
        reply.entries.append(said)
        reply.goes_on = True
        return think

    def _line(self, reply: Reply, text: str, line: words.Line) -> words.SayLine:
        text = " ".join(text.split())  # as its sentences will be joined again
        add(reply.entries, text)
        self._reply = reply
        return words.SayLine(reply.turn, text, line)

    def _apologise(self, reply: Reply, *, hopeless: bool = False) -> list[Act]:
        self._failures += 1
        if hopeless or self._failures >= self._policy.failures_max:
            return self._give_up("model")  # what was said of the reply stays said
        return [self._line(reply, self._persona.trouble or self._persona.apology, "apology")]

    def _give_up(self, lost: words.Lost) -> list[Act]:
        return self._end(words.GiveUp(self._turn, lost, self._consent.state))

    def _hang_up(self, reason: str) -> list[Act]:
        return self._give_up("voice") if reason == MUTE else self._end(words.HangUp(reason))

    def _end(self, act: Act) -> list[Act]:
        self._over = True
        return [act]
