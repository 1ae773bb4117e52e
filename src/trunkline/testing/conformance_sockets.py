"""What every stage of speech over a network must do, as laws that take it and a server for it.

The server is one of the protocol that can suffer the faults of `testing.faults`; the laws take real
time and real sockets.

    @pytest.mark.parametrize("law", SOCKET_LAWS, ids=lambda law: law.__name__)
    def test_laws(law): asyncio.run(law(Adapter(...)))

A law that does not hold raises `Unlawful`, an `AssertionError`.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from typing_extensions import override

from trunkline.contracts import Context, Stage
from trunkline.errors import EndpointError, Fault
from trunkline.testing.conformance import Unlawful, hold
from trunkline.testing.faults import FaultScript
from trunkline.testing.speech_server import SpeechServer
from trunkline.types import CallId, DataClass, Mono, Where

In = TypeVar("In")
Out = TypeVar("Out")

LEFT_S = 1.0
"""Within which a server must have noticed that its client left."""


@dataclass(frozen=True, slots=True)
class Adapter(Generic[In, Out]):
    """A stage and its server.

    *stage* takes the server's base URL and connects within a second, with *key*. *source* is a
    request whose answer has at least four messages, *endless* one that goes on for ever at the pace
    of a call. *check* raises if outputs are not the whole answer. *empty*: what it means to the
    stage when a server finishes without having said a word (None: that is an answer).

    What holds for a WebSocket may not hold for other protocols. *told*: the faults that are told as
    something else (None: by this protocol nobody can tell them). *gathers*: the source is taken
    whole before anything is asked, up to a bound. *aborts*: that nobody listens any more is told by
    dropping the connection.
    """

    server: Callable[[Sequence[FaultScript]], SpeechServer]
    stage: Callable[[str], Stage[AsyncIterator[In], Out]]
    source: Callable[[], AsyncIterator[In]]
    endless: Callable[[], AsyncIterator[In]]
    check: Callable[[Sequence[Out]], None]
    data_class: DataClass
    key: str
    empty: Fault | None = Fault.EMPTY
    told: Mapping[str, Fault | None] = field(default_factory=dict)
    gathers: bool = False
    aborts: bool = False

    def context(self, within_s: float | None = None) -> Context:
        """The context of an attempt whose caller stops waiting after *within_s* seconds."""
        deadline = None
        if within_s is not None:
            deadline = Mono(asyncio.get_running_loop().time() + within_s)
        return Context(Where(CallId("conformance"), 0, 0, 0), self.data_class, deadline)

    async def ask(
        self,
        stage: Stage[AsyncIterator[In], Out],
        outputs: list[Out],
        within_s: float | None = None,
    ) -> None:
        """One request; *outputs* has what came, also if it fails."""
        async with stage.open(self.source(), self.context(within_s)) as stream:
            async for output in stream:
                outputs.append(output)  # noqa: PERF401  # it is to have them when the next one fails


FAULTS: Mapping[str, tuple[Mapping[str, object], Fault]] = {
    "status_401": ({"kind": "status", "status": 401, "body": "bad key {key}"}, Fault.REFUSED),
    "status_429": ({"kind": "status", "status": 429, "retry_after_s": 7}, Fault.THROTTLED),
    "status_500": ({"kind": "status"}, Fault.UNAVAILABLE),
    "refuse": ({"kind": "refuse"}, Fault.UNREACHABLE),
    "hang": ({"kind": "hang"}, Fault.UNREACHABLE),
    "headers_only": ({"kind": "headers_only"}, Fault.SILENT),
    "keepalives": ({"kind": "keepalives", "gap_s": 0.02}, Fault.SILENT),
    "stall": ({"kind": "stall", "after_tokens": 2}, Fault.STALLED),
    "drip": ({"kind": "drip", "after_tokens": 2, "gap_s": 1.2}, Fault.STALLED),
    "cut": ({"kind": "cut", "after_tokens": 2}, Fault.CUT),
    "cut_first": ({"kind": "cut"}, Fault.CUT),
    "truncate": ({"kind": "truncate", "after_tokens": 2}, Fault.CUT),
    "malformed": ({"kind": "malformed", "after_tokens": 2}, Fault.MALFORMED),
}
_WAIT_S = 1.5
_FULL_S = 4.0  # the buffers of two sockets hold some seconds of such a flood


async def the_answer_is_whole(adapter: Adapter[Any, Any]) -> None:
    """Time after time."""
    async with adapter.server(()) as server:
        stage = adapter.stage(server.base_url)
        for _ in range(3):
            outputs: list[Any] = []
            await adapter.ask(stage, outputs)
            adapter.check(outputs)


async def each_fault_is_told_as_what_it_is(adapter: Adapter[Any, Any]) -> None:
    """With what was said before it, in time, and without the key in any word of it or any log."""
    with logged() as lines:
        for name, (script, usual) in FAULTS.items():
            expected = adapter.told.get(name, usual)
            if expected is None:
                continue
            body = {"body": str(script["body"]).format(key=adapter.key)} if "body" in script else {}
            began = time.monotonic()
            async with adapter.server([FaultScript.parse({**script, **body})]) as server:
                outputs: list[Any] = []
                error = await _fails(adapter, adapter.stage(server.base_url), outputs)
            took = time.monotonic() - began
            hold(error.fault is expected, f"{name} is told as {error}")
            hold(bool(outputs) == ("after_tokens" in script), f"{name}: it said {outputs}")
            hold(took < _WAIT_S + 1.0, f"{name} took {took:.1f} s")
            told = str(error) + repr(error) + repr(error.__cause__) + repr(error.__context__)
            hold(adapter.key not in told, f"{name} shows the key")
            if expected in {Fault.SILENT, Fault.STALLED}:
                hold(error.deadline_s is not None, f"{name} does not say which deadline passed")
            if name == "status_429":
                hold(error.retry_after_s == 7, f"{name} does not say when to come back")
    hold(not any(adapter.key in line for line in lines), "the key is in the log")


async def an_empty_answer_is_what_it_is(adapter: Adapter[Any, Any]) -> None:
    """A provider that finishes without a word."""
    async with adapter.server([FaultScript.parse({"kind": "empty"})]) as server:
        outputs: list[Any] = []
        if adapter.empty is None:
            await adapter.ask(adapter.stage(server.base_url), outputs, _WAIT_S)
            return
        error = await _fails(adapter, adapter.stage(server.base_url), outputs)
        hold(error.fault is adapter.empty, f"it is told as {error}")


async def the_stage_recovers(adapter: Adapter[Any, Any]) -> None:
    """What broke one request does not touch the next."""
    for script in ({"kind": "cut", "after_tokens": 2}, {"kind": "malformed", "after_tokens": 2}):
        async with adapter.server([FaultScript.parse({**script, "on_request": 1})]) as server:
            stage = adapter.stage(server.base_url)
            await _fails(adapter, stage, [])
            outputs: list[Any] = []
            await adapter.ask(stage, outputs)
            adapter.check(outputs)


async def leaving_tells_the_provider(adapter: Adapter[Any, Any]) -> None:
    """In the middle of an answer, and before it; at once for the one who leaves."""
    for scripts in ([], [FaultScript.parse({"kind": "headers_only"})]):
        async with adapter.server(scripts) as server:
            stage = adapter.stage(server.base_url)
            arrived = asyncio.Event()
            task = asyncio.ensure_future(_listen(adapter, stage, arrived))
            if scripts:
                await _until(lambda s=server: bool(s.requests))  # type: ignore[misc]  # bound now
            else:
                await asyncio.wait_for(arrived.wait(), _WAIT_S)
            left = time.monotonic()
            task.cancel()
            await asyncio.wait({task})
            hold(time.monotonic() - left < 0.1, "leaving took its time")
            await _until(lambda s=server: s.requests[-1].ended != "")  # type: ignore[misc]  # bound now
            connection = server.connections[-1]
            await asyncio.sleep(LEFT_S / 4)
            if (
                connection.ended and not adapter.aborts
            ):  # else it was told by a message, and waits for the next
                hold(connection.close_code == 1000, "it was not told in so many words")


async def a_source_that_fails_fails_as_it_is(adapter: Adapter[Any, Any]) -> None:
    """Its error comes out of the iterator, also while the provider is silent."""

    class OwnError(Exception):
        pass

    async def failing() -> AsyncIterator[Any]:
        async for item in adapter.source():
            yield item
            raise OwnError

    async with adapter.server(()) as server:
        try:
            stage = adapter.stage(server.base_url)
            async with stage.open(failing(), adapter.context(_WAIT_S)) as stream:
                async for _ in stream:
                    pass
        except OwnError:
            return
    raise Unlawful("the source failed, and nobody heard of it")


async def the_source_is_not_read_ahead(adapter: Adapter[Any, Any]) -> None:
    """A provider that takes nothing stops the source: nothing piles up on our side."""
    taken, at_last = 0, 0.0

    async def flood() -> AsyncIterator[Any]:
        nonlocal taken, at_last
        while True:
            async for item in adapter.source():
                taken, at_last = taken + 1, time.monotonic()
                yield item

    async with adapter.server([FaultScript.parse({"kind": "headers_only"})]) as server:
        stage = adapter.stage(server.base_url)
        try:
            async with stage.open(flood(), adapter.context(_FULL_S)) as stream:
                async for _ in stream:
                    pass
        except EndpointError as error:
            bounded = {Fault.REFUSED} if adapter.gathers else {Fault.SILENT, Fault.STALLED}
            hold(error.fault in bounded, f"it is told as {error}")
        before, now = taken, time.monotonic()
        still = adapter.gathers or now - at_last > _FULL_S / 4
        hold(still, f"{taken} items were taken, and it goes on")
        await asyncio.sleep(0.1)
        hold(taken == before, "the source is read on after the end")


async def outputs_wait_for_their_reader(adapter: Adapter[Any, Any]) -> None:
    """Who reads slowly still gets everything."""
    async with adapter.server(()) as server:
        outputs: list[Any] = []
        stage = adapter.stage(server.base_url)
        async with stage.open(adapter.source(), adapter.context()) as stream:
            async for output in stream:
                outputs.append(output)
                await asyncio.sleep(0.02)
    adapter.check(outputs)


SOCKET_LAWS: Sequence[Callable[[Adapter[Any, Any]], Awaitable[None]]] = (
    the_answer_is_whole,
    each_fault_is_told_as_what_it_is,
    an_empty_answer_is_what_it_is,
    the_stage_recovers,
    leaving_tells_the_provider,
    a_source_that_fails_fails_as_it_is,
    the_source_is_not_read_ahead,
    outputs_wait_for_their_reader,
)


async def _fails(
    adapter: Adapter[Any, Any], stage: Stage[Any, Any], outputs: list[Any]
) -> EndpointError:
    try:
        await adapter.ask(stage, outputs, _WAIT_S)
    except EndpointError as error:
        return error
    raise Unlawful(f"it should have failed, and said {outputs}")


async def _listen(
    adapter: Adapter[Any, Any], stage: Stage[Any, Any], arrived: asyncio.Event
) -> None:
    async with stage.open(adapter.endless(), adapter.context()) as stream:
        async for _ in stream:
            arrived.set()


async def _until(check: Callable[[], bool]) -> None:
    async with asyncio.timeout(LEFT_S):
        while True:
            if check():
                return
            await asyncio.sleep(0.002)


class logged(logging.Handler):  # noqa: N801  # used like a function
    """All that is logged meanwhile, as text."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self._lines: list[str] = []

    def __enter__(self) -> list[str]:
        root = logging.getLogger()
        self._level = root.level
        root.addHandler(self)
        root.setLevel(logging.DEBUG)
        return self._lines

    def __exit__(self, *_: object) -> None:
        root = logging.getLogger()
        root.removeHandler(self)
        root.setLevel(self._level)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self._lines.append(self.format(record))
