"""Simulated stages, journal and phone line: a whole call in virtual time, on its real shell.

`SimLlm`, `SimTts` and `SimStt` are Stages whose outputs are written as *beats*: wait so long, then
give this, or raise it, or wait for ever. `SimLine` is a `Carrier` whose far end is the same
scripted caller and playout buffer as in a real call (`telephony.line`), so its tape is what a
caller would have heard. `SimVad` hears speech where the caller's audio is loud.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from trunkline.calls.pacer import Listener
from trunkline.contracts import CarrierEvent, Context, MarkPlayed, Media, Started, Stopped
from trunkline.contracts import Digit as CarrierDigit
from trunkline.core.playout import WORDS_PER_S
from trunkline.core.turns import Window
from trunkline.media.vad import WINDOW_SAMPLES
from trunkline.telephony.line import (
    Act,
    SendAudio,
    SendDigit,
    SendMark,
    Tick,
    VirtualCall,
)
from trunkline.telephony.script import CallScript
from trunkline.telephony.twilio import AgentAudio, AgentClear, AgentMark
from trunkline.types import (
    SAMPLE_RATE,
    AudioFrame,
    DataClass,
    Delta,
    Endpoint,
    Finish,
    Mono,
    Phrase,
    Prompt,
    Sample,
    Speech,
    SpokenWord,
    StageName,
    TextDelta,
    Transcript,
    Where,
    Zone,
)

T = TypeVar("T")

FOREVER = None
"""A beat's wait that never ends: the endpoint hangs."""

Beat = tuple[float | None, T | Exception]
"""Wait so many seconds, then give the thing, or raise it."""

HERE = Zone(
    "here", "self_hosted", "local", "none", "you", "none", False, False, frozenset(DataClass)
)


def endpoint(name: str, stage: StageName) -> Endpoint:
    """An endpoint named *name* in a zone that takes everything."""
    return Endpoint(name, stage, "simulated", name, HERE, f"domain-{name}", "prefix")


def tokens(text: str, *, first_s: float = 0.1, gap_s: float = 0.01) -> list[Beat[Delta]]:
    """The beats of a model that says *text* word by word and stops."""
    words = text.split(" ")
    pieces = [word + " " for word in words[:-1]] + words[-1:]
    waits = [first_s, *[gap_s] * (len(pieces) - 1)]
    beats: list[Beat[Delta]] = [
        (wait, TextDelta(piece)) for wait, piece in zip(waits, pieces, strict=True)
    ]
    return [*beats, (gap_s, Finish("stop"))]


async def _play(beats: Iterable[Beat[T]]) -> AsyncIterator[T]:
    for wait, thing in beats:
        if wait is FOREVER:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(wait or 0.0)
        if isinstance(thing, Exception):
            raise thing
        yield thing


class SimLlm:
    """A language model: *answer* makes the beats of each request; `prompts` keeps what was asked.

    `open_streams` counts what was not closed: it must be 0 after a call.
    """

    def __init__(self, name: str, answer: Callable[[Prompt], Iterable[Beat[Delta]]]) -> None:
        self.endpoint = endpoint(name, StageName("llm"))
        self.prompts: list[Prompt] = []
        self.open_streams = 0
        self._answer = answer

    @asynccontextmanager
    async def open(self, source: Prompt, context: Context) -> AsyncIterator[AsyncIterator[Delta]]:
        """Play the beats of the answer."""
        del context
        self.prompts.append(source)
        self.open_streams += 1
        try:
            yield _play(self._answer(source))
        finally:
            self.open_streams -= 1


class SimTts:
    """A synthesiser: each word sounds for 1/2.6 s; the first audio of a phrase takes *ttfb_s*.

    *broken*: phrases that contain this text raise the error, once.
    """

    def __init__(
        self, name: str, ttfb_s: float = 0.05, broken: Mapping[str, Exception] | None = None
    ) -> None:
        self.endpoint = endpoint(name, StageName("tts"))
        self.spoken: list[str] = []
        self._ttfb_s, self._broken = ttfb_s, dict(broken or {})

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[Phrase], context: Context
    ) -> AsyncIterator[AsyncIterator[Speech]]:
        """Synthesise each phrase as it comes."""
        del context
        yield self._synthesise(source)

    async def _synthesise(self, source: AsyncIterator[Phrase]) -> AsyncIterator[Speech]:
        async for phrase in source:
            await asyncio.sleep(self._ttfb_s)
            for text in list(self._broken):
                if text in phrase.text:
                    raise self._broken.pop(text)
            self.spoken.append(phrase.text)
            yield self.speech(phrase)

    def speech(self, phrase: Phrase) -> Speech:
        """How *phrase* sounds."""
        return speech(phrase)


