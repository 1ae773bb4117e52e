"""Where a call broke off, as its journal knows it: a projection for whoever goes on with it.

It follows the rules of `core.call` over the events: phrases become the entries of a reply, marks
say what was heard, the end of a reply moves it into the history. A sentence counts as heard when
the mark of its end is in the journal, so what is lost with a worker (the last `LINGER_S` of notes)
makes a sentence be said twice rather than never.

What the caller says while a reply is held waits for what becomes of it: of a backchannel, nothing;
else it is said behind what was heard, or, if the reply was a guess, before it. If the journal ends
there, words that were understood stop the reply, and a guess is dropped.

Which keys were pressed is journaled nowhere but in the request to the model that they led to.

A call that was resumed before begins with `call.resumed`, which holds all that its first journal
said: one journal is enough, however often the call broke off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from trunkline.core.call_words import Consent as Stand
from trunkline.core.history import PENDING, add, add_caller, cut, enter, spoken
from trunkline.core.reply import GOODBYE, SILENT
from trunkline.core.resumption import BrokenReply, Resumption
from trunkline.errors import RecordError
from trunkline.records.consent import Consent
from trunkline.records.events import get, get_or
from trunkline.records.projections import ConsentRecord, consent_record
from trunkline.types import CallId, DataClass, Event, Message, StageName, ToolCall, Transfer

_STAND: Final[Mapping[Consent, Stand]] = {
    Consent.UNASKED: "not_asked",
    Consent.ASKED: "asked",
    Consent.GRANTED: "granted",
    Consent.REFUSED: "refused",
    Consent.WITHDRAWN: "refused",
}


@dataclass(frozen=True, slots=True)
class BrokenCall:
    """A call whose journal ended, and how.

    *broken*: the line was lost, so the caller may still be there; else it was ended by somebody.
    *carrier_call*: the carrier's id of it. *resumption*: for `core.call`. *served*: the endpoint
    that served each stage last. *resumes*: how often it was resumed before. *transfer*: what its
    carrier is to do with the caller.
    """

    call: CallId
    carrier_call: str
    broken: bool
    resumption: Resumption
    consent: ConsentRecord
    served: Mapping[StageName, str]
    resumes: int
    transfer: Transfer | None = None


def resumed(
    broken: BrokenCall, line: str, says: str
) -> tuple[tuple[str, Mapping[str, object], DataClass], ...]:
    """The first events (type, payload, class) of the call that goes on with *broken*.

    *says* is what is said first, beginning with *line*. Consent is brought to where it stood: it
    rests on what was said in the first journal, and holds for the same caller on the same line.
    """
    state = {
        "from": broken.call,
        "resumes": broken.resumes + 1,
        "line": line,
        "says": says,
        "state": asdict(broken.resumption),
        "served": dict(broken.served),
    }
    consent = ((type, data, DataClass.TRANSCRIPT) for type, data in _carried_over(broken.consent))
    return (("call.resumed", state, DataClass.PROMPT), *consent)


def _carried_over(record: ConsentRecord) -> tuple[tuple[str, Mapping[str, object]], ...]:
    question, rule = record.question, record.rule
    asked = ("consent.asked", {"text": question})
    yes = {"text": record.answer, "answer": "yes", "question": question, "rule": rule}
    match record.state:
        case Consent.UNASKED:
            return ()
        case Consent.ASKED:
            return (asked,)
        case Consent.GRANTED:
            return (asked, ("consent.answered", yes), ("consent.granted", {"rule": rule}))
        case Consent.REFUSED | Consent.WITHDRAWN:
            return (asked, ("consent.refused", {"rule": "not granted before the call broke off"}))


def broken_call(events: Iterable[Event]) -> BrokenCall:
    """Read the journal of one call. Raises `RecordError` if its events contradict themselves."""
    kept = list(events)
    if not kept:
        raise RecordError("a journal without events cannot be resumed")
    clerk = _Clerk(kept[0].where.call)
    for event in kept:
        clerk.feed(event)
    consent = consent_record(kept)
    clerk.stop()
    resumption = Resumption(
        clerk.origin,
        clerk.turn,
        tuple(clerk.history),
        None if clerk.reply is None else clerk.reply.broken(),
        _STAND[consent.state],
    )
    return BrokenCall(
        kept[0].where.call,
        clerk.carrier_call,
        clerk.broken,
        resumption,
        consent,
        clerk.served,
        clerk.resumes,
        clerk.transfer,
    )


@dataclass(slots=True)
class _Reply:
    """A reply while its events are read. *known*: text that stands in *entries* already.

    *said*: what the caller said while it is *held*, or before a *guess* is confirmed.
    """

    turn: int
    entries: list[Message] = field(default_factory=list)
    heard_before: str = ""
    line: str = ""
    known: str = ""
    step: int = 0
    thinking: bool = False
    closing: str = ""
    prompting: bool = False
    held: bool = False
    guess: bool = False
    said: list[str] = field(default_factory=list)
    phrases: list[tuple[int, str]] = field(default_factory=list)
    heard: int = 0  # phrases heard to their end
    running: dict[str, ToolCall] = field(default_factory=dict)

    def say(self, index: int, text: str) -> None:
        self.phrases.append((index, text))
        if len(" ".join(text for _, text in self.phrases)) > len(self.known):
            add(self.entries, text)

    def mark(self, phrase: int, chars: int) -> None:
        for place, (index, text) in enumerate(self.phrases):
            if index < phrase or (index == phrase and chars >= len(text)):
                self.heard = max(self.heard, place + 1)

    def intend(self, key: str, call: ToolCall) -> None:
        self.thinking = False
        again = self.running.pop(_before(call.id), None)
        self.running[key] = call
        if again is not None:
            return  # it stands in the entries already
        calls: tuple[ToolCall, ...] = (call,)
        text = ""
        if self.entries and self.entries[-1].role == "assistant":
            last = self.entries.pop()
            text, calls = last.content, (*last.tool_calls, call)
        self.entries.append(Message("assistant", text, calls))

    def answer(self, key: str, content: str, *, closes: bool) -> None:
        call = self.running.pop(key)
        self.entries.append(Message("tool", content, tool_call_id=call.id))
        if closes:
            self.closing = GOODBYE
        if not self.running and not self.closing:
            self.step, self.thinking = self.step + 1, True

    def all_heard(self, here: str) -> str:
        """All that was heard of it; *here*: since it began, the line that resumed it included."""
        return f"{self.heard_before} {here[len(self.line) :].strip()}".strip()

    def broken(self) -> BrokenReply:
        heard = self.all_heard(" ".join(text for _, text in self.phrases[: self.heard]))
        return BrokenReply(
            tuple(self.entries),
            heard[: len(spoken(self.entries))],
            self.step,
            tuple(self.running.values()),
            complete=not self.thinking,
            closing=self.closing,
            prompting=self.prompting,
        )


class _Clerk:
    """Folds events into the state of a call."""

    def __init__(self, call: CallId) -> None:
        self.origin = call
        self.carrier_call = ""
        self.broken = True
        self.turn = self.resumes = 0
        self.history: list[Message] = []
        self.reply: _Reply | None = None
        self.transfer: Transfer | None = None
        self.served: dict[StageName, str] = {}
        self._late: dict[str, tuple[int, str]] = {}  # key -> place in the history, id of the call
        self._says: tuple[str, str] = ("", "")  # what a resumed call says first: its line, all
        self._keyed = False  # keys were pressed that nobody has answered
        self._unread: int | None = None  # where in the history stands that keys were pressed

    def feed(self, event: Event) -> None:
        match event.type:
            case "call.started" | "call.resumed" | "call.ended" | "call.transferred":
                self._leg(event)
            case "attempt.request" | "attempt.ended":
                self._attempt(event)
            case "transcript.final":
                self._heard_caller(get(event, "text", str))
            case "keys.pressed":
                self._keyed = True
            case "reply.started":
                self._begin(get(event, "turn", int), get_or(event, "line", str, ""))
            case "tool.done":
                self._answered(event)
            case _:
                if self.reply is not None:
                    self._reply_event(self.reply, event)

    def _leg(self, event: Event) -> None:
        match event.type:
            case "call.started":
                self.carrier_call = get_or(event, "carrier_call", str, "")
            case "call.resumed":
                self._resume(event)
            case "call.ended":
                self.broken = get_or(event, "broken", bool, False)
            case _:
                self.transfer = Transfer(get(event, "to", str), get_or(event, "said", bool, True))

    def _attempt(self, event: Event) -> None:
        if event.type == "attempt.request":
            if self._unread is not None:
                self._read_keys(self._unread, get(event, "request", dict))
        elif event.data.get("outcome") == "won":
            stage = StageName(get_or(event, "stage", str, "llm"))
            self.served[stage] = get_or(event, "endpoint", str, "")

    def _reply_event(self, reply: _Reply, event: Event) -> None:
        match event.type:
            case "phrase.spoken":
                reply.say(get(event, "index", int), get(event, "text", str))
            case "playout.mark":
                epoch, _, rest = get(event, "name", str).partition(".")
                phrase, _, chars = rest.partition(".")
                if epoch.isdigit() and phrase.isdigit() and chars.isdigit():
                    reply.mark(int(phrase), int(chars))
            case "step.started":
                self._goes_on(reply)
                reply.step, reply.thinking = event.where.step, True
            case "step.settled":
                # Tools without an intent have not run: the model is asked for them again.
                reply.thinking = get(event, "reason", str) == "tool_calls"
            case "tool.intent":
                name, given = get(event, "name", str), get(event, "arguments", str)
                call = ToolCall(get_or(event, "id", str, ""), name, given)
                reply.intend(get(event, "key", str), call)
            case "reply.ended":
                cut_short = get(event, "interrupted", bool) or get_or(event, "lost", bool, False)
                self._end(reply, get(event, "heard", str) if cut_short else None)
            case _:
                self._who_has_the_word(reply, event.type)

    def _who_has_the_word(self, reply: _Reply, type: str) -> None:
        match type:
            case "speculation.started":
                reply.guess = True
            case "speculation.confirmed":
                reply.guess = False
                self._speak(reply)
            case "speculation.wasted":
                self.reply = None
                self._speak(reply)
            case "reply.held":
                reply.held = True
            case "reply.resumed":
                reply.held, reply.said = False, []
            case _:
                pass

    def _resume(self, event: Event) -> None:
        state: Any = get(event, "state", dict)
        try:
            before = msgspec.convert(state, Resumption)
        except msgspec.ValidationError as error:
            raise RecordError(f"event {event.id} (call.resumed): {error}") from error
        self.origin, self.turn = before.origin, before.turn
        self.history = list(before.history)
        self.resumes = get(event, "resumes", int)
        served: dict[str, str] = get_or(event, "served", dict, {})
        self.served = {StageName(stage): endpoint for stage, endpoint in served.items()}
        self._says = get(event, "line", str), get(event, "says", str)
        it = before.reply
        if it is not None:
            self.reply = _Reply(before.turn, list(it.entries), it.heard, *self._says, it.step)
            self.reply.thinking, self.reply.closing = not it.complete, it.closing
            self.reply.prompting = it.prompting
            # Their intents are noted again, under the same keys, when they run again.
            self.reply.running = {_before(call.id): call for call in it.running}

    def _begin(self, turn: int, line: str) -> None:
        (resumes, says), self._says = self._says, ("", "")
        if says and self.reply is not None and self.reply.turn == turn:
            return  # the resumed one
        self.turn = turn
        if says:  # a resumed call that asks the caller, or answers what they said last
            if self.reply is not None:
                self._end(self.reply, None)
            waits = bool(self.history) and self.history[-1].role == "user"
            self.reply = _Reply(turn, line=resumes if waits else says, known=says)
            self.reply.prompting = not waits
            return
        if line == "greeting" and turn:
            self.history.clear()  # its beginning, if any
        if self._keyed:
            self._keyed = False
            add_caller(self.history, "[keys pressed]")
            self._unread = len(self.history) - 1
        self.reply = _Reply(turn, prompting=line in ("reprompt", "farewell"))
        self.reply.closing = SILENT if line == "farewell" else ""

    def _goes_on(self, reply: _Reply) -> None:
        """A step begins: if it answers nobody, it takes up what was stopped by no words."""
        begun = reply.phrases or reply.entries or reply.guess
        if not begun and self.history and self.history[-1].role == "assistant":
            reply.entries.append(self.history.pop())
            reply.heard_before = reply.entries[0].content

    def _read_keys(self, place: int, request: Mapping[str, Any]) -> None:
        """The message at *place* of the history, as the model got it behind the system prompt."""
        self._unread = None
        messages = request.get("messages") or ()
        if place + 1 < len(messages) and place < len(self.history):
            self.history[place] = Message("user", str(messages[place + 1].get("content", "")))

    def _speak(self, reply: _Reply) -> None:
        """What the caller said along with *reply* enters the history."""
        for text in reply.said:
            add_caller(self.history, text)
        reply.said = []

    def stop(self) -> None:
        """The journal ends: nobody will decide any more what holds the reply."""
        reply = self.reply
        if reply is not None and reply.guess:
            self.reply = None
            self._speak(reply)
        elif reply is not None and reply.said:
            self._end(reply, " ".join(text for _, text in reply.phrases[: reply.heard]))

    def _end(self, reply: _Reply, here: str | None) -> None:
        """The reply is over; *here*: what was heard of it in this journal, if it was stopped."""
        self.reply = None
        if here is None:
            for entry in reply.entries:
                enter(self.history, entry)
            return
        waiting = {call.id: key for key, call in reply.running.items()}
        for entry in cut(reply.entries, reply.all_heard(here)):
            if entry.content == PENDING and entry.tool_call_id in waiting:
                key = waiting[entry.tool_call_id]
                self._late[key] = len(self.history), entry.tool_call_id
            enter(self.history, entry)
        self._speak(reply)

    def _answered(self, event: Event) -> None:
        key, content = get(event, "key", str), get(event, "content", str)
        late = self._late.pop(key, None)
        if late is not None:
            self.history[late[0]] = Message("tool", content, tool_call_id=late[1])
        elif self.reply is not None and key in self.reply.running:
            closes = get_or(event, "then", str, "") == "hang_up"
            self.reply.answer(key, content, closes=closes)

    def _heard_caller(self, text: str) -> None:
        if text and self.reply is not None and (self.reply.held or self.reply.guess):
            self.reply.said.append(text)
        elif text:
            add_caller(self.history, text)


def _before(call_id: str) -> str:
    """The place of a key until the tool's intent is noted again, with its key."""
    return f"before {call_id}"
