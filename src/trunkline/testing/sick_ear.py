"""A simulated recogniser that fails as real ones do: while the caller speaks, and politely.

`SickStt` hears the words of one text in the caller's loud audio, `WORD_S` each: what it is not
given it does not hear. A `Deafness` strikes after so much audio of an utterance.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.testing.simulated import endpoint
from trunkline.types import SAMPLE_RATE, AudioFrame, StageName, Transcript

WORD_S = 0.25
_LOUD = 1000


@dataclass(frozen=True, slots=True)
class Deafness:
    """*kind*: `silent` gives nothing more and stays open, `die` breaks the stream, `close` ends it,
    `empty` hears nothing from there on, `late` needs *late_s* for its final. *after_s* of audio of
    an utterance; *times* it strikes."""

    kind: Literal["silent", "die", "close", "empty", "late"]
    after_s: float = 0.0
    times: int = 1
    late_s: float = 1.5


class SickStt:
    """A recogniser of *text*, struck by *sick*. It gives an interim for each new word.

    `heard` keeps the frames of each attempt, `open_streams` must be 0 after a call. *declares*:
    it says of itself that it gives interims.
    """

    def __init__(
        self,
        name: str,
        text: str,
        sick: Deafness | None = None,
        *,
        interims: bool = True,
        declares: bool = False,
    ) -> None:
        self.endpoint = endpoint(name, StageName("stt"))
        self.heard: list[list[AudioFrame]] = []
        self.open_streams, self.gives_interims = 0, declares
        self._words, self._sick, self._interims = text.split(), sick, interims
        self._struck = 0

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Hear one utterance."""
        del context
        self.open_streams += 1
        try:
            yield self._recognise(source)
        finally:
            self.open_streams -= 1

    async def _recognise(self, source: AsyncIterator[AudioFrame]) -> AsyncIterator[Transcript]:
        frames: list[AudioFrame] = []
        self.heard.append(frames)
        sick = self._sick if self._sick and self._struck < self._sick.times else None
        self._struck += sick is not None
        samples, loud, told = 0, 0, 0
        async for frame in source:
            frames.append(frame)
            samples += len(frame.pcm) // 2
            if sick is not None and sick.kind != "late" and samples >= sick.after_s * SAMPLE_RATE:
                if sick.kind == "empty":
                    continue
                await self._fail(sick)
                return
            loud += int((np.abs(np.frombuffer(frame.pcm, np.int16).astype(int)) > _LOUD).sum())
            words = self._known(loud)
            if self._interims and len(words) > told:
                told = len(words)
                yield Transcript(" ".join(words), final=False)
        if sick is not None and sick.kind not in {"late", "empty"}:
            await self._fail(sick)
            return
        await asyncio.sleep(sick.late_s if sick is not None and sick.kind == "late" else 0.02)
        yield Transcript(" ".join(self._known(loud)), final=True)

    async def _fail(self, sick: Deafness) -> None:
        if sick.kind == "silent":
            await asyncio.get_running_loop().create_future()
        if sick.kind == "die":
            raise EndpointError(self.endpoint.name, Fault.CUT, "reset")

    def _known(self, loud: int) -> list[str]:
        return self._words[: round(loud / SAMPLE_RATE / WORD_S)]
