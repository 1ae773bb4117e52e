"""Embedded recognition: pocketsphinx as a `Stage`, no key, no download.

It knows the words of a file of phrases (`grammar.py`) and hears nothing else: whatever a caller
says comes out as the likeliest of those phrases. Good for a demonstration, for tests, and as the
last resort of a narrow agent.

Options: `phrases` (the file; default: a dental practice's callers), `decoders` (processes of
about 100 MB; one utterance each at a time), `waiting` and `wait_s` (utterances in line for one,
and for how long), `interim_ms`, `cache_dir`.

    stt = PocketsphinxStt(endpoint, {"phrases": "calls/phrases.yaml", "decoders": 4})
"""

import json
import os
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from importlib.resources import files
from pathlib import Path

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.child_pool import ChildPool, Engine
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.embedded.grammar import Grammar, load_grammar
from trunkline.providers.options import Bounds, Options
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript, Word

UTTERANCE_S_MAX = 60
"""Audio of one utterance; the ear ends one at half of it."""
DOUBTFUL_S_MAX = 0.6
"""Longer words are believed: the posterior of a long text is small even where it is right."""
_POSTERIOR_MIN = 0.05
"""Of two or three short words. One word fits almost any short sound, and then sure of itself."""
_CHILD = "trunkline.providers.embedded.pocketsphinx_child"


class PocketsphinxStt:
    """`AsyncIterator[AudioFrame]` of one utterance -> `Transcript`."""

    gives_interims = True

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        engine: Engine | None = None,
    ) -> None:
        self._endpoint = endpoint
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
        self._interim = interim_ms * SAMPLE_RATE // 1_000
        settings = _settings(load_grammar(phrases), cache)
        self._engine = engine or ChildPool(
            endpoint.name,
            [Child(endpoint.name, _CHILD, settings) for _ in range(size)],
            waiting=waiting,
            wait_s=wait_s,
        )

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._endpoint

    async def start(self) -> None:
        """Start the decoders and make the language model; `InputError` if a word is unknown."""
        await self._engine.start()

    async def close(self) -> None:
        """End the decoders; idempotent."""
        await self._engine.close()

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], _context: Context, /
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Transcribe the utterance *source*: an interim result every `interim_ms` of audio that
        changed the text, and the final one after the source ends (its text may be empty)."""
        async with aclosing(self._transcribe(source)) as transcripts:
            yield transcripts

    async def _transcribe(
        self, source: AsyncIterator[AudioFrame]
    ) -> AsyncGenerator[Transcript, None]:
        # In lock-step: no audio is read while a result is awaited, so nothing can pile up here.
        async with self._engine.exchange() as exchange:
            anchors = Anchors()
            due, said = self._interim, ""
            async for frame in source:
                exchange.send(Kind.AUDIO, frame.pcm)
                heard = anchors.add(frame)
                if heard > UTTERANCE_S_MAX * SAMPLE_RATE:
                    raise EndpointError(
                        self._endpoint.name,
                        Fault.REFUSED,
                        f"an utterance of more than {UTTERANCE_S_MAX} s; end it at a pause",
                    )
                if heard < due:
                    continue
                due = heard + self._interim
                exchange.send(Kind.INTERIM)
                interim = _transcript(await exchange.receive(), anchors, final=False)
                if interim.text != said:
                    said = interim.text
                    yield interim
            exchange.send(Kind.FINISH)
            yield _transcript(await exchange.receive(), anchors, final=True)


def _transcript(payload: bytes, anchors: Anchors, *, final: bool) -> Transcript:
    """The transcript in *payload*, its words placed in the call."""
    result = json.loads(payload)
    words = tuple(Word(text, *anchors.span(start, end)) for text, start, end in result["words"])
    spoken = sum(word.end - word.start for word in words)
    short = 0 < spoken <= DOUBTFUL_S_MAX * SAMPLE_RATE
    unlikely = len(words) == 1 or result["posterior"] < _POSTERIOR_MIN
    return Transcript(result["text"], final, words, final and short and unlikely)


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
