"""A language model as a subject: a call is a conversation, whose turns are its answers.

The caller of a call says the next thing *think_s* after the answer ended: a closed loop inside the
call, as on the phone. The first turn's intended time is the call's own, by the schedule.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import msgspec

from trunkline.bench.sentinel import SEND_LAG_S, Sentinel
from trunkline.bench.turns import LATE_SEND, Turn
from trunkline.contracts import Context, Stage
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import CallId, DataClass, Delta, Finish, Message, Prompt, TextDelta, Where

SYSTEM = (
    "You are the receptionist of a medical practice and speak on the phone. "
    "Answer in one or two short sentences."
)
SAID = (
    "Hello, what are your opening hours?",
    "And are you open on Saturdays as well?",
    "I would like an appointment next week, in the afternoon if possible.",
    "Would Thursday be possible, too?",
    "How long will it take?",
    "Do I need to bring anything?",
    "Where can I park my car?",
    "Thank you very much, goodbye.",
)
"""What callers say, turn by turn; a longer call begins again."""
DNS = ("DNSError", "Name or service", "getaddrinfo", "name resolution")
_PLACES = 5  # ten microseconds: less than any clock here tells


@dataclass(frozen=True, slots=True)
class Talk:
    """How callers behave: *turns* of each call, *think_s* between, *patience_s* for an answer."""

    turns: int = 4
    think_s: float = 1.0
    patience_s: float = 10.0
    max_tokens: int = 80
    said: Sequence[str] = SAID


@dataclass(frozen=True, slots=True)
class Place:
    """Where a call stands in a run: its *block*, its number, and when it was to begin (loop time).

    *zero* and *wall*: the loop's time when the run began, and Unix time then.
    """

    block: int
    call: int
    at: float
    cold: bool
    zero: float
    wall: float


class Subject(Protocol):
    """What is measured: it plays one call, and hands on each turn as it ends."""

    @property
    def name(self) -> str:
        """Its name in the run."""
        ...

    async def call(self, place: Place, done: Callable[[Turn], None]) -> None:
        """Play a call. A turn that fails is a turn; what else is raised is a bug."""
        ...

    def missed(self, place: Place) -> Turn:
        """The first turn of a call that could not begin, by our fault."""
        ...


@dataclass(slots=True)
class _Answer:
    """What came of one question, in times of the loop."""

    sent: float
    first: float | None = None
    end: float | None = None
    last: float = 0.0
    gaps_s: list[float] = field(default_factory=list)
    tokens: int = 0
    text: str = ""
    finished: bool = False
    fault: str = ""
    detail: str = ""

    def take(self, delta: Delta, now: float) -> None:
        """A piece of the answer."""
        if isinstance(delta, Finish):
            self.finished = True
            return
        text = delta.text if isinstance(delta, TextDelta) else delta.arguments or delta.name
        if not text:
            return
        if self.first is None:
            self.first = now
        else:
            self.gaps_s.append(round(now - self.last, _PLACES))
        self.last, self.tokens, self.text = now, self.tokens + 1, self.text + text

    def failed(self, fault: str, detail: str) -> None:
        """It will not be whole."""
        self.fault, self.detail = fault, detail[:300]


class ModelSubject:
    """A stage that answers prompts, as a `Subject`."""

    def __init__(
        self, name: str, stage: Stage[Prompt, Delta], talk: Talk, sentinel: Sentinel
    ) -> None:
        self.name, self._stage, self._talk, self._sentinel = name, stage, talk, sentinel

    async def call(self, place: Place, done: Callable[[Turn], None]) -> None:
        """Ask all questions of a call; a question whose answer failed is asked no second time."""
        clock = asyncio.get_running_loop().time
        messages = [Message("system", SYSTEM)]
        intended = place.at
        for number in range(self._talk.turns):
            said = self._talk.said[number % len(self._talk.said)]
            messages.append(Message("user", said))
            answer = await self._ask(Prompt(tuple(messages), max_tokens=self._talk.max_tokens))
            done(self._turn(place, number, intended, answer))
            messages.append(Message("assistant", answer.text or "Sorry?"))
            if number + 1 < self._talk.turns:
                intended = clock() + self._talk.think_s
                await asyncio.sleep(self._talk.think_s)

    def missed(self, place: Place) -> Turn:
        """Too many calls at once for this process."""
        return msgspec.structs.replace(
            self._blank(place, 0, place.at), fault="not_sent", own=("overrun",)
        )

    async def _ask(self, prompt: Prompt) -> _Answer:
        clock = asyncio.get_running_loop().time
        answer = _Answer(clock())
        context = Context(Where(CallId("bench")), DataClass.PROMPT)
        try:
            async with (
                asyncio.timeout(self._talk.patience_s),
                self._stage.open(prompt, context) as deltas,
            ):
                async for delta in deltas:
                    answer.take(delta, clock())
        except TimeoutError:
            fault = Fault.SILENT if answer.first is None else Fault.STALLED
            answer.failed(fault, f"not whole after {self._talk.patience_s:g} s")
        except EndpointError as error:
            answer.failed(error.fault, error.detail)
        except EgressRefused as error:
            answer.failed("egress_refused", str(error))
        answer.end = clock()
        if not answer.fault and not answer.finished:
            answer.failed(Fault.CUT, "no finish reason")
        elif not answer.fault and answer.first is None:
            answer.failed(Fault.EMPTY, "finished without a word")
        return answer

    def _blank(self, place: Place, number: int, intended: float) -> Turn:
        since = round(intended - place.zero, _PLACES)
        wall = round(place.wall + since, 3)
        return Turn(self.name, place.block, place.call, number, since, wall, cold=place.cold)

    def _turn(self, place: Place, number: int, intended: float, answer: _Answer) -> Turn:
        def since(at: float | None) -> float | None:
            return None if at is None else round(at - place.zero, _PLACES)

        own = list(self._sentinel.flags(answer.sent, answer.first or answer.end or answer.sent))
        if answer.sent - intended > SEND_LAG_S:
            own.append(LATE_SEND)
        if answer.fault == Fault.UNREACHABLE and any(it in answer.detail for it in DNS):
            own.append("dns")
        return msgspec.structs.replace(
            self._blank(place, number, intended),
            sent_s=since(answer.sent),
            first_s=since(answer.first),
            end_s=since(answer.end),
            tokens=answer.tokens,
            chars=len(answer.text),
            gaps_s=tuple(answer.gaps_s),
            fault=str(answer.fault),
            detail=answer.detail,
            own=tuple(own),
        )
