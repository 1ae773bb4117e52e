"""A configuration of LiteLLM's proxy (`config.yaml`), made into one of ours, and what is lost.

Its format, as its documentation ("Config.yaml", "All settings") and `get_llm_provider_logic.py`
have it, read November 2026: `model_list` is a list of deployments, of which those with one
`model_name` are a group; `litellm_params.model` is `provider/model`, a key is `os.environ/NAME`;
`fallbacks`, in `router_settings` or `litellm_settings`, is a list of `{group: [groups]}`.

A group becomes an agent: its route has the group's deployments, then those of its fallbacks. Every
value of the file is either carried over or named in a note with its line and the reason; that is
counted, so that a key which LiteLLM adds tomorrow is not dropped in silence. No secret is repeated.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from trunkline.config.load import parse
from trunkline.config.tree import Loc, Source, Tree, dotted, read
from trunkline.errors import ConfigError

ROUTE_MAX = 8
_ENVIRON = "os.environ/"
_SAMPLING = ("temperature", "top_p", "frequency_penalty", "presence_penalty", "seed", "stop")
_LIMITS = ("max_tokens", "max_completion_tokens")


@dataclass(frozen=True, slots=True)
class _Provider:
    """*home*: the base URL if none is given (None: it must be); *key_env*: LiteLLM's default."""

    api: str
    home: str | None
    key_env: str | None
    continuation: str = "turn"


