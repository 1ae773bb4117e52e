"""Place a call to an agent as a carrier would: the public test tool behind `trunkline call`.

    script = await read_script(Path("call.yaml"))
    result = await place_call("http://127.0.0.1:8080/twilio/voice", script)

An http(s) URL is a voice webhook: it gets Twilio's POST (signed, if an auth token is given), and
the TwiML that it answers is executed (`telephony.twiml` says which verbs). When the stream is over,
closed by the agent or broken, the verbs after `<Connect>` run: the call goes on, on the same tape,
and a `<Redirect>` asks the webhook again, with the same CallSid. A ws(s) URL is dialled
directly. `<Say>` is spoken if a voice is given, otherwise it is only an event.

All decisions are in `telephony.line`; this is the shell that moves bytes and keeps time.
"""

import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import urljoin

import aiohttp
import numpy as np
from numpy.typing import NDArray

from trunkline.errors import CarrierLost, InputError, TrunklineError
from trunkline.telephony import twiml, webhook
from trunkline.telephony.line import (
    Act,
    CallEvent,
    Ending,
    SendAudio,
    SendDigit,
    SendMark,
    StreamEnded,
    Tick,
    VirtualCall,
)
from trunkline.telephony.script import CallScript, Voice, spoken
from trunkline.telephony.twilio import AGENT_MESSAGE_BYTES_MAX, AgentAudio, CarrierSide
from trunkline.telephony.wire import CLOSE_S, AiohttpSocket, Outbox
from trunkline.types import SAMPLE_RATE, Mono, Sample

MAX_S: Final = 300.0
"""How long a call may last unless its caller says otherwise."""
WEBHOOK_S: Final = 15.0
"""Twilio gives a webhook 15 s."""
DIAL_S: Final = 10.0
"""For the stream's TCP, TLS and WebSocket handshakes."""
REDIRECTS_MAX: Final = 10
"""Documents in one call: more is a loop."""
WARNINGS_MAX: Final = 100
"""Broken messages of the agent that are noted; Twilio itself warns once."""

