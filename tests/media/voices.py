"""Speech-like sounds and tapes, made by numpy from a seed."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from trunkline.media import g711

RATE = 8_000
Pcm = NDArray[np.int16]


def silence(seconds: float) -> Pcm:
    """Digital silence."""
    return np.zeros(round(seconds * RATE), np.int16)


def phrase(seed: int, seconds: float = 4.0) -> Pcm:
    """Syllables of 120 to 250 ms, each of its own pitch, glide, vowel and hiss; full at both ends.

    As in speech there is much low-frequency sound that resembles itself, so that a careless
    matcher finds what is not there.
    """
    rng = np.random.default_rng(seed)
    syllables: list[NDArray[np.float64]] = []
    length, wanted = 0, round(seconds * RATE)
    while length < wanted:
        at = np.arange(int(rng.uniform(0.12, 0.25) * RATE)) / RATE
        pitch_hz = rng.uniform(90, 160) * (1 + rng.uniform(-0.6, 0.6) * at)
        turn = 2 * np.pi * np.cumsum(pitch_hz) / RATE
        vowel_hz = rng.uniform(300, 2_500, 2)
        voice = np.zeros(len(at))
        for harmonic in range(1, 20):
            distance = np.abs(vowel_hz - harmonic * 120).min()
            voice += np.sin(harmonic * turn) / (1 + (distance / 200) ** 2)
        voice += rng.standard_normal(len(at)) * rng.uniform(0.02, 0.4)
        syllables.append(voice / np.abs(voice).max() * np.hanning(len(at)) ** 0.3)
        length += len(at)
    wave = np.concatenate(syllables)[:wanted]
    wave[0] = wave[-1] = 0.9  # abrupt edges: the truth is known to the sample
    return np.rint(wave * 9_000).astype(np.int16)


def line(pcm: Pcm, noise_db: float | None = None, seed: int = 0) -> Pcm:
    """*pcm* as the far end hears it: through mu-law, with noise *noise_db* below full scale."""
    if noise_db is not None:
        hiss = np.random.default_rng(seed).standard_normal(len(pcm)) * 32_768
        pcm = np.clip(pcm + hiss * 10 ** (-noise_db / 20), -32_768, 32_767).astype(np.int16)
    return g711.mulaw_decode(g711.mulaw_encode(pcm))


def channel(length_s: float, spans: Sequence[tuple[float, float]], seed: int = 0) -> Pcm:
    """Speech from start to end of each of *spans*, in seconds, and silence around it."""
    pcm = silence(length_s)
    for number, (start_s, end_s) in enumerate(spans):
        voice = phrase(seed + number, end_s - start_s)
        start = round(start_s * RATE)
        pcm[start : start + len(voice)] = voice
    return pcm


def tape(
    length_s: float,
    caller: Sequence[tuple[float, float]],
    agent: Sequence[tuple[float, float]],
    noise_db: float | None = None,
) -> Pcm:
    """Caller left, agent right, both over the line."""
    left = line(channel(length_s, caller, seed=100), noise_db, seed=1)
    right = line(channel(length_s, agent, seed=200), noise_db, seed=2)
    return np.stack((left, right), axis=1)
