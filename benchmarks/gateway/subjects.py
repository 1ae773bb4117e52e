"""Who is compared, how each is started, and what each is told; peers in environments of their own.

Each is told of two models of the one upstream, `instant` and `paced`, and of nothing else: no key,
no log of requests, no metrics, no database, no second model.
"""

import json
import os
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks import environments
from benchmarks.gateway.wire import INSTANT, PACED

US, DIRECT, RAW, LIBRARY, PARTS = "trunkline", "direct", "raw", "aiohttp", "parts"
_HERE = Path(__file__).parent
_PEERS = _HERE / "peers"
_CHAT = "/v1/chat/completions"
_BOTH = (INSTANT, PACED)
_INSTEAD = f'make bench ARGS="gateway --subjects {DIRECT} {RAW} {US}"'


@dataclass(frozen=True, slots=True)
class Started:
    """How a subject runs, and how it is asked.

    No *command*: clients ask the upstream itself. *paths*, *models* and *headers*: for each of the
    two models. *announces*: it chooses its port, and tells it in a line of JSON.
    """

    command: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(_BOTH, _CHAT))
    models: Mapping[str, str] = field(default_factory=lambda: dict(zip(_BOTH, _BOTH, strict=True)))
    headers: Mapping[str, Mapping[str, str]] = field(
        default_factory=lambda: {model: {} for model in _BOTH}
    )
    announces: bool = False


Start = Callable[[int, int, Path], Started]
"""Of the port that it is to listen on, the upstream's, and a folder for its files."""


def _direct(_: int, __: int, ___: Path) -> Started:
    return Started(paths={model: f"/{model}{_CHAT}" for model in _BOTH})


def _ours(module: str) -> Start:
    def start(port: int, upstream: int, _: Path) -> Started:
        return Started((sys.executable, "-m", module, str(port), str(upstream)))

    return start


def _trunkline(port: int, upstream: int, folder: Path) -> Started:
    """`trunkline serve`: a whole worker, which answers calls on the same port, with its speech."""
    place = {"zone": "here", "failure_domain": "worker"}
    zone = {"kind": "self_hosted", "region": "local", "jurisdiction": "none", "processor": "you"}
    zone |= {"retention": "none"}
    endpoints = {
        "ears": {"stage": "stt", "api": "pocketsphinx", "model": "en-us", **place},
        "voice": {"stage": "tts", "api": "espeak", "model": "en-us", **place},
    }
    for model in _BOTH:
        endpoints[model] = {"stage": "llm", "api": "openai", "model": "stub", **place}
        endpoints[model] |= {"base_url": f"http://127.0.0.1:{upstream}/{model}/v1"}
        endpoints[model] |= {"continuation": "prefix"}
    told = {
        "version": 1,
        "zones": {
            "here": zone
            | {"baa": False, "dpa": False, "accepts": ["audio", "prompt", "speech_text", "tool"]}
        },
        "endpoints": endpoints,
        "agents": {
            "receptionist": {
                "routes": {"stt": ["ears"], "llm": [INSTANT], "tts": ["voice"]},
                "folder": str(folder / "reception"),
            }
        },
        "gateway": {"models": {model: {"llm": [model]} for model in _BOTH}},
        "server": {"host": "127.0.0.1", "port": port, "drain_s": 1},
        "records": {"directory": str(folder / "records")},
    }
    config = folder / "trunkline.yaml"
    config.write_text(json.dumps(told, indent=1))  # JSON is YAML
    # With --events, requests are not logged.
    return Started((sys.executable, "-m", "trunkline", "serve", str(config), "--events"))


def _litellm(port: int, upstream: int, folder: Path) -> Started:
    """docs.litellm.ai/docs/proxy, read November 2026: the proxy server, one worker."""
    python = environments.python(_PEERS / "litellm-proxy.txt", _INSTEAD)
    told = {
        "model_list": [
            {
                "model_name": model,
                "litellm_params": {
                    "model": f"openai/{model}",
                    "api_base": f"http://127.0.0.1:{upstream}/{model}/v1",
                    "api_key": "none",
                },
            }
            for model in _BOTH
        ]
    }
    config = folder / "litellm.yaml"
    config.write_text(json.dumps(told))  # JSON is YAML
    server = python.parent / "litellm"
    command = (str(server), "--config", str(config), "--host", "127.0.0.1", "--port", str(port))
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # it would fetch a list
        "LITELLM_MODE": "PRODUCTION",
        "LITELLM_LOG": "ERROR",
        "NO_DOCS": "True",
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",  # as nobody here has keys
    }
    return Started((*command, "--num_workers", "1", "--telemetry", "False"), environment)


def _tensorzero(_: int, upstream: int, folder: Path) -> Started:
    """www.tensorzero.com/docs/gateway, read November 2026: the gateway of its Python wheel."""
    python = environments.python(_PEERS / "tensorzero.txt", _INSTEAD)
    lines = ["[gateway]", "observability.enabled = false"]
    for model in _BOTH:
        lines += [
            f"[models.{model}]",
            'routing = ["one"]',
            f"[models.{model}.providers.one]",
            'type = "openai"',
            'model_name = "stub"',
            f'api_base = "http://127.0.0.1:{upstream}/{model}/v1/"',
            'api_key_location = "none"',
        ]
    config = folder / "tensorzero.toml"
    config.write_text("\n".join(lines) + "\n")
    script = str(_HERE / "tensorzero_subject.py")
    return Started(
        (str(python), script, str(config)),
        {"RUST_LOG": "error"},
        paths=dict.fromkeys(_BOTH, f"/openai{_CHAT}"),
        models={model: f"tensorzero::model_name::{model}" for model in _BOTH},
        announces=True,
    )


def _portkey(port: int, upstream: int, _: Path) -> Started:
    """github.com/Portkey-AI/gateway, read November 2026: it is told by headers of each request."""
    node, modules = environments.node(_PEERS / "portkey.txt", _PEERS / "portkey", _INSTEAD)
    server = modules / "@portkey-ai/gateway/build/start-server.js"
    headers = {
        model: {
            "x-portkey-provider": "openai",
            "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/{model}/v1",
            "Authorization": "Bearer none",
        }
        for model in _BOTH
    }
    command = (str(node), str(server), f"--port={port}", "--headless")
    return Started(command, {"NODE_ENV": "production"}, headers=headers)


SUBJECTS: Mapping[str, Start] = {
    DIRECT: _direct,
    RAW: _ours("benchmarks.gateway.raw_subject"),
    LIBRARY: _ours("benchmarks.gateway.aiohttp_subject"),
    PARTS: _ours("benchmarks.gateway.parts_subject"),
    US: _trunkline,
    "tensorzero": _tensorzero,
    "portkey": _portkey,
    "litellm": _litellm,
}
NAMES = tuple(SUBJECTS)


def environment(started: Started) -> dict[str, str]:
    """The variables that a subject is started with."""
    inherited = [it for it in [os.environ.get("PYTHONPATH", "")] if it]
    path = os.pathsep.join([str(environments.ROOT), *inherited])
    return (
        dict(os.environ) | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"} | dict(started.environment)
    )
