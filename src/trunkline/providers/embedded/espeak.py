"""Embedded speech synthesis: espeak-ng as a `Stage`, no key, no download, 5 ms a sentence.

Options: `voice` (espeak-ng's name), `rate` (words a minute), `pitch` (0-100), `loudness_dbfs`
(RMS of the speech). It sounds like a machine and says every word; the same text gives the same
samples, so that tests can find a phrase on a call's tape. `CALLER_VOICE` is the one that the
embedded recogniser understands best, for a caller who is played by a program.

    tts = EspeakTts(endpoint, {"rate": 150})
"""

import importlib.util
import json
import os
import re
import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.child_pool import ChildPool, Engine
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.options import Bounds, Options
from trunkline.types import SAMPLE_RATE, Endpoint, Phrase, Speech, SpokenWord

CALLER_VOICE: Mapping[str, object] = {"voice": "en-us+klatt6", "rate": 165}
"""Options of a caller's voice: measured, see trials/test_embedded_speech.py."""

VOICE = "en-us+edward"
"""The default. The recogniser gets 91 % of its words over the phone, 66 % of plain en-us."""

_CHILD = "trunkline.providers.embedded.espeak_child"
_TEXT_MAX = 2_000
_PIECE = SAMPLE_RATE // 5 * 2  # bytes of 200 ms: what waits for playout is bounded in time
_WAITING = 64  # phrases in line: at 5 ms each the last one waits a third of a second
_WAIT_S = 2.0
_TOKEN = re.compile(r"\S+")
_SPEAKABLE = re.compile(r"\w")


class EspeakTts:
    """`AsyncIterator[Phrase]` -> `Speech`; phrases of all calls take turns in order of arrival."""

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        engine: Engine | None = None,
    ) -> None:
        self._endpoint = endpoint
        read = Options(endpoint.name, options)
        settings: dict[str, object] = {
            "voice": read.text("voice", VOICE),
            "rate": read.whole("rate", Bounds(165, 80, 450, "words a minute")),
            "pitch": read.whole("pitch", Bounds(50, 0, 100, "50 is the voice's own")),
            "loudness_dbfs": read.number("loudness_dbfs", Bounds(-20.0, -40.0, -12.0, "dBFS RMS")),
        }
        read.done()
        self._engine = engine or _pool(endpoint.name, settings)

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._endpoint

    async def start(self) -> None:
        """Start the engine; `InputError` if it has no such voice. Else it starts on first use."""
        await self._engine.start()

    async def close(self) -> None:
        """End the engine; idempotent."""
        await self._engine.close()

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], _context: Context, /
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        """Speak the phrases of *source*, each in pieces of 200 ms, the last one marked."""
        async with aclosing(self._speak(source)) as speech:
            yield speech

    async def _speak(self, source: AsyncIterator[Phrase]) -> AsyncGenerator[Speech, None]:
        async for phrase in source:
            pcm, words = await self._render(phrase.text)
            for start in range(0, max(len(pcm), 1), _PIECE):
                end = start + _PIECE
                last = end >= len(pcm)
                yield Speech(
                    phrase.index,
                    pcm[start:end],
                    tuple(
                        word
                        for word in words
                        if start <= 2 * word.at < end or (last and 2 * word.at >= end)
                    ),
                    last,
                )

    async def _render(self, text: str) -> tuple[bytes, tuple[SpokenWord, ...]]:
        if len(text) > _TEXT_MAX:
            raise EndpointError(
                self._endpoint.name,
                Fault.REFUSED,
                f"a phrase of {len(text)} characters; it takes {_TEXT_MAX}: split at sentences",
            )
        if not _SPEAKABLE.search(text):
            return b"", ()  # espeak-ng would read the names of the punctuation marks
        async with self._engine.exchange() as exchange:
            # A NUL would end the text early; a space keeps the offsets.
            exchange.send(Kind.TEXT, text.replace("\0", " ").encode(errors="replace"))
            payload = await exchange.receive()
        (length,) = struct.unpack_from(">I", payload)
        events: list[tuple[int, int]] = json.loads(payload[4 : 4 + length])
        return payload[4 + length :], word_marks(text, events)


def word_marks(text: str, events: list[tuple[int, int]]) -> tuple[SpokenWord, ...]:
    """One mark for each blank-separated word of *text* from espeak-ng's (character, sample).

    espeak-ng counts "$120" as three words and at times reports a place twice or not at all: the
    first event within a word places it, and words without one are spread between their
    neighbours, so that places never run backwards.
    """
    tokens = [match.span() for match in _TOKEN.finditer(text)]
    placed: list[tuple[int, int]] = []  # (character, sample), both rising
    for start, end in tokens:
        inside = [at for character, at in events if start <= character < end]
        if inside and (not placed or inside[0] >= placed[-1][1]):
            placed.append((start, inside[0]))
    if not placed:
        return ()
    marks = []
    for start, end in tokens:
        before = max((place for place in placed if place[0] <= start), default=(0, 0))
        after = min((place for place in placed if place[0] > start), default=before)
        span = max(1, after[0] - before[0])
        at = before[1] + (after[1] - before[1]) * (start - before[0]) // span
        marks.append(SpokenWord(start, end, at))
    return tuple(marks)


def _pool(endpoint: str, settings: Mapping[str, object]) -> ChildPool:
    if importlib.util.find_spec("espeakng_loader") is None:
        raise InputError(
            f"{endpoint}: needs espeak-ng, which is not installed (it is GPL-3.0 and so "
            "an extra). Run: pip install trunkline[espeak]"
        )
    if not hasattr(os, "fork"):
        raise InputError(
            f"{endpoint}: embedded speech needs a system that can fork (Linux, macOS). "
            "Use another tts endpoint here"
        )
    child = Child(endpoint, _CHILD, settings)
    return ChildPool(endpoint, [child], waiting=_WAITING, wait_s=_WAIT_S)
