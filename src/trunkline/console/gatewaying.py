"""From a configuration to a running gateway."""

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from trunkline.config.gateway import GatewayConfig, GatewayModelConfig
from trunkline.contracts import Stage
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.core.routing import Router
from trunkline.core.splice import REJOIN, can_go_on
from trunkline.errors import InputError
from trunkline.gateway.audio_parts import AudioModel
from trunkline.gateway.door import Limits, Model
from trunkline.gateway.exchange import ChatModel
from trunkline.gateway.keys import Client, Keys
from trunkline.gateway.metrics import Metrics
from trunkline.gateway.server import Gateway
from trunkline.telephony.door import Clients
from trunkline.telephony.server import TelephonyServer
from trunkline.types import LLM

Stages: TypeAlias = Mapping[str, Stage[Any, Any]]

SENTENCES_MAX = 10_000
"""Of one answer, which the bytes that are read of an endpoint bound sooner."""
TOOL_CHARS_MAX = 1_000_000


def mount(
    config: GatewayConfig | None,
    stages: Callable[[], Stages],
    router: Router,
    worker: str,
    server: TelephonyServer,
) -> None:
    """Serve the gateway of *worker*, if there is one, over the opened *stages* on *server*.

    *stages* are asked for by each request: they may be exchanged while the worker runs.

    `InputError` if a key is not set.
    """
    if config is None:
        return
    limits = Limits(config.at_once_max, config.body_bytes_max, config.audio_bytes_max)
    gateway = Gateway(
        _Models(config, stages),
        keys(config),
        router,
        Metrics(worker),
        occupied=server.occupied,
        wall=time.time,
        limits=limits,
    )
    server.app.add_routes(gateway.routes())


class _Models:
    """The models of *config* over the *stages* of the moment."""

    def __init__(self, config: GatewayConfig, stages: Callable[[], Stages]) -> None:
        self._config, self._stages = config, stages
        self._made_of: Stages | None = None
        self._models: Mapping[str, Model] = {}
        self()

    def __call__(self) -> Mapping[str, Model]:
        """The models; `InputError` if an endpoint cannot be asked in a model's language."""
        stages = self._stages()
        if stages is not self._made_of:
            self._models = {
                name: _model(name, it, [stages[endpoint] for endpoint in it.route[1]])
                for name, it in self._config.models.items()
            }
            self._made_of = stages
        return self._models


def _model(name: str, config: GatewayModelConfig, stages: list[Stage[Any, Any]]) -> Model:
    stage, _ = config.route
    if stage == LLM:
        return _chat_model(name, config, stages)
    return AudioModel(name, stage, tuple(stages), config.language)


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
