"""What a worker measures of itself, and what the parent says where no worker can."""

import asyncio

from typing_extensions import override

from tests.calls.scenes import Tools
from trunkline.calls.pacer import Pacer
from trunkline.calls.worker import Agent, Worker
from trunkline.console.working import refusal
from trunkline.core.routing import Router, RoutingPolicy
from trunkline.ops.channel import REPORT_S, load_message, load_of
from trunkline.ops.meter import CPU_S, Meter, OwnDoor
from trunkline.ops.placement import Load
from trunkline.telephony.server import TelephonyServer
from trunkline.telephony.settings import TelephonyConfig
from trunkline.telephony.twiml import Dial, Say, parse_twiml, twiml_refuse
from trunkline.testing.simulated import MemoryJournal, SimVad
from trunkline.types import Persona


class Busy(TelephonyServer):
    """A server with calls that nobody made."""

    up = 2

    @property
    @override
    def calls(self) -> int:
        """As many as the test says."""
        return self.up


def metered() -> tuple[Busy, Worker]:
    """A server, and a worker that paces nobody."""

    async def on_call(_: object) -> None:
        """Never called."""

    persona = Persona("Ada", "en", "", "", "")
    server = Busy(TelephonyConfig(calls_max=7), on_call)
    agent = Agent(lambda: persona, Tools(), {}, None)  # type: ignore[arg-type]  # no call is made
    return server, Worker(
        agent, Pacer(SimVad()), Router(RoutingPolicy()), lambda _: MemoryJournal()
    )


async def test_a_load_is_what_was_measured_last() -> None:
    """The share of a core over a second; lateness only while there are calls."""
    server, worker = metered()
    used = 0.0
    meter = Meter(server, worker, lambda: used)
    worker.pacer.late.extend([0.05] * 20)
    assert meter.load() == Load(2, 7, 0.0, 0.0), "of so few ticks, one that is late says nothing"
    worker.pacer.late.extend([0.001] * 245 + [0.05] * 5)
    assert meter.load() == Load(2, 7, 0.05, 0.0)
    await asyncio.sleep(2 * CPU_S)
    used = 0.5
    assert meter.load() == Load(2, 7, 0.05, 0.25)
    server.up = 0
    assert meter.load() == Load(0, 7, 0.0, 0.25)
    assert load_of(load_message("up", meter.load())["up"]) == meter.load()


async def test_a_worker_alone_lets_in_whom_it_can_carry() -> None:
    """By the same rules as with a parent: a busy core lets nobody in, an idle one does again."""
    server, worker = metered()
    used = 0.0
    door = OwnDoor(Meter(server, worker, lambda: used))
    measuring = asyncio.ensure_future(door.run())
    assert door.has_room()
    await asyncio.sleep(CPU_S)
    used = 1.0
    await asyncio.sleep(2 * REPORT_S)
    assert not door.has_room()
    await asyncio.sleep(2 * CPU_S)
    assert door.has_room()
    measuring.cancel()


def test_a_refusal_is_a_response_that_a_carrier_speaks() -> None:
    """Its length is right and its body is TwiML."""
    twiml = twiml_refuse("All our lines are busy.", "+12025550100")
    head, _, body = refusal(twiml).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 OK\r\n")
    assert f"Content-Length: {len(body)}".encode() in head.splitlines()
    assert parse_twiml(body) == [Say("All our lines are busy."), Dial("+12025550100")]
