"""`trunkline check`: is a configuration right, do its endpoints answer, and what may be lost.

Validating builds everything that a worker would start. Dialing then starts each endpoint and asks
it three times (`calls.examine`), through the same stages, keys and egress gate as calls.
"""

import asyncio
import os
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

from rich.console import Console
from rich.table import Table
from rich.text import Text

from trunkline.calls.examine import Examined, examine
from trunkline.config.borders import contradictions
from trunkline.config.endpoints import EndpointConfig
from trunkline.config.models import Config
from trunkline.console.serving import checked
from trunkline.errors import EgressRefused, EndpointError, Fault, InputError
from trunkline.media import wav
from trunkline.net.gate import EgressDecision, Gate
from trunkline.net.http import client_session
from trunkline.providers.opening import OpenStages
from trunkline.providers.reaching import Resources
from trunkline.providers.registry import Apis
from trunkline.types import StageName

AT_ONCE = 4
"""Endpoints that are dialed side by side: more would measure this machine."""
CLIP = "hours.wav"
Wrong = EndpointError | EgressRefused | InputError | str


@dataclass(frozen=True, slots=True)
class Loss:
    """What is left of an agent's routes when a failure domain is lost."""

    agent: str
    failure_domain: str
    left: Mapping[StageName, Sequence[str]]

    @property
    def survives(self) -> bool:
        """Whether each stage has somebody left."""
        return all(self.left.values())


@dataclass(frozen=True, slots=True)
class Checked:
    """A configuration that is right, and what dialing it brought (None: it was not dialed)."""

    config: Config
    dialed: Mapping[str, Examined] | None
    egress: Sequence[EgressDecision]

    @property
    def well(self) -> bool:
        """Whether nothing has to be mended."""
        return not any(it.wrong for it in (self.dialed or {}).values())

    @property
    def losses(self) -> Sequence[Loss]:
        """For each agent and failure domain that it uses; endpoints that did not answer are out."""
        dead = {name for name, it in (self.dialed or {}).items() if it.asked and not it.firsts_s}
        return [it for agent in self.config.agents for it in losses(self.config, agent, dead)]

    def as_json(self) -> dict[str, object]:
        """Plain data."""
        return {
            "valid": True,
            "well": self.well,
            "dialed": self.dialed is not None,
            "endpoints": {name: self._endpoint(name) for name in self.config.endpoints},
            "contradictions": {it: list(told) for it, told in contradictions(self.config).items()},
            "losses": [
                {
                    "agent": it.agent,
                    "failure_domain": it.failure_domain,
                    "survives": it.survives,
                    "left": {stage: list(names) for stage, names in it.left.items()},
                }
                for it in self.losses
            ],
            "egress": [
                {
                    "endpoint": it.endpoint,
                    "destination": it.destination,
                    "data_class": it.data_class.value,
                    "allowed": it.allowed,
                    "rule": it.rule,
                }
                for it in self.egress
            ],
        }

    def _endpoint(self, name: str) -> dict[str, object]:
        settings = self.config.endpoints[name]
        told: dict[str, object] = {
            "stage": settings.stage,
            "api": settings.api,
            "model": settings.model,
            "zone": settings.zone,
            "failure_domain": settings.failure_domain,
        }
        if self.dialed is not None:
            it = self.dialed[name]
            wrong = [{"what": str(what), "mend": mend(settings, what)} for what in it.wrong]
            firsts = [round(first_s, 4) for first_s in it.firsts_s]
            told |= {"asked": it.asked, "firsts_s": firsts, "can": it.can, "wrong": wrong}
        return told


async def check(config: Config, *, dial: bool, apis: Apis | None = None) -> Checked:
    """Check *config*; `ConfigError` or `InputError` if a worker would not start with it."""
    await checked(config, apis)
    if not dial:
        return Checked(config, None, ())
    egress: list[EgressDecision] = []
    clip = wav.read(str(files("trunkline.console") / "clips" / CLIP)).tobytes()
    room = asyncio.Semaphore(AT_ONCE)
    async with client_session() as session, asyncio.TaskGroup() as group:
        resources = Resources(session, Gate(egress.append), os.environ)
        tasks = {
            name: group.create_task(_dialed(config, name, resources, apis, clip, room))
            for name in config.endpoints
        }
        await asyncio.wait(tasks.values())
    return Checked(config, {name: task.result() for name, task in tasks.items()}, egress)


async def _dialed(
    config: Config,
    name: str,
    resources: Resources,
    apis: Apis | None,
    clip: bytes,
    room: asyncio.Semaphore,
) -> Examined:
    opened = OpenStages(resources, apis)
    async with room:
        try:
            stages = await opened.prepare(config, [name])
            return await examine(stages[name], clip)
        except (EndpointError, InputError) as error:  # such as an engine that does not start
            return Examined(asked=1, wrong=[error])
        finally:
            await opened.keep(())


def losses(config: Config, agent: str, dead: Iterable[str] = ()) -> Sequence[Loss]:
    """What is left of the routes of *agent* after the loss of each failure domain that they use."""
    routes, gone = config.agents[agent].routes, set(dead)
    domains = {name: config.endpoints[name].failure_domain for it in routes.values() for name in it}
    return [
        Loss(
            agent,
            domain,
            {
                stage: [it for it in route if domains[it] != domain and it not in gone]
                for stage, route in routes.items()
            },
        )
        for domain in dict.fromkeys(domains.values())
    ]


