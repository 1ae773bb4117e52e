"""Replicas behind one endpoint: figures are read, failures before the first output repeated."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import cast

import pytest

from trunkline.contracts import Context
from trunkline.core.replicas import LIMIT
from trunkline.errors import EndpointError, Fault
from trunkline.net.http import SseStage
from trunkline.net.replicas import NONE_S, SCRAPE_S, TRIES, ReplicatedStage, figures
from trunkline.testing.simulated import HERE
from trunkline.types import LLM, CallId, DataClass, Endpoint, Where

CONTEXT = Context(Where(CallId("c")), DataClass.PROMPT)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"", None),
        (b"# HELP vllm:num_requests_waiting Number\nprocess_cpu_seconds_total 3\n", None),
        (b'vllm:num_requests_running{model_name="m"} 2.0\nvllm:num_requests_waiting 1\n', (2, 1)),
        (
            b'vllm:num_requests_waiting{engine="0"} 1.0\nvllm:num_requests_waiting{engine="1"} 2\n',
            (0, 3),
        ),
        (b'sglang:num_queue_reqs{model_name="a/b"} 7.0\nsglang:num_running_reqs{} 3.0', (3, 7)),
        (b"tgi_queue_size 4\ntgi_batch_current_size 2 1700000000000\n", (2, 4)),
        (b"tgi_queue_size NaN\nmy_tgi_queue_size 9\n", None),
    ],
)
def test_the_figures_of_three_servers_are_read(text: bytes, told: tuple[int, int] | None) -> None:
    """vLLM, SGLang and Text Generation Inference, summed over the engines behind one address."""
    assert figures(text) == told


class Server:
    """A replica that says *said* after *first_s*, or fails, first with *fails*."""

    def __init__(self, fails: Sequence[Exception] = (), first_s: float = 0.1) -> None:
        self.endpoint = Endpoint("mind", LLM, "openai", "m", HERE, "a")
        self.fails, self.first_s = list(fails), first_s
        self.asked = self.open_streams = self.looked = 0
        self.page: bytes | Exception = b""
        self.used_at, self.warm = float("-inf"), True

    @asynccontextmanager
    async def open(self, source: object, context: Context) -> AsyncIterator[AsyncIterator[str]]:
        """Answer."""
        self.asked += 1
        self.used_at = asyncio.get_running_loop().time()
        self.open_streams += 1
        try:
            yield self._said()
        finally:
            self.open_streams -= 1

    async def _said(self) -> AsyncIterator[str]:
        await asyncio.sleep(self.first_s)
        if self.fails:
            raise self.fails.pop(0)
        yield "Hello"
        yield "there."

    async def touch(self, context: Context) -> bool:
        """Warm."""
        return self.asked > 0

    async def metrics(self, context: Context) -> bytes:
        """Its page."""
        self.looked += 1
        if isinstance(self.page, Exception):
            raise self.page
        return self.page


class House:
    """An endpoint of *servers*."""

    def __init__(self, *servers: Server) -> None:
        self.retried = 0
        stages = cast("Sequence[SseStage[str, str]]", servers)
        draws = random.Random(2)  # noqa: S311  # the same each time
        self.stage = ReplicatedStage(stages, self.again, draws)

    def again(self) -> None:
        """A request was repeated."""
        self.retried += 1

    async def said(self) -> str:
        """The answer to a request."""
        async with self.stage.open("hi", CONTEXT) as outputs:
            return " ".join([output async for output in outputs])


def sick(fault: Fault, times: int = 99, retry_after_s: float | None = None) -> Server:
    """A server that fails."""
    return Server([EndpointError("mind", fault, "as told", retry_after_s=retry_after_s)] * times)


@pytest.mark.parametrize(
    "fault", [Fault.UNREACHABLE, Fault.UNAVAILABLE, Fault.CUT, Fault.THROTTLED, Fault.MALFORMED]
)
async def test_what_one_server_cannot_answer_another_does(fault: Fault) -> None:
    """Whoever asked notices nothing; the repeat is counted."""
    ill, well = sick(fault), Server()
    house = House(ill, well)
    for _ in range(6):
        assert await house.said() == "Hello there."
    assert house.retried == ill.asked >= 1
    assert (ill.open_streams, well.open_streams) == (0, 0)


async def test_what_the_request_is_to_blame_for_is_not_repeated() -> None:
    """The others would refuse it, too."""
    servers = [sick(Fault.REFUSED), sick(Fault.REFUSED)]
    house = House(*servers)
    with pytest.raises(EndpointError, match="as told"):
        await house.said()
    assert (house.retried, sum(it.asked for it in servers)) == (0, 1)


async def test_the_endpoint_fails_when_enough_have() -> None:
    """Once, with the last one's fault, however many there are."""
    servers = [sick(Fault.UNAVAILABLE) for _ in range(5)]
    house = House(*servers)
    with pytest.raises(EndpointError) as caught:
        await house.said()
    assert caught.value.fault is Fault.UNAVAILABLE
    assert sum(it.asked for it in servers) == TRIES == house.retried + 1


async def test_all_at_their_limits_is_pushback() -> None:
    """Routing asks another endpoint then; nobody queues here."""
    house = House(Server(first_s=5.0))
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(house.said()) for _ in range(int(LIMIT))]
        await asyncio.sleep(1.0)
        with pytest.raises(EndpointError) as caught:
            await house.said()
        assert caught.value.fault is Fault.THROTTLED
    assert {task.result() for task in tasks} == {"Hello there."}
    assert await house.said() == "Hello there."


async def test_one_that_is_frozen_is_left_out_though_it_says_nothing() -> None:
    """Its callers leave, and that tells."""
    frozen, well = Server(first_s=1e4), Server()
    house = House(frozen, well)
    for _ in range(12):
        try:
            async with asyncio.timeout(1.2):
                await house.said()
        except TimeoutError:
            pass
    assert frozen.asked <= 4
    assert well.asked >= 8
    assert frozen.open_streams == 0


async def test_figures_are_asked_for_while_somebody_is_served() -> None:
    """At a bounded rate; a server that has none is asked again after a minute."""
    telling, mute, ill = Server(), Server(), Server()
    telling.page = b"vllm:num_requests_waiting 0\n"
    ill.page = EndpointError("mind", Fault.UNREACHABLE, "refused")
    house = House(telling, mute, ill)
    await house.stage.start()
    await asyncio.sleep(300.0)
    assert (telling.looked, mute.looked, ill.looked) == (0, 0, 0)
    for _ in range(100):
        await house.said()
        await asyncio.sleep(1.0)
    await house.stage.close()
    await house.stage.close()
    assert 100 / SCRAPE_S * 0.7 <= telling.looked <= 100 / SCRAPE_S * 1.3
    assert 1 <= mute.looked <= 1 + 100 / NONE_S + 1
    assert ill.looked == telling.looked


async def test_it_is_warm_when_all_its_servers_are() -> None:
    """And was used when one of them was."""
    one, two = Server(), Server()
    house = House(one, two)
    assert not await house.stage.touch(CONTEXT)
    one.asked = two.asked = 1
    assert await house.stage.touch(CONTEXT)
    assert house.stage.warm
    two.used_at = 7.0
    assert house.stage.used_at == 7.0
    assert house.stage.endpoint.name == "mind"
