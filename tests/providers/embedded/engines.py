"""An engine without a process: a function answers what it is sent."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from trunkline.contracts import Context
from trunkline.providers.embedded.child import Exchange
from trunkline.providers.embedded.framing import Kind
from trunkline.types import TTS, CallId, DataClass, Endpoint, StageName, Where, Zone

Answer = Callable[[Kind, bytes], bytes | Exception | None]

CONTEXT = Context(Where(CallId("call")), DataClass.AUDIO)
HERE = Zone("here", "self_hosted", "x", "eu", "us", "none", False, False, frozenset(DataClass))


def endpoint(stage: StageName = TTS) -> Endpoint:
    """An endpoint of this machine."""
    return Endpoint("local", stage, "embedded", "engine", HERE, "this machine")


class FakeEngine:
    """An `Engine`: *answer* gives the result of a frame, None for those that get none."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self.sent: list[tuple[Kind, bytes]] = []
        self.exchanges = 0
        self.open = 0
        self.started = self.closed = 0

    async def start(self) -> None:
        """Count it."""
        self.started += 1

    @asynccontextmanager
    async def exchange(self) -> AsyncIterator[Exchange]:
        """One exchange."""
        self.exchanges += 1
        self.open += 1
        try:
            yield _FakeExchange(self)
        finally:
            self.open -= 1

    async def close(self) -> None:
        """Count it."""
        self.closed += 1

    def answer(self, kind: Kind, payload: bytes) -> bytes | Exception | None:
        """Note what was sent, and answer it."""
        self.sent.append((kind, payload))
        return self._answer(kind, payload)


class _FakeExchange:
    def __init__(self, engine: FakeEngine) -> None:
        self._engine = engine
        self._results: list[bytes | Exception] = []

    def send(self, kind: Kind, payload: bytes = b"", /) -> None:
        if (result := self._engine.answer(kind, payload)) is not None:
            self._results.append(result)

    async def receive(self) -> bytes:
        result = self._results.pop(0)
        if isinstance(result, Exception):
            raise result
        return result
