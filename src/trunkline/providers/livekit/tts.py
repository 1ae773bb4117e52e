"""Synthesis through a plugin of LiveKit Agents, as a `Stage`: `plugin` has the terms.

Each phrase is a stream of its own, so that its end is told; the next one begins when it is whole,
which costs the plugin's time to its first audio once a phrase. Words are marked where the plugin
tells their times.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from typing import Any

import numpy as np

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.media.resample import StreamResampler
from trunkline.net.gate import Gate
from trunkline.providers.livekit.plugin import Plugin
from trunkline.providers.tts.contexts import TEXT_MAX
from trunkline.providers.tts.marks import WordMarks
from trunkline.types import SAMPLE_RATE, Endpoint, Phrase, Speech, SpokenWord

_TIMED = "lk.timed_transcripts"  # livekit.agents.types.USERDATA_TIMED_TRANSCRIPT


class LiveKitTts:
    """`AsyncIterator[Phrase]` -> `Speech`; `Startable`."""

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
            endpoint, options, kind="tts", key=key, gate=gate, timeout_s=timeout_s
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
        self, source: AsyncIterator[Phrase], context: Context, /
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        """Speak *source*, phrase by phrase."""
        async with (
            self._plugin.admitted(context),
            aclosing(self._speak(source, context)) as speech,
        ):
            yield speech

    async def _speak(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncGenerator[Speech, None]:
        spoke = False
        async for phrase in source:
            if len(phrase.text) > TEXT_MAX:
                detail = f"a phrase of {len(phrase.text)} characters; {TEXT_MAX} at most"
                raise EndpointError(self.endpoint.name, Fault.REFUSED, detail)
            stream, heard = self._stream(phrase), _Heard(phrase)
            try:
                frames = aiter(stream)
                while (
                    event := await self._plugin.wait(anext(frames, None), context, spoke=spoke)
                ) is not None:
                    if (speech := heard.more(event.frame)) is not None:
                        spoke = True
                        yield speech
            finally:
                self._plugin.leave(stream)
            if heard.marks.speakable and not heard.samples:
                raise EndpointError(self.endpoint.name, Fault.EMPTY, "finished without any audio")
            yield heard.last()

    def _stream(self, phrase: Phrase) -> Any:
        made, connection = self._plugin.made, self._plugin.connection
        if not made.capabilities.streaming:
            return made.synthesize(phrase.text, conn_options=connection)
        stream = made.stream(conn_options=connection)
        stream.push_text(phrase.text)
        stream.end_input()
        return stream


class _Heard:
    """The audio of one phrase, at 8 kHz whatever the plugin's rate."""

    def __init__(self, phrase: Phrase) -> None:
        self._phrase = phrase
        self._resampler: StreamResampler | None = None
        self.marks = WordMarks(phrase.text)
        self.samples = 0

    def more(self, frame: Any) -> Speech | None:
        """What *frame* adds."""
        if self._resampler is None:
            self._resampler = StreamResampler(frame.sample_rate, SAMPLE_RATE)
        mono = np.frombuffer(frame.data, np.int16)[:: frame.num_channels]
        pcm = self._resampler.feed(mono)
        self.samples += len(pcm)
        words = self._words(frame.userdata.get(_TIMED, ()))
        return Speech(self._phrase.index, pcm.tobytes(), words) if len(pcm) or words else None

    def last(self) -> Speech:
        """What is left in the resampler; the phrase is complete."""
        tail = b"" if self._resampler is None else self._resampler.flush().tobytes()
        return Speech(self._phrase.index, tail, (), last=True)

    def _words(self, told: Any) -> tuple[SpokenWord, ...]:
        timed = [(str(word), word.start_time) for word in told]
        return self.marks.place(
            (text, round(at * SAMPLE_RATE)) for text, at in timed if isinstance(at, float)
        )
