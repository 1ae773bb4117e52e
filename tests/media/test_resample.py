"""Sample rates: delay, ripple, aliases and chunking, by numbers."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.media.resample import StreamResampler, resample

LIVE = [
    (8_000, 16_000),
    (16_000, 8_000),
    (22_050, 8_000),
    (24_000, 8_000),
    (44_100, 8_000),
    (48_000, 8_000),
    (8_000, 48_000),
]
AMPLITUDE = 20_000.0


def tone(hz: float, rate: int, seconds: float = 0.5) -> NDArray[np.int16]:
    """A sine at AMPLITUDE."""
    wave = AMPLITUDE * np.sin(2 * np.pi * hz * np.arange(int(rate * seconds)) / rate)
    return np.rint(wave).astype(np.int16)


def analyse(pcm: NDArray[np.int16], hz: float, rate: int) -> tuple[float, float, float]:
    """Gain in dB and delay in seconds of the tone *hz* within *pcm*; the rest in dB below it."""
    settled = slice(rate // 50, len(pcm) - rate // 50)
    at = np.arange(len(pcm))[settled] / rate
    basis = np.stack((np.sin(2 * np.pi * hz * at), np.cos(2 * np.pi * hz * at)), axis=1)
    signal = pcm[settled].astype(float)
    (s, c), *_ = np.linalg.lstsq(basis, signal, rcond=None)
    rest = signal - basis @ np.array([s, c])
    delay_s = float(np.arctan2(-c, s) / (2 * np.pi * hz))
    gain = 20 * np.log10(np.hypot(s, c) / AMPLITUDE)
    return float(gain), delay_s, float(20 * np.log10(np.sqrt(2 * np.mean(rest**2)) / AMPLITUDE))


@pytest.mark.parametrize(("rate_in", "rate_out"), LIVE)
def test_the_delay_is_what_is_stated_and_below_3_ms(rate_in: int, rate_out: int) -> None:
    """A 150 Hz tone (its period is longer than any delay) comes out later by `delay_s`."""
    live = StreamResampler(rate_in, rate_out)
    _, delay_s, _ = analyse(live.feed(tone(150, rate_in)), 150, rate_out)
    assert delay_s == pytest.approx(live.delay_s, abs=2e-6)
    assert live.delay_s <= 0.003


@pytest.mark.parametrize(("rate_in", "rate_out"), LIVE)
def test_speech_passes_flat_and_without_images(rate_in: int, rate_out: int) -> None:
    """From 100 to 3,400 Hz: within 0.02 dB, and nothing else above -72 dB comes out."""
    for hz in (100, 300, 1_000, 2_000, 3_000, 3_400):
        out = StreamResampler(rate_in, rate_out).feed(tone(hz, rate_in))
        gain_db, _, rest_db = analyse(out, hz, rate_out)
        assert abs(gain_db) < 0.02, hz
        assert rest_db < -72, hz


@pytest.mark.parametrize(("rate_in", "rate_out"), [pair for pair in LIVE if pair[1] < pair[0]])
def test_what_would_fold_into_the_band_is_rejected(rate_in: int, rate_out: int) -> None:
    """From 4,600 Hz up to the input's Nyquist frequency: at most -72 dB of it come out."""
    for hz in np.linspace(4_600, rate_in / 2 - 50, 25):
        out = StreamResampler(rate_in, rate_out).feed(tone(float(hz), rate_in))[200:]
        assert 20 * np.log10(np.sqrt(2 * np.mean(out.astype(float) ** 2)) / AMPLITUDE + 1e-9) < -72


