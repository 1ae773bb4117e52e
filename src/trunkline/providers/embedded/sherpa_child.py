"""The process that holds one sherpa-onnx recogniser: an utterance's audio in, transcripts out.

Tokens are parts of words; one that begins with a blank (or its sign, U+2581) begins a word. A token
has the time at which it was thought of; a word ends where the next one begins, at most
`_WORD_S_MAX` later. A streaming model needs some silence behind the last word to be sure of it.
"""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from trunkline.providers.embedded.framing import Kind, Pipe
from trunkline.types import SAMPLE_RATE

_TAIL_S = 0.66  # what the examples of sherpa-onnx put behind an utterance
_WORD_S_MAX = 1.0
_BLANK = "\u2581"


class Online(Protocol):
    """What is used of `sherpa_onnx.OnlineRecognizer`."""

    def create_stream(self) -> Any:
        """A fresh utterance."""
        ...

    def is_ready(self, stream: Any, /) -> bool:
        """Whether there is enough audio to decode some."""
        ...

    def decode_stream(self, stream: Any, /) -> None:
        """Decode some."""
        ...

    def tokens(self, stream: Any, /) -> Sequence[str]:
        """What was heard so far."""
        ...

    def timestamps(self, stream: Any, /) -> Sequence[float]:
        """When, in seconds of the utterance."""
        ...


class Recogniser:
    """One recogniser; one utterance at a time."""

    def __init__(self, online: Online) -> None:
        self._online = online
        self._stream: Any = None
        self._samples = 0

    def begin(self) -> None:
        """Start an utterance; one that is unfinished is dropped."""
        self._stream, self._samples = self._online.create_stream(), 0

    def hear(self, pcm: bytes) -> None:
        """Decode more of the utterance."""
        samples = np.frombuffer(pcm, np.int16)
        self._samples += len(samples)
        self._accept(samples.astype(np.float32) / np.float32(32_768))

    def finish(self) -> None:
        """The utterance is over: `transcript` is final."""
        self._accept(np.zeros(round(_TAIL_S * SAMPLE_RATE), np.float32))
        self._stream.input_finished()
        self._decode()

    def transcript(self) -> bytes:
        """What was heard so far, as a result's payload."""
        tokens, times = self._online.tokens(self._stream), self._online.timestamps(self._stream)
        words: list[tuple[str, int]] = []
        for token, at_s in zip(tokens, times, strict=False):
            text = token.replace(_BLANK, " ")
            at = min(round(at_s * SAMPLE_RATE), self._samples)
            if text.startswith(" ") or not words:
                words.append((text.strip(), at))
            else:
                words[-1] = words[-1][0] + text, words[-1][1]
        longest = round(_WORD_S_MAX * SAMPLE_RATE)
        ends = [*(at for _, at in words[1:]), self._samples]
        told = [
            (text.lower(), at, min(end, at + longest))
            for (text, at), end in zip(words, ends, strict=False)  # without words one end is left
            if text
        ]
        text = " ".join(word for word, _, _ in told)
        return json.dumps({"text": text, "words": told, "posterior": None}).encode()

    def _accept(self, samples: NDArray[np.float32]) -> None:
        self._stream.accept_waveform(SAMPLE_RATE, samples)
        self._decode()

    def _decode(self) -> None:
        while self._online.is_ready(self._stream):
            self._online.decode_stream(self._stream)


def serve(pipe: Pipe) -> None:
    """Serve *pipe* until it ends."""
    frames = pipe.frames()
    settings = json.loads(next(frames).payload)
    try:
        import sherpa_onnx  # noqa: PLC0415  # an optional extra, and this process alone needs it

        online = sherpa_onnx.OnlineRecognizer.from_transducer(**settings)
    except (ImportError, ValueError, RuntimeError, AssertionError) as error:
        mend = "Install it with: pip install 'trunkline[sherpa]', and check the files of the model"
        pipe.send(Kind.REFUSE, 0, f"sherpa-onnx does not load: {error}. {mend}".encode())
        return
    recogniser = Recogniser(online)
    pipe.send(Kind.READY)
    exchange = 0
    for frame in frames:
        if frame.exchange != exchange:
            exchange = frame.exchange
            recogniser.begin()
        if frame.kind is Kind.AUDIO:
            recogniser.hear(frame.payload)
            continue
        if frame.kind is Kind.FINISH:
            recogniser.finish()
        pipe.send(Kind.RESULT, exchange, recogniser.transcript())


if __name__ == "__main__":
    serve(Pipe.of_this_process())
