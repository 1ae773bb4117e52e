"""Requests for audio, read; audio on its way to a client; and what is noted of both.

Shapes: `types/audio/speech_create_params.py`, `transcription_create_params.py` and
`transcription_verbose.py` of the `openai` SDK 3.54.0, November 2026. Its raw audio has 24 kHz.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

import numpy as np
from aiohttp import web

from trunkline.calls.steps import AnyStage
from trunkline.errors import Fault
from trunkline.gateway.door import Failover
from trunkline.gateway.reading import Fields
from trunkline.gateway.refusals import Refusal, unsupported, wrong
from trunkline.media.resample import StreamResampler
from trunkline.types import (
    SAMPLE_RATE,
    STT,
    DataClass,
    Mono,
    Sample,
    SpokenWord,
    StageName,
    Transcript,
    Where,
)

RATE: Final = 24_000
"""Samples a second of what is sent. Voices are those of calls: nothing is heard above 4 kHz."""
TEXT_CHARS_MAX: Final = 4096
SOUND_S_MAX: Final = 900.0
"""Of one answer: a text of the greatest length takes five minutes."""
UPLOAD_S: Final = 60.0
"""For a recording to arrive."""
_FIELD_BYTES_MAX: Final = 8 * 1024
_PARTS_MAX: Final = 32
_FORMATS: Final = {"pcm": "audio/pcm", "wav": "audio/wav"}
_HEADER: Final = (
    b"RIFF\xff\xff\xff\xffWAVEfmt \x10\x00\x00\x00\x01\x00\x01\x00"
    + RATE.to_bytes(4, "little")
    + (2 * RATE).to_bytes(4, "little")
    + b"\x02\x00\x10\x00data\xff\xff\xff\xff"
)
"""Of a stream whose length nobody knows yet: the greatest there is."""


@dataclass(frozen=True, slots=True)
class AudioModel:
    """A name that clients ask for, and who speaks or listens by that name."""

    name: str
    stage: StageName
    stages: tuple[AnyStage, ...]
    language: str = "en"

    @property
    def paths(self) -> str:
        """Where it can be asked for."""
        return "/v1/audio/transcriptions" if self.stage == STT else "/v1/audio/speech"

    def of(self, stage: StageName) -> "AudioModel":
        """Itself; `Refusal` (400) if it does something else."""
        if self.stage != stage:
            raise wrong("model", f"{self.name!r} serves {self.paths}")
        return self

    def speaking(self, voice: str) -> "AudioModel":
        """With those endpoints that have this *voice* ("default": all); `Refusal` (400)."""
        if voice == "default":
            return self
        able = tuple(it for it in self.stages if it.endpoint.voice == voice)
        if not able:
            known = sorted({it.endpoint.voice for it in self.stages} - {""})
            names = ", ".join(["default", *known])
            raise wrong("voice", f"{self.name!r} has no {voice[:80]!r}. It has {names}")
        return replace(self, stages=able)

    def understands(self, language: str | None) -> None:
        """`Refusal` (400) if it listens to another than *language*."""
        if language and language.partition("-")[0] != self.language.partition("-")[0]:
            raise wrong("language", f"{self.name!r} listens to {self.language!r}")


@dataclass(frozen=True, slots=True)
class SpeechAsk:
    """A text to be spoken."""

    model: str
    text: str
    voice: str
    format: str


def read_speech(body: bytes) -> SpeechAsk:
    """The request in *body*; `Refusal` (400) names the field that is wrong."""
    fields = Fields(body)
    model = fields.take("model", str, "")
    text = fields.take("input", str, "")
    voice = fields.take("voice", str | dict[str, str], "default")
    wanted = fields.take("response_format", str, "mp3")
    if not model:
        raise wrong("model", "it is missing. Give the name of a model of this gateway")
    if not any(sign.isalnum() for sign in text):
        raise wrong("input", "there is nothing to say in it")
    if len(text) > TEXT_CHARS_MAX:
        raise wrong("input", f"it has {len(text)} characters, the limit is {TEXT_CHARS_MAX}")
    if wanted not in _FORMATS:
        why = f"{wanted[:20]!r} (mp3 if nothing is said) is not made here. Say pcm or wav"
        raise unsupported("response_format", why)
    for name, neutral in (("speed", 1), ("stream_format", "audio"), ("instructions", "")):
        if fields.all.get(name) == neutral:
            del fields.all[name]
    for name in fields.all:
        raise unsupported(name, "the endpoint's own settings say how it speaks")
    name = voice if isinstance(voice, str) else voice.get("id", "")
    return SpeechAsk(model, text, name, wanted)


class Sound:
    """What is said of one text, on its way to a client: a `Mouth` of `calls.speak`."""

    def __init__(self, form: str, clock: Callable[[], float]) -> None:
        self._form, self._clock = form, clock
        self._pcm = bytearray()
        self._samples, self._silent_at = 0, Mono(-1.0)
        self._resampler = StreamResampler(SAMPLE_RATE, RATE)
        self._news = asyncio.Event()
        self._begun = False
        self.latest = -1
        self.lost = False
        """Whether something could not be said."""

    @property
    def content_type(self) -> str:
        """Of the body."""
        return _FORMATS[self._form]

    def expect(self, text: str) -> int:
        """A phrase will be said; its number."""
        del text
        self.latest += 1
        return self.latest

    def queue(
        self, phrase: int, pcm: bytes, words: Sequence[SpokenWord], *, complete: bool
    ) -> None:
        """More audio; that of phrases comes in their order."""
        del phrase, words, complete
        if self._samples > SOUND_S_MAX * SAMPLE_RATE:
            self.lost = True
            return
        samples = len(pcm) // 2
        self._pcm += pcm
        self._samples += samples
        self._silent_at = Mono(self.silent_at(Mono(self._clock())) + samples / SAMPLE_RATE)
        if samples:
            self._news.set()

    def drop(self, phrase: int, chars: int) -> None:
        """A phrase cannot be said from there on."""
        del phrase, chars
        self.lost = True

    def silent_at(self, now: Mono) -> Mono:
        """When all that was said is heard."""
        return max(now, self._silent_at)

    def nudge(self) -> None:
        """There is something to see."""
        self._news.set()

    async def news(self) -> None:
        """Wait for more audio, or a nudge."""
        await self._news.wait()
        self._news.clear()

    def take(self, *, last: bool) -> bytes:
        """What is to be sent now; *last*: and all that belongs to it."""
        pcm = self._resampler.feed(np.frombuffer(bytes(self._pcm), np.int16))
        self._pcm.clear()
        data = pcm.tobytes() + (self._resampler.flush().tobytes() if last else b"")
        if self._form == "wav" and not self._begun:
            data = _HEADER + data
        self._begun = True
        return data


@dataclass(frozen=True, slots=True)
class Recording:
    """A recording to be written down."""

    model: str
    audio: bytes
    format: Literal["json", "text", "verbose_json"]
    language: str | None


async def read_recording(request: web.Request, bytes_max: int) -> Recording:
    """The form in *request*; `Refusal` (400, 408, 413) names what is wrong."""
    if request.content_type != "multipart/form-data":
        raise wrong("body", "it is no multipart/form-data")
    if (request.content_length or 0) > bytes_max + _PARTS_MAX * _FIELD_BYTES_MAX:
        raise _too_long(bytes_max)
    try:
        async with asyncio.timeout(UPLOAD_S):
            parts = await _parts(request, bytes_max)
    except TimeoutError:
        message = f"the body took longer than {UPLOAD_S:g} s"
        raise Refusal(408, message, closes=True) from None
    except (ValueError, web.RequestPayloadError, ConnectionError) as broken:
        raise Refusal(400, "the body is not what its head promised", closes=True) from broken
    audio = parts.pop("file", b"")
    if not audio:
        raise wrong("file", "it is missing. Give a recording, WAV or what libsndfile reads")
    fields = {name: it.decode(errors="replace") for name, it in parts.items() if it}
    model, form = fields.pop("model", ""), fields.pop("response_format", "json")
    if not model:
        raise wrong("model", "it is missing. Give the name of a model of this gateway")
    if form not in {"json", "text", "verbose_json"}:
        raise unsupported("response_format", "say json, text or verbose_json")
    language = fields.pop("language", None)
    for name, value in fields.items():
        if (name, value) not in _NEUTRAL:
            raise unsupported(name, "the endpoint's own settings say how it listens")
    return Recording(model, audio, form, language)  # type: ignore[arg-type]  # one of three


_NEUTRAL: Final = {
    ("stream", "false"),
    ("temperature", "0"),
    ("temperature", "0.0"),
    ("timestamp_granularities[]", "word"),
}
"""Values that ask for what is done anyway."""


async def _parts(request: web.Request, bytes_max: int) -> dict[str, bytes]:
    parts: dict[str, bytes] = {}
    reader = await request.multipart()
    count = 0
    while (part := await reader.next()) is not None:
        count += 1
        name = getattr(part, "name", None)
        if name is None or name in parts or count > _PARTS_MAX:
            raise wrong("body", "a part has no name, one comes twice, or there are too many")
        limit, body = bytes_max if name == "file" else _FIELD_BYTES_MAX, bytearray()
        while chunk := await part.read_chunk():  # type: ignore[union-attr]  # it has a name
            body += chunk
            if len(body) > limit:
                raise _too_long(limit, name)
        parts[name] = bytes(body)
    return parts


def _too_long(limit: int, what: str = "body") -> Refusal:
    return Refusal(413, f"{what} is longer than {limit} bytes", param=what, closes=True)


@dataclass(frozen=True, slots=True)
class Heard:
    """What was said in a recording of so many seconds."""

    transcript: Transcript
    seconds: float

    @property
    def text(self) -> str:
        """All words."""
        return self.transcript.text

    def told(self, ask: Recording, model: AudioModel) -> dict[str, object]:
        """As the client is told."""
        told: dict[str, object] = {
            "text": self.text,
            "usage": {"type": "duration", "seconds": round(self.seconds, 3)},
        }
        if ask.format == "verbose_json":
            told |= {
                "task": "transcribe",
                "language": model.language,
                "duration": round(self.seconds, 3),
                "words": [
                    {
                        "word": it.text,
                        "start": round(it.start / SAMPLE_RATE, 3),
                        "end": round(it.end / SAMPLE_RATE, 3),
                    }
                    for it in self.transcript.words
                ],
            }
        return told


@dataclass(slots=True)
class Attempt:
    """One, as it is told afterwards."""

    name: str
    kind: str
    fault: Fault | None = None


@dataclass(slots=True)
class Notes:
    """A `Journal` that keeps names and faults, and no word of what was said."""

    tries: list[Attempt] = field(default_factory=list)
    failovers: list[Failover] = field(default_factory=list)
    won: str = ""

    @property
    def served_by(self) -> str:
        """The endpoint that leads, as far as it is known."""
        if self.won or self.failovers:
            return self.won or self.failovers[-1].new
        well = [it.name for it in self.tries if it.fault is None]
        return well[0] if well else ""

    @property
    def faults(self) -> str:
        """Each endpoint with each of its faults."""
        counted = Counter(f"{it.name}: {(it.fault or Fault.SILENT).value}" for it in self.tries)
        return "; ".join(f"{told} ({n} times)" if n > 1 else told for told, n in counted.items())

    def note(
        self,
        type: str,
        data: Mapping[str, Any],
        *,
        where: Where,
        data_class: DataClass = DataClass.TELEMETRY,
        zone: str = "",
        sample: Sample | None = None,
    ) -> None:
        """One event."""
        del data_class, zone, sample
        match type:
            case "attempt.started":
                self.tries.append(Attempt(data["endpoint"], data["kind"]))
            case "attempt.ended" if data["outcome"] == "won":
                self.won = data["endpoint"]
            case "attempt.ended" if "fault" in data:
                self.tries[where.attempt].fault = Fault(data["fault"])
            case "failover":
                change = Failover(data["from"], data["to"], Fault(data["fault"]), data["kind"])
                self.failovers.append(change)
            case _:
                pass  # what was said is nobody's business

    def audio(self, channel: Literal["caller", "agent"], at: Sample, mulaw: bytes) -> None:
        """Nothing is recorded."""

    async def commit(self) -> None:
        """Nothing is kept."""
