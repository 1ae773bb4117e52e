"""What recognisers in a process of their own share: frames of one utterance become transcripts.

The process gets `AUDIO`, and answers `INTERIM` and `FINISH` with JSON: {"text": ..., "words":
[[word, first sample, sample after the last], ...], "posterior": ...}, samples counted from the
start of the utterance; "posterior" is the text's share of all that was thought of, null if that is
not known.
"""

import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from trunkline.contracts import Context
from trunkline.errors import EndpointError, Fault
from trunkline.providers.embedded.child_pool import Engine
from trunkline.providers.embedded.framing import Kind
from trunkline.providers.stt.anchors import Anchors
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript, Word

UTTERANCE_S_MAX = 60
"""Audio of one utterance; the ear ends one at half of it."""
DOUBTFUL_S_MAX = 0.6
"""Longer words are believed: the posterior of a long text is small even where it is right."""
_POSTERIOR_MIN = 0.05
"""Of two or three short words. One word fits almost any short sound, and then sure of itself."""


class EngineStt:
    """`AsyncIterator[AudioFrame]` of one utterance -> `Transcript`, by *engine*.

    *interim_ms*: of audio between two looks at what was heard so far.
    """

    def __init__(self, endpoint: Endpoint, engine: Engine, interim_ms: int) -> None:
        self._endpoint, self._engine = endpoint, engine
        self._interim = interim_ms * SAMPLE_RATE // 1_000

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
    posterior = result["posterior"]
    unlikely = posterior is not None and (len(words) == 1 or posterior < _POSTERIOR_MIN)
    return Transcript(result["text"], final, words, final and short and unlikely)
