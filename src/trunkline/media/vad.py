"""Voice activity of all calls of a worker: one Silero model, one batched inference a tick.

Alone, a window costs three times what it costs in a batch of 32, and a session per call would
cost 10 MB each. So streams only collect audio; `VadPool.tick` stacks one window of every stream
that holds one and runs the model once. The recurrent state and the context travel with the
stream, so that a stream's result does not depend on who else is in the batch.

A batch costs as much again as its first three windows: the weights have to come from memory. Calls
bring 20 ms a tick, windows are 32 ms, so a call has a window in five ticks of eight. Each stream
begins with as much silence as lets its five be those of all others: three ticks of eight cost
nothing, as long as the callers' clocks and ours agree to a frame.

The model is Silero VAD (MIT, package `silero-vad`), for a window rebuilt by `media.silero`. The
package imports torch: we only look up where its file is.
"""

import importlib.util
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import numpy as np
import onnxruntime
from numpy.typing import NDArray

from trunkline.core.turns import Window
from trunkline.errors import InputError
from trunkline.media import g711, silero
from trunkline.types import FRAME_SAMPLES, SAMPLE_RATE, Sample

WINDOW_SAMPLES: Final = 256
"""Samples in one window of the model (32 ms)."""
HELD_SAMPLES_MAX: Final = SAMPLE_RATE
"""What a stream holds for the next tick. A worker that is a second late has worse problems than
old windows; the oldest are dropped and counted."""

_CONTEXT: Final = silero.INPUT - WINDOW_SAMPLES
_MEND: Final = "Install it with: pip install --no-deps silero-vad==6.2.3"
_SILENCE: Final = b"\xff"  # mu-law zero
_UNIT: Final = g711.mulaw_decode(bytes(range(256))).astype(np.float32) / np.float32(32_768)
"""Mu-law code -> sample in -1..1: one lookup instead of two passes."""


def model_path(package: str = "silero_vad") -> Path:
    """Where the installed package keeps the model; `InputError` if it does not."""
    spec = importlib.util.find_spec(package)  # finds it without running it: it imports torch
    if spec is None or not spec.submodule_search_locations:
        raise InputError(f"voice activity: the Python package {package!r} is missing. {_MEND}")
    path = Path(spec.submodule_search_locations[0]) / "data" / "silero_vad.onnx"
    if not path.is_file():
        raise InputError(f"voice activity: {package!r} is installed, but without {path}. {_MEND}")
    return path


class VadStream:
    """The caller's audio of one call on its way into the pool. Leave it with `close()`."""

    def __init__(self, pool: "VadPool") -> None:
        self._pool = pool
        self.dropped_samples = 0
        """Samples that were never looked at, because no tick came for a second."""
        self._state = np.zeros(silero.STATE, np.float32)
        # Context and unseen samples. Still mu-law: the pool decodes the windows of all calls in
        # one array operation, rather than each frame in its own.
        self._audio = bytearray(_SILENCE * _CONTEXT)
        self._fed = 0

    def feed(self, mulaw: bytes) -> None:
        """Hold the next G.711 mu-law samples of the call, 8 kHz, for the coming ticks."""
        if not self._fed:
            self._audio += _SILENCE * self._pool._into_window
        self._fed += len(mulaw)
        self._audio += mulaw
        excess = len(self._audio) - _CONTEXT - HELD_SAMPLES_MAX
        if excess > 0:
            self.dropped_samples += excess
            del self._audio[:excess]

    def close(self) -> None:
        """Leave the pool; idempotent. What is held is forgotten."""
        self._pool._streams.pop(self, None)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def _ready(self) -> bool:
        return len(self._audio) >= silero.INPUT

    def _window(self) -> bytearray:
        return self._audio[: silero.INPUT]

    def _done(self, probability: float, state: NDArray[np.float32]) -> Window:
        """Move on by the window that was just judged."""
        self._state = state
        del self._audio[:WINDOW_SAMPLES]
        end = self._fed - len(self._audio) + _CONTEXT
        return Window(probability, Sample(max(end - WINDOW_SAMPLES, 0)), Sample(end))


class VadPool:
    """The model, loaded once, and the streams of all calls. One thread: the worker's own.

    Raises `InputError` if the model is missing or broken.
    """

    def __init__(self, model: Path | None = None) -> None:
        path = model or model_path()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        try:
            network = silero.rebuild(path.read_bytes())
        except ValueError as error:
            raise InputError(
                f"voice activity: {path} is not the model: {error}. {_MEND}"
            ) from error
        self._session = onnxruntime.InferenceSession(
            network, options, providers=["CPUExecutionProvider"]
        )
        self._streams: dict[VadStream, None] = {}  # a set that keeps the order of joining
        self._into_window = 0  # how far a stream is that has brought a frame in every tick

    def __len__(self) -> int:
        return len(self._streams)

    def join(self) -> VadStream:
        """A stream for one more call, at its sample 0."""
        stream = VadStream(self)
        self._streams[stream] = None
        return stream

    def tick(self) -> list[tuple[VadStream, Window]]:
        """Judge every whole window that is held: one inference for all streams, repeated while
        any holds another (at most 31 times: a stream holds a second). A stream's windows come in
        order; less than a window stays held.
        """
        self._into_window = (self._into_window + FRAME_SAMPLES) % WINDOW_SAMPLES
        judged: list[tuple[VadStream, Window]] = []
        ready = [s for s in self._streams if s._ready()]
        while ready:
            judged += self._judge(ready)
            ready = [s for s in ready if s._ready()]
        return judged

    def _judge(self, ready: list[VadStream]) -> list[tuple[VadStream, Window]]:
        codes = np.frombuffer(b"".join([s._window() for s in ready]), np.uint8)
        probability, state = self._session.run(
            None,
            {
                "input": _UNIT[codes].reshape(len(ready), silero.INPUT),
                "state": np.stack([s._state for s in ready]),
            },
        )
        return [
            (stream, stream._done(speech, state[i]))
            for i, (stream, [speech]) in enumerate(zip(ready, probability.tolist(), strict=True))
        ]
