"""The telephone side of a worker: webhook, media socket and health on one port.

    POST, GET /twilio/voice    Twilio asks what to do with a call: TwiML that streams it to us
    GET       /twilio/media    the stream's WebSocket, handed to `on_call` as a `Carrier`
    GET       /health/live     200 as long as the event loop turns

With an auth token, Twilio's signature is required on the webhook and on the upgrade, and the
stream must carry the ticket that the webhook issued. Without one (local use) anybody who reaches
the port can talk to the agent, which is logged once if that is more than this machine.
"""

import asyncio
import ipaddress
import logging
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Final
from urllib.parse import urlsplit

from aiohttp import web

from trunkline.contracts import Carrier, Started
from trunkline.errors import CarrierLost, InputError
from trunkline.telephony import leg, twilio, webhook
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.twiml import twiml_connect, twiml_refuse
from trunkline.telephony.wire import CLOSE_S, AiohttpSocket
from trunkline.types import Wall

WEBHOOK_BYTES_MAX: Final = 64 * 1024
"""A webhook's form: Twilio sends some 40 short fields."""
SHUTDOWN_S: Final = 5.0
"""For `on_call` to return after its leg was hung up, before it is cancelled."""
VOICE_PATH: Final = "/twilio/voice"
MEDIA_PATH: Final = "/twilio/media"
_TICKET: Final = "trunkline_ticket"
_CALLER: Final = "trunkline_caller"
_CALLER_CHARS_MAX: Final = 128  # a number or a SIP address; keeps the parameter within its limit

_UNSIGNED: Final = (
    "a request to %s whose X-Twilio-Signature does not fit was refused; if it came from Twilio: "
    "is the auth token the account's, and is %s how Twilio reaches us (telephony.public_url)?"
)

_log = logging.getLogger(__name__)