Progress = Callable[[CallEvent], None]


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a caller and its carrier know of a call that is over.

    *tape*: int16 `[n, 2]` at 8 kHz, left the caller, right the agent as it was heard. *mono0*:
    the monotonic time of sample 0. *events*: in order, their times in seconds of the tape.
    *late_s*: for each 20 ms tick, how late it came: the quality of the caller's own clock.
    """

    tape: NDArray[np.int16]
    mono0: Mono
    events: Sequence[CallEvent]
    ended: Ending
    call: str
    late_s: NDArray[np.float64]

    def times(self, kind: str, detail: str | None = None) -> list[float]:
        """When events of *kind* (and *detail*) happened, in seconds of the tape."""
        return [e.at_s for e in self.events if e.kind == kind and detail in (None, e.detail)]


async def place_call(
    url: str,
    script: CallScript,
    *,
    auth_token: str | None = None,
    parameters: Mapping[str, str] | None = None,
    caller: str = "+12025550123",
    called: str = "+12025550199",
    voice: Voice | None = None,
    max_s: float = MAX_S,
    progress: Progress | None = None,
) -> CallResult:
    """Call *url* and perform *script*; returns when the call is over.

    *parameters* are the stream's when a ws(s) URL is dialled; a webhook gives its own. *progress*
    is called with every event as it happens. Raises `CarrierLost` if the agent cannot be reached
    and `InputError` if its TwiML cannot be run; once a stream was up, both end the call instead,
    as `failed`, so that the tape is kept.
    """
    scheme = url.partition("://")[0]
    if scheme not in ("http", "https", "ws", "wss"):
        raise InputError(f"{url!r}: give the webhook (http, https) or the stream (ws, wss) to call")
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(WEBHOOK_S)) as session:
        call = _Call(session, script, auth_token, voice, caller, called, max_s, progress)
        if scheme in ("ws", "wss"):
            return await call.run([twiml.Stream(url, parameters or {})], url)
        return await call.run([twiml.Redirect(url)], url)


class _Call:
    """The shell of one call: a pacer that ticks, and a walk through the verbs."""

    def __init__(
        self,
        session: aiohttp.ClientSession,
        script: CallScript,
        auth_token: str | None,
        voice: Voice | None,
        caller: str,
        called: str,
        max_s: float,
        progress: Progress | None,
    ) -> None:
        self._session, self._token, self._voice = session, auth_token, voice
        self._progress = progress
        self._loop = asyncio.get_running_loop()
        self._line = VirtualCall(script, Mono(self._loop.time()), max_s=max_s)
        self._account = "AC" + "0" * 32
        self._sid = "CA" + secrets.token_hex(16)
        self._form = {
            "CallSid": self._sid,
            "AccountSid": self._account,
            "From": caller,
            "To": called,
            "CallStatus": "ringing",
            "Direction": "inbound",
            "ApiVersion": "2010-04-01",
        }
        self._late: list[float] = []
        self._over = asyncio.Event()
        self._streamed = False
        self._warnings = 0
        self._wire: CarrierSide | None = None
        self._base = Sample(0)
        self._outbox = Outbox()
        self._socket: AiohttpSocket | None = None

    async def run(self, verbs: list[twiml.Verb], url: str) -> CallResult:
        failure: TrunklineError | None = None
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._pace())
            try:
                await self._execute(verbs, url)
            except (CarrierLost, InputError) as failed:
                failure = failed
                self._act(self._line.end("failed", str(failed)))
        if failure is not None and not self._streamed:
            raise failure
        line = self._line
        return CallResult(
            line.tape(),
            line.mono0,
            tuple(line.events),
            line.ended or "failed",
            self._sid,
            np.array(self._late),
        )

    async def _pace(self) -> None:
        """Tick at absolute deadlines until the call is over; a late tick is made up for."""
        while (deadline := self._line.deadline()) is not None:
            await asyncio.sleep(deadline - self._loop.time())
            now = self._loop.time()
            self._late.append(now - deadline)
            self._act(self._line.feed(Tick(), Mono(now)))
        self._over.set()

    async def _execute(self, verbs: list[twiml.Verb], url: str) -> None:
        documents = 0
        ending: Ending = "no_stream"
        while verbs and not self._line.ended:
            verb = verbs.pop(0)
            match verb:
                case twiml.Stream():
                    try:
                        await self._stream(urljoin(url, verb.url), verb.parameters)
                        ending = "agent_closed"
                    except CarrierLost as lost:  # what Twilio does is not documented apart
                        if not verbs:
                            raise
                        self._warn(str(lost))
                case twiml.Redirect():
                    documents += 1
                    if documents > REDIRECTS_MAX:
                        raise InputError(f"{url}: {REDIRECTS_MAX} TwiML documents in one call")
                    url = urljoin(url, verb.url)
                    verbs = twiml.parse_twiml(await self._fetch(url))
                    self._form["CallStatus"] = "in-progress"  # answered, by whatever it said
                case twiml.Say():
                    await self._say(verb.text)
                case twiml.Pause():
                    await self._rest(verb.length_s)
                case twiml.Dial() | twiml.Hangup():
                    ending = self._leave(verb, ending)
                    break
        self._act(self._line.end(ending))

    def _leave(self, verb: twiml.Dial | twiml.Hangup, ending: Ending) -> Ending:
        if isinstance(verb, twiml.Hangup):
            return ending
        self._act([self._line.note("transfer", verb.number)])
        return "transferred"

    async def _fetch(self, url: str) -> bytes:
        """POST Twilio's form to the webhook; the document it answers."""
        headers = self._signature(url, self._form)
        try:
            async with self._session.post(url, data=self._form, headers=headers) as response:
                if response.status != 200:
                    hint = "; is the auth token the server's?" if response.status == 403 else ""
                    raise CarrierLost(f"{url} answered HTTP {response.status}{hint}")
                return await response.content.read(twiml.TWIML_BYTES_MAX + 1)
        except (aiohttp.ClientError, OSError, TimeoutError) as failed:
            raise CarrierLost(f"{url}: {type(failed).__name__}: {failed}") from failed

    async def _stream(self, url: str, parameters: Mapping[str, str]) -> None:
        """One media stream, until either side closes it."""
        try:
            async with asyncio.timeout(DIAL_S):
                ws = await self._session.ws_connect(
                    url,
                    headers=self._signature(url, {}),
                    max_msg_size=AGENT_MESSAGE_BYTES_MAX,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_S),
                    decode_text=False,
                )
        except (aiohttp.ClientError, OSError, TimeoutError) as failed:
            raise CarrierLost(f"{url}: {type(failed).__name__}: {failed}") from failed
        self._socket = AiohttpSocket(ws)
        self._outbox = Outbox()
        self._wire = CarrierSide("MZ" + secrets.token_hex(16), self._sid, self._account)
        self._outbox.put(self._wire.connected())
        self._outbox.put(self._wire.start(parameters))
        self._base, self._streamed = self._line.at, True
        self._act([self._line.note("stream", url)])
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._deliver(self._socket))
            if self._line.ended:
                self._hang_up()
            await self._read(self._socket, self._wire)
            code = self._socket.close_code
            self._wire = None
            self._outbox.finish()
        if code not in (None, 1000):
            self._warn(f"the agent closed the stream with code {code}")
        self._act(self._line.feed(StreamEnded(), Mono(self._loop.time())))

    async def _read(self, socket: AiohttpSocket, wire: CarrierSide) -> None:
        while True:
            try:
                text = await socket.receive()
                if text is None:
                    return
                message = wire.decode(text)
            except InputError as broken:
                self._warn(str(broken))  # as Twilio does; a broken socket is closed already
                continue
            if message is not None:
                self._act(self._line.feed(message, Mono(self._loop.time())))

    async def _deliver(self, socket: AiohttpSocket) -> None:
        """Drain the outbox, then close: the caller hung up, or the agent is gone."""
        with suppress(CarrierLost):
            await self._outbox.drain(socket.send)
        await socket.close(1000, "")

    def _act(self, acts: Sequence[Act]) -> None:
        """Perform what the line decided; never blocks."""
        for act in acts:
            if isinstance(act, CallEvent):
                if self._progress is not None:
                    self._progress(act)
                if act.kind == "ended":
                    self._hang_up()
            elif self._wire is not None:  # between two streams, nobody hears the caller
                self._send(act, self._wire)

    def _send(self, act: SendAudio | SendMark | SendDigit, wire: CarrierSide) -> None:
        if isinstance(act, SendAudio):
            if act.at < self._base:
                return  # it was spoken before this stream began
            message = wire.media(act.mulaw, Sample(act.at - self._base))
        elif isinstance(act, SendMark):
            message = wire.mark(act.name)
        else:
            message = wire.dtmf(act.digit)
        try:
            self._outbox.put(message)
        except CarrierLost as stuck:
            self._wire = None
            self._warn(str(stuck))
            if self._socket is not None:
                self._socket.abort()

    def _hang_up(self) -> None:
        if self._wire is not None:
            with suppress(CarrierLost):  # full: the close says as much
                self._outbox.put(self._wire.stop())
            self._outbox.finish()

    async def _say(self, text: str) -> None:
        self._act([self._line.note("say", text)])
        if self._voice is not None:
            mulaw = await spoken(text, self._voice)
            self._act(self._line.feed(AgentAudio(mulaw), Mono(self._loop.time())))
            await self._rest(len(mulaw) / SAMPLE_RATE)

    async def _rest(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._over.wait()

    def _warn(self, what: str) -> None:
        self._warnings += 1
        if self._warnings <= WARNINGS_MAX:
            self._act([self._line.note("warning", what)])

    def _signature(self, url: str, params: Mapping[str, str]) -> dict[str, str]:
        if self._token is None:
            return {}
        return {webhook.SIGNATURE_HEADER: webhook.signature(self._token, url, params)}
