"""The sentences of one reply through the synthesisers of the route, in order.

A synthesiser that fails is replaced by the next one of the route, which gets every phrase that has
no audio yet. A phrase that was broken off in the middle is not said again from its start: the
caller would hear the same words twice.
"""

import asyncio
from collections.abc import AsyncIterator

from trunkline.calls.steps import Desk, Failure, TtsStage, attempt, fault_of
from trunkline.calls.voice import Voice
from trunkline.contracts import Context
from trunkline.core.phrases import Phrases
from trunkline.errors import EgressRefused, EndpointError, Fault
from trunkline.types import TTS, DataClass, Phrase, Where

PHRASE_DEADLINE_S = 4.0
"""From asking for a phrase (or its last audio) to its next audio."""


class Speaker:
    """The mouth of one reply: `say` sentences, `finish`, and `run` it all the while."""

    def __init__(self, desk: Desk, voice: Voice, where: Where) -> None:
        self._desk, self._voice, self._where = desk, voice, where
        self._phrases: list[Phrase] = []
        self._done = 0  # phrases whose audio is complete, or that were given up
        self._broken = False  # the phrase after those has some audio
        self._finished = False
        self._grown = asyncio.Event()

    @property
    def spoken(self) -> str:
        """All that was given to be spoken."""
        return " ".join(phrase.text for phrase in self._phrases)

    def say(self, text: str, endpoint: str) -> None:
        """Speak *text* after what was said before; *endpoint* produced it ("": a fixed line)."""
        index = self._voice.expect(text)
        self._phrases.append(Phrase(index, text))
        self._desk.journal.note(
            "phrase.spoken",
            {"index": index, "text": text, "endpoint": endpoint},
            where=self._where,
            data_class=DataClass.SPEECH_TEXT,
        )
        self._wake()

    def say_line(self, text: str) -> None:
        """Speak a fixed line, sentence by sentence."""
        phrases = Phrases()
        for sentence in [*phrases.feed(text), phrases.end()]:
            if sentence is not None:
                self.say(sentence, "")

    def finish(self) -> None:
        """Nothing more will be said; idempotent."""
        self._finished = True
        self._wake()

    async def run(self) -> None:
        """Synthesise until all is said; what no synthesiser of the route can say is dropped."""
        failed: tuple[TtsStage, Failure] | None = None
        for number, stage in enumerate(self._desk.order(TTS)):
            if not await self._something_to_say():
                return
            here = attempt(self._where, number)
            kind = "primary" if failed is None else "rescue"
            context = self._desk.started(here, stage.endpoint, kind, DataClass.SPEECH_TEXT)
            if failed is not None:
                fault = fault_of(failed[1])
                self._desk.failover(here, failed[0].endpoint, stage.endpoint, fault, kind)
            try:
                await self._synthesise(stage, context)
            except (EndpointError, EgressRefused) as error:
                self._desk.failed(here, stage.endpoint, error)
                failed = stage, error
                self._skip_broken()
            except asyncio.CancelledError:
                self._desk.ended(here, stage.endpoint, "cancelled")
                raise
            else:
                self._desk.succeeded(here, stage.endpoint)
                return
        while await self._something_to_say():
            self._skip()

    async def _synthesise(self, stage: TtsStage, context: Context) -> None:
        name = stage.endpoint.name
        try:
            async with asyncio.timeout(None) as limit:
                async with stage.open(self._source(limit), context) as pieces:
                    async for piece in pieces:
                        self._voice.queue(piece.phrase, piece.pcm, piece.words, complete=piece.last)
                        self._broken = not piece.last
                        self._done += piece.last
                        self._watch(limit)
        except TimeoutError:
            late = "no audio for a phrase"
            raise EndpointError(name, Fault.SILENT, late, deadline_s=PHRASE_DEADLINE_S) from None
        if await self._something_to_say():
            raise EndpointError(name, Fault.CUT, "the stream ended with phrases unspoken")

    async def _source(self, limit: asyncio.Timeout) -> AsyncIterator[Phrase]:
        given = self._done
        while True:
            while given < len(self._phrases):
                self._watch(limit)
                yield self._phrases[given]
                given += 1
            if self._finished:
                return
            await self._grown.wait()

    def _watch(self, limit: asyncio.Timeout) -> None:
        """Audio is due while a phrase is waiting for it; no deadline runs otherwise."""
        waiting = self._done < len(self._phrases)
        limit.reschedule(self._desk.now() + PHRASE_DEADLINE_S if waiting else None)

    async def _something_to_say(self) -> bool:
        """Wait for a phrase that has no audio; False if none will come."""
        while self._done == len(self._phrases):
            if self._finished:
                return False
            await self._grown.wait()
        return True

    def _skip_broken(self) -> None:
        if self._broken:
            self._skip()

    def _skip(self) -> None:
        phrase = self._phrases[self._done]
        self._voice.drop(phrase.index)
        self._done, self._broken = self._done + 1, False
        self._desk.journal.note(
            "phrase.lost",
            {"index": phrase.index, "text": phrase.text},
            where=self._where,
            data_class=DataClass.SPEECH_TEXT,
        )

    def _wake(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()
