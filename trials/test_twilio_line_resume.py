"""What follows a stream: the webhook is asked again, and answers by the fate of the call."""

import asyncio
import socket
from collections.abc import Mapping, Sequence

import aiohttp
import pytest
import uvloop

from trials.twilio_line_rig import ASK, AUTH, echo, webhook
from trunkline.errors import InputError
from trunkline.ops.channel import Channel
from trunkline.telephony.caller import CallResult, place_call
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.server import (
    CALL_PARAMETER,
    RESUMES_PARAMETER,
    Fate,
    TelephonyServer,
)
from trunkline.telephony.settings import TelephonyConfig
from trunkline.telephony.twiml import Hangup, parse_twiml
from trunkline.telephony.webhook import SIGNATURE_HEADER, signature
from trunkline.types import CallId, Transfer

LOOPS = [asyncio.new_event_loop, uvloop.new_event_loop]


class Agent:
    """Breaks the first *breaks* streams off after a moment, and ends the others."""

    def __init__(self, breaks: int, end: Fate = "over") -> None:
        self.breaks, self.end = breaks, end
        self.parameters: list[Mapping[str, str]] = []
        self.ended: dict[str, Fate] = {}
        self.asked: list[tuple[str, str]] = []
        self.lines: list[str] = []

    async def on_call(self, carrier: TwilioCarrier) -> None:
        self.parameters.append(carrier.started.parameters)
        self.lines.append(carrier.started.carrier_call)
        ours = carrier.started.parameters[CALL_PARAMETER]
        async for _ in carrier.events():
            if len(self.parameters) <= self.breaks:
                self.ended[ours] = "broken"
                carrier._socket.abort()
            else:
                self.ended[ours] = self.end
                await carrier.hangup("goodbye")

    async def fate(self, call: CallId, line: str) -> Fate:
        self.asked.append((call, line))
        return self.ended.get(call, "unknown")


async def played(agent: Agent, **settings: object) -> CallResult:
    config = TelephonyConfig(port=0, auth_token=AUTH, **settings)  # type: ignore[arg-type]  # a trial's
    server = TelephonyServer(config, agent.on_call, fate=agent.fate)
    await server.start()
    try:
        return await place_call(webhook(server), ASK, auth_token=AUTH, max_s=20.0)
    finally:
        await server.close()


def say(result: CallResult) -> Sequence[str]:
    return [event.detail for event in result.events if event.kind == "say"]


@pytest.mark.ci
def test_a_call_that_the_agent_ended_is_hung_up() -> None:
    """The goodbye is the last thing heard: no second stream, no sentence."""
    agent = Agent(breaks=0)
    result = asyncio.run(played(agent))
    assert result.ended == "agent_closed"
    assert len(result.times("stream")) == 1
    assert agent.asked == [(agent.parameters[0][CALL_PARAMETER], agent.lines[0])]
    assert not say(result)


@pytest.mark.ci
@pytest.mark.parametrize("said", [True, False])
def test_a_call_that_the_agent_gave_up_is_put_through(said: bool) -> None:
    """The carrier says so if the agent could not, and asks how to go on behind what it dialled."""
    agent = Agent(0, Transfer("+12025550100", said))
    result = asyncio.run(played(agent))
    assert result.ended == "transferred"
    assert [it.detail for it in result.events if it.kind == "transfer"] == ["+12025550100"]
    assert bool(say(result)) is not said


@pytest.mark.ci
def test_a_call_in_which_nothing_could_be_said_ends_with_the_carriers_words() -> None:
    """Never a hang-up without one."""
    result = asyncio.run(played(Agent(0, Transfer("", said=False))))
    assert result.ended == "agent_closed"
    assert say(result) == ["I am sorry, I have to end this call now. Please call again."]


@pytest.mark.ci
@pytest.mark.parametrize("status", ["completed", "answered", "busy", "no-answer", "failed", ""])
def test_who_reached_nobody_is_told(status: str) -> None:
    """What Twilio asks behind a `<Dial>`; after a talk there is nothing to say."""

    async def main() -> str:
        config = TelephonyConfig(port=0, auth_token=AUTH)
        server = TelephonyServer(config, Agent(0).on_call, fate=_nobody)
        await server.start()
        url = f"{webhook(server)}?dialled=01a0c3f0-0000-7000-8000-000000000001"
        form = {"CallSid": "CA1", "From": "+12025550123", "DialCallStatus": status}
        headers = {SIGNATURE_HEADER: signature(AUTH, url, form)}
        try:
            async with (
                aiohttp.ClientSession() as session,
                session.post(url, data=form, headers=headers) as response,
            ):
                return await response.text()
        finally:
            await server.close()

    document = asyncio.run(main())
    assert ("nobody can be reached" in document) is (status not in ("completed", "answered"))
    assert parse_twiml(document.encode())[-1] == Hangup()


