"""The process that holds espeak-ng (GPL-3.0): texts in, 8 kHz audio with word marks out.

espeak-ng keeps the phase of its voice's flutter and of its noise between utterances, in function
statics that no call resets: the same text comes out different each time. So each phrase is spoken
by a fork of the process as it was when it was ready (1-2 ms), and the same text gives the same
samples for ever. It also means that a crash costs one phrase.

Result: u32 length of the JSON `[[character, sample], ...]` (word events) | that JSON | pcm.
The API of espeak-ng 1.52 is that of its `speak_lib.h`.
"""

import ctypes
import json
import os
import signal
import struct
import sys
import traceback
from typing import Any

import espeakng_loader
import numpy as np
import numpy.typing as npt
import soxr

from trunkline.providers.embedded.framing import Kind, Pipe, die_with_parent
from trunkline.types import SAMPLE_RATE

_SYNCHRONOUS, _DONT_EXIT, _UTF8 = 2, 0x8000, 1
_EVENT_END_OF_LIST, _EVENT_WORD = 0, 1
_PARAMETER_RATE, _PARAMETER_PITCH = 1, 3
_BUFFER_MS = 200
_PHRASE_S_MAX = 5  # CPU seconds of one fork: 500 times what the longest phrase takes

LEAD_S = 0.02
"""Silence kept before a phrase: the onset of a plosive is quieter than the threshold."""
PAUSE_SENTENCE_S, PAUSE_CLAUSE_S = 0.16, 0.08
"""Silence after a phrase that ends a sentence, or that goes on."""
_SILENCE_DBFS = -50.0
_WINDOW = SAMPLE_RATE // 200  # 5 ms
_PEAK = 0.95

Samples = npt.NDArray[np.float64]


class _Event(ctypes.Structure):
    # espeak_EVENT; its last field is a union of int, pointer and char[8].
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)


class Refused(Exception):
    """The settings cannot be honoured; the message is for the operator."""


class Espeak:
    """The library, initialised with one voice."""

    def __init__(self, voice: str, rate: int, pitch: int) -> None:
        self._pcm: list[bytes] = []
        self._events: list[tuple[int, int]] = []
        self._callback = _Callback(self._take)  # kept: the library holds only its address
        self._library = ctypes.CDLL(espeakng_loader.get_library_path())
        data = espeakng_loader.get_data_path().encode()
        self.rate_hz: int = self._library.espeak_Initialize(
            _SYNCHRONOUS, _BUFFER_MS, data, _DONT_EXIT
        )
        if self.rate_hz <= 0:
            raise Refused("espeak-ng does not find its data. Reinstall trunkline[espeak]")
        self._library.espeak_SetSynthCallback(self._callback)
        if self._library.espeak_SetVoiceByName(voice.encode()) != 0:
            raise Refused(f"espeak-ng has no voice {voice!r}. Try en-us or en-us+m3")
        self._library.espeak_SetParameter(_PARAMETER_RATE, rate, 0)
        self._library.espeak_SetParameter(_PARAMETER_PITCH, pitch, 0)

    def speak(self, text: str) -> tuple[Samples, list[tuple[int, int]]]:
        """Audio at `rate_hz` in 16-bit units, and word events (character, ms)."""
        encoded = text.encode()
        status = self._library.espeak_Synth(
            encoded, ctypes.c_size_t(len(encoded) + 1), 0, 0, 0, _UTF8, None, None
        )
        if status != 0:
            raise Refused(f"espeak_Synth returned {status}")
        return np.frombuffer(b"".join(self._pcm), np.int16).astype(np.float64), self._events

    def _take(self, wave: Any, count: int, events: Any) -> int:
        if wave and count:
            self._pcm.append(ctypes.string_at(wave, 2 * count))
        index = 0
        while (event := events[index]).type != _EVENT_END_OF_LIST:
            if event.type == _EVENT_WORD:
                # Positions count from 1.
                self._events.append((event.text_position - 1, event.audio_position))
            index += 1
        return 0


