"""One request over several endpoints: tasks and streams around `core.relay`.

There is no queue between an attempt and the client. What a network read brought is decoded, put to
the machine and written to the client's outbox in one go; an attempt whose client does not keep up
waits, and so does its provider. `calls.think` is the same for a call, whose voice sets the pace.
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from trunkline.calls.steps import Failure, LlmStage, fault_of, in_log
from trunkline.contracts import Context
from trunkline.core import attempt_words as words
from trunkline.core.health import Breaker, Measure
from trunkline.core.relay import Relay
from trunkline.core.routing import CallState, Router
from trunkline.core.seam import Hold, sentences
from trunkline.core.splice import rejoining
from trunkline.errors import EgressRefused, EndpointError, Fault, InputError
from trunkline.gateway.batches import opened
from trunkline.gateway.door import Failover
from trunkline.types import (
    DataClass,
    Delta,
    Finish,
    Mono,
    Prompt,
    TextDelta,
    ToolCallDelta,
    Usage,
    Where,
)

log = logging.getLogger(__name__)

_THEIRS = re.compile(r"HTTP (400|413|422)\b")
"""A refusal of what the client asked, which says nothing about the endpoint."""


@dataclass(frozen=True, slots=True)
class ChatModel:
    """A name that clients ask for, and who serves it."""

    name: str
    stages: tuple[LlmStage, ...]
    hold: Hold = "none"
    language: str = "en"
    policy: words.AttemptPolicy = field(default_factory=words.AttemptPolicy)
    paths = "/v1/chat/completions and /v1/responses"


class Outbox(Protocol):
    """Where the answer goes; nothing here waits."""

    @property
    def full(self) -> bool:
        """Whether the client has to read before more is written."""
        ...

    def say(self, pieces: Sequence[str], /) -> None:
        """More text."""
        ...

    def tool(self, delta: ToolCallDelta, /) -> None:
        """A part of a tool call."""
        ...


@dataclass(slots=True)
class Try:
    """One attempt, as it is told afterwards; *said*: tokens of it that the client has."""

    stage: LlmStage
    kind: words.Kind
    task: asyncio.Task[None] | None = None
    fault: Fault | None = None
    error: Failure | None = None
    usage: Usage | None = None
    said: int = 0
    silent_s: float = 0.0
    done: bool = False
    ended: bool = False

    @property
    def name(self) -> str:
        """Its endpoint."""
        return self.stage.endpoint.name


class Exchange:
    """Asks the endpoints of *model* for *prompt* and writes the answer to *outbox*."""

    def __init__(
        self,
        model: ChatModel,
        prompt: Prompt,
        *,
        router: Router,
        state: CallState,
        where: Where,
        outbox: Outbox,
        clock: Callable[[], float],
    ) -> None:
        self._model, self._prompt, self._where = model, prompt, where
        self._router, self._state, self._outbox, self._clock = router, state, outbox, clock
        self.tries: list[Try] = []
        self.failovers: list[Failover] = []
        self.end: words.Settle | None = None
        self._leader: int | None = None
        self._wake: asyncio.Future[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._news = self._held_up = self.left = False
        self._room = asyncio.Event()

    @property
    def served_by(self) -> str:
        """The endpoint that leads, "" if none does."""
        return "" if self._leader is None else self.tries[self._leader].name

    @property
    def usage(self) -> Usage | None:
        """What the endpoint told that finished, and the tokens that others had said before it."""
        last = None if self.end is None or self.end.lane is None else self.tries[self.end.lane]
        if last is None or last.usage is None:
            return None
        others = sum(it.said for it in self.tries if it is not last)
        return replace(last.usage, completion_tokens=last.usage.completion_tokens + others)

    def leave(self) -> None:
        """The client is gone: all attempts end at once."""
        self.left = True
        self._rouse()

    async def run(self, flush: Callable[["Exchange"], Awaitable[bool]]) -> None:
        """Until the answer is complete, nobody is left to ask, or the client has `left`.

        *flush* sends what is in the outbox and says whether the client is still there; with `end`
        set it is called for the last time.
        """
        model, now = self._model, self._now()
        stages = {stage.endpoint.name: stage for stage in model.stages}
        plan = self._router.plan(list(stages), None, self._state, now, model.policy)
        self._stages = [stages[name] for name in plan.candidates]
        exact = frozenset(n for n, it in stages.items() if it.endpoint.continuation != "turn")
        self._machine = Relay(model.policy, plan, self._state.purse, exact=exact, hold=model.hold)
        try:
            await self._answer(flush)
        finally:
            self._unset()

    async def _answer(self, flush: Callable[["Exchange"], Awaitable[bool]]) -> None:
        async with asyncio.TaskGroup() as group:
            self._group = group
            self._feed(words.Begin(language=self._model.language))
            over = False
            while not over and not self.left:
                await self._wait()
                over, began = self.end is not None, self._clock()
                if not await flush(self):
                    self.left = True
                if self._held_up:
                    self._machine.paused(self._clock() - began)
                    self._held_up = False
                    self._room.set()
            if self.left:
                for attempt in self.tries:
                    self._stop(attempt, "the client left")

    # -- facts ---------------------------------------------------------------------------------

    def _now(self) -> Mono:
        return Mono(self._clock())

    async def _wait(self) -> None:
        """Until there is news for the client, or the machine has something to do.

        One timer serves the whole answer: each token moves the deadline away, and to make another
        timer for each costs more than to be woken now and then for nothing.
        """
        loop = asyncio.get_running_loop()
        while not self._stirred():
            due = self._machine.deadline()
            if due is not None and self._clock() >= due:
                self._feed(words.Tick())
                if self._stirred():
                    break
                due = self._machine.deadline()
            if due is not None and (self._timer is None or due < self._timer.when()):
                self._unset()
                self._timer = loop.call_at(due, self._due)
            self._wake = loop.create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        self._news = False

    def _stirred(self) -> bool:
        return self._news or self.left or self.end is not None

    def _due(self) -> None:
        self._timer = None
        self._rouse()

    def _unset(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)

    def _feed(self, fact: words.Fact, pieces: Sequence[str] = ()) -> None:
        """Tell the machine, and do what it says; *pieces*: the tokens that the text came in."""
        for act in self._machine.feed(fact, self._now()):
            match act:
                case words.Say(number, text):
                    exact = pieces if pieces and text == "".join(pieces) else (text,)
                    self.tries[number].said += len(exact)
                    self._outbox.say(exact)
                    self._news = True
                case words.Launch():
                    self._launch(act)
                case words.Settle():
                    self._settle(act)
                case _:
                    self._perform(act)

    def _launch(self, launch: words.Launch) -> None:
        stage, language = self._stages[launch.candidate], self._model.language
        sent, how = launch.committed, stage.endpoint.continuation
        prompt, fragment = self._prompt, ""
        if sent:
            fragment = sentences(sent)[1] if how == "turn" else ""
            prompt = rejoining(prompt, sent, how, language, fragment)
            if prompt.max_tokens is not None:
                # What was sent counts, and what is to be written again does not.
                left = prompt.max_tokens - sum(it.said for it in self.tries)
                prompt = replace(prompt, max_tokens=max(1, left + len(fragment) // 3))
        number, attempt = len(self.tries), Try(stage, launch.kind)
        self.tries.append(attempt)
        attempt.task = self._group.create_task(self._attempt(number, attempt, prompt))

    async def _attempt(self, number: int, attempt: Try, prompt: Prompt) -> None:
        context = Context(replace(self._where, attempt=number), DataClass.PROMPT)
        try:
            async with opened(attempt.stage, prompt, context) as batches:
                async for deltas in batches:
                    self._take(number, deltas)
                    self._rouse()
                    if attempt.done or self.end is not None:
                        return
                    while self._outbox.full:
                        self._room.clear()
                        self._held_up = True
                        await self._room.wait()
            detail = "the stream ended without a finish reason"
            self._broke(number, attempt, EndpointError(attempt.name, Fault.CUT, detail))
        except (EndpointError, EgressRefused) as error:
            self._broke(number, attempt, error)
        except InputError as error:  # what the client asked cannot be said in this protocol
            detail = f"HTTP 400, before it was sent: {error}"
            self._broke(number, attempt, EndpointError(attempt.name, Fault.REFUSED, detail))

    def _broke(self, number: int, attempt: Try, error: Failure) -> None:
        if attempt.ended:
            return
        attempt.fault, attempt.ended = fault_of(error), True
        self._failed(attempt, error)
        self._feed(words.Failed(number, attempt.fault, str(error)))
        self._rouse()

    def _take(self, number: int, deltas: Sequence[Delta]) -> None:
        pieces: list[str] = []
        for delta in deltas:
            if isinstance(delta, TextDelta):
                pieces.append(delta.text)
                continue
            if pieces:
                self._feed(words.Text(number, "".join(pieces)), pieces)
                pieces = []
            if isinstance(delta, ToolCallDelta):
                self._feed(words.ToolPart(number, delta))
                if self._machine.tools_from == number:
                    self._outbox.tool(delta)
                    self._news = True
            else:
                self._finished(number, delta)
                return
        if pieces:
            self._feed(words.Text(number, "".join(pieces)), pieces)

    def _finished(self, number: int, finish: Finish) -> None:
        attempt = self.tries[number]
        attempt.usage, attempt.done = finish.usage, True
        self._feed(words.Ended(number, finish.reason))

    # -- acts ----------------------------------------------------------------------------------

    def _perform(
        self, act: words.Cancel | words.Suspect | words.Elect | words.Measured | words.Fill
    ) -> None:
        match act:
            case words.Elect(number, instead_of):
                self._elect(number, instead_of)
            case words.Measured(number, what, seconds, times):
                self._measured(number, what, seconds, times)
            case words.Suspect(number, fault, silent_s, _):
                self.tries[number].fault = fault
                self.tries[number].silent_s = silent_s
            case words.Cancel(number, why, fault):
                self.tries[number].fault = fault or self.tries[number].fault
                self._stop(self.tries[number], why)
            case words.Fill():
                pass  # a reader is not kept company

    def _elect(self, number: int, instead_of: int | None) -> None:
        """Another endpoint than the first one tried has taken over."""
        self._leader = number
        new = self.tries[number]
        before = number - 1 if instead_of is None and number else instead_of or 0
        old = self.tries[before]
        if new is old:
            return
        fault = old.fault or Fault.SILENT
        how = "again" if new.name == old.name else f"for {old.name}"
        log.warning("%s: %s %s (%s)", self._where.call, new.name, how, fault.value)
        tried = tuple(dict.fromkeys(it.name for it in self.tries[before + 1 : number]))
        self.failovers.append(Failover(old.name, new.name, fault, new.kind, tried))

    def _measured(self, number: int, what: Measure, seconds: float, times: int) -> None:
        """The router learns it; of an attempt that was made because another was late, twice."""
        attempt, first = self.tries[number], self.tries[0]
        state = self._router.observe(attempt.name, what, seconds, self._now(), times)
        self._changed(attempt, state, what.value)
        asked_for_it = attempt.kind not in {words.Kind.PRIMARY, words.Kind.CONTINUE}
        if asked_for_it and first.name != attempt.name and what in _PAIRED:
            self._router.paired(first.name, attempt.name, slow=what is Measure.SLOW)

    def _stop(self, attempt: Try, why: str) -> None:
        """Cancel an attempt. One that was silent when another was first counts as a failure."""
        if attempt.task is not None:
            attempt.task.cancel()
        if attempt.ended:
            return
        attempt.ended = True
        if attempt.fault is None:
            return
        error = EndpointError(attempt.name, attempt.fault, why, deadline_s=attempt.silent_s)
        # Silence before the first token was measured as time; it is no fault on top of that. Words
        # that do not join on to another's are no fault of the service.
        self._failed(attempt, error, booked=attempt.fault in {Fault.SILENT, Fault.MALFORMED})

    def _settle(self, end: words.Settle) -> None:
        self.end = end
        for number, attempt in enumerate(self.tries):
            if number == end.lane and end.reason != "failed" and not attempt.ended:
                attempt.ended = True
                self._router.served(attempt.name, self._now())
            elif not attempt.ended:
                self._stop(attempt, "the answer is complete")

    def _failed(self, attempt: Try, error: Failure, *, booked: bool = False) -> None:
        """The attempt failed. *booked*: routing knows already."""
        attempt.error = error
        told = in_log(attempt.stage.endpoint, error)
        log.warning("%s: %s", self._where.call, told)
        fault = fault_of(error)
        # Asked to go on after a whole answer, a model has nothing to add, and rightly so.
        empty = fault is Fault.EMPTY and bool(self._machine.committed)
        if empty or theirs(error):
            return
        self._state.failed(attempt.name, fault)
        if not booked:
            pause_s = error.retry_after_s if isinstance(error, EndpointError) else None
            state = self._router.failed(attempt.name, fault, self._now(), pause_s)
            self._changed(attempt, state, told)

    def _changed(self, attempt: Try, state: Breaker | None, why: str) -> None:
        if state is not None:
            page = state is Breaker.MISCONFIGURED
            mend = " Mend its configuration and restart the worker" if page else ""
            level = logging.CRITICAL if page else logging.ERROR
            log.log(level, "endpoint %s is %s: %s.%s", attempt.name, state.value, why, mend)


_PAIRED = {Measure.FIRST, Measure.SLOW}


def theirs(error: Failure) -> bool:
    """Whether an endpoint refused what the client asked, rather than us."""
    if isinstance(error, EgressRefused) or error.fault is not Fault.REFUSED:
        return False
    return _THEIRS.match(error.detail) is not None
