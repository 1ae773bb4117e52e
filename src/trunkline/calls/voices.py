"""What a worker knows of its synthesisers, over all calls: tempo, loudness, and spare lines.

The spare lines are the apology and those of the last resort, rendered in every voice when the
worker starts. They are what a caller hears when no synthesiser can be reached any more: never
silence.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from trunkline.contracts import Context, Stage
from trunkline.core.takes import Take
from trunkline.core.tempo import Tempo
from trunkline.errors import EgressRefused, EndpointError
from trunkline.media.loudness import Level, gain_db, silences
from trunkline.types import SAMPLE_RATE, CallId, DataClass, Phrase, Speech, Where

log = logging.getLogger(__name__)

RENDER_S = 8.0
"""A worker does not wait longer for a spare line when it starts; the endpoint may be away."""
LINE_S_MAX = 30
"""Longer audio of one line is not kept: 480 kB."""
LINES_MAX = 64
_KNOWN_FRAMES = 20.0  # 0.2 s of speech: less says nothing about a voice's loudness


@dataclass(slots=True)
class Voices:
    """By endpoint name."""

    tempos: dict[str, Tempo] = field(default_factory=dict)
    levels: dict[str, Level] = field(default_factory=dict)
    lines: dict[tuple[str, str], Speech] = field(default_factory=dict)
    """(endpoint, text) -> its audio."""

    def tempo(self, name: str) -> Tempo:
        """How fast the voice speaks."""
        return self.tempos.setdefault(name, Tempo())

    def level(self, name: str) -> Level:
        """How loud it speaks."""
        return self.levels.setdefault(name, Level())

    def gain_db(self, name: str, route: Iterable[str]) -> float:
        """What makes the voice as loud as the first one of *route* whose loudness is known."""
        known = (self.level(other) for other in route)
        first = next((level for level in known if level.weight >= _KNOWN_FRAMES), Level())
        own = self.level(name)
        return gain_db(own, first) if own.weight >= _KNOWN_FRAMES else 0.0

    def line(self, names: Iterable[str], text: str) -> Speech | None:
        """The audio of *text* by the first of *names* that has it."""
        found = (self.lines.get((name, text)) for name in names)
        return next((line for line in found if line is not None), None)

    async def prepare(
        self, stages: Sequence[Stage[AsyncIterator[Phrase], Speech]], *texts: str
    ) -> None:
        """Render *texts* on all of *stages* at once, one after the other on each; what one cannot
        say is logged and left out."""
        async with asyncio.TaskGroup() as group:
            for stage in stages:
                group.create_task(self._render_all(stage, [text for text in texts if text]))

    async def _render_all(
        self, stage: Stage[AsyncIterator[Phrase], Speech], texts: Sequence[str]
    ) -> None:
        for text in texts:
            if not await self._render(stage, text):
                return  # a worker waits for one that is away no longer than once

    async def _render(self, stage: Stage[AsyncIterator[Phrase], Speech], text: str) -> bool:
        """Whether the endpoint answered."""
        name = stage.endpoint.name
        try:
            async with asyncio.timeout(RENDER_S):
                line = await _said(stage, text)
        except TimeoutError:
            log.warning("%s: no spare line after %g s; calls go on without", name, RENDER_S)
            return False
        except (EndpointError, EgressRefused) as error:
            log.warning("%s: no spare line: %s", name, error)
            return False
        pcm = np.frombuffer(line.pcm, np.int16)
        take = Take(text)
        take.add(len(pcm), line.words, silences(pcm, 0), last=line.last)
        why = take.short(self.tempo(name))  # half a line is worse than none
        if not line.last or why or len(self.lines) >= LINES_MAX:
            log.warning("%s: the spare line is not kept: %s", name, why or "too long, or too many")
            return True
        self.lines[name, text] = line
        self.tempo(name).learn(len(text), len(pcm) / SAMPLE_RATE)
        self.level(name).learn(pcm)
        return True


async def _said(stage: Stage[AsyncIterator[Phrase], Speech], text: str) -> Speech:
    line = Speech(0, b"")
    context = Context(Where(CallId(f"spare-line-{stage.endpoint.name}")), DataClass.SPEECH_TEXT)
    async with stage.open(_one(text), context) as pieces:
        async for piece in pieces:
            pcm, marks = line.pcm + piece.pcm, line.words + piece.words
            line = replace(line, pcm=pcm, words=marks, last=piece.last)
            if line.last or len(line.pcm) > 2 * SAMPLE_RATE * LINE_S_MAX:
                break
    return line


async def _one(text: str) -> AsyncIterator[Phrase]:
    yield Phrase(0, text)