def finish(
    audio: Samples, rate_hz: int, *, loudness_dbfs: float, pause_s: float
) -> tuple[npt.NDArray[np.int16], int]:
    """A phrase for the line: 8 kHz, trimmed, followed by *pause_s* of silence, made equally loud.

    Returns the samples and how many were cut off the front. The loudness is the RMS between the
    first and the last sound; a phrase whose peaks would clip stays quieter.
    """
    line = soxr.resample(audio, rate_hz, SAMPLE_RATE, quality="HQ") / 32_768
    whole = line[: len(line) // _WINDOW * _WINDOW].reshape(-1, _WINDOW)
    level = np.sqrt(np.mean(np.square(whole), axis=1))
    loud = np.flatnonzero(level > 10 ** (_SILENCE_DBFS / 20))
    if not loud.size:
        return np.zeros(0, np.int16), 0
    cut = max(0, int(loud[0]) * _WINDOW - round(LEAD_S * SAMPLE_RATE))
    sound = line[cut : (int(loud[-1]) + 1) * _WINDOW]
    rms, peak = float(np.sqrt(np.mean(np.square(sound)))), float(np.max(np.abs(sound)))
    gain = min(10 ** (loudness_dbfs / 20) / rms, _PEAK / peak)
    quiet = np.zeros(round(pause_s * SAMPLE_RATE))
    return np.round(np.concatenate((sound * gain, quiet)) * 32_767).astype(np.int16), cut


def result(espeak: Espeak, text: str, loudness_dbfs: float) -> bytes:
    """The payload that answers *text*."""
    audio, events = espeak.speak(text)
    pause_s = PAUSE_SENTENCE_S if text.rstrip(" \"')").endswith((".", "!", "?")) else PAUSE_CLAUSE_S
    line, cut = finish(audio, espeak.rate_hz, loudness_dbfs=loudness_dbfs, pause_s=pause_s)
    marks = [(at, max(0, ms * SAMPLE_RATE // 1_000 - cut)) for at, ms in events]
    words = json.dumps(marks).encode()
    return struct.pack(">I", len(words)) + words + line.tobytes()


def _fork(espeak: Espeak, pipe: Pipe, exchange: int, text: str, loudness_dbfs: float) -> None:
    """Answer *text* from a fork, and say so if it died before it could."""
    if (pid := os.fork()) == 0:
        # The fork's stdout is the pipe: it writes its whole answer or, if it crashes, nothing.
        status = 1
        try:
            die_with_parent()
            signal.setitimer(signal.ITIMER_VIRTUAL, _PHRASE_S_MAX)
            pipe.send(Kind.RESULT, exchange, result(espeak, text, loudness_dbfs))
            status = 0
        finally:
            if status != 0:
                traceback.print_exc()
                sys.stderr.flush()
            os._exit(status)  # never into the code of the process that was forked
    _, status = os.waitpid(pid, 0)
    if status != 0:
        code = os.waitstatus_to_exitcode(status)
        pipe.send(Kind.FAIL, exchange, f"espeak-ng failed on a phrase (status {code})".encode())


def main() -> None:
    """Serve stdin until it ends."""
    pipe = Pipe.of_this_process()
    frames = pipe.frames()
    settings = json.loads(next(frames).payload)
    loudness_dbfs = settings.pop("loudness_dbfs")
    try:
        espeak = Espeak(**settings)
    except (Refused, OSError) as error:
        pipe.send(Kind.REFUSE, 0, str(error).encode())
        return
    # The first resampling sets up tables: once here rather than in every fork.
    finish(np.ones(2_205), espeak.rate_hz, loudness_dbfs=loudness_dbfs, pause_s=0.0)
    pipe.send(Kind.READY)
    for frame in frames:
        _fork(espeak, pipe, frame.exchange, frame.payload.decode(), loudness_dbfs)


if __name__ == "__main__":
    main()
