"""The embedded synthesiser outside a call: the voice of `--say`, and templates for the tape."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from trunkline.contracts import Context
from trunkline.providers.embedded.espeak import EspeakTts
from trunkline.types import TTS, CallId, DataClass, Endpoint, Phrase, Where, Zone

_HERE = Zone(
    "here", "self_hosted", "local", "none", "you", "none", False, False, frozenset(DataClass)
)
_NO_CALL = Context(Where(CallId("none")), DataClass.SPEECH_TEXT)


class EmbeddedVoice:
    """Call it with a text: `await voice("hello")` is 16-bit mono at 8 kHz."""

    def __init__(self, tts: EspeakTts) -> None:
        self._tts = tts

    async def __call__(self, text: str) -> bytes:
        """*text* as speech."""
        async with self._tts.open(_one(text), _NO_CALL) as speech:
            return b"".join([piece.pcm async for piece in speech])


@asynccontextmanager
async def embedded_voice(options: Mapping[str, object]) -> AsyncIterator[EmbeddedVoice]:
    """A started voice with espeak *options*; `InputError` if espeak-ng is not installed."""
    tts = EspeakTts(Endpoint("voice", TTS, "espeak", "en-us", _HERE, "worker"), options)
    try:
        await tts.start()
        yield EmbeddedVoice(tts)
    finally:
        await tts.close()


async def _one(text: str) -> AsyncIterator[Phrase]:
    yield Phrase(0, text)
