"""What all calls of one process share, and how a call is answered."""

import asyncio
import logging
import os
import time
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Protocol

from trunkline.calls.filler import Filler, Fillers
from trunkline.calls.pacer import Pacer
from trunkline.calls.policies import Policies
from trunkline.calls.session import CallSession
from trunkline.calls.steps import Desk, Routes
from trunkline.calls.voices import Voices
from trunkline.contracts import Carrier, Journal, Toolbox
from trunkline.core.last_resort import TAKE_MESSAGE, LastResortPolicy
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


@dataclass(frozen=True, slots=True)
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

    async def prepare(self) -> None:
        """Render what must be there when no synthesiser is; before the first call."""
        await self.voices.prepare(self.agent.routes[TTS], self.agent.persona().apology)

    async def prepare_last_lines(self) -> None:
        """Render what the last resort says, which a worker's start need not wait for."""
        policy, lines = self._last_resort(redirected=True), self.agent.persona().last_lines
        texts = [lines.transfer] if policy.transfer_to else []
        texts += [lines.message, lines.number, lines.taken] if policy.message else []
        texts = [" ".join(text.split()) for text in texts]
        await self.voices.prepare(self.agent.routes[TTS], *texts)

    def _last_resort(self, *, redirected: bool) -> LastResortPolicy:
        """What there is to offer. The carrier transfers by the redirect behind our stream; without
        the tool for it no message is kept."""
        policy, specs = self.agent.policies.last_resort, self.agent.toolbox.specs
        return replace(
            policy,
            transfer_to=policy.transfer_to if redirected else "",
            message=policy.message and any(spec.name == TAKE_MESSAGE for spec in specs),
        )

    async def answer(
        self, carrier: Carrier, call: CallId | None = None, broken: BrokenCall | None = None
    ) -> None:
        """Run the call on *carrier* to its end. A call that breaks ends; the worker does not.

        *call* is its id if it has one already, from our webhook, which is asked again behind the
        stream; *broken* the call on this line that it goes on with.
        """
        redirected = call is not None
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
        routes = self.agent.routes
        desk = Desk(journal, self.router, routes, served, clock, state, filler, *known)
        reason = "the call broke"
        try:
            policy = self._last_resort(redirected=redirected)
            persona = self.agent.persona()
            policies = replace(self.agent.policies, last_resort=policy)
            session = CallSession(
                call, carrier, desk, persona, self.agent.toolbox, policies, self.pacer, broken
            )
            reason = await session.run()
        except Exception:  # the one place where a call ends: its bug must not end the others
            log.exception("call %s broke", call)
            await carrier.hangup(reason, failed=True)
        finally:
            del self.live[call]
            await journal.close(reason)
