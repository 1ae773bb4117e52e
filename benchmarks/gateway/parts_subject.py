"""The parts of Trunkline's gateway without what makes it one: its server, its client, its words.

python -m benchmarks.gateway.parts_subject PORT UPSTREAM_PORT

aiohttp's server, the request read and checked, the endpoint asked through `net` (gate and deadlines
included), deltas decoded and written as chunks. No routing, no machine that could go on elsewhere,
no limits, nothing measured or counted: what `trunkline` costs above this is what they cost.
"""

import asyncio
import sys

import aiohttp
import uvloop
from aiohttp import web

from benchmarks.gateway.wire import INSTANT, PACED
from trunkline.contracts import Context
from trunkline.gateway.answers import DONE, Chunks
from trunkline.gateway.requests import read_chat
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage, client_session
from trunkline.providers.llm.openai import OpenAIChat
from trunkline.types import (
    LLM,
    CallId,
    DataClass,
    Delta,
    Endpoint,
    Finish,
    Prompt,
    TextDelta,
    Where,
    Zone,
)

_ZONE = Zone(
    "here",
    "self_hosted",
    "local",
    "none",
    "you",
    "none",
    baa=False,
    dpa=False,
    accepts=frozenset({DataClass.PROMPT}),
)


class Parts:
    """Hands requests on to the model, and its deltas back."""

    def __init__(self, session: aiohttp.ClientSession, upstream: int) -> None:
        gate = Gate(lambda _: None)
        self._stages: dict[str, SseStage[Prompt, Delta]] = {}
        for model in (INSTANT, PACED):
            endpoint = Endpoint(model, LLM, "openai", "stub", _ZONE, "here", "prefix")
            self._stages[model] = SseStage(
                endpoint,
                OpenAIChat(endpoint),
                base_url=f"http://127.0.0.1:{upstream}/{model}/v1",
                key=None,
                session=session,
                gate=gate,
            )

    async def chat(self, request: web.Request) -> web.StreamResponse:
        ask = read_chat(await request.read())
        chunks = Chunks("chatcmpl-1", ask.model, 0, usage=ask.usage)
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        context = Context(Where(CallId("1")), DataClass.PROMPT)
        reads = self._stages[ask.model].batches
        assert reads is not None, "there is neither TLS of one's own nor a proxy"
        async with reads(ask.prompt, context) as batches:
            await answer.prepare(request)
            async for deltas in batches:
                pieces = [it.text for it in deltas if isinstance(it, TextDelta)]
                out = chunks.text(pieces) if pieces else b""
                if ends := [it for it in deltas if isinstance(it, Finish)]:
                    out += chunks.finish(ends[0].reason) + DONE
                await answer.write(out)
        return answer


async def main(port: int, upstream: int) -> None:
    """Serve until killed."""
    async with client_session() as session:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", Parts(session, upstream).chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.get_running_loop().create_future()  # for as long as the process lives


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
