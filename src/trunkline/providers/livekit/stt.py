"""Recognition through a plugin of LiveKit Agents, as a `Stage`: `plugin` has the terms.

A plugin that streams hears the caller speak; one that does not gets the utterance when it is over.
Times of words are seconds of the stream where the plugin tells them.

A plugin's stream has no event that says "this was all", and ends when its own tasks do, which with
some is seconds later (Deepgram's waits for the next turn of a keep-alive of 5 s). So the utterance
is over `_SETTLE_S` after the last final result that came behind its end.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.net.gate import Gate
from trunkline.providers.livekit.plugin import Plugin
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript, Word

UTTERANCE_S_MAX = 60
"""Audio of one utterance; the ear ends one at half of it."""
_SETTLE_S = 0.2  # final results of one utterance come in one go


class LiveKitStt:
    """`AsyncIterator[AudioFrame]` of one utterance -> `Transcript`; `Startable`."""

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        key: str | None,
        gate: Gate,
        timeout_s: float,
    ) -> None:
        self._plugin = Plugin(
            endpoint, options, kind="stt", key=key, gate=gate, timeout_s=timeout_s
        )

    @property
    def endpoint(self) -> Endpoint:
        """Which endpoint this is."""
        return self._plugin.endpoint

    async def start(self) -> None:
        """Make the plugin."""
        await self._plugin.start()

    async def close(self) -> None:
        """Free it; idempotent."""
        await self._plugin.close()

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context, /
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Transcribe the utterance *source*."""
        async with self._plugin.admitted(context):
            utterance = _Utterance(self._plugin, context)
            streams = self._plugin.made.capabilities.streaming
            hear = utterance.streamed if streams else utterance.whole
            async with aclosing(hear(source)) as transcripts:
                yield transcripts


class _Utterance:
    """One attempt."""

    def __init__(self, plugin: Plugin, context: Context) -> None:
        self._plugin, self._context = plugin, context
        self._anchors = Anchors()
        self._text: list[str] = []  # of the final results
        self._words: list[Word] = []
        self._spoke = False
        self._over = self._settled = False  # all audio was given; a final result came after that

    async def streamed(self, source: AsyncIterator[AudioFrame]) -> AsyncGenerator[Transcript, None]:
        """Push the audio while the events come."""
        stream = self._plugin.made.stream(conn_options=self._plugin.connection)
        pump = asyncio.get_running_loop().create_task(self._pump(stream, source))
        failed: list[BaseException] = []
        pump.add_done_callback(lambda it: self._pumped(it, failed, stream))
        try:
            events = aiter(stream)
            while (event := await self._next(events)) is not None:
                if (transcript := self._heard(event)) is not None:
                    yield transcript
            if failed:
                raise failed[0]
            yield Transcript(" ".join(self._text), True, tuple(self._words))
        finally:
            pump.cancel()
            await asyncio.wait({pump})  # the source is the caller's again
            if not failed:
                self._plugin.leave(stream)

    def _pumped(self, pump: "asyncio.Task[None]", failed: list[BaseException], stream: Any) -> None:
        """The pump has ended: if the source failed, the stream ends, which wakes its reader."""
        if pump.cancelled() or (error := pump.exception()) is None:
            return
        if not stream._event_ch.closed:  # else it has failed itself, and says why
            failed.append(error)
            self._plugin.leave(stream)

    async def whole(self, source: AsyncIterator[AudioFrame]) -> AsyncGenerator[Transcript, None]:
        """Ask when the utterance is over."""
        frames = [self._frame(frame) async for frame in source]
        if not frames:
            yield Transcript("", True)
            return
        plugin = self._plugin
        doing = plugin.made.recognize(frames, conn_options=plugin.connection)
        self._heard(await plugin.wait(doing, self._context, spoke=False))
        yield Transcript(" ".join(self._text), True, tuple(self._words))

    async def _pump(self, stream: Any, source: AsyncIterator[AudioFrame]) -> None:
        async for frame in source:
            stream.push_frame(self._frame(frame))
            await asyncio.sleep(0)  # its queue has no end: what it brings is to be read meanwhile
        stream.end_input()
        self._over = True

    def _frame(self, frame: AudioFrame) -> Any:
        if self._anchors.add(frame) > UTTERANCE_S_MAX * SAMPLE_RATE:
            detail = f"an utterance of more than {UTTERANCE_S_MAX} s; end it at a pause"
            raise EndpointError(self._plugin.endpoint.name, Fault.REFUSED, detail)
        samples = len(frame.pcm) // 2
        return self._plugin.rtc.AudioFrame(frame.pcm, SAMPLE_RATE, 1, samples)

    async def _next(self, events: AsyncIterator[Any]) -> Any:
        """The next event, None after the last."""
        settling = asyncio.timeout(_SETTLE_S if self._settled else None)
        try:
            async with settling:
                return await self._plugin.wait(
                    anext(events, None), self._context, spoke=self._spoke
                )
        except TimeoutError:
            if not settling.expired():
                raise
            return None

    def _heard(self, event: Any) -> Transcript | None:
        kinds = self._plugin.agents.stt.SpeechEventType
        if not event.alternatives:
            return None
        best = event.alternatives[0]
        words = self._placed(best.words or ())
        if event.type == kinds.FINAL_TRANSCRIPT:
            if best.text:
                self._text.append(best.text)
                self._words += words
            self._settled = self._over
            return None
        if event.type != kinds.INTERIM_TRANSCRIPT or not best.text:
            return None
        self._spoke = True
        return Transcript(" ".join([*self._text, best.text]), False, (*self._words, *words))

    def _placed(self, words: Any) -> list[Word]:
        """*words* in the call; those without times, or of audio that never was, are left out."""
        spans = [(str(word).strip(), word.start_time, word.end_time) for word in words]
        return [
            Word(text, *self._anchors.span(round(start * SAMPLE_RATE), round(end * SAMPLE_RATE)))
            for text, start, end in spans
            if self._anchors.heard and isinstance(start, float) and isinstance(end, float)
        ]
