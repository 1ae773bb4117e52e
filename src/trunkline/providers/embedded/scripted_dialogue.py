"""Where a conversation stands, folded from its turns; the scripted receptionist keeps no state.

A turn is what the caller said and what tools answered to it. What the assistant said is not read
for meaning: it may be another model's, or cut short by the caller. So what was last asked is
replayed from the same rules that asked it (`scripted_policy`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from trunkline.providers.embedded.scripted_lines import Item, line, spoken_day, spoken_time
from trunkline.providers.embedded.scripted_words import WEEKDAYS, Heard, understand
from trunkline.types import ToolCall

OFFERED = 3
"""Times offered at once: more cannot be kept in mind on the phone."""
UNCLEAR_MAX = 3
"""Turns in a row that were not understood before a message is offered instead."""


@dataclass(slots=True)
class Turn:
    """What the caller said, the tools that ran, and what the caller heard of the answer."""

    words: str
    exchanges: list[tuple[ToolCall, Mapping[str, object]]] = field(default_factory=list)
    spoken: str = ""


@dataclass(slots=True)
class Dialogue:
    """The state; `asked` names the line whose answer is awaited."""

    reasons: Sequence[str]
    topics: Sequence[str]
    today: datetime | None = None
    asked: str = ""
    task: str = ""  # book, change, cancel, find, message
    reason: str = ""
    day: str = ""  # as find_slots takes it; "any": the soonest
    part: str = ""
    wish: tuple[tuple[int, int], ...] = ()  # times that were said before slots were known
    slots: tuple[datetime, ...] | None = None  # None: not looked up
    page: int = 0
    dated: bool = False  # the slots are not of the day that was asked for: say the date
    slot: datetime | None = None
    name: str = ""
    phone: str = ""
    message: str = ""
    found: Mapping[str, object] | None = None
    replaces: str = ""  # id of the appointment that the new one replaces
    unclear: int = 0
    before: tuple[Item, ...] = ()  # the answer of the turn before
    # of the current turn
    heard: Heard = field(default_factory=lambda: Heard(""))
    say: list[Item] = field(default_factory=list)
    mode: str = ""  # bye, repeat, pause, consent_again
    down: bool = False
    ran: set[str] = field(default_factory=set)

    def take(self, turn: Turn) -> None:
        """Fold *turn* in."""
        self.heard = heard = understand(turn.words, self.reasons, self.topics)
        self.say, self.mode, self.down, self.ran = [], "", False, set()
        if not self._understand(heard):
            self.unclear += 1
            asked = "question" in heard.intents  # what the facts do not say is not made up
            self.say = [line("unknown")] if asked else [line("sorry"), line("unclear")]
            if self.unclear >= UNCLEAR_MAX:
                self.finish()
                self.unclear, self.task, self.mode = 0, "message", ""
                self.say.append(line("person"))
        else:
            self.unclear = 0
        for call, answer in turn.exchanges:
            self.ran.add(call.name)
            self._learn(call.name, answer)

    def offered(self) -> tuple[datetime, ...]:
        """The slots on offer: a page of those of the first day."""
        slots = self.slots or ()
        same_day = [at for at in slots if at.date() == slots[0].date()]
        first = self.page * OFFERED % len(same_day) if same_day else 0
        return tuple(same_day[first : first + OFFERED])

    def _understand(self, heard: Heard) -> bool:
        if self.asked == "ask_message" and heard.text and "forget" not in heard.intents:
            self.message = heard.text  # whatever it is about
            return True
        if "repeat" in heard.intents and self.before:
            self.mode = "repeat"
            return True
        leaves = "bye" in heard.intents
        filled = not leaves and self._fill(heard)
        if leaves or (self.asked == "anything_else" and heard.no and not filled):
            self.mode = "bye"
            return True
        if "hold" in heard.intents:
            self.mode = "pause"
            return True
        return self._reply_to_question(heard, filled) or filled

    def _reply_to_question(self, heard: Heard, filled: bool) -> bool:
        """Yes, no and thanks mean what the question makes of them."""
        match self.asked:
            case "consent" if heard.no or heard.yes:
                self.say.append(line("refused" if heard.no else "consented"))
                return True
            case "consent" if not filled:
                self.mode = "consent_again"
                return False
            case "ask_cancel" if heard.no:
                self.say.append(line("kept"))
                self.finish()
                return True
            case "ask_cancel" if heard.yes:
                return True
        if "machine" in heard.intents:
            self.say.append(line("machine"))
            return True
        idle = not self.task and (heard.yes or heard.no)
        return idle or bool(heard.intents & {"thanks", "hello", "forget"})

    def _fill(self, heard: Heard) -> bool:
        """Take task and slots from *heard*; whether there was anything."""
        new_task = self._new_task(heard)
        before = (self.reason, self.day, self.part, self.name, self.phone, self.slot, self.page)
        self.name = heard.name or self.name
        self.phone = heard.phone or self.phone
        if self.asked in ("ask_name", "ask_caller", "ask_holder") and not heard.topics:
            self.name = heard.name or heard.bare_name or self.name
        if new_task or not heard.topics:
            self._fill_booking(heard)
        after = (self.reason, self.day, self.part, self.name, self.phone, self.slot, self.page)
        wished = bool(heard.times) and self.task == "book"
        return new_task or bool(heard.topics) or wished or after != before

    def _new_task(self, heard: Heard) -> bool:
        if "forget" in heard.intents:
            self.finish()
        wanted = next(
            (t for t in ("cancel", "change", "find", "book") if t in heard.intents),
            "message" if heard.intents & {"message", "callback", "person"} else "",
        )
        said_slot = heard.reason or heard.day or heard.date or heard.times
        if not wanted and not self.task and said_slot and not heard.topics:
            wanted = "book"  # "i have a toothache"
        if not wanted:
            return False
        if wanted == "book" and self.task == "book":
            return True
        if wanted != self.task:
            self.finish()
        self.task = wanted
        if "person" in heard.intents and wanted == "message":
            self.say.append(line("person"))
        if "callback" in heard.intents and wanted == "message":
            self.message = heard.text
        return True

    def _fill_booking(self, heard: Heard) -> None:
        if self.task not in ("book", "change"):
            return
        self.reason = heard.reason or self.reason
        day = self._date(heard) or heard.day
        if day or heard.part:
            self.day, self.part = day or self.day or "any", heard.part
            self.slots, self.slot, self.page, self.dated = None, None, 0, False
        if heard.times:
            self.wish, self.slot = heard.times, None
            self._choose_wish()
        elif self.slots and self.asked == "ask_slot" and not day:
            self._choose(heard)

    def _choose(self, heard: Heard) -> None:
        offered = self.offered()
        if heard.pick is None and (heard.no or "other" in heard.intents):
            self.page += 1
        elif heard.pick is not None and -len(offered) <= heard.pick < len(offered):
            self.slot = offered[heard.pick]
        elif heard.yes and len(offered) == 1:
            self.slot = offered[0]

    def _choose_wish(self) -> None:
        """Take the slot that a wished time names, or say that it is not free."""
        if self.slots is None or not self.wish:
            return
        named = [at for at in self.slots for time in self.wish if _clock(at) == time]
        self.wish = ()
        if named:
            self.slot = named[0]
        elif self.slots:
            self.say.append(line("other_time"))

    def _date(self, heard: Heard) -> str:
        """A spoken month and day as a date, this year or next."""
        if heard.date is None or self.today is None:
            return ""
        month, day = heard.date
        for year in (self.today.year, self.today.year + 1):
            try:
                date = datetime(year, month, day)  # noqa: DTZ001  # a date
            except ValueError:
                continue
            if date >= self.today:
                return f"{date:%Y-%m-%d}"
        return ""

    def _learn(self, tool: str, answer: Mapping[str, object]) -> None:
        ok = answer.get("ok") is True
        match tool:
            case "find_slots" if ok:
                slots, others = _starts(answer.get("slots")), _starts(answer.get("others"))
                self.slots, self.page = slots or others, 0
                self.dated = not slots or self.day not in ("today", "tomorrow", *WEEKDAYS)
                if not slots:
                    self.say.append(line("full" if others else "no_room"))
                self._choose_wish()
            case "book_appointment" if ok:
                self.say.append(_told("booked", answer.get("appointment")))
                replaces = self.replaces
                self.finish()
                self.replaces = replaces
            case "book_appointment" if _starts(answer.get("slots")):
                self.say.append(line("taken"))
                self.slots, self.slot, self.dated = _starts(answer.get("slots")), None, True
            case "find_appointment" if ok:
                self._learn_found(answer.get("appointments"))
            case "cancel_appointment":
                self.say.append(line("cancelled" if ok else "not_cancelled"))
                self.finish()
            case "take_message":
                self.say.append(line("message_taken" if ok else "message_lost"))
                self.finish()
            case "find_slots" | "book_appointment" | "find_appointment":
                self.down = True
            case _:
                pass  # end_call answers nothing that matters

    def _learn_found(self, appointments: object) -> None:
        first = appointments[0] if isinstance(appointments, list) and appointments else None
        self.found = first if isinstance(first, dict) else None
        if self.found is None:
            self.say.append(line("not_found"))
            self.finish()
            return
        self.say.append(_told("found", self.found))
        if self.task == "change":
            self.task = "book"
            self.reason = str(self.found.get("reason", ""))
            self.replaces = str(self.found.get("id", ""))
        elif self.task == "find":
            self.finish()

    def finish(self) -> None:
        """The task is over; who the caller is stays known."""
        self.task = self.reason = self.day = self.part = self.message = self.replaces = ""
        self.wish, self.slots, self.slot, self.found = (), None, None, None
        self.page, self.dated = 0, False


def _clock(at: datetime) -> tuple[int, int]:
    return (at.hour - 1) % 12 + 1, at.minute


def _starts(slots: object) -> tuple[datetime, ...]:
    if not isinstance(slots, list):
        return ()
    return tuple(datetime.fromisoformat(slot["start"]) for slot in slots)


def _told(key: str, appointment: object) -> Item:
    fields = appointment if isinstance(appointment, dict) else {}
    at = datetime.fromisoformat(str(fields["start"]))
    reason = str(fields["reason"]).replace("-", " ")
    return line(key, reason=reason, day=spoken_day(at), time=spoken_time(at))
