"""Embedded recognition: pocketsphinx as a `Stage`, no key, no download.

It knows the words of a file of phrases (`grammar.py`) and hears nothing else: whatever a caller
says comes out as the likeliest of those phrases. Good for a demonstration, for tests, and as the
last resort of a narrow agent.

Options: `phrases` (the file; default: a dental practice's callers), `decoders` (processes of
about 100 MB; one utterance each at a time), `waiting` and `wait_s` (utterances in line for one,
and for how long), `interim_ms`, `cache_dir`.

    stt = PocketsphinxStt(endpoint, {"phrases": "calls/phrases.yaml", "decoders": 4})
"""

import os
from collections.abc import Mapping
from importlib.resources import files
from pathlib import Path

from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.child_pool import ChildPool, Engine
from trunkline.providers.embedded.engine_stt import EngineStt
from trunkline.providers.embedded.grammar import Grammar, load_grammar
from trunkline.providers.options import Bounds, Options
from trunkline.types import Endpoint

_CHILD = "trunkline.providers.embedded.pocketsphinx_child"


class PocketsphinxStt(EngineStt):
    """`AsyncIterator[AudioFrame]` of one utterance -> `Transcript`."""

    gives_interims = True

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        engine: Engine | None = None,
    ) -> None:
        read = Options(endpoint.name, options)
        # Read as a file of the installation: this layer must not import the agent's.
        builtin = files("trunkline").joinpath("agent/data/caller_phrases.yaml")
        phrases = Path(read.text("phrases", str(builtin)))
        size = read.whole("decoders", Bounds(2, 1, 64, "processes"))
        waiting = read.whole("waiting", Bounds(8, 0, 1_000, "utterances"))
        wait_s = read.number("wait_s", Bounds(2.0, 0.0, 30.0, "seconds"))
        interim_ms = read.whole("interim_ms", Bounds(150, 100, 5_000, "ms of audio"))
        cache = read.text("cache_dir", str(default_cache()))
        read.done()
        settings = _settings(load_grammar(phrases), cache)
        engine = engine or ChildPool(
            endpoint.name,
            [Child(endpoint.name, _CHILD, settings) for _ in range(size)],
            waiting=waiting,
            wait_s=wait_s,
        )
        super().__init__(endpoint, engine, interim_ms)


def default_cache() -> Path:
    """Where language models are kept: the user's cache directory (XDG base directories)."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "trunkline" / "pocketsphinx"


def _settings(grammar: Grammar, cache: str) -> Mapping[str, object]:
    return {
        "sentences": grammar.sentences,
        "pronunciations": dict(grammar.pronunciations),
        "cache_dir": cache,
    }
