"""The telephone side of a worker: webhook, media socket and health on one port.

    POST, GET /twilio/voice    Twilio asks what to do with a call: TwiML that streams it to us
    GET       /twilio/media    the stream's WebSocket, handed to `on_call` as a `Carrier`
    GET       /health/live     200 as long as the event loop turns

With an auth token, Twilio's signature is required on the webhook and on the upgrade, and the
stream must carry the ticket that the webhook issued. Without one (local use) anybody who reaches
the port can talk to the agent, which is logged once if that is more than this machine.

A stream may end while its caller is still there: its worker died, or the line between us broke.
So the TwiML goes on, behind the stream, with a redirect to the webhook that names the call
(`?resume=`, by our id, which the webhook makes up). What to say then depends on the call's fate,
which its journal knows: over (we hang up), broken (a stream again, which goes on with that call),
lost (a sentence), or unknown: its worker died in its first moments, so it begins anew, once. A
redirect names the call before it too, in case that its own stream never began.
"""

import asyncio
import ipaddress
import logging
import os
import re
import socket
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Literal

from aiohttp import web

from trunkline.contracts import Started
from trunkline.errors import CarrierLost, InputError
from trunkline.telephony import leg, twilio, webhook, wire
from trunkline.telephony.admission import Admission
from trunkline.telephony.door import (
    FIELD_CHARS_MAX,
    WEBHOOK_BYTES_MAX,
    Door,
    check_host,
    read_form,
)
from trunkline.telephony.intake import Intake
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.media_socket import MediaSocket
from trunkline.telephony.settings import TelephonyConfig
from trunkline.telephony.twiml import twiml_connect, twiml_hangup, twiml_refuse
from trunkline.telephony.wire import Pace
from trunkline.types import CallId, Wall, uuid7

SHUTDOWN_S: Final = 5.0
"""For `on_call` to return after its leg was hung up, before it is cancelled."""
REDIRECT_S: Final = 2.0
"""How long a server that closes waits for the carrier to ask what follows the last stream."""
VOICE_PATH: Final = "/twilio/voice"
MEDIA_PATH: Final = "/twilio/media"
CALL_PARAMETER: Final = "trunkline_call"
"""The stream's parameter with our id of the call."""
RESUMES_PARAMETER: Final = "trunkline_resumes"
"""The stream's parameter with the id of the broken call that it goes on with."""
_RESUME: Final = "resume"
_OUR_ID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_TICKET: Final = "trunkline_ticket"
_CALLER: Final = "trunkline_caller"

_UNSIGNED: Final = (
    "a request to %s whose X-Twilio-Signature does not fit was refused; if it came from Twilio: "
    "is the auth token the account's, and is %s how Twilio reaches us (telephony.public_url)?"
)

_log = logging.getLogger(__name__)

OnCall = Callable[[TwilioCarrier], Awaitable[None]]
Fate = Literal["over", "broken", "lost", "unknown"]
FateOf = Callable[[CallId, str], Awaitable[Fate]]
"""What became of our call on a carrier's call."""


