"""From a configuration to a running worker: everything that `trunkline serve` puts together."""

import asyncio
import functools
import gc
import logging
import os
import time
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Literal

from trunkline.agent.practice import RIVERSIDE_DENTAL, load_practice
from trunkline.calls.worker import ClosableJournal, Worker
from trunkline.config.load import ConfigErrors
from trunkline.config.models import AgentConfig, Config
from trunkline.console.archiving import archive_keys, configured, policy
from trunkline.console.assembly import Assembly, check_language
from trunkline.console.gatewaying import clients, keys, mount
from trunkline.console.reloading import Reloading
from trunkline.errors import ConfigError, InputError, TrunklineError
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import client_session
from trunkline.ops.meter import Meter, OwnDoor
from trunkline.providers.pseudonyms import Vaults, vaults_for
from trunkline.providers.reaching import Resources
from trunkline.providers.registry import Apis, build
from trunkline.records.finder import ProcessFinder
from trunkline.records.keeper import keep
from trunkline.records.lanes import ThreadLane
from trunkline.records.resume import BrokenCall
from trunkline.records.worker import WorkerRecords
from trunkline.telephony.leg import TwilioCarrier
from trunkline.telephony.server import (
    CALL_PARAMETER,
    RESUMES_PARAMETER,
    Fate,
    TelephonyServer,
)
from trunkline.telephony.settings import TelephonyConfig
from trunkline.types import CallId, DataClass, Sample, Where

log = logging.getLogger(__name__)

KNOWN_MAX = 256
"""Broken calls that are kept in memory until their streams come; more are read again."""
RESUMES_MAX = 3
"""A call that broke off more often is not resumed: perhaps it is what kills workers."""
HIDDEN = {"attempt.request"}
"""Events that a watcher does not get: large, and in the journal anyway."""

HARMLESS = {
    "attempt.suspected",
    "call.ended",
    "call.gave_up",
    "egress",
    "failover",
    "playout.mark",
    "step.planned",
    "step.settled",
}
"""Events with nothing of a caller's in them, nor a provider's words, which may quote one."""


class Watched:
    """A journal whose events are also told to *tell*, as dicts, as they are noted.

    *content* false: of all but `HARMLESS` events only that they happened. Who collects the lines is
    in no zone, so that nothing could decide whether a caller's words may go there.
    """

    def __init__(
        self,
        inner: ClosableJournal,
        tell: Callable[[dict[str, object]], None],
        *,
        content: bool = True,
    ) -> None:
        self._inner, self._tell, self._content = inner, tell, content

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """Journal the event and tell of it."""
        self._inner.note(type, data, where=where, data_class=data_class, zone=zone, sample=sample)
        if type not in HIDDEN:
            place = {"call": where.call, "turn": where.turn, "attempt": where.attempt}
            times = {"mono": time.monotonic(), "sample": sample}
            shown = self._content or type in HARMLESS
            self._tell({"type": type, **place, **times, "data": dict(data) if shown else {}})

    def audio(self, channel: Literal["caller", "agent"], at: Sample, mulaw: bytes) -> None:
        """Record audio."""
        self._inner.audio(channel, at, mulaw)

    async def commit(self) -> None:
        """Wait until it is durable."""
        await self._inner.commit()

    async def close(self, reason: str) -> None:
        """End the journal."""
        await self._inner.close(reason)


@dataclass(frozen=True, slots=True)
class Running:
    """A worker that takes calls; *reload* has it read its configuration now."""

    server: TelephonyServer
    worker: Worker
    reload: Callable[[], None]

    @property
    def port(self) -> int:
        """Where it listens."""
        return self.server.port


@asynccontextmanager
async def serving(
    config: Config, agent_name: str, tell: Callable[[dict[str, object]], None] | None = None
) -> AsyncIterator[Running]:
    """The only worker, which listens itself; see `working`."""
    async with working(config, agent_name, tell, "w0", listen=True) as running:
        yield running


@asynccontextmanager
async def working(
    config: Config,
    agent_name: str,
    tell: Callable[[dict[str, object]], None] | None,
    name: str,
    *,
    listen: bool,
    reloaded: Callable[[str], None] | None = None,
) -> AsyncIterator[Running]:
    """A worker that takes calls for *agent_name* until the context is left, and then drains.

    *name* is that of its records; *listen* false: it is given its connections (`adopt`).
    *reloaded* gets the digest of each configuration that it has taken (`reloading`).
    Raises `ConfigError`, `InputError` or `EndpointError` if something is missing: before the first
    call, not in it.
    """
    async with AsyncExitStack() as stack:
        records = await stack.enter_async_context(await with_clerk(config, name))
        session = await stack.enter_async_context(client_session())
        gate = Gate(lambda decision: _note_egress(parts, decision))

        def retried() -> None:
            """A repeat to another replica takes the place of one that failed."""
            parts.worker.router.budget.failover()

        vaults = _vaults(config.agents[agent_name])
        resources = Resources(session, gate, os.environ, retried, vaults=vaults)
        stack.callback(resources.pool.close)
        parts: Assembly = Assembly(config, agent_name, resources, tell)
        stack.push_async_callback(parts.close)

        def journal(call: CallId) -> ClosableJournal:
            opened = records.journal(call)
            content = parts.config.residency is None
            return opened if tell is None else Watched(opened, tell, content=content)

        worker = await parts.open(journal)
        recall = Recall(records)

        async def answer(carrier: TwilioCarrier) -> None:
            parameters = carrier.started.parameters
            call, broken = (parameters.get(it) for it in (CALL_PARAMETER, RESUMES_PARAMETER))
            known = broken and await recall(CallId(broken), carrier.started.carrier_call)
            await worker.answer(carrier, CallId(call) if call else None, known or None)

        shape = replace(telephony(config), keep_alive=listen)
        server = TelephonyServer(shape, answer, fate=recall.fate)
        mount(config.gateway, lambda: parts.stages, worker.router, name, server)
        async with asyncio.TaskGroup() as group:
            reloading = Reloading(config.path, parts, tell, reloaded)
            beside = [
                group.create_task(it.run()) for it in (worker.pacer, parts.probes, parts, reloading)
            ]
            beside.append(group.create_task(_kept(config, records)))
            if listen:
                door = OwnDoor(Meter(server, worker))
                server.admission.measured = door.has_room
                beside.append(group.create_task(door.run()))
            await server.start(listen=listen)
            beside.append(group.create_task(worker.prepare_last_lines()))
            _collect()
            try:
                yield Running(server, worker, reloading.nudge)
            finally:
                await server.close(config.server.drain_s)
                for task in beside:
                    task.cancel()


