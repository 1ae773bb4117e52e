"""Audio files: whatever a user brings in, 8 kHz WAV out.

Samples are read as floating point and scaled here: read as integers, libsndfile leaves a float
file's -1..1 unscaled, which is silence. Blocks of a second keep the memory at what the 8 kHz
result needs, however high the file's rate.
"""

from io import BytesIO
from pathlib import Path
from typing import Final

import numpy as np
import soundfile
import soxr
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.media import g711
from trunkline.types import SAMPLE_RATE

LENGTH_MAX_S: Final = 3_600.0
"""Default limit of `read`: an hour of stereo is 115 MB at 8 kHz."""
_CHANNELS_MAX: Final = 2


def read(path: Path | str, *, length_max_s: float = LENGTH_MAX_S) -> NDArray[np.int16]:
    """The file (WAV, FLAC or whatever else libsndfile knows) at 8 kHz: `[n]` mono, `[n, 2]` stereo.

    Raises `InputError`: no such file, not audio, empty, longer than *length_max_s*, more than two
    channels, cut off, or samples that are not numbers.
    """
    if not Path(path).is_file():
        raise InputError(f"{path}: no such file. Give the path of a WAV or FLAC file")
    pcm = _decoded(path, str(path), length_max_s)
    return pcm[:, 0] if pcm.shape[1] == 1 else pcm


def read_bytes(data: bytes, *, name: str, length_max_s: float = LENGTH_MAX_S) -> NDArray[np.int16]:
    """A file's content at 8 kHz, `[n]` mono: channels are mixed; *name* stands in errors.

    Raises `InputError` as `read` does.
    """
    pcm = _decoded(BytesIO(data), name, length_max_s)
    mixed: NDArray[np.int16] = np.rint(pcm.mean(axis=1)).astype(np.int16)
    return mixed


def _decoded(source: Path | str | BytesIO, name: str, length_max_s: float) -> NDArray[np.int16]:
    try:
        with soundfile.SoundFile(source) as file:
            _check(name, file, length_max_s)
            return _samples(name, file)
    except soundfile.LibsndfileError as error:
        raise InputError(f"{name}: not readable as audio ({error}). Give WAV or FLAC") from error


def _check(path: Path | str, file: soundfile.SoundFile, length_max_s: float) -> None:
    """Refuse by the header, before any audio is read."""
    if file.channels > _CHANNELS_MAX:
        raise InputError(
            f"{path}: {file.channels} channels. Give mono, or stereo with the caller on the left"
        )
    if not file.frames:
        raise InputError(f"{path}: no audio in it. Was the recording stopped before it began?")
    if (length_s := file.frames / file.samplerate) > length_max_s:
        raise InputError(
            f"{path}: {length_s:.0f} s long, the limit is {length_max_s:.0f} s. Cut it"
        )


def _samples(path: Path | str, file: soundfile.SoundFile) -> NDArray[np.int16]:
    """All samples as `[n, channels]` int16 at 8 kHz."""
    rate: int = file.samplerate
    live = soxr.ResampleStream(rate, SAMPLE_RATE, file.channels, dtype="float32", quality="HQ")
    pieces: list[NDArray[np.int16]] = []
    read = 0
    while read < file.frames:
        block = file.read(rate, dtype="float32", always_2d=True)
        read += len(block)
        if not len(block):
            raise InputError(
                f"{path}: cut off: its header promises {file.frames} samples, it has {read}. "
                "Repair or record it again"
            )
        if not np.isfinite(block).all():
            raise InputError(f"{path}: a sample is not a number. Export it again as 16-bit PCM")
        if rate != SAMPLE_RATE:
            block = live.resample_chunk(block, last=read >= file.frames)
        pieces.append(np.clip(np.rint(block * 32_768), -32_768, 32_767).astype(np.int16))
    return np.concatenate(pieces)


def write_stereo(path: Path | str, pcm: NDArray[np.int16]) -> None:
    """Write `[n, 2]` samples at 8 kHz, caller left and agent right, as 16-bit PCM WAV."""
    if pcm.ndim != 2 or pcm.shape[1] != 2:
        raise InputError(f"{path}: a stereo file needs samples of shape [n, 2], not {pcm.shape}")
    _write(path, pcm, "PCM_16")


def write_mulaw(path: Path | str, pcm: NDArray[np.int16]) -> None:
    """Write `[n]` samples at 8 kHz as G.711 mu-law WAV."""
    if pcm.ndim != 1:
        raise InputError(f"{path}: a mono file needs samples of shape [n], not {pcm.shape}")
    # libsndfile rounds negative samples otherwise than `g711` does; on exact levels they agree.
    _write(path, g711.mulaw_decode(g711.mulaw_encode(pcm)), "ULAW")


def _write(path: Path | str, pcm: NDArray[np.int16], subtype: str) -> None:
    try:
        soundfile.write(path, pcm, SAMPLE_RATE, subtype=subtype, format="WAV")
    except soundfile.LibsndfileError as error:
        raise InputError(
            f"{path}: cannot be written ({error}). Is the folder there, and writable?"
        ) from error
