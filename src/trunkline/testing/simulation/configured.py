"""From a name or a file to what is simulated: a world, and the policy that its configuration sets.

What is given may be a world that ships, a world file, or a configuration of Trunkline. A world file
may name a configuration whose policy is to be tried (`config:`); a configuration alone says nothing
about latency, so every endpoint of its model route gets the law of a managed API, and a note says
that this was assumed.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from trunkline.config.load import load, parse
from trunkline.config.models import Config
from trunkline.config.policies import attempt_policy
from trunkline.config.tree import read
from trunkline.core.attempt_words import AttemptPolicy
from trunkline.errors import InputError
from trunkline.testing.simulation.worlds import WORLDS, EndpointWorld, World, load_world
from trunkline.types import LLM

ASSUMED = EndpointWorld(law="managed", troubles="everyday", failure_domain="assumed")


@dataclass(frozen=True, slots=True)
class Setting:
    """A world and the attempt policy to try in it. *notes*: what was assumed, for people."""

    world: World
    policy: AttemptPolicy
    notes: tuple[str, ...] = ()


def load_setting(name: str) -> Setting:
    """What *name* stands for; `InputError` says what is wrong with it."""
    if name not in WORLDS and (text := _configuration(Path(name))) is not None:
        return _from_config(parse(text, name), name)
    world = load_world(name)
    if world.config is None:
        return Setting(world, AttemptPolicy())
    config = load(world.config)
    agent = _agent(config, world.agent, str(world.config))
    route = config.agents[agent].routes[LLM]
    if list(world.endpoints) != list(route):
        raise InputError(
            f"{name}: endpoints are {', '.join(world.endpoints)}, but the llm route of {agent} in "
            f"{world.config} is {', '.join(route)}. Name the same ones in the same order"
        )
    return Setting(world, attempt_policy(config.agents[agent].policy))


def _configuration(path: Path) -> str | None:
    """The text at *path*, if it looks like a configuration of Trunkline."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return None  # whoever reads it as a world says why
    tree, _, _ = read(text, str(path))
    return text if isinstance(tree, Mapping) and "zones" in tree else None


def _from_config(config: Config, file: str) -> Setting:
    agent = _agent(config, None, file)
    route = config.agents[agent].routes[LLM]
    endpoints = {
        name: ASSUMED.model_copy(
            update={"failure_domain": it.failure_domain, "expected": it.expected}
        )
        for name, it in ((name, config.endpoints[name]) for name in route)
    }
    about = f"the llm route of {agent} in {file}: {', '.join(route)}"
    note = (
        "assumed: every endpoint is as fast and as faulty as a managed API on a good day. "
        "Say what you measured in a world file, see docs/simulate.md"
    )
    world = World(version=1, about=about, endpoints=endpoints)
    return Setting(world, attempt_policy(config.agents[agent].policy), (note,))


def _agent(config: Config, named: str | None, where: str) -> str:
    agent = named or next(iter(config.agents))
    if agent not in config.agents:
        known = ", ".join(config.agents)
        raise InputError(f"{where} has no agent {agent!r}. Name one of: {known}")
    return agent
