"""What the receptionist may do in the world, each thing at most once per key.

Rules:

* A tool with side effects is noted in the ledger before (`proposed`) and after (`done`), all under
  one lock. A repeat returns what was answered.
* `proposed` without `done` means that a worker died in between. The effect carries an id made from
  the key, so it is looked up in the calendar or the messages. It is there: that is the answer. It
  is not: it cannot have happened, because each effect is one atomic write under the lock.
* Everything that touches the disk runs in one function that `run_io` takes off the event loop.
  If the awaiting task is cancelled, that function still ends; a repeat of the key then finds it.
"""

import asyncio
import json
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Final

from trunkline.agent import arguments as args
from trunkline.agent.calendar import HORIZON_DAYS, Appointment, Calendar, Taken
from trunkline.agent.durable import RunIo
from trunkline.agent.ledger import Ledger
from trunkline.agent.messages import Messages
from trunkline.agent.practice import WEEKDAYS, Practice
from trunkline.errors import InputError
from trunkline.types import ToolCall, ToolResult, ToolSpec

SLOTS_MAX: Final = 8
"""Free times in one answer: more would only fill the prompt."""
_ANSWERS_MAX: Final = 256  # answers kept in memory; a call makes a dozen
_IDS: Final = uuid.UUID("5a3c9f0e-6f3b-4a54-9d1c-2b7f6e0d8c11")  # made once at random, for uuid5

Answer = Mapping[str, object]


class ReceptionTools:
    """The tools of one practice (a `Toolbox`); one instance may serve many calls."""

    def __init__(
        self,
        practice: Practice,
        calendar: Calendar,
        messages: Messages,
        ledger: Ledger,
        run_io: RunIo = asyncio.to_thread,
    ) -> None:
        self._practice, self._calendar, self._messages = practice, calendar, messages
        self._ledger, self._run_io = ledger, run_io
        self._answers: dict[str, str] = {}
        self._specs = tuple(
            ToolSpec(name, model.__doc__ or "", args.schema(name, practice), name in args.SAFE)
            for name, model in args.TOOLS.items()
        )

    @property
    def specs(self) -> Sequence[ToolSpec]:
        """The tools as the model is told of them."""
        return self._specs

    async def run(self, call: ToolCall, key: str, /) -> ToolResult:
        """Run *call* at most once per *key*; a repeat returns the stored result.

        Wrong arguments and times that are not free are answers: `{"ok": false, "error": ...}`.
        Raises `RecordError` when a file cannot be read or written in time (run it again with the
        same key) and `InputError` when the calendar is not one.
        """
        content = self._answers.get(key)
        if content is None:
            wanted = args.read(call.name, call.arguments, self._practice)
            if isinstance(wanted, str):
                content = _text({"ok": False, "error": wanted})
            elif isinstance(wanted, args.EndCall):
                content = _text({"ok": True})
            else:
                content = await self._run_io(lambda: self._perform(call.name, wanted, key))
            self._answers[key] = content
            while len(self._answers) > _ANSWERS_MAX:
                self._answers.pop(next(iter(self._answers)))
        ends = call.name == "end_call" and json.loads(content)["ok"]
        return ToolResult(content, "hang_up" if ends else "go_on")

    def _perform(self, tool: str, wanted: args.Arguments, key: str) -> str:
        if tool in args.SAFE:
            return _text(self._look(wanted))
        with self._ledger.lock():
            known = self._ledger.find(key)
            if known is not None and known.content is not None:
                return known.content
            answer = None if known is None else self._verify(wanted, key)
            if answer is None:
                self._ledger.propose(key, tool)
                answer = self._act(wanted, key)
            content = _text(answer)
            self._ledger.done(key, tool, content)
            return content

    def _look(self, wanted: args.Arguments) -> Answer:
        match wanted:
            case args.FindSlots():
                return self._find_slots(wanted)
            case args.FindAppointment(name=name):
                now = self._calendar.now()
                return {
                    "ok": True,
                    "appointments": [
                        _told(made)
                        for made in self._calendar.appointments()
                        if not made.cancelled
                        and made.start > now
                        and made.name.casefold() == name.casefold()
                    ],
                }
            case _:
                raise AssertionError(f"{wanted!r} is not safe")

    def _act(self, wanted: args.Arguments, key: str) -> Answer:
        match wanted:
            case args.BookAppointment():
                return self._book(wanted, key)
            case args.CancelAppointment(id=uid):
                made = self._calendar.cancel(uid)
                if made is None:
                    return {"ok": False, "error": f"no appointment has the id {uid!r}"}
                return {"ok": True, "cancelled": _told(made)}
            case args.TakeMessage(name=name, text=text, phone=phone):
                self._messages.take(_id(key), name, text, phone)
                return {"ok": True}
            case _:
                raise AssertionError(f"{wanted!r} has no effect")

    def _verify(self, wanted: args.Arguments, key: str) -> Answer | None:
        """The answer that the effect of *key* shows, None if there is no effect."""
        match wanted:
            case args.BookAppointment():
                made = self._calendar.get(_id(key))
                return None if made is None else {"ok": True, "appointment": _told(made)}
            case args.CancelAppointment(id=uid):
                made = self._calendar.get(uid)
                cancelled = made is not None and made.cancelled
                return {"ok": True, "cancelled": _told(made)} if made and cancelled else None
            case args.TakeMessage():
                return None if self._messages.get(_id(key)) is None else {"ok": True}
            case _:
                raise AssertionError(f"{wanted!r} has no effect")

    def _book(self, wanted: args.BookAppointment, key: str) -> Answer:
        zone = self._practice.zone
        start = wanted.start
        start = start.replace(tzinfo=zone) if start.tzinfo is None else start.astimezone(zone)
        minutes = self._practice.minutes_for(wanted.reason)
        end = start + timedelta(minutes=minutes)
        appointment = Appointment(_id(key), start, end, wanted.name, wanted.reason, wanted.phone)
        try:
            return {"ok": True, "appointment": _told(self._calendar.book(appointment))}
        except Taken as error:
            free = self._calendar.free(minutes, _days_from(start.date()), SLOTS_MAX)
            return {"ok": False, "error": str(error), "slots": [_slot(at) for at in free]}

    def _find_slots(self, wanted: args.FindSlots) -> Answer:
        minutes = self._practice.minutes_for(wanted.reason)
        today = self._calendar.today()
        day = _resolve(wanted.day, today)
        part = wanted.part_of_day
        days = _days_from(today) if day is None else iter([day])
        found = self._calendar.free(minutes, days, SLOTS_MAX, lambda at: _in_part(at, part))
        answer: dict[str, object] = {"ok": True, "minutes": minutes}
        answer["slots"] = [_slot(at) for at in found]
        if not found:
            # Asked-for time is full: the soonest others, so that the model need not guess.
            others = self._calendar.free(minutes, _days_from(day or today), SLOTS_MAX)
            answer["others"] = [_slot(at) for at in others]
        return answer