@settings(deadline=None)
@given(
    rates=st.sampled_from(LIVE),
    seed=st.integers(0, 2**32 - 1),
    cuts=st.lists(st.integers(0, 1_500), max_size=12),
)
def test_chunking_changes_no_sample(rates: tuple[int, int], seed: int, cuts: list[int]) -> None:
    """Full-scale noise in any pieces, empty ones included, gives the identical output."""
    pcm = np.random.default_rng(seed).integers(-32_768, 32_768, 1_500).astype(np.int16)
    whole, pieces = StreamResampler(*rates), StreamResampler(*rates)
    edges = [0, *sorted(cuts), len(pcm)]
    parts = [pieces.feed(pcm[a:b]) for a, b in pairwise(edges)]
    expected = np.concatenate((whole.feed(pcm), whole.flush()))
    assert np.array_equal(np.concatenate((*parts, pieces.flush())), expected)


@pytest.mark.parametrize(("rate_in", "rate_out"), LIVE)
def test_flush_brings_the_last_sample_out_and_starts_anew(rate_in: int, rate_out: int) -> None:
    """A click at the very end is heard, and a second clip comes out like the first."""
    live = StreamResampler(rate_in, rate_out)
    click = np.zeros(rate_in // 50, np.int16)
    click[-1] = 30_000
    assert np.abs(live.feed(click)).max() < 1_000
    tail = live.flush()
    assert np.abs(tail).max() > 2_000
    assert len(tail) <= live.delay_s * rate_out + 2
    again = np.concatenate((live.feed(click), live.flush()))
    assert len(again) == pytest.approx((0.02 + live.delay_s) * rate_out, abs=2)


def test_full_scale_does_not_wrap() -> None:
    """A square wave at the rails overshoots and is clipped, not turned upside down."""
    square = np.where(np.arange(800) // 20 % 2, 32_767, -32_768).astype(np.int16)
    out = StreamResampler(8_000, 16_000).feed(square)[100:]
    assert out.max() == 32_767
    assert out.min() == -32_768
    assert np.abs(np.diff(out.astype(int))).max() < 45_000


def test_equal_rates_pass_through() -> None:
    """Nothing is filtered or delayed where nothing needs to be."""
    live = StreamResampler(8_000, 8_000)
    pcm = tone(3_900, 8_000)
    assert np.array_equal(live.feed(pcm), pcm)
    assert live.delay_s == 0
    assert not len(live.flush())
    assert np.array_equal(resample(pcm, 8_000, 8_000), pcm)


@pytest.mark.parametrize(
    ("rate_in", "rate_out", "why"),
    [(8, 8_000, "rate in hertz"), (8_000, 96_000, "96000"), (8_000, 47_999, "common rate")],
)
def test_rates_that_cannot_work_live_are_refused(rate_in: int, rate_out: int, why: str) -> None:
    """A rate in kilohertz, out of range or of an absurd ratio is told to the operator."""
    with pytest.raises(InputError, match=why):
        StreamResampler(rate_in, rate_out)


@pytest.mark.parametrize("length", [0, 1, 7, 160, 4_410, 22_051])
@pytest.mark.parametrize(("rate_in", "rate_out"), LIVE)
def test_a_whole_clip_has_its_exact_length(rate_in: int, rate_out: int, length: int) -> None:
    """Mono and stereo clips come out with the rounded number of samples."""
    expected = round(length * rate_out / rate_in)
    assert resample(np.ones(length, np.int16), rate_in, rate_out).shape == (expected,)
    assert resample(np.ones((length, 2), np.int16), rate_in, rate_out).shape == (expected, 2)


def test_a_whole_clip_is_not_delayed() -> None:
    """soxr at high quality keeps a tone where it was."""
    gain_db, delay_s, rest_db = analyse(resample(tone(1_000, 44_100), 44_100, 8_000), 1_000, 8_000)
    assert abs(gain_db) < 0.02
    assert abs(delay_s) < 2e-6
    assert rest_db < -72


def test_a_clip_without_a_rate_is_refused() -> None:
    """Zero hertz has no length."""
    with pytest.raises(InputError, match="positive"):
        resample(np.ones(10, np.int16), 0, 8_000)