_MENDS = (
    (r"the proxy", "Look at connect: {proxy: ...}, and what it lets pass"),
    (r"DNSError|Name or service|getaddrinfo", "Its name does not resolve: look at base_url, DNS"),
    (
        r"(?i)certificate",
        "Its certificate is not trusted: if it is your own CA's, name that in tls: {ca_file: ...}; "
        "if it wants one of yours, give tls: {cert_file: ..., key_file: ...}",
    ),
    (r"SSL|TLS", "TLS failed: does base_url begin with the right one of http and https?"),
    (
        r"reset by peer|Server disconnected",
        "It broke off at our first words: if it wants a certificate of yours, give "
        "tls: {cert_file: ..., key_file: ...}",
    ),
    (r"HTTP 40[13]\b", "{key}"),
    (r"HTTP 404\b", "There is no such model, or no such path: look at model and base_url"),
    (r"HTTP 4\d\d\b", "It does not take the request: look at model and options"),
)
_BY_FAULT = {
    Fault.UNREACHABLE: "Nobody answers there: start it, or mend base_url or the firewall",
    Fault.THROTTLED: "Its quota is used up: ask for more, or give the route a backup",
    Fault.SILENT: "It is there and says nothing in time: look at its load",
}


def mend(settings: EndpointConfig, what: Wrong) -> str:
    """What an operator does about *what* is wrong with an endpoint; "" if that says so itself."""
    if isinstance(what, str) and "continuation" in what:
        return "Write continuation: turn, or mend its server: calls ask it by turns meanwhile"
    if not isinstance(what, EndpointError):
        return ""
    for pattern, mending in _MENDS:
        if re.search(pattern, what.detail):
            given = f"It does not take the key in {settings.key_env}: look at it, and its rights"
            none = "It wants a key: name the variable that holds it in key_env"
            return mending.replace("{key}", none if settings.key_env is None else given)
    return _BY_FAULT.get(what.fault, "")


def show(result: Checked, path: object, out: Console) -> None:
    """Print it: who serves what, what dialing brought, what survives what, what to mend."""
    config = result.config
    for agent, settings in config.agents.items():
        out.print(Text("agent ").append(agent, "bold"))
        for stage, route in settings.routes.items():
            parts = []
            for name in route:
                e = config.endpoints[name]
                parts.append(f"{name} ({e.api} {e.model}, {e.zone}, {e.failure_domain})")
            out.print(Text(f"  {stage}: " + ", then ".join(parts)), soft_wrap=True)
    if result.dialed is not None:
        out.print(_times(config, result.dialed))
    out.print(_survival(result.losses))
    for loss in result.losses:
        gone = ", ".join(stage for stage, left in loss.left.items() if not left)
        if gone:
            said = f"{loss.agent}: {gone} does not survive the loss of {loss.failure_domain}"
            out.print(Text(said, "yellow"), soft_wrap=True)
    claims = (f"{name}: {it}" for name, told in contradictions(config).items() for it in told)
    for claim in claims:
        out.print(Text(claim, "yellow"), soft_wrap=True)
    for name, it in (result.dialed or {}).items():
        for what in dict.fromkeys(map(str, it.wrong)):
            wrong = next(one for one in it.wrong if str(one) == what)
            line = Text(what if what.startswith(name) else f"{name}: {what}", "red")
            todo = mend(config.endpoints[name], wrong)
            out.print(line.append(f". {todo}" if todo else "", "default"), soft_wrap=True)
    verdict = (
        "valid"
        if result.dialed is None
        else "valid, " + ("and everybody answers" if result.well else "but not all is well")
    )
    out.print(Text(f"{path}: {verdict}"), soft_wrap=True)


def _times(config: Config, dialed: Mapping[str, Examined]) -> Table:
    """Seconds to the first token (llm), audio (tts), final transcript (stt)."""
    table = Table("endpoint", "stage", "first (s)", "of 3", "what it can do", box=None)
    for name, it in dialed.items():
        times = [f"{first_s:.3f}" for first_s in sorted(it.firsts_s)]
        first = f"{statistics.median(it.firsts_s):.3f} ({times[0]}-{times[-1]})" if times else "-"
        can = ", ".join(f"{what}: {how}" for what, how in it.can.items())
        style = "red" if not times and it.asked else "yellow" if it.wrong else ""
        row = (name, config.endpoints[name].stage, first, str(len(times)), can)
        table.add_row(*map(Text, row), style=style)
    return table


def _survival(found: Sequence[Loss]) -> Table:
    stages = list(dict.fromkeys(stage for loss in found for stage in loss.left))
    table = Table("agent", "if this is lost", *stages, box=None)
    for loss in found:
        left = [", ".join(loss.left.get(stage, ())) or "nobody" for stage in stages]
        row = (loss.agent, loss.failure_domain, *left)
        table.add_row(*map(Text, row), style="" if loss.survives else "yellow")
    return table
