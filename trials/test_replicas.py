"""Two servers of one model behind one endpoint, over real sockets: balance, failure, queues."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from trials.openai_rig import ANSWER, PROMPT, Rig, context, fault, rig, server, text
from trunkline.errors import EndpointError, Fault
from trunkline.net.replicas import ReplicatedStage
from trunkline.types import Delta, Prompt

Pair = ReplicatedStage[Prompt, Delta]


@asynccontextmanager
async def replicated(r: Rig, urls: Sequence[str], retried: list[int]) -> AsyncIterator[Pair]:
    """An endpoint with replicas at *urls*."""
    stages = [r.stage(url) for url in urls]
    draws = random.Random(1)  # noqa: S311  # the same each time
    made = ReplicatedStage(stages, lambda: retried.append(1), draws)
    await made.start()
    try:
        yield made
    finally:
        await made.close()


async def said(stage: Pair) -> str:
    async with stage.open(PROMPT, context()) as deltas:
        return text([delta async for delta in deltas])


@pytest.mark.ci
def test_requests_are_spread_and_a_dead_replica_is_left_out() -> None:
    """Each is answered; what fails before its first token is asked elsewhere, and counted."""

    async def main() -> None:
        retried: list[int] = []
        one, two = server(law="self_hosted_8b"), server(law="self_hosted_8b")
        async with rig() as r, one, two:  # noqa: SIM117  # only then their addresses are known
            async with replicated(r, [one.base_url, two.base_url], retried) as stage:
                async with asyncio.TaskGroup() as group:
                    tasks = [group.create_task(said(stage)) for _ in range(20)]
                assert {task.result() for task in tasks} == {ANSWER}
                shares = len(one.requests), len(two.requests)
                assert sum(shares) == 20
                assert min(shares) >= 7, shares
                assert retried == []
                await two.__aexit__(None, None, None)
                for _ in range(10):
                    assert await said(stage) == ANSWER
                assert 1 <= len(retried) <= 2, "it was tried, and left out then"

    asyncio.run(main())


@pytest.mark.ci
@pytest.mark.parametrize("kind", ["status", "cut"])
def test_only_when_all_fail_does_the_endpoint(kind: str) -> None:
    """With the fault of the last one tried; a failure after the first token is never repeated."""

    async def main() -> None:
        retried: list[int] = []
        sick = fault(kind="status", status=503) if kind == "status" else fault(kind="cut")
        late = fault(kind="cut", after_tokens=3)
        for how, repeats, requests in ((sick, 1, 2), (late, 0, 1)):
            retried.clear()
            one, two = server(how), server(how)
            async with rig() as r, one, two:
                async with replicated(r, [one.base_url, two.base_url], retried) as stage:
                    with pytest.raises(EndpointError) as caught:
                        await said(stage)
                assert caught.value.fault in {Fault.UNAVAILABLE, Fault.CUT}
                assert len(retried) == repeats
                assert len(one.requests) + len(two.requests) == requests

    asyncio.run(main())


FIGURES = """\
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_waiting{engine="0",model_name="m"} 40.0
vllm:num_requests_running{engine="0",model_name="m"} 16.0
"""
DELTA = 'data: {"choices": [{"index": 0, "delta": %s, "finish_reason": %s}]}\n\n'
SAID = DELTA % ('{"content": "Yes."}', "null") + DELTA % ("{}", '"stop"') + "data: [DONE]\n\n"


@asynccontextmanager
async def engine(*, figures: str) -> AsyncIterator[tuple[str, list[object]]]:
    """A model that says yes, and what it tells of itself; its address, and the requests it got."""
    asked: list[object] = []

    async def chat(request: web.Request) -> web.Response:
        asked.append(await request.json())
        return web.Response(text=SAID, content_type="text/event-stream")

    async def metrics(request: web.Request) -> web.Response:
        assert "Authorization" not in request.headers, "the key is no monitor's"
        return web.Response(text=figures) if figures else web.Response(status=404)

    app = web.Application()
    app.router.add_post("/v1/chat/completions", chat)
    app.router.add_get("/metrics", metrics)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}/v1", asked
    finally:
        await runner.cleanup()


@pytest.mark.ci
def test_a_replica_whose_queue_is_long_gets_nothing() -> None:
    """By its own figures, as vLLM has them; whoever has none is taken as it is known here."""

    async def main() -> None:
        async with (
            rig() as r,
            engine(figures=FIGURES) as (busy, asked),
            engine(figures="") as (idle, _),
            replicated(r, [busy, idle], []) as stage,
        ):
            for _ in range(6):
                assert await said(stage) == "Yes."
            assert asked, "without figures both are alike"
            await asyncio.sleep(2.6)  # a look at the figures
            before = len(asked)
            for _ in range(20):
                assert await said(stage) == "Yes."
            assert len(asked) == before

    asyncio.run(main())
