"""Embedded recognition: sherpa-onnx with a streaming transducer, in processes of this machine.

No model comes with it: `model_dir` is the folder of one that was fetched before, such as a
streaming zipformer of the k2-fsa project, with `tokens.txt` and `encoder*.onnx`, `decoder*.onnx`,
`joiner*.onnx` (those that end in `.int8.onnx` are taken if `int8` and there are any). It hears any
words its model knows, at 16 kHz; the caller's 8 kHz are brought up by the library.

Source: `sherpa-onnx` 2.0.1 (`online_recognizer.py`), read November 2026. No model could be tried:
what is tested is the loading, its errors, and the framing, with a recogniser that says what it is
told.

Options: `model_dir` (needed), `int8`, `decoders` (processes; one utterance each at a time),
`threads` (of each), `waiting` and `wait_s` (utterances in line for one, and for how long),
`interim_ms`.
"""

from collections.abc import Mapping
from pathlib import Path

from trunkline.errors import InputError
from trunkline.providers.embedded.child import Child
from trunkline.providers.embedded.child_pool import ChildPool, Engine
from trunkline.providers.embedded.engine_stt import EngineStt
from trunkline.providers.options import Bounds, Options
from trunkline.types import Endpoint

_CHILD = "trunkline.providers.embedded.sherpa_child"
_PARTS = ("encoder", "decoder", "joiner")


class SherpaStt(EngineStt):
    """`AsyncIterator[AudioFrame]` of one utterance -> `Transcript`."""

    gives_interims = True

    def __init__(
        self,
        endpoint: Endpoint,
        options: Mapping[str, object],
        *,
        engine: Engine | None = None,
    ) -> None:
        read = Options(endpoint.name, options)
        folder = Path(read.text("model_dir", ""))
        int8 = read.flag("int8", default=True)
        size = read.whole("decoders", Bounds(2, 1, 64, "processes"))
        threads = read.whole("threads", Bounds(1, 1, 16, "threads of each process"))
        waiting = read.whole("waiting", Bounds(8, 0, 1_000, "utterances"))
        wait_s = read.number("wait_s", Bounds(2.0, 0.0, 30.0, "seconds"))
        interim_ms = read.whole("interim_ms", Bounds(200, 100, 5_000, "ms of audio"))
        read.done()
        settings = {**model_files(endpoint.name, folder, int8=int8), "num_threads": threads}
        engine = engine or ChildPool(
            endpoint.name,
            [Child(endpoint.name, _CHILD, settings) for _ in range(size)],
            waiting=waiting,
            wait_s=wait_s,
        )
        super().__init__(endpoint, engine, interim_ms)


def model_files(endpoint: str, folder: Path, *, int8: bool) -> Mapping[str, object]:
    """The files of the model in *folder*, by their part; `InputError` says which is not there."""
    if not folder.is_dir():
        raise InputError(
            f"{endpoint}: model_dir {folder} is no folder. Fetch a streaming transducer for "
            "sherpa-onnx, and name the folder with its tokens.txt"
        )
    tokens = folder / "tokens.txt"
    if not tokens.is_file():
        raise InputError(f"{endpoint}: {folder} has no tokens.txt. Is it the model's folder?")
    found: dict[str, object] = {"tokens": str(tokens)}
    for part in _PARTS:
        files = sorted(folder.glob(f"{part}*.onnx"))
        small = [file for file in files if file.name.endswith(".int8.onnx")]
        chosen = small if int8 and small else [file for file in files if file not in small]
        if len(chosen) != 1:
            names = ", ".join(file.name for file in files) or "none"
            raise InputError(
                f"{endpoint}: {folder} has {len(chosen)} files for the {part} ({names}). "
                f"One {part}*.onnx is needed, or one {part}*.int8.onnx with int8: true"
            )
        found[part] = str(chosen[0])
    return found
