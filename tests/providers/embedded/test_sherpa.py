"""Sherpa-onnx: which files make a model, how tokens become words, and what cannot be loaded.

No model is at hand: `Told` stands in for the library's recogniser and says what it is told.
"""

import io
import json
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.providers.embedded.engines import CONTEXT, FakeEngine, endpoint
from trunkline.errors import InputError
from trunkline.providers.embedded.framing import Frame, FrameReader, Kind, Pipe, encode
from trunkline.providers.embedded.sherpa import SherpaStt, model_files
from trunkline.providers.embedded.sherpa_child import Recogniser, serve
from trunkline.types import STT, AudioFrame, Sample, Transcript, Word


class Told:
    """A recogniser that has heard *tokens* at *times* as soon as there is a second of audio."""

    def __init__(self, tokens: Sequence[str], times: Sequence[float]) -> None:
        self._tokens, self._times = tokens, times
        self.seconds, self.finished, self._pending = 0.0, False, 0

    def create_stream(self) -> "Told":
        """A fresh utterance."""
        self.seconds, self.finished = 0.0, False
        return self

    def accept_waveform(self, rate: int, samples: Any) -> None:
        """More audio, from -1 to 1."""
        assert abs(samples).max(initial=0) <= 1
        self.seconds += len(samples) / rate
        self._pending += 1

    def input_finished(self) -> None:
        """That was all."""
        self.finished = True

    def is_ready(self, _: object) -> bool:
        """Whether audio waits."""
        return self._pending > 0

    def decode_stream(self, _: object) -> None:
        """Take it."""
        self._pending -= 1

    def tokens(self, _: object) -> Sequence[str]:
        """What it was told."""
        return self._tokens if self.seconds >= 1 else ()

    def timestamps(self, _: object) -> Sequence[float]:
        """When."""
        return self._times


def model(folder: Path, *names: str) -> Path:
    """A folder with files of these names, which hold nothing."""
    for name in names:
        (folder / name).touch()
    return folder


PARTS = ("encoder-1.onnx", "decoder-1.onnx", "joiner-1.onnx")
SMALL = tuple(name.replace(".onnx", ".int8.onnx") for name in PARTS)


def test_a_folder_is_a_model(tmp_path: Path) -> None:
    """The small files are taken where they are wanted and there, else the others."""
    folder = model(tmp_path, "tokens.txt", *PARTS, SMALL[0])
    chosen = model_files("ears", folder, int8=True)
    assert chosen["encoder"] == str(folder / SMALL[0])
    assert chosen["joiner"] == str(folder / PARTS[2])
    assert model_files("ears", folder, int8=False)["encoder"] == str(folder / PARTS[0])


@pytest.mark.parametrize(
    ("names", "says"),
    [
        ((), "no tokens.txt"),
        (("tokens.txt", *PARTS[:2]), r"0 files for the joiner \(none\)"),
        (("tokens.txt", *PARTS, "joiner-2.onnx"), "2 files for the joiner"),
    ],
)
def test_a_folder_that_is_none(tmp_path: Path, names: Sequence[str], says: str) -> None:
    """It is said before a worker starts, with the part that is missing."""
    with pytest.raises(InputError, match=says):
        SherpaStt(endpoint(STT), {"model_dir": str(model(tmp_path, *names))})
    with pytest.raises(InputError, match="is no folder"):
        SherpaStt(endpoint(STT), {"model_dir": str(tmp_path / "nowhere")})
    with pytest.raises(InputError, match="model_dir is ''"):
        SherpaStt(endpoint(STT), {})


def test_tokens_become_words_with_their_places() -> None:
    """Parts are joined at blanks; a word ends where the next begins, the last with the audio."""
    online = Told([" TW", "O", "▁FILL", "INGS"], [0.1, 0.2, 0.5, 0.7])
    recogniser = Recogniser(online)
    recogniser.begin()
    recogniser.hear(bytes(1_600))
    assert json.loads(recogniser.transcript())["text"] == ""
    recogniser.hear(bytes(16_000))
    recogniser.finish()
    assert online.finished
    assert json.loads(recogniser.transcript()) == {
        "text": "two fillings",
        "words": [["two", 800, 4_000], ["fillings", 4_000, 8_800]],
        "posterior": None,
    }


async def test_a_short_word_is_believed(tmp_path: Path) -> None:
    """This engine has words for all sounds, and no share of a lattice to doubt one by."""
    result = json.dumps({"text": "yes", "words": [["yes", 0, 160]], "posterior": None}).encode()
    engine = FakeEngine(lambda kind, _: None if kind is Kind.AUDIO else result)
    folder = model(tmp_path, "tokens.txt", *PARTS)
    ears = SherpaStt(endpoint(STT), {"model_dir": str(folder)}, engine=engine)

    async def audio() -> AsyncIterator[AudioFrame]:
        yield AudioFrame(bytes(320), Sample(8_000))

    async with ears.open(audio(), CONTEXT) as transcripts:
        heard = [transcript async for transcript in transcripts]
    assert heard == [Transcript("yes", True, (Word("yes", Sample(8_000), Sample(8_160)),))]


def test_a_library_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that installs it; the worker does not start with deaf ears."""
    monkeypatch.setitem(sys.modules, "sherpa_onnx", None)
    sink = io.BytesIO()
    serve(Pipe(io.BytesIO(encode(Frame(Kind.CONFIGURE, 0, b"{}"))), sink))
    (said,) = FrameReader().feed(sink.getvalue())
    assert said.kind is Kind.REFUSE
    assert b"pip install 'trunkline[sherpa]'" in said.payload
