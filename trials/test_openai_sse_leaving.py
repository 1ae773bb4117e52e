"""A client that leaves a stream early, and a server that must notice.

Measured and printed: how soon it does.
"""

import asyncio
import statistics
import time

import pytest

from trials.openai_rig import PROMPT, Rig, collect, context, eventually, fault, rig, server
from trunkline.testing.openai_server import OpenAIServer, RequestRecord


async def _leave(how: str, r: Rig, s: OpenAIServer) -> tuple[float, RequestRecord]:
    """Leave an answer at its fifth token, by `break` or by cancellation: when, and the record."""
    turn, left = len(s.requests) + 1, 0.0

    async def hear() -> None:
        nonlocal left
        async with r.stage(s.base_url).open(PROMPT, context()) as deltas:
            said = 0
            async for _ in deltas:
                said += 1
                if said == 5 and how == "break":
                    left = time.monotonic()
                    break

    task = asyncio.ensure_future(hear())
    if how == "cancel":
        await eventually(lambda: len(s.requests) == turn and s.requests[-1].tokens >= 5, 3)
        left = time.monotonic()
        task.cancel()
    await asyncio.wait({task}, timeout=3)
    assert task.done()
    assert time.monotonic() - left < 0.05, "leaving hung"
    assert len(s.requests) == turn
    await eventually(lambda: s.requests[-1].ended != "")
    return left, s.requests[-1]


@pytest.mark.parametrize("how", ["break", "cancel"])
def test_server_notices_that_the_client_left(how: str) -> None:
    """Within 100 ms, whether the caller broke off or was cancelled."""

    async def main() -> list[float]:
        noticed = []
        async with rig() as r, server(law="self_hosted_8b") as s:
            for _ in range(20):
                left, record = await _leave(how, r, s)
                assert record.ended == f"cancelled at token {record.tokens}"
                assert 5 <= record.tokens < 30
                noticed.append(record.ended_mono - left)
        return noticed

    noticed = asyncio.run(main())
    middle, worst = statistics.median(noticed) * 1e3, max(noticed) * 1e3
    print(f"noticed after {how}: median {middle:.2f} ms, max {worst:.2f} ms")
    assert min(noticed) > 0
    assert worst < 100


@pytest.mark.parametrize("kind", ["hang", "headers_only"])
def test_cancel_before_the_first_token(kind: str) -> None:
    """Cancelling an attempt at a silent provider returns at once and tells the provider."""

    async def main() -> None:
        async with rig() as r, server(fault(kind=kind)) as s:
            task = asyncio.ensure_future(collect(r.stage(s.base_url), context()))
            await eventually(lambda: bool(s.requests))
            await asyncio.sleep(0.05)
            task.cancel()
            left = time.monotonic()
            await asyncio.wait({task}, timeout=1)
            assert task.cancelled()
            assert time.monotonic() - left < 0.05
            await eventually(lambda: s.requests[0].ended == "cancelled at token 0", 0.1)

    asyncio.run(main())
