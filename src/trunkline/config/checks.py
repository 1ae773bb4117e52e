"""What types cannot say: references, secrets, and zones that could never be used.

These checks read the raw tree, not the models, so that they run, and report, beside the errors of
shape: an operator sees everything that is wrong with a file at once.
"""

import difflib
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import pairwise

from trunkline.config.endpoints import STAGES
from trunkline.config.tree import Loc, Source, Tree, dotted
from trunkline.core.health import Expected
from trunkline.core.speech_plan import PRIORS
from trunkline.core.turns import TurnPolicy
from trunkline.errors import ConfigError
from trunkline.types import LLM, STT, TTS, DataClass, StageName

_SECRET = re.compile(
    r"(?:.*_)?(?:api_?key|key|secret|password|passwd|token|authorization)", re.IGNORECASE
)
_INTERPOLATION = re.compile(r"\$\{[^}]*\}")
_PRIVATE = re.compile(r"https://|http://(127\.0\.0\.1|\[::1\]|localhost)(?=[:/]|$)")
_LOOPBACK = re.compile(r"127(\.\d{1,3}){3}|::1|localhost")
_ENV_MEND = "Name an environment variable with `key_env: NAME` and put the key there"


def is_secret(key: str) -> bool:
    """Whether *key* looks like it would hold a secret in clear."""
    return _SECRET.fullmatch(key.replace("-", "_")) is not None


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The mend for an unknown *name*: the nearest known one, or all of them."""
    names = sorted(known)
    if near := difflib.get_close_matches(name, names, n=1):
        return f"Did you mean {near[0]!r}?"
    return f"Known here: {', '.join(names)}" if names else "None is defined"


def check(tree: Tree, source: Source) -> list[ConfigError]:
    """All errors in *tree* that its shape does not show."""
    parts = (_secrets, _endpoints, _voices, _agents, _server, _gateway)
    return [error for part in parts for error in part(tree, source)]


def _secrets(tree: Tree, source: Source) -> Iterator[ConfigError]:
    for loc, value in _walk(tree, ()):
        key = loc[-1] if loc else ""
        if isinstance(key, str) and is_secret(key) and isinstance(value, str):
            # The value itself is never repeated: errors end up in logs and tickets.
            yield source.error(loc, f"{dotted(loc)}: a literal secret in the file", _ENV_MEND)
        elif isinstance(value, str) and _INTERPOLATION.search(value):
            what = f"{dotted(loc)}: ${{...}} is not expanded in this file"
            yield source.error(loc, what, "Write the value; for a key use `key_env: NAME`")


def _endpoints(tree: Tree, source: Source) -> Iterator[ConfigError]:
    zones = _mapping(_mapping(tree).get("zones"))
    for name, raw in _mapping(_mapping(tree).get("endpoints")).items():
        endpoint, loc = _mapping(raw), ("endpoints", name)
        zone, stage = (endpoint.get(key) for key in ("zone", "stage"))
        if isinstance(zone, str) and zone not in zones:
            what = f"{dotted(loc)}.zone: there is no zone {zone!r}"
            yield source.error((*loc, "zone"), what, did_you_mean(zone, zones))
        if isinstance(stage, str) and stage not in STAGES:
            what = f"{dotted(loc)}.stage: there is no stage {stage!r}"
            yield source.error((*loc, "stage"), what, did_you_mean(stage, STAGES))
        told = _mapping(endpoint.get("expected"))
        worst = PRIORS.get(StageName(str(stage)), Expected())
        p50 = told.get("ttft_p50_s", worst.ttft_p50_s)
        p95 = told.get("ttft_p95_s", worst.ttft_p95_s)
        if isinstance(p50, int | float) and isinstance(p95, int | float) and p50 >= p95:
            what = f"{dotted(loc)}.expected: ttft_p50_s {p50} is not below ttft_p95_s {p95}"
            yield source.error((*loc, "expected"), what, "Write both, as they were measured")
        yield from _addresses(endpoint, loc, source)


def _addresses(endpoint: Mapping[str, Tree], loc: Loc, source: Source) -> Iterator[ConfigError]:
    """What is wrong with where an endpoint is, and with how it is reached."""
    url, replicas = endpoint.get("base_url"), endpoint.get("replicas") or []
    urls: list[tuple[Loc, Tree]] = [] if url is None else [((*loc, "base_url"), url)]
    if isinstance(replicas, list) and replicas:
        if urls or len(replicas) == 1:
            what = f"{dotted(loc)}.replicas: they stand instead of base_url, two or more"
            yield source.error((*loc, "replicas"), what, "Write either, for one server base_url")
        urls += [((*loc, "replicas", at), it) for at, it in enumerate(replicas)]
    addresses = [(place, it) for place, it in urls if isinstance(it, str)]
    for place, it in addresses:
        if endpoint.get("key_env") is not None and _in_clear(it):
            what = f"{dotted(place)}: the key would travel unencrypted"
            yield source.error(place, what, "Use https, or key_env: null")
        if endpoint.get("tls") is not None and it.startswith("http:"):
            what = f"{dotted(place)}: tls says how, but this address has none"
            yield source.error(place, what, "Use https, or delete tls")
    tls, connect = (_mapping(endpoint.get(part)) for part in ("tls", "connect"))
    if tls.get("key_file") is not None and tls.get("cert_file") is None:
        what = f"{dotted(loc)}.tls.key_file: a key without its certificate"
        yield source.error((*loc, "tls", "key_file"), what, "Add cert_file: the PEM file")
    if connect.get("proxy") is not None and connect.get("proxy_env") is not None:
        what = f"{dotted(loc)}.connect: proxy and proxy_env, and only one can be used"
        yield source.error((*loc, "connect", "proxy_env"), what, "Delete one of them")


def _voices(tree: Tree, source: Source) -> Iterator[ConfigError]:
    endpoints = _mapping(_mapping(tree).get("endpoints"))
    speakers = [name for name, raw in endpoints.items() if _mapping(raw).get("stage") == TTS]
    for name, raw in endpoints.items():
        endpoint, loc = _mapping(raw), ("endpoints", name)
        for key in ("voice", "twin_of"):
            if endpoint.get(key) is not None and name not in speakers:
                what = f"{dotted(loc)}.{key}: only a {TTS} endpoint has a voice"
                yield source.error((*loc, key), what, "Delete it")
        twin = endpoint.get("twin_of")
        if not isinstance(twin, str) or name not in speakers:
            continue
        others = [other for other in speakers if other != name]
        if twin not in others:
            what = f"{dotted(loc)}.twin_of: there is no other {TTS} endpoint {twin!r}"
            yield source.error((*loc, "twin_of"), what, did_you_mean(twin, others))


def _server(tree: Tree, source: Source) -> Iterator[ConfigError]:
    server = _mapping(_mapping(tree).get("server"))
    if server.get("public_url") is not None and server.get("twilio_auth_token_env") is None:
        what = "server.public_url: anybody could call the agent"
        mend = "Name the variable with Twilio's token in server.twilio_auth_token_env"
        yield source.error(("server", "public_url"), what, mend)


def _agents(tree: Tree, source: Source) -> Iterator[ConfigError]:
    for agent, raw in _mapping(_mapping(tree).get("agents")).items():
        routes, loc = _mapping(raw).get("routes"), ("agents", agent, "routes")
        yield from _turn(_mapping(raw).get("turn"), (*loc[:-1], "turn"), source)
        if not isinstance(routes, dict):
            continue  # the shape says so already
        for stage in STAGES.keys() - routes.keys():
            what = f"{dotted(loc)}: no endpoint for {stage}"
            yield source.error(loc, what, f"Add `{stage}: [an endpoint of that stage]`")
        for key, names in routes.items():
            if key not in STAGES:
                what = f"{dotted(loc)}: there is no stage {key!r}"
                yield source.error((*loc, key), what, did_you_mean(key, STAGES))
            elif isinstance(names, list):
                for at, what, mend in _route_faults(_mapping(tree), StageName(key), names):
                    place = (*loc, key, at)
                    yield source.error(place, f"{dotted(place)}: {what}", mend)


def _gateway(tree: Tree, source: Source) -> Iterator[ConfigError]:
    gateway = _mapping(_mapping(tree).get("gateway"))
    models, keys = _mapping(gateway.get("models")), _mapping(gateway.get("keys"))
    for model, raw in models.items():
        loc: Loc = ("gateway", "models", model)
        for stage in (LLM, STT, TTS):
            names = _mapping(raw).get(stage)
            faults = _route_faults(_mapping(tree), stage, names) if isinstance(names, list) else ()
            for at, what, mend in faults:
                place = (*loc, stage, at)
                yield source.error(place, f"{dotted(place)}: {what}", mend)
    for client, raw in keys.items():
        named = _mapping(raw).get("models")
        for at, name in enumerate(named if isinstance(named, list) else []):
            if name not in models:
                place = ("gateway", "keys", client, "models", at)
                what = f"{dotted(place)}: there is no model {name!r}"
                yield source.error(place, what, did_you_mean(str(name), models))
    host = _mapping(_mapping(tree).get("server")).get("host", "127.0.0.1")
    if gateway and not keys and isinstance(host, str) and not _LOOPBACK.fullmatch(host):
        what = f"gateway: anybody who reaches {host} could use its models"
        mend = "Add `keys: {a-client: {key_env: NAME}}`, or listen on 127.0.0.1"
        yield source.error(("gateway",), what, mend)


def _turn(turn: Tree, loc: Loc, source: Source) -> Iterator[ConfigError]:
    told, default = _mapping(turn), TurnPolicy()
    opens = told.get("onset_probability", default.onset_probability)
    stays = told.get("stay_probability", default.stay_probability)
    if isinstance(opens, float) and isinstance(stays, float) and stays > opens:
        what = f"{dotted(loc)}: stay_probability {stays} is above onset_probability {opens}"
        yield source.error((*loc, "stay_probability"), what, "Lower it, or raise the other")
    for lower, higher in pairwise(("hangover_s", "hangover_unsure_s", "hangover_open_s")):
        ends = told.get(lower, getattr(default, lower))
        pauses = told.get(higher, getattr(default, higher))
        if isinstance(ends, int | float) and isinstance(pauses, int | float) and ends > pauses:
            what = f"{dotted(loc)}: {lower} {ends} is above {higher} {pauses}"
            key = lower if lower in told else higher
            yield source.error((*loc, key), what, "Lower it, or raise the other")


def _route_faults(
    tree: Mapping[str, Tree], stage: StageName, names: list[Tree]
) -> Iterator[tuple[int, str, str]]:
    endpoints, zones = _mapping(tree.get("endpoints")), _mapping(tree.get("zones"))
    stages = {name: _mapping(raw).get("stage") for name, raw in endpoints.items()}
    fitting = [name for name, of in stages.items() if of == stage]
    needs = STAGES[stage].value
    for at, name in enumerate(names):
        if not isinstance(name, str):
            continue  # the shape says so already
        if name not in endpoints:
            yield at, f"there is no endpoint {name!r}", did_you_mean(name, fitting)
        elif stages[name] != stage:
            what = f"endpoint {name!r} is of stage {stages[name]!r}, not {stage!r}"
            yield at, what, did_you_mean(name, fitting)
        elif name in names[:at]:
            yield at, f"endpoint {name!r} stands twice in this route", "Delete one of them"
        else:
            zone = _mapping(endpoints[name]).get("zone")
            accepts = _mapping(zones.get(zone)).get("accepts") if isinstance(zone, str) else None
            takes = [needs, DataClass.PSEUDONYMISED.value] if stage == LLM else [needs]
            if isinstance(accepts, list) and not set(takes) & set(map(str, accepts)):
                what = f"zone {zone!r} of {name!r} does not accept {needs!r}, which {stage} sends"
                mend = (
                    f"Add {needs} to zones.{zone}.accepts if its contract allows, or choose another"
                )
                yield at, what, mend


def _in_clear(url: str) -> bool:
    return _PRIVATE.match(url) is None


def _walk(tree: Tree, loc: Loc) -> Iterator[tuple[Loc, Tree]]:
    yield loc, tree
    if isinstance(tree, dict):
        for key, value in tree.items():
            yield from _walk(value, (*loc, key))
    elif isinstance(tree, list):
        for at, value in enumerate(tree):
            yield from _walk(value, (*loc, at))


def _mapping(value: Tree) -> dict[str, Tree]:
    return value if isinstance(value, dict) else {}
