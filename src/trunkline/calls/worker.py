"""What all calls of one process share, and how a call is answered."""

import asyncio
import logging
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from trunkline.calls.filler import Filler, Fillers
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.session import CallSession
from trunkline.calls.settings import Setting, Settings
from trunkline.calls.steps import Desk, Routes
from trunkline.calls.voices import Voices
from trunkline.contracts import Carrier, Journal, Toolbox
from trunkline.core.routing import Router
from trunkline.errors import TrunklineError
from trunkline.records.resume import BrokenCall
from trunkline.types import TTS, CallId, Persona, Wall, uuid7

log = logging.getLogger(__name__)


class ClosableJournal(Journal, Protocol):
    """A journal that ends with its call."""

    async def close(self, reason: str) -> None:
        """Make everything durable and end the journal."""
        ...


@dataclass(frozen=True, slots=True)
class Agent:
    """Who answers, over which endpoints, by which policies."""

    persona: Callable[[], Persona]
    """Made anew for each call, because the prompt holds the date."""
    toolbox: Toolbox
    routes: Routes
    policies: Policies
    fillers: Fillers = field(default_factory=lambda: Fillers(""))
    """What is said while an answer is long in coming, if it was rendered."""


@dataclass(slots=True)
class Worker:
    """Answers calls for one agent: `answer` is what a telephony server calls for each leg."""

    agent: Agent
    pacer: Pacer
    router: Router
    journal: Callable[[CallId], ClosableJournal]
    live: dict[CallId, ClosableJournal] = field(default_factory=dict)
    """The journals of the calls that are up, for what is decided outside of them (egress)."""
    voices: Voices = field(default_factory=Voices)
    give_interims: set[str] = field(default_factory=set)
    settings: Settings = field(init=False)
    """What turns go by; older ones as long as some turn has them."""

    def __post_init__(self) -> None:
        self.settings = Settings(Setting(self.agent.routes, self.agent.policies))

    def renew(self, agent: Agent) -> None:
        """New calls get *agent*, new turns of those that are up its routes and policies."""
        self.agent = agent
        self.settings.newest = Setting(agent.routes, agent.policies)

    async def prepare(self) -> None:
        """Render what must be there when no synthesiser is; before the first call."""
        await self.voices.prepare(self.agent.routes[TTS], self.agent.persona().apology)

    async def answer(
        self, carrier: Carrier, call: CallId | None = None, broken: BrokenCall | None = None
    ) -> None:
        """Run the call on *carrier* to its end. A call that breaks ends; the worker does not.

        *call* is its id if it has one already; *broken* the call on this line that it goes on with.
        """
        call = call or CallId(uuid7(Wall(time.time()), os.urandom(10)))
        try:
            journal = self.journal(call)
        except TrunklineError as error:
            log.error("call %s refused: %s", call, error)  # noqa: TRY400  # an operator's, no trace
            await carrier.hangup("no record can be kept", failed=True)
            return
        self.live[call] = journal
        clock = asyncio.get_running_loop().time
        served = {} if broken is None else dict(broken.served)
        state = self.router.call(zlib.crc32(call.encode()) / 2**32)
        filler = Filler(self.agent.fillers)
        known = self.voices, self.give_interims
        routes = self.agent.routes  # a turn has its own
        desk = Desk(journal, self.router, routes, served, clock, state, filler, *known)
        reason = "the call broke"
        try:
            persona, toolbox = self.agent.persona(), self.agent.toolbox
            session = CallSession(
                call, carrier, desk, persona, toolbox, self.settings, self.pacer, broken
            )
            reason = await session.run()
        except Exception:  # the one place where a call ends: its bug must not end the others
            log.exception("call %s broke", call)
            await carrier.hangup(reason, failed=True)
        finally:
            del self.live[call]
            await journal.close(reason)