def open_tools(
    practice: Practice,
    folder: Path,
    now: Callable[[], datetime],
    run_io: RunIo = asyncio.to_thread,
) -> ReceptionTools:
    """The tools of *practice* with their files in *folder*, which all workers share.

    The files are `appointments.ics`, `messages.jsonl` and `tools.jsonl`; *now* is the clock and
    gives aware times.
    Raises `InputError` if *folder* is a file.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder} is not a folder: name one for the appointments and messages")
    calendar = Calendar(folder / "appointments.ics", practice, now)
    return ReceptionTools(
        practice,
        calendar,
        Messages(folder / "messages.jsonl", calendar.now),
        Ledger(folder / "tools.jsonl"),
        run_io,
    )


def _id(key: str) -> str:
    return str(uuid.uuid5(_IDS, key))


def _text(answer: Answer) -> str:
    return json.dumps(answer, ensure_ascii=False)


def _slot(start: datetime) -> dict[str, str]:
    # Weekday included: models are poor at telling it from a date.
    return {"start": f"{start:%Y-%m-%dT%H:%M}", "weekday": WEEKDAYS[start.weekday()]}


def _told(made: Appointment) -> dict[str, str]:
    return {"id": made.uid, "name": made.name, "reason": made.reason, **_slot(made.start)}


def _resolve(day: str, today: date) -> date | None:
    """The date that *day* means on *today*; a weekday is the next one, never today."""
    if day == "":
        return None
    if day in ("today", "tomorrow"):
        return today + timedelta(days=day == "tomorrow")
    if day in WEEKDAYS:
        return today + timedelta(days=(WEEKDAYS.index(day) - today.weekday() - 1) % 7 + 1)
    return date.fromisoformat(day)


def _days_from(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in range(HORIZON_DAYS + 1))


def _in_part(at: datetime, part: str) -> bool:
    first, last = {"morning": (0, 12), "afternoon": (12, 17), "evening": (17, 24)}.get(
        part, (0, 24)
    )
    return first <= at.hour < last
