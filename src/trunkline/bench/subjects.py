"""From what the operator named to what is measured: endpoints of a configuration, or any server.

The stages are those of calls, with the same keys, deadlines of connecting, and egress gate.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import ValidationError

from trunkline.bench.model import ModelSubject, Subject, Talk
from trunkline.bench.sentinel import Sentinel
from trunkline.config.endpoints import EndpointConfig
from trunkline.config.models import Config
from trunkline.errors import InputError
from trunkline.net.gate import Gate
from trunkline.net.http import client_session
from trunkline.providers.factories import BUILT_IN
from trunkline.providers.opening import OpenStages
from trunkline.providers.reaching import AnyStage, Resources
from trunkline.types import LLM, DataClass, Endpoint, Zone

CONNECT_S = 5.0
"""For a server that is only measured: a slow connection is a figure here, not a reason to go."""


@dataclass(frozen=True, slots=True)
class Server:
    """Any server of OpenAI's chat completions: a provider, a gateway, a rival's."""

    url: str
    model: str
    key_env: str | None = None

    @property
    def name(self) -> str:
        """What it is called in a run."""
        return f"{self.model}@{self.url.split('://', 1)[-1].split('/', 1)[0]}"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to measure: *endpoints* of *config*, and *servers*."""

    config: Config | None
    endpoints: Sequence[str]
    servers: Sequence[Server]

    def __post_init__(self) -> None:
        if not self.endpoints and not self.servers:
            raise InputError("nothing to measure: give --endpoint with a configuration, or --url")
        if self.endpoints and self.config is None:
            raise InputError("--endpoint names one of a configuration: give its file as well")
        for name in self.endpoints:
            settings = self.config.endpoints.get(name) if self.config else None
            if settings is None:
                known = ", ".join(self.config.endpoints) if self.config else ""
                raise InputError(f"there is no endpoint {name!r}. The file has: {known}")
            if settings.stage != LLM:
                raise InputError(
                    f"{name!r} is of stage {settings.stage}: so far language models are measured. "
                    "Give an endpoint of stage llm"
                )

    def about(self) -> Mapping[str, Mapping[str, object]]:
        """What each subject is, for the manifest; no key is in it, only where it was looked up."""
        told: dict[str, Mapping[str, object]] = {}
        for name in self.endpoints:
            if self.config is not None:
                told[name] = self.config.endpoints[name].model_dump(mode="json")
        for it in self.servers:
            told[it.name] = {"base_url": it.url, "model": it.model, "key_env": it.key_env}
        return told


@asynccontextmanager
async def opened(
    wanted: Wanted, environ: Mapping[str, str], talk: Talk, sentinel: Sentinel
) -> AsyncIterator[Sequence[Subject]]:
    """The subjects, ready. `InputError` or `EndpointError` if one of them cannot be."""
    async with client_session() as session:
        resources = Resources(session, Gate(lambda _: None), environ)
        stages = OpenStages(resources)
        try:
            found: dict[str, AnyStage] = {}
            if wanted.config is not None and wanted.endpoints:
                found |= await stages.prepare(wanted.config, wanted.endpoints)
            found |= {it.name: _stage(it, resources) for it in wanted.servers}
            yield [ModelSubject(name, it, talk, sentinel) for name, it in found.items()]
        finally:
            await stages.close()


def _settings(server: Server) -> Mapping[str, object]:
    return {
        "stage": LLM,
        "api": "openai",
        "model": server.model,
        "zone": "named",
        "failure_domain": server.name,
        "base_url": server.url,
        "key_env": server.key_env,
        "connect": {"deadline_s": CONNECT_S},
    }


def _stage(server: Server, resources: Resources) -> AnyStage:
    try:
        settings = EndpointConfig.model_validate(_settings(server))
    except ValidationError as error:
        wrong = error.errors()[0]
        raise InputError(
            f"--url {server.url}: {wrong['msg']}. Give one such as https://api.example.com/v1"
        ) from error

    # The operator named the address for this: prompts of ours go there, and nothing of a caller.
    zone = Zone(
        "named",
        "managed",
        "",
        "",
        "",
        "",
        baa=False,
        dpa=False,
        accepts=frozenset({DataClass.PROMPT}),
    )
    endpoint = Endpoint(server.name, LLM, "openai", server.model, zone, server.name)
    return BUILT_IN[LLM, "openai"](settings, endpoint, resources)
