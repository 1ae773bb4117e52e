"""Levels of voices, and one voice after another."""

import numpy as np
import pytest

from trunkline.media.loudness import (
    GAIN_DB_MAX,
    SEAM_SAMPLES,
    Level,
    Pcm,
    amplified,
    gain_db,
    joined,
    silences,
)


def hum(amplitude: int, samples: int = 8000) -> Pcm:
    """A square wave of 100 Hz."""
    t = np.arange(samples)
    return np.where(t // 40 % 2, amplitude, -amplitude).astype(np.int16)


def level(*pieces: Pcm) -> Level:
    """A voice that said these."""
    made = Level()
    for piece in pieces:
        made.learn(piece)
    return made


def test_silence_is_found_to_10_ms() -> None:
    """Counted from where the piece begins; line noise at -55 dBFS is silence, a whisper is not."""
    pcm = np.concatenate([hum(4000, 800), hum(50, 1600), hum(300, 800), np.zeros(100, np.int16)])
    assert silences(pcm, 1000) == [(1800, 3400), (4200, 4300)]
    assert silences(hum(4000), 0) == []
    assert silences(np.zeros(0, np.int16), 0) == []


def test_the_level_of_a_voice_is_that_of_its_speech() -> None:
    """Half of full scale is -6 dBFS, however long its pauses are."""
    quiet = np.zeros(16_000, np.int16)
    assert level(hum(16_384), quiet).dbfs == pytest.approx(-6.02, abs=0.01)
    assert level(quiet).dbfs is None


@pytest.mark.parametrize(
    ("own", "target", "db"),
    [(4000, 8000, 6.02), (8000, 4000, -6.02), (500, 16_000, GAIN_DB_MAX), (16_000, 500, -9.0)],
)
def test_a_voice_is_made_as_loud_as_the_one_before(own: int, target: int, db: float) -> None:
    """Within bounds."""
    assert gain_db(level(hum(own)), level(hum(target))) == pytest.approx(db, abs=0.01)


def test_what_is_not_known_is_not_changed() -> None:
    """Neither the first voice of all nor one that was never heard."""
    assert gain_db(Level(), level(hum(4000))) == 0.0
    assert gain_db(level(hum(4000)), Level()) == 0.0
    pcm = hum(4000)
    assert amplified(pcm, 0.0) is pcm
    assert len(amplified(np.zeros(0, np.int16), 6.0)) == 0


@pytest.mark.parametrize(
    ("amplitude", "db", "peak"), [(4000, 6.02, 8000), (4000, -6.02, 2000), (30_000, 6.0, 32_000)]
)
def test_nothing_clips(amplitude: int, db: float, peak: int) -> None:
    """The whole piece is raised by less."""
    loud = amplified(hum(amplitude), db)
    assert loud.dtype == np.int16
    assert int(np.abs(loud.astype(int)).max()) == pytest.approx(peak, rel=0.001)


def test_what_is_too_loud_already_is_left_alone() -> None:
    """A gain never becomes a loss."""
    assert int(np.abs(amplified(hum(32_700), 3.0).astype(int)).max()) == 32_700


@pytest.mark.parametrize("tail", [0, 40, SEAM_SAMPLES, 400])
def test_a_seam_has_no_step(tail: int) -> None:
    """The new voice comes in 15 ms; it is as long as it was, and unchanged behind them."""
    head = np.full(800, 8000, np.int16)
    mixed = joined(np.full(tail, 8000, np.int16), head)
    assert len(mixed) == len(head)
    assert (mixed[SEAM_SAMPLES:] == head[SEAM_SAMPLES:]).all()
    if not tail:
        assert abs(int(mixed[0])) < 600
    if tail >= SEAM_SAMPLES:  # as loud at its start as the old voice, by power
        assert int(mixed[0]) == pytest.approx(8000, rel=0.1)


def test_a_seam_may_be_shorter_than_its_fade() -> None:
    """Or nothing at all."""
    assert len(joined(hum(4000, 500), hum(4000, 30))) == 30
    assert len(joined(hum(4000, 500), hum(4000, 0))) == 0