def _vaults(agent: AgentConfig) -> Callable[[], Vaults]:
    """Those of its calls; loaded only where some model may see pseudonyms only."""

    @functools.cache
    def vaults() -> Vaults:
        return vaults_for((agent.practice or RIVERSIDE_DENTAL).read_text("utf-8"))

    return vaults


async def with_clerk(config: Config, name: str) -> WorkerRecords:
    """The records of worker *name*; what dead workers left is read by a process of its own."""
    directory, keys = config.records.directory, archive_keys(configured(config.records), make=True)
    finder = await ProcessFinder.start(directory, keys.line())
    return WorkerRecords(directory, name, finder=finder, archive=keys.open(directory))


async def _kept(config: Config, records: WorkerRecords) -> None:
    """Expire what is too old, until it is cancelled."""
    lane = ThreadLane("trunkline-keeping")
    await keep(records.store, policy(config.records.retention), lane)


def _collect() -> None:
    """A full collection of what start-up left takes 50 ms, two frames of every call."""
    gc.collect()
    gc.freeze()


class Recall:
    """What the *records* know of a call whose stream ended, for whoever has its caller now."""

    def __init__(self, records: WorkerRecords) -> None:
        self._records = records
        self._known: OrderedDict[CallId, BrokenCall] = OrderedDict()  # asked for twice: see `fate`

    async def __call__(self, call: CallId, carrier_call: str) -> BrokenCall | None:
        """The call as it broke off; None if nothing is known of it, or it was another line's."""
        try:
            found = self._known.pop(call, None)
            if found is None:
                found = await self._records.find(call)
        except TrunklineError as error:  # a caller waits: an operator reads the rest
            log.error("call %s cannot be resumed: %s", call, error)  # noqa: TRY400  # no trace
            return None
        # The id came over the wire: only the line that it belonged to may go on with it.
        return found if found is not None and found.carrier_call == carrier_call else None

    async def fate(self, call: CallId, carrier_call: str) -> Fate:
        """What became of it."""
        found = await self(call, carrier_call)
        if found is not None:  # its stream follows: a journal takes some 20 ms to read
            self._known[call] = found
            if len(self._known) > KNOWN_MAX:
                self._known.popitem(last=False)
        if found is None:
            return "unknown"
        if found.transfer is not None and not found.broken:
            return found.transfer
        if found.broken and found.resumes >= RESUMES_MAX:
            return "lost"
        return "broken" if found.broken else "over"


async def checked(config: Config, apis: Apis | None = None) -> None:
    """Build everything that `serving` would start, and start nothing.

    Raises `ConfigError` or `InputError` with what is wrong: an unknown api, a key that is not set,
    an address that is none.
    """
    telephony(config)
    keys(config.gateway)
    for name, agent in config.agents.items():
        check_language(config, name, load_practice(agent.practice or RIVERSIDE_DENTAL).language)
    async with client_session() as session:
        resources = Resources(session, Gate(_nothing_leaves), os.environ)
        errors = []
        for name in config.endpoints:
            try:
                build(config, name, resources, apis)
            except ConfigError as error:
                errors.append(error)
    if errors:
        raise errors[0] if len(errors) == 1 else ConfigErrors(errors)


def _nothing_leaves(decision: EgressDecision) -> None:
    raise AssertionError(f"a check sends nothing, but {decision}")


def _note_egress(parts: Assembly, decision: EgressDecision) -> None:
    journal = parts.live.get(decision.where.call)
    if journal is None:
        return  # a probe: no call's data leaves
    data = {
        "endpoint": decision.endpoint,
        "destination": decision.destination,
        "data_class": decision.data_class.value,
        "allowed": decision.allowed,
        "rule": decision.rule,
    }
    journal.note("egress", data, where=decision.where, zone=decision.zone)


def telephony(config: Config) -> TelephonyConfig:
    """The telephony part of the configuration, its secret read from the environment."""
    server = config.server
    token = None
    if server.twilio_auth_token_env is not None:
        token = os.environ.get(server.twilio_auth_token_env)
        if not token:
            raise InputError(
                f"the environment variable {server.twilio_auth_token_env} "
                "(server.twilio_auth_token_env) is not set. Export it, or write null for local use"
            )
    return TelephonyConfig(
        host=server.host,
        port=server.port,
        public_url=server.public_url,
        auth_token=token,
        calls_max=server.calls_max,
        transfer_to=server.transfer_to or "",
        clients=clients(config.gateway),
    )
