"""OpenAI's transcription, `POST audio/transcriptions`, and that of all who speak it: speaches,
vLLM, whisper.cpp and other servers of one's own.

The utterance is kept until it ends and sent whole, as a WAV file of 8 kHz. So nothing is known
while the caller speaks (no interims, hence no guess at the end of a turn), and all of the server's
time is silence after it: a recogniser of one's own network, or a backup. OpenAI refuses less than
0.1 s, so a shorter utterance ends in silence.

The answer is JSON, or with `stream: true` server-sent events, where the server knows them; its
media type decides how it is read. Of events two dialects are understood: OpenAI's
(`transcript.text.delta`, `transcript.text.done`) and vLLM's older one, which is that of chat
completions.

With `words: true` words come with their times, and Whisper's own doubt that there was speech at all
makes a transcript doubtful; servers that cannot tell words refuse it (gpt-4o-transcribe).

Sources, read November 2026, not verified against the live service: the SDK `openai` 3.54.0
(`types/audio/transcription*.py`), UpstreetAI/usdk issue 637 (`audio_too_short`),
vLLM's issue 49116 (its events), Whisper's `no_speech_threshold` (`openai/whisper`, transcribe.py).

Options: `language` (ISO 639-1), `prompt`, `stream`, `words`, `extra` (further form fields, texts).
"""

import hashlib
import io
import wave
from collections.abc import Mapping

from trunkline.contracts import BodyExchange, Decoder, Post, Request
from trunkline.errors import EndpointError, Fault, InputError
from trunkline.providers.openai_errors import openai_refusal
from trunkline.providers.options import Options
from trunkline.providers.stt.anchors import Anchors
from trunkline.providers.stt.openai_answers import StreamedAnswer, WholeAnswer
from trunkline.types import SAMPLE_RATE, AudioFrame, Endpoint, Transcript

UTTERANCE_S_MAX = 60
"""Audio of one utterance; the ear ends one at half of it."""
_SHORTEST_BYTES = SAMPLE_RATE // 10 * 2
_EVENTS = "text/event-stream"


class OpenAITranscription:
    """`BodyCodec[AudioFrame, Transcript]`; the endpoint's model is the server's."""

    ahead = 1

    def __init__(self, endpoint: Endpoint, options: Mapping[str, object]) -> None:
        self._endpoint = endpoint.name
        read = Options(endpoint.name, options)
        stream, words = read.flag("stream", default=False), read.flag("words", default=False)
        if stream and words:
            raise InputError(f"{endpoint.name}: a stream has no words. Use stream or words")
        fields = {"model": endpoint.model, "response_format": "verbose_json" if words else "json"}
        if words:
            fields["timestamp_granularities[]"] = "word"
        if stream:
            fields["stream"] = "true"
        for name in ("language", "prompt"):
            if (value := read.optional_text(name)) is not None:
                fields[name] = value
        extra = read.mapping("extra")
        if wrong := [name for name, value in extra.items() if not isinstance(value, str)]:
            raise InputError(f"{endpoint.name}: extra.{wrong[0]} is no text. Form fields are texts")
        read.done()
        self._fields = {**fields, **{name: str(value) for name, value in extra.items()}}

    def credentials(self, key: str, /) -> Mapping[str, str]:
        """A bearer token (RFC 6750)."""
        return {"Authorization": f"Bearer {key}"}

    def exchange(self) -> BodyExchange[AudioFrame, Transcript]:
        """A fresh utterance."""
        return _Utterance(self._endpoint, self._fields)

    def refusal(self, status: int, headers: Mapping[str, str], body: bytes, /) -> EndpointError:
        """What *status* means; the reason is in the body."""
        return openai_refusal(self._endpoint, status, headers, body)


class _Utterance:
    """`BodyExchange[AudioFrame, Transcript]`: one request, when it is over."""

    def __init__(self, endpoint: str, fields: Mapping[str, str]) -> None:
        self._endpoint, self._fields = endpoint, fields
        self._pcm = bytearray()
        self._anchors = Anchors()

    def take(self, item: AudioFrame, /) -> None:
        """Keep it; `REFUSED` if the utterance is longer than any should be."""
        if self._anchors.add(item) > UTTERANCE_S_MAX * SAMPLE_RATE:
            detail = f"an utterance of more than {UTTERANCE_S_MAX} s; end it at a pause"
            raise EndpointError(self._endpoint, Fault.REFUSED, detail)
        self._pcm += item.pcm

    def finish(self) -> Post[Transcript]:
        """The request for all of it."""
        pcm = bytes(self._pcm).ljust(_SHORTEST_BYTES, b"\0")
        media_type, body = multipart(self._fields, _wav(pcm))
        request = Request("audio/transcriptions", {"Content-Type": media_type}, body)
        return Post(request, self._reader, ends_itself=self._fields.get("stream") == "true")

    def _reader(self, media_type: str) -> Decoder[Transcript]:
        if media_type == _EVENTS:
            return StreamedAnswer(self._endpoint)
        if media_type in {"", "application/json"}:
            return WholeAnswer(self._endpoint, self._anchors)
        raise EndpointError(
            self._endpoint, Fault.MALFORMED, f"answered with {media_type!r} instead of JSON"
        )


def multipart(fields: Mapping[str, str], audio: bytes) -> tuple[str, bytes]:
    """The media type and the body of a form (RFC 7578) with *fields* and the file *audio*.

    The boundary is a hash of what is between, so that it is in none of it, and tests repeat.
    """
    digest = hashlib.sha256(repr(fields).encode() + audio).hexdigest()
    line = f"--trunkline-{digest[:32]}"
    parts = [
        f'{line}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
        for name, value in fields.items()
    ]
    head = f'{line}\r\nContent-Disposition: form-data; name="file"; filename="speech.wav"\r\n'
    parts += [
        f"{head}Content-Type: audio/wav\r\n\r\n".encode(),
        audio,
        f"\r\n{line}--\r\n".encode(),
    ]
    return f"multipart/form-data; boundary={line[2:]}", b"".join(parts)


def _wav(pcm: bytes) -> bytes:
    file = io.BytesIO()
    with wave.open(file, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(SAMPLE_RATE)
        out.writeframes(pcm)
    return file.getvalue()
