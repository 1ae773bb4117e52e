"""From a configuration to a running gateway."""

import os
import time
from collections.abc import Mapping
from typing import Any

from trunkline.config.gateway import GatewayConfig, GatewayModelConfig
from trunkline.contracts import Stage
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.routing import Router
from trunkline.core.splice import REJOIN, can_go_on
from trunkline.errors import InputError
from trunkline.gateway.exchange import ChatModel
from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.metrics import Metrics
from trunkline.gateway.server import Gateway, Limits
from trunkline.telephony.door import Clients
from trunkline.telephony.server import TelephonyServer

SENTENCES_MAX = 10_000
"""Of one answer, which the bytes that are read of an endpoint bound sooner."""
TOOL_CHARS_MAX = 1_000_000


def mount(
    config: GatewayConfig | None,
    stages: Mapping[str, Stage[Any, Any]],
    router: Router,
    worker: str,
    server: TelephonyServer,
) -> None:
    """Serve the gateway of *worker*, if there is one, over the opened *stages* on *server*.

    `InputError` if a key is not set.
    """
    if config is None:
        return
    models = {
        name: _chat_model(name, it, [stages[endpoint] for endpoint in it.llm])
        for name, it in config.models.items()
    }
    limits = Limits(config.at_once_max, config.body_bytes_max)
    gateway = Gateway(
        models,
        keys(config),
        router,
        Metrics(worker),
        occupied=server.occupied,
        wall=time.time,
        limits=limits,
    )
    server.app.add_routes(gateway.routes())


def _chat_model(name: str, config: GatewayModelConfig, stages: list[Stage[Any, Any]]) -> ChatModel:
    for stage in stages:
        if stage.endpoint.continuation == "turn" and not can_go_on(config.language):
            raise InputError(
                f"gateway.models.{name}: {stage.endpoint.name!r} cannot be asked in "
                f"{config.language!r} to go on with a broken answer. Known are "
                f"{', '.join(sorted(REJOIN))}; or use endpoints with continuation: prefix"
            )
    policy = AttemptPolicy(
        hedge_after_s=config.hedge_after_s,
        give_up_s=config.give_up_s,
        attempts_max=config.attempts_max,
        sentences_max=SENTENCES_MAX,
        tool_chars_max=TOOL_CHARS_MAX,
    )
    return ChatModel(name, tuple(stages), config.hold, config.language, policy)


def keys(config: GatewayConfig | None) -> Keys:
    """The clients by their keys, from the environment; `InputError` if one is not set, or twice."""
    found: dict[str, Client] = {}
    for name, client in ({} if config is None else config.keys).items():
        key = os.environ.get(client.key_env)
        if not key:
            raise InputError(
                f"the environment variable {client.key_env} (gateway.keys.{name}.key_env) is not "
                "set. Export the key that this client sends"
            )
        if key in found:
            raise InputError(
                f"gateway.keys.{name} and {found[key].name} have the same key. Give each its own"
            )
        models = None if client.models is None else frozenset(client.models)
        found[key] = Client(name, models, client.requests_per_min, client.at_once_max)
    return Keys(found)


def clients(config: GatewayConfig | None) -> Clients:
    """What the port's door makes of them."""
    if config is None:
        return Clients()
    return Clients("/v1/", config.connections_per_s, config.at_once_max)