class TelephonyServer:
    """Serves phone calls; `app` takes further routes before `start`."""

    def __init__(
        self,
        config: TelephonyConfig,
        on_call: OnCall,
        *,
        fate: FateOf | None = None,
        wall: Callable[[], float] = time.time,
    ) -> None:
        """*fate* None: no journal is kept, so a call whose stream ends is over."""
        self.config = config
        self._on_call, self._fate, self._wall = on_call, fate, wall
        self.admission = Admission(config.calls_max)
        self._carriers: set[TwilioCarrier] = set()
        self._idle = asyncio.Event()
        self._idle.set()
        self._closing = self._leaving = False
        self._stream_ended = -REDIRECT_S
        self._site: web.TCPSite | None = None
        self._intake = Intake()
        self.app = web.Application(client_max_size=WEBHOOK_BYTES_MAX)
        self.app.add_routes(
            [
                web.post(VOICE_PATH, self._voice),
                web.get(VOICE_PATH, self._voice, allow_head=False),
                web.get(MEDIA_PATH, self._media, allow_head=False),
                web.get("/health/live", _live),
            ]
        )
        self._runner = Door(
            self.app,
            calls_max=config.calls_max,
            shutdown_timeout=SHUTDOWN_S,
            clients=config.clients,
        )
        self.occupied = self._runner.occupied

    @property
    def calls(self) -> int:
        """Streams that are open now."""
        return self.admission.streams

    @property
    def port(self) -> int:
        """The port that is listened on; `InputError` before `start`."""
        if self._site is None:
            raise InputError("the telephony server has no port before start()")
        return int(self._runner.addresses[0][1])

    async def start(self, *, listen: bool = True) -> None:
        """Listen; `InputError` if the address cannot be had. *listen* false: only `adopt`."""
        if self.config.auth_token is None and not is_loopback(self.config.host):
            _log.warning(
                "no telephony auth token: requests are not checked to come from Twilio; "
                "anybody who reaches %s can call the agent",
                self.config.host,
            )
        await self._runner.setup()
        if not listen:
            return
        site = web.TCPSite(self._runner, self.config.host, self.config.port)
        try:
            await site.start()
        except OSError as taken:
            await self._runner.cleanup()
            raise InputError(
                f"cannot listen on {self.config.host}:{self.config.port}: {taken.strerror}; "
                "choose another telephony.port, or stop what is using it"
            ) from taken
        self._site = site

    async def adopt(self, connection: socket.socket, *, admits: bool = True) -> None:
        """Serve a connection that somebody else has accepted.

        *admits* false: no call may begin on it; what concerns calls that are up is answered.
        Raises `InputError` before `start` and after `close`.
        """
        protocol = self._runner.adopted(admits=admits)
        await asyncio.get_running_loop().connect_accepted_socket(lambda: protocol, connection)

    async def close(self, drain_s: float = 0.0) -> None:
        """Take no more calls, let those that are up end for *drain_s*, hang up the rest.

        The webhook answers to the end: calls that broke off may go on here while it drains.
        """
        self._closing = True
        try:
            async with asyncio.timeout(drain_s):
                await self._idle.wait()
        except TimeoutError:
            _log.warning("hanging up %d calls: the server is closing", len(self._carriers))
        self._leaving = True
        async with asyncio.TaskGroup() as tasks:
            for carrier in self._carriers:
                tasks.create_task(carrier.hangup("the server is shutting down"))
        if self._fate is not None:
            await self._answer_redirects()
        await self._runner.cleanup()

    async def _answer_redirects(self) -> None:
        clock = asyncio.get_running_loop().time
        with suppress(TimeoutError):
            async with asyncio.timeout(SHUTDOWN_S):
                await self._idle.wait()
        await asyncio.sleep(max(0.0, self._stream_ended + REDIRECT_S - clock()))

    async def _voice(self, request: web.Request) -> web.Response:
        """The webhook: TwiML for a call."""
        form = await read_form(request)
        if not self._signed(request, self._public(request), form):
            _log.warning(_UNSIGNED, VOICE_PATH, self._public(request))
            return web.Response(status=403, text="X-Twilio-Signature does not match\n")
        fields = {name: values[-1] for name, values in form.items()} or dict(request.query)
        call, caller = fields.get("CallSid", ""), fields.get("From", "")[:FIELD_CHARS_MAX]
        if not 0 < len(call) <= FIELD_CHARS_MAX:
            return web.Response(
                status=400, text="CallSid is missing or too long: this is Twilio's webhook\n"
            )
        response = _xml(await self._twiml(request, call, caller))
        if self._closing or not self.config.keep_alive:
            response.force_close()
        return response

    async def _twiml(self, request: web.Request, call: str, caller: str) -> str:
        names = request.query.getall(_RESUME, []) if self._fate is not None else []
        earlier = [CallId(name) for name in names if _OUR_ID.fullmatch(name)][:2]
        fate, broken = await self._fate_of(earlier, call)
        if fate == "over":
            return twiml_hangup()
        if fate == "lost" or (fate == "unknown" and len(earlier) > 1):
            _log.warning("call %s cannot go on: its caller was sent away", earlier[0])
            return self._refuse(self.config.lost_sentence)
        if self._leaving and earlier:
            return self._refuse(self.config.closing_sentence)
        no_room = self.admission.full if broken else self._closing or not self._has_room(request)
        if no_room:
            _log.warning("a call was refused: %d are up, or no worker has room", self.calls)
            return self._refuse(self.config.busy_sentence)
        self.admission.promise(asyncio.get_running_loop().time())
        before = broken or next(iter(earlier), CallId(""))
        return self._connect(self._public(request), (call, caller), before, broken)

    async def _fate_of(self, earlier: Sequence[CallId], call: str) -> tuple[Fate, CallId]:
        """That of the first of *earlier* that anything is known of."""
        for name in earlier:
            if self._fate is not None and (fate := await self._fate(name, call)) != "unknown":
                return fate, name
        return "unknown", CallId("")

    def _refuse(self, sentence: str) -> str:
        return twiml_refuse(sentence, self.config.transfer_to)

    def _has_room(self, request: web.Request) -> bool:
        now, here = asyncio.get_running_loop().time(), self._site is not None
        room = self.admission.has_room(now, counts_promises=here)
        return room and self._runner.admits(request.protocol)

    def _connect(self, public: str, form: tuple[str, str], before: CallId, resumes: CallId) -> str:
        """TwiML that streams the call; *before*: the one before it, *resumes*: if it goes on."""
        call, caller = form
        ours = CallId(uuid7(Wall(self._wall()), os.urandom(10)))
        parameters = {_CALLER: caller, CALL_PARAMETER: ours}
        then = f"{public}{VOICE_PATH}?{_RESUME}={ours}"
        if resumes:
            parameters[RESUMES_PARAMETER] = resumes
        then += f"&{_RESUME}={before}" if before else ""
        if self.config.auth_token is not None:
            now, named = Wall(self._wall()), _named(call, parameters)
            parameters[_TICKET] = webhook.ticket(self.config.auth_token, named, caller, now)
        follows = "" if self._fate is None else then
        return twiml_connect(_ws(public) + MEDIA_PATH, parameters, follows)

    async def _media(self, request: web.Request) -> web.StreamResponse:
        """The media socket of one call, from its upgrade to its end."""
        if not self._signed(request, _ws(self._public(request)), {}):
            _log.warning(_UNSIGNED, MEDIA_PATH, _ws(self._public(request)))
            return web.Response(status=403, text="X-Twilio-Signature does not match\n")
        pace = Pace(wire.MESSAGES_PER_S, wire.MESSAGES_BURST, asyncio.get_running_loop().time)
        try:
            socket, response = await MediaSocket.open(
                request, self._intake, twilio.MESSAGE_BYTES_MAX, pace
            )
        except ConnectionError:
            return web.Response(status=400)  # it left while it was let in: nobody reads this
        if self._leaving or self.admission.full:
            await socket.close(1013, "busy: try again later")
            return response
        room = self._has_room(request)
        self._runner.admit(request.protocol)
        self.admission.streams += 1
        self._idle.clear()
        try:
            await self._stream(socket, room=room)
        finally:
            self.admission.streams -= 1
            self._stream_ended = asyncio.get_running_loop().time()
            if not self.calls:
                self._idle.set()
        return response

    async def _stream(self, socket: MediaSocket, *, room: bool) -> None:
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
        if CALL_PARAMETER in started.parameters:
            self.admission.keep()
        elif not room:
            await socket.close(1013, "busy: try again later")
            return
        if self._closing and RESUMES_PARAMETER not in started.parameters:
            await socket.close(1013, "closing: no new calls")
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
            token, ticket, _named(started.carrier_call, parameters), caller, now
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
        return (self.config.public_url or f"{request.scheme}://{check_host(request)}").rstrip("/")


def _named(call: str, parameters: Mapping[str, str]) -> str:
    """All that a ticket names: the carrier's id of the call and ours."""
    ours = (parameters.get(name, "") for name in (CALL_PARAMETER, RESUMES_PARAMETER))
    return " ".join((call, *ours))


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
