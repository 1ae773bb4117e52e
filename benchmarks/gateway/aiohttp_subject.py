"""The bare relay again, by aiohttp on both sides: what the library costs that Trunkline is on.

python -m benchmarks.gateway.aiohttp_subject PORT UPSTREAM_PORT

Each event is decoded before it is written, one write each, as it comes. No features.
"""

import asyncio
import sys

import aiohttp
import msgspec
import uvloop
from aiohttp import web

from benchmarks.gateway.wire import decode


class _Asked(msgspec.Struct):
    model: str


_read_request = msgspec.json.Decoder(_Asked).decode


class Relay:
    """Hands requests on to the model, and its events back."""

    def __init__(self, session: aiohttp.ClientSession, upstream: int) -> None:
        self._session, self._home = session, f"http://127.0.0.1:{upstream}"

    async def chat(self, asked: web.Request) -> web.StreamResponse:
        body = await asked.read()
        url = f"{self._home}/{_read_request(body).model}/v1/chat/completions"
        headers = {"Content-Type": "application/json"}
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        async with self._session.post(url, data=body, headers=headers) as response:
            await answer.prepare(asked)
            rest = b""
            async for piece in response.content.iter_any():
                *events, rest = (rest + piece).split(b"\n\n")
                for event in events:
                    if event.startswith(b"data: {"):
                        decode(event[6:])
                    await answer.write(event + b"\n\n")
        return answer


async def main(port: int, upstream: int) -> None:
    """Serve until killed."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        app = web.Application()
        app.router.add_post("/v1/chat/completions", Relay(session, upstream).chat)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port, backlog=1024).start()
        await asyncio.get_running_loop().create_future()  # for as long as the process lives


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
