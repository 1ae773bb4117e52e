"""Render the caller's clips from their texts; run it when `clips.yaml` changes.

    python scripts/render_clips.py [--voice rms] [--out src/trunkline/console/clips]

Needs `flite` (apt install flite; its voices rms and awb are freely licensed). Each clip is 8 kHz
mono G.711 mu-law, speech at -20 dBFS RMS, 120 ms of silence at both ends.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soundfile
import soxr
import yaml

RATE_HZ = 8_000
LOUDNESS = 10 ** (-20 / 20)
PEAK = 0.95
EDGE = RATE_HZ * 120 // 1_000
WINDOW = RATE_HZ // 200
SILENCE = 10 ** (-45 / 20)


def speak(text: str, voice: str) -> npt.NDArray[np.float64]:
    """*text* by flite, at 8 kHz."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as wav:
        command = ["flite", "-voice", voice, "-t", text, "-o", wav.name]
        subprocess.run(command, check=True)  # noqa: S603  # our own texts, typed by a developer
        audio, rate_hz = soundfile.read(wav.name, dtype="float64")
    return np.asarray(soxr.resample(audio, rate_hz, RATE_HZ, quality="VHQ"))


def level(audio: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Trimmed to its sound, edged with silence, at the common loudness."""
    windows = audio[: len(audio) // WINDOW * WINDOW].reshape(-1, WINDOW)
    rms = np.sqrt(np.mean(np.square(windows), axis=1))
    loud = np.flatnonzero(rms > SILENCE * rms.max() / LOUDNESS)
    sound = audio[loud[0] * WINDOW : (loud[-1] + 1) * WINDOW]
    gain = min(LOUDNESS / np.sqrt(np.mean(np.square(sound))), PEAK / np.max(np.abs(sound)))
    return np.pad(sound * gain, EDGE)


def main() -> None:
    """Render every line of clips.yaml."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voice", default="rms")
    parser.add_argument("--out", type=Path, default=Path("src/trunkline/console/clips"))
    options = parser.parse_args()
    for name, text in yaml.safe_load((options.out / "clips.yaml").read_text()).items():
        audio = level(speak(text, options.voice))
        soundfile.write(options.out / f"{name}.wav", audio, RATE_HZ, subtype="ULAW")


if __name__ == "__main__":
    main()
