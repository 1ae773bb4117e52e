"""What the caller hears while an answer is long in coming: a line that was spoken beforehand.

It is rendered once a worker, in every voice of the route, so that it is there although the models
and the synthesisers are not. It is said only into silence, never in two replies in a row, and it
is no part of the answer: it enters neither the history nor the heard text. The answer is queued
behind it; a sound of the caller silences it for good.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Sequence

from trunkline.calls.steps import TtsStage
from trunkline.calls.voice import Voice
from trunkline.contracts import Context
from trunkline.errors import EgressRefused, EndpointError
from trunkline.types import CallId, DataClass, Phrase, Where

log = logging.getLogger(__name__)

RENDER_S = 5.0
"""A voice that takes longer for three words has none for this worker."""
WHERE = Where(CallId("filler"))


class Fillers:
    """A worker's spoken fillers: *text* in each voice that could say it."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._pcm: dict[str, bytes] = {}

    async def render(self, stages: Sequence[TtsStage]) -> None:
        """Speak it in the voice of each of *stages*; one that fails is logged and has none."""
        for stage in stages if self.text else ():
            name = stage.endpoint.name
            try:
                async with asyncio.timeout(RENDER_S):
                    self._pcm[name] = await self._spoken(stage)
            except (EndpointError, EgressRefused, TimeoutError) as error:
                log.warning("no filler in the voice of %s: %r", name, error)

    async def _spoken(self, stage: TtsStage) -> bytes:
        async def source() -> AsyncIterator[Phrase]:
            yield Phrase(0, self.text)

        async with stage.open(source(), Context(WHERE, DataClass.SPEECH_TEXT)) as pieces:
            return b"".join([piece.pcm async for piece in pieces])

    def voice(self, endpoint: str) -> bytes | None:
        """The audio (16-bit, 8 kHz) in the voice of *endpoint*, None if there is none."""
        return self._pcm.get(endpoint)


class Filler:
    """The fillers of one call."""

    def __init__(self, fillers: Fillers) -> None:
        self._fillers = fillers
        self._turn = -2

    def __call__(self, voice: Voice, endpoint: str, turn: int) -> str:
        """Say it in reply *turn* of a call that is silent; what was said, "" if nothing."""
        pcm = self._fillers.voice(endpoint)
        if pcm is None or voice.held or turn <= self._turn + 1:
            return ""
        self._turn = turn
        phrase = voice.expect("")  # no words: nothing of it is heard text
        voice.queue(phrase, pcm, (), complete=True)
        return self._fillers.text
