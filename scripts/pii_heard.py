"""What a recogniser makes of sentences: for `pii_score.py --heard`. Needs flite, as the clips do.

pocketsphinx hears general English here, by the model of its package, not a practice's phrases. It
mistakes many words; what is scored is whether what it did write down of somebody is found.
"""

import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import pocketsphinx
import soundfile
import soxr

from trunkline.providers.embedded.pocketsphinx_child import image_upsampled
from trunkline.types import SAMPLE_RATE

PAUSE_S = 0.3
PEAK = 0.4
CMN = "46,1,5,4,5,-3,1.5,-2,-5"  # that of the embedded recogniser: a telephone's band


def heard(texts: Sequence[str], voice: str, processes: int) -> Iterator[str]:
    """What is heard of each of *texts*, said by flite's *voice*; in their order."""
    with ProcessPoolExecutor(processes) as pool:
        yield from pool.map(partial(_heard, voice=voice), texts, chunksize=8)


@cache
def _decoder() -> Any:
    return pocketsphinx.Decoder(loglevel="FATAL")


def _heard(text: str, voice: str) -> str:
    decoder = _decoder()
    decoder.reinit_feat()
    decoder.set_cmn(CMN)
    decoder.start_utt()
    decoder.process_raw(image_upsampled(_line(text, voice)), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return "" if hypothesis is None else str(hypothesis.hypstr)


def _line(text: str, voice: str) -> bytes:
    """*text* as a telephone carries it: 16-bit samples at 8 kHz, with a pause on both sides."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "said.wav")
        command = ["flite", "-voice", voice, "-t", text, "-o", str(path)]
        subprocess.run(command, check=True)  # noqa: S603  # a text of our own, no shell
        audio, rate = soundfile.read(path)
    narrow = soxr.resample(audio, rate, SAMPLE_RATE)
    loudest = max(float(np.abs(narrow).max(initial=0.0)), 1e-9)
    pause = np.zeros(int(PAUSE_S * SAMPLE_RATE))
    whole = np.concatenate([pause, narrow * (PEAK / loudest), pause])
    return (whole * np.iinfo(np.int16).max).astype(np.int16).tobytes()
