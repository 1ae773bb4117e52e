"""Several servers of one model behind one endpoint: `core.replicas` decides, here is the network.

A request that fails before its first output is sent once more, to another replica, and at most to
`TRIES` in all: nothing was said that could be said twice. So routing sees one fault, and only when
nobody could answer; the worker's budget counts each repeat. After the first output all failures
are the endpoint's, as without replicas.

Every `SCRAPE_S` each replica is asked for its own figures, at `/metrics` of its address, as vLLM
and Text Generation Inference have them, and SGLang with `--enable-metrics` (names from their pages
on metrics, November 2026). One that has none is asked again after `NONE_S`. While nobody is served,
nobody is asked.
"""

import asyncio
import random
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from typing import Generic, TypeVar

from trunkline.contracts import Context
from trunkline.core.replicas import Replicas
from trunkline.errors import EndpointError, Fault
from trunkline.net.http import SseStage
from trunkline.types import CallId, DataClass, Endpoint, Where

In = TypeVar("In")
Out = TypeVar("Out")

TRIES = 3
SCRAPE_S = 2.0
NONE_S = 60.0
IDLE_S = 30.0
"""After the last request figures are of no use to anybody."""
WHERE = Where(CallId("metrics"))
ELSEWHERE = {Fault.UNREACHABLE, Fault.UNAVAILABLE, Fault.CUT, Fault.THROTTLED, Fault.MALFORMED}
"""Faults of a server; the others are of the request, or of the model."""
_RUNNING = rb"vllm:num_requests_running|sglang:num_running_reqs|tgi_batch_current_size"
_WAITING = rb"vllm:num_requests_waiting|sglang:num_queue_reqs|tgi_queue_size"
_FIGURES = re.compile(
    rb"^(?:(?P<running>" + _RUNNING + rb")|" + _WAITING + rb")(?:\{[^}\n]*\})?[ \t]+"
    rb"(?P<value>[0-9]{1,9})(?:\.[0-9]*)?(?:[ \t]|$)",
    re.MULTILINE,
)


def figures(text: bytes) -> tuple[int, int] | None:
    """(running, waiting) in *text*, of the Prometheus exposition format; None: it tells neither.

    Over all engines behind one address, which have a line each.
    """
    running = waiting = found = 0
    for line in _FIGURES.finditer(text):
        found += 1
        if line["running"]:
            running += int(line["value"])
        else:
            waiting += int(line["value"])
    return (running, waiting) if found else None


class ReplicatedStage(Generic[In, Out]):
    """*replicas*, stages of one endpoint, as one stage; *retried* is told of each repeat."""

    def __init__(
        self,
        replicas: Sequence[SseStage[In, Out]],
        retried: Callable[[], None],
        rng: random.Random | None = None,
    ) -> None:
        self._stages, self._retried = replicas, retried
        self._rng = rng or random.Random()  # noqa: S311  # balancing, no secret
        self._replicas = Replicas(len(replicas))
        self._scraping: asyncio.Task[None] | None = None

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._stages[0].endpoint

    @property
    def honours(self) -> frozenset[str] | None:
        """The options that their codec knows how to say, None: all."""
        return self._stages[0].honours

    @property
    def used_at(self) -> float:
        """When one of them was last asked (monotonic seconds)."""
        return max(stage.used_at for stage in self._stages)

    @property
    def warm(self) -> bool:
        """Whether connections are to be kept while nobody needs them."""
        return self._stages[0].warm

    async def touch(self, context: Context) -> bool:
        """Keep a connection to each warm; whether there was one to all."""
        results = [await stage.touch(context) for stage in self._stages]
        return all(results)

    async def start(self) -> None:
        """Begin to ask for figures."""
        self._scraping = asyncio.get_running_loop().create_task(self._scrape())

    async def close(self) -> None:
        """Ask no more; idempotent."""
        if self._scraping is not None:
            self._scraping.cancel()
            await asyncio.wait({self._scraping})

    @asynccontextmanager
    async def open(self, source: In, context: Context, /) -> AsyncIterator[AsyncIterator[Out]]:
        """Ask a replica for *source*, another if it fails before its first output."""
        refused: list[int] = []
        async with AsyncExitStack() as stack:
            outputs = await self._begun(source, context, stack, refused)
            async with aclosing(outputs):
                yield outputs

    async def _begun(
        self, source: In, context: Context, stack: AsyncExitStack, refused: list[int]
    ) -> AsyncGenerator[Out, None]:
        """The outputs of the first replica that has one; raises what the last one tried did."""
        clock = asyncio.get_running_loop().time
        failure: EndpointError | None = None
        while len(refused) < TRIES:
            draws = self._rng.random(), self._rng.random()
            at = self._replicas.pick(draws, clock(), refused)
            if at is None:
                break
            if failure is not None:
                self._retried()
            attempt = AsyncExitStack()
            began = clock()
            try:
                self._replicas.started(at)
                attempt.callback(self._replicas.ended, at)
                outputs = await attempt.enter_async_context(self._stages[at].open(source, context))
                first = [output async for output in _first(outputs)]
            except EndpointError as error:
                await attempt.aclose()
                self._failed(at, error, clock())
                if error.fault not in ELSEWHERE:
                    raise
                failure = error
                refused.append(at)
            except BaseException:
                await attempt.aclose()
                self._replicas.abandoned(at, clock() - began, clock())
                raise
            else:
                self._replicas.answered(at, clock() - began, clock())
                stack.push_async_exit(attempt.pop_all())
                return _joined(first, outputs)
        if failure is not None:
            raise failure
        name = self.endpoint.name
        raise EndpointError(name, Fault.THROTTLED, "all replicas are at their limits")

    def _failed(self, at: int, error: EndpointError, now: float) -> None:
        if error.fault is Fault.THROTTLED:
            self._replicas.pushed_back(at, now, error.retry_after_s)
        elif error.fault in ELSEWHERE:
            self._replicas.failed(at, now, surely=error.fault is Fault.UNREACHABLE)

    async def _scrape(self) -> None:
        """Ask each replica for its figures while some are served, until cancelled."""
        clock = asyncio.get_running_loop().time
        again = [0.0] * len(self._stages)
        while True:
            await asyncio.sleep(SCRAPE_S * self._rng.uniform(0.8, 1.2))
            if clock() > self.used_at + IDLE_S:
                continue
            due = [at for at, when in enumerate(again) if clock() >= when]
            async with asyncio.TaskGroup() as group:
                tasks = {at: group.create_task(self._asked(at)) for at in due}
            for at, task in tasks.items():
                if not task.result():
                    again[at] = clock() + NONE_S

    async def _asked(self, at: int) -> bool:
        """Whether replica *at* has figures; one that does not answer may have some next time."""
        try:
            text = await self._stages[at].metrics(Context(WHERE, DataClass.PROMPT))
        except EndpointError:
            return True
        told = figures(text)
        if told is not None:
            self._replicas.told(at, *told, asyncio.get_running_loop().time())
        return told is not None


async def _first(outputs: AsyncIterator[Out]) -> AsyncIterator[Out]:
    async for output in outputs:
        yield output
        return


async def _joined(first: Sequence[Out], rest: AsyncIterator[Out]) -> AsyncGenerator[Out, None]:
    for output in first:
        yield output
    async for output in rest:
        yield output
