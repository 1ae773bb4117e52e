"""The HTTP side: OpenAI's paths over the endpoints of a worker, on the port of its calls.

    POST /v1/chat/completions      an answer, streamed or whole
    POST /v1/responses             the same, in the words of OpenAI's newer API
    POST /v1/audio/speech          a text, spoken
    POST /v1/audio/transcriptions  a recording, written down
    GET  /v1/models, /v1/models/x  the names that a client may ask for
    GET  /health/ready             200 while every model has an endpoint that is well
    GET  /metrics                  for Prometheus, of this worker

Who asks is known by a key (`keys`), what is asked is checked (`requests`), and what comes of it is
one line of the log and some counters, without a word of what was said: a gateway keeps no record.
A client that leaves takes its request along: the endpoints are told at once.
"""

import asyncio
from collections.abc import Callable, Mapping

from aiohttp import web

from trunkline.core.health import Breaker
from trunkline.core.routing import Router
from trunkline.gateway import answers, responses
from trunkline.gateway.audio import Audio
from trunkline.gateway.chat import Answering, Form
from trunkline.gateway.door import Door, Limits, Model, Occupied, no_model, refused
from trunkline.gateway.keys import Keys
from trunkline.gateway.metrics import CONTENT_TYPE, Metrics
from trunkline.gateway.refusals import Refusal
from trunkline.gateway.requests import read_chat
from trunkline.gateway.response_requests import read_responses

_CHAT = Form("chat", "chatcmpl-", read_chat, answers.writer, answers.body)
_RESPONSES = Form("responses", "resp_", read_responses, responses.writer, responses.body)


class Gateway:
    """Serves *models* to whoever has one of *keys*. They are asked for by each request."""

    def __init__(
        self,
        models: Callable[[], Mapping[str, Model]],
        keys: Keys,
        router: Router,
        metrics: Metrics,
        *,
        occupied: Occupied,
        wall: Callable[[], float],
        limits: Limits | None = None,
    ) -> None:
        self._models, self._router, self._metrics = models, router, metrics
        self._clock = asyncio.get_running_loop().time
        self._door = Door(keys, metrics, self._clock, occupied, limits or Limits())
        self._began_at = int(wall())
        self._chat = Answering(_CHAT, models, router, self._door, wall)
        self._responses = Answering(_RESPONSES, models, router, self._door, wall)
        self._audio = Audio(models, router, self._door)

    def routes(self) -> list[web.RouteDef]:
        """The routes of all this."""
        return [
            web.post("/v1/chat/completions", self._chat.serve),
            web.post("/v1/responses", self._responses.serve),
            web.post("/v1/audio/speech", self._audio.speak),
            web.post("/v1/audio/transcriptions", self._audio.transcribe),
            web.get("/v1/models", self._list, allow_head=False),
            web.get("/v1/models/{model}", self._one, allow_head=False),
            web.get("/health/ready", self._ready, allow_head=False),
            web.get("/metrics", self._tell, allow_head=False),
        ]

    # -- what there is -------------------------------------------------------------------------

    async def _list(self, request: web.Request) -> web.Response:
        try:
            client = self._door.client(request)
        except Refusal as refusal:
            return refused(refusal)
        listed = [self._described(name) for name in self._models() if client.may_use(name)]
        return web.json_response({"object": "list", "data": listed})

    async def _one(self, request: web.Request) -> web.Response:
        name = request.match_info["model"]
        try:
            client = self._door.client(request)
            if name not in self._models() or not client.may_use(name):
                raise no_model(name)
        except Refusal as refusal:
            return refused(refusal)
        return web.json_response(self._described(name))

    def _described(self, name: str) -> dict[str, object]:
        return {"id": name, "object": "model", "created": self._began_at, "owned_by": "trunkline"}

    async def _ready(self, _: web.Request) -> web.Response:
        well = {Breaker.CLOSED, Breaker.HALF_OPEN}
        breakers = self._breakers()
        models = {
            name: any(breakers[stage.endpoint.name] in well for stage in model.stages)
            for name, model in self._models().items()
        }
        return web.json_response({"models": models}, status=200 if all(models.values()) else 503)

    async def _tell(self, request: web.Request) -> web.Response:
        try:
            self._door.client(request)
        except Refusal as refusal:
            return refused(refusal)
        text = self._metrics.text(self._door.running, self._breakers())
        return web.Response(body=text.encode(), headers={"Content-Type": CONTENT_TYPE})

    def _breakers(self) -> dict[str, Breaker]:
        router, now = self._router, self._clock()
        names = {stage.endpoint.name for it in self._models().values() for stage in it.stages}
        return {name: router.health(name).breaker(now) for name in sorted(names)}
