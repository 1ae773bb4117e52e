"""From the settings of an endpoint to a stage over the network: address, key, TLS, proxy, replicas.

For built-in apis and for those of other packages: what stands in `connect:`, `tls:` and `replicas:`
is honoured here, or refused.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from aiohttp import ClientSession

from trunkline.config.endpoints import ConnectConfig, EndpointConfig, TlsConfig
from trunkline.contracts import BodyCodec, Codec, DuplexCodec, Stage
from trunkline.errors import InputError
from trunkline.net.access import Access, proxy_url, tls_context
from trunkline.net.body import BodyStage
from trunkline.net.gate import Gate
from trunkline.net.http import SseStage
from trunkline.net.raw import Pool
from trunkline.net.replicas import ReplicatedStage
from trunkline.net.websocket import WebSocketStage
from trunkline.providers.pseudonyms import Vaults, vaults_for
from trunkline.types import Delta, Endpoint, Prompt

AnyStage: TypeAlias = Stage[Any, Any]
"""A stage whose input and output its name (`stt`, `llm`, `tts`) decides, as `Stage` tells."""
HTTP_S, WEBSOCKET_S = 0.5, 1.5
"""Deadlines for connecting, if none is configured; a WebSocket's has a round trip more."""


@dataclass(frozen=True, slots=True)
class Resources:
    """What stages share: the HTTP session, the egress gate, and where keys are looked up.

    *retried* is told of each request that is sent once more inside an endpoint, to a replica.
    *vaults* are those of the worker's calls, for models that may see pseudonyms only.
    """

    session: ClientSession
    gate: Gate
    environ: Mapping[str, str]
    retried: Callable[[], None] = lambda: None
    pool: Pool = field(default_factory=Pool)
    vaults: Callable[[], Vaults] = vaults_for


def key_of(config: EndpointConfig, resources: Resources) -> str | None:
    """The key of an endpoint, None if it needs none; `InputError` if its variable is not set."""
    if config.key_env is None:
        return None
    if key := resources.environ.get(config.key_env):
        return key
    raise InputError(
        f"the environment variable {config.key_env} (key_env) is not set. "
        f"Export it for the worker, or write key_env: null if the endpoint needs no key"
    )


def access(config: EndpointConfig, resources: Resources, deadline_s: float) -> Access:
    """How the endpoint is reached; `InputError` if it could not be so."""
    connect, tls = config.connect or ConnectConfig(), config.tls or TlsConfig()
    proxy = None
    if connect.proxy is not None:
        proxy = proxy_url(connect.proxy, "connect.proxy")
    elif connect.proxy_env is not None:
        given = resources.environ.get(connect.proxy_env, "")
        proxy = proxy_url(given, f"the environment variable {connect.proxy_env} (proxy_env)")
    own = tls != TlsConfig()
    context = tls_context(tls.ca_file, tls.cert_file, tls.key_file) if own else None
    return Access(connect.deadline_s or deadline_s, context, proxy, connect.warm)


def sse(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Codec[Prompt, Delta],
    home: str,
) -> AnyStage:
    """A stage over server-sent events, at *home* if the configuration names no other address."""
    key, reached = key_of(config, resources), access(config, resources, HTTP_S)
    session, gate = resources.session, resources.gate
    stages = [
        SseStage(
            endpoint,
            codec,
            base_url=url,
            key=key,
            session=session,
            gate=gate,
            access=reached,
            pool=resources.pool,
        )
        for url in config.replicas or (config.base_url or home,)
    ]
    if len(stages) == 1:
        return stages[0]
    return ReplicatedStage(stages, resources.retried)


def duplex(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Callable[[Endpoint, Mapping[str, object]], DuplexCodec[Any, Any]],
    home: str,
) -> AnyStage:
    """A stage over a WebSocket, at *home* if the configuration names no other address."""
    if config.replicas:
        raise InputError(
            f"replicas: {config.api} has none. Write an endpoint for each server, one route for all"
        )
    return WebSocketStage(
        endpoint,
        codec(endpoint, config.options),
        base_url=config.base_url or home,
        key=key_of(config, resources),
        session=resources.session,
        gate=resources.gate,
        access=access(config, resources, WEBSOCKET_S),
    )


def body(
    config: EndpointConfig,
    endpoint: Endpoint,
    resources: Resources,
    codec: Callable[[Endpoint, Mapping[str, object]], BodyCodec[Any, Any]],
) -> AnyStage:
    """A stage over HTTP of a protocol that many servers speak: its address is to be named."""
    if config.replicas:
        raise InputError(
            f"replicas: {config.api} has none. Write an endpoint for each server, one route for all"
        )
    if config.base_url is None:
        raise InputError('base_url is missing. Add base_url: "https://.../v1"')
    return BodyStage(
        endpoint,
        codec(endpoint, config.options),
        base_url=config.base_url,
        key=key_of(config, resources),
        session=resources.session,
        gate=resources.gate,
        access=access(config, resources, HTTP_S),
    )