_PROVIDERS: Mapping[str, _Provider] = {
    "openai": _Provider("openai", "https://api.openai.com/v1", "OPENAI_API_KEY"),
    "azure": _Provider("openai", None, "AZURE_API_KEY"),
    "anthropic": _Provider("anthropic", "https://api.anthropic.com/v1", "ANTHROPIC_API_KEY"),
    "gemini": _Provider(
        "gemini", "https://generativelanguage.googleapis.com/v1beta", "GEMINI_API_KEY"
    ),
    # The worker tries at its start whether the server does go on with a prefix.
    "hosted_vllm": _Provider("openai", None, None, "prefix"),
    "llamafile": _Provider("openai", None, None),
    "lm_studio": _Provider("openai", None, None),
    "groq": _Provider("openai", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
    "mistral": _Provider("openai", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
    "deepseek": _Provider("openai", "https://api.deepseek.com/v1", "DEEPSEEK_API_KEY"),
    "cerebras": _Provider("openai", "https://api.cerebras.ai/v1", "CEREBRAS_API_KEY"),
    "sambanova": _Provider("openai", "https://api.sambanova.ai/v1", "SAMBANOVA_API_KEY"),
    "nvidia_nim": _Provider("openai", "https://integrate.api.nvidia.com/v1", "NVIDIA_NIM_API_KEY"),
    "together_ai": _Provider("openai", "https://api.together.xyz/v1", "TOGETHER_API_KEY"),
}
_REASONS: Mapping[str, str] = {
    "model_list[].model_info": "prices and limits are not part of a route",
    "model_list[].litellm_params.rpm": "endpoints that push back (429) stand back by themselves",
    "model_list[].litellm_params.tpm": "endpoints that push back (429) stand back by themselves",
    "model_list[].litellm_params.timeout": "how long is waited is learnt; policy: can fix it",
    "model_list[].litellm_params.stream_timeout": "how long is waited is learnt",
    "model_list[].litellm_params.max_retries": "the budget of the worker decides on retries",
    "model_list[].litellm_params.weight": "the order of the file is the order of preference",
    "model_list[].litellm_params.order": "the order of the file is the order of preference",
    "model_list[].litellm_params.extra_headers": "an endpoint sends its api's headers only",
    "model_list[].litellm_params.organization": "an endpoint sends its api's headers only",
    "router_settings.routing_strategy": "routing learns from what endpoints do",
    "router_settings.num_retries": "the budget of the worker decides on retries",
    "router_settings.timeout": "how long is waited is learnt; policy: can fix it",
    "router_settings.allowed_fails": "breakers open by what endpoints do",
    "router_settings.cooldown_time": "open endpoints are probed until they are well",
    "router_settings.redis_": "a worker decides alone; nothing is shared",
    "router_settings.model_group_alias": "an agent has one name",
    "litellm_settings.num_retries": "the budget of the worker decides on retries",
    "litellm_settings.request_timeout": "how long is waited is learnt; policy: can fix it",
    "litellm_settings.context_window_fallbacks": "a call's history is short; the route decides",
    "litellm_settings.content_policy_fallbacks": "a content filter's stop is an answer here",
    "router_settings.content_policy_fallbacks": "a content filter's stop is an answer here",
    "litellm_settings.drop_params": "what is sent is what options: {extra: ...} says",
    "litellm_settings.cache": "answers of a call are not cached",
    "litellm_settings": "a setting of LiteLLM's library",
    "general_settings": "a setting of LiteLLM's proxy",
    "environment_variables": "export it for the worker; values do not stand in this file",
}
"""Why what is at a place, or below, is not carried over; the longest that fits is told."""


@dataclass(frozen=True, slots=True)
class Imported:
    """*text*: our configuration; *notes*: what was not carried over, by line; *wrong*: what keeps
    the file from being used as it is."""

    text: str
    notes: Sequence[str]
    wrong: bool


@dataclass(slots=True)
class _Work:
    tree: dict[str, Tree]
    source: Source
    carried: set[Loc] = field(default_factory=set)
    notes: list[tuple[int, str]] = field(default_factory=list)
    endpoints: dict[str, dict[str, object]] = field(default_factory=dict)
    zones: dict[str, dict[str, object]] = field(default_factory=dict)
    groups: dict[str, list[str]] = field(default_factory=dict)

    def note(self, loc: Loc, what: str) -> None:
        """Say what is not carried over; what stands below *loc* is then accounted for."""
        self.carried.add(loc)
        self.notes.append((self.source.lines.get(loc, 1), f"{dotted(loc)}: {what}"))


def converted(text: str, path: Path | str) -> Imported:
    """*text*, which was read from *path*, as ours. `ConfigError` if it is no such file at all."""
    tree, source, errors = read(text, str(path))
    if errors:
        raise errors[0]
    deployments = tree.get("model_list") if isinstance(tree, dict) else None
    if not isinstance(tree, dict) or not isinstance(deployments, list):
        what = "there is no list model_list"
        raise ConfigError(path, None, what, "Give the config.yaml of LiteLLM's proxy")
    work = _Work(tree, source)
    for at, deployment in enumerate(deployments):
        _deployment(work, ("model_list", at), deployment)
    agents = _agents(work)
    _account(work)
    made: dict[str, object] = {
        "version": 1,
        "zones": {"here": _HERE, **work.zones},
        "endpoints": {**work.endpoints, **_SPEECH},
        "agents": agents,
    }
    head = f"# Made of {Path(path).name}. Fill in what stands as {UNKNOWN}.\n"
    ours = head + yaml.safe_dump(made, sort_keys=False, allow_unicode=True, width=100)
    notes = [f"{path}:{line}: {what}" for line, what in sorted(work.notes)]
    notes += [f"{path}: {what}" for what in _ALWAYS]
    try:
        parse(ours, "the file that was made")
    except ConfigError as error:
        return Imported(ours, [*notes, *str(error).splitlines()], wrong=True)
    return Imported(ours, notes, wrong=False)


UNKNOWN = "unknown"
_ALWAYS = (
    "LiteLLM has no speech: endpoints ears and voice are the embedded ones; put yours there",
    "LiteLLM does not say where a provider processes, and under which contract: complete zones:",
    "a failure domain is the provider's name: give endpoints that fail apart others",
)
_HERE: Mapping[str, object] = {
    "kind": "self_hosted",
    "region": "local",
    "jurisdiction": "none",
    "processor": "you",
    "retention": "none",
    "baa": False,
    "dpa": False,
    "accepts": ["audio", "speech_text"],
}
_SPEECH: Mapping[str, Mapping[str, object]] = {
    "ears": {
        "stage": "stt", "api": "pocketsphinx", "model": "en-us", "zone": "here",
        "failure_domain": "worker",
    },
    "voice": {
        "stage": "tts", "api": "espeak", "model": "en-us", "zone": "here",
        "failure_domain": "worker",
    },
}  # fmt: skip  # two endpoints


def _deployment(work: _Work, loc: Loc, raw: Tree) -> None:
    entry = raw if isinstance(raw, dict) else {}
    params, group = entry.get("litellm_params"), entry.get("model_name")
    model = params.get("model") if isinstance(params, dict) else None
    if not isinstance(params, dict) or not isinstance(group, str) or not isinstance(model, str):
        work.note(loc, "left out: it has no model_name, or no litellm_params.model")
        return
    place: Loc = (*loc, "litellm_params")
    info = entry.get("model_info")
    mode = info.get("mode", "chat") if isinstance(info, dict) else "chat"
    if mode not in {"chat", "completion"}:
        work.note(loc, f"left out: only chat models can serve a call, and this is of mode {mode}")
        return
    provider, name = _provider(model, params)
    known = _PROVIDERS.get(provider)
    if known is None or "*" in model:
        reason = "a wildcard names no model" if "*" in model else "its protocol is not known here"
        work.note(loc, f"left out: {model!r}: {reason}. Write an endpoint by hand if it fits one")
        return
    base = params.get("api_base", params.get("base_url", known.home))
    if not isinstance(base, str) or base.startswith(_ENVIRON):
        work.note(loc, f"left out: {model!r}: its address (api_base) does not stand in the file")
        return
    work.carried |= {(*loc, "model_name"), (*place, "model")}
    work.carried |= {(*place, key) for key in ("api_base", "base_url", "custom_llm_provider")}
    endpoint: dict[str, object] = {
        "stage": "llm",
        "api": known.api,
        "model": name,
        "base_url": base.rstrip("/"),
        "zone": _zone(work, provider),
        "failure_domain": provider,
        "continuation": known.continuation,
        "key_env": _key(work, place, params, known),
    }
    if provider == "azure":
        endpoint["base_url"] = f"{base.rstrip('/')}/openai/deployments/{name}"
    if options := _options(work, place, params, provider):
        endpoint["options"] = options
    key = _fresh(f"{group}", work.endpoints)
    work.endpoints[key] = endpoint
    work.groups.setdefault(group, []).append(key)


def _provider(model: str, params: Mapping[str, Tree]) -> tuple[str, str]:
    """The provider of *model* and its name there."""
    told = params.get("custom_llm_provider")
    if isinstance(told, str):
        return told, model.removeprefix(f"{told}/")
    provider, slash, name = model.partition("/")
    if slash:
        return provider, name
    # LiteLLM looks such a name up in its lists; only OpenAI's are told apart by sight.
    return ("openai" if re.match(r"(gpt|chatgpt|o\d)-?", model) else "", model)


def _zone(work: _Work, provider: str) -> str:
    name = _fresh(provider, {})
    own = provider in {"hosted_vllm", "llamafile", "lm_studio"}
    work.zones[name] = {
        "kind": "self_hosted" if own else "managed",
        "region": UNKNOWN,
        "jurisdiction": UNKNOWN,
        "processor": "you" if own else provider,
        "retention": UNKNOWN,
        "baa": False,
        "dpa": False,
        "accepts": ["prompt", "tool"],
    }
    return name


def _key(work: _Work, place: Loc, params: Mapping[str, Tree], provider: _Provider) -> str | None:
    loc, given = (*place, "api_key"), params.get("api_key")
    work.carried.add(loc)
    if given is None:
        if provider.key_env is not None:
            said = f"no api_key: LiteLLM would read {provider.key_env}, and so does key_env"
            work.notes.append((work.source.lines.get((*place, "model"), 1), said))
        return provider.key_env
    variable = str(given).removeprefix(_ENVIRON)
    if str(given).startswith(_ENVIRON) and re.fullmatch(r"[A-Z][A-Z0-9_]{0,99}", variable):
        return variable
    named = provider.key_env or "MODEL_API_KEY"
    told = "variables are in capitals here" if str(given).startswith(_ENVIRON) else "a literal key"
    work.note(loc, f"{told} (not shown): export it as {named}, which key_env names")
    return named


def _options(
    work: _Work, place: Loc, params: Mapping[str, Tree], provider: str
) -> dict[str, object]:
    options: dict[str, object] = {}
    version = params.get("api_version")
    if provider == "azure":
        options["key_header"] = "api-key"
        work.carried.add((*place, "api_version"))
        if isinstance(version, str) and not version.startswith(_ENVIRON):
            options["api_version"] = version
        elif version is not None:
            work.note((*place, "api_version"), "give it in options: {api_version: ...}")
    if _PROVIDERS[provider].api == "openai":
        extra = _extra(work, place, params)
        limits = [key for key in _LIMITS if key in extra]
        options |= {"limit_field": limits[-1]} if limits else {}
        options |= {"extra": extra} if extra else {}
    return options


def _extra(work: _Work, place: Loc, params: Mapping[str, Tree]) -> dict[str, object]:
    """The fields of a request that these *params* set."""
    told = [key for key in (*_SAMPLING, *_LIMITS) if key in params]
    extra: dict[str, object] = {key: params[key] for key in told}
    body = params.get("extra_body")
    if isinstance(body, dict):
        extra |= body
        told.append("extra_body")
    work.carried |= {(*place, key) for key in told}
    return extra


def _agents(work: _Work) -> dict[str, object]:
    """An agent for each group that has an endpoint."""
    after = _fallbacks(work)
    agents: dict[str, object] = {}
    for group, own in work.groups.items():
        behind = [name for other in after.get(group, after["*"]) for name in work.groups[other]]
        route = list(dict.fromkeys([*own, *behind]))
        if len(route) > ROUTE_MAX:
            lost = ", ".join(route[ROUTE_MAX:])
            work.notes.append((1, f"the route of {group} has at most {ROUTE_MAX}: without {lost}"))
        name = _fresh(group, agents)
        agents[name] = {
            "routes": {"stt": ["ears"], "llm": route[:ROUTE_MAX], "tts": ["voice"]},
            "folder": f"reception/{name}",
        }
    return agents


def _fallbacks(work: _Work) -> dict[str, list[str]]:
    """Group -> the groups behind it; "*": behind those that name none."""
    after: dict[str, list[str]] = {"*": []}
    for part in ("router_settings", "litellm_settings"):
        settings = work.tree.get(part)
        if not isinstance(settings, dict):
            continue
        default = settings.get("default_fallbacks")
        for at, group in enumerate(default if isinstance(default, list) else []):
            _behind(work, after, "*", group, (part, "default_fallbacks", at))
        pairs = settings.get("fallbacks")
        for at, pair in enumerate(pairs if isinstance(pairs, list) else []):
            for group, others in (pair if isinstance(pair, dict) else {}).items():
                loc: Loc = (part, "fallbacks", at, group)
                if group not in work.groups:
                    work.note(loc, f"left out: no endpoint was made of group {group!r}")
                    continue
                for place, other in enumerate(others if isinstance(others, list) else []):
                    _behind(work, after, group, other, (*loc, place))
    return after


def _behind(work: _Work, after: dict[str, list[str]], group: str, other: Tree, loc: Loc) -> None:
    if isinstance(other, str) and other in work.groups:
        work.carried.add(loc)
        after.setdefault(group, []).append(other)
    else:
        work.note(loc, "left out: no endpoint was made of that group")


def _account(work: _Work) -> None:
    """Name every value that nothing above has carried over or named."""
    for loc in _values(work.tree, ()):
        if any(loc[:depth] in work.carried for depth in range(len(loc) + 1)):
            continue
        place = re.sub(r"\[\d+\]", "[]", dotted(loc))
        told = [prefix for prefix in _REASONS if place.startswith(prefix)]
        reason = _REASONS[max(told, key=len)] if told else "not known here"
        work.note(loc, f"not carried over: {reason}")


def _values(tree: Tree, loc: Loc) -> Iterator[Loc]:
    children = (
        tree.items()
        if isinstance(tree, dict)
        else enumerate(tree)
        if isinstance(tree, list)
        else ()
    )
    empty = True
    for key, value in children:
        empty = False
        yield from _values(value, (*loc, key))
    if empty:
        yield loc


def _fresh(name: str, taken: Mapping[str, object]) -> str:
    """*name* as our names are, and one that is not *taken*."""
    plain = re.sub(r"[^a-z0-9_-]+", "-", name.lower()).strip("-")[:56] or "model"
    plain = plain if plain[0].isalpha() else f"m-{plain}"
    for number in range(1, len(taken) + 2):
        fresh = plain if number == 1 else f"{plain}-{number}"
        if fresh not in taken:
            return fresh
    raise AssertionError("more names than are taken were tried")