@pytest.mark.ci
def test_a_call_whose_line_breaks_goes_on_under_a_new_id() -> None:
    """Twice; each stream names the call before it, under a ticket that binds both."""
    agent = Agent(breaks=2)
    result = asyncio.run(played(agent))
    assert result.ended == "agent_closed"
    assert len(result.times("stream")) == 3
    ids = [it[CALL_PARAMETER] for it in agent.parameters]
    assert len(set(ids)) == 3
    assert [it.get(RESUMES_PARAMETER) for it in agent.parameters] == [None, *ids[:2]]
    assert len(set(agent.lines)) == 1


@pytest.mark.ci
def test_a_call_that_nobody_knows_begins_anew_once_and_then_ends_with_a_sentence() -> None:
    """Never in silence, nor without end."""
    agent = Agent(breaks=2)
    agent.fate = _nobody  # type: ignore[method-assign]  # records that are lost
    result = asyncio.run(played(agent))
    assert say(result) == ["I am sorry, we were cut off. Please call again."]
    assert len(result.times("stream")) == 2
    assert [it.get(RESUMES_PARAMETER) for it in agent.parameters] == [None, None]


async def _nobody(call: CallId, line: str) -> Fate:
    return "unknown"


@pytest.mark.ci
def test_who_is_still_talking_when_a_server_ends_hears_a_sentence() -> None:
    """The stream is closed, the webhook asked, and only then the port."""

    async def main() -> CallResult:
        agent = Agent(breaks=0)

        async def talk(carrier: TwilioCarrier) -> None:
            agent.ended[carrier.started.parameters[CALL_PARAMETER]] = "broken"
            await echo(carrier)

        server = TelephonyServer(TelephonyConfig(port=0), talk, fate=agent.fate)
        await server.start()
        calling = asyncio.ensure_future(place_call(webhook(server), ASK, max_s=20.0))
        await asyncio.sleep(0.7)
        await server.close(0.1)
        return await calling

    result = asyncio.run(main())
    assert say(result) == ["I am sorry, I have to end this call now. Please call again."]


@pytest.mark.ci
@pytest.mark.parametrize("loop", LOOPS, ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("admits", [True, False])
def test_a_server_adopts_connections_that_another_process_accepted(
    loop: object, admits: bool
) -> None:
    """Through a channel as from the parent; without room, a sentence and no stream."""

    async def main() -> CallResult:
        server = TelephonyServer(TelephonyConfig(), echo, fate=_nobody)
        await server.start(listen=False)
        here, there = socket.socketpair()
        adopted: list[asyncio.Task[None]] = []

        def given(message: dict[str, object], connection: socket.socket | None) -> None:
            assert connection is not None
            room = bool(message["give"])
            adopted.append(asyncio.ensure_future(server.adopt(connection, admits=room)))

        parent = Channel(here, lambda *_: None, lambda: None)
        worker = Channel(there, given, lambda: None)
        listener = socket.create_server(("127.0.0.1", 0))
        listener.setblocking(False)

        async def accept() -> None:
            while True:
                connection, _ = await asyncio.get_running_loop().sock_accept(listener)
                with connection:
                    assert parent.send({"give": admits}, connection)

        accepting = asyncio.ensure_future(accept())
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/twilio/voice"
        result = await place_call(url, ASK, max_s=20.0)
        accepting.cancel()
        for channel in (parent, worker):
            channel.close()
        listener.close()
        await server.close()
        with socket.socket() as late, pytest.raises(InputError, match="between start"):
            await server.adopt(late)
        return result

    with asyncio.Runner(loop_factory=loop) as runner:  # type: ignore[arg-type]  # one of LOOPS
        result = runner.run(main())
    assert len(result.times("stream")) == admits
    assert bool(say(result)) is not admits