def speech(phrase: Phrase) -> Speech:
    """*phrase* as a hum with a short silence at its end, and a mark for each word."""
    word_samples = int(SAMPLE_RATE / WORDS_PER_S)
    marks, start = [], 0
    for number, word in enumerate(phrase.text.split(" ")):
        marks.append(SpokenWord(start, start + len(word), number * word_samples))
        start += len(word) + 1
    audio = np.full(len(marks) * word_samples, 4000, np.int16)
    audio[-SAMPLE_RATE // 10 :] = 0
    return Speech(phrase.index, audio.tobytes(), tuple(marks), last=True)


@dataclass(frozen=True, slots=True)
class Hears:
    """What a recogniser makes of an utterance: *interims*, each after so many seconds of audio
    (the 0.4 s before the onset count), and the *final* text."""

    final: str
    interims: Sequence[tuple[float, str]] = ()


class SimStt:
    """A recogniser that hears *texts*, one an utterance, *final_s* after its end.

    An exception among them is raised, None is a recogniser that hangs.
    """

    def __init__(
        self, name: str, texts: Sequence[str | Hears | Exception | None], final_s: float = 0.02
    ) -> None:
        self.endpoint = endpoint(name, StageName("stt"))
        self.heard: list[list[AudioFrame]] = []
        self._texts, self._final_s = deque(texts), final_s

    @asynccontextmanager
    async def open(
        self, source: AsyncIterator[AudioFrame], context: Context
    ) -> AsyncIterator[AsyncIterator[Transcript]]:
        """Hear one utterance."""
        del context
        yield self._recognise(source, self._texts.popleft())

    async def _recognise(
        self, source: AsyncIterator[AudioFrame], text: str | Hears | Exception | None
    ) -> AsyncIterator[Transcript]:
        frames: list[AudioFrame] = []
        self.heard.append(frames)
        interims = deque(text.interims if isinstance(text, Hears) else ())
        samples = 0
        async for frame in source:
            frames.append(frame)
            samples += len(frame.pcm) // 2
            while interims and interims[0][0] * SAMPLE_RATE <= samples:
                yield Transcript(interims.popleft()[1], final=False)
        if text is None:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(self._final_s)
        if isinstance(text, Exception):
            raise text
        yield Transcript(text.final if isinstance(text, Hears) else text or "", final=True)


@dataclass(frozen=True, slots=True)
class Note:
    """An event as it was noted."""

    type: str
    data: Mapping[str, object]
    where: Where
    at: Mono


class MemoryJournal:
    """Keeps what is noted in a list; `audio_from` says from which sample a channel was kept."""

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.closed: str | None = None

    def note(
        self,
        type: str,
        data: Mapping[str, object],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """Keep the event."""
        del data_class, zone, sample
        now = Mono(asyncio.get_running_loop().time())
        self.notes.append(Note(type, dict(data), where, now))

    def audio(self, channel: str, at: Sample, mulaw: bytes) -> None:
        """Nothing is recorded."""

    async def commit(self) -> None:
        """Memory is durable enough."""

    async def close(self, reason: str) -> None:
        """The call is over."""
        self.closed = reason

    def of(self, *types: str) -> list[Note]:
        """The notes of these types, in order."""
        return [note for note in self.notes if note.type in types]


class _SimListener:
    def __init__(self) -> None:
        self.audio = bytearray()
        self.fed = 0

    def feed(self, mulaw: bytes) -> None:
        self.audio += mulaw
        self.fed += len(mulaw)

    def close(self) -> None:
        self.audio.clear()


class SimVad:
    """Voice activity by loudness: a window that is mostly not silence is speech."""

    def __init__(self) -> None:
        self._listeners: list[_SimListener] = []

    def join(self) -> Listener:
        """For one more call."""
        self._listeners.append(listener := _SimListener())
        return listener

    def tick(self) -> list[tuple[Listener, Window]]:
        """Judge all whole windows."""
        judged: list[tuple[Listener, Window]] = []
        for listener in self._listeners:
            while len(listener.audio) >= WINDOW_SAMPLES:
                window = bytes(listener.audio[:WINDOW_SAMPLES])
                del listener.audio[:WINDOW_SAMPLES]
                quiet = window.count(0xFF) + window.count(0x7F)
                end = Sample(listener.fed - len(listener.audio))
                speech = float(quiet < WINDOW_SAMPLES // 2)
                start = Sample(end - WINDOW_SAMPLES)
                judged.append((listener, Window(speech, start, end)))
        return judged


class SimLine:
    """A carrier whose far end is a scripted caller in virtual time; `call.tape()` is the tape."""

    def __init__(self, script: CallScript, *, max_s: float = 300.0) -> None:
        self._script, self._max_s = script, max_s
        self._pending: deque[CarrierEvent] = deque()
        self.call = VirtualCall(script, Mono(0.0))
        self.failed = False
        """Whether it was hung up for a fault of the agent's."""

    async def events(
        self, hear: Callable[[Media], None] | None = None, /
    ) -> AsyncIterator[CarrierEvent]:
        """The leg, from its start to its end."""
        clock = asyncio.get_running_loop().time
        self.call = VirtualCall(self._script, Mono(clock()), max_s=self._max_s)
        yield Started("CA-simulated", "MZ-simulated", "caller", {})
        while (due := self.call.deadline()) is not None:
            await asyncio.sleep(max(0.0, due - clock()))
            self._take(self.call.feed(Tick(), Mono(clock())))
            while self._pending:
                event = self._pending.popleft()
                if hear is not None and isinstance(event, Media):
                    hear(event)
                else:
                    yield event
        yield Stopped(self.call.ended or "")

    def play(self, mulaw: bytes) -> None:
        """Queue audio at the carrier."""
        self._take(self.call.feed(AgentAudio(mulaw), self.call.mono0))

    def mark(self, name: str) -> None:
        """Queue a mark."""
        self._take(self.call.feed(AgentMark(name), self.call.mono0))

    def clear(self) -> None:
        """Empty the carrier's buffer."""
        self._take(self.call.feed(AgentClear(), self.call.mono0))

    async def hangup(self, reason: str, *, failed: bool = False) -> None:
        """End the leg."""
        self.failed = self.failed or failed
        self._take(self.call.end("agent_closed", reason))

    def _take(self, acts: Sequence[Act]) -> None:
        for act in acts:
            match act:
                case SendAudio(mulaw, at):
                    self._pending.append(Media(mulaw, at))
                case SendMark(name):
                    self._pending.append(MarkPlayed(name))
                case SendDigit(digit):
                    self._pending.append(CarrierDigit(digit))
                case _:
                    pass
