"""Where a call broke off, as its journal knows it: a projection for whoever goes on with it.

It follows the rules of `core.call` over the events: phrases become the entries of a reply, marks
say what was heard, the end of a reply moves it into the history. A sentence counts as heard when
the mark of its end is in the journal, so what is lost with a worker (the last `LINGER_S` of notes)
makes a sentence be said twice rather than never.

A call that was resumed before begins with `call.resumed`, which holds all that its first journal
said: one journal is enough, however often the call broke off.
"""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import msgspec

from trunkline.core.history import PENDING, add, cut, spoken
from trunkline.core.resumption import BrokenReply, Resumption
from trunkline.core.resumption import Consent as Stand
from trunkline.errors import RecordError
from trunkline.records.consent import Consent
from trunkline.records.events import get, get_or
from trunkline.records.projections import ConsentRecord, consent_record
from trunkline.types import CallId, Event, Message, StageName, ToolCall

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
    that served each stage last. *resumes*: how often it was resumed before.
    """

    call: CallId
    carrier_call: str
    broken: bool
    resumption: Resumption
    consent: ConsentRecord
    served: Mapping[StageName, str]
    resumes: int


def resumed(broken: BrokenCall, line: str, says: str) -> Mapping[str, object]:
    """The payload of `call.resumed`: *says* is what is said first, beginning with *line*."""
    return {
        "from": broken.call,
        "resumes": broken.resumes + 1,
        "line": line,
        "says": says,
        "state": asdict(broken.resumption),
        "served": dict(broken.served),
    }


def broken_call(events: Iterable[Event]) -> BrokenCall:
    """Read the journal of one call. Raises `RecordError` if its events contradict themselves."""
    kept = list(events)
    if not kept:
        raise RecordError("a journal without events cannot be resumed")
    clerk = _Clerk(kept[0].where.call)
    for event in kept:
        clerk.feed(event)
    consent = consent_record(kept)
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
    )


@dataclass(slots=True)
class _Reply:
    """A reply while its events are read. *known*: text that stands in *entries* already."""

    turn: int
    entries: list[Message] = field(default_factory=list)
    heard_before: str = ""
    line: str = ""
    known: str = ""
    step: int = 0
    thinking: bool = False
    closing: bool = False
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
        self.closing |= closes
        if not self.running and not self.closing:
            self.step, self.thinking = self.step + 1, True

    def broken(self) -> BrokenReply:
        here = " ".join(text for _, text in self.phrases[: self.heard])
        heard = f"{self.heard_before} {here[len(self.line) :].strip()}".strip()
        return BrokenReply(
            tuple(self.entries),
            heard[: len(spoken(self.entries))],
            self.step,
            tuple(self.running.values()),
            complete=not self.thinking,
            closing=self.closing,
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
        self.served: dict[StageName, str] = {}
        self._late: dict[str, tuple[int, str]] = {}  # key -> place in the history, id of the call
        self._says: tuple[str, str] = ("", "")  # what a resumed call says first: its line, all

    def feed(self, event: Event) -> None:
        match event.type:
            case "call.started":
                self.carrier_call = get_or(event, "carrier_call", str, "")
            case "call.resumed":
                self._resume(event)
            case "call.ended":
                self.broken = get_or(event, "broken", bool, False)
            case "attempt.ended" if event.data.get("outcome") == "won":
                stage = StageName(get_or(event, "stage", str, "llm"))
                self.served[stage] = get_or(event, "endpoint", str, "")
            case "transcript.final":
                self._heard_caller(get(event, "text", str))
            case "reply.started":
                self._begin(get(event, "turn", int))
            case "tool.done":
                self._answered(event)
            case _:
                if self.reply is not None:
                    self._reply_event(self.reply, event)

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
                reply.step, reply.thinking = event.where.step, True
            case "step.settled":
                # Tools without an intent have not run: the model is asked for them again.
                reply.thinking = get(event, "reason", str) == "tool_calls"
            case "tool.intent":
                name, given = get(event, "name", str), get(event, "arguments", str)
                call = ToolCall(get_or(event, "id", str, ""), name, given)
                reply.intend(get(event, "key", str), call)
            case "reply.ended":
                interrupted = get(event, "interrupted", bool)
                self._end(reply, get(event, "heard", str) if interrupted else None)
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
            # Their intents are noted again, under the same keys, when they run again.
            self.reply.running = {_before(call.id): call for call in it.running}

    def _begin(self, turn: int) -> None:
        (line, says), self._says = self._says, ("", "")
        if says and self.reply is not None and self.reply.turn == turn:
            return  # the resumed one
        self.turn = turn
        if says:  # a resumed call that asks the caller, or answers what they said last
            if self.reply is not None:
                self.history += self.reply.entries
            self.reply = _Reply(turn, line=line, known=says, thinking=self._caller_waits)
            return
        self.reply = _Reply(turn, thinking=turn > 0)
        if not any(message.role == "user" for message in self.history):
            self.history.clear()
            self.reply.thinking = False
        elif self.history[-1].role == "assistant":  # an interruption without words
            said = self.history.pop()
            self.reply.entries.append(Message("assistant", said.content))
            self.reply.heard_before = said.content

    @property
    def _caller_waits(self) -> bool:
        return bool(self.history) and self.history[-1].role == "user"

    def _end(self, reply: _Reply, heard: str | None) -> None:
        """The reply is over; *heard*: what was, if it was interrupted."""
        self.reply = None
        if heard is None:
            self.history += reply.entries
            return
        waiting = {call.id: key for key, call in reply.running.items()}
        for entry in cut(reply.entries, f"{reply.heard_before} {heard}".strip()):
            if entry.content == PENDING and entry.tool_call_id in waiting:
                key = waiting[entry.tool_call_id]
                self._late[key] = len(self.history), entry.tool_call_id
            self.history.append(entry)

    def _answered(self, event: Event) -> None:
        key, content = get(event, "key", str), get(event, "content", str)
        late = self._late.pop(key, None)
        if late is not None:
            self.history[late[0]] = Message("tool", content, tool_call_id=late[1])
        elif self.reply is not None and key in self.reply.running:
            closes = get_or(event, "then", str, "") == "hang_up"
            self.reply.answer(key, content, closes=closes)

    def _heard_caller(self, text: str) -> None:
        if not text:
            return
        if self._caller_waits:
            text = f"{self.history.pop().content} {text}"
        self.history.append(Message("user", text))


def _before(call_id: str) -> str:
    """The place of a key until the tool's intent is noted again, with its key."""
    return f"before {call_id}"
