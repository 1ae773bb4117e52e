"""Audio files that users bring and that we write."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from trunkline.errors import InputError
from trunkline.media import g711, wav


@pytest.fixture
def noise() -> NDArray[np.int16]:
    """Two seconds of stereo noise over the whole range of 16 bits."""
    return np.random.default_rng(1).integers(-32_768, 32_768, (16_000, 2)).astype(np.int16)


@pytest.mark.parametrize(("suffix", "subtype"), [("wav", "PCM_16"), ("flac", "PCM_16")])
def test_8_khz_comes_in_unchanged(
    tmp_path: Path, noise: NDArray[np.int16], suffix: str, subtype: str
) -> None:
    """16-bit audio at our own rate is read bit by bit, stereo and mono."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise, 8_000, subtype=subtype)
    assert np.array_equal(wav.read(path), noise)
    soundfile.write(path, noise[:, 0], 8_000, subtype=subtype)
    assert np.array_equal(wav.read(path), noise[:, 0])


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW", "PCM_U8"])
@pytest.mark.parametrize("rate", [11_025, 16_000, 44_100, 48_000])
def test_any_rate_and_coding_becomes_8_khz(tmp_path: Path, rate: int, subtype: str) -> None:
    """A 1 kHz tone of 2.5 s keeps its length, level and place."""
    path = tmp_path / "a.wav"
    wave = 0.5 * np.sin(2 * np.pi * 1_000 * np.arange(rate * 5 // 2) / rate)
    soundfile.write(path, wave, rate, subtype=subtype)
    pcm = wav.read(path)
    assert len(pcm) == pytest.approx(20_000, abs=1)
    expected = 16_384 * np.sin(2 * np.pi * 1_000 * np.arange(len(pcm)) / 8_000)
    error = (pcm - expected)[100:-100]
    assert np.sqrt(np.mean(error**2)) < (200 if subtype in {"ULAW", "PCM_U8"} else 5)


def test_a_float_file_above_full_scale_is_clipped(tmp_path: Path) -> None:
    """What is too loud saturates; it does not wrap."""
    soundfile.write(tmp_path / "a.wav", np.array([1.5, -1.5, 0.25]), 8_000, subtype="FLOAT")
    assert wav.read(tmp_path / "a.wav").tolist() == [32_767, -32_768, 8_192]


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    """A wrong path and a folder get the same clear answer."""
    for path in (tmp_path / "no.wav", tmp_path):
        with pytest.raises(InputError, match="no such file"):
            wav.read(path)


def test_a_file_that_is_not_audio_is_told(tmp_path: Path) -> None:
    """Text named .wav is refused with the file's name."""
    path = tmp_path / "a.wav"
    path.write_text("not audio at all")
    with pytest.raises(InputError, match=r"a\.wav: not readable as audio"):
        wav.read(path)


def test_a_file_without_samples_is_told(tmp_path: Path) -> None:
    """A header alone holds no call."""
    soundfile.write(tmp_path / "a.wav", np.zeros((0, 2)), 8_000)
    with pytest.raises(InputError, match="no audio in it"):
        wav.read(tmp_path / "a.wav")


def test_a_file_that_is_too_long_is_refused_by_its_header(tmp_path: Path) -> None:
    """The limit holds before the audio is read."""
    soundfile.write(tmp_path / "a.wav", np.zeros(24_000), 8_000)
    with pytest.raises(InputError, match="3 s long, the limit is 2 s"):
        wav.read(tmp_path / "a.wav", length_max_s=2)
    assert len(wav.read(tmp_path / "a.wav", length_max_s=3)) == 24_000


def test_surround_sound_is_refused(tmp_path: Path) -> None:
    """Nobody knows who speaks on the third channel."""
    soundfile.write(tmp_path / "a.wav", np.zeros((100, 6)), 8_000)
    with pytest.raises(InputError, match="6 channels"):
        wav.read(tmp_path / "a.wav")


def test_samples_that_are_not_numbers_are_refused(tmp_path: Path) -> None:
    """NaN would become an arbitrary sample."""
    soundfile.write(tmp_path / "a.wav", np.array([0.1, np.nan]), 8_000, subtype="FLOAT")
    with pytest.raises(InputError, match="not a number"):
        wav.read(tmp_path / "a.wav")


@pytest.mark.parametrize(("suffix", "why"), [("flac", "lost sync"), ("mp3", "cut off: its header")])
def test_a_file_that_was_cut_off_is_told(
    tmp_path: Path, noise: NDArray[np.int16], suffix: str, why: str
) -> None:
    """A file whose second half is missing is not passed off as a shorter call."""
    path = tmp_path / f"a.{suffix}"
    soundfile.write(path, noise, 8_000)
    assert len(wav.read(path)) == len(noise)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(InputError, match=why):
        wav.read(path)


def test_a_tape_is_written_as_it_is(tmp_path: Path, noise: NDArray[np.int16]) -> None:
    """Caller left, agent right, 16 bits, 8 kHz."""
    wav.write_stereo(tmp_path / "a.wav", noise)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype) == (8_000, 2, "PCM_16")
    assert np.array_equal(wav.read(tmp_path / "a.wav"), noise)


def test_mulaw_files_hold_our_own_codes(tmp_path: Path) -> None:
    """The bytes of every sample value are those that the phone line would have carried."""
    every = np.arange(65_536, dtype=np.uint16).view(np.int16)
    wav.write_mulaw(tmp_path / "a.wav", every)
    info = soundfile.info(tmp_path / "a.wav")
    assert (info.samplerate, info.channels, info.subtype) == (8_000, 1, "ULAW")
    on_the_line = g711.mulaw_encode(every)
    assert on_the_line.replace(b"\x7f", b"\xff") in (tmp_path / "a.wav").read_bytes()


def test_the_wrong_shape_is_not_written(tmp_path: Path, noise: NDArray[np.int16]) -> None:
    """Mono as a tape, or stereo as mu-law, is refused and leaves no file."""
    with pytest.raises(InputError, match=r"\[n, 2\]"):
        wav.write_stereo(tmp_path / "a.wav", noise[:, 0])
    with pytest.raises(InputError, match=r"\[n\]"):
        wav.write_mulaw(tmp_path / "a.wav", noise)
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_missing_is_told(tmp_path: Path, noise: NDArray[np.int16]) -> None:
    """Writing into nowhere names the file and asks about the folder."""
    with pytest.raises(InputError, match=r"a\.wav: cannot be written"):
        wav.write_stereo(tmp_path / "no" / "a.wav", noise)


def test_what_was_uploaded_is_read_without_a_file(tmp_path: Path, noise: NDArray[np.int16]) -> None:
    """Channels are mixed; what is wrong is told by the name that it was given."""
    path = tmp_path / "a.wav"
    soundfile.write(path, noise, 8_000, subtype="PCM_16")
    mixed = np.rint(noise.mean(axis=1)).astype(np.int16)
    assert np.array_equal(wav.read_bytes(path.read_bytes(), name="file"), mixed)
    for data, told in ((b"RIFF", "file: not readable"), (path.read_bytes(), "limit is 1 s")):
        with pytest.raises(InputError, match=told):
            wav.read_bytes(data, name="file", length_max_s=1.0)
