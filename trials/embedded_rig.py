"""Endpoints of the embedded engines, and a real loop with a bound."""

import asyncio
from collections.abc import Awaitable, Callable

from trunkline.contracts import Context
from trunkline.types import CallId, DataClass, Endpoint, StageName, Where, Zone

CONTEXT = Context(Where(CallId("call")), DataClass.AUDIO)
HERE = Zone("here", "self_hosted", "x", "eu", "us", "none", False, False, frozenset(DataClass))


def endpoint(stage: StageName) -> Endpoint:
    return Endpoint("local", stage, "embedded", "engine", HERE, "this machine")


def timed(test: Callable[[], Awaitable[None]]) -> None:
    """Run *test* on a real loop, for 60 s at most."""

    async def main() -> None:
        async with asyncio.timeout(60):
            await test()

    asyncio.run(main())