OnCall = Callable[[Carrier], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class TelephonyConfig:
    """*port* 0: any free one. *public_url*: how Twilio reaches us if a proxy stands between.

    *calls_max*: streams at once, those that have not started yet included; a worker falls behind
    for everybody if it takes more than it can carry. *reuse_port*: several workers on one port.
    """

    host: str = "127.0.0.1"
    port: int = 8080
    public_url: str | None = None
    auth_token: str | None = field(default=None, repr=False)
    calls_max: int = 50
    start_s: float = leg.START_S
    idle_s: float = leg.IDLE_S
    busy_sentence: str = "All our lines are busy. Please call again in a few minutes."
    reuse_port: bool = False

    def __post_init__(self) -> None:
        url = self.public_url
        if url is not None:
            parts = urlsplit(url)
            if parts.scheme not in ("http", "https") or not parts.netloc or parts.query:
                raise InputError(
                    f"telephony.public_url {url!r}: needs http(s)://host[:port][/path], no query"
                )
        if self.auth_token == "":
            raise InputError("telephony.auth_token is empty: set it, or leave it out for local use")
        if self.calls_max < 1 or self.start_s <= 0 or self.idle_s <= 0:
            raise InputError("telephony: calls_max, start_s and idle_s have to be above zero")


class TelephonyServer:
    """Serves phone calls; `app` takes further routes before `start`."""

    def __init__(
        self,
        config: TelephonyConfig,
        on_call: OnCall,
        *,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.config = config
        self._on_call, self._wall = on_call, wall
        self._streams = 0
        self._carriers: set[TwilioCarrier] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = False
        self._site: web.TCPSite | None = None
        self.app = web.Application(client_max_size=WEBHOOK_BYTES_MAX)
        self.app.add_routes(
            [
                web.post(VOICE_PATH, self._voice),
                web.get(VOICE_PATH, self._voice, allow_head=False),
                web.get(MEDIA_PATH, self._media, allow_head=False),
                web.get("/health/live", _live),
            ]
        )
        self._runner = web.AppRunner(
            self.app,
            access_log=None,  # its lines carry callers' numbers in a GET webhook's query
            shutdown_timeout=SHUTDOWN_S,
        )

    @property
    def calls(self) -> int:
        """Streams that are open now."""
        return self._streams

    @property
    def port(self) -> int:
        """The port that is listened on; `InputError` before `start`."""
        if self._site is None:
            raise InputError("the telephony server has no port before start()")
        return int(self._runner.addresses[0][1])

    async def start(self) -> None:
        """Listen; `InputError` if the address cannot be had."""
        if self.config.auth_token is None and not is_loopback(self.config.host):
            _log.warning(
                "no telephony auth token: requests are not checked to come from Twilio; "
                "anybody who reaches %s can call the agent",
                self.config.host,
            )
        await self._runner.setup()
        site = web.TCPSite(
            self._runner,
            self.config.host,
            self.config.port,
            reuse_port=self.config.reuse_port or None,
        )
        try:
            await site.start()
        except OSError as taken:
            await self._runner.cleanup()
            raise InputError(
                f"cannot listen on {self.config.host}:{self.config.port}: {taken.strerror}; "
                "choose another telephony.port, or stop what is using it"
            ) from taken
        self._site = site

    async def close(self, drain_s: float = 0.0) -> None:
        """Take no more calls, let those that are up end for *drain_s*, hang up the rest."""
        self._closing = True
        try:
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("hanging up %d calls: the server is closing", len(self._carriers))
        async with asyncio.TaskGroup() as tasks:
            for carrier in self._carriers:
                tasks.create_task(carrier.hangup("the server is shutting down"))
        await self._runner.cleanup()

    async def _voice(self, request: web.Request) -> web.Response:
        """The webhook: TwiML for a call."""
        posted = await request.post()  # empty for a GET
        form = {name: [str(value) for value in posted.getall(name)] for name in posted}
        if not self._signed(request, self._public(request), form):
            _log.warning(_UNSIGNED, VOICE_PATH, self._public(request))
            return web.Response(status=403, text="X-Twilio-Signature does not match\n")
        fields = {name: values[-1] for name, values in form.items()} or dict(request.query)
        call, caller = fields.get("CallSid", ""), fields.get("From", "")[:_CALLER_CHARS_MAX]
        if not call:
            return web.Response(status=400, text="CallSid is missing: this is Twilio's webhook\n")
        if self._closing or self._streams >= self.config.calls_max:
            _log.warning("a call was refused: %d streams are open", self._streams)
            return _xml(twiml_refuse(self.config.busy_sentence))
        parameters = {_CALLER: caller}
        if self.config.auth_token is not None:
            now = Wall(self._wall())
            parameters[_TICKET] = webhook.ticket(self.config.auth_token, call, caller, now)
        return _xml(twiml_connect(_ws(self._public(request)) + MEDIA_PATH, parameters))

    async def _media(self, request: web.Request) -> web.StreamResponse:
        """The media socket of one call, from its upgrade to its end."""
        if not self._signed(request, _ws(self._public(request)), {}):
            _log.warning(_UNSIGNED, MEDIA_PATH, _ws(self._public(request)))
            return web.Response(status=403, text="X-Twilio-Signature does not match\n")
        ws: web.WebSocketResponse[bool] = web.WebSocketResponse(
            timeout=CLOSE_S,
            compress=False,  # mu-law does not compress, and deflate would cost each frame 50 us
            max_msg_size=twilio.MESSAGE_BYTES_MAX,
            decode_text=False,
        )
        await ws.prepare(request)
        socket = AiohttpSocket(ws, request.transport)
        if self._closing or self._streams >= self.config.calls_max:
            await socket.close(1013, "busy: try again later")
            return ws
        self._streams += 1
        self._idle.clear()
        try:
            await self._stream(socket)
        finally:
            self._streams -= 1
            if not self._streams:
                self._idle.set()
        return ws

    async def _stream(self, socket: AiohttpSocket) -> None:
        try:
            decoder, started = await leg.accept(socket, start_s=self.config.start_s)
            started = self._admit(started)
        except InputError as refused:
            _log.warning("a media stream was refused: %s", refused)
            await socket.close(1008, str(refused))
            return
        except CarrierLost as lost:
            _log.warning("a media stream never started: %s", lost)
            await socket.close(1002, str(lost))
            return
        try:
            async with leg.open_leg(socket, decoder, started, idle_s=self.config.idle_s) as carrier:
                self._carriers.add(carrier)
                try:
                    await self._on_call(carrier)
                finally:
                    self._carriers.discard(carrier)
        except* CarrierLost as lost:  # how a call can end; all else is a bug, which aiohttp logs
            _log.warning("a call ended: %s", lost.exceptions[0])

    def _admit(self, started: Started) -> Started:
        """Check the ticket and take our own parameters out; `InputError` if it is not one."""
        parameters = dict(started.parameters)
        caller, ticket = parameters.pop(_CALLER, ""), parameters.pop(_TICKET, "")
        token, now = self.config.auth_token, Wall(self._wall())
        if token is not None and not webhook.valid_ticket(
            token, ticket, started.carrier_call, caller, now
        ):
            raise InputError(
                "the stream's ticket is missing, forged or too old: a stream has to be opened "
                f"by the TwiML of {VOICE_PATH}, within {webhook.TICKET_S:g} s"
            )
        return replace(started, caller=caller, parameters=parameters)

    def _signed(self, request: web.Request, base: str, form: webhook.Params) -> bool:
        token = self.config.auth_token
        if token is None:
            return True
        given = request.headers.get(webhook.SIGNATURE_HEADER, "")
        return webhook.valid_signature(token, base + request.raw_path, form, given)

    def _public(self, request: web.Request) -> str:
        """How the outside reaches us, without a slash at the end."""
        return (self.config.public_url or f"{request.scheme}://{request.host}").rstrip("/")


def _ws(base: str) -> str:
    return "ws" + base.removeprefix("http")  # http -> ws, https -> wss


def _xml(document: str) -> web.Response:
    return web.Response(text=document, content_type="text/xml")


def is_loopback(host: str) -> bool:
    """Whether only this machine can reach what listens on *host*; a name counts if it is sure."""
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


async def _live(request: web.Request) -> web.Response:
    del request
    return web.Response(text="ok\n")
