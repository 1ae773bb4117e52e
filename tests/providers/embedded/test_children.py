"""The audio maths of the engines' own processes."""

import numpy as np
import numpy.typing as npt
import pytest

from trunkline.providers.embedded.espeak_child import LEAD_S, finish
from trunkline.providers.embedded.pocketsphinx_child import image_upsampled
from trunkline.types import SAMPLE_RATE

RATE_HZ = 22_050


def tone(before_s: float, after_s: float, amplitude: float = 3_000) -> npt.NDArray[np.float64]:
    """Half a second of 440 Hz between silences."""
    wave = amplitude * np.sin(2 * np.pi * 440 * np.arange(RATE_HZ // 2) / RATE_HZ)
    return np.pad(wave, (round(before_s * RATE_HZ), round(after_s * RATE_HZ)))


def dbfs(pcm: npt.NDArray[np.int16]) -> float:
    """RMS of *pcm*."""
    return float(20 * np.log10(np.sqrt(np.mean(np.square(pcm / 32_768)))))


@pytest.mark.parametrize("before_s", [0.0, 0.05, 0.3])
@pytest.mark.parametrize("after_s", [0.0, 0.4])
def test_a_phrase_is_trimmed_to_a_constant_pause(before_s: float, after_s: float) -> None:
    """However much silence the engine adds, a sentence is followed by the same rest."""
    pcm, cut = finish(tone(before_s, after_s), RATE_HZ, loudness_dbfs=-20.0, pause_s=0.16)
    lead_s = min(before_s, LEAD_S)
    assert len(pcm) / SAMPLE_RATE == pytest.approx(lead_s + 0.5 + 0.16, abs=0.012)
    assert cut / SAMPLE_RATE == pytest.approx(before_s - lead_s, abs=0.006)
    assert not pcm[-round(0.16 * SAMPLE_RATE) :].any()


@pytest.mark.parametrize("amplitude", [300, 3_000, 32_000])
def test_every_phrase_is_equally_loud(amplitude: float) -> None:
    """Loud enough for a phone line, the same for a word and for a sentence."""
    pcm, _ = finish(tone(0, 0, amplitude), RATE_HZ, loudness_dbfs=-20.0, pause_s=0.0)
    assert dbfs(pcm) == pytest.approx(-20.0, abs=0.2)


def test_peaks_are_not_clipped_for_loudness() -> None:
    """A click with a hum stays quieter than asked."""
    audio = tone(0, 0, 100)
    audio[5_000:5_010] = 30_000
    pcm, _ = finish(audio, RATE_HZ, loudness_dbfs=-12.0, pause_s=0.0)
    assert dbfs(pcm) < -14
    assert np.abs(pcm).max() == pytest.approx(0.95 * 32_767, rel=0.01)


def test_silence_stays_silence() -> None:
    """It is not amplified to a roar."""
    pcm, cut = finish(np.zeros(4_000), RATE_HZ, loudness_dbfs=-20.0, pause_s=0.16)
    assert (len(pcm), cut) == (0, 0)


def test_the_recogniser_gets_the_band_and_its_mirror_image() -> None:
    """The acoustic model expects sound above 4 kHz; the telephone band is untouched."""
    wave = (8_000 * np.sin(2 * np.pi * 1_000 * np.arange(800) / SAMPLE_RATE)).astype(np.int16)
    doubled = np.frombuffer(image_upsampled(wave.tobytes()), np.int16)
    spectrum = np.abs(np.fft.rfft(doubled))
    loud = np.flatnonzero(spectrum > spectrum.max() / 10) * 2 * SAMPLE_RATE / len(doubled)
    assert loud == pytest.approx([1_000, 7_000])
    assert np.array_equal(doubled[::2], wave)
